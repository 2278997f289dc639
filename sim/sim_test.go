package sim

import (
	"bytes"
	"flag"
	"reflect"
	"strings"
	"testing"

	"holdfast"
)

var (
	schedules = flag.Int("schedules", 1000, "how many schedules TestSchedules runs")
	firstSeed = flag.Uint64("first", 1, "the first seed of TestSchedules")
	oneSeed   = flag.Uint64("seed", 0, "the only seed, with its whole trace")
)

func TestSchedules(t *testing.T) {
	if *oneSeed > 0 {
		var trace bytes.Buffer
		r := Run(*oneSeed, Options{Trace: &trace})
		t.Logf("%s%s\n%+v", trace.String(), r, r.Stats)
		if !r.OK {
			t.Fail()
		}
		return
	}
	n := *schedules
	if testing.Short() {
		n = min(n, 60)
	}
	s := RunMany(t.Context(), *firstSeed, n, Options{}, func(r Result) bool {
		if !r.OK {
			t.Errorf("%s", r)
		}
		return !t.Failed()
	})
	t.Logf("%d schedules: %+v", s.Runs, s.Stats)
	if n >= enoughForAll {
		everythingWasTried(t, &s.Stats)
	}
}

// enoughForAll schedules meet even the rarest thing; in fewer it is a matter of luck.
const enoughForAll = 500

// everythingWasTried fails when a count is zero: what never happened was not tested.
func everythingWasTried(t *testing.T, s *Stats) {
	t.Helper()
	v := reflect.ValueOf(*s)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s is 0: the schedules never tried it", v.Type().Field(i).Name)
		}
	}
}

// TestRegressions runs seeds that have failed, with what was wrong. Later changes of the simulator give the numbers another
// meaning; they stay as good as any.
func TestRegressions(t *testing.T) {
	for _, row := range []struct {
		seed uint64
		what string
		with Options
	}{
		{37, "a checkpoint in the middle of a long hand-out: the library could not campaign behind the window of the log", Options{}},
		{111, "a second disk lost while the others still took themselves to be in the joint configuration", Options{}},
		{349, "an installed checkpoint, and writes of the replica's earlier life that the disk finished after it", Options{}},
		{46, "a checkpoint offered for entries that were written and not yet durable was acknowledged at once", Options{}},
		{579, "a token of the replica's earlier life taken for one of the new", Options{}},
		{200632, "a leader whose clock had run away, elected before its site had heard the clock of any other since its start", Options{}},
		{20205, "a learner that got its vote before it was told the founders, and nobody but a leader told it", Options{}},
		{221182, "those who know the members best crashed or corrupt when a third forgets: its check went by members of before", Options{}},
		{215180, "a checkpoint that rots so that a limit shows it, before any digest could", Options{Rot: true}},
		{126, "a crash that tore not the write at which it stopped but the one after it", Options{Shards: 2, Slots: true}},
	} {
		if r := Run(row.seed, row.with); !r.OK {
			t.Errorf("%s: %s", row.what, r)
		}
	}
}

func TestTheSameSeedGivesTheSameTrace(t *testing.T) {
	for seed := uint64(1); seed <= 8; seed++ {
		var a, b bytes.Buffer
		x, y := Run(seed, Options{Trace: &a}), Run(seed, Options{Trace: &b})
		if !bytes.Equal(a.Bytes(), b.Bytes()) || x.TraceHash != y.TraceHash {
			t.Fatalf("seed %d: %s", seed, firstDifference(a.String(), b.String()))
		}
		if quiet := Run(seed, Options{}); quiet.TraceHash != x.TraceHash || quiet.Stats != x.Stats {
			t.Errorf("seed %d: a run that is watched goes another way than one that is not", seed)
		}
		if a.Len() == 0 {
			t.Errorf("seed %d has no trace", seed)
		}
	}
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return "first\n" + x[i] + "\nand then\n" + y[i]
		}
	}
	return "one trace is longer than the other"
}

func TestAFailureSaysHowToSeeItAgain(t *testing.T) {
	f := newFleet(7, Options{}, true)
	f.e.logf("something happens")
	f.e.fail("books", "1 is not 2")
	text := f.result(7).String()
	for _, want := range []string{"holdfast sim --seed 7 --trace", "books", "1 is not 2", "something happens"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}

// TestCalm runs fleets without any fault: nothing may be refused for want of a leader after the first election, and nothing lost.
func TestCalm(t *testing.T) {
	s := RunMany(t.Context(), 1, 20, Options{Calm: true}, nil)
	for _, r := range s.Failed {
		t.Errorf("%s", r)
	}
	if s.Stats.Crashes+s.Stats.Dropped+s.Stats.Cuts > 0 {
		t.Errorf("a calm fleet had faults: %+v", s.Stats)
	}
}

// TestRottenCheckpointIsNoticed alters a stored checkpoint so that no checksum and no balance shows it.
func TestRottenCheckpointIsNoticed(t *testing.T) {
	s := RunMany(t.Context(), 1, 20, Options{Rot: true}, nil)
	for _, r := range s.Failed {
		t.Errorf("%s", r)
	}
}

// TestPebble runs schedules on the real store over a file system that crashes.
func TestPebble(t *testing.T) {
	n := 40
	if testing.Short() {
		n = 4
	}
	s := RunMany(t.Context(), *firstSeed, n, Options{Disk: PebbleDisk}, func(r Result) bool {
		if !r.OK {
			t.Errorf("%s", r)
		}
		return !t.Failed()
	})
	t.Logf("%d schedules: %+v", s.Runs, s.Stats)
}

// TestPhantom: what was answered "not executed" and is in the log is one, but not where a leg of another transaction has taken its id.
func TestPhantom(t *testing.T) {
	for _, leg := range []bool{true, false} {
		e := newEngine(1, nil, false)
		o := newOracle(&e, 1, &Stats{})
		id := holdfast.ID{1}
		o.twin.ids[id] = &past{leg: leg}
		o.abandoned(id)
		if found := e.failed != nil; found == leg {
			t.Errorf("a leg %v, found %v", leg, found)
		}
	}
}
