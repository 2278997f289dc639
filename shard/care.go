package shard

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"

	"holdfast"
)

// CareBounds say when a disk is too slow or too full to lead on. The zero value is replaced by the defaults.
type CareBounds struct {
	// Write is how long one write may be under way, beyond the time that its size explains (64 MiB/s). 0: 400 ms: disks that are shared stand still
	// for a third of a second now and then, and an election costs about as much as it would save.
	Write time.Duration
	// Median is how long half of the writes of the last two seconds may take, likewise. 0: 50 ms.
	Median time.Duration
	// Uneven is the median from which on a disk is compared with those of the others: one that takes ten times as long as that of a
	// follower gives its leaderships to it. 0: 20 ms.
	Uneven time.Duration
	// CoolDown is how long a disk has to be well before its site takes leaderships again. 0: 10 s.
	CoolDown time.Duration
}

func (b CareBounds) withDefaults() CareBounds {
	b.Write = orElse(b.Write, 400*time.Millisecond)
	b.Median = orElse(b.Median, 50*time.Millisecond)
	b.Uneven = orElse(b.Uneven, 20*time.Millisecond)
	b.CoolDown = orElse(b.CoolDown, 10*time.Second)
	return b
}

const (
	careWindow  = 2 * time.Second // of writes that count
	careSamples = 5               // a median of fewer says nothing
	careKept    = 512             // writes that are remembered
	careRatio   = 10              // of two medians
	slowRatio   = 3               // of what a sick disk takes and what another takes, for that to be better
	careRate    = 64 << 20        // bytes a second that any disk is expected to write
	// yieldPause is how long a hand-over is given before another one is tried.
	yieldPause = time.Second
	// yieldWithin is how long payments may be kept waiting for a hand-over from a full disk.
	yieldWithin = 3 * time.Second
)

// Health is what a site says of its disk, its processor and its carriers to one that looks for somebody to lead in its stead.
type Health struct {
	Site   holdfast.SiteID
	Full   bool          // new work would be refused there
	Sick   bool          // a write hangs, or they take too long
	Hangs  bool          // the first of the two
	Well   bool          // neither, nor deaf, nor has it given anything up because it was slow or starved, for some time already: the site takes leaderships
	Median time.Duration // of the writes of the last two seconds; 0: there were hardly any
	// Slowest is what the slowest of them took, or the one under way has taken so far.
	Slowest time.Duration
	// Lost is how much of the last two seconds the process there did not run, although it had something to do.
	Lost    time.Duration
	Starved bool // that was a large share of them, and lately
	Deaf    bool // what it sends and hears comes late on every carrier, to and from so many sites that the others are no majority
	Narrow  bool // some site does not answer it, and answers another one; it tells nobody
	// Reach are the sites that answer it, for some time already.
	Reach []holdfast.SiteID
}

// Care watches the disk of one site, and what else keeps it from leading well, and decides when its leaderships have to go elsewhere. It is a step function: now is any
// clock that does not jump. Not safe for concurrent use.
type Care struct {
	bounds  CareBounds
	writes  []doneWrite // a ring
	next    int
	began   time.Duration // of the write under way
	bytes   int           // of it
	busy    bool
	lag     lag
	hearing hearing
	reach   Reach
	worse   bool // starved or narrow, and another site was not: for as long as it lasts. On a busy machine all are, and all stay what they are
	full    bool
	looked  time.Duration // when Look was called last; 0: never
	filled  bool          // it was full at the last look
	since   time.Duration // of being full
	trouble time.Duration // when it was full, sick or too slow last
	ever    bool          // it was so at all
	asked   time.Duration
	once    bool // somebody was asked
	tries   map[holdfast.ShardID]time.Duration
	grew    map[grower]uint64 // where the logs of followers ended when the hang that lasts was noticed
}

// grower is a follower in one shard.
type grower struct {
	shard   holdfast.ShardID
	replica ReplicaID
}

type doneWrite struct{ at, took time.Duration }

// NewCare begins with a disk that is well.
func NewCare(b CareBounds) *Care {
	return &Care{bounds: b.withDefaults(), tries: map[holdfast.ShardID]time.Duration{}, grew: map[grower]uint64{}}
}

// WriteBegins notes that a write of so many bytes was handed to the disk; one is under way at a time.
func (c *Care) WriteBegins(now time.Duration, bytes int) { c.began, c.bytes, c.busy = now, bytes, true }

// WriteEnds notes that it is durable.
func (c *Care) WriteEnds(now time.Duration) {
	if !c.busy {
		return
	}
	w := doneWrite{now, c.beyond(now)}
	c.busy = false
	if len(c.writes) < careKept {
		c.writes = append(c.writes, w)
		return
	}
	c.writes[c.next] = w
	c.next = (c.next + 1) % careKept
}

// beyond is how much longer the write under way has taken than its size explains.
func (c *Care) beyond(now time.Duration) time.Duration {
	return max(now-c.began-time.Duration(c.bytes)*time.Second/careRate, 0)
}

// Space notes whether the disk is nearly full.
func (c *Care) Space(full bool) { c.full = full }

// Late notes that the clock of the shards has ticked so much later than it was asked to.
func (c *Care) Late(now, late time.Duration) { c.lag.note(now, late) }

// Hears notes that of so many other sites some are heard badly, on every carrier: to be called a few times a second.
func (c *Care) Hears(now time.Duration, others, badly int) { c.hearing.note(now, others, badly) }

// Reaches notes which sites answer this one: to be called a few times a second.
func (c *Care) Reaches(r Reach) { c.reach = r }

// recent is the median of the writes of the last two seconds, and the slowest.
func (c *Care) recent(now time.Duration) (median, slowest time.Duration) {
	var took []time.Duration
	if c.busy {
		slowest = c.beyond(now)
	}
	for _, w := range c.writes {
		if now-w.at <= careWindow {
			took = append(took, w.took)
			slowest = max(slowest, w.took)
		}
	}
	if len(took) < careSamples {
		return 0, slowest
	}
	slices.Sort(took)
	return took[len(took)/2], slowest
}

// lateLook is the time after the last look from which on nobody can tell whether the disk was slow or the process did not run.
const lateLook = 100 * time.Millisecond

// Look judges the disk. It has to be called every few hundredths of a second, also when nothing is written: the time of a write in
// which nobody looked does not count, because then this process was stopped or starved, and the disk may have been done long ago.
func (c *Care) Look(site holdfast.SiteID, now time.Duration) Health {
	if gap := now - max(c.looked, c.began); c.looked > 0 && gap > lateLook {
		c.began += gap - lateLook
	}
	c.looked = now
	h := Health{Site: site, Full: c.full}
	h.Median, h.Slowest = c.recent(now)
	h.Hangs = c.busy && c.beyond(now) > c.bounds.Write
	if !h.Hangs {
		clear(c.grew)
	}
	h.Sick = h.Hangs || h.Median > c.bounds.Median
	if h.Full && !c.filled {
		c.since = now
	}
	c.filled = h.Full
	h.Lost, h.Starved = c.lag.look(now)
	h.Deaf = c.hearing.deaf(now)
	h.Narrow, h.Reach = len(c.reach.Missing) > 0, c.reach.Steady
	c.worse = c.worse && (h.Starved || h.Narrow)
	relapsed := c.ever && now-c.trouble < calm && (h.Starved || h.Narrow) // others need not be asked whether they are better off
	if h.Full || h.Sick || h.Deaf || c.worse || relapsed {
		c.ever, c.trouble = true, now
	}
	h.Well = !c.ever || now-c.trouble >= c.bounds.CoolDown || PlantedTroubleForgotten && h.able()
	return h
}

// Calm reports whether nothing can come of looking again before the next write begins or the space changes: the disk is well, and nothing
// was written for so long that no write counts any more.
func (c *Care) Calm(now time.Duration) bool {
	if _, starved := c.lag.look(now); starved || !c.hearing.quiet() {
		return false
	}
	if c.busy || c.full || c.filled || c.ever && now-c.trouble < c.bounds.CoolDown+careWindow {
		return false
	}
	return !slices.ContainsFunc(c.writes, func(w doneWrite) bool { return now-w.at <= careWindow })
}

// Asks reports whether it is time to ask the others for their health, because a shard that is led here may have to go. own is what
// Look has just said.
func (c *Care) Asks(own Health, now time.Duration) bool {
	pause := yieldPause / 4
	if own.Hangs {
		pause = yieldPause / 20 // nobody is answered meanwhile
	}
	if own.able() && own.Median < c.bounds.Uneven {
		if !own.Narrow {
			return false
		}
		pause = yieldPause // it can last for days, and most of what is asked for goes on
	}
	if c.once && now-c.asked < pause {
		return false
	}
	c.once, c.asked = true, now
	return true
}

// able reports that nothing is wrong with a site, unless its disk is slow beside others, or it is answered by fewer.
func (h Health) able() bool { return !h.Full && !h.Sick && !h.Starved && !h.Deaf }

// Yield is what to do with a shard that is led here.
type Yield struct {
	// To is the replica to hand over to now; 0: none.
	To ReplicaID
	// Refuse: there is nobody with space who could lead, so new work has to be refused while the disk here is full.
	Refuse bool
}

// Decide says where the leadership of a shard should go. node is the status of the leader here, others what the other sites
// have answered. It names only a voter that is caught up, at a site that is well by its own word; among those one that is answered by
// most voters, and of several the one with the fastest disk.
func (c *Care) Decide(id holdfast.ShardID, own Health, node NodeStatus, others []Health, now time.Duration) Yield {
	var heir Progress
	var best Health
	most := 0
	near := false // somebody could lead, if not now
	for _, f := range node.Followers {
		h, ok := c.fit(own, node, f, others)
		if ok && !own.Full && !c.proven(id, own, h, f) {
			continue
		}
		if !ok {
			continue
		}
		near = true
		reached := reached(node, own.Site, f.Site, h.Reach)
		if f.UpToDate && (heir.Replica == 0 || reached > most || reached == most && h.Median < best.Median) {
			heir, best, most = f, h, reached
		}
	}
	if heir.Replica == 0 {
		return Yield{Refuse: !near || now-c.since > yieldWithin}
	}
	if last, tried := c.tries[id]; tried && now-last < yieldPause {
		return Yield{Refuse: now-c.since > yieldWithin}
	}
	c.tries[id] = now
	c.worse = own.Starved || own.Narrow
	if own.able() || c.worse { // slow beside the others: that as well takes time to be over
		c.ever, c.trouble = true, now
	}
	return Yield{To: heir.Replica, Refuse: now-c.since > yieldWithin}
}

// Compare looks whether a starved site is worse off than another one, also when nothing is led here any more: an election may have taken
// it before there was anything to hand over, and the others would send it home.
func (c *Care) Compare(own Health, others []Health, now time.Duration) {
	if own.Starved && slices.ContainsFunc(others, func(h Health) bool { return h.able() && h.Lost <= own.Lost/lagRatio }) {
		c.worse, c.ever, c.trouble = true, true, now
	}
}

// fit tells whether a follower's site would lead better than this one. That it has just answered is a better sign of life than
// the library's, which forgets once in an election time-out who is active.
func (c *Care) fit(own Health, node NodeStatus, f Progress, others []Health) (Health, bool) {
	if f.Role&Voter == 0 {
		return Health{}, false
	}
	i := slices.IndexFunc(others, func(h Health) bool { return h.Site == f.Site })
	if i < 0 || !others[i].Well || !others[i].able() && !PlantedStarvedAnyway {
		return Health{}, false
	}
	theirs := others[i].Median
	slower := own.Median >= c.bounds.Uneven && theirs > 0 && own.Median > careRatio*theirs
	starved := own.Starved && (PlantedStarvedAnyway || others[i].Lost <= own.Lost/lagRatio) // a machine that is busy starves them all
	wider := own.Narrow && reached(node, own.Site, f.Site, others[i].Reach) > reached(node, own.Site, own.Site, c.reach.Held)
	return others[i], own.Full || own.Sick || slower || starved || own.Deaf || wider
}

// reached is how many voters of a shard answer a site that is answered by so many, itself included. A leader that counts less than
// another one hands over to it and then counts for less still: so it never comes back for this, and goes round in no circle.
func reached(node NodeStatus, leader, site holdfast.SiteID, by []holdfast.SiteID) (n int) {
	for _, f := range node.Followers {
		if f.Role&Voter != 0 && (f.Site == site || slices.Contains(by, f.Site)) {
			n++
		}
	}
	if leader == site || slices.Contains(by, leader) {
		n++
	}
	return n
}

// proven reports whether a follower's disk does better than the sick one here with the same work. A word that all is well is no proof:
// when disks hang together (one machine, one array, one power supply), the follower has only not noticed yet, and an election would
// be one more thing that waits for its disk. So it must not have been nearly as slow lately, and its log has to have grown since the
// hang was noticed here.
func (c *Care) proven(id holdfast.ShardID, own, theirs Health, f Progress) bool {
	if !own.Hangs {
		return !own.Sick || theirs.Median > 0 && own.Median > slowRatio*theirs.Median
	}
	k := grower{id, f.Replica}
	seen, ok := c.grew[k]
	if !ok {
		c.grew[k] = f.Match
		return false
	}
	return f.Match > seen && own.Slowest > slowRatio*theirs.Slowest
}

const (
	healthVersion = 1
	// unheardOf is as slow as it gets: what a site of an earlier version does not say is no proof that its disk is better.
	unheardOf = time.Duration(math.MaxInt64 / slowRatio)
)

// Append appends the binary form: version, site, flags, median, slowest and lost in nanoseconds, and how many sites answer, with their
// numbers.
func (h Health) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(append(b, healthVersion), uint16(h.Site))
	flags := byte(0)
	for i, set := range []bool{h.Full, h.Sick, h.Well, h.Hangs, h.Starved, h.Deaf} {
		if set {
			flags |= 1 << i
		}
	}
	b = binary.BigEndian.AppendUint64(append(b, flags), uint64(h.Median))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Slowest))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Lost))
	return AppendSites(b, h.Reach)
}

// AppendSites appends how many sites there are, at most 255, and their numbers.
func AppendSites(b []byte, list []holdfast.SiteID) []byte {
	list = list[:min(len(list), math.MaxUint8)]
	b = append(b, byte(len(list)))
	for _, id := range list {
		b = binary.BigEndian.AppendUint16(b, uint16(id))
	}
	return b
}

// ParseSites reads what AppendSites wrote, and gives back what follows; none: it is cut short.
func ParseSites(b []byte) (list []holdfast.SiteID, rest []byte) {
	if len(b) == 0 || len(b) < 1+2*int(b[0]) {
		return nil, nil
	}
	for n := range int(b[0]) {
		list = append(list, holdfast.SiteID(binary.BigEndian.Uint16(b[1+2*n:])))
	}
	return list, b[1+2*len(list):]
}

var errHealth = errors.New("a site's health is cut short or of another version")

// ParseHealth reads what Append wrote.
func ParseHealth(b []byte) (Health, error) {
	if len(b) < 12 || b[0] != healthVersion {
		return Health{}, errHealth
	}
	slowest, lost := unheardOf, unheardOf
	if len(b) >= 20 {
		slowest = time.Duration(min(binary.BigEndian.Uint64(b[12:]), uint64(unheardOf)))
	}
	if len(b) >= 28 {
		lost = time.Duration(min(binary.BigEndian.Uint64(b[20:]), uint64(unheardOf)))
	}
	reach, _ := ParseSites(b[min(len(b), 28):])
	return Health{
		Site: holdfast.SiteID(binary.BigEndian.Uint16(b[1:])), Full: b[3]&1 != 0, Sick: b[3]&2 != 0, Well: b[3]&4 != 0, Hangs: b[3]&8 != 0,
		Median: time.Duration(binary.BigEndian.Uint64(b[4:])), Slowest: slowest, Lost: lost,
		Starved: b[3]&16 != 0, Deaf: b[3]&32 != 0, Reach: reach,
	}, nil
}
