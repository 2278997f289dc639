package drill

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast"
)

// stayBound is the longest pause of a shard that was led from a site which stayed, where others were lost. Its payments need none of
// those: a majority is left without an election. Three things take time all the same, and none has to do with the shard. The probes
// go to the nearest site, and when that is the lost one, its callers ask the next after 50 ms, or four times what is usual. All sites,
// cables and callers of a drill share one machine, on which other shards elect leaders just then. And its one disk stands still for a
// tenth of a second now and then. 200 ms is what the three take together; an election on top of them takes longer.
const stayBound = 200 * time.Millisecond

// StayBound is that at a round trip; it is never longer than the bound of the scenario.
func (s *Scenario) StayBound(rtt time.Duration) time.Duration {
	return min(s.Bound(rtt), s.stretched(cmp.Or(s.stay, stayBound), rtt))
}

// lossKinds are the faults that take sites away from the others, and nothing else: what is led from the rest goes on.
var lossKinds = []string{"site-cut", "site-kill", "site-stop", "one-way-cut", "two-sites-cut", "minority-side", "city-cut"}

// lost lists the sites that a fault takes away; none, when that is not what it does.
func (f *Fault) lost() (list []holdfast.SiteID) {
	if !slices.Contains(lossKinds, f.Kind) {
		return nil
	}
	for name := range strings.SplitSeq(f.Target, "+") {
		name, _, _ = strings.Cut(name, ":")
		for id := range holdfast.SiteID(MaxSites) {
			if strings.EqualFold(SiteName(id+1), name) {
				list = append(list, id+1)
			}
		}
	}
	return list
}

// spares reports whether a shard led from a site goes on without those that a fault takes away: they are a minority, and its leader is
// not among them.
func (f *Fault) spares(leader holdfast.SiteID, sites int) bool {
	lost := f.lost()
	return len(lost) > 0 && 2*len(lost) < sites && leader != 0 && !slices.Contains(lost, leader)
}

// longestStay is the longest pause of a shard that was spared; none: nobody was.
func longestStay(pauses []ShardPause) (longest time.Duration, spared bool) {
	for _, p := range pauses {
		if p.Stayed {
			longest, spared = max(longest, p.Pause), true
		}
	}
	return longest, spared
}

// waits reports whether a shard led from a site has to get another leader because of a fault that takes sites away.
func (f *Fault) waits(leader holdfast.SiteID) bool { return slices.Contains(f.lost(), leader) }

// lostPauses are the pauses, in milliseconds, of the shards that were led from what a fault took away, over all faults.
func (e *Evidence) lostPauses() (list []float64) {
	for i, pauses := range e.Pauses {
		for _, p := range pauses {
			if e.Faults[i].waits(p.From) {
				list = append(list, millis(p.Pause))
			}
		}
	}
	return list
}

// longestStay is that of all faults.
func (e *Evidence) longestStay() (longest time.Duration, spared bool) {
	for _, pauses := range e.Pauses {
		if d, some := longestStay(pauses); some {
			longest, spared = max(longest, d), true
		}
	}
	return longest, spared
}

// stays is what a fault allows the shards that should notice nothing: the bound is for one site that is lost, and callers who meet several of
// them go round one after the other, half as long each. A pause is measured from probe to probe.
func (f *Fault) stays(bound, gap time.Duration) time.Duration {
	further := max(len(f.lost())-1, 0)
	return bound + time.Duration(further)*bound/2 + gap
}

// disturbedStays tells of every shard that should have noticed nothing; gap is between two probes of one.
func disturbedStays(faults []Fault, pauses [][]ShardPause, bound, gap time.Duration) (out []string) {
	for i, list := range pauses {
		bound := faults[i].stays(bound, gap)
		for _, p := range list {
			if !p.Stayed || p.Pause-p.Stood <= bound {
				continue
			}
			why := ""
			if p.Moved {
				why = fmt.Sprintf(", and an election that nobody wanted: %s led next", SiteName(p.To))
			}
			out = append(out, fmt.Sprintf("%s of %s: shard %d was led from %s, which stayed, and yet had a pause of %.0f ms, above the bound of %.0f ms for such shards%s",
				faults[i].Kind, faults[i].Target, p.Shard, SiteName(p.From), millis(p.Pause), millis(bound), why))
		}
	}
	return out
}
