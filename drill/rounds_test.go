package drill

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast"
)

// inRounds is a run of three rounds that never was: in each, two cuts of 1 s, and callers wait so long as wait says.
func inRounds(wait func(round int, broken bool, due time.Duration) time.Duration) *Evidence {
	e := &Evidence{Length: 3 * roundLoad, Bound: smoothBound, Result: Result{RTTMillis: 10}}
	for n := range 3 {
		at := time.Duration(n) * roundLoad
		for i, share := range laterTurns {
			f := Fault{Kind: "carrier-cut", Target: fmt.Sprintf("carrier %d", i+1), round: n}
			f.At, f.Healed = at+time.Duration(share.from*float64(roundLoad)), at+time.Duration(share.until*float64(roundLoad))
			e.Faults = append(e.Faults, f)
			e.Result.Faults = append(e.Result.Faults, FaultResult{Kind: f.Kind, Target: f.Target, PauseMillis: 10})
		}
	}
	for due := time.Duration(0); due < e.Length; due += 5 * ms {
		round, broken := int(due/roundLoad), false
		for i := range e.Faults {
			if felt(e.Faults, i, e.Length).has(due) { // it may be felt when the next round has begun
				round, broken = e.Faults[i].round, true
			}
		}
		e.Samples = append(e.Samples, Sample{Shard: 1, Kind: Probed, Due: due, Ended: due + wait(round, broken, due), Status: holdfast.Done})
	}
	return e
}

func TestEveryRoundIsJudgedByItself(t *testing.T) {
	calm := func(int, bool, time.Duration) time.Duration { return 12 * ms }
	slowRound := func(n int, by time.Duration) func(int, bool, time.Duration) time.Duration {
		return func(round int, broken bool, _ time.Duration) time.Duration {
			if round == n && broken {
				return 12*ms + by
			}
			return 12 * ms
		}
	}
	hiccup := func(_ int, _ bool, due time.Duration) time.Duration { // from 6.5 s to 6.6 s, in the first fault of the second round
		if due >= 6500*ms && due < 6600*ms {
			return 6600*ms - due + 12*ms
		}
		return 12 * ms
	}
	for _, c := range []struct {
		name   string
		wait   func(int, bool, time.Duration) time.Duration
		change func(*Evidence)
		want   [3]string // why each round failed; "": it did not
	}{
		{"nobody notices", calm, nil, [3]string{}},
		{"5 ms longer", slowRound(1, 5*ms), nil, [3]string{}},
		{"6 ms longer", slowRound(1, 6*ms), nil, [3]string{1: "6.0 ms longer"}},
		{"a hiccup of one fault", hiccup, nil, [3]string{1: "ms longer"}},
		{"the same, and the machine stood still", hiccup, func(e *Evidence) { e.Stalls = []Stall{{6500 * ms, 6600 * ms}} }, [3]string{}},
		{"it stood still at another time", hiccup, func(e *Evidence) { e.Stalls = []Stall{{7100 * ms, 7200 * ms}} }, [3]string{1: "ms longer"}},
		{"it stood still nearly always", calm, func(e *Evidence) {
			for at := 10 * time.Second; at < 16*time.Second; at += 20 * ms {
				if at%(100*ms) > 0 {
					e.Stalls = append(e.Stalls, Stall{at, at + 10*ms})
				}
			}
		}, [3]string{2: "nothing is known"}},
		{"an election", calm, func(e *Evidence) { e.Reigns = []Reign{{1, 1, 1, 0}, {1, 1, 2, 6500 * ms}} }, [3]string{1: "1 election in carrier-cut of carrier 1"}},
		{"an election that the drill's own cables forced", calm, func(e *Evidence) {
			e.Reigns = []Reign{{1, 1, 1, 0}, {1, 1, 2, 6500 * ms}}
			e.Traffic = []Reading{{At: 6300 * ms}, {At: 6400 * ms, Tardy: 120 * ms}}
		}, [3]string{}},
		{"a failed request", calm, func(e *Evidence) { e.Result.Faults[5].FailedRequests = 2 }, [3]string{2: "2 failed requests in carrier-cut of carrier 2"}},
		{"a pause", calm, func(e *Evidence) { e.Result.Faults[0].PauseMillis = 201 }, [3]string{0: "a pause of 201 ms"}},
		{"nobody pays", calm, func(e *Evidence) { e.Samples = e.Samples[:2000] }, [3]string{2: "nothing is measured"}},
	} {
		e := inRounds(c.wait)
		if c.change != nil {
			c.change(e)
		}
		e.Rounds = judgeRounds(e, 3, nil)
		for n := range e.Rounds {
			got := strings.Join(e.Rounds[n].Reasons, "; ")
			if (got == "") != (c.want[n] == "") || !strings.Contains(got, c.want[n]) {
				t.Errorf("%s, round %d: %q, want %q", c.name, n+1, got, c.want[n])
			}
		}
		if bad := len(roundReasons(e.Rounds)); (bad > 0) != (passedRounds(e.Rounds) < 3) {
			t.Errorf("%s: %d reasons, %d rounds passed", c.name, bad, passedRounds(e.Rounds))
		}
	}
}

// A round that could not be played to its end has failed, and one in which nothing was broken proves nothing.
func TestARoundThatWasNotPlayed(t *testing.T) {
	e := inRounds(func(int, bool, time.Duration) time.Duration { return 12 * ms })
	e.Faults, e.Result.Faults = e.Faults[:4], e.Result.Faults[:4]
	e.Rounds = judgeRounds(e, 3, map[int]error{1: errors.New("not every carrier was in use again")})
	if !e.Rounds[0].Passed() || e.Rounds[1].Passed() || e.Rounds[2].Passed() {
		t.Errorf("%+v", e.Rounds)
	}
	if got := e.Shown(); len(got) != 2 || got[0] != 2 {
		t.Errorf("faults %v are shown, want those of the second round", got)
	}
}

// The machine is no excuse when it stands still where something is broken, and not elsewhere.
func TestAMachineThatOnlyStandsStillInFaults(t *testing.T) {
	faults, samples, reads := carrierRun(steady)
	var stalls []Stall
	for at := 4 * time.Second; at < 6*time.Second; at += 100 * ms {
		stalls = append(stalls, Stall{at, at + 10*ms})
	}
	got := strings.Join(smoothness(faults, samples, reads, stalls, 10*time.Second).reasons(faults, 2), "; ")
	if !strings.Contains(got, "stood still for 8.0 % of the time in which a carrier was broken, and for 0.0 %") {
		t.Errorf("%q", got)
	}
	for at := time.Duration(0); at < 10*time.Second; at += 100 * ms {
		stalls = append(stalls, Stall{at, at + 5*ms})
	}
	if got := smoothness(faults, samples, reads, stalls[20:], 10*time.Second).reasons(faults, 2); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestRoundsTakeTheirTime(t *testing.T) {
	s, err := Find("carrier-cut")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.loadOf(100); got != smoothLoad+99*roundLoad {
		t.Errorf("100 rounds take %v", got)
	}
	o := Defaults()
	o.Carriers, o.Rounds = 2, 100
	if err := o.Check(&s); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*Options){
		func(o *Options) { o.Load = time.Minute }, func(o *Options) { o.Rounds = MaxRounds + 1 }, func(o *Options) { o.Rounds = -1 },
	} {
		bad := o
		if change(&bad); bad.Check(&s) == nil {
			t.Errorf("%+v is not refused", bad)
		}
	}
	cut, err := Find("site-cut")
	if err != nil {
		t.Fatal(err)
	}
	if o.Check(&cut) == nil {
		t.Error("a drill that breaks no carrier has no rounds")
	}
}

// What stretches without a fault differ by is allowed for, up to a bound.
func TestNoiseIsAllowedFor(t *testing.T) {
	for _, c := range []struct {
		hiccup, rise time.Duration // in a stretch of the first round without a fault; in the faults of the last
		noise        time.Duration
		passes       bool
	}{
		{0, 5 * ms, 0, true},
		{0, 6 * ms, 0, false},
		{8 * ms, 13 * ms, 8 * ms, true},
		{8 * ms, 14 * ms, 8 * ms, false},
		{40 * ms, noiseBound + 5*ms, noiseBound, true},
		{40 * ms, noiseBound + 6*ms, noiseBound, false},
	} {
		e := inRounds(func(round int, broken bool, due time.Duration) time.Duration {
			switch {
			case broken && round == 2:
				return 12*ms + c.rise
			case due >= 3*time.Second && due < 3040*ms:
				return 12*ms + c.hiccup
			}
			return 12 * ms
		})
		e.Rounds = judgeRounds(e, 3, nil)
		if e.Noise != c.noise || e.Rounds[2].Passed() != c.passes || !e.Rounds[0].Passed() || !e.Rounds[1].Passed() {
			t.Errorf("%+v: a noise of %v, %q", c, e.Noise, roundReasons(e.Rounds))
		}
	}
}

// What every round does cannot hide behind noise: all rounds together are held to the bound alone.
func TestNoiseHidesNothingThatComesBack(t *testing.T) {
	e := inRounds(func(_ int, broken bool, due time.Duration) time.Duration {
		if broken || due >= 3*time.Second && due < 3040*ms {
			return 20 * ms
		}
		return 12 * ms
	})
	e.Rounds = judgeRounds(e, 3, nil)
	if passedRounds(e.Rounds) != 3 {
		t.Errorf("%q", roundReasons(e.Rounds))
	}
	got := strings.Join(smoothness(e.Faults, e.Samples, nil, nil, e.Length).reasons(e.Faults, 3), "; ")
	if !strings.Contains(got, "8.0 ms longer") {
		t.Errorf("%q", got)
	}
}
