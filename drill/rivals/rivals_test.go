package rivals

import (
	"errors"
	"slices"
	"testing"
	"time"
)

var brief = Options{
	Messages: 600, Every: 2 * time.Millisecond, Size: 200, CutAt: 150, HealAt: 450,
	Timeout: 300 * time.Millisecond, Wait: time.Minute, Runs: 1,
}

// TestRivals runs the measurement itself: nobody may lose anything, since one carrier works all the time, and whoever waits
// for a time-out cannot have a gap far below it.
func TestRivals(t *testing.T) {
	untilFelt(t, func() []Result {
		results, err := Run(t.Context(), brief)
		if err != nil {
			t.Fatal(err)
		}
		judge(t, results, 3)
		return results
	})
}

// untilFelt measures until plain TCP has felt the cut: a machine that stands still for as long as its time-out before the cut has it go to the
// other carrier then.
func untilFelt(t *testing.T, measure func() []Result) {
	t.Helper()
	for range 5 {
		// The time-out begins with the last acknowledgement; messages may still have arrived whose acknowledgements were cut off.
		if r := measure()[0]; r.Name == "tcp-redial" && r.Gap >= brief.Timeout/2 {
			return
		}
	}
	t.Error("plain TCP was back well before its time-out, every time: is the carrier cut at all?")
}

func TestRivalsOverRelays(t *testing.T) {
	g, err := newRelays(errors.New("a relay ends TCP"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.close(); err != nil {
			t.Error(err)
		}
	}()
	untilFelt(t, func() (results []Result) {
		for _, r := range rivals() {
			result, err := r.run(t.Context(), g, brief)
			if err != nil {
				t.Fatal(err)
			}
			results = append(results, result)
		}
		judge(t, results, 3)
		if results[1].Skipped == "" {
			t.Error("Multipath TCP cannot run over relays")
		}
		return results
	})
}

func judge(t *testing.T, results []Result, n int) {
	t.Helper()
	if len(results) != n {
		t.Fatalf("%d results, want %d", len(results), n)
	}
	for _, r := range results {
		t.Log(r)
		if r.Skipped == "" && (r.Sent != brief.Messages || r.Missing != 0 || r.P50 <= 0 || r.P99 > r.Max) {
			t.Errorf("%+v", r)
		}
		if r.Skipped == "" && (len(r.Waits) != brief.Messages || r.Cut <= 0 || r.Healed <= r.Cut) {
			t.Errorf("%s: %d waits, cut %v, healed %v", r.Name, len(r.Waits), r.Cut, r.Healed)
		}
	}
}

func TestBook(t *testing.T) {
	b := newBook(4)
	start := time.Now()
	for n := range 4 {
		b.sent(n, start)
	}
	b.arrived(0)
	b.arrived(2)
	b.arrived(2)
	b.arrived(9)
	b.first[2] = start.Add(3 * time.Second)
	b.first[0] = start.Add(time.Second)
	var r Result
	b.judge(&r)
	if want := []Wait{{0, time.Second}, {0, 3 * time.Second}}; !slices.Equal(r.Waits, want) {
		t.Errorf("waits %v, want %v", r.Waits, want)
	}
	if r.Missing != 2 || r.Gap != 2*time.Second || r.Max != 3*time.Second || r.P50 != 3*time.Second || r.Sent != 4 {
		t.Errorf("%+v", r)
	}
}

// BenchmarkRivals is the comparison for people: every rival in turn, in one sitting.
func BenchmarkRivals(b *testing.B) {
	for range b.N {
		results, err := Run(b.Context(), Default)
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range results {
			b.Log(r)
		}
	}
}
