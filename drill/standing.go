package drill

import (
	"fmt"
	"time"

	"holdfast"
)

// Where people pay beside the load, their programs take processor time from the sites, and the machine is more often one on which nobody gets on:
// because a disk stands still, or because others have the processors. Nobody who waits for that waits for the fleet. So, as in the drills of carriers,
// the times in which everybody waited for the machine are left out when a pause is judged, and what passes stays what it is. Everything is told as it
// was, beside how much of it was left out.

// mostDark is the share of the load in which everybody may have waited for the machine: with more of it, what is left proves little.
const mostDark = 0.5

// lit is how much of a stretch of time is outside of those of a list, which are apart from each other.
func lit(dark []span, in span) time.Duration {
	left := in.until - in.from
	for _, s := range dark {
		left -= max(0, min(s.until, in.until)-max(s.from, in.from))
	}
	return left
}

// leaveOut works out, for each fault, how much of pauses and which failed requests are left out. A request that had less time than a pause may last,
// once that is left out, cannot be answered by its deadline.
func (e *Evidence) leaveOut() {
	dark := shadows(e.Stalls)
	worth := func(s span) time.Duration { return lit(dark, s) }
	for i := range e.Faults {
		until, f := windowOf(e.Faults, i, e.Length), &e.Result.Faults[i]
		worst := time.Duration(0)
		for k := range e.Pauses[i] {
			p := &e.Pauses[i][k]
			acks := acknowledged(e.Samples, []holdfast.ShardID{p.Shard})[p.Shard]
			clear := longest(within(acks, until, e.Length), e.Faults[i].At, until, worth)
			p.Stood, worst = p.Pause-clear, max(worst, clear)
		}
		f.stood = max(0, f.PauseMillis-millis(worst))
		if until == e.Length {
			until = forever
		}
		f.excused = excused(e.Samples, dark, e.Faults[i].At, until, e.Bound)
	}
}

// excused counts the failed requests whose deadline passed within a window, and that had less time than the bound of a pause.
func excused(samples []Sample, dark []span, from, until, bound time.Duration) (n int) {
	for i := range samples {
		s := &samples[i]
		if s.failed() && s.Ended >= from && s.Ended < until && lit(dark, span{s.Due, s.Ended}) < bound {
			n++
		}
	}
	return n
}

// darkness is the share of the load in which everybody waited for the machine.
func (e *Evidence) darkness() float64 {
	if e.Length <= 0 {
		return 0
	}
	return 1 - float64(lit(shadows(e.Stalls), span{0, e.Length}))/float64(e.Length)
}

// tooDark says so when little is left that could be judged.
func (e *Evidence) tooDark() []string {
	if e.darkness() <= mostDark {
		return nil
	}
	return []string{fmt.Sprintf("everybody waited for the machine itself for %.0f %% of the time: what is left proves little", 100*e.darkness())}
}
