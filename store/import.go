package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast/ledger"
)

// Copy is what an exporter says of an [Export] before it is fetched.
type Copy struct {
	Export uint64 // its ID
	Index  uint64 // of its checkpoint
	// State and Journal are about how many bytes there are, see [Export.Size]; 0 when the exporter does not say.
	State   uint64
	Journal uint64
	// Places says that the exporter gives chunks from any place on. One of an earlier version gives them by their number only.
	Places bool
}

// Import gathers the chunks of one export on this disk, durably, so that it goes on where it stopped, after a restart too.
type Import struct {
	shard *Shard
	dir   string

	mu       sync.Mutex // guards what follows
	copy     Copy
	kept     uint32 // chunks before this one are of other exports, and hold the journal only
	next     uint32
	complete bool
	open     bool   // its directory is there
	entry    uint64 // the last one of the journal, without a gap from the first on
	after    []byte // the database and the key of the last row
	bytes    uint64 // of all chunks
	state    uint64 // of those with rows of the state
}

const formatImport = 2 // 1 had no kept chunks

// ErrNoSpace is returned by an import that would leave less than [Options.ReserveBytes] free. It has written nothing, and goes on when
// there is space.
type ErrNoSpace struct {
	Need uint64 // bytes that have to be free, the reserve among them
	Free uint64
}

// Error names both.
func (e *ErrNoSpace) Error() string {
	const mib = 1 << 20
	return fmt.Sprintf("it needs %d MiB of free space, the reserve included, and there are %d MiB; free space or add a disk", (e.Need+mib-1)/mib, e.Free/mib)
}

// ErrIncomplete is returned for the installation of an import of which not everything is there, or not any more.
var ErrIncomplete = errors.New("the import is not complete")

// Import begins or resumes the import of an export. Of what was gathered of another one the journal stays, because its entries are the same
// everywhere; the rest is thrown away. One import of a shard at a time. Failures of the disk are fatal.
func (sh *Shard) Import(from Copy) (*Import, error) {
	if err := sh.store.alive(); err != nil {
		return nil, err
	}
	sh.importing.Lock()
	defer sh.importing.Unlock()
	if im := sh.gathers; im != nil && im.resumes(from) {
		return im, nil
	}
	im := &Import{shard: sh, copy: from, dir: sh.store.importDir(sh)}
	im.mu.Lock()
	defer im.mu.Unlock()
	if err := im.find(); err != nil {
		return nil, sh.store.die(fmt.Errorf("preparing the import of shard %d: %w", sh.id, err))
	}
	sh.gathers = im
	return im, nil
}

// DropImport throws away what was gathered, because the log needs the space. An import that is under way begins anew.
func (sh *Shard) DropImport() error {
	if err := sh.store.alive(); err != nil {
		return err
	}
	sh.importing.Lock()
	defer sh.importing.Unlock()
	if sh.gathers != nil {
		return sh.gathers.Discard()
	}
	if err := sh.store.removeStage(sh.store.importDir(sh)); err != nil {
		return sh.store.die(err)
	}
	return nil
}

// closeImport is for when its files go with what is replaced.
func (sh *Shard) closeImport() {
	sh.importing.Lock()
	defer sh.importing.Unlock()
	if im := sh.gathers; im != nil {
		im.mu.Lock()
		defer im.mu.Unlock()
		im.forget()
	}
}

func (s *Store) importDir(sh *Shard) string { return s.stagePath(fmt.Sprintf("import-%d", sh.id)) }

func (im *Import) path(name string) string { return im.shard.store.opts.FS.PathJoin(im.dir, name) }

func (im *Import) chunkPath(n uint32) string { return im.path(fmt.Sprintf("chunk-%08d", n)) }

// resumes reports whether this is the import of that export, which may know more of it than it did.
func (im *Import) resumes(from Copy) bool {
	im.mu.Lock()
	defer im.mu.Unlock()
	if im.copy.Export != from.Export || !im.open || im.kept > 0 && !from.Places {
		return false
	}
	im.copy = from
	return true
}

// find looks for what was gathered before, and begins anew when nothing of it is of use.
func (im *Import) find() error {
	export, kept, err := im.readHead()
	if err != nil {
		return err
	}
	switch {
	case export == im.copy.Export && export != 0 && (kept == 0 || im.copy.Places):
		im.kept = kept
		return im.count(func(c *chunk) bool { return c.n < kept || c.export == export })
	case export != 0 && im.copy.Places:
		return im.keep(export, kept)
	}
	return im.begin()
}

// readHead says what the chunks are of; 0: nothing that could be resumed.
func (im *Import) readHead() (export uint64, kept uint32, err error) {
	head, err := readFile(im.shard.store.opts.FS, im.path("head"))
	if err != nil {
		return 0, 0, ignoreMissing(err)
	}
	body, err := unsealed(im.headKey(), head, formatImport)
	u := unpacker{b: body}
	export, kept = u.uvarint(), uint32(u.uvarint())
	if err != nil || u.bad {
		return 0, 0, nil //nolint:nilerr // torn, or of another version: begin anew
	}
	return export, kept, nil
}

// count takes the chunks that are there for as long as they are intact and wanted.
func (im *Import) count(wanted func(*chunk) bool) error {
	im.open = true
	for !im.complete {
		data, err := readFile(im.shard.store.opts.FS, im.chunkPath(im.next))
		if err != nil {
			return ignoreMissing(err)
		}
		c, err := readChunk(data)
		if err != nil || c.n != im.next || !wanted(&c) {
			return nil //nolint:nilerr // it is fetched again
		}
		s, err := c.span()
		if err != nil || s.first != 0 && s.first != im.entry+1 {
			return nil //nolint:nilerr // likewise
		}
		im.take(&c, &s, len(data))
	}
	return nil
}

// keep goes on with the journal that was gathered from another export, as far as the new one reaches. Entries up to a checkpoint are
// committed, and the same wherever they come from.
func (im *Import) keep(export uint64, kept uint32) error {
	err := im.count(func(c *chunk) bool {
		s, err := c.span()
		return err == nil && !s.state && s.last <= im.copy.Index && (c.n < kept || c.export == export) && im.genuine(c)
	})
	if err != nil {
		return err
	}
	if im.next == 0 {
		return im.begin()
	}
	im.kept = im.next
	// Before the head says otherwise: when the old export comes back after this one, what is left of it must not be taken for a part of it.
	if err := im.removeFrom(im.next); err != nil {
		return err
	}
	return im.writeHead()
}

// genuine reports whether the entries in a chunk are what was once written: what one exporter has spoilt must not be blamed on the next.
func (im *Import) genuine(c *chunk) bool {
	return c.each(func(_ byte, key, value []byte) error {
		_, err := readEntry(im.shard.id, binary.BigEndian.Uint64(key[1:]), value)
		return err
	}) == nil
}

// removeFrom removes chunk n and all behind it, also behind a gap.
func (im *Import) removeFrom(n uint32) error {
	disk := im.shard.store.opts.FS
	names, err := disk.List(im.dir)
	if err != nil {
		return fmt.Errorf("listing %s: %w", im.dir, err)
	}
	first := disk.PathBase(im.chunkPath(n))
	for _, name := range names {
		if !strings.HasPrefix(name, "chunk-") || len(name) == len(first) && name < first {
			continue
		}
		if err := disk.Remove(im.path(name)); err != nil {
			return fmt.Errorf("removing %s of an earlier export: %w", name, err)
		}
	}
	return nil
}

// take counts a chunk that is on the disk.
func (im *Import) take(c *chunk, s *span, size int) {
	im.next = c.n + 1
	im.complete = c.last
	im.bytes += uint64(size)
	if s.state {
		im.state += uint64(size)
	}
	if s.first == im.entry+1 {
		im.entry = s.last
	}
	im.after = s.end
}

func (im *Import) headKey() []byte { return shardKey(im.shard.id, kindInstall) }

func (im *Import) forget() {
	im.kept, im.next, im.complete, im.open = 0, 0, false, false
	im.entry, im.after, im.bytes, im.state = 0, nil, 0, 0
}

// empty removes everything.
func (im *Import) empty() error {
	im.forget()
	if err := im.shard.store.opts.FS.RemoveAll(im.dir); err != nil {
		return fmt.Errorf("emptying %s: %w", im.dir, err)
	}
	return nil
}

// begin empties the directory and says what it is for.
func (im *Import) begin() error {
	if err := im.empty(); err != nil {
		return err
	}
	if err := im.shard.store.opts.FS.MkdirAll(im.dir, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", im.dir, err)
	}
	if err := syncDir(im.shard.store.opts.FS, im.shard.store.dir("stage")); err != nil {
		return err
	}
	return im.writeHead()
}

func (im *Import) writeHead() error {
	im.open = true
	head := appendUvarints([]byte{formatImport}, im.copy.Export, uint64(im.kept))
	return im.writeFile("head", im.path("head"), sealed(im.headKey(), head))
}

// writeFile makes a file appear whole and durable, or not at all.
func (im *Import) writeFile(name, path string, data []byte) error {
	disk := im.shard.store.opts.FS
	temporary := im.path("writing")
	file, err := disk.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("creating %s: %w", name, err)
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := disk.Rename(temporary, path); err != nil {
		return fmt.Errorf("naming %s: %w", name, err)
	}
	return syncDir(disk, im.dir)
}

// Next is the number of the chunk that is wanted next.
func (im *Import) Next() uint32 {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.next
}

// Complete reports whether the last chunk is there.
func (im *Import) Complete() bool {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.complete
}

// Place is where the chunk that is wanted next begins, for [Export.ChunkAt]; nil: at the first entry of the journal. Its form: the database,
// 1 byte, and the smallest key that may come next, from its kind on.
func (im *Import) Place() []byte {
	im.mu.Lock()
	defer im.mu.Unlock()
	if len(im.after) == 0 {
		return nil
	}
	return append(slices.Clone(im.after), 0)
}

// Places says whether chunks of this import are to be asked for by their place.
func (im *Import) Places() bool {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.copy.Places
}

// Room answers an [ErrNoSpace] when there is not enough for what is missing and for the tables that are made of everything, besides the
// reserve: the log, which all shards of the site share, must not run out of space because a checkpoint is fetched.
func (im *Import) Room() error {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.room()
}

func (im *Import) room() error {
	s := im.shard.store
	_, free, err := s.DiskFull()
	if err != nil {
		return nil //nolint:nilerr // unknown is not full; those who write report it
	}
	missing := im.missing()
	tables := missing + im.bytes
	tables += tables / 8 // indexes and filters
	if need := s.opts.ReserveBytes + missing + tables; free < need {
		return &ErrNoSpace{Need: need, Free: free}
	}
	return nil
}

// missing is about how many bytes of chunks have not come yet: at least one chunk while anything has not.
func (im *Import) missing() uint64 {
	if im.complete {
		return 0
	}
	n := im.copy.State - min(im.copy.State, im.state)
	if rest := im.copy.Index - min(im.copy.Index, im.entry); rest > 0 {
		n += (im.copy.Journal/im.copy.Index + 1) * rest
	}
	return max(n, uint64(im.shard.store.opts.ChunkBytes))
}

// Put verifies and stores chunk Next(), and returns when it is on the disk. [ErrChunkDamaged] and [ErrNoSpace] change nothing; failures
// of the disk are fatal.
func (im *Import) Put(data []byte) error {
	im.mu.Lock()
	defer im.mu.Unlock()
	if err := im.shard.store.alive(); err != nil {
		return err
	}
	c, err := readChunk(data)
	if err != nil {
		return err
	}
	if !im.open {
		return fmt.Errorf("shard %d: %w: it was thrown away, begin anew", im.shard.id, ErrIncomplete)
	}
	if c.export != im.copy.Export || c.n != im.next || im.complete {
		return fmt.Errorf("%w: chunk %d of export %d, wanted is %d of %d", ErrChunkDamaged, c.n, c.export, im.next, im.copy.Export)
	}
	s, err := c.span()
	if err != nil {
		return err
	}
	if err := im.room(); err != nil {
		return err
	}
	if err := im.writeFile(fmt.Sprintf("chunk %d", c.n), im.chunkPath(c.n), data); err != nil {
		return im.shard.store.die(fmt.Errorf("importing shard %d: %w", im.shard.id, err))
	}
	im.take(&c, &s, len(data))
	return nil
}

// Discard throws away what was gathered.
func (im *Import) Discard() error {
	im.mu.Lock()
	defer im.mu.Unlock()
	if err := im.empty(); err != nil {
		return im.shard.store.die(err)
	}
	return nil
}

// Install replaces log, checkpoint and history of the shard by those of the complete import, and returns the new checkpoint.
// A crash anywhere leaves the old or, finished by the next Open, the new, never a mix. The hard state keeps term and vote if its
// term is not below that of the checkpoint, and commits at least up to the checkpoint; the identity becomes Born. A
// content that contradicts itself is an [ErrCorrupt] and changes nothing, as does a replica that is damaged: that one can only be
// wiped. [ErrNoSpace] and [ErrIncomplete] change nothing either. Failures of the disk are fatal. The caller has stopped using the shard meanwhile, and begins with Load afterwards.
func (im *Import) Install() (ledger.Meta, error) {
	im.mu.Lock()
	defer im.mu.Unlock()
	sh := im.shard
	if err := sh.store.alive(); err != nil {
		return ledger.Meta{}, err
	}
	if err := sh.Damage(); err != nil { // a checkpoint brings a log, but not the votes that may be lost
		return ledger.Meta{}, err
	}
	if !im.complete {
		return ledger.Meta{}, fmt.Errorf("shard %d: %w: chunk %d is wanted next", sh.id, ErrIncomplete, im.next)
	}
	if err := im.room(); err != nil {
		return ledger.Meta{}, err
	}
	plan, err := im.build()
	if corrupt := (*ErrCorrupt)(nil); errors.As(err, &corrupt) {
		return ledger.Meta{}, errors.Join(err, sh.store.removeStage(sh.store.installDir(sh)))
	}
	if err == nil {
		err = sh.replace(plan)
	}
	if err != nil {
		return ledger.Meta{}, sh.store.die(fmt.Errorf("installing shard %d: %w", sh.id, err))
	}
	im.forget()
	meta, _ := sh.Meta()
	return meta, sh.store.alive()
}

// build turns the chunks into tables, verifying everything that can be without the ledger.
func (im *Import) build() (*installPlan, error) {
	sh := im.shard
	b, err := newInstallBuilder(sh)
	if err != nil {
		return nil, err
	}
	for n := range im.next {
		data, err := readFile(sh.store.opts.FS, im.chunkPath(n))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("reading chunk %d: %w", n, err), b.abandon())
		}
		c, err := readChunk(data)
		if err == nil {
			err = c.each(b.add)
		}
		if errors.Is(err, ErrChunkDamaged) {
			err = &ErrCorrupt{Shard: sh.id, What: fmt.Sprintf("chunk %d of the import", n), Err: err}
		}
		if err != nil {
			return nil, errors.Join(err, b.abandon())
		}
	}
	return b.finish()
}

func readFile(disk vfs.FS, path string) ([]byte, error) {
	file, err := disk.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(file)
	return data, errors.Join(err, file.Close())
}
