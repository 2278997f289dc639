package drill

import (
	"context"
	"fmt"
	"slices"
	"time"

	"holdfast"
)

// severance is a cut that concerns several sites.
type severance struct {
	kind   string
	sites  []holdfast.SiteID // that are cut off
	joined bool              // they still reach each other
	until  float64           // share of the load
}

// loss is what a severance is to the fleet. Where a whole city is cut off, that is what the fleet is asked about.
func (c *severance) loss() loss {
	if c.kind == "city-cut" && len(c.sites) > 1 {
		return loss{"city", c.sites, 0}
	}
	return lossOf(c.sites...)
}

// sever cuts sites off from all others, and mends it.
func (s *stage) sever(ctx context.Context, c severance) error {
	if slices.Contains(c.sites, 0) {
		return errNoLeader
	}
	said := s.foretell(ctx, c.loss())
	ask, over := context.WithCancel(ctx)
	defer over()
	asking := s.strand(ctx, ask, c.sites)
	i := s.begin(c.kind, s.names(c.sites...))
	s.note(i, said, false)
	look := s.lookAt(i, s.severed(&c), c.sites...)
	damage := CutOff
	if c.joined {
		damage = Parted
	}
	for _, id := range c.sites {
		s.fleet.mark(id, damage)
	}
	if err := s.cutOff(c); err != nil {
		return fmt.Errorf("%s: %w", c.kind, err)
	}
	look.struck()
	// A cut that begins late lasts long enough all the same: one that nobody could notice would prove nothing.
	if err := rest(ctx, max(standstill, time.Duration(c.until*float64(s.length))-s.clock())); err != nil {
		return err
	}
	look.ending()
	over()
	asking()
	if err := s.fleet.net.do(orderHeal, 0); err != nil {
		return fmt.Errorf("end the %s: %w", c.kind, err)
	}
	s.healed(i)
	for _, id := range c.sites {
		s.fleet.mark(id, Whole)
	}
	return nil
}

// severed are the flows that are cut.
func (s *stage) severed(c *severance) *flows {
	f := &flows{From: c.sites, Both: true}
	if c.joined {
		f.To = s.rest(c.sites)
	}
	return f
}

func (s *stage) cutOff(c severance) error {
	if c.joined {
		return s.fleet.net.order(order{Do: orderCutFlows, Flows: s.severed(&c)})
	}
	for _, id := range c.sites {
		if err := s.fleet.net.do(orderCut, id); err != nil {
			return err
		}
	}
	return nil
}

// strand sets clients to work that reach no other site, and returns what waits for their last answers.
func (s *stage) strand(ctx, until context.Context, sites []holdfast.SiteID) (wait func()) {
	if s.stranded == nil {
		return func() {}
	}
	var members []*member
	for _, id := range sites {
		members = append(members, s.fleet.site(id))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.stranded.ask(ctx, until, members, s.newIDs())
	}()
	return func() { <-done }
}

// rest lists the sites that are not among those given.
func (s *stage) rest(not []holdfast.SiteID) (list []holdfast.SiteID) {
	for _, m := range s.fleet.sites {
		if !slices.Contains(not, m.id) {
			list = append(list, m.id)
		}
	}
	return list
}

// minority is as many sites as can fail, the one that leads among them; in other cities than it if there are such.
func (s *stage) minority(ctx context.Context) []holdfast.SiteID {
	leader := s.leader(ctx)
	list := []holdfast.SiteID{leader}
	others := s.rest(list)
	slices.SortStableFunc(others, func(a, b holdfast.SiteID) int { return near(leader, a) - near(leader, b) })
	return append(list, others[:(len(s.fleet.sites)-1)/2-1]...)
}

// two is the site that leads and another one, in another city if there is a choice.
func (s *stage) two(ctx context.Context) []holdfast.SiteID {
	leader := s.leader(ctx)
	others := s.rest([]holdfast.SiteID{leader})
	slices.SortStableFunc(others, func(a, b holdfast.SiteID) int { return near(leader, a) - near(leader, b) })
	return []holdfast.SiteID{leader, others[0]}
}

// near is 1 for a site of the same city.
func near(a, b holdfast.SiteID) int {
	if a != 0 && city(a) == city(b) {
		return 1
	}
	return 0
}

// cityOf lists the sites in the city of the one that leads, or in another one where that is alone in its own.
func (s *stage) cityOf(ctx context.Context) []holdfast.SiteID {
	leader := s.leader(ctx)
	if leader == 0 {
		return []holdfast.SiteID{0}
	}
	list := s.cityMates(leader)
	if len(list) == 1 {
		return s.cityMates(1)
	}
	return list
}

func (s *stage) cityMates(id holdfast.SiteID) (list []holdfast.SiteID) {
	for _, m := range s.fleet.sites {
		if city(m.id) == city(id) {
			list = append(list, m.id)
		}
	}
	return list
}

func playTwoSites(ctx context.Context, s *stage) error {
	if err := s.until(ctx, 0.3); err != nil {
		return err
	}
	return s.sever(ctx, severance{kind: "two-sites-cut", sites: s.minority(ctx), until: 0.65})
}

func playMinoritySide(ctx context.Context, s *stage) error {
	if err := s.until(ctx, 0.3); err != nil {
		return err
	}
	return s.sever(ctx, severance{kind: "minority-side", sites: s.minority(ctx), joined: true, until: 0.65})
}

func playCityCut(ctx context.Context, s *stage) error {
	if err := s.until(ctx, 0.3); err != nil {
		return err
	}
	return s.sever(ctx, severance{kind: "city-cut", sites: s.cityOf(ctx), joined: true, until: 0.65})
}

// A loss that stops every shard lasts so long that they are seen to stand still, and so short that nobody's deadline passes.
const standstill = 600 * time.Millisecond

// playForecast does every kind of loss that the fleet foretells: a carrier, a cable, the site that leads, two sites at once.
func playForecast(ctx context.Context, s *stage) error {
	leader := s.leader(ctx)
	next := s.fleet.sites[int(leader)%len(s.fleet.sites)].id
	cable := s.pair(leader, next, 1)
	cable.from, cable.until = 0.22, 0.30
	for _, c := range []carrierFault{everywhere(2, 0.08, 0.16), cable} {
		if err := s.hurt(ctx, c); err != nil {
			return err
		}
	}
	if err := s.until(ctx, 0.37); err != nil {
		return err
	}
	if err := s.during(ctx, "site-cut", s.leader(ctx), 0.52, s.cut, s.heal); err != nil {
		return err
	}
	if err := s.until(ctx, 0.62); err != nil {
		return err
	}
	return s.sever(ctx, severance{kind: "two-sites-cut", sites: s.two(ctx), until: 0.62 + standstill.Seconds()/s.length.Seconds()})
}
