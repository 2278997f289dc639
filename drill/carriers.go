package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast"
	"holdfast/client"
)

// What can be wrong with a carrier, by order of the drill.
const (
	CarrierCut   Damage = "cut"
	CarrierPair  Damage = "cut for a pair"
	CarrierMuted Damage = "one way"
	CarrierLossy Damage = "lossy"
	CarrierFlaps Damage = "flaps"
)

const (
	// lostShare of what is sent over a lossy carrier is late by lostLate and more: what TCP's first time-out costs on Linux, 200 ms
	// and the round trip. TCP repairs whatever a line loses, so lateness is all that anybody above it ever sees.
	lostShare = 0.3
	lostLate  = 200 * time.Millisecond
	// flapEach is how long a flapping carrier is down, and then up: shorter than the silence after which a link dials anew, so
	// that it never settles.
	flapEach = 200 * time.Millisecond
	// rejoinTime is how long all carriers may take to be in use again after a heal, before the next one is broken.
	rejoinTime = 5 * time.Second
	// rejoinBound is how long after its heal a carrier that was cut may take until every site has a connection over it again.
	rejoinBound = time.Second
)

// carrierFault is what is done to one carrier in a share of the load.
type carrierFault struct {
	kind        string
	carrier     int // from 1
	damage      Damage
	place       string            // of the target, before the carrier; "": everywhere
	ends        []holdfast.SiteID // the sites that it is about; none: all
	order       order
	alone       bool // one carrier alone is left
	from, until float64
}

func (c *carrierFault) target() string { return fmt.Sprintf("%scarrier %d", c.place, c.carrier) }

// hurt breaks a carrier when it is time and mends it again. All carriers are in use when it begins: another one that was still
// down would make it a cut of whole sites.
func (s *stage) hurt(ctx context.Context, c carrierFault) error {
	if slices.Contains(c.ends, 0) {
		return errNoLeader
	}
	if err := s.until(ctx, c.from); err != nil {
		return err
	}
	if err := errors.Join(rest(ctx, s.clears-s.clock()), s.fleet.rejoined(ctx)); err != nil {
		return err
	}
	said := s.foretell(ctx, c.loss())
	i := s.begin(c.kind, c.target())
	s.note(i, said, c.alone)
	look := s.lookAt(i, c.order.Flows)
	s.fleet.markCarrier(c.carrier, c.damage)
	if err := s.fleet.net.order(c.order); err != nil {
		return err
	}
	look.struck()
	if err := rest(ctx, time.Duration((c.until-c.from)*float64(s.length))); err != nil { // as long as planned, also when it began late
		return err
	}
	look.ending()
	if err := s.fleet.net.do(orderHeal, 0); err != nil {
		return err
	}
	s.fleet.markCarrier(c.carrier, Whole)
	s.healed(i)
	if c.order.Do != orderLossy { // that one was never away
		back, err := s.fleet.returned(ctx)
		s.back(i, back)
		return err
	}
	// What was lost three times in a row comes out, and everything behind it, after 7 times the delay: until then two sites may
	// have nothing but the other carrier, and to break that one would be another fault than it says.
	s.clears = s.clock() + 7*c.order.Delay
	return nil
}

// returned waits until every site has a connection to every other over every carrier, and tells how long that took. One that never comes
// is the affair of whoever needs it next.
func (f *fleet) returned(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	for {
		missing, err := f.without(ctx, func(c *client.Carrier) bool { return !c.Connected })
		took := time.Since(began)
		if err != nil || missing == "" || took > rejoinTime {
			return took, err
		}
		if err := rest(ctx, pollPause); err != nil {
			return took, err
		}
	}
}

// belated tells of carriers that took longer to come back than they may; while the machine stood still nobody could have dialled.
func belated(faults []Fault, stalls []Stall) (out []string) {
	for i := range faults {
		f := &faults[i]
		stood := stalled(stalls, span{f.Healed, f.Healed + f.back})
		if took := f.back - 2*stood; took > rejoinBound {
			out = append(out, fmt.Sprintf("%s of %s: the carrier was in use again %.0f ms after its heal (%.0f ms without what the machine stood still), more than %v",
				f.Kind, f.Target, millis(f.back), millis(took), rejoinBound))
		}
	}
	return out
}

// rejoined waits until every site uses every carrier to every other, and none is late.
func (f *fleet) rejoined(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, rejoinTime)
	defer cancel()
	for {
		missing, err := f.unused(ctx)
		if missing == "" && err == nil {
			return nil
		}
		if gone := rest(ctx, 5*pollPause); gone != nil {
			return errors.Join(fmt.Errorf("not every carrier was in use again within %v of its heal: %s (%w)", rejoinTime, missing, gone), err)
		}
	}
}

// unused names a carrier that some site does not use; "" when there is none.
func (f *fleet) unused(ctx context.Context) (string, error) {
	return f.without(ctx, func(c *client.Carrier) bool { return !c.Connected || c.Stalled })
}

// without names a carrier of which some site says something; "" when there is none.
func (f *fleet) without(ctx context.Context, is func(*client.Carrier) bool) (string, error) {
	for _, m := range f.sites {
		sites, err := m.own.Sites(ctx)
		if err != nil {
			return "", fmt.Errorf("ask %s: %w", m.name, err)
		}
		for i := range sites {
			for n := range sites[i].Carriers {
				if !sites[i].Self && is(&sites[i].Carriers[n]) {
					return fmt.Sprintf("carrier %d from %s to %s", n+1, m.name, SiteName(sites[i].Site)), nil
				}
			}
		}
	}
	return "", nil
}

// settled waits until every shard is led from its home and every carrier is in use. Who is elected first at a start is chance, and
// goes home some seconds later by itself: not every change of a leader in the load would be one that nobody wanted.
func (f *fleet) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := f.rejoined(ctx); err != nil {
		return err
	}
	for {
		away, err := f.away(ctx)
		if away == "" && err == nil {
			return nil
		}
		if gone := rest(ctx, 5*pollPause); gone != nil {
			return errors.Join(fmt.Errorf("not every shard was led from its home within %v: %s", patience, away), err)
		}
	}
}

// place sends every leadership home that is not there, as an operator would: who is elected first at a start is chance, and sites send
// home one shard after the other.
func (f *fleet) place(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return insist(ctx, func() error {
		shards, err := f.sites[0].own.Shards(ctx)
		if err != nil || len(f.made) == 0 || f.made[0].Shards == 1 {
			return err
		}
		for i := range shards {
			if x := &shards[i]; x.Home != 0 && x.Leader != x.Home {
				if err := f.sites[0].own.HandOver(ctx, x.Shard, x.Home); err != nil {
					return fmt.Errorf("send shard %d home to %s: %w", x.Shard, SiteName(x.Home), err)
				}
			}
		}
		return nil
	})
}

// away names a shard that some site does not believe to be led from its home; "" when there is none.
func (f *fleet) away(ctx context.Context) (string, error) {
	for _, m := range f.sites {
		shards, err := m.own.Shards(ctx)
		if err != nil {
			return "", fmt.Errorf("ask %s: %w", m.name, err)
		}
		for i := range shards {
			if x := &shards[i]; x.Home != 0 && x.Leader != x.Home {
				return fmt.Sprintf("shard %d at home in %s, leader %s", x.Shard, SiteName(x.Home), SiteName(x.Leader)), nil
			}
		}
	}
	return "", nil
}

// everywhere cuts one carrier between all sites.
func everywhere(carrier int, from, until float64) carrierFault {
	return carrierFault{
		kind: "carrier-cut", carrier: carrier, damage: CarrierCut, from: from, until: until,
		order: order{Do: orderCutFlows, Flows: &flows{Carrier: carrier}},
	}
}

// alone is a cut that leaves one of two carriers: what the fleet sends then is what one carrier alone takes. With more carriers
// nothing in a drill says that.
func (s *stage) alone(c carrierFault) carrierFault {
	c.alone = s.carriers == 2
	return c
}

// playCarrierCut cuts a carrier everywhere, then the other, then the first again.
func playCarrierCut(ctx context.Context, s *stage) error {
	if s.round > 0 {
		return s.inTurn(ctx, laterTurns, func(carrier int) carrierFault { return s.alone(everywhere(carrier, 0, 0)) })
	}
	for i, at := range []float64{0.16, 0.44, 0.72} {
		if err := s.hurt(ctx, s.alone(everywhere(i%s.carriers+1, at, at+0.14))); err != nil {
			return err
		}
	}
	return nil
}

// twice hurts one carrier after the other, after a cut that shows what one alone takes: of two seconds, because how many payments
// share a frame varies from moment to moment. In later rounds that is known.
func twice(ctx context.Context, s *stage, harm func(carrier int) carrierFault) error {
	if s.round > 0 {
		return s.inTurn(ctx, laterTurns, harm)
	}
	if err := s.hurt(ctx, s.alone(everywhere(2, 0.12, 0.30))); err != nil {
		return err
	}
	return s.inTurn(ctx, []turn{{0.42, 0.57}, {0.71, 0.86}}, harm)
}

// playCarrierCutPair cuts a carrier between the site that leads and one other.
func playCarrierCutPair(ctx context.Context, s *stage) error {
	return twice(ctx, s, func(carrier int) carrierFault {
		a := s.leader(ctx)
		b := s.fleet.sites[(int(a)+carrier-1)%len(s.fleet.sites)].id
		return s.pair(a, b, carrier)
	})
}

func (s *stage) pair(a, b holdfast.SiteID, carrier int) carrierFault {
	return carrierFault{
		kind: "carrier-cut-pair", carrier: carrier, damage: CarrierPair, place: s.names(a, b) + ":", ends: []holdfast.SiteID{a, b},
		order: order{Do: orderCutFlows, Flows: &flows{Carrier: carrier, From: []holdfast.SiteID{a}, To: []holdfast.SiteID{b}, Both: true}},
	}
}

// playCarrierOneWay takes one direction of a carrier from the site that leads: first it is not heard on one, then it hears nothing
// on the other.
func playCarrierOneWay(ctx context.Context, s *stage) error {
	return twice(ctx, s, func(carrier int) carrierFault {
		leader := []holdfast.SiteID{s.leader(ctx)}
		c := carrierFault{kind: "carrier-one-way", carrier: carrier, damage: CarrierMuted, ends: leader}
		c.place = s.names(leader...) + ":outbound on "
		f := &flows{Carrier: carrier, From: leader}
		if carrier > 1 {
			c.place = s.names(leader...) + ":inbound on "
			f = &flows{Carrier: carrier, To: leader}
		}
		c.order = order{Do: orderCutFlows, Flows: f}
		return c
	})
}

func playCarrierLossy(ctx context.Context, s *stage) error {
	return twice(ctx, s, func(carrier int) carrierFault {
		return carrierFault{
			kind: "carrier-lossy", carrier: carrier, damage: CarrierLossy,
			order: order{Do: orderLossy, Flows: &flows{Carrier: carrier}, Share: lostShare, Delay: lostLate + s.fleet.rtt, Seed: s.rand.Uint64()},
		}
	})
}

func playCarrierFlap(ctx context.Context, s *stage) error {
	return twice(ctx, s, func(carrier int) carrierFault {
		return carrierFault{
			kind: "carrier-flap", carrier: carrier, damage: CarrierFlaps,
			order: order{Do: orderFlap, Flows: &flows{Carrier: carrier}, Delay: flapEach},
		}
	})
}

// names joins the names of sites as a target has them.
func (s *stage) names(ids ...holdfast.SiteID) string {
	var all []string
	for _, id := range ids {
		all = append(all, strings.ToLower(SiteName(id)))
	}
	return strings.Join(all, "+")
}

// ofCarrier reports a fault that leaves every site within reach of every other.
func (f *Fault) ofCarrier() bool { return strings.HasPrefix(f.Kind, "carrier-") }

// CarrierView is a carrier as the drill sees it.
type CarrierView struct {
	Damage Damage
	Rate   float64 // bytes a second that the sites send over it
}

func (f *fleet) markCarrier(carrier int, d Damage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.carriers[carrier-1] = d
}

func (f *fleet) carrierStates() []Damage {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.carriers)
}
