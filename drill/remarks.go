package drill

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Remarks says in words what else is known of a fault, a sentence each.
func (e *Evidence) Remarks(fault int) (out []string) {
	out = e.remarks(fault, everyPause)
	for _, c := range e.Forecast {
		if c.Fault == fault {
			out = append(out, c.remarks()...)
		}
	}
	return out
}

// remarks leaves the forecast out.
func (e *Evidence) remarks(fault int, tell func([]ShardPause) string) (out []string) {
	if fault < len(e.Pauses) {
		out = append(out, pauseWords(e.Pauses[fault], tell)...)
	}
	if fault < len(e.Result.Faults) {
		f := &e.Result.Faults[fault]
		if f.stood >= 1 {
			out = append(out, fmt.Sprintf("without what everybody waited for a machine that stood still: longest pause %.0f ms", f.PauseMillis-f.stood))
		}
		if f.excused > 0 {
			out = append(out, fmt.Sprintf("%s had no time left, because the machine stood still", plural(f.excused, "failed request")))
		}
	}
	if fault < len(e.Faults) && e.Faults[fault].back > 0 {
		out = append(out, fmt.Sprintf("every carrier was in use again %.0f ms after the heal", millis(e.Faults[fault].back)))
	}
	for i := range e.Sick {
		if e.Sick[i].Fault == fault {
			out = append(out, e.Sick[i].remark())
		}
	}
	for i := range e.Moves {
		if e.Moves[i].Fault == fault {
			out = append(out, e.Moves[i].remark())
		}
	}
	if e.Smooth != nil {
		for i := range e.Smooth.Faults {
			if w := &e.Smooth.Faults[i]; w.Fault == fault {
				out = append(out, fmt.Sprintf("99 of 100 waited at most %.1f ms, %s than while nothing was broken", millis(w.P99), noLonger(millis(e.Smooth.Rise(w.P99)))))
			}
		}
	}
	return out
}

func (c *Comparison) remarks() (out []string) {
	for _, g := range c.Grouped() {
		out = append(out, fmt.Sprintf("foretold of %s: %s; fact: %s", g.Names(), g.Foretold, g.Fact()))
	}
	if c.Pause > 0 {
		out = append(out, fmt.Sprintf("foretold: a pause of about %.0f ms, at most %.0f ms; fact: %.0f ms", millis(c.Pause), millis(c.Worst), millis(c.Moved)))
	}
	for _, what := range c.Missed {
		out = append(out, "forecast missed: "+what)
	}
	if words := c.loadWords(); words != "" {
		out = append(out, words)
	}
	return out
}

// loadWords says who was to carry how much of the load, and did; of a loss after which nothing moves there is nothing to say.
func (c *Comparison) loadWords() string {
	if c.Pause == 0 || len(c.Loads) == 0 {
		return ""
	}
	var said, did []string
	for _, l := range c.Loads {
		said = append(said, fmt.Sprintf("%s %.0f %%", SiteName(l.Site), 100*l.Foretold))
		did = append(did, fmt.Sprintf("%.0f %%", 100*l.Fact))
	}
	return fmt.Sprintf("foretold of the load, on average: %s; fact: %s", strings.Join(said, ", "), strings.Join(did, ", "))
}

// noLonger is longer without the number of what is below zero: that somebody waited shorter than usual says something of the machine, and
// nothing of one fault.
func noLonger(ms float64) string {
	if ms <= 0 {
		return "no longer"
	}
	return longer(ms)
}

func longer(ms float64) string {
	if ms < 0 {
		return fmt.Sprintf("%.1f ms shorter", -ms)
	}
	return fmt.Sprintf("%.1f ms longer", ms)
}

// Comparisons says in words what was compared over the whole run, a sentence each.
func (e *Evidence) Comparisons() (out []string) {
	if q := latencies(e.Samples, crossed); q.p50 > 0 && e.Result.RTTMillis > 0 {
		out = append(out, fmt.Sprintf("Half of the payments from one shard to another were answered in %.1f ms (%.1f round trips), 99 of 100 in %.1f ms.",
			millis(q.p50), millis(q.p50)/e.Result.RTTMillis, millis(q.p99)))
	}
	if e.Result.Shards > 1 {
		out = append(out, fmt.Sprintf("%s orders a second, and a probe of each shard every %v: pauses are measured to within that, and never too short.",
			thousands(int64(e.Rate)), e.ProbeGap.Round(100*time.Microsecond)))
	}
	if words := tardiness(e.Traffic); words != "" {
		out = append(out, words)
	}
	out = append(out, e.Forced...)
	if s := e.Smooth; s != nil {
		out = append(out, fmt.Sprintf("While nothing was broken, half of the callers waited at most %.1f ms, 99 of 100 at most %.1f ms (%.1f to %.1f ms from stretch to stretch).",
			millis(s.P50), millis(s.P99), millis(s.Quiet.Least), millis(s.Quiet.Most)))
		for _, k := range s.judged() {
			if k.Faults > 1 {
				out = append(out, fmt.Sprintf("In all %d faults of %s, 99 of 100 waited at most %.1f ms: %s.", k.Faults, k.Kind, millis(k.P99), longer(millis(s.Rise(k.P99)))))
			}
		}
		if s.StoodCalm+s.StoodFaults > 0 {
			out = append(out, fmt.Sprintf("The machine itself stood still for %.1f %% of the time while nothing was broken, and for %.1f %% of that in the faults: who waited for that is left out.",
				100*s.StoodCalm, 100*s.StoodFaults))
		}
		if len(e.Rounds) > 0 {
			out = append(out, roundWords(e))
		}
		if s.Cost() > 0 {
			out = append(out, fmt.Sprintf("%s bytes for a payment over all carriers, %s over one alone: %.2f times as many.", thousands(int64(s.All)), thousands(int64(s.Alone)), s.Cost()))
		}
	}
	if dark := e.darkness(); dark >= 0.001 && e.Scenario.peopled() {
		out = append(out, fmt.Sprintf("The machine itself stood still, and everybody waited for it, for %.1f %% of the time: that is left out of what is judged.", 100*dark))
	}
	if s := e.Stranded; s != nil {
		var codes []string
		for _, code := range slices.Sorted(maps.Keys(s.Codes)) {
			codes = append(codes, fmt.Sprintf("%s %d", code, s.Codes[code]))
		}
		out = append(out, fmt.Sprintf("Clients on the wrong side asked %s times: %s honest answers within %v, the slowest after %.0f ms (%s).",
			thousands(int64(s.Asked)), thousands(int64(s.Honest)), s.Within, millis(s.Longest), strings.Join(codes, ", ")))
	}
	return out
}
