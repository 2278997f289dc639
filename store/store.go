package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast"
)

// Store is the disk of one site. All methods may be called at once from several goroutines, except that one goroutine at a
// time calls Write.
type Store struct {
	opts    Options
	log     *pebble.DB
	state   *pebble.DB
	cache   *pebble.Cache
	lock    io.Closer // of the directory
	witness *witness
	// tableDefaults are the options that tables for the state database are built with.
	tableDefaults *pebble.Options

	fatal  atomic.Pointer[fatal] // why the store is dead; nil while it lives
	closed atomic.Bool

	compactions []*compactions // of the databases

	mu       sync.Mutex // guards what follows
	shards   map[holdfast.ShardID]*Shard
	exports  map[*Export]struct{}
	unlisted *ErrCorrupt // why some shards may not have been found
}

// fatal is the first cause of the store's death.
type fatal struct{ err error }

// Open opens or makes the store in o.Dir, finishes an installation of a checkpoint that a crash interrupted, and reads what it
// needs to know of every shard. It takes time in proportion to the log since the last flush, not to history.
func Open(o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{
		opts: o, cache: pebble.NewCache(o.CacheBytes),
		shards: map[holdfast.ShardID]*Shard{}, exports: map[*Export]struct{}{},
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("store in %s: %w", o.Dir, err), s.closeDBs(), s.release())
	}
	return s, nil
}

func (s *Store) open() (err error) {
	if err := makeDir(s.opts.FS, s.dir("stage")); err != nil {
		return err
	}
	if s.lock, err = s.opts.FS.Lock(s.dir("LOCK")); err != nil {
		return fmt.Errorf("locking the directory (is another process using it?): %w", err)
	}
	if s.witness, err = openWitness(s.opts.FS, s.dir("witness"), s.opts.Now); err != nil {
		return err
	}
	losses, err := s.examine()
	if err != nil {
		return err
	}
	if err := s.openLog(); err != nil {
		return s.unopened("log", err)
	}
	s.tableDefaults = s.stateOptions()
	s.tableDefaults.EnsureDefaults()
	if s.state, err = pebble.Open(s.dir("state"), s.stateOptions()); err != nil {
		return s.unopened("state", err)
	}
	if err := s.lose(losses); err != nil {
		return err
	}
	return s.openShards()
}

// openLog opens the log, and a new one twice: the engine makes the first file of a new database in its oldest format, which
// cannot tell damage in the middle from a write that a crash cut short, and would forget what follows without a word.
func (s *Store) openLog() (err error) {
	_, missing := s.opts.FS.Stat(s.dir("log"))
	if s.log, err = pebble.Open(s.dir("log"), s.logOptions()); err != nil || missing == nil {
		return err
	}
	err = s.log.Close()
	if s.log = nil; err != nil {
		return err
	}
	s.log, err = pebble.Open(s.dir("log"), s.logOptions())
	return err
}

// unopened says why a database could not be opened: its files are damaged, or anything else.
func (s *Store) unopened(name string, err error) error {
	if pebble.IsCorruptionError(err) {
		return &ErrDamaged{Path: s.dir(name), Dir: s.opts.Dir, Err: err}
	}
	return fmt.Errorf("opening the %s (is another process using the directory?): %w", name, err)
}

func (s *Store) dir(name string) string { return s.opts.FS.PathJoin(s.opts.Dir, name) }

// stagePath is a path in the directory where tables are built before they are taken over.
func (s *Store) stagePath(name string) string { return s.opts.FS.PathJoin(s.dir("stage"), name) }

// makeDir makes a directory and its parents, and has each name durable before the next is made: a directory that a crash takes
// away takes everything in it along, however well that was synced.
func makeDir(disk vfs.FS, path string) error {
	parent := disk.PathDir(path)
	if parent == path {
		return nil
	}
	if _, err := disk.Stat(path); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking for %s: %w", path, err)
	}
	if err := makeDir(disk, parent); err != nil {
		return err
	}
	if err := disk.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", path, err)
	}
	return syncDir(disk, parent)
}

// Close waits for what runs in the background and closes both databases. Everything acknowledged is safe without it. A dead
// store is left as it is, for the process to take along: its engine may wait for ever for a write that failed.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return ErrClosed
	}
	if f := s.fatal.Load(); f != nil {
		return f.err
	}
	err := s.closeExports(nil)
	for _, sh := range s.snapshotShards() {
		sh.dropReaders()
	}
	if err = errors.Join(err, s.closeDBs()); err == nil {
		err = s.witness.promise(true) // closing has synced the rest
	}
	return errors.Join(err, s.release())
}

// release gives back what was opened beside the databases.
func (s *Store) release() error {
	s.cache.Unref()
	var errs []error
	if s.witness != nil {
		errs = append(errs, s.witness.close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

func (s *Store) closeDBs() error {
	var errs []error
	for _, db := range []*pebble.DB{s.state, s.log} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Shard returns the replica of a shard on this disk, which may be an empty one.
func (s *Store) Shard(id holdfast.ShardID) *Shard {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shards[id]
	if sh == nil {
		sh = newShard(s, id)
		s.shards[id] = sh
		if s.unlisted != nil {
			sh.damage.Store(&ErrCorrupt{Shard: id, What: s.unlisted.What, Err: s.unlisted.Err})
		}
	}
	return sh
}

// Shards lists the shards that have anything on this disk or have been asked for, in order.
func (s *Store) Shards() []holdfast.ShardID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.shards))
}

func (s *Store) snapshotShards() []*Shard {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.shards))
}

// DiskFull reports whether less than the reserve is free, and how many bytes are. New work has to be refused then, while the
// log can still take what is under way. It asks the file system every time: call it every second or so, not per payment.
func (s *Store) DiskFull() (full bool, free uint64, err error) {
	usage, err := s.opts.FS.GetDiskUsage(s.opts.Dir)
	if err != nil {
		return false, 0, fmt.Errorf("free space of %s: %w", s.opts.Dir, err)
	}
	return usage.AvailBytes < s.opts.ReserveBytes, usage.AvailBytes, nil
}

// alive answers the error of a dead or closed store, nil otherwise.
func (s *Store) alive() error {
	if f := s.fatal.Load(); f != nil {
		return f.err
	}
	if s.closed.Load() {
		return ErrClosed
	}
	return nil
}

// die marks the store dead and tells the owner, once. The engine may hold locks when it calls this.
func (s *Store) die(cause error) error {
	f := &fatal{fmt.Errorf("%w: %w", ErrFatal, cause)}
	if !s.fatal.CompareAndSwap(nil, f) {
		return s.fatal.Load().err
	}
	s.opts.OnFatal(f.err)
	return f.err
}

// DiskUsage is how many bytes the log, which is kept for ever, and everything else take on disk.
func (s *Store) DiskUsage() (log, state uint64) {
	if s.closed.Load() {
		return 0, 0
	}
	return s.log.Metrics().DiskSpaceUsage(), s.state.Metrics().DiskSpaceUsage()
}
