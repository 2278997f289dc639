package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"holdfast"
)

// The peers of a link can change while it runs: sites come and go. Whoever sends reads one pointer; the map behind it is never
// changed.

// peer is the one of that site, nil when there is none.
func (l *Link) peer(site holdfast.SiteID) *peer { return (*l.peers.Load())[site] }

// all are the peers there are now. The map must not be changed.
func (l *Link) all() map[holdfast.SiteID]*peer { return *l.peers.Load() }

// SetPeers tells the link which other sites there are from now on, as Config.Peers does. A site that is new is dialled, and let
// in when it dials; connections to one that is gone, or that has got other addresses, end, and calls to it with them. What stays
// as it is notices nothing.
func (l *Link) SetPeers(peers map[holdfast.SiteID][]string) error {
	if err := checkPeers(l.site, len(l.listen), peers); err != nil {
		return fmt.Errorf("link: %w", err)
	}
	for _, p := range l.exchange(peers) {
		p.shut()
		if p.stop != nil {
			p.stop()
		}
		p.cut()
	}
	return nil
}

// exchange replaces the map and returns the peers that are not in it any more.
func (l *Link) exchange(peers map[holdfast.SiteID][]string) (gone []*peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == stateClosed {
		return nil
	}
	next := map[holdfast.SiteID]*peer{}
	old := l.all()
	for site, addresses := range peers {
		if p := old[site]; p != nil && slices.Equal(p.addresses(), addresses) {
			next[site] = p
			continue
		}
		next[site] = newPeer(l, site, addresses, l.firstCall)
		if l.state == stateRunning {
			l.dialPeer(next[site])
		}
	}
	for site, p := range old {
		if next[site] != p {
			gone = append(gone, p)
		}
	}
	if len(gone) > 0 || !maps.Equal(old, next) {
		l.peers.Store(&next)
	}
	return gone
}

// dialPeer keeps connections to a peer. Called under mu, while the link runs.
func (l *Link) dialPeer(p *peer) {
	var ctx context.Context
	ctx, p.stop = context.WithCancel(l.dialCtx)
	for _, path := range p.paths {
		if path.address == "" {
			continue // the two sites do not share this carrier
		}
		l.goroutines.Go(func() { path.keep(ctx) })
	}
}

func (p *peer) addresses() []string {
	list := make([]string, len(p.paths))
	for i, path := range p.paths {
		list[i] = path.address
	}
	return list
}

func checkPeers(self holdfast.SiteID, carriers int, peers map[holdfast.SiteID][]string) error {
	for site, addresses := range peers {
		if site == 0 || site == self {
			return fmt.Errorf("site %d cannot be a peer of site %d", site, self)
		}
		if len(addresses) != carriers {
			return fmt.Errorf("site %d has %d addresses, but this site has %d carriers: list one address per carrier",
				site, len(addresses), carriers)
		}
	}
	return nil
}

// Probe finds out whether an address leads to a site of this cluster, peer or not, and how long a round trip takes. It proves the
// way there and who is at its end, and nothing of the way back: the other site learns of nothing but a connection that ends.
func (l *Link) Probe(ctx context.Context, site holdfast.SiteID, address string) (trip time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.timing.Silence+l.timing.handshake())
	defer cancel()
	began := time.Now()
	raw, err := l.dial(ctx, &net.Dialer{}, address)
	if err != nil {
		return 0, fmt.Errorf("no way to %s: %w", address, err)
	}
	trip = time.Since(began) // TCP's handshake is one round trip
	c, err := l.secure(ctx, raw, tls.Client, l.tlsConfig(func(at holdfast.SiteID) bool { return at == site }))
	if errors.Is(err, errStranger) {
		return 0, fmt.Errorf("%s does not lead to site %d: %w", address, site, err)
	}
	if err != nil {
		return 0, fmt.Errorf("%s answers, and not as a site does: %w", address, err)
	}
	c.close()
	return trip, nil
}
