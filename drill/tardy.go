package drill

import (
	"fmt"
	"time"

	"holdfast"
	"holdfast/site"
)

// What the cables do late is no fault of the sites. A drill whose cables get no processor for longer than a site listens for its leader
// has cut its whole fleet without wanting to; it counts what the fleet does then apart from what it does for no reason, and says both.

const (
	// tardyWorth is what is worth telling: much more than a process waits for a processor that is not overloaded.
	tardyWorth = 20 * time.Millisecond
	// tardyAfter is for how long an election may follow on a standstill: votes that are split cost a time-out each.
	tardyAfter = time.Second
)

// lapse is a stretch in which the cables stood still for so long that a site must take its leader for lost.
type lapse struct {
	span
	long time.Duration
}

// lapses lists them. patience is the shortest silence after which a leader is suspected, less the time between two signs of life.
func lapses(reads []Reading, patience time.Duration) (list []lapse) {
	last := time.Duration(0)
	for _, r := range reads {
		if r.Tardy >= patience {
			list = append(list, lapse{span{last - r.Tardy, r.At + tardyAfter}, r.Tardy})
		}
		last = r.At
	}
	return list
}

// listens is that patience of the sites of a drill.
func listens(rtt time.Duration) time.Duration {
	t := site.Default().Timing
	t.ElectionTicks = electionTicks(rtt, t.Tick.Std(), t.ElectionTicks)
	return t.Election() - t.Heartbeat()
}

// elections tells of every election since the start of the load, where there was no reason for any: those that nobody wanted, and
// those that the cables' own standstills forced. A site that is elected again counts as well: its payments waited.
func elections(reigns []Reign, still []lapse) (unwanted, forced []string) {
	seen := map[holdfast.ShardID]Reign{}
	for _, r := range reigns {
		old, again := seen[r.Shard]
		seen[r.Shard] = r
		if !again || r.From < 0 {
			continue
		}
		what := fmt.Sprintf("%s of term %d was followed by %s of term %d, %.1f s after the start",
			SiteName(old.Site), old.Term, SiteName(r.Site), r.Term, r.From.Seconds())
		if s := during(still, r.From); s != nil {
			forced = append(forced, fmt.Sprintf("Shard %d: an election that the drill forced, because its cables stood still for %.0f ms: %s.", r.Shard, millis(s.long), what))
		} else {
			unwanted = append(unwanted, fmt.Sprintf("shard %d: an election that nobody wanted: %s", r.Shard, what))
		}
	}
	return unwanted, forced
}

func during(list []lapse, at time.Duration) *lapse {
	for i := range list {
		if list[i].has(at) {
			return &list[i]
		}
	}
	return nil
}

// tardiness says in words how late the cables were; "" when it is not worth telling.
func tardiness(reads []Reading) string {
	var worst Reading
	times := 0
	for _, r := range reads {
		if r.Tardy >= tardyWorth {
			times++
		}
		if r.Tardy > worst.Tardy {
			worst = r
		}
	}
	if times == 0 {
		return ""
	}
	return fmt.Sprintf("The cables themselves stood still for %v or more, for want of a processor: %s, the longest for %.0f ms, %.1f s after the start.",
		tardyWorth, plural(times, "time"), millis(worst.Tardy), worst.At.Seconds())
}
