package drill

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"holdfast"
)

// What is wrong with a site that is sick: it goes on, and is no good leader any more.
const (
	Starved   Damage = "starved" // it gets hardly any processor
	SlowDisk  Damage = "slow disk"
	LosesAll  Damage = "lossy"             // on every carrier
	HalfHeard Damage = "answers only some" // one of the others does not hear it
	HTTPHangs Damage = "HTTP hangs"
)

// sickScenarios are those in which a site that leads is sick. Each waits at the end until the site is at home again: what it was sick of may
// take 3 s to be over, for 10 s more it does not call itself well, then the others wait for 5 s, and send it one shard every half second.
var sickScenarios = []Scenario{
	{
		Name: "sick-leader", Story: "The site that leads is stopped for four fifths of each moment, as if starved of processor: it hands over by itself, and comes home when it was well for a while.",
		Load: sickLoad, bound: stammerBound, play: playSick(starving), sick: true,
	},
	{
		Name: "sick-disk", Story: "Every write of the site that leads takes 150 ms longer: it hands over by itself, and comes home when it was well for a while.",
		Load: sickLoad, bound: failoverBound, play: playSick(slowDisk150), sick: true,
	},
	{
		Name: "sick-link", Story: "Of all that the site that leads sends and hears, 40 % comes late by 200 ms or more, on every carrier: it is not left to lead, and comes home when it was well for a while.",
		Load: sickLoad, bound: payDeadline, play: playSick(lossy), sick: true,
	},
	{
		Name: "sick-answers", Story: "The site that leads is not heard by one of the others: it hands over to the third by itself, and comes home; later its HTTP API hangs, and callers go round it.",
		Load: sickLoad + 8*time.Second, bound: failoverBound, play: playSickAnswers, sick: true,
	},
	{
		Name: "sick-relapse", Story: "The disk of the site that leads is slow, and well, and slow again when it is home: then it is kept out for longer.",
		Load: relapseLoad, bound: failoverBound, play: playSick(slowDisk150, slowDisk150), sick: true,
	},
}

// withSick puts them where the faults of one site are listed.
func withSick(list []Scenario) []Scenario {
	i := slices.IndexFunc(list, func(s Scenario) bool { return s.Name == "leader-handover" })
	return slices.Insert(list, i, sickScenarios...)
}

const (
	// stammerBound is the longest pause beside a leader that is heard now and then: it is lost in an election, and stands again, before it
	// is known to be sick. One that loses frames on all carriers does so for longer, in each of the shards: there it is the time in which every
	// caller still gets an answer.
	stammerBound = 1500 * time.Millisecond
	sickLoad     = 40 * time.Second
	relapseLoad  = 72 * time.Second
	// sickTime is how long a site is sick: to hand over, and then to see for some seconds that nobody gives anything back.
	sickTime = 9 * time.Second
	// homeTime is how long its way home may take, after a first relapse.
	homeTime = 30 * time.Second
	// coolDown is for how long a site says that it is not well after it was sick; see shard.CareBounds.
	coolDown = 10 * time.Second
)

const (
	// Of a tenth of a second a starved process runs for a fifth: too little to lead well, and enough to send every heartbeat.
	starveStill = 80 * time.Millisecond
	starveRun   = 20 * time.Millisecond
	// leastStills is how often it has to be found stopped: in a second.
	leastStills = 10
	// slowDisk is how much longer every write takes: many times what it does, and less than what is taken for a disk that hangs.
	slowDisk = 150 * time.Millisecond
	// sickShare is how much comes late on every carrier of a site that loses frames, by lostLate.
	sickShare = 0.4
)

// ailment is one way to be sick.
type ailment struct {
	fault  func(s *stage, id holdfast.SiteID) *Fault // what it is called
	within time.Duration                             // in which the site has to hand over
	flows  func(s *stage, id holdfast.SiteID) *flows // that it is about; nil: none
	harm   func(*stage, context.Context, *member) error
	mend   func(*stage, context.Context, *member) error
}

var (
	starving = ailment{
		fault: func(*stage, holdfast.SiteID) *Fault { return &Fault{Kind: "leader-starved", Target: "starved"} }, within: 4 * time.Second,
		harm: (*stage).starve, mend: (*stage).feed,
	}
	slowDisk150 = ailment{
		fault: func(*stage, holdfast.SiteID) *Fault { return &Fault{Kind: "leader-slow-disk", Target: "disk"} }, within: 5 * time.Second,
		harm: (*stage).slowDown, mend: (*stage).speedUp,
	}
	lossy = ailment{
		fault: func(*stage, holdfast.SiteID) *Fault { return &Fault{Kind: "leader-lossy", Target: "lossy"} }, within: 5 * time.Second,
		flows: func(_ *stage, id holdfast.SiteID) *flows { return &flows{From: []holdfast.SiteID{id}, Both: true} },
		harm:  (*stage).loseAll, mend: (*stage).loseNothing,
	}
	unheard = ailment{
		fault: func(s *stage, id holdfast.SiteID) *Fault {
			return &Fault{Kind: "leader-unheard", Target: "by-" + strings.ToLower(SiteName(s.other(id)))}
		}, within: 3 * time.Second,
		flows: (*stage).toOneOther, harm: (*stage).silence, mend: (*stage).loseNothing,
	}
)

// playSick lets the site that leads be sick, once for each ailment, and wait in between until it is at home again.
func playSick(list ...ailment) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		if err := s.until(ctx, 0.06); err != nil {
			return err
		}
		for n := range list {
			if err := s.ails(ctx, &list[n], n); err != nil {
				return err
			}
		}
		return nil
	}
}

// ails lets the site that leads be sick of something, for the n-th time (from 0), and waits until it is at home again.
func (s *stage) ails(ctx context.Context, x *ailment, n int) error {
	id := s.leader(ctx)
	if id == 0 {
		return errNoLeader
	}
	led := s.throne.ledFrom(id)
	f := x.fault(s, id)
	var cables *flows
	if x.flows != nil {
		cables = x.flows(s, id)
	}
	harm := func(ctx context.Context, m *member) error {
		s.see(len(s.history())-1, nil, func(seen *sighting) {
			seen.within, seen.keep = x.within, coolDown+s.fleet.made[0].Timing.Home.Std()<<n
		})
		return x.harm(s, ctx, m)
	}
	mend := func(ctx context.Context, m *member) error { return x.mend(s, ctx, m) }
	target := strings.ToLower(s.fleet.site(id).name) + ":" + f.Target // no loss that could be foretold
	if err := s.breaks(ctx, f.Kind, target, id, cables, s.shareAfter(sickTime), harm, mend); err != nil {
		return err
	}
	return s.home(ctx, id, led)
}

// shareAfter is the share of the load that will have passed after some time.
func (s *stage) shareAfter(d time.Duration) float64 {
	return float64(s.clock()-s.begins+d) / float64(s.length)
}

// home waits until a site leads again what it led. One that does not come home is not what this has to tell: see homecoming.
func (s *stage) home(ctx context.Context, id holdfast.SiteID, led []holdfast.ShardID) error {
	ctx, cancel := context.WithTimeout(ctx, homeTime)
	defer cancel()
	for slices.ContainsFunc(led, func(shard holdfast.ShardID) bool { return s.throne.leader(shard) != id }) {
		if rest(ctx, pollPause) != nil {
			return nil
		}
	}
	return rest(ctx, 1500*time.Millisecond)
}

// ledFrom lists the shards that a site is known to lead.
func (t *throne) ledFrom(id holdfast.SiteID) (list []holdfast.ShardID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for shard, r := range t.now {
		if r.Site == id {
			list = append(list, shard)
		}
	}
	slices.Sort(list)
	return list
}

// toOneOther is what goes from a site to the first of the others.
func (s *stage) toOneOther(id holdfast.SiteID) *flows {
	return &flows{From: []holdfast.SiteID{id}, To: []holdfast.SiteID{s.other(id)}}
}

func (s *stage) silence(_ context.Context, m *member) error {
	s.fleet.mark(m.id, HalfHeard)
	return s.fleet.net.order(order{Do: orderCutFlows, Flows: s.toOneOther(m.id)})
}

func (s *stage) loseAll(_ context.Context, m *member) error {
	s.fleet.mark(m.id, LosesAll)
	return s.fleet.net.order(order{
		Do: orderLossy, Flows: &flows{From: []holdfast.SiteID{m.id}, Both: true}, Share: sickShare, Delay: lostLate, Seed: s.rand.Uint64(),
	})
}

func (s *stage) loseNothing(_ context.Context, m *member) error {
	s.fleet.mark(m.id, Whole)
	return s.fleet.net.do(orderHeal, 0)
}

// playSickAnswers: a leader that one of the others does not hear cannot answer there, and another one can. One whose HTTP hangs still answers
// all that comes over the links, so it goes on to lead: what is to be shown is that callers go round it.
func playSickAnswers(ctx context.Context, s *stage) error {
	if err := playSick(unheard)(ctx, s); err != nil {
		return err
	}
	id := s.leader(ctx)
	if id == 0 {
		return errNoLeader
	}
	target := strings.ToLower(s.fleet.site(id).name) + ":http"
	return s.breaks(ctx, "leader-http-hang", target, id, nil, s.shareAfter(4*time.Second), s.hang, s.answer)
}

// rehearsalFile is what tells a site which trouble to make for itself.
func (f *fleet) rehearsalFile(name string) string { return filepath.Join(f.dir, name+".trouble.toml") }

// serveArgs is how a site is started.
func (f *fleet) serveArgs(config, name string) []string {
	args := []string{"serve", "--config", config}
	if f.rehearse {
		args = append(args, "--rehearse", f.rehearsalFile(name))
	}
	return args
}

// rehearse tells a site which trouble to make for itself: at once, or not at all.
func (s *stage) rehearse(m *member, trouble string) error {
	return s.fleet.trouble(m, trouble)
}

// trouble is rehearse without a stage.
func (f *fleet) trouble(m *member, trouble string) error {
	file := f.rehearsalFile(strings.ToLower(m.name))
	if err := os.WriteFile(file+".new", []byte(trouble), 0o600); err != nil {
		return fmt.Errorf("tell %s its trouble: %w", m.name, err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("tell %s its trouble: %w", m.name, err)
	}
	return nil
}

func (s *stage) slowDown(_ context.Context, m *member) error {
	s.fleet.mark(m.id, SlowDisk)
	return s.rehearse(m, fmt.Sprintf("write_delay = %q\n", slowDisk))
}

// speedUp ends it, and looks before what the site has measured itself: nobody else sees its disk.
func (s *stage) speedUp(ctx context.Context, m *member) error {
	ask, cancel := context.WithTimeout(ctx, payDeadline)
	defer cancel()
	sites, err := m.own.Sites(ask)
	s.see(len(s.history())-1, err, func(seen *sighting) {
		for i := range sites {
			if sites[i].Self {
				seen.disk = time.Duration(sites[i].DiskWrite * float64(time.Millisecond))
			}
		}
	})
	s.fleet.mark(m.id, Whole)
	return s.rehearse(m, "")
}

func (s *stage) hang(_ context.Context, m *member) error {
	s.fleet.mark(m.id, HTTPHangs)
	return s.rehearse(m, "http_hangs = true\n")
}

// answer ends it, and looks before whether the API of the site answers.
func (s *stage) answer(ctx context.Context, m *member) error {
	ask, cancel := context.WithTimeout(ctx, payDeadline/4)
	defer cancel()
	err := m.own.Ready(ask)
	s.see(len(s.history())-1, nil, func(seen *sighting) { seen.mute = err != nil })
	s.fleet.mark(m.id, Whole)
	return s.rehearse(m, "")
}

// slowness is that the disk of the site was as slow as it was told to be.
func slowness(f *Fault, _ *surroundings) string {
	if f.seen.disk < slowDisk {
		return fmt.Sprintf("half of its writes took %.0f ms at least", millis(f.seen.disk))
	}
	return ""
}

// hanging is that the API of the site did not answer.
func hanging(f *Fault, _ *surroundings) string {
	if !f.seen.mute {
		return "its API answered"
	}
	return ""
}

// stutter is a process that is stopped again and again.
type stutter struct {
	cancel context.CancelFunc
	done   chan struct{}
	stills int // how often it was found stopped
	err    error
}

func (s *stage) starve(ctx context.Context, m *member) error {
	ctx, cancel := context.WithCancel(ctx)
	x := &stutter{cancel: cancel, done: make(chan struct{})}
	s.stutter = x
	s.fleet.mark(m.id, Starved)
	go func() { // feed waits for it; the end of the drill ends it too
		defer close(x.done)
		x.err = x.run(ctx, m.proc)
	}()
	return nil
}

// run leaves the process running, whatever ends it.
func (x *stutter) run(ctx context.Context, p *process) error {
	for ctx.Err() == nil {
		if err := p.freeze(); err != nil {
			return err
		}
		_ = rest(ctx, starveStill)
		if standsStill(p.pid()) {
			x.stills++
		}
		if err := p.thaw(); err != nil {
			return err
		}
		_ = rest(ctx, starveRun)
	}
	return nil
}

func (s *stage) feed(_ context.Context, m *member) error {
	x := s.stutter
	x.cancel()
	<-x.done
	s.fleet.mark(m.id, Whole)
	s.see(len(s.faults)-1, x.err, func(seen *sighting) { seen.stills = x.stills })
	return nil
}

// stuttering is that a process was found stopped again and again.
func stuttering(f *Fault, _ *surroundings) string {
	if f.seen.stills < leastStills {
		return fmt.Sprintf("its process was found stopped %s", plural(f.seen.stills, "time"))
	}
	return ""
}

// leaving is that what was led from the sick site got another leader before it was well again: nobody else would have noticed.
func leaving(f *Fault, around *surroundings) string {
	sick := *around
	sick.until = f.Healed
	return succession(f, &sick)
}

// homecoming is that what was led from the sites before is led from there again.
func homecoming(f *Fault, around *surroundings) string {
	var list []string
	for _, shard := range shardsOf(around.reigns) {
		before, after := ledBy(around.reigns, shard, f.At), ledBy(around.reigns, shard, around.until)
		if slices.Contains(f.seen.sites, before) && before != after {
			list = append(list, fmt.Sprintf("shard %d was led by %s and has not come home", shard, SiteName(before)))
		}
	}
	return strings.Join(list, ", ")
}
