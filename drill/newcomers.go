package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/site"
)

// Sites that come and go while the load runs, by the orders that an operator has: plan, look, apply.

// newcomer makes a further site, which knows all others and is known to nobody. The others reach it over one cable. One that is far has so
// long a way to all of them; 0: as long as it is between the others.
func (f *fleet) newcomer(id holdfast.SiteID, far time.Duration) (*member, []string, error) {
	c := f.made[0]
	name := fileName(int(id - 1))
	ports, err := freePorts(1 + len(c.Link.Listen))
	if err != nil {
		return nil, nil, err
	}
	c.Site, c.Name, c.Data, c.HTTP.Listen = id, name, filepath.Join(f.dir, name), ports[0]
	c.Link.Listen, c.Link.Advertise = ports[1:], nil
	c.Link.Cert, c.Link.Key = filepath.Join(f.dir, name+".crt"), filepath.Join(f.dir, name+".key")
	c.Peers = nil
	for _, other := range f.made {
		addresses, err := f.cablesTo(id, other.Site, other.Link.Listen, far)
		if err != nil {
			return nil, nil, err
		}
		c.Peers = append(c.Peers, site.Peer{Site: other.Site, Name: other.Name, HTTP: "http://" + other.HTTP.Listen, Addresses: addresses})
	}
	reached, err := f.cablesTo(f.made[0].Site, id, c.Link.Listen, far)
	if err != nil {
		return nil, nil, err
	}
	m, err := f.member(f.sites[0].proc.program, &c)
	return m, reached, err
}

func (f *fleet) cablesTo(from, to holdfast.SiteID, targets []string, far time.Duration) (addresses []string, err error) {
	far = cmp.Or(far, f.delay(int(from)-1, int(to)-1))
	for carrier, target := range targets {
		if f.net != nil {
			if target, err = f.net.lay(from, to, carrier, target, far); err != nil {
				return nil, err
			}
		}
		addresses = append(addresses, target)
	}
	return addresses, nil
}

// keep remembers who came and who went, for those who look at the fleet when the load is over: what runs beside the load looks at the
// sites that were there at its start.
func (f *fleet) keep(came *member, went holdfast.SiteID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if came != nil {
		f.came = append(f.came, came)
	}
	if went != 0 {
		f.went = append(f.went, went)
	}
}

// final is the fleet as it is in the end: without the sites that went, and with those that came.
func (f *fleet) final() *fleet {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.around()
	for _, m := range slices.Concat(f.sites, f.came) {
		if !slices.Contains(f.went, m.id) {
			now.sites = append(now.sites, m)
		}
	}
	return now
}

// around is this fleet without its sites: what they run in.
func (f *fleet) around() *fleet {
	return &fleet{dir: f.dir, rtt: f.rtt, key: f.key, net: f.net, spawn: f.spawn, made: f.made, damage: map[holdfast.SiteID]Damage{}}
}

// closeCame ends the processes of sites that came.
func (f *fleet) closeCame() (errs []error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.came {
		if m.proc.running() {
			errs = append(errs, m.proc.kill())
		}
		m.own.Close()
	}
	return errs
}

// take brings a site into the fleet while the load runs, in the place of another if one is named.
func (s *stage) take(ctx context.Context, kind string, id, old holdfast.SiteID) error {
	_, err := s.takeIn(ctx, client.SiteRequest{Kind: kind, Site: id, Old: old}, 0)
	return err
}

// takeIn brings the site of a request into the fleet, so far away from the others.
func (s *stage) takeIn(ctx context.Context, q client.SiteRequest, far time.Duration) (*member, error) {
	m, reached, err := s.fleet.newcomer(q.Site, far)
	if err != nil {
		return nil, err
	}
	s.fleet.keep(m, q.Old)
	if err := m.proc.start(); err != nil {
		return nil, err
	}
	i := s.begin("site-"+q.Kind, strings.ToLower(m.name))
	was, err := s.membership(ctx, q.Site)
	must := listed
	if q.Learner {
		must = copies
	}
	s.see(i, err, func(x *sighting) { x.was, x.must = was, must })
	q.Name, q.Addresses = strings.ToLower(m.name), reached
	if err := s.order(ctx, q); err != nil {
		return nil, fmt.Errorf("%s %s: %w", q.Kind, m.name, err)
	}
	if err := m.readyWithin(ctx); err != nil {
		return nil, err
	}
	s.healed(i)
	is, err := s.becomes(ctx, q.Site, must)
	s.see(i, err, func(x *sighting) { x.is = is })
	return m, nil
}

// let retires a site while the load runs.
func (s *stage) let(ctx context.Context, id holdfast.SiteID) error {
	m := s.fleet.site(id)
	i := s.begin("site-retire", strings.ToLower(m.name))
	was, err := s.membership(ctx, id)
	s.see(i, err, func(x *sighting) { x.was, x.must = was, unlisted })
	s.fleet.keep(nil, id)
	if err := s.order(ctx, client.SiteRequest{Kind: site.SiteRetire, Site: id}); err != nil {
		return fmt.Errorf("retire %s: %w", m.name, err)
	}
	s.healed(i)
	is, err := s.becomes(ctx, id, unlisted)
	s.see(i, err, func(x *sighting) { x.is = is })
	return nil
}

// changeTime is how long one change of sites may take: on a busy machine everything does.
const changeTime = time.Minute

// errUnderWay says that a change of sites is not over yet.
var errUnderWay = errors.New("it is not over yet")

// order plans and applies a change of sites, and waits until it is over.
func (s *stage) order(ctx context.Context, q client.SiteRequest) error {
	ctx, cancel := context.WithTimeout(ctx, changeTime)
	defer cancel()
	c, err := s.fleet.connectFrom(0)
	if err != nil {
		return err
	}
	defer c.Close()
	plan := func() (string, error) {
		p, err := c.PlanSites(ctx, q)
		return p.Plan, err
	}
	if err := ordered(ctx, plan, func(id string) error { return c.ApplySites(ctx, q, id) }); err != nil {
		return err
	}
	return insist(ctx, func() error {
		f, err := c.Fleet(ctx)
		if err == nil && !f.Settled(q) {
			return errUnderWay
		}
		return err
	})
}

// turn gives a learner its vote, or takes that of a voter, while the load runs.
func (s *stage) turn(ctx context.Context, kind string, m *member, must string) error {
	i := s.begin("site-"+kind, strings.ToLower(m.name))
	was, err := s.membership(ctx, m.id)
	s.see(i, err, func(x *sighting) { x.was, x.must = was, must })
	if err := s.order(ctx, client.SiteRequest{Kind: kind, Site: m.id}); err != nil {
		return fmt.Errorf("%s %s: %w", kind, m.name, err)
	}
	s.healed(i)
	is, err := s.becomes(ctx, m.id, must)
	s.see(i, err, func(x *sighting) { x.is = is })
	return nil
}

// ordered makes a plan, and applies it until it is known that it was ordered: who does not know applies the same plan again. One that has
// become stale, or that cannot be made just now, is made anew.
func ordered(ctx context.Context, plan func() (id string, err error), apply func(id string) error) error {
	id := ""
	return insist(ctx, func() (err error) {
		if id == "" {
			if id, err = plan(); err != nil {
				id = ""
				return err
			}
		}
		var e *client.Error
		if err = apply(id); errors.As(err, &e) && e.Code == "plan-stale" {
			id = ""
		}
		return err
	})
}

// insist tries until it succeeds or the context ends.
func insist(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		if gone := rest(ctx, 10*pollPause); gone != nil {
			return fmt.Errorf("%w: %w", gone, err)
		}
	}
}

// playSiteAdd makes three sites five, and lets one that was there from the start go.
func playSiteAdd(ctx context.Context, s *stage) error {
	if err := s.until(ctx, 0.1); err != nil {
		return err
	}
	next := holdfast.SiteID(len(s.fleet.sites))
	for range 2 {
		if next++; next > MaxSites {
			break // a fleet of five has no room
		}
		if err := s.take(ctx, site.SiteAdd, next, 0); err != nil {
			return err
		}
	}
	return s.let(ctx, s.other(s.leader(ctx)))
}

// playSiteReplace kills a site for good, and puts another in its place.
func playSiteReplace(ctx context.Context, s *stage) error {
	if err := s.until(ctx, 0.2); err != nil {
		return err
	}
	lost := s.leader(ctx)
	if lost == 0 {
		return errNoLeader
	}
	m := s.fleet.site(lost)
	i := s.begin("site-kill", strings.ToLower(m.name))
	look := s.lookAt(i, nil, lost)
	if err := s.kill(ctx, m); err != nil {
		return err
	}
	look.over()
	if err := s.take(ctx, site.SiteReplace, holdfast.SiteID(len(s.fleet.sites)+1), lost); err != nil {
		return err
	}
	s.healed(i)
	return nil
}

// playSitePromote takes in a copy, gives it its vote and takes that of another site. Of a fleet of three two voters are then old ones: when
// one of them is killed, no payment is done but with the vote that is new.
func playSitePromote(ctx context.Context, s *stage) error {
	if err := s.until(ctx, 0.1); err != nil {
		return err
	}
	first := s.leader(ctx)
	if first == 0 {
		return errNoLeader
	}
	q := client.SiteRequest{Kind: site.SiteAdd, Site: holdfast.SiteID(len(s.fleet.sites) + 1), Learner: true}
	m, err := s.takeIn(ctx, q, 0)
	if err != nil {
		return err
	}
	if err := s.turn(ctx, site.SitePromote, m, listed); err != nil {
		return err
	}
	if err := s.turn(ctx, site.SiteDemote, s.fleet.site(s.other(first)), copies); err != nil {
		return err
	}
	if err := s.until(ctx, 0.6); err != nil {
		return err
	}
	if now := s.leader(ctx); now > 0 && int(now) <= len(s.fleet.sites) { // unless the one that came leads, it is whoever does
		first = now
	}
	lost := s.fleet.site(first)
	i := s.begin("site-kill", strings.ToLower(lost.name))
	look := s.lookAt(i, nil, lost.id)
	if err := s.kill(ctx, lost); err != nil {
		return err
	}
	if err := s.until(ctx, 0.8); err != nil {
		return err
	}
	if err := s.revive(ctx, lost); err != nil {
		return err
	}
	s.healed(i)
	look.over()
	return nil
}

// learnerTrip is how many times as far away a learner is as the others are from each other.
const learnerTrip = 6

// playSiteLearner takes in a learner in a far city, and cuts it off for a while. Nobody who pays has a reason to notice either.
func playSiteLearner(ctx context.Context, s *stage) error {
	if err := s.until(ctx, 0.1); err != nil {
		return err
	}
	q := client.SiteRequest{Kind: site.SiteAdd, Site: holdfast.SiteID(len(s.fleet.sites) + 1), Learner: true}
	m, err := s.takeIn(ctx, q, learnerTrip*s.fleet.rtt/2)
	if err != nil {
		return err
	}
	if err := s.until(ctx, 0.5); err != nil {
		return err
	}
	i := s.begin("learner-cut", strings.ToLower(m.name))
	look := s.lookAt(i, &flows{From: []holdfast.SiteID{m.id}, Both: true})
	if err := s.fleet.net.do(orderCut, m.id); err != nil {
		return err
	}
	look.struck()
	if err := s.until(ctx, 0.75); err != nil {
		return err
	}
	look.ending()
	if err := s.fleet.net.do(orderHeal, m.id); err != nil {
		return err
	}
	s.healed(i)
	return m.readyWithin(ctx)
}
