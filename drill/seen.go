package drill

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast"
	"holdfast/fault"
	"holdfast/site"
)

// A fault that does not happen looks like a fleet that bears it well. So every fault is looked at itself, with other means than those by
// which it is done: by what came over the cables, by what the system says of a process, by who leads. What has to be seen of it is
// listed here for every kind; a fault of which it was not seen proves nothing, and fails the drill.

// signs are what has to be seen of a fault of each kind. Each says in words what is missing; "" nothing.
var signs = map[string][]func(*Fault, *surroundings) string{
	"site-cut":         {silence, succession},
	"two-sites-cut":    {silence, succession},
	"minority-side":    {silence, succession},
	"city-cut":         {silence, succession},
	"one-way-cut":      {silence, succession},
	"learner-cut":      {silence},
	"site-kill":        {ended(killed), succession},
	"site-stop":        {standstills, succession},
	"restart":          {ended(inOrder), revival, succession},
	"all-kill":         {ended(killed), revival, election},
	"leader-handover":  {obedience},
	"carrier-cut":      {silence},
	"carrier-cut-pair": {silence},
	"carrier-one-way":  {silence},
	"carrier-lossy":    {lateness},
	"carrier-flap":     {flapping},
	"site-add":         {turned},
	"site-replace":     {turned},
	"site-retire":      {turned},
	"site-promote":     {turned},
	"site-demote":      {turned},
	"slot-move":        {turned},
	"shard-split":      {turned},
	"busy-machine":     {hunger},
	"leader-starved":   {stuttering, leaving, homecoming},
	"leader-slow-disk": {slowness, leaving, homecoming},
	"leader-lossy":     {lateness, leaving, homecoming},
	"leader-unheard":   {silence, leaving, homecoming},
	"leader-http-hang": {hanging},
	bankKill:           {ended(killed), revival},
	bankRefuse:         {turned},
	bankLie:            {turned},
}

// sighting is what was seen of a fault itself, apart from what it did to payments.
type sighting struct {
	trouble error             // the cables, or a site, did not say
	sites   []holdfast.SiteID // that it takes from all others
	fleet   int               // how many sites there were
	before  fault.Passage     // over the cables that it is about, until then
	struck  fault.Passage     // when it had begun
	atEnd   fault.Passage     // when it was about to end
	lives   []life            // of the processes that it is about
	heir    holdfast.SiteID   // who was ordered to lead the first shard
	was, is string            // something that an order was to change
	must    string            // into what
	stills  int               // how often a process was found stopped
	disk    time.Duration     // that half of the writes of the site took at least, as it says
	mute    bool              // its API did not answer
	within  time.Duration     // in which a sick site has to give up what it leads; 0: it has not
	keep    time.Duration     // for how long after it is well it must not get that back
	work    []float64         // share of one core that each process took that was to keep one busy
}

// life is a process, as the system knows it.
type life struct {
	name  string
	pid   int    // when the fault began
	death string // how that process ended; "" it has not
	still bool   // stopped by a signal, just before the fault ended
	next  int    // the process of the site when the fault was over
}

// surroundings are what a fault is judged by besides its own sighting.
type surroundings struct {
	reigns []Reign
	until  time.Duration // when the next fault began, or this one ended if it was later; or the end of everything
}

// unseen tells of every fault of which it was not seen that it happened.
func unseen(faults []Fault, reigns []Reign, end time.Duration) (out []string) {
	for i := range faults {
		f := &faults[i]
		around := &surroundings{reigns, end}
		if i+1 < len(faults) && f.Healed > 0 {
			around.until = max(f.Healed, faults[i+1].At)
		}
		if missing := f.missing(around); len(missing) > 0 {
			out = append(out, fmt.Sprintf("%s of %s proves nothing: %s", f.Kind, f.Target, strings.Join(missing, "; ")))
		}
	}
	return out
}

func (f *Fault) missing(around *surroundings) (list []string) {
	wanted, known := signs[f.Kind]
	if !known {
		return []string{"nobody has said what has to be seen of such a fault"}
	}
	if f.seen.trouble != nil {
		return []string{fmt.Sprintf("it could not be looked at: %v", f.seen.trouble)}
	}
	for _, sign := range wanted {
		if what := sign(f, around); what != "" {
			list = append(list, what)
		}
	}
	return list
}

// silence is that nothing comes over cables over which much came before.
func silence(f *Fault, _ *surroundings) string {
	s := &f.seen
	if s.before.Delivered == 0 {
		return "nothing had come over its cables before either"
	}
	if n := s.atEnd.Delivered - s.struck.Delivered; n > 0 {
		return fmt.Sprintf("%s came over cables that were to be cut", plural(int(n), "byte"))
	}
	return ""
}

// lateness is that something came late.
func lateness(f *Fault, _ *surroundings) string {
	if f.seen.atEnd.Delayed == f.seen.before.Delayed {
		return "nothing came late"
	}
	return ""
}

// flapping is that every flow was cut more than once.
func flapping(f *Fault, _ *surroundings) string {
	s := &f.seen
	if n := s.atEnd.Cuts - s.before.Cuts; s.atEnd.Flows == 0 || n < uint64(2*s.atEnd.Flows) {
		return fmt.Sprintf("%s were cut %s in all", plural(s.atEnd.Flows, "flow"), plural(int(n), "time"))
	}
	return ""
}

// ended is that every process ended, in that way.
func ended(how string) func(*Fault, *surroundings) string {
	return ofLives(func(l *life) string {
		switch l.death {
		case how:
			return ""
		case "":
			return fmt.Sprintf("%s runs on (process %d)", l.name, l.pid)
		}
		return fmt.Sprintf("%s ended otherwise (process %d): %s", l.name, l.pid, l.death)
	})
}

var (
	// revival is that every site has another process in the end.
	revival = ofLives(func(l *life) string {
		if l.next == 0 || l.next == l.pid {
			return fmt.Sprintf("%s has no new process", l.name)
		}
		return ""
	})
	// standstills is that every process was stopped.
	standstills = ofLives(func(l *life) string {
		if !l.still {
			return fmt.Sprintf("%s was not stopped (process %d)", l.name, l.pid)
		}
		return ""
	})
)

func ofLives(missing func(*life) string) func(*Fault, *surroundings) string {
	return func(f *Fault, _ *surroundings) string {
		if len(f.seen.lives) == 0 {
			return "no process was looked at"
		}
		var list []string
		for i := range f.seen.lives {
			if what := missing(&f.seen.lives[i]); what != "" {
				list = append(list, what)
			}
		}
		return strings.Join(list, ", ")
	}
}

// succession is that every shard which was led from the sites that were lost got a leader elsewhere. Where less than a majority is left
// there is nobody to lead.
func succession(f *Fault, around *surroundings) string {
	s := &f.seen
	if 2*(s.fleet-len(s.sites)) <= s.fleet {
		return ""
	}
	var list []string
	for _, shard := range shardsOf(around.reigns) {
		before := ledBy(around.reigns, shard, f.At)
		if !slices.Contains(s.sites, before) {
			continue
		}
		if !slices.ContainsFunc(around.reigns, func(r Reign) bool {
			return r.Shard == shard && r.From >= f.At && r.From < around.until && !slices.Contains(s.sites, r.Site)
		}) {
			list = append(list, fmt.Sprintf("shard %d was led by %s and got no other leader", shard, SiteName(before)))
		}
	}
	return strings.Join(list, ", ")
}

// election is that every shard elected somebody.
func election(f *Fault, around *surroundings) string {
	var list []string
	for _, shard := range shardsOf(around.reigns) {
		if !slices.ContainsFunc(around.reigns, func(r Reign) bool { return r.Shard == shard && r.From >= f.At && r.From < around.until }) {
			list = append(list, fmt.Sprintf("shard %d elected nobody", shard))
		}
	}
	return strings.Join(list, ", ")
}

// obedience is that the site leads the first shard which was ordered to.
func obedience(f *Fault, around *surroundings) string {
	heir := f.seen.heir
	if !slices.ContainsFunc(around.reigns, func(r Reign) bool { return r.Shard == 1 && r.Site == heir && r.From >= f.At && r.From < around.until }) {
		return fmt.Sprintf("shard 1 was not led by %s", SiteName(heir))
	}
	return ""
}

// turned is that something has changed into what it was ordered to.
func turned(f *Fault, _ *surroundings) string {
	if s := &f.seen; s.must == "" || s.was == s.must || s.is != s.must {
		return fmt.Sprintf("it was %q and is %q, and was to become %q", s.was, s.is, s.must)
	}
	return ""
}

// leastWork is which share of a core a process gets that never rests, on a machine with many others: less, and it was none.
const leastWork = 0.02

// hunger is that the processes beside the sites kept cores busy.
func hunger(f *Fault, _ *surroundings) string {
	if len(f.seen.work) == 0 {
		return "no process ran beside the sites"
	}
	if least := slices.Min(f.seen.work); least < leastWork {
		return fmt.Sprintf("a process that was to keep a core busy took %.1f %% of one", 100*least)
	}
	return ""
}

func shardsOf(reigns []Reign) (list []holdfast.ShardID) {
	for _, r := range reigns {
		if !slices.Contains(list, r.Shard) {
			list = append(list, r.Shard)
		}
	}
	return list
}

// lookout looks at a fault while it lasts.
type lookout struct {
	stage *stage
	fault int    // its place in the list
	flows *flows // of the cables that it is about; nil: none
	procs []*member
}

// lookAt begins to look at a fault, before anything is broken: at what comes over the cables, and at the processes of the sites that it
// takes from the others.
func (s *stage) lookAt(i int, f *flows, sites ...holdfast.SiteID) *lookout {
	l := &lookout{stage: s, fault: i, flows: f}
	for _, m := range s.fleet.sites {
		if slices.Contains(sites, m.id) {
			l.procs = append(l.procs, m)
		}
	}
	before, err := l.count()
	l.note(err, func(x *sighting) {
		x.sites, x.fleet, x.before = sites, len(s.fleet.sites), before
		for _, m := range l.procs {
			x.lives = append(x.lives, life{name: m.name, pid: m.proc.pid()})
		}
	})
	return l
}

// struck looks when the fault has been done.
func (l *lookout) struck() {
	now, err := l.count()
	l.note(err, func(x *sighting) { x.struck = now })
}

// ending looks just before it is mended.
func (l *lookout) ending() {
	now, err := l.count()
	l.note(err, func(x *sighting) {
		x.atEnd = now
		for i := range x.lives {
			x.lives[i].still = standsStill(x.lives[i].pid)
		}
	})
}

// over looks when it has been mended.
func (l *lookout) over() {
	l.note(nil, func(x *sighting) {
		for i, m := range l.procs {
			x.lives[i].death = m.proc.death(x.lives[i].pid).how
			if m.proc.running() {
				x.lives[i].next = m.proc.pid()
			}
		}
	})
}

func (l *lookout) count() (fault.Passage, error) {
	if l.flows == nil {
		return fault.Passage{}, nil
	}
	return l.stage.fleet.net.passed(l.flows)
}

func (l *lookout) note(err error, edit func(*sighting)) { l.stage.see(l.fault, err, edit) }

// see writes down what was seen of a fault.
func (s *stage) see(i int, err error, edit func(*sighting)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i >= len(s.faults) {
		return // it never began
	}
	x := &s.faults[i].seen
	if err != nil && x.trouble == nil {
		x.trouble = err
	}
	edit(x)
}

const (
	listed   = "one of the fleet"
	copies   = "a copy without a vote"
	unlisted = "none of the fleet"
)

// membership is what a site is in the fleet, as another one says that nothing is wrong with.
func (s *stage) membership(ctx context.Context, id holdfast.SiteID) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, payDeadline)
	defer cancel()
	f, err := s.whole(id).own.Fleet(ctx)
	if err != nil {
		return "", err
	}
	switch at := f.Site(id); {
	case at == nil:
		return unlisted, nil
	case at.Role == string(site.RoleLearner):
		return copies, nil
	}
	return listed, nil
}

// becomes is what membership is after a change: not every site knows at the same moment.
func (s *stage) becomes(ctx context.Context, id holdfast.SiteID, must string) (is string, err error) {
	ctx, cancel := context.WithTimeout(ctx, pictureTime)
	defer cancel()
	for {
		is, err = s.membership(ctx, id)
		if is == must || rest(ctx, 5*pollPause) != nil {
			return is, err
		}
	}
}

// place is the shard of a slot, as a site says that nothing is wrong with.
func (s *stage) place(ctx context.Context, slot holdfast.Slot) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, payDeadline)
	defer cancel()
	m, err := s.whole().own.ShardMap(ctx)
	if err != nil {
		return "", err
	}
	for _, x := range m.Shards {
		for _, r := range x.Slots {
			if r.From <= slot && slot <= r.To {
				return inShard(x.Shard), nil
			}
		}
	}
	return "nowhere", nil
}

func inShard(id holdfast.ShardID) string { return fmt.Sprintf("in shard %d", id) }
