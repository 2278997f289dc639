package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/go-cmp/cmp"
)

// image is everything that a replica is.
type image struct {
	Identity Identity
	Hard     HardState
	Last     uint64
	State    string // what the checkpoint and the journal after it come to
}

func imageOf(t *testing.T, s *Store) image {
	t.Helper()
	w := newWorld(t, s, 1)
	w.restart(s)
	return image{w.sh.Identity(), w.sh.Hard(), w.sh.LastIndex(), digestText(w.state)}
}

// change is one of the few writes that say who votes here, and with what log.
type change struct {
	name string
	base *vfs.MemFS // the disk before
	do   func(t *testing.T, s *Store) error
	old  image
	new  image
}

// changes prepares each on a disk with a replica that has voted.
func changes(t *testing.T) []change {
	t.Helper()
	from, _, _ := source(t, testOptions(vfs.NewMem(), new(deaths)))
	e := must[*Export](t)(from.sh.Export())
	disk := vfs.NewCrashableMem()
	to := target(t, testOptions(disk, new(deaths)))
	write(t, to.s, Write{Shard: testShard, Hard: &HardState{Term: 9, Vote: 77, Commit: 3}, Sync: true})
	pull(t, e, must[*Import](t)(to.sh.Import(copyOf(t, e))), 1<<20)
	install := func(t *testing.T, s *Store) error {
		im, err := s.Shard(testShard).Import(copyOf(t, e))
		if err != nil {
			return err
		}
		_, err = im.Install()
		return err
	}
	list := []change{
		{name: "identity", do: func(_ *testing.T, s *Store) error {
			return s.Shard(testShard).SetIdentity(Identity{Replica: 78, Born: true, Birth: []byte("founders")})
		}},
		{name: "install", do: install},
		{name: "wipe", do: func(_ *testing.T, s *Store) error { return s.Shard(testShard).Wipe() }},
	}
	for i := range list {
		c := &list[i]
		c.base = disk.CrashClone(vfs.CrashCloneCfg{})
		c.old, c.new = c.around(t)
	}
	return list
}

// around is the replica before the change and after it, on a disk where nothing goes wrong.
func (c *change) around(t *testing.T) (before, after image) {
	t.Helper()
	s := mustOpen(t, testOptions(c.base.CrashClone(vfs.CrashCloneCfg{}), new(deaths)))
	before = imageOf(t, s)
	if err := c.do(t, s); err != nil {
		t.Fatal(err)
	}
	after = imageOf(t, s)
	mustClose(t, s)
	if cmp.Equal(before, after) || before.Identity.Replica != 77 || before.Hard.Vote != 77 || before.Last == 0 {
		t.Fatalf("%s changes nothing: %+v", c.name, before)
	}
	if after.Identity.Replica == 77 && (after.Last == 0 || after.Hard.Term < 9 || after.Hard.Vote != 77) {
		t.Fatalf("%s leaves a voter who has forgotten: %+v", c.name, after)
	}
	return before, after
}

// outcome opens what is left and says which of the two it is. Anything else is a mixture.
func (c *change) outcome(t *testing.T, left vfs.FS, what string) image {
	t.Helper()
	var got image
	for range 2 { // what the first start finished has to be finished
		s := mustOpen(t, testOptions(left, new(deaths)))
		if err := s.Shard(testShard).Damage(); err != nil {
			t.Fatalf("%s, %s: %v", c.name, what, err)
		}
		again := imageOf(t, s)
		mustClose(t, s)
		if got.State != "" && !cmp.Equal(got, again) {
			t.Fatalf("%s, %s: %s", c.name, what, cmp.Diff(got, again))
		}
		got = again
	}
	if !cmp.Equal(got, c.old) && !cmp.Equal(got, c.new) {
		t.Fatalf("%s, %s: neither the old: %s\nnor the new: %s", c.name, what, cmp.Diff(c.old, got), cmp.Diff(c.new, got))
	}
	return got
}

// changesTheDisk is any operation but a read.
func changesTheDisk(op errorfs.Op) bool { return op.Kind.ReadOrWrite() == errorfs.OpIsWrite }

// TestCrashAtEveryStep crashes before every single operation of the writes that say who votes here, each time with nothing, all
// and half of what was not synced: what comes back is the old replica or the new one, whole; never a mixture, and never an
// identity that has voted with a log that has forgotten.
func TestCrashAtEveryStep(t *testing.T) {
	for _, c := range changes(t) {
		olds, news := 0, 0 // of the changes that nobody was told were made
		for _, percent := range []int{0, 100, 50} {
			for at := 1; ; at++ {
				left, finished := c.crash(t, at, percent)
				isNew := cmp.Equal(c.outcome(t, left, fmt.Sprintf("crash at operation %d, %d %% persisted", at, percent)), c.new)
				if finished {
					if !isNew {
						t.Fatalf("%s was answered, and is not there after a crash", c.name)
					}
					break
				}
				if isNew {
					news++
				} else {
					olds++
				}
			}
		}
		t.Logf("%s: %d times the old, %d times the new", c.name, olds, news)
		if olds == 0 || news == 0 {
			t.Errorf("%s: %d times the old, %d times the new: the test does not reach both sides", c.name, olds, news)
		}
	}
}

// crash makes the change and gives the disk as a crash before operation at leaves it; finished: the change was over before that.
func (c *change) crash(t *testing.T, at, percent int) (left *vfs.MemFS, finished bool) {
	t.Helper()
	disk := c.base.CrashClone(vfs.CrashCloneCfg{})
	cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: testRNG(uint64(at))}
	count := 0
	tr := &trap{match: func(op errorfs.Op) bool {
		if changesTheDisk(op) {
			if count++; count == at {
				left = disk.CrashClone(cfg)
			}
		}
		return false
	}}
	s := mustOpen(t, testOptions(errorfs.Wrap(disk, locked(tr)), new(deaths)))
	tr.armed.Store(true)
	if err := c.do(t, s); err != nil {
		t.Fatal(err)
	}
	tr.armed.Store(false)
	if left == nil {
		left, finished = disk.CrashClone(vfs.CrashCloneCfg{}), true
	}
	mustClose(t, s)
	return left, finished
}

// TestFailureAtEveryStep has the disk refuse each operation of the same writes in turn, and then crash: once with nothing of what
// was not synced, once with all of it. The store is dead, and a restart finds the old replica or the new one.
func TestFailureAtEveryStep(t *testing.T) {
	for _, c := range changes(t) {
		olds, news := 0, 0
		for _, percent := range []int{0, 100} {
			for at := 1; ; at++ {
				left, err, hit := c.fail(t, at, percent)
				if !hit {
					break
				}
				got := c.outcome(t, left, fmt.Sprintf("operation %d failed, %d %% persisted", at, percent))
				if err == nil && !cmp.Equal(got, c.new) {
					t.Fatalf("%s, operation %d failed: it was answered, and is not there after a crash", c.name, at)
				}
				if cmp.Equal(got, c.new) {
					news++
				} else {
					olds++
				}
			}
		}
		t.Logf("%s: %d times the old, %d times the new", c.name, olds, news)
		if olds == 0 || news == 0 {
			t.Errorf("%s: %d times the old, %d times the new: the test does not reach both sides", c.name, olds, news)
		}
	}
}

// fail makes the change with operation at refused, and gives what was answered and what a crash then leaves. Only what cleans up in
// the background may be refused without the store dying of it.
func (c *change) fail(t *testing.T, at, percent int) (left *vfs.MemFS, err error, hit bool) {
	t.Helper()
	disk := c.base.CrashClone(vfs.CrashCloneCfg{})
	count := 0
	tr := &trap{match: func(op errorfs.Op) bool {
		if changesTheDisk(op) {
			count++
		}
		return changesTheDisk(op) && count == at
	}}
	var died deaths
	s := mustOpen(t, testOptions(errorfs.Wrap(disk, locked(tr)), &died))
	tr.armed.Store(true)
	err = c.do(t, s)
	tr.armed.Store(false)
	if err != nil {
		if !errors.Is(err, ErrFatal) || died.Load() != 1 {
			t.Fatalf("%s, operation %d: %v, deaths %d", c.name, at, err, died.Load())
		}
		checkDead(t, s)
	}
	left = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: testRNG(uint64(at))})
	if err := s.Close(); err != nil && !errors.Is(err, ErrFatal) {
		t.Fatalf("closing: %v", err)
	}
	return left, err, tr.hits.Load() > 0
}

// TestWipeOfWhatCannotBeRead wipes a replica whose hard state, identity, or plan is not what was written: whatever is wrong with it,
// it can be wiped.
func TestWipeOfWhatCannotBeRead(t *testing.T) {
	for _, kind := range []byte{kindHard, kindIdentity, kindInstall, kindLost, kindTrust, kindEntry} {
		disk := vfs.NewCrashableMem()
		o := testOptions(disk, new(deaths))
		w := target(t, o)
		if err := w.s.log.Set(shardKey(testShard, kind), []byte("not what was written"), pebble.Sync); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, o2(o, disk.CrashClone(vfs.CrashCloneCfg{})))
		sh := s.Shard(testShard)
		if sh.Damage() == nil && kind != kindEntry {
			t.Errorf("%c: no damage", kind)
		}
		if err := sh.Wipe(); err != nil {
			t.Fatalf("%c: %v", kind, err)
		}
		if err := sh.SetIdentity(Identity{Replica: 5}); err != nil || sh.LastIndex() != 0 {
			t.Errorf("%c: last %d, %v", kind, sh.LastIndex(), err)
		}
		mustClose(t, s)
	}
}

// TestDamagedReplicaInstallsNothing: a checkpoint brings a log, not the votes that were lost.
func TestDamagedReplicaInstallsNothing(t *testing.T) {
	from, _, _ := source(t, testOptions(vfs.NewMem(), new(deaths)))
	e := must[*Export](t)(from.sh.Export())
	to := target(t, testOptions(vfs.NewMem(), new(deaths)))
	im := must[*Import](t)(to.sh.Import(copyOf(t, e)))
	pull(t, e, im, 1<<20)
	to.sh.damage.Store(&ErrCorrupt{Shard: testShard, What: "test"})
	if _, err := im.Install(); err == nil || to.sh.Damage() == nil || errors.Is(err, ErrFatal) {
		t.Errorf("installing over damage: %v, then %v", err, to.sh.Damage())
	}
	mustClose(t, to.s)
}

// TestDamagedLogTables damages every table and blob file of the log in turn: the replica whose entries are in it says so, by the
// time they are read, and can be wiped, or the store says that its directory has to be emptied: the engine cannot cut a table whose
// index it cannot read.
func TestDamagedLogTables(t *testing.T) {
	disk := vfs.NewMem()
	o := testOptions(disk, new(deaths))
	s := mustOpen(t, o)
	if err := s.Shard(testShard).SetIdentity(Identity{Replica: 8, Born: true}); err != nil {
		t.Fatal(err)
	}
	write(t, s, Write{Shard: testShard, Hard: &HardState{Term: 1}, Entries: entries(1, 1, 10, 3000, 3000, 10), Sync: true})
	if err := s.log.Flush(); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	files, wiped := 0, 0
	for _, name := range must[[]string](t)(disk.List("data/log")) {
		if !strings.HasSuffix(name, ".sst") && !strings.HasSuffix(name, ".blob") {
			continue
		}
		files++
		for at := range 8 {
			left := spoil(t, disk, "data/log/"+name, func(b []byte) []byte { b[at*len(b)/8] ^= 1; return b })
			s, err := Open(o2(o, left))
			if _, ok := errors.AsType[*ErrDamaged](err); ok {
				continue
			}
			if err != nil {
				t.Fatalf("%s, %d/8: %v", name, at, err)
			}
			sh := s.Shard(testShard)
			log, err := sh.Entries(1, 5, 1<<20)
			if corrupt := (*ErrCorrupt)(nil); !errors.As(errors.Join(err, sh.Damage()), &corrupt) {
				if diff := cmp.Diff(entries(1, 1, 10, 3000, 3000, 10), log); diff != "" {
					t.Errorf("%s, %d/8: reading: %v, %s", name, at, err, diff)
				}
			}
			if err := sh.Wipe(); err != nil {
				if !errors.Is(err, ErrFatal) || !strings.Contains(err.Error(), "empty data by hand") {
					t.Fatalf("%s, %d/8: %v", name, at, err)
				}
				continue
			}
			wiped++
			if err := sh.SetIdentity(Identity{Replica: 9}); err != nil || sh.LastIndex() != 0 {
				t.Errorf("%s, %d/8: last %d, %v", name, at, sh.LastIndex(), err)
			}
			mustClose(t, s)
		}
	}
	if files < 2 || wiped < 8 {
		t.Errorf("%d files, %d times wiped", files, wiped)
	}
}
