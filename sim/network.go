package sim

import (
	"time"

	"holdfast"
)

// network carries messages between sites, and between clients and sites (clients stand at site 0). Every message may be
// lost, doubled, delayed, and so overtaken; every direction between two sites may be cut without anybody being told.
type network struct {
	e     *engine
	sites int
	stats *Stats

	arrive func(to holdfast.SiteID, do func()) // hands a message to a process, which may be paused

	loss, double     float64
	nearest, longest time.Duration
	late             holdfast.SiteID // all that it sends and hears may come late; 0: nobody
	cut              [][]bool        // [from][to]; index 0 is the world of the clients
}

func newNetwork(e *engine, sites int, stats *Stats) *network {
	n := &network{e: e, sites: sites, stats: stats, nearest: time.Millisecond, longest: 6 * time.Millisecond}
	n.cut = make([][]bool, sites+1)
	for i := range n.cut {
		n.cut[i] = make([]bool, sites+1)
	}
	return n
}

// send delivers, once, never or twice.
func (n *network) send(from, to holdfast.SiteID, deliver func()) {
	n.stats.Sent++
	if n.cut[from][to] || n.e.chance(n.loss) {
		n.stats.Dropped++
		return
	}
	if to > 0 {
		message := deliver
		deliver = func() { n.arrive(to, message) }
	}
	n.e.after(n.delay()+n.lateness(from, to), deliver)
	if n.e.chance(n.double) {
		n.stats.Doubled++
		n.e.after(n.delay()+n.e.between(0, 50*time.Millisecond), deliver)
	}
}

// lateness is what TCP needs to repair what a lossy line has lost.
func (n *network) lateness(from, to holdfast.SiteID) (d time.Duration) {
	if n.late == 0 || n.late != from && n.late != to {
		return 0
	}
	for again := 200 * time.Millisecond; again < time.Second && n.e.chance(0.4); again *= 2 {
		d += again
	}
	return d
}

// delay is mostly short, and now and then long enough to be overtaken by an election.
func (n *network) delay() time.Duration {
	d := n.e.between(n.nearest, n.longest)
	if n.e.chance(n.loss / 2) {
		d += n.e.between(0, 400*time.Millisecond)
	}
	return d
}

// isolate cuts all directions between a site and the other sites; clients may or may not reach it.
func (n *network) isolate(site holdfast.SiteID, out, in bool) {
	for other := 1; other <= n.sites; other++ {
		if other != int(site) {
			n.cut[site][other] = n.cut[site][other] || out
			n.cut[other][site] = n.cut[other][site] || in
		}
	}
}

// split cuts the sites into two parties.
func (n *network) split(party []bool) {
	for a := 1; a <= n.sites; a++ {
		for b := 1; b <= n.sites; b++ {
			if party[a] != party[b] {
				n.cut[a][b] = true
			}
		}
	}
}

func (n *network) heal() {
	for i := range n.cut {
		clear(n.cut[i])
	}
}

// calm ends everything that the network does to messages but delay.
func (n *network) calm() {
	n.heal()
	n.loss, n.double, n.longest = 0, 0, 6*time.Millisecond
}
