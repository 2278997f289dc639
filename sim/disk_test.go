package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"holdfast"
	"holdfast/ledger"
	"holdfast/store"
)

// The two disks have to keep the same promises: what holds on the model must hold on the real one, or the fast schedules prove
// nothing about it.
var disks = map[string]func(*engine) medium{
	"model":  func(*engine) medium { return newDisk(&engine{}, 2, 5) },
	"pebble": func(e *engine) medium { return newPebbleDisk(e, 2, 5) },
}

func onEveryDisk(t *testing.T, test func(t *testing.T, d medium)) {
	for name, make := range disks {
		t.Run(name, func(t *testing.T) {
			e := newEngine(1, nil, false)
			d := make(&e)
			if err := d.open(); err != nil {
				t.Fatal(err)
			}
			test(t, d)
			d.close()
			if e.failed != nil {
				t.Errorf("%+v", *e.failed)
			}
		})
	}
}

// put writes and fsyncs.
func put(t *testing.T, d medium, b ...batch) {
	t.Helper()
	if err := d.write(b); err != nil {
		t.Fatal(err)
	}
	d.sync(d.written())
}

func someEntries(first, last, term uint64) (list []store.Entry) {
	for i := first; i <= last; i++ {
		list = append(list, store.Entry{Index: i, Term: term, Data: fmt.Appendf(nil, "entry %d of term %d", i, term)})
	}
	return list
}

func crash(t *testing.T, d medium, whole, tear int) {
	t.Helper()
	d.crash(whole, tear)
	if err := d.open(); err != nil {
		t.Fatal(err)
	}
}

func TestDiskKeepsWhatIsSynced(t *testing.T) {
	onEveryDisk(t, func(t *testing.T, d medium) {
		hard, birth := store.HardState{Term: 3, Vote: 7, Commit: 2}, store.Identity{Replica: 9, Birth: []byte("founders")}
		if err := d.volume(0).SetIdentity(birth); err != nil {
			t.Fatal(err)
		}
		put(t, d, batch{shard: 1, hard: &hard, entries: someEntries(1, 4, 2)}, batch{shard: 2, entries: someEntries(1, 2, 1)})
		if err := d.write([]batch{{shard: 1, entries: someEntries(5, 9, 3)}}); err != nil {
			t.Fatal(err)
		}
		crash(t, d, 0, 0)
		v := d.volume(0)
		if v.Hard() != hard || v.LastIndex() != 4 || d.volume(1).LastIndex() != 2 || d.safe(0) != 4 || d.known(0) != 2 {
			t.Errorf("hard %+v, last %d and %d", v.Hard(), v.LastIndex(), d.volume(1).LastIndex())
		}
		if got := v.Identity(); !reflect.DeepEqual(got, birth) {
			t.Errorf("identity %+v", got)
		}
		got, err := v.Entries(1, 5, 1<<20)
		if err != nil || !reflect.DeepEqual(got, someEntries(1, 4, 2)) {
			t.Errorf("entries %v, %v", got, err)
		}
	})
}

func TestDiskKeepsAPrefixOfWhatIsNot(t *testing.T) {
	onEveryDisk(t, func(t *testing.T, d medium) {
		for i := range uint64(5) {
			if err := d.write([]batch{{shard: 1, entries: someEntries(i+1, i+1, 1)}}); err != nil {
				t.Fatal(err)
			}
		}
		crash(t, d, 3, 17)
		if last := d.volume(0).LastIndex(); last != 3 {
			t.Errorf("the log ends at %d, want 3: a torn entry must not count", last)
		}
	})
}

func TestDiskDropsWhatIsOverwritten(t *testing.T) {
	onEveryDisk(t, func(t *testing.T, d medium) {
		put(t, d, batch{shard: 1, entries: someEntries(1, 6, 1)})
		put(t, d, batch{shard: 1, entries: someEntries(3, 4, 2)})
		for range 2 {
			v := d.volume(0)
			if last := v.LastIndex(); last != 4 {
				t.Fatalf("the log ends at %d", last)
			}
			for index, want := range []uint64{0, 1, 1, 2, 2} {
				if term, err := v.Term(uint64(index)); err != nil || term != want {
					t.Errorf("term of %d is %d (%v)", index, term, err)
				}
			}
			if _, err := v.Term(5); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("term behind the end: %v", err)
			}
			if _, err := v.Entries(4, 6, 100); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("entries behind the end: %v", err)
			}
			if list, err := v.Entries(1, 5, 1); err != nil || len(list) != 1 {
				t.Errorf("a small bound gives %d entries (%v), want one", len(list), err)
			}
			crash(t, d, 0, 0)
		}
	})
}

// journal feeds the same payments to a ledger and to a disk.
type journal struct {
	t     *testing.T
	d     medium
	state *ledger.State
	world *world
	index uint64
	now   holdfast.Time
}

func newJournal(t *testing.T, d medium) *journal {
	j := &journal{t: t, d: d, state: ledger.New(), world: newWorld(1, 1, 2, rand.New(rand.NewPCG(1, 2))), now: epoch}
	j.apply(j.world.opening())
	return j
}

func (j *journal) apply(txn *holdfast.Txn) {
	j.t.Helper()
	j.index++
	j.now += 1000
	data := ledger.AppendHeader(nil, ledger.Header{Kind: ledger.KindTxns, Time: j.now, Count: 1})
	data = ledger.AppendTxn(data, txn)
	put(j.t, j.d, batch{shard: 1, entries: []store.Entry{{Index: j.index, Term: 1, Data: data}}})
	if _, err := j.state.Apply(j.index, data, j.d.volume(0), nil); err != nil {
		j.t.Fatal(err)
	}
}

func (j *journal) some(n int) {
	for range n {
		if txn := j.world.next(); txn != nil {
			if code, _ := ledger.Check(txn); code == holdfast.CodeOK {
				j.apply(txn)
			}
		}
	}
}

func (j *journal) checkpoint() {
	j.t.Helper()
	g := j.state.Seal()
	g.Meta.Term, g.Meta.Members = 1, []byte("members")
	if err := j.d.volume(0).Persist(g); err != nil {
		j.t.Fatal(err)
	}
	j.state.Forget(g)
}

// check compares what a volume loads, and what it remembers of every id, with the state that has all in memory.
func (j *journal) check(v volumeOf) {
	j.t.Helper()
	got, err := v.Load()
	if err != nil {
		j.t.Fatal(err)
	}
	index, _ := got.Applied()
	for i := index + 1; i <= v.LastIndex(); i++ {
		data, err := v.Entry(i)
		if err == nil {
			_, err = got.Apply(i, data, v, nil)
		}
		if err != nil {
			j.t.Fatal(err)
		}
	}
	if got.Digest() != j.state.Digest() {
		j.t.Errorf("digest %016x after a load at %d and a replay, want %016x", got.Digest(), index, j.state.Digest())
	}
	if _, err := got.Recount(); err != nil {
		j.t.Error(err)
	}
	if meta, ok := v.Meta(); !ok || meta.Term != 1 || string(meta.Members) != "members" || meta.Index != index {
		j.t.Errorf("meta %+v, %v", meta, ok)
	}
}

func TestDiskKeepsCheckpoints(t *testing.T) {
	onEveryDisk(t, func(t *testing.T, d medium) {
		j := newJournal(t, d)
		for range 6 {
			j.some(40)
			j.checkpoint()
		}
		j.some(5)
		j.check(d.volume(0))
		crash(t, d, 0, 99)
		j.check(d.volume(0))
		v := d.volume(0)
		meta, _ := v.Meta()
		if first := v.FirstIndex(); first != meta.Index-5+1 {
			t.Errorf("followers are served from %d, with a checkpoint at %d", first, meta.Index)
		}
		if _, err := v.Entries(1, 3, 100); !errors.Is(err, store.ErrCompacted) {
			t.Errorf("entries before the window: %v", err)
		}
		if _, err := v.Entry(1); err != nil {
			t.Errorf("the journal has lost its beginning: %v", err)
		}
		if err := d.volume(1).SetIdentity(store.Identity{Replica: 5}); err != nil {
			t.Error(err)
		}
	})
}

func TestDiskInstallsACopy(t *testing.T) {
	onEveryDisk(t, func(t *testing.T, d medium) {
		j := newJournal(t, d)
		j.some(60)
		j.checkpoint()
		x, err := d.volume(0).export()
		if err != nil {
			t.Fatal(err)
		}
		j.some(10) // after the export: not in it
		e := newEngine(1, nil, false)
		other := disks[diskName(d)](&e)
		if err := other.open(); err != nil {
			t.Fatal(err)
		}
		defer other.close()
		if err := other.volume(0).SetIdentity(store.Identity{Replica: 77}); err != nil {
			t.Fatal(err)
		}
		put(t, other, batch{shard: 1, hard: &store.HardState{Term: 4, Vote: 2}, entries: someEntries(1, 3, 1)})
		other.fill(true)
		for other.volume(0).gather(x) == nil { // the real one still takes a few chunks
			j.some(20)
			j.checkpoint()
			if x, err = d.volume(0).export(); err != nil {
				t.Fatal(err)
			}
		}
		if err := other.volume(0).gather(x); !errors.As(err, new(*store.ErrNoSpace)) {
			t.Fatalf("a full disk gathers: %v", err)
		}
		other.fill(false)
		if err := errors.Join(other.volume(0).gather(x), other.volume(0).install(x)); err != nil {
			t.Fatal(err)
		}
		crash(t, other, 0, 0)
		v := other.volume(0)
		if v.LastIndex() != x.meta().Index || v.Hard().Term != 4 || v.Hard().Vote != 2 || v.Identity().Replica != 77 || !v.Identity().Born {
			t.Errorf("last %d, hard %+v, identity %+v", v.LastIndex(), v.Hard(), v.Identity())
		}
		state, err := v.Load()
		if err != nil {
			t.Fatal(err)
		}
		if state.Digest() != x.meta().Digest {
			t.Errorf("digest %016x, exported was %016x", state.Digest(), x.meta().Digest)
		}
	})
}

func diskName(d medium) string {
	if _, ok := d.(*pebbleDisk); ok {
		return "pebble"
	}
	return "model"
}

func TestWipedDiskKnowsNothing(t *testing.T) {
	onEveryDisk(t, func(t *testing.T, d medium) {
		j := newJournal(t, d)
		j.checkpoint()
		d.wipe()
		if err := d.open(); err != nil {
			t.Fatal(err)
		}
		v := d.volume(0)
		if _, ok := v.Meta(); ok || v.Identity().Replica != 0 || v.LastIndex() != 0 || v.Hard() != (store.HardState{}) {
			t.Errorf("a new disk has %+v, last %d", v.Identity(), v.LastIndex())
		}
	})
}

// TestCrashTearsTheWriteAtWhichItStops: of two writes, the first of which reached the platters, it is the second that is torn, and what
// comes after it is gone. The byte that is missing here is zero, so the second one is whole all the same.
func TestCrashTearsTheWriteAtWhichItStops(t *testing.T) {
	d := newDisk(&engine{}, 1, 5)
	var list []batch
	for i := range uint64(3) {
		list = append(list, batch{shard: 1, entries: []store.Entry{{Index: i + 1, Term: 1, Data: []byte{7, 0}}}})
	}
	if err := d.write(list); err != nil {
		t.Fatal(err)
	}
	size := len(store.AppendEntry(nil, 1, &list[1].entries[0]))
	if torn := d.crash(1, size-1); !torn || d.volume(0).LastIndex() != 2 {
		t.Errorf("torn %v, and the log ends at %d, want 2", torn, d.volume(0).LastIndex())
	}
}
