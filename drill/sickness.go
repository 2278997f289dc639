package drill

import (
	"fmt"
	"slices"
	"time"

	"holdfast"
)

// Sickness is what became of the shards that were led from a site when it fell ill.
type Sickness struct {
	Fault  int
	Shards int
	Left   time.Duration // from the beginning until the last of them was led by another one; forever: it was not
	After  time.Duration // the longest pause of one of them from then on
	Away   time.Duration // from the end until the first of them was led from there again, negative when it was before; forever: it was not
	Within time.Duration // in which they had to be led by another one
	Keep   time.Duration // for how long they had to be kept away
}

// clockPlay is by how much a site may be earlier than what is written down here.
const clockPlay = 100 * time.Millisecond

// sicknesses measures the faults in which a site was sick.
func sicknesses(faults []Fault, samples []Sample, reigns []Reign, end time.Duration) (list []Sickness) {
	for i := range faults {
		f := &faults[i]
		if f.seen.keep == 0 || f.Healed == 0 {
			continue
		}
		until := end
		if i+1 < len(faults) {
			until = faults[i+1].At
		}
		x := Sickness{Fault: i, Within: f.seen.within, Keep: f.seen.keep, Away: forever}
		for _, shard := range shardsOf(reigns) {
			if slices.Contains(f.seen.sites, ledBy(reigns, shard, f.At)) {
				x.take(f, shard, samples, reigns, until, end)
			}
		}
		list = append(list, x)
	}
	return list
}

// take adds what became of one shard.
func (x *Sickness) take(f *Fault, shard holdfast.ShardID, samples []Sample, reigns []Reign, until, end time.Duration) {
	x.Shards++
	left, back := forever, forever
	for _, r := range reigns {
		sick := slices.Contains(f.seen.sites, r.Site)
		switch {
		case r.Shard != shard || r.From < f.At || r.From >= until:
		case !sick:
			left = min(left, r.From)
		case left < forever:
			back = min(back, r.From)
		}
	}
	if back < forever {
		x.Away = min(x.Away, back-f.Healed)
	}
	if left == forever {
		x.Left = forever
		return
	}
	x.Left = max(x.Left, left-f.At)
	acks := acknowledged(samples, []holdfast.ShardID{shard})[shard]
	x.After = max(x.After, pause(within(acks, until, end), left, until))
}

// uncured tells of every site that held on to what it led while it was sick, or got it back too soon. One that did not get it back is told of
// by homecoming.
func uncured(list []Sickness, faults []Fault) (out []string) {
	for i := range list {
		x, f := &list[i], &faults[list[i].Fault]
		if x.Left > x.Within {
			after := "not at all"
			if x.Left < forever {
				after = fmt.Sprintf("after %.0f ms", millis(x.Left))
			}
			out = append(out, fmt.Sprintf("%s of %s: what it led was led by others %s, and not within %v", f.Kind, f.Target, after, x.Within))
		}
		if x.Away < x.Keep-clockPlay {
			out = append(out, fmt.Sprintf("%s of %s: it led again %.1f s after it was well, sooner than %v", f.Kind, f.Target, x.Away.Seconds(), x.Keep))
		}
	}
	return out
}

func (x *Sickness) remark() string {
	if x.Left == forever || x.Away == forever {
		return "it did not hand over, or was not given back what it led"
	}
	return fmt.Sprintf("%s led from the sick site had other leaders after %.0f ms, and from then on no pause above %.0f ms; it led again %.1f s after it was well (%v at least)",
		plural(x.Shards, "shard"), millis(x.Left), millis(x.After), x.Away.Seconds(), x.Keep)
}
