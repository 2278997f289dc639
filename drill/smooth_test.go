package drill

import (
	"strings"
	"testing"
	"time"

	"holdfast"
)

// carrierRun is a run that never was: a carrier is cut from 4 s to 6 s of 10, both carriers take 1,000 bytes of every payment, and
// callers wait so long as wait says.
func carrierRun(wait func(due time.Duration) time.Duration) (faults []Fault, samples []Sample, reads []Reading) {
	faults = []Fault{{Kind: "carrier-cut", Target: "carrier 2", At: 4 * time.Second, Healed: 6 * time.Second, alone: true}}
	for due := time.Duration(0); due < 10*time.Second; due += 5 * ms {
		samples = append(samples, Sample{Shard: 1, Kind: Probed, Due: due, Ended: due + wait(due), Status: holdfast.Done})
	}
	var one, two uint64
	for at := time.Duration(0); at < 10*time.Second; at += meterEvery {
		reads = append(reads, Reading{At: at, Sent: []uint64{one, two}})
		const each = uint64(meterEvery / (5 * ms) * 1000)
		if one += each; at < 4*time.Second || at >= 6*time.Second {
			two += each
		}
	}
	return faults, samples, reads
}

func steady(time.Duration) time.Duration { return 12 * ms }

func TestNobodyNoticesACarrierThatIsCut(t *testing.T) {
	faults, samples, reads := carrierRun(steady)
	s := smoothness(faults, samples, reads, nil, 10*time.Second)
	if got := s.reasons(faults, 2); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if s.P99 != 12*ms || s.Rise(s.Faults[0].P99) != 0 || s.Quiet != (Range{12 * ms, 12 * ms}) || s.Faults[0].Payments != 500 {
		t.Errorf("%+v", s)
	}
	if s.Alone < 950 || s.Alone > 1050 || s.Cost() < 1.95 || s.Cost() > 2.05 {
		t.Errorf("%.0f bytes for a payment, %.0f alone: %.3f times, want twice", s.All, s.Alone, s.Cost())
	}
}

// Each of these has to be seen, or the drill proves nothing.
func TestWhatWouldBeNoticed(t *testing.T) {
	slow := func(from, until, by time.Duration) func(time.Duration) time.Duration {
		return func(due time.Duration) time.Duration {
			if due >= from && due < until {
				return 12*ms + by
			}
			return 12 * ms
		}
	}
	for _, c := range []struct {
		name   string
		wait   func(time.Duration) time.Duration
		change func(reads []Reading)
		reason string // "" passes
	}{
		{"5 ms longer", slow(4*time.Second, 6*time.Second, 5*ms), nil, ""},
		{"6 ms longer", slow(4*time.Second, 6*time.Second, 6*ms), nil, "6.0 ms longer"},
		{"60 ms of it, at the cut", slow(4*time.Second, 4060*ms, 40*ms), nil, "40.0 ms longer"},
		{"just after the heal", slow(6*time.Second, 6100*ms, 40*ms), nil, "40.0 ms longer"},
		{"always", slow(0, 10*time.Second, 40*ms), nil, ""},
		{"a third copy", steady, func(reads []Reading) {
			for i := range reads {
				reads[i].Sent[1] *= 2
			}
		}, "times the bytes of one alone"},
		{"no readings", steady, func(reads []Reading) {
			for i := range reads {
				reads[i].At = time.Hour
			}
		}, "not measured"},
	} {
		faults, samples, reads := carrierRun(c.wait)
		if c.change != nil {
			c.change(reads)
		}
		got := strings.Join(smoothness(faults, samples, reads, nil, 10*time.Second).reasons(faults, 2), "; ")
		if (got == "") != (c.reason == "") || !strings.Contains(got, c.reason) {
			t.Errorf("%s: %q, want %q", c.name, got, c.reason)
		}
	}
}

// A machine that stands still once, for whatever reason, is not the carrier's fault; what comes back with every fault is.
func TestOneHiccupIsNotTheCarriers(t *testing.T) {
	for _, c := range []struct {
		hiccups []time.Duration
		fails   bool
	}{{[]time.Duration{4 * time.Second}, false}, {[]time.Duration{4 * time.Second, 7 * time.Second}, true}} {
		faults, samples, reads := carrierRun(func(due time.Duration) time.Duration {
			for _, at := range c.hiccups {
				if due >= at && due < at+40*ms {
					return 12*ms + at + 40*ms - due
				}
			}
			return 12 * ms
		})
		faults = append(faults, Fault{Kind: "carrier-cut", Target: "carrier 1", At: 7 * time.Second, Healed: 9 * time.Second})
		got := smoothness(faults, samples, reads, nil, 10*time.Second).reasons(faults, 2)
		if (len(got) > 0) != c.fails {
			t.Errorf("hiccups at %v: %q", c.hiccups, got)
		}
	}
}

func TestAFaultInWhichNobodyPaysIsNoProof(t *testing.T) {
	faults, samples, reads := carrierRun(steady)
	got := strings.Join(smoothness(faults, samples[:700], reads, nil, 10*time.Second).reasons(faults, 2), "; ")
	if !strings.Contains(got, "nobody paid meanwhile") {
		t.Errorf("%q", got)
	}
}

// A leader of a new term counts also when it is the old one, in a fault of a carrier and in no other.
func TestAnElectionInACarrierFault(t *testing.T) {
	faults := []Fault{
		{Kind: "carrier-cut", Target: "carrier 1", At: 2 * time.Second, Healed: 3 * time.Second},
		{Kind: "carrier-cut", Target: "carrier 2", At: 5 * time.Second, Healed: 5800 * ms},
		{Kind: "site-cut", Target: "hangzhou", At: 6 * time.Second, Healed: 8 * time.Second}, // while the carrier may still be felt
	}
	reigns := []Reign{{1, 1, 2, -time.Second}, {2, 2, 2, 2500 * ms}, {1, 1, 3, 3200 * ms}, {1, 2, 4, 6200 * ms}}
	got := disturbed(faults, reigns, 10*time.Second)
	if len(got) != 1 || !strings.Contains(got[0], "shard 1 was led by Hangzhou from 3.2 s on, in term 3") {
		t.Errorf("%q", got)
	}
	if smoothness(faults[2:], nil, nil, nil, 10*time.Second) != nil {
		t.Error("something is said of carriers where none was broken")
	}
}

// What one carrier alone takes is compared with what all take in the rounds in which it is measured: later ones may have another load.
func TestBytesAreComparedWithinARound(t *testing.T) {
	faults, samples, reads := carrierRun(steady)
	for i := range reads {
		if reads[i].At >= 8*time.Second { // twice the bytes for a payment from here on
			reads[i].Sent[0] *= 2
			reads[i].Sent[1] *= 2
		}
	}
	for _, c := range []struct {
		alone bool
		same  bool
	}{{false, true}, {true, false}} {
		later := Fault{Kind: "carrier-flap", Target: "carrier 1", At: 7900 * ms, Healed: 9 * time.Second, round: 1, alone: c.alone}
		cost := smoothness(append(faults[:1:1], later), samples, reads, nil, 10*time.Second).Cost()
		if same := cost > 1.9 && cost < 2.1; same != c.same {
			t.Errorf("alone %v: %.2f times the bytes", c.alone, cost)
		}
	}
}
