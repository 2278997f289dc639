package fault

import (
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
type Net struct{}

// NewNet makes a network without cables; delay is the one-way delay of those to come.
func NewNet(delay time.Duration) *Net { panic("unwritten") }

// Lay adds a cable to the target and returns the address to dial. listen may be empty for a free port of 127.0.0.1. A route
// can be laid once.
func (n *Net) Lay(r Route, listen, target string) (addr string, err error) { panic("unwritten") }

// Cable returns the cable of a route, nil when none was laid.
func (n *Net) Cable(r Route) *Cable { panic("unwritten") }

// CutSite cuts a site off: every cable from or to it, those of the Outside included.
func (n *Net) CutSite(site holdfast.SiteID) { panic("unwritten") }

// CutPair cuts everything between two sites, on all carriers.
func (n *Net) CutPair(a, b holdfast.SiteID) { panic("unwritten") }

// CutCarrier cuts one carrier between all sites.
func (n *Net) CutCarrier(carrier int) { panic("unwritten") }

// CutOneWay stops the bytes that travel from one site to another, on both sites' connections.
func (n *Net) CutOneWay(from, to holdfast.SiteID) { panic("unwritten") }

// Mute makes a site that hears but is not heard: the bytes from it to all other sites stop. Clients are not touched.
func (n *Net) Mute(site holdfast.SiteID) { panic("unwritten") }

// Deafen makes a site that is heard but does not hear: the bytes from all other sites to it stop. Clients are not touched.
func (n *Net) Deafen(site holdfast.SiteID) { panic("unwritten") }

// CutWhere stops every flow for which match is true; a flow is the bytes from one site to another on one carrier.
func (n *Net) CutWhere(match func(flow Route) bool) { panic("unwritten") }

// HealWhere lets every flow for which match is true go on.
func (n *Net) HealWhere(match func(flow Route) bool) { panic("unwritten") }

// HealSite heals every cable from or to the site.
func (n *Net) HealSite(site holdfast.SiteID) { panic("unwritten") }

// HealAll heals every cable.
func (n *Net) HealAll() { panic("unwritten") }

// SetDelay changes the one-way delay of every cable, and of those to come.
func (n *Net) SetDelay(delay time.Duration) { panic("unwritten") }

// Stats returns the counters of every cable.
func (n *Net) Stats() map[Route]CableStats { panic("unwritten") }

// Close closes every cable and waits for their goroutines.
func (n *Net) Close() error { panic("unwritten") }
