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
		"Import":      func() error { _, err := sh.Import(1); return err },
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
