package drill

import (
	"context"
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"time"
)

// That nobody notices a broken carrier is to be so every time. A hundred runs of a drill of carriers would take most of an hour, and
// most of that goes into starting sites, opening accounts and reading everything back. So the faults may be played many times under
// one load: in rounds, each of which is judged by itself.

// MaxRounds is how many rounds a drill may have: above, what was measured no longer fits in memory.
const MaxRounds = 400

// roundLoad is how long a round after the first takes: two faults and times around them in which nothing is broken. The first takes as
// long as a drill of one round: the bytes of one carrier alone are measured in it. It is no part of the 10 s after which a site makes a
// checkpoint, or what that costs would be found in the same fault of every round.
const roundLoad = 5300 * time.Millisecond

// loadOf is how long the load of so many rounds takes.
func (s *Scenario) loadOf(rounds int) time.Duration {
	return s.Load + time.Duration(max(rounds-1, 0))*roundLoad
}

// turn is when a carrier is broken and mended, as shares of a round.
type turn struct{ from, until float64 }

// laterTurns are those of every round after the first: 1 s each, five times as long as a flap, and 1.5 s apart, as long as what was lost in
// a lossy carrier may come out after its heal.
var laterTurns = []turn{{0.2, 0.4}, {0.7, 0.9}}

// inTurn hurts one carrier after the other.
func (s *stage) inTurn(ctx context.Context, turns []turn, harm func(carrier int) carrierFault) error {
	for i, t := range turns {
		c := harm(i%s.carriers + 1)
		c.from, c.until = t.from, t.until
		if err := s.hurt(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// playRounds plays a scenario as often as was asked for. A round that cannot be played to its end has failed, and the next one is
// played all the same.
func (s *stage) playRounds(ctx context.Context, x *Scenario, rounds int) error {
	if rounds <= 1 {
		return x.play(ctx, s)
	}
	s.troubles, s.length = map[int]error{}, x.Load
	for n := range rounds {
		if n > 0 {
			s.round, s.begins, s.length = n, x.loadOf(n), roundLoad
		}
		if err := x.play(ctx, s); err != nil {
			s.troubles[n] = err
			if gone := s.fleet.net.do(orderHeal, 0); gone != nil || ctx.Err() != nil {
				return err
			}
		}
	}
	return nil
}

// Round is what came of one round.
type Round struct {
	Faults   []int // their places in the list of all
	Payments int   // that are judged
	P99      time.Duration
	Calm     time.Duration // the same while nothing was broken, just before, between and after
	Reasons  []string      // none: it has passed
}

// Passed reports that nobody could have noticed.
func (r *Round) Passed() bool { return len(r.Reasons) == 0 }

// Rise is how much longer 99 of 100 waited than while nothing was broken; below 0: shorter.
func (r *Round) Rise() time.Duration { return r.P99 - r.Calm }

// passedRounds counts.
func passedRounds(rounds []Round) (n int) {
	for i := range rounds {
		if rounds[i].Passed() {
			n++
		}
	}
	return n
}

// judgeRounds judges every round as a run of one would be.
func judgeRounds(e *Evidence, played int, troubles map[int]error) []Round {
	rounds := make([]Round, played)
	for i := range e.Faults {
		r := &rounds[e.Faults[i].round]
		r.Faults = append(r.Faults, i)
	}
	w := sortWaits(e.Faults, e.Samples, e.Stalls, e.Length)
	e.Noise = w.noise(usual(e, w))
	for n := range rounds {
		r := &rounds[n]
		if err := troubles[n]; err != nil {
			r.Reasons = append(r.Reasons, err.Error())
		}
		if len(r.Faults) == 0 {
			r.Reasons = append(r.Reasons, "nothing was broken in it")
			continue
		}
		r.disturbed(e)
		r.waited(e, w)
	}
	return rounds
}

// disturbed looks for elections that the drill itself has not forced, requests that failed, and pauses.
func (r *Round) disturbed(e *Evidence) {
	still := lapses(e.Traffic, listens(time.Duration(e.Result.RTTMillis*1e6)))
	for _, i := range r.Faults {
		f := &e.Result.Faults[i]
		elected := slices.DeleteFunc(anew(e.Reigns, felt(e.Faults, i, e.Length)), func(x Reign) bool { return during(still, x.From) != nil })
		if n := len(elected); n > 0 {
			r.Reasons = append(r.Reasons, fmt.Sprintf("%s in %s of %s", plural(n, "election"), f.Kind, f.Target))
		}
		if f.FailedRequests > 0 {
			r.Reasons = append(r.Reasons, fmt.Sprintf("%s in %s of %s", plural(f.FailedRequests, "failed request"), f.Kind, f.Target))
		}
		if f.PauseMillis > millis(e.Bound) {
			r.Reasons = append(r.Reasons, fmt.Sprintf("a pause of %.0f ms in %s of %s", f.PauseMillis, f.Kind, f.Target))
		}
	}
}

// waited compares how long callers waited. The single cut of the first round of some scenarios is there to measure bytes.
func (r *Round) waited(e *Evidence, w *waiting) {
	kind, left := e.Faults[r.Faults[len(r.Faults)-1]].Kind, 0
	var lists, calm [][]time.Duration
	for _, i := range r.Faults {
		if e.Faults[i].Kind == kind {
			lists, left = append(lists, w.faults[i]), left+w.left[i]
		}
	}
	near := r.near(e)
	for k, n := range w.normal {
		if n.until > near.from && n.from < near.until {
			calm = append(calm, w.calm[k])
		}
	}
	hurt, quiet := sorted(lists...), sorted(calm...)
	r.Payments, r.P99, r.Calm = len(hurt), Quantile(hurt, 0.99), Quantile(quiet, 0.99)
	switch {
	case len(hurt) == 0 || len(quiet) == 0:
		r.Reasons = append(r.Reasons, "nobody paid, so nothing is measured")
	case left > len(hurt):
		r.Reasons = append(r.Reasons, fmt.Sprintf("the machine stood still for most of it (%d of %d payments waited for that), so nothing is known", left, left+len(hurt)))
	case r.Rise() > riseBound+e.Noise:
		r.Reasons = append(r.Reasons, fmt.Sprintf("99 of 100 waited at most %.1f ms, %.1f ms longer than just before, between and after; %v pass, and %.1f ms by which the calm differs from itself",
			millis(r.P99), millis(r.Rise()), riseBound, millis(e.Noise)))
	}
}

// noiseBound is the most that is allowed for: what one hiccup of 50 ms does to the slowest hundredth of a round. A machine that varies by
// more cannot tell.
const noiseBound = 4 * riseBound

// noise is by how much 99 of 100 wait longer in some stretches without a fault than in those around them, the worst of all: what the judge
// would find where nothing was broken. The stretches are taken together until they have as many payments as the faults of a round: of
// so few, a hundredth is a handful, and one that waits for a disk is most of it. A fault that makes everybody wait in every round cannot
// hide in it: all rounds together are held to the bound without it.
func (w *waiting) noise(payments int) (worst time.Duration) {
	for first := range w.normal {
		var some, around [][]time.Duration
		n, last := 0, first
		for ; last < len(w.normal) && n < payments; last++ {
			some, n = append(some, w.calm[last]), n+len(w.calm[last])
		}
		if n < payments || payments == 0 {
			break
		}
		near := span{w.normal[first].from - roundLoad, w.normal[last-1].until + roundLoad}
		for k, x := range w.normal {
			if (k < first || k >= last) && x.until > near.from && x.from < near.until {
				around = append(around, w.calm[k])
			}
		}
		if len(around) > 0 {
			worst = max(worst, Quantile(sorted(some...), 0.99)-Quantile(sorted(around...), 0.99))
		}
	}
	return min(worst, noiseBound)
}

// usual is how many payments the faults of half of the rounds have.
func usual(e *Evidence, w *waiting) int {
	counts := map[int]int{}
	for i := range e.Faults {
		counts[e.Faults[i].round] += len(w.faults[i])
	}
	return Quantile(slices.Sorted(maps.Values(counts)), 0.5)
}

// near is the time from which the calm is taken that a round is compared with: the round, and as much before and after as one more. On a
// machine that others use too, what is normal changes within minutes.
func (r *Round) near(e *Evidence) span {
	first, last := r.Faults[0], r.Faults[len(r.Faults)-1]
	return span{e.Faults[first].At - roundLoad, felt(e.Faults, last, e.Length).until + roundLoad}
}

// roundReasons says which rounds failed, and why.
func roundReasons(rounds []Round) (out []string) {
	for n := range rounds {
		for _, why := range rounds[n].Reasons {
			out = append(out, fmt.Sprintf("round %d of %d: %s", n+1, len(rounds), why))
		}
	}
	return out
}

// roundWords sums the rounds up in a sentence.
func roundWords(e *Evidence) string {
	rises := make([]time.Duration, len(e.Rounds))
	for i := range e.Rounds {
		rises[i] = e.Rounds[i].Rise()
	}
	slices.Sort(rises)
	return fmt.Sprintf("%d of %d rounds passed. In half of them 99 of 100 waited %s than while nothing was broken, in the worst %s; %.1f ms longer passes, of which %.1f ms is what stretches without a fault differ by.",
		passedRounds(e.Rounds), len(e.Rounds), longer(millis(Quantile(rises, 0.5))), longer(millis(Quantile(rises, 1))), millis(riseBound+e.Noise), millis(e.Noise))
}

// Shown are the faults that are worth a line each: all, or of many rounds those of rounds that failed.
func (e *Evidence) Shown() (list []int) {
	for i := range e.Result.Faults {
		if len(e.Rounds) == 0 || !e.Rounds[e.Faults[i].round].Passed() {
			list = append(list, i)
		}
	}
	return list
}

// InRounds reports a scenario whose faults can be played many times under one load.
func (s *Scenario) InRounds() bool { return s.smooth }

// roundPlot shows how much longer callers waited in every round.
func roundPlot(e *Evidence, width float64) template.HTML {
	p := &plot{width: width, height: 200, left: 64, right: 18, top: 14, bottom: 26}
	fmt.Fprintf(&p.b, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="How much longer callers waited in every round">`, p.width, p.height)
	low, high := -millis(riseBound), 2*millis(riseBound)+millis(e.Noise)
	for i := range e.Rounds {
		low, high = min(low, millis(e.Rounds[i].Rise())), max(high, millis(e.Rounds[i].Rise()))
	}
	share := func(ms float64) float64 { return (ms - low) / (high - low) }
	step := millis(riseBound)
	for (high-low)/step > 6 {
		step *= 2
	}
	for at := math.Ceil(low/step) * step; at <= high; at += step {
		label := "0 ms"
		if at != 0 {
			label = fmt.Sprintf("%+.0f ms", at)
		}
		p.rule(share(at), label)
	}
	p.level("bound", share(millis(riseBound+e.Noise)))
	x := func(i int) float64 { return p.left + (p.width-p.left-p.right)*(float64(i)+0.5)/float64(len(e.Rounds)) }
	for i := range e.Rounds {
		r, class := &e.Rounds[i], "run"
		if !r.Passed() {
			class = "run failed"
		}
		fmt.Fprintf(&p.b, `<circle class="%s" cx="%.1f" cy="%.1f" r="3"><title>round %d: %+.1f ms</title></circle>`, class, x(i), p.y(share(millis(r.Rise()))), i+1, millis(r.Rise()))
	}
	for i := 0; i < len(e.Rounds); i += max(1, len(e.Rounds)*44/int(width)) {
		fmt.Fprintf(&p.b, `<text class="tick" text-anchor="middle" x="%.1f" y="%.1f">%d</text>`, x(i), p.y(0)+18, i+1)
	}
	return p.done()
}
