package store

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// loss is a write-ahead log that does not hold what was synced of it.
type loss struct {
	log    uint64 // its number
	intact uint64 // the engine can read it up to here
	what   string
}

// examine compares the files of both databases with what the witness knows. A damaged manifest is [ErrDamaged]: opening the
// database would remove tables that it no longer lists. A damaged log loses what is behind the damage, of the shards that
// had written there. Logs that the manifest does not need any more are not read.
func (s *Store) examine() (losses []loss, err error) {
	for _, name := range []string{"state", "log"} {
		min, err := s.examineManifest(name)
		if err != nil {
			return nil, err
		}
		if name == "log" {
			losses, err = s.examineLogs(min)
		}
		if err != nil {
			return nil, err
		}
	}
	return losses, nil
}

// examineManifest verifies the list of tables of a database, and answers the number of the oldest log that it needs.
func (s *Store) examineManifest(name string) (minLog uint64, err error) {
	disk, dir := s.opts.FS, s.dir(name)
	found, err := pebble.Peek(dir, disk)
	if err != nil && !missing(err) {
		return 0, s.unopened(name, err)
	}
	if err != nil || !found.Exists {
		if len(s.witness.shards) > 0 {
			return 0, &ErrDamaged{Path: dir, Dir: s.opts.Dir, Err: errors.New("the list of its tables is gone")}
		}
		return 0, nil
	}
	if i := s.witness.find(name + "/" + disk.PathBase(found.ManifestFilename)); i >= 0 {
		what, err := s.witness.seen[i].compare(disk, found.ManifestFilename)
		if err != nil {
			return 0, err
		}
		if what != "" {
			return 0, &ErrDamaged{Path: dir, Dir: s.opts.Dir, Err: errors.New(what)}
		}
	}
	return oldestLog(disk, found.ManifestFilename)
}

// compare answers what is wrong with a file; "" when it holds what was synced.
func (f *witnessed) compare(disk vfs.FS, path string) (what string, err error) {
	file, err := disk.Open(path)
	if missing(err) {
		return fmt.Sprintf("%s is gone, %d bytes of it were synced", f.name, f.length), nil
	}
	if err != nil {
		return "", fmt.Errorf("opening %s: %w", path, err)
	}
	sum := crc32.New(castagnoli)
	n, err := io.CopyN(sum, file, int64(f.length))
	if err == io.EOF {
		err, what = nil, fmt.Sprintf("%s ends at %d, %d bytes of it were synced", f.name, n, f.length)
	} else if sum.Sum32() != f.sum {
		what = fmt.Sprintf("%s is damaged within the %d bytes of it that were synced", f.name, f.length)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	return what, nil
}

// Tags of the engine's manifest, which begin every record that has them, in this order.
const (
	manifestComparer = 1
	manifestLog      = 2
)

// oldestLog reads the number of the oldest log that is needed from a manifest, as far as the engine can read it.
func oldestLog(disk vfs.FS, path string) (number uint64, err error) {
	file, err := disk.Open(path)
	if err != nil {
		return 0, ignoreMissing(err) // opening the database will say what is wrong
	}
	for r := record.NewReader(file, 0); ; {
		edit, err := r.Next()
		if err != nil {
			break
		}
		data, err := io.ReadAll(edit)
		if err != nil {
			break
		}
		u := unpacker{b: data}
		tag := u.uvarint()
		if tag == manifestComparer {
			u.text()
			tag = u.uvarint()
		}
		if log := u.uvarint(); tag == manifestLog && !u.bad {
			number = log
		}
	}
	return number, file.Close()
}

// examineLogs verifies the write-ahead logs from a number on.
func (s *Store) examineLogs(from uint64) (losses []loss, err error) {
	disk := s.opts.FS
	for i := range s.witness.seen {
		f := &s.witness.seen[i]
		number, ok := logNumber(f.name)
		if !ok || number < from {
			continue
		}
		path := disk.PathJoin(s.opts.Dir, f.name)
		what, err := f.compare(disk, path)
		if err != nil {
			return nil, err
		}
		if what == "" {
			continue
		}
		f.lost = true
		intact, err := readable(disk, s.dir("log"), number)
		if err != nil {
			return nil, err
		}
		s.opts.Logger.Error("a log does not hold what was synced", "what", what, "readable", intact, "kept", s.keepDamaged(path))
		losses = append(losses, loss{number, intact, what})
	}
	return losses, nil
}

// keepDamaged copies a damaged log to where people find it: the engine removes what it cannot read, and a site that is alone
// may have nothing better. It answers whether it could; the start goes on either way, for the others have it all.
func (s *Store) keepDamaged(path string) error {
	disk, dir := s.opts.FS, s.dir("damaged")
	if _, err := disk.Stat(path); err != nil {
		return err
	}
	if err := makeDir(disk, dir); err != nil {
		return err
	}
	return errors.Join(vfs.Copy(disk, path, disk.PathJoin(dir, disk.PathBase(path))), syncDir(disk, dir))
}

// readable is how far the engine can read a log.
func readable(disk vfs.FS, dir string, number uint64) (uint64, error) {
	logs, err := wal.Scan(wal.Dir{FS: disk, Dirname: dir})
	if err != nil {
		return 0, fmt.Errorf("listing the logs in %s: %w", dir, err)
	}
	log, ok := logs.Get(wal.NumWAL(number))
	if !ok {
		return 0, nil
	}
	r := log.OpenForRead()
	for {
		_, at, err := r.NextRecord()
		if err != nil {
			return uint64(at.Physical), r.Close()
		}
	}
}

// lose writes down, durably, which shards have lost something that was promised, so that they know it after a restart too, until
// they are wiped. Then the witness may forget.
func (s *Store) lose(losses []loss) error {
	if len(losses) == 0 {
		return nil
	}
	batch := s.log.NewBatch()
	defer func() { _ = batch.Close() }() // only returns memory
	for _, p := range s.witness.shards {
		for _, l := range losses {
			if p.log < l.log || p.log == l.log && p.end <= l.intact {
				continue
			}
			key := shardKey(p.shard, kindLost)
			text := fmt.Sprintf("%s, and read up to %d: the write that ended at %d of log %d, with entry %d and term %d, was answered",
				l.what, l.intact, p.end, p.log, p.index, p.term)
			if err := batch.Set(key, appendLost(key, text), nil); err != nil {
				return fmt.Errorf("writing down what shard %d has lost: %w", p.shard, err)
			}
			break
		}
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		return s.die(fmt.Errorf("writing down what was lost: %w", err))
	}
	if err := s.alive(); err != nil {
		return err
	}
	if err := s.witness.told(); err != nil {
		return s.die(err)
	}
	return nil
}

const formatLost = 1

func appendLost(key []byte, text string) []byte {
	return sealed(key, append([]byte{formatLost}, text...))
}

// readLost gives the damage that a shard was found to have by an earlier start.
func readLost(key, value []byte) (*ErrCorrupt, error) {
	b, err := unsealed(key, value, formatLost)
	if err != nil {
		return nil, err
	}
	return &ErrCorrupt{Shard: shardOf(key), Key: append([]byte(nil), key...), What: string(b)}, nil
}

// lost answers what a shard has lost of what it had promised.
func (sh *Shard) lost() error {
	damage, err := readSmall(sh, sh.store.log, kindLost, readLost)
	if err == nil && damage != nil {
		return damage
	}
	return err
}

// promise is called after a synced write and before it is answered.
func (s *Store) promise(sure bool, shards ...promise) error {
	if err := s.witness.promise(sure, shards...); err != nil {
		return s.die(err)
	}
	return s.alive() // the engine reports some failures only to its logger
}

// standing is what the witness is told of a shard.
func (sh *Shard) standing() promise {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return promise{shard: sh.id, index: sh.last, term: sh.hard.Term}
}
