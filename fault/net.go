package fault

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"holdfast"
)

// Outside is the pseudo site of clients: whoever is no site.
const Outside holdfast.SiteID = 0

// Route names one cable: the site that dials (Outside for clients), the site that is dialled, and the carrier, from 0.
type Route struct {
	From, To holdfast.SiteID
	Carrier  int
}

// Net is the cables of a fleet. Every site dials every other through a cable of its own, one per carrier, so that bytes from
// A to B travel forward on the cables A dials and backward on those B dials; the cuts below stop both. Safe for use by
// several goroutines.
type Net struct {
	mu     sync.Mutex
	delay  time.Duration
	cables map[Route]*Cable
	pacer  *pacer // of all cables; nil: there was none yet
}

// NewNet makes a network without cables; delay is the one-way delay of those to come.
func NewNet(delay time.Duration) *Net { return &Net{delay: delay, cables: map[Route]*Cable{}} }

// Lay adds a cable to the target and returns the address to dial. listen may be empty for a free port of 127.0.0.1. A route
// can be laid once.
func (n *Net) Lay(r Route, listen, target string) (addr string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cables[r] != nil {
		return "", fmt.Errorf("%v has a cable already", r)
	}
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	if n.pacer == nil {
		p, err := newPacer()
		if err != nil {
			return "", fmt.Errorf("%v: %w", r, err)
		}
		n.pacer = p
	}
	c, err := newCable(r.String(), listen, target, n.delay, n.pacer)
	if err != nil {
		return "", err
	}
	n.cables[r] = c
	return c.Addr(), nil
}

// Cable returns the cable of a route, nil when none was laid.
func (n *Net) Cable(r Route) *Cable {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cables[r]
}

// CutSite cuts a site off: every cable from or to it, those of the Outside included.
func (n *Net) CutSite(site holdfast.SiteID) { n.CutWhere(touches(site)) }

// CutPair cuts everything between two sites, on all carriers.
func (n *Net) CutPair(a, b holdfast.SiteID) {
	n.CutWhere(func(flow Route) bool { return flow.From == a && flow.To == b || flow.From == b && flow.To == a })
}

// CutCarrier cuts one carrier between all sites. Clients are not touched.
func (n *Net) CutCarrier(carrier int) {
	n.CutWhere(func(flow Route) bool { return flow.inside() && flow.Carrier == carrier })
}

// CutOneWay stops the bytes that travel from one site to another, on both sites' connections.
func (n *Net) CutOneWay(from, to holdfast.SiteID) {
	n.CutWhere(func(flow Route) bool { return flow.From == from && flow.To == to })
}

// Mute makes a site that hears but is not heard: the bytes from it to all other sites stop. Clients are not touched.
func (n *Net) Mute(site holdfast.SiteID) {
	n.CutWhere(func(flow Route) bool { return flow.inside() && flow.From == site })
}

// Deafen makes a site that is heard but does not hear: the bytes from all other sites to it stop. Clients are not touched.
func (n *Net) Deafen(site holdfast.SiteID) {
	n.CutWhere(func(flow Route) bool { return flow.inside() && flow.To == site })
}

// CutWhere stops every flow for which match is true; a flow is the bytes from one site to another on one carrier.
func (n *Net) CutWhere(match func(flow Route) bool) { n.each(match, (*Cable).Cut) }

// HealWhere lets every flow for which match is true go on.
func (n *Net) HealWhere(match func(flow Route) bool) { n.each(match, (*Cable).Mend) }

// HealSite heals every cable from or to the site.
func (n *Net) HealSite(site holdfast.SiteID) { n.HealWhere(touches(site)) }

// HealAll heals every cable.
func (n *Net) HealAll() { n.HealWhere(func(Route) bool { return true }) }

// SetDelay changes the one-way delay of every cable, and of those to come.
func (n *Net) SetDelay(delay time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delay = delay
	for _, c := range n.cables {
		c.SetDelay(delay, delay)
	}
}

// Stats returns the counters of every cable.
func (n *Net) Stats() map[Route]CableStats {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make(map[Route]CableStats, len(n.cables))
	for r, c := range n.cables {
		all[r] = c.Stats()
	}
	return all
}

// Passage is what became of some flows since their cables were laid.
type Passage struct {
	Flows     int
	Delivered uint64 // bytes that came out at the other end
	Delayed   uint64 // times that something was lost and sent again: see [Cable.Lossy]
	Cuts      uint64 // that were made, of each flow by itself
}

// Passed adds up the flows for which match is true.
func (n *Net) Passed(match func(flow Route) bool) (p Passage) {
	n.each(match, func(c *Cable, d Direction) {
		for i := range c.bytes {
			if d&(1<<i) != 0 {
				p.Flows++
				p.Delivered += c.bytes[i].Load()
				p.Delayed += c.delayed[i].Load()
				p.Cuts += c.cuts[i].Load()
			}
		}
	})
	return p
}

// Tardy is the longest [Cable.Tardy] of all cables.
func (n *Net) Tardy() (worst time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.cables {
		worst = max(worst, c.Tardy())
	}
	return worst
}

// Close closes every cable and waits for their goroutines.
func (n *Net) Close() error {
	n.mu.Lock()
	cables, p := maps.Clone(n.cables), n.pacer
	clear(n.cables)
	n.pacer = nil
	n.mu.Unlock()
	var errs []error
	for _, c := range cables {
		errs = append(errs, c.Close())
	}
	if p != nil {
		p.close()
	}
	return errors.Join(errs...)
}

// each applies do to the directions of every cable whose flow matches.
func (n *Net) each(match func(flow Route) bool, do func(*Cable, Direction)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for r, c := range n.cables {
		var d Direction
		if match(r) {
			d |= Forward
		}
		if match(Route{From: r.To, To: r.From, Carrier: r.Carrier}) {
			d |= Backward
		}
		if d != 0 {
			do(c, d)
		}
	}
}

// String gives "1>2/0": from, to, carrier.
func (r Route) String() string { return fmt.Sprintf("%d>%d/%d", r.From, r.To, r.Carrier) }

func (r Route) inside() bool { return r.From != Outside && r.To != Outside }

func touches(site holdfast.SiteID) func(Route) bool {
	return func(flow Route) bool { return flow.From == site || flow.To == site }
}
