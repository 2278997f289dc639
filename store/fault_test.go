package store

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

var errDisk = errors.New("the disk says no")

// trap lets operations pass until it is armed, and then fails those that match; persisted says whether the operation
// happens all the same.
type trap struct {
	armed atomic.Bool
	match func(op errorfs.Op) bool
	hits  atomic.Int32
}

func (tr *trap) MaybeError(op errorfs.Op) error {
	if tr.armed.Load() && tr.match(op) {
		tr.hits.Add(1)
		return errDisk
	}
	return nil
}

func (tr *trap) String() string { return "trap" }

func isWrite(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpFileWrite, errorfs.OpFileWriteAt:
		return true
	}
	return false
}

func isSync(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return true
	}
	return false
}

// TestFailedLogWriteIsTheEnd has the disk refuse a write, or an fsync, of the log. In both cases nothing may be answered
// any more, and a restart finds either all of the write or nothing of it.
func TestFailedLogWriteIsTheEnd(t *testing.T) {
	for name, match := range map[string]func(errorfs.Op) bool{
		"written not":            isWrite,
		"written but not synced": isSync,
	} {
		for _, persisted := range []int{0, 100} {
			mem := vfs.NewCrashableMem()
			tr := &trap{match: func(op errorfs.Op) bool { return match(op) && strings.HasSuffix(op.Path, ".log") }}
			var died deaths
			o := testOptions(errorfs.Wrap(mem, tr), &died)
			s := mustOpen(t, o)
			write(t, s, Write{Shard: testShard, Entries: entries(1, 1, 10), Sync: true})
			tr.armed.Store(true)
			err := s.Write([]Write{{Shard: testShard, Entries: entries(2, 1, 10, 40_000), Sync: true}})
			if !errors.Is(err, ErrFatal) || died.Load() != 1 || tr.hits.Load() == 0 {
				t.Fatalf("%s: %v, deaths %d, hits %d", name, err, died.Load(), tr.hits.Load())
			}
			tr.armed.Store(false)
			checkDead(t, s)
			clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: persisted, RNG: testRNG(1)})
			if err := s.Close(); !errors.Is(err, ErrFatal) {
				t.Errorf("closing a dead store: %v", err)
			}
			after := mustOpen(t, o2(testOptions(nil, &died), clone))
			if last := after.Shard(testShard).LastIndex(); last != 1 && last != 3 {
				t.Errorf("%s, %d %% persisted: the log ends at %d", name, persisted, last)
			}
			mustClose(t, after)
		}
	}
}

// checkDead has every call answer ErrFatal, even though the disk is well again.
func checkDead(t *testing.T, s *Store) {
	t.Helper()
	sh := s.Shard(testShard)
	for name, call := range map[string]func() error{
		"Write":       func() error { return s.Write([]Write{{Shard: testShard, Entries: entries(2, 1, 1), Sync: true}}) },
		"SetIdentity": func() error { return sh.SetIdentity(Identity{Replica: 1}) },
		"Entry":       func() error { _, err := sh.Entry(1); return err },
		"Entries":     func() error { _, err := sh.fromDisk(1, 2, &sizeLimit{}); return err },
		"Find":        func() error { _, _, err := sh.Find(testID(1)); return err },
		"Load":        func() error { _, err := sh.Load(); return err },
		"Export":      func() error { _, err := sh.Export(); return err },
		"Import":      func() error { _, err := sh.Import(Copy{Export: 1}); return err },
		"Wipe":        sh.Wipe,
	} {
		if err := call(); !errors.Is(err, ErrFatal) || !errors.Is(err, errDisk) {
			t.Errorf("%s of a dead store: %v", name, err)
		}
	}
}

// locked serialises an injector, for those that count.
func locked(in errorfs.Injector) errorfs.Injector {
	var mu sync.Mutex
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		return in.MaybeError(op)
	})
}

// TestFailedCheckpointIsTheEnd has the disk refuse a write, or an fsync, of a checkpoint: at every point the store dies, and a
// restart has the old checkpoint or the new one, and the same state from the journal.
func TestFailedCheckpointIsTheEnd(t *testing.T) {
	for name, match := range map[string]func(errorfs.Op) bool{"written not": isWrite, "written but not synced": isSync} {
		olds, news := 0, 0
		for at := int32(1); ; at++ {
			mem := vfs.NewCrashableMem()
			count := at
			tr := &trap{match: func(op errorfs.Op) bool {
				if !match(op) {
					return false
				}
				count--
				return count == 0
			}}
			var died deaths
			w := newWorld(t, mustOpen(t, testOptions(errorfs.Wrap(mem, locked(tr)), &died)), 3)
			w.openAccounts(4)
			w.checkpoint()
			first := w.index
			w.done(w.pay(w.newID(true)))
			want := digestText(w.state)
			tr.armed.Store(true)
			g := w.seal()
			err := w.sh.Persist(g)
			tr.armed.Store(false)
			if tr.hits.Load() == 0 {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			if !errors.Is(err, ErrFatal) || died.Load() != 1 {
				t.Fatalf("%s, operation %d: %v, deaths %d", name, at, err, died.Load())
			}
			checkDead(t, w.s)
			clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(at%2) * 100, RNG: testRNG(uint64(at))})
			w.restart(mustOpen(t, testOptions(clone, &died)))
			if got := digestText(w.state); got != want {
				t.Fatalf("%s, operation %d: after the restart %s, want %s", name, at, got, want)
			}
			if meta, _ := w.sh.Meta(); meta.Index == first {
				olds++
			} else {
				news++
			}
			mustClose(t, w.s)
		}
		if olds == 0 {
			t.Errorf("%s: %d times the old checkpoint, %d times the new", name, olds, news)
		}
		t.Logf("%s: %d times the old checkpoint, %d times the new", name, olds, news)
	}
}

// TestDamagedReplicaIsWiped opens a disk with a damaged table: the shard says so, the other shard works, and wiping heals.
func TestDamagedReplicaIsWiped(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := testOptions(fs, new(deaths))
	w := newWorld(t, mustOpen(t, o), 4)
	if err := w.sh.SetIdentity(Identity{Replica: 8, Born: true}); err != nil {
		t.Fatal(err)
	}
	w.openAccounts(50)
	w.checkpoint()
	write(t, w.s, Write{Shard: 9, Entries: entries(1, 1, 10), Sync: true})
	mustClose(t, w.s)
	for _, name := range must[[]string](t)(fs.List("data/state")) {
		if strings.HasSuffix(name, ".sst") {
			flipByte(t, fs, "data/state/"+name, testRNG(1))
		}
	}
	s := mustOpen(t, o)
	sh := s.Shard(testShard)
	var corrupt *ErrCorrupt
	if _, err := sh.Load(); !errors.As(err, &corrupt) || corrupt.Shard != testShard || sh.Damage() == nil {
		t.Fatalf("loading: %v", err)
	}
	if err := sh.SetIdentity(Identity{Replica: 9}); !errors.As(err, &corrupt) {
		t.Errorf("a damaged replica becomes another: %v", err)
	}
	if found := must[[]Finding](t)(s.Fsck(FsckQuick, 10)); len(found) == 0 {
		t.Error("fsck finds nothing")
	}
	write(t, s, Write{Shard: 9, Entries: entries(2, 1, 10), Sync: true})
	if err := sh.Wipe(); err != nil {
		t.Fatal(err)
	}
	if sh.Damage() != nil || sh.LastIndex() != 0 || sh.Identity().Replica != 0 {
		t.Errorf("after wiping: %v, last %d, %+v", sh.Damage(), sh.LastIndex(), sh.Identity())
	}
	if err := sh.SetIdentity(Identity{Replica: 9}); err != nil {
		t.Error(err)
	}
	mustClose(t, s)
}

func TestDiskFull(t *testing.T) {
	o := testOptions(vfs.Default, new(deaths))
	o.Dir, o.ReserveBytes = t.TempDir(), 1
	s := mustOpen(t, o)
	full, free, err := s.DiskFull()
	if err != nil || full || free == 0 {
		t.Errorf("full %v, free %d, %v", full, free, err)
	}
	s.opts.ReserveBytes = 1 << 62
	if full, _, err := s.DiskFull(); err != nil || !full {
		t.Errorf("with a reserve of 4 EiB: full %v, %v", full, err)
	}
	mustClose(t, s)
}
