package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast"
	"holdfast/shard"
)

// ward lets sites be sick, of what is drawn from the seed, one at a time and nothing else is wrong: they go on, and are no good leaders.
// Whether what they lead goes to others, stays there, and comes home in time is what is checked. What a site measures of its carriers is
// told to it as it is, for the link is no part of a run; disk, clock, answers and everything that is decided on them are.
type ward struct {
	f       *fleet
	ill     illness
	patient *process // nil: nobody has been sick yet
	began   time.Duration
	ended   time.Duration // 0: it lasts
	led     []holdfast.ShardID
	spells  int // of the same patient before, as all others have noticed them
	all     int // of anybody, before: some of the others may take each of them for a failure of the patient
	left    map[holdfast.ShardID]bool
	leaders map[holdfast.ShardID]int // since it began
	plan    []spell
	over    bool
	stats   SickStats
}

// SickStats counts what happened in runs with sick sites, so that a test can see that everything was tried.
type SickStats struct {
	Starved, SlowDisks, Lossy, Unheard, Pairs, AllStarved, Returns int // spells, by what they were
	Relapses, Left, Home                                           int // spells of the same patient; shards that left it, that came home
}

func (s *SickStats) add(o *SickStats) {
	for _, x := range []struct{ to, from *int }{
		{&s.Starved, &o.Starved},
		{&s.SlowDisks, &o.SlowDisks},
		{&s.Lossy, &o.Lossy},
		{&s.Unheard, &o.Unheard},
		{&s.Pairs, &o.Pairs},
		{&s.AllStarved, &o.AllStarved},
		{&s.Returns, &o.Returns},
		{&s.Relapses, &o.Relapses},
		{&s.Left, &o.Left},
		{&s.Home, &o.Home},
	} {
		*x.to += *x.from
	}
}

// illness is one way to be sick. A leader has to leave within, unless it is alike for all: then nobody moves.
type illness struct {
	name   string
	within time.Duration
	alike  bool
	begin  func(w *ward, p *process)
	count  func(*SickStats) *int
}

var illnesses = []illness{
	{"starved", 5 * time.Second, false, (*ward).starve, func(s *SickStats) *int { return &s.Starved }},
	{"has a slow disk", 6 * time.Second, false, (*ward).slow, func(s *SickStats) *int { return &s.SlowDisks }},
	{"loses frames", 9 * time.Second, false, (*ward).lose, func(s *SickStats) *int { return &s.Lossy }},
	{"is not heard by one", 4 * time.Second, false, (*ward).unheard, func(s *SickStats) *int { return &s.Unheard }},
	{"has lost one", 4 * time.Second, false, (*ward).pair, func(s *SickStats) *int { return &s.Pairs }},
	{"starved, and so are all", 0, true, (*ward).starveAll, func(s *SickStats) *int { return &s.AllStarved }},
	{"reached later than others by one that comes back", 0, true, (*ward).returns, func(s *SickStats) *int { return &s.Returns }},
}

// spell is one time of being sick, and the time of being well before it.
type spell struct {
	well, sick time.Duration
	ill        illness
	other      bool // it may be another patient
}

const (
	wardFrom     = 9 * time.Second // all are at home by then
	coolDown     = 10 * time.Second
	homePatience = 5 * time.Second
	homeBetween  = 500 * time.Millisecond
	visitPause   = 240 * time.Millisecond
	// wardSlack is what messages and looks take.
	wardSlack = 100 * time.Millisecond
	// homeSlack is by how much later it may be home: a clock that has to run for seconds again, moves one after the other.
	homeSlack = 7 * time.Second
	// mostLeaders is how often a shard may get another leader in one spell: a carrier that loses frames costs elections too.
	mostLeaders = 3
)

func newWard(f *fleet) *ward {
	w := &ward{f: f}
	f.net.longest = 6 * time.Millisecond
	f.think, f.bulk = 400*time.Millisecond, 0 // seconds pass, in which there has to be something to do, and not much
	for range 2 + f.e.rng.IntN(2) {
		s := spell{ill: pick(f.e.rng, illnesses), sick: f.e.between(10*time.Second, 14*time.Second), other: f.e.chance(0.3)}
		// Sick again before it calls itself well, or when it is at home: and not so that nobody can say which.
		s.well = pick(f.e.rng, []time.Duration{6 * time.Second, 30 * time.Second})
		if s.other || s.ill.alike {
			s.well = 40 * time.Second
		}
		w.plan = append(w.plan, s)
	}
	w.plan[0].well = wardFrom
	for _, p := range f.sites {
		p.told = map[holdfast.SiteID]word{}
	}
	return w
}

func (w *ward) start() {
	for _, p := range w.f.sites {
		p.after(w.f.e.between(0, visitPause), p.visit)
	}
	w.f.e.after(w.plan[0].well, w.next)
}

// run lets everything happen that is planned.
func (w *ward) run() {
	for !w.over && w.f.e.step() {
		w.f.stats.Steps++
	}
}

// next begins what is planned next.
func (w *ward) next() {
	s := w.plan[0]
	w.plan = w.plan[1:]
	first := w.patient == nil || s.other || s.ill.alike || w.ill.alike // of what all have nobody takes one for sick
	if first {
		p, _ := w.f.faults.leader()
		if p == nil {
			w.f.e.fail("well-leads", "nobody leads, and nobody is sick")
			return
		}
		w.patient, w.spells = p, 0
	}
	w.ill, w.began, w.ended, w.led = s.ill, w.f.e.now, 0, nil
	w.left, w.leaders = map[holdfast.ShardID]bool{}, map[holdfast.ShardID]int{}
	for _, r := range w.patient.replicas {
		if r.core.Leader().Self {
			w.led = append(w.led, r.shard)
		}
	}
	if !s.ill.alike {
		if !first {
			w.stats.Relapses++
			if s.well > coolDown {
				w.spells++
			}
		}
		for i := range w.f.shards { // what it has lost before is kept from it as well
			w.left[holdfast.ShardID(i+1)] = !slices.Contains(w.led, holdfast.ShardID(i+1))
		}
	}
	*s.ill.count(&w.stats)++
	w.f.e.logf("site %d %s for %s, for the %d. time", w.patient.site, s.ill.name, s.sick, w.spells+1)
	s.ill.begin(w, w.patient)
	w.f.e.after(s.sick, w.end)
}

// end is the end of a spell.
func (w *ward) end() {
	w.f.e.logf("site %d is well", w.patient.site)
	w.ended = w.f.e.now
	for _, p := range w.f.sites {
		p.slow = 0
	}
	w.f.net.heal()
	w.f.net.late = 0
	home := coolDown + homePatience<<w.all + homeSlack
	w.all++
	wait := home
	if len(w.plan) > 0 {
		wait = w.plan[0].well
	}
	w.f.e.after(wait, func() {
		if wait >= home {
			w.atHome()
		}
		if w.f.e.failed == nil && len(w.plan) > 0 {
			w.next()
			return
		}
		w.over = true
	})
}

// sick reports whether a spell lasts.
func (w *ward) sick() bool { return w.patient != nil && w.ended == 0 }

// keep is for how long the patient has to be well before it is given anything back.
func (w *ward) keep() time.Duration {
	if w.ill.alike {
		return 0
	}
	return coolDown + homePatience<<w.spells
}

// elected is told of every leader. One that is lost in an election before anybody can tell that the site is sick may be given back.
func (w *ward) elected(r *replica) {
	if w == nil || w.patient == nil || w.ill.alike { // an election may take it anywhere
		return
	}
	w.leaders[r.shard]++
	most := mostLeaders
	if w.ended > 0 {
		most++ // it goes home
	}
	if n := w.leaders[r.shard]; n > most {
		w.f.e.fail("ping-pong", "shard %d has got %d leaders since site %d %s, %s ago", r.shard, n, w.patient.site, w.ill.name, w.f.e.now-w.began)
	}
	switch {
	case r.p != w.patient:
		if !w.left[r.shard] {
			w.stats.Left++
		}
		w.left[r.shard] = true
	case w.left[r.shard] && w.f.e.now >= w.began+w.ill.within && (w.ended == 0 || w.f.e.now < w.ended+w.keep()-wardSlack):
		w.f.e.fail("kept-out", "site %d leads shard %d, and %s: it is well for %s, and has to be for %s (for the %d. time)",
			r.p.site, r.shard, w.ill.name, w.wellFor(), w.keep(), w.spells+1)
	}
}

func (w *ward) wellFor() time.Duration {
	if w.ended == 0 {
		return 0
	}
	return w.f.e.now - w.ended
}

// yielded is told of every hand-over by who is sick, or full.
func (w *ward) yielded(r *replica) {
	if w != nil && w.patient != nil && w.ill.alike && w.f.e.now > w.began {
		w.f.e.fail("alike", "site %d hands over shard %d, and the others are no better off: %s", r.p.site, r.shard, w.ill.name)
	}
}

// check sees to it that a site that is well leads, soon after another one has fallen ill.
func (w *ward) check(p *process) {
	if !w.sick() || p != w.patient || w.ill.alike || w.f.e.now < w.began+w.ill.within {
		return
	}
	for _, r := range p.replicas {
		if r.core.Leader().Self {
			w.f.e.fail("well-leads", "site %d %s for %s, and still leads shard %d", p.site, w.ill.name, w.f.e.now-w.began, r.shard)
		}
	}
}

// atHome checks that every shard is led from its home, when all have been well for long.
func (w *ward) atHome() {
	for i := range w.f.shards {
		id := holdfast.ShardID(i + 1)
		r := w.f.sites[w.f.home(id)-1].replicas[i]
		if !r.core.Leader().Self {
			w.f.e.fail("home", "shard %d is not led from its home, site %d: site %d is well for %s", id, r.p.site, w.patient.site, w.wellFor())
			return
		}
	}
	w.stats.Home += len(w.led)
}

// stutter stops a process again and again, as long as the spell lasts.
func (w *ward) stutter(p *process, still, each time.Duration) {
	began := w.began
	var again func()
	again = func() {
		if w.sick() && w.began == began {
			p.paused = w.f.e.now + still
			w.f.e.after(each, again)
		}
	}
	w.f.e.after(w.f.e.between(0, each), again)
}

func (w *ward) starve(p *process) { w.stutter(p, 80*time.Millisecond, 100*time.Millisecond) }

func (w *ward) starveAll(*process) {
	for _, p := range w.f.sites {
		w.starve(p)
	}
}

func (w *ward) slow(p *process) { p.slow = w.f.e.between(80*time.Millisecond, 300*time.Millisecond) }

func (w *ward) lose(p *process) { w.f.net.late = p.site }

// another draws a site that is not this one.
func (w *ward) another(p *process) *process {
	return w.f.sites[(int(p.site)+w.f.e.rng.IntN(len(w.f.sites)-1))%len(w.f.sites)]
}

func (w *ward) unheard(p *process) { w.f.net.cut[p.site][w.another(p).site] = true }

func (w *ward) pair(p *process) {
	other := w.another(p)
	w.f.net.cut[p.site][other.site], w.f.net.cut[other.site][p.site] = true, true
}

// returns cuts off a follower from all, and lets the leader be the last one that reaches it again.
func (w *ward) returns(p *process) {
	away, began := w.another(p), w.began
	w.f.net.isolate(away.site, true, true)
	w.f.e.after(4*time.Second, func() {
		if w.sick() && w.began == began {
			w.f.net.heal()
			w.f.net.cut[p.site][away.site] = true
			w.f.e.after(w.f.e.between(time.Second, 2*time.Second), w.f.net.heal)
		}
	})
}

// home is the site where a shard is at home.
func (f *fleet) home(id holdfast.ShardID) holdfast.SiteID {
	return holdfast.SiteID((int(id)-1)%len(f.sites) + 1)
}

// word is what a site has said of itself.
type word struct {
	well  bool
	reach []holdfast.SiteID
	at    time.Duration
}

// pulse tells the others what this site says of itself.
func (p *process) pulse(well bool) {
	for _, other := range p.f.sites {
		if other != p {
			w := word{well, p.reach.Steady, p.f.e.now}
			p.f.net.send(p.site, other.site, func() {
				if w.at >= other.told[p.site].at {
					other.told[p.site] = w
				}
			})
		}
	}
}

// visit is what package site does a few times a second: it looks who answers, tells the host, and sends home what is at home elsewhere.
func (p *process) visit() {
	now, badly := p.f.e.now, 0
	for _, other := range p.f.sites {
		if other == p {
			continue
		}
		cut := p.f.net.cut[p.site][other.site] || p.f.net.cut[other.site][p.site]
		if cut {
			delete(p.told, other.site) // when it answers again, it may be another one than it was
		}
		p.contacts.Note(now, other.site, !cut)
		if p.f.net.late == p.site || p.f.net.late == other.site {
			badly++
		}
		p.homing.Note(now, other.site, !cut && p.told[other.site].well)
	}
	p.care.Hears(now, len(p.f.sites)-1, badly)
	p.reach = p.contacts.Look(now, func(id holdfast.SiteID) []holdfast.SiteID { return p.told[id].reach })
	p.care.Reaches(p.reach)
	p.pulse(p.care.Look(p.site, now).Well)
	if g, ok := p.homing.Move(now, p.guests()); ok {
		p.sendHome(g)
	}
	p.f.ward.check(p)
	p.after(visitPause, p.visit)
}

// guests are the shards that are led here and at home elsewhere.
func (p *process) guests() (list []shard.Guest) {
	for _, r := range p.replicas {
		home := p.f.home(r.shard)
		if home == p.site || !r.core.Leader().Self {
			continue
		}
		status, err := r.core.Status()
		if r.failed(err) {
			return nil
		}
		list = append(list, shard.Guest{Shard: r.shard, Home: home, UpToDate: slices.ContainsFunc(status.Followers, func(f shard.Progress) bool {
			return f.Site == home && f.Role&shard.Voter != 0 && f.UpToDate
		})})
	}
	return list
}

func (p *process) sendHome(g shard.Guest) {
	r := p.replicas[g.Shard-1]
	for _, m := range r.core.Members().List {
		if m.Site == g.Home {
			p.f.e.logf("site %d sends shard %d home to site %d", p.site, g.Shard, g.Home)
			if err := r.core.TransferTo(m.Replica); err != nil && !tolerable(err) {
				r.failed(err)
				return
			}
		}
	}
	r.pump()
}

// String tells a plan in words, for a trace.
func (w *ward) String() string {
	var words []string
	for _, s := range w.plan {
		words = append(words, fmt.Sprintf("%s well, %s %s", s.well, s.ill.name, s.sick))
	}
	return strings.Join(words, ", ")
}
