package drill

import (
	"context"
	"slices"
	"testing"
	"time"
)

// A stall is felt as long again as it lasted, and stalls that run into each other are one.
func TestShadowsOfStalls(t *testing.T) {
	got := shadows([]Stall{{100 * ms, 110 * ms}, {115 * ms, 145 * ms}, {150 * ms, 160 * ms}, {300 * ms, 306 * ms}})
	if want := []span{{100 * ms, 175 * ms}, {300 * ms, 312 * ms}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for _, c := range []struct {
		in   span
		want bool
	}{
		{span{80 * ms, 100 * ms}, false},
		{span{80 * ms, 101 * ms}, true},
		{span{120 * ms, 121 * ms}, true},
		{span{174 * ms, 190 * ms}, true},
		{span{175 * ms, 300 * ms}, false},
		{span{0, time.Second}, true},
		{span{312 * ms, time.Second}, false},
	} {
		if touched(got, c.in) != c.want {
			t.Errorf("%v: %v", c.in, !c.want)
		}
	}
	if touched(nil, span{0, time.Second}) {
		t.Error("there is no stall at all")
	}
	if got := stalled([]Stall{{100 * ms, 110 * ms}, {190 * ms, 230 * ms}, {500 * ms, 600 * ms}}, span{105 * ms, 200 * ms}); got != 15*ms {
		t.Errorf("the machine stood still for %v, want 15ms", got)
	}
}

// A disk that hangs, or a process that is not let run, shows as one stall from when the beat was due.
func TestTheMetronomeSeesAStall(t *testing.T) {
	// This clock shows one more millisecond whenever it is read, whatever is waited for; and it jumps by 40 ms while the third beat, which
	// is due at 21 ms, is on its way to the disk. Nothing else is late on it.
	var now time.Duration
	reads := 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m, err := newMetronome(t.TempDir(), func() time.Duration {
		if reads++; reads == 7 {
			now += 40 * ms
		}
		if reads > 20 {
			cancel()
		}
		now += ms
		return now
	})
	if err != nil {
		t.Fatal(err)
	}
	m.watch(ctx)
	if got := m.stalls(); !slices.Equal(got, []Stall{{21 * ms, 47 * ms}}) {
		t.Errorf("stalls %v, want one from 21 to 47 ms", got)
	}
	if err := m.close(); err != nil {
		t.Error(err)
	}
}

// A disk that is slow all the time is usual after a while; what is much slower than that stands out still.
func TestASlowDiskIsNoStall(t *testing.T) {
	var m metronome
	found := func(late time.Duration, beats int) (n int) {
		for range beats {
			if m.stands(late) {
				n++
			}
		}
		return n
	}
	if n := found(2*ms, 300); n != 0 {
		t.Errorf("%d stalls of 2 ms", n)
	}
	if n := found(12*ms, 20); n != 20 {
		t.Errorf("%d stalls, want each of 20 beats of 12 ms among beats of 2 ms", n)
	}
	found(12*ms, 280)
	if n := found(12*ms, 300); n != 0 {
		t.Errorf("%d stalls of 12 ms where that is usual", n)
	}
	if n := found(36*ms, 3); n != 3 {
		t.Errorf("%d stalls, want 3 of 36 ms", n)
	}
	found(2*ms, 300)
	if n := found(12*ms, 1); n != 1 {
		t.Error("the disk was well again, and a stall of 12 ms is none")
	}
}
