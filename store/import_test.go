package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// source is a shard with some history and a checkpoint, and what its state was there.
func source(t *testing.T, o Options) (*world, *model, string) {
	t.Helper()
	w := newWorld(t, mustOpen(t, o), 11)
	m := newModel()
	w.openAccounts(10)
	for range 3 {
		for range 10 {
			w.run(w.anything(openIDs(m)), w.anything(openIDs(m)))
		}
		m.checkpoint(w)
	}
	return w, m, digestText(w.state)
}

// target is a disk with another history of the same shard, some of it not in its checkpoint.
func target(t *testing.T, o Options) *world {
	t.Helper()
	w := newWorld(t, mustOpen(t, o), 12)
	if err := w.sh.SetIdentity(Identity{Replica: 77}); err != nil {
		t.Fatal(err)
	}
	w.openAccounts(5)
	w.done(w.pay(w.newID(true)))
	w.checkpoint()
	for range 60 {
		w.done(w.pay(w.newID(true)))
	}
	return w
}

// copyOf is what an exporter of this version says.
func copyOf(t *testing.T, e *Export) Copy {
	t.Helper()
	state, journal, err := e.Size()
	if err != nil {
		t.Fatal(err)
	}
	return Copy{Export: e.ID, Index: e.Meta.Index, State: state, Journal: journal, Places: true}
}

// pull copies chunks until the import is complete or n have been taken.
func pull(t *testing.T, e *Export, im *Import, n int) {
	t.Helper()
	for ; n > 0 && !im.Complete(); n-- {
		data, _, err := e.ChunkAt(im.Next(), im.Place())
		if err != nil {
			t.Fatal(err)
		}
		if err := im.Put(data); err != nil {
			t.Fatal(err)
		}
	}
}

func TestImportResumesAndInstalls(t *testing.T) {
	from, m, want := source(t, testOptions(vfs.NewMem(), new(deaths)))
	fs := vfs.NewCrashableMem()
	o := testOptions(fs, new(deaths))
	to := target(t, o)
	e := must[*Export](t)(from.sh.Export())
	im := must[*Import](t)(to.sh.Import(copyOf(t, e)))
	pull(t, e, im, 4)
	if im.Next() != 4 || im.Complete() {
		t.Fatalf("next %d, complete %v", im.Next(), im.Complete())
	}
	if _, err := im.Install(); err == nil || !strings.Contains(err.Error(), "chunk 4") {
		t.Errorf("installing half an import: %v", err)
	}
	// The exporter goes on meanwhile; the export must not notice.
	from.done(from.pay(from.newID(true)))
	from.checkpoint()
	fs = fs.CrashClone(vfs.CrashCloneCfg{})
	s := mustOpen(t, o2(o, fs))
	im = must[*Import](t)(s.Shard(testShard).Import(copyOf(t, e)))
	if im.Next() != 4 {
		t.Fatalf("after a crash chunk %d is wanted, want 4", im.Next())
	}
	pull(t, e, im, 1<<20)
	meta, err := im.Install()
	if err != nil || meta.Index != e.Meta.Index {
		t.Fatalf("installed %d, %v; want %d", meta.Index, err, e.Meta.Index)
	}
	for range 2 {
		checkInstalled(t, s, m, want, e.Meta.Index)
		fs = fs.CrashClone(vfs.CrashCloneCfg{})
		s = mustOpen(t, o2(o, fs))
	}
	if names := must[[]string](t)(fs.List("data/stage")); len(names) != 0 {
		t.Errorf("left in the stage: %v", names)
	}
}

func checkInstalled(t *testing.T, s *Store, m *model, want string, index uint64) {
	t.Helper()
	w := newWorld(t, s, 1)
	w.restart(s)
	if got := digestText(w.state); got != want {
		t.Fatalf("installed %s, want %s", got, want)
	}
	m.compare(t, w.sh)
	last, hard, identity := w.sh.LastIndex(), w.sh.Hard(), w.sh.Identity()
	if last != index || hard != (HardState{Term: 1, Commit: index}) || identity.Replica != 77 || !identity.Born {
		t.Fatalf("last %d, hard %+v, identity %+v", last, hard, identity)
	}
	write(t, s, Write{Shard: testShard, Entries: entries(index+1, 2, 10)})
	write(t, s, Write{Shard: testShard, Entries: entries(index+1, 2, 20)})
}

func TestDamagedChunksAreRefused(t *testing.T) {
	from, _, _ := source(t, testOptions(vfs.NewMem(), new(deaths)))
	to := newWorld(t, mustOpen(t, testOptions(vfs.NewMem(), new(deaths))), 1)
	e := must[*Export](t)(from.sh.Export())
	im := must[*Import](t)(to.sh.Import(copyOf(t, e)))
	data, _, err := e.Chunk(0)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := e.Chunk(0)
	if err != nil || string(again) != string(data) {
		t.Errorf("chunk 0 is another one the second time: %v", err)
	}
	from.done(from.pay(from.newID(true)))
	from.checkpoint()
	other := must[*Export](t)(from.sh.Export())
	foreign, _, err := other.Chunk(0)
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte(nil), data...)
	flipped[len(flipped)/2] ^= 1
	for name, bad := range map[string][]byte{"flipped": flipped, "short": data[:len(data)-1], "empty": nil, "foreign": foreign} {
		if err := im.Put(bad); !errors.Is(err, ErrChunkDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := im.Put(data); err != nil {
		t.Fatal(err)
	}
	if err := im.Put(data); !errors.Is(err, ErrChunkDamaged) {
		t.Errorf("the same chunk twice: %v", err)
	}
	if _, _, err := e.Chunk(1 << 20); err == nil {
		t.Error("a chunk is given that is not there")
	}
	for _, at := range [][]byte{{}, {9, 'e'}, {dbLog, 'a'}, {dbState, 0xff}, {dbState}} {
		if _, _, err := e.ChunkAt(0, at); (err == nil) != (len(at) == 0) {
			t.Errorf("a chunk from the place %x: %v", at, err)
		}
	}
}

func TestExportExpires(t *testing.T) {
	o := testOptions(vfs.NewMem(), new(deaths))
	now := time.Unix(1_700_000_000, 0)
	o.Now = func() time.Time { return now }
	o.ExportIdle = time.Minute
	from, _, _ := source(t, o)
	if _, err := from.s.Shard(8).Export(); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("export without a checkpoint: %v", err)
	}
	e := must[*Export](t)(from.sh.Export())
	for range maxExports - 1 {
		must[*Export](t)(from.sh.Export())
	}
	if _, err := from.sh.Export(); !errors.Is(err, ErrTooManyExports) {
		t.Errorf("one too many: %v", err)
	}
	now = now.Add(50 * time.Second)
	if _, _, err := e.Chunk(0); err != nil {
		t.Errorf("after 50 s: %v", err)
	}
	now = now.Add(50 * time.Second)
	must[*Export](t)(from.sh.Export()) // the unused ones have given way
	if _, _, err := e.Chunk(1); err != nil {
		t.Errorf("used 50 s ago: %v", err)
	}
	now = now.Add(2 * time.Minute)
	from.done(from.pay(from.newID(true)))
	from.checkpoint()
	if _, _, err := e.Chunk(1); !errors.Is(err, ErrExportExpired) {
		t.Errorf("after two minutes: %v", err)
	}
	mustClose(t, from.s)
}

// TestImportGoesOnBehindTheJournal: when the exporter is another one, what was gathered of the journal stays. Only the rest is fetched, also
// when a crash comes in between.
func TestImportGoesOnBehindTheJournal(t *testing.T) {
	first, m, _ := source(t, testOptions(vfs.NewMem(), new(deaths)))
	e := must[*Export](t)(first.sh.Export())
	fs := vfs.NewCrashableMem()
	o := testOptions(fs, new(deaths))
	to := target(t, o)
	im := must[*Import](t)(to.sh.Import(copyOf(t, e)))
	for im.missingJournal() { // and some of the state
		pull(t, e, im, 1)
	}
	pull(t, e, im, 2)
	journal, entry := im.Next()-2, im.entry
	if err := first.sh.SetIdentity(Identity{Replica: 99}); err != nil { // as another replica it is another exporter
		t.Fatal(err)
	}
	for range 20 {
		first.done(first.pay(first.newID(true)))
	}
	m.checkpoint(first)
	want := digestText(first.state)
	other := must[*Export](t)(first.sh.Export())
	if other.ID == e.ID {
		t.Fatal("two exports of one name")
	}
	im = must[*Import](t)(to.sh.Import(copyOf(t, other)))
	if im.Next() != journal || im.entry != entry {
		t.Fatalf("goes on with chunk %d behind entry %d, want chunk %d and entry %d", im.Next(), im.entry, journal, entry)
	}
	pull(t, other, im, 1)
	if im.entry <= entry {
		t.Errorf("the next chunk ends with entry %d, there were %d before", im.entry, entry)
	}
	next := im.Next()
	s := mustOpen(t, o2(o, fs.CrashClone(vfs.CrashCloneCfg{})))
	im = must[*Import](t)(s.Shard(testShard).Import(copyOf(t, other)))
	if im.Next() != next {
		t.Fatalf("after a crash chunk %d is wanted, want %d", im.Next(), next)
	}
	pull(t, other, im, 1<<20)
	meta, err := im.Install()
	if err != nil || meta.Index != other.Meta.Index {
		t.Fatalf("installed %d, %v; want %d", meta.Index, err, other.Meta.Index)
	}
	checkInstalled(t, s, m, want, other.Meta.Index)
}

func (im *Import) missingJournal() bool { return im.entry < im.copy.Index }

// TestImportKeepsNothingFromBehindACheckpoint: an exporter whose checkpoint is older has the journal only up to there.
func TestImportKeepsNothingFromBehindACheckpoint(t *testing.T) {
	w, m, want := source(t, testOptions(vfs.NewMem(), new(deaths)))
	old := must[*Export](t)(w.sh.Export())
	for range 20 {
		w.done(w.pay(w.newID(true)))
	}
	w.checkpoint()
	e := must[*Export](t)(w.sh.Export())
	to := target(t, testOptions(vfs.NewMem(), new(deaths)))
	im := must[*Import](t)(to.sh.Import(copyOf(t, e)))
	for im.missingJournal() {
		pull(t, e, im, 1)
	}
	im = must[*Import](t)(to.sh.Import(copyOf(t, old)))
	if im.Next() == 0 || im.entry > old.Meta.Index {
		t.Fatalf("chunk %d is wanted, behind entry %d; the checkpoint is at %d", im.Next(), im.entry, old.Meta.Index)
	}
	pull(t, old, im, 1<<20)
	if _, err := im.Install(); err != nil {
		t.Fatal(err)
	}
	checkInstalled(t, to.s, m, want, old.Meta.Index)
}

// TestExporterThatRestarts: it goes on with the same export, for a follower that asks by place and for one of an earlier version, which asks
// by number.
func TestExporterThatRestarts(t *testing.T) {
	for name, places := range map[string]bool{"by place": true, "by number": false} {
		fs := vfs.NewCrashableMem()
		o := testOptions(fs, new(deaths))
		from, m, want := source(t, o)
		to := target(t, testOptions(vfs.NewMem(), new(deaths)))
		e := must[*Export](t)(from.sh.Export())
		c := copyOf(t, e)
		c.Places = places
		im := must[*Import](t)(to.sh.Import(c))
		for range 4 {
			putNext(t, e, im)
		}
		s := mustOpen(t, o2(o, fs.CrashClone(vfs.CrashCloneCfg{})))
		again := must[*Export](t)(s.Shard(testShard).Export())
		if again.ID != e.ID {
			t.Fatalf("%s: export %x is %x after a restart", name, e.ID, again.ID)
		}
		c = copyOf(t, again)
		c.Places = places
		im = must[*Import](t)(to.sh.Import(c))
		if im.Next() != 4 {
			t.Fatalf("%s: chunk %d is wanted, want 4", name, im.Next())
		}
		for !im.Complete() {
			putNext(t, again, im)
		}
		if _, err := im.Install(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkInstalled(t, to.s, m, want, e.Meta.Index)
	}
}

// putNext fetches a chunk in the way that the import says.
func putNext(t *testing.T, e *Export, im *Import) {
	t.Helper()
	data, _, err := e.Chunk(im.Next())
	if im.Places() {
		data, _, err = e.ChunkAt(im.Next(), im.Place())
	}
	if err = errors.Join(err, im.Put(data)); err != nil {
		t.Fatal(err)
	}
}

// TestAnEarlierExporterKeepsNothing: it gives the chunks by number only.
func TestAnEarlierExporterKeepsNothing(t *testing.T) {
	w, _, _ := source(t, testOptions(vfs.NewMem(), new(deaths)))
	e := must[*Export](t)(w.sh.Export())
	to := target(t, testOptions(vfs.NewMem(), new(deaths)))
	im := must[*Import](t)(to.sh.Import(copyOf(t, e)))
	pull(t, e, im, 3)
	w.done(w.pay(w.newID(true)))
	w.checkpoint()
	other := must[*Export](t)(w.sh.Export())
	im = must[*Import](t)(to.sh.Import(Copy{Export: other.ID, Index: other.Meta.Index}))
	if im.Next() != 0 || im.Places() {
		t.Errorf("chunk %d is wanted from an exporter that cannot begin there", im.Next())
	}
}

func TestWipe(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := testOptions(fs, new(deaths))
	w, _, _ := source(t, o)
	other := w.s.Shard(testShard + 1)
	if err := other.SetIdentity(Identity{Replica: 5}); err != nil {
		t.Fatal(err)
	}
	write(t, w.s, Write{Shard: testShard + 1, Entries: entries(1, 1, 3000, 3000), Sync: true})
	if err := w.sh.SetIdentity(Identity{Replica: 4, Born: true}); err != nil {
		t.Fatal(err)
	}
	e := must[*Export](t)(w.sh.Export())
	if err := w.sh.Wipe(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.Chunk(0); !errors.Is(err, ErrExportExpired) {
		t.Errorf("an export outlives its shard: %v", err)
	}
	s := w.s
	for range 2 {
		sh := s.Shard(testShard)
		_, has := sh.Meta()
		if sh.LastIndex() != 0 || has || sh.Identity().Replica != 0 || sh.Hard() != (HardState{}) {
			t.Errorf("left: last %d, meta %v, identity %+v, hard %+v", sh.LastIndex(), has, sh.Identity(), sh.Hard())
		}
		for _, id := range w.ids {
			if _, found, err := sh.Find(id); found || err != nil {
				t.Fatalf("id %s: %v %v", id, found, err)
			}
		}
		if other := s.Shard(testShard + 1); other.LastIndex() != 2 || other.Identity().Replica != 5 {
			t.Errorf("the other shard has %d entries, identity %+v", other.LastIndex(), other.Identity())
		}
		fs = fs.CrashClone(vfs.CrashCloneCfg{})
		s = mustOpen(t, o2(o, fs))
	}
	if ids := s.Shards(); len(ids) != 1 || ids[0] != testShard+1 {
		t.Errorf("shards on the disk: %v", ids)
	}
}

// TestWhatWasDecidedIsAboutOneState: it survives a crash, and goes with the state it is about.
func TestWhatWasDecidedIsAboutOneState(t *testing.T) {
	from, _, _ := source(t, testOptions(vfs.NewMem(), new(deaths)))
	for name, replace := range map[string]func(*Shard) error{
		"wiped": (*Shard).Wipe,
		"installed": func(sh *Shard) error {
			e := must[*Export](t)(from.sh.Export())
			im := must[*Import](t)(sh.Import(copyOf(t, e)))
			pull(t, e, im, 1<<20)
			_, err := im.Install()
			return errors.Join(err, e.Close())
		},
	} {
		fs := vfs.NewCrashableMem()
		o := testOptions(fs, new(deaths))
		w := target(t, o)
		if w.sh.Trust() != nil {
			t.Errorf("%s: something was decided before anybody has", name)
		}
		for _, text := range []string{"the first", "the second"} {
			if err := w.sh.SetTrust([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		s := mustOpen(t, o2(o, fs.CrashClone(vfs.CrashCloneCfg{})))
		sh := s.Shard(testShard)
		if got := string(sh.Trust()); got != "the second" {
			t.Errorf("%s: after a crash: %q", name, got)
		}
		if err := replace(sh); err != nil {
			t.Fatal(err)
		}
		if got := sh.Trust(); got != nil {
			t.Errorf("%s: %q is still there", name, got)
		}
		mustClose(t, s)
		mustClose(t, w.s)
	}
	mustClose(t, from.s)
}
