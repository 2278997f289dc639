package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"holdfast"
)

func entries(first uint64, term uint64, sizes ...int) []Entry {
	out := make([]Entry, len(sizes))
	for i, size := range sizes {
		data := bytes.Repeat([]byte{byte(first) + byte(i)}, size)
		out[i] = Entry{Index: first + uint64(i), Term: term, Type: byte(i % 3), Data: data}
	}
	return out
}

func write(t testing.TB, s *Store, w ...Write) {
	t.Helper()
	if err := s.Write(w); err != nil {
		t.Fatalf("writing: %v", err)
	}
}

func TestLogKeepsWhatWasWritten(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := testOptions(fs, new(deaths))
	s := mustOpen(t, o)
	hard := HardState{Term: 7, Vote: 9, Commit: 2}
	identity := Identity{Replica: 42, Born: true, Birth: []byte("three of us")}
	if err := s.Shard(testShard).SetIdentity(identity); err != nil {
		t.Fatal(err)
	}
	write(t, s, Write{Shard: testShard, Hard: &hard, Entries: entries(1, 7, 10, 0, 2000), Sync: true},
		Write{Shard: 9, Entries: entries(1, 1, 5)})
	for _, reopened := range []bool{false, true} {
		if reopened {
			s = mustOpen(t, o2(o, fs.CrashClone(vfs.CrashCloneCfg{})))
		}
		sh := s.Shard(testShard)
		got := []any{sh.Hard(), sh.Identity(), sh.LastIndex(), sh.FirstIndex()}
		if diff := cmp.Diff([]any{hard, identity, uint64(3), uint64(1)}, got); diff != "" {
			t.Errorf("reopened %v: %s", reopened, diff)
		}
		log := must[[]Entry](t)(sh.Entries(1, 4, 1<<20))
		if diff := cmp.Diff(entries(1, 7, 10, 0, 2000), log, equalEmpty); diff != "" {
			t.Errorf("reopened %v: %s", reopened, diff)
		}
		if got := must[[]Entry](t)(s.Shard(9).Entries(1, 2, 0)); len(got) != 1 {
			t.Errorf("reopened %v: the other shard has %d entries", reopened, len(got))
		}
		if ids := s.Shards(); !slices.Equal(ids, []holdfast.ShardID{testShard, 9}) {
			t.Errorf("shards %v", ids)
		}
	}
}

var equalEmpty = cmp.Comparer(func(a, b []byte) bool { return bytes.Equal(a, b) })

func o2(o Options, fs vfs.FS) Options {
	o.FS = fs
	return o
}

func TestReadsOutsideTheLog(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem(), new(deaths)))
	sh := s.Shard(testShard)
	if term := must[uint64](t)(sh.Term(0)); term != 0 || sh.LastIndex() != 0 || sh.FirstIndex() != 1 {
		t.Errorf("an empty log has term %d, last %d, first %d", term, sh.LastIndex(), sh.FirstIndex())
	}
	write(t, s, Write{Shard: testShard, Entries: entries(1, 2, 100, 100, 100)})
	if _, err := sh.Term(4); !errors.Is(err, ErrUnavailable) {
		t.Errorf("term beyond the end: %v", err)
	}
	if _, err := sh.Entries(2, 5, 1000); !errors.Is(err, ErrUnavailable) {
		t.Errorf("entries beyond the end: %v", err)
	}
	if got := must[[]Entry](t)(sh.Entries(1, 4, 0)); len(got) != 1 {
		t.Errorf("a limit of 0 gives %d entries, want 1", len(got))
	}
	if got := must[[]Entry](t)(sh.Entries(1, 4, 230)); len(got) != 2 {
		t.Errorf("a limit of 230 gives %d entries, want 2", len(got))
	}
	mustClose(t, s)
	if err := s.Write(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("writing after Close: %v", err)
	}
}

func TestWriteRefusesGaps(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem(), new(deaths)))
	for name, bad := range map[string][]Entry{
		"gap to the log":  entries(2, 1, 1),
		"gap among them":  append(entries(1, 1, 1), entries(3, 1, 1)...),
		"index that is 0": entries(0, 1, 1),
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "shard 3") {
					t.Errorf("panic is %v", r)
				}
			}()
			_ = s.Write([]Write{{Shard: testShard, Entries: bad}})
		})
	}
}

// TestLogAgainstModel compares random writes, overwritten suffixes, flushes and restarts with a slice.
func TestLogAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewCrashableMem()
		var died deaths
		o := testOptions(fs, &died)
		s, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		var model []Entry
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				s.opts.FS = nil // the crashed one is not used any more
				clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "rng"), 0))})
				_ = s.Close()
				fs = clone
				if s, err = Open(o2(o, fs)); err != nil {
					t.Fatal(err)
				}
			case 1:
				if err := s.log.Flush(); err != nil {
					t.Fatal(err)
				}
			default:
				first := rapid.IntRange(max(0, len(model)-4), len(model)).Draw(t, "first")
				sizes := rapid.SliceOfN(rapid.IntRange(0, 3000), 1, 6).Draw(t, "sizes")
				add := entries(uint64(first)+1, uint64(len(model)), sizes...)
				model = append(slices.Clone(model[:first]), add...)
				if err := s.Write([]Write{{Shard: testShard, Entries: add, Sync: true}}); err != nil {
					t.Fatal(err)
				}
			}
			compareLog(t, s.Shard(testShard), model)
		}
		if err := s.Close(); err != nil || died.Load() > 0 {
			t.Fatalf("closing: %v, deaths %d", err, died.Load())
		}
	})
}

func compareLog(t *rapid.T, sh *Shard, model []Entry) {
	if sh.LastIndex() != uint64(len(model)) {
		t.Fatalf("last index %d, want %d", sh.LastIndex(), len(model))
	}
	got, err := sh.Entries(1, uint64(len(model))+1, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	// The tail may answer with a part; go on from there.
	for len(got) < len(model) && len(got) > 0 {
		more, err := sh.Entries(uint64(len(got))+1, uint64(len(model))+1, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, more...)
	}
	if diff := cmp.Diff(model, got, equalEmpty); diff != "" && len(model) > 0 {
		t.Fatal(diff)
	}
	for i := range model {
		e, err := sh.entryFromDisk(uint64(i) + 1)
		if err != nil || e.Term != model[i].Term {
			t.Fatalf("entry %d on the disk: term %d, %v; want %d", i+1, e.Term, err, model[i].Term)
		}
	}
	if _, err := sh.entryFromDisk(uint64(len(model)) + 1); err == nil {
		t.Fatalf("entry %d stands behind the end", len(model)+1)
	}
}

// TestCrashKeepsWhatWasAnswered writes without pause and crashes with every share of unsynced data surviving: whatever was
// answered with Sync is there, the rest is a prefix, never a torn entry.
func TestCrashKeepsWhatWasAnswered(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		fs := vfs.NewCrashableMem()
		o := testOptions(fs, new(deaths))
		s := mustOpen(t, o)
		var synced, last uint64
		for range 30 {
			sync := rng.IntN(2) == 0
			add := entries(last+1, 1, rng.IntN(100), rng.IntN(5000))
			last += 2
			write(t, s, Write{Shard: testShard, Hard: &HardState{Term: 1, Commit: last}, Entries: add, Sync: sync})
			if sync {
				synced = last
			}
		}
		after := mustOpen(t, o2(o, fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed) * 5, RNG: rng})))
		sh := after.Shard(testShard)
		if sh.LastIndex() < synced || sh.LastIndex()%2 != 0 || sh.Hard().Commit != sh.LastIndex() {
			t.Errorf("seed %d: the log ends at %d, commit %d; synced was %d of %d", seed, sh.LastIndex(), sh.Hard().Commit, synced, last)
		}
		for i := uint64(1); i <= sh.LastIndex(); i++ {
			if _, err := sh.entryFromDisk(i); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		}
		mustClose(t, after)
		mustClose(t, s)
	}
}

func TestDamagedEntryIsNamed(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := testOptions(fs, new(deaths))
	s := mustOpen(t, o)
	write(t, s, Write{Shard: testShard, Entries: entries(1, 4, 10, 2000, 30), Sync: true})
	for name, damage := range map[string]func(value []byte) []byte{
		"a bit":      func(v []byte) []byte { v[len(v)-1] ^= 1; return v },
		"the term":   func(v []byte) []byte { v[2]++; return v },
		"the type":   func(v []byte) []byte { v[1]++; return v },
		"cut short":  func(v []byte) []byte { return v[:len(v)-1] },
		"very short": func(v []byte) []byte { return v[:3] },
		"format":     func(v []byte) []byte { v[0] = 9; return v },
		"exchanged":  func([]byte) []byte { return AppendEntry(nil, testShard, &Entry{Index: 3, Term: 4, Data: []byte("x")}) },
		"lost":       nil,
	} {
		key := entryKey(nil, testShard, 2)
		good := AppendEntry(nil, testShard, &entries(2, 4, 2000)[0])
		if damage == nil {
			if err := s.log.Delete(key, pebble.Sync); err != nil {
				t.Fatal(err)
			}
		} else if err := s.log.Set(key, damage(slices.Clone(good)), pebble.Sync); err != nil {
			t.Fatal(err)
		}
		after := mustOpen(t, o2(o, fs.CrashClone(vfs.CrashCloneCfg{})))
		_, err := after.Shard(testShard).Entries(1, 4, 1<<20)
		var corrupt *ErrCorrupt
		if !errors.As(err, &corrupt) || corrupt.Shard != testShard || corrupt.Index != 2 || !strings.Contains(err.Error(), "log entry 2") {
			t.Errorf("%s: %v", name, err)
		}
		mustClose(t, after)
	}
}
