package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"holdfast"
)

// spoil is a copy of the disk with a file changed.
func spoil(t *testing.T, disk vfs.FS, path string, change func(data []byte) []byte) vfs.FS {
	t.Helper()
	clone := vfs.NewMem()
	if _, err := vfs.Clone(disk, clone, "data", "data"); err != nil {
		t.Fatal(err)
	}
	data := change(must[[]byte](t)(readFile(clone, path)))
	f := must[vfs.File](t)(clone.Create(path, vfs.WriteCategoryUnspecified))
	_, err := f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return clone
}

// damages are what a disk does to a file, at an offset.
var damages = map[string]func(at int) func([]byte) []byte{
	"a bit": func(at int) func([]byte) []byte { return func(b []byte) []byte { b[at] ^= 1; return b } },
	"a sector": func(at int) func([]byte) []byte {
		return func(b []byte) []byte { clear(b[at:min(at+512, len(b))]); return b }
	},
	"cut short": func(at int) func([]byte) []byte { return func(b []byte) []byte { return b[:at] } },
}

// promised is what every shard of a store has promised.
type promised map[holdfast.ShardID]standingOf

type standingOf struct {
	Last     uint64
	Hard     HardState
	Identity Identity
}

// kept reports whether a disk still has everything that was promised, or says that it has not: never neither.
func (p promised) kept(t *testing.T, disk vfs.FS) (lost []holdfast.ShardID, err error) {
	t.Helper()
	for start := 0; start == 0 || start == 1 && len(lost) > 0; start++ { // what was found has to be known after a restart too
		s, err := Open(o2(testOptions(nil, new(deaths)), disk))
		if err != nil {
			if _, ok := errors.AsType[*ErrDamaged](err); !ok {
				t.Fatalf("opening: %v", err)
			}
			return nil, err
		}
		var now []holdfast.ShardID
		for id, want := range p {
			if p.shardLost(t, s.Shard(id), want) {
				now = append(now, id)
			}
		}
		if found := must[[]Finding](t)(s.Fsck(FsckQuick, 10)); len(found) < len(now) {
			t.Fatalf("fsck finds %v, lost are %v", found, now)
		}
		if start > 0 && len(now) != len(lost) {
			t.Fatalf("the first start found %v lost, the second %v", lost, now)
		}
		lost = now
		mustClose(t, s)
	}
	return lost, nil
}

func (p promised) shardLost(t *testing.T, sh *Shard, want standingOf) bool {
	t.Helper()
	if _, err := sh.Load(); err != nil {
		corrupt, ok := errors.AsType[*ErrCorrupt](err)
		if !ok || corrupt.Shard != sh.id || !strings.Contains(err.Error(), "was answered") {
			t.Fatalf("loading: %v", err)
		}
		if err := sh.SetIdentity(Identity{Replica: 99}); !errors.As(err, &corrupt) {
			t.Fatalf("a replica that has lost something becomes another without being wiped: %v", err)
		}
		return true
	}
	if diff := cmp.Diff(want, standingOf{sh.LastIndex(), sh.Hard(), sh.Identity()}); diff != "" {
		t.Fatalf("shard %d has lost something and does not say so: %s", sh.id, diff)
	}
	for i := uint64(1); i <= want.Last; i++ {
		if _, err := sh.entryFromDisk(i); err != nil {
			t.Fatalf("shard %d has lost something and does not say so: %v", sh.id, err)
		}
	}
	return false
}

// promising is a store that was killed after it had promised what it returns: small and big writes, and one shard that wrote at
// the beginning only.
func promising(t *testing.T, o Options) (*Store, promised) {
	t.Helper()
	s := mustOpen(t, o)
	p := promised{}
	for _, id := range []holdfast.ShardID{testShard, 4, 9} {
		identity := Identity{Replica: 100 + uint64(id), Born: true}
		if err := s.Shard(id).SetIdentity(identity); err != nil {
			t.Fatal(err)
		}
		p[id] = standingOf{Identity: identity}
	}
	put := func(id holdfast.ShardID, size int) {
		at := p[id]
		at.Last++
		at.Hard = HardState{Term: 1 + at.Last/10, Vote: at.Last % 3, Commit: at.Last - 1}
		write(t, s, Write{Shard: id, Hard: &at.Hard, Entries: entries(at.Last, at.Hard.Term, size), Sync: true})
		p[id] = at
	}
	put(9, 100)
	if err := s.log.Flush(); err != nil { // into a table that only the manifest knows of
		t.Fatal(err)
	}
	for i := range 40 {
		put(testShard, 200+i)
		put(4, 25_000*(i%8/7))
	}
	return s, p
}

// newest is the newest file of the engine whose name matches and that holds something.
func newest(t *testing.T, disk vfs.FS, dir, prefix, suffix string) (path string, size int) {
	t.Helper()
	for _, name := range must[[]string](t)(disk.List(dir)) {
		info := must[vfs.FileInfo](t)(disk.Stat(dir + "/" + name))
		if strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix) && info.Size() > 0 && dir+"/"+name > path {
			path, size = dir+"/"+name, int(info.Size())
		}
	}
	return path, size
}

// TestDamageOfWhatWasPromised damages the log and the lists of tables of a killed store at offsets all over, the last bytes among
// them: everything that was answered is there, or its shard, or the whole store, says that it is not.
func TestDamageOfWhatWasPromised(t *testing.T) {
	disk := vfs.NewMem()
	o := testOptions(disk, new(deaths))
	s, p := promising(t, o)
	for _, file := range [][3]string{{"data/log", "", ".log"}, {"data/log", "MANIFEST-", ""}, {"data/state", "MANIFEST-", ""}} {
		path, size := newest(t, disk, file[0], file[1], file[2])
		for name, damage := range damages {
			silent, shards, whole := 0, 0, 0
			for _, at := range sampled(size) {
				lost, err := p.kept(t, spoil(t, disk, path, damage(at)))
				switch {
				case err != nil:
					whole++
				case len(lost) > 0:
					shards++
				default:
					silent++
				}
			}
			t.Logf("%s, %d bytes, %s: %d times nothing was lost, %d times shards were, %d times the store does not open", path, size, name, silent, shards, whole)
			if shards+whole == 0 {
				t.Errorf("%s: %s is never noticed", path, name)
			}
		}
	}
	mustClose(t, s)
}

// sampled are offsets into a file: many near the end, where the engine sees nothing but a torn write.
func sampled(size int) (at []int) {
	for i := 0; i < size; i += max(1, size/8) {
		at = append(at, i)
	}
	for i := max(0, size-100); i < size; i += 11 {
		at = append(at, i)
	}
	return append(at, size-1)
}

// TestEveryBitOfTheLastWrite flips each byte of the last answered write, and one bit in the head of an earlier one that the
// engine takes for the end of its log.
func TestEveryBitOfTheLastWrite(t *testing.T) {
	disk := vfs.NewMem()
	s := mustOpen(t, testOptions(disk, new(deaths)))
	for i := range uint64(3) {
		write(t, s, Write{Shard: testShard, Entries: entries(1+i, 1, 30), Sync: true})
	}
	p := promised{testShard: {Last: 3}}
	path, size := newest(t, disk, "data/log", "", ".log")
	for at := range size {
		lost, err := p.kept(t, flipped(t, disk, path, int64(at)))
		if err == nil && len(lost) == 0 {
			t.Errorf("byte %d of %d: nothing is lost", at, size)
		}
	}
	mustClose(t, s)
}

// TestTornWritesAreNoDamage writes without syncing, and has the disk tear what follows the last answered write: the store opens
// with everything that it has promised, and says nothing.
func TestTornWritesAreNoDamage(t *testing.T) {
	disk := vfs.NewMem()
	o := testOptions(disk, new(deaths))
	s, p := promising(t, o)
	path, size := newest(t, disk, "data/log", "", ".log")
	for range 5 {
		last := s.Shard(testShard).LastIndex()
		write(t, s, Write{Shard: testShard, Entries: entries(last+1, 50, 300, 5_000)})
	}
	if err := s.log.LogData(nil, pebble.Sync); err != nil { // into the file, and no promise
		t.Fatal(err)
	}
	_, now := newest(t, disk, "data/log", "", ".log")
	for name, damage := range damages {
		for _, at := range sampled(now - size) {
			clone := spoil(t, disk, path, damage(size+at))
			after, err := Open(o2(o, clone))
			if err != nil {
				t.Fatalf("%s at %d of %d: %v", name, size+at, now, err)
			}
			for id, want := range p {
				sh := after.Shard(id)
				if sh.Damage() != nil || sh.LastIndex() < want.Last || sh.Identity().Replica != want.Identity.Replica {
					t.Fatalf("%s at %d of %d: shard %d: %v, last %d of %d", name, size+at, now, id, sh.Damage(), sh.LastIndex(), want.Last)
				}
			}
			mustClose(t, after)
		}
	}
	mustClose(t, s)
}

// TestOnlyThoseWhoLost damages the middle of what one shard wrote last: the others, whose writes are all before it, go on.
func TestOnlyThoseWhoLost(t *testing.T) {
	disk := vfs.NewMem()
	o := testOptions(disk, new(deaths))
	s, p := promising(t, o)
	path, size := newest(t, disk, "data/log", "", ".log")
	lost, err := p.kept(t, spoil(t, disk, path, damages["cut short"](size-10)))
	if err != nil || fmt.Sprint(lost) != "[4]" {
		t.Errorf("lost are %v, %v; the last write was that of shard 4", lost, err)
	}
	clone := spoil(t, disk, path, damages["cut short"](size-10))
	after := mustOpen(t, o2(o, clone))
	if kept, err := clone.Stat("data/damaged/" + path[len("data/log/"):]); err != nil || kept.Size() != int64(size-10) {
		t.Errorf("the damaged log is not kept: %v", err)
	}
	sh := after.Shard(4)
	if err := sh.Wipe(); err != nil {
		t.Fatal(err)
	}
	if err := sh.SetIdentity(Identity{Replica: 1000}); err != nil {
		t.Errorf("a wiped replica cannot begin anew: %v", err)
	}
	mustClose(t, after)
	after = mustOpen(t, o2(o, clone))
	if sh := after.Shard(4); sh.Damage() != nil || sh.LastIndex() != 0 || sh.Identity().Replica != 1000 {
		t.Errorf("after wiping and a restart: %v, last %d, %+v", sh.Damage(), sh.LastIndex(), sh.Identity())
	}
	mustClose(t, after)
	mustClose(t, s)
}

// TestCrashesAreNoDamage crashes at many moments of a life with flushes, checkpoints, an installation of nothing and restarts,
// with any share of what was not synced on the disk: no crash looks like damage.
func TestCrashesAreNoDamage(t *testing.T) {
	for seed := range uint64(12) {
		rng := testRNG(seed)
		disk := vfs.NewCrashableMem()
		o := testOptions(disk, new(deaths))
		o.MemTableBytes = 64 << 10
		w := newWorld(t, mustOpen(t, o), seed)
		w.openAccounts(10)
		for range 20 {
			for range rng.IntN(10) {
				w.done(w.pay(w.newID(true)))
			}
			size := rng.IntN(30_000)
			write(t, w.s, Write{Shard: 9, Entries: entries(w.s.Shard(9).LastIndex()+1, 1, size), Sync: rng.IntN(2) == 0})
			if rng.IntN(4) == 0 {
				w.checkpoint()
			}
			if rng.IntN(3) > 0 {
				continue
			}
			last := w.sh.LastIndex()
			disk = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			s, err := Open(o2(o, disk))
			if err != nil || s.Shard(testShard).Damage() != nil || s.Shard(9).Damage() != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if now := s.Shard(testShard).LastIndex(); now != last {
				t.Fatalf("seed %d: the log ends at %d, promised was %d", seed, now, last)
			}
			w.restart(s)
		}
	}
}
