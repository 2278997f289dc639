package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast"
)

// witness remembers, in a file of its own, how much of the engine's growing files (write-ahead logs and manifests) was synced,
// and with what checksum. The engine takes whatever it cannot read at the end of these for a write that a crash cut short;
// the witness knows whether it was promised to somebody.
//
// A statement is true from the moment it is made until the end of the file: it is made after the fsync that it is about, and a file
// is forgotten, durably, before it is removed. So no crash makes a statement say more than the disk holds. It may say less, see
// DESIGN.md: a statement is in the page cache before a write is answered, and on the disk a little later.
type witness struct {
	disk vfs.FS
	path string
	now  func() time.Time

	mu     sync.Mutex // guards what follows
	file   vfs.File
	seen   []witnessed // in the order in which they were made
	shards []promise   // in order of shard
	number uint64      // of the newest statement
	slot   int64       // where the next statement goes; the other slot is on the disk, and stays as it is meanwhile
	synced time.Time   // when the newest statement on the disk was brought there
	took   time.Duration
	buf    []byte
}

// witnessed is a file of the engine.
type witnessed struct {
	name   string // below the directory of the store
	length uint64 // this much of it was synced ...
	sum    uint32 // ... with this checksum
	named  bool   // and its name was synced too
	lost   bool   // it was not what it should have been when the store was opened, and no shard has been told yet
}

// promise is where the last answered write of a shard ends.
type promise struct {
	shard       holdfast.ShardID
	log         uint64 // number of the file
	end         uint64 // offset in it
	index, term uint64 // of the last entry, and of the hard state
}

const (
	formatWitness = 1
	witnessSlot   = 64 << 10 // a statement is about 30 bytes per file and per shard, and there are at most 1,000 shards
	witnessShare  = 50       // one part in so many of the time may go into syncing statements
)

// openWitness reads the newest statement, or makes an empty one. Damage of the witness itself costs the protection until the next
// statement, not the data: a torn slot is what a crash leaves, and there are two.
func openWitness(disk vfs.FS, path string, now func() time.Time) (*witness, error) {
	w := &witness{disk: disk, path: path, now: now}
	data, err := readFile(disk, path)
	if err = ignoreMissing(err); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	for slot := range int64(2) {
		if at := slot * witnessSlot; at < int64(len(data)) {
			w.take(slot, data[at:min(at+witnessSlot, int64(len(data)))])
		}
	}
	if w.file, err = disk.OpenReadWrite(path, vfs.WriteCategoryUnspecified); err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	if len(data) < 2*witnessSlot {
		err = w.reserve()
	}
	return w, err
}

// reserve gives the file its size, so that statements never change more than its content.
func (w *witness) reserve() error {
	for slot := range int64(2) {
		if _, err := w.file.WriteAt(make([]byte, witnessSlot), slot*witnessSlot); err != nil {
			return fmt.Errorf("making %s: %w", w.path, err)
		}
	}
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("making %s: %w", w.path, err)
	}
	return syncDir(w.disk, w.disk.PathDir(w.path))
}

// close gives the file back; what was stated stays.
func (w *witness) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	return err
}

// promise states that everything synced so far is there, with where the shards stand now. What has to be on the disk at once,
// because a replica must never be without it, is sure; the rest is synced as often as costs next to nothing.
func (w *witness) promise(sure bool, shards ...promise) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	log, end := w.newestLog()
	for _, p := range shards {
		p.log, p.end = log, end
		w.set(p)
	}
	if err := w.state(); err != nil {
		return err
	}
	if sure || w.now().Sub(w.synced) >= w.took*witnessShare {
		return w.sync()
	}
	return nil
}

func (w *witness) set(p promise) {
	i, found := slices.BinarySearchFunc(w.shards, p.shard, func(p promise, id holdfast.ShardID) int { return int(p.shard) - int(id) })
	if !found {
		w.shards = slices.Insert(w.shards, i, p)
	}
	w.shards[i] = p
}

// newestLog is where the log of the log database ends now.
func (w *witness) newestLog() (number, end uint64) {
	for i := range w.seen {
		if n, ok := logNumber(w.seen[i].name); ok && n >= number {
			number, end = n, w.seen[i].length
		}
	}
	return number, end
}

// logNumber reads the number of a write-ahead log out of its name.
func logNumber(name string) (number uint64, ok bool) {
	rest, isLog := strings.CutSuffix(name, ".log")
	_, err := fmt.Sscanf(rest, "log/%d", &number)
	return number, isLog && err == nil
}

// state writes the statement into the page cache.
func (w *witness) state() error {
	w.number++
	w.buf = w.append(w.buf[:0])
	if len(w.buf) > witnessSlot {
		return fmt.Errorf("a statement of %d files and %d shards does not fit into %s", len(w.seen), len(w.shards), w.path)
	}
	if _, err := w.file.WriteAt(w.buf, w.slot*witnessSlot); err != nil {
		return fmt.Errorf("writing %s: %w", w.path, err)
	}
	return nil
}

// sync brings the newest statement to the disk. The next ones go to the other slot: a crash may tear the one that is written.
func (w *witness) sync() error {
	began := w.now()
	if err := w.file.SyncData(); err != nil {
		return fmt.Errorf("syncing %s: %w", w.path, err)
	}
	w.synced = w.now()
	w.took = w.synced.Sub(began)
	w.slot = 1 - w.slot
	return nil
}

// everywhere has both slots say what is true now, the first of them on the disk.
func (w *witness) everywhere() error {
	return errors.Join(w.state(), w.sync(), w.state())
}

// told drops the files that were lost, after everybody whom it concerns knows.
func (w *witness) told() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = slices.DeleteFunc(w.seen, func(f witnessed) bool { return f.lost })
	return w.everywhere()
}

// forget is called before a file goes away. What was lost is kept in mind until it is told.
func (w *witness) forget(name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.find(name)
	if i < 0 || w.seen[i].lost {
		return nil
	}
	stated := w.seen[i].named
	w.seen = slices.Delete(w.seen, i, i+1)
	if !stated {
		return nil
	}
	return w.everywhere()
}

func (w *witness) find(name string) int {
	return slices.IndexFunc(w.seen, func(f witnessed) bool { return f.name == name })
}

// saw notes how far a file was synced. It is stated with the next promise.
func (w *witness) saw(name string, length uint64, sum uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.find(name)
	if i < 0 {
		i = len(w.seen)
		w.seen = append(w.seen, witnessed{name: name})
	}
	if f := &w.seen[i]; !f.lost {
		f.length, f.sum = length, sum
	}
}

// sawNames notes that the names in a directory were synced.
func (w *witness) sawNames(dir string, names []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.seen {
		if rest, ok := strings.CutPrefix(w.seen[i].name, dir+"/"); ok && slices.Contains(names, rest) {
			w.seen[i].named = true
		}
	}
}

// namesIn lists what has been synced of a directory.
func (w *witness) namesIn(dir string) (names []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.seen {
		if rest, ok := strings.CutPrefix(w.seen[i].name, dir+"/"); ok {
			names = append(names, rest)
		}
	}
	return names
}

// append encodes a statement: FORMAT.md.
func (w *witness) append(b []byte) []byte {
	b = append(b, 0, 0, 0, 0, formatWitness)
	b = binary.LittleEndian.AppendUint64(b, w.number)
	files := 0
	for i := range w.seen {
		if w.seen[i].named {
			files++
		}
	}
	b = appendUvarints(b, uint64(files))
	for i := range w.seen {
		f := &w.seen[i]
		if !f.named {
			continue
		}
		b = append(appendUvarints(b, uint64(len(f.name))), f.name...)
		b = binary.LittleEndian.AppendUint32(appendUvarints(b, f.length), f.sum)
	}
	b = appendUvarints(b, uint64(len(w.shards)))
	for _, p := range w.shards {
		b = appendUvarints(b, uint64(p.shard), p.log, p.end, p.index, p.term)
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// take reads a slot, and takes over what it says if that is the newest so far.
func (w *witness) take(slot int64, b []byte) {
	if len(b) < 8 {
		return
	}
	n := binary.LittleEndian.Uint32(b)
	if n < 13 || uint64(n)+4 > uint64(len(b)) || binary.LittleEndian.Uint32(b[n:]) != crc32.Checksum(b[:n], castagnoli) || b[4] != formatWitness {
		return
	}
	number := binary.LittleEndian.Uint64(b[5:])
	if number <= w.number {
		return
	}
	u := unpacker{b: b[13:n]}
	var seen []witnessed
	for range u.count() {
		f := witnessed{name: u.text(), length: u.uvarint(), named: true}
		if sum := u.take(4); sum != nil {
			f.sum = binary.LittleEndian.Uint32(sum)
		}
		seen = append(seen, f)
	}
	var shards []promise
	for range u.count() {
		shards = append(shards, promise{holdfast.ShardID(u.uvarint()), u.uvarint(), u.uvarint(), u.uvarint(), u.uvarint()})
	}
	if !u.bad {
		w.number, w.seen, w.shards, w.slot = number, seen, shards, 1-slot
	}
}

// watched is a file system whose growing files the witness hears of. The engine's databases live on it.
type watched struct {
	vfs.FS
	w *witness
}

// growing is the name by which the witness knows a file; "" when it is none of those.
func (d watched) growing(path string) string {
	base := d.PathBase(path)
	if strings.HasSuffix(base, ".log") || strings.HasPrefix(base, "MANIFEST-") {
		return d.PathBase(d.PathDir(path)) + "/" + base
	}
	return ""
}

// forgetting does away with files after the witness has forgotten them.
func (d watched) forgetting(paths ...string) error {
	for _, path := range paths {
		if name := d.growing(path); name != "" {
			if err := d.w.forget(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d watched) watch(path string, f vfs.File, err error) (vfs.File, error) {
	if name := d.growing(path); name != "" && err == nil {
		d.w.saw(name, 0, 0)
		f = &growingFile{File: f, w: d.w, name: name}
	}
	return f, err
}

// Create implements vfs.FS.
func (d watched) Create(path string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.forgetting(path); err != nil {
		return nil, err
	}
	f, err := d.FS.Create(path, category)
	return d.watch(path, f, err)
}

// ReuseForWrite implements vfs.FS.
func (d watched) ReuseForWrite(old, path string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.forgetting(old, path); err != nil {
		return nil, err
	}
	f, err := d.FS.ReuseForWrite(old, path, category)
	return d.watch(path, f, err)
}

// Remove implements vfs.FS.
func (d watched) Remove(path string) error {
	if err := d.forgetting(path); err != nil {
		return err
	}
	return d.FS.Remove(path)
}

// OpenDir implements vfs.FS.
func (d watched) OpenDir(path string) (vfs.File, error) {
	f, err := d.FS.OpenDir(path)
	if err != nil {
		return nil, err
	}
	return &watchedDir{File: f, w: d.w, name: d.PathBase(path)}, nil
}

// Unwrap implements vfs.FS.
func (d watched) Unwrap() vfs.FS { return d.FS }

// watchedDir tells the witness when names are safe.
type watchedDir struct {
	vfs.File
	w    *witness
	name string
}

func (d *watchedDir) Sync() error {
	names := d.w.namesIn(d.name) // those made meanwhile may have missed it
	err := d.File.Sync()
	if err == nil {
		d.w.sawNames(d.name, names)
	}
	return err
}

// growingFile tells the witness what was synced. Its caller writes and syncs one at a time.
type growingFile struct {
	vfs.File
	w      *witness
	name   string
	length uint64
	sum    uint32
	broken bool // a write failed: what the file holds is not known any more
}

func (f *growingFile) Write(p []byte) (int, error) {
	sum := crc32.Update(f.sum, castagnoli, p) // before: writing may change p
	n, err := f.File.Write(p)
	f.broken = f.broken || err != nil || n != len(p)
	f.length, f.sum = f.length+uint64(len(p)), sum
	return n, err
}

func (f *growingFile) Sync() error { return f.saw(f.File.Sync()) }

func (f *growingFile) SyncData() error { return f.saw(f.File.SyncData()) }

func (f *growingFile) saw(err error) error {
	if err == nil && !f.broken {
		f.w.saw(f.name, f.length, f.sum)
	}
	return err
}

// missing tells a file that is gone from one that cannot be read.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
