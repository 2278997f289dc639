package link

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"holdfast"
)

// known gives the peers of a site as its configuration had them, without some.
func (f *fleet) known(at holdfast.SiteID, but ...holdfast.SiteID) map[holdfast.SiteID][]string {
	peers := map[holdfast.SiteID][]string{}
	for site, p := range f.links[at].all() {
		peers[site] = p.addresses()
	}
	for _, site := range but {
		delete(peers, site)
	}
	return peers
}

func TestPeersComeAndGo(t *testing.T) {
	f := newFleet(t, 3, 2, 0, nil)
	two, three := f.known(2), f.known(3)
	for _, site := range []holdfast.SiteID{1, 2} { // the fleet retires site 3, which does not hear of it
		if err := f.links[site].SetPeers(f.known(site, 3)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := f.links[1].Call(ctx, 3, "echo", nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("a call to a site that is no peer any more: %v", err)
	}
	eventually(t, "site 3 has nobody left", func() bool {
		return !f.links[3].Peers()[0].Up && !f.links[3].Peers()[1].Up
	})
	eventually(t, "site 3 is turned away as a stranger", func() bool { return f.links[1].Totals().Strangers > 0 })
	if _, err := f.links[1].Call(ctx, 2, "echo", []byte("still")); err != nil {
		t.Errorf("the connection that stays: %v", err)
	}
	if err := f.links[2].SetPeers(two); err != nil { // and it comes back, first at one site only
		t.Fatal(err)
	}
	f.reach(2, 3)
	f.reach(3, 2)
	if answer, err := f.links[3].Call(ctx, 2, "echo", []byte("back")); err != nil || string(answer) != "back" {
		t.Errorf("a site that came back: %q, %v", answer, err)
	}
	if err := f.links[3].SetPeers(three); err != nil {
		t.Fatal(err)
	}
	if _, err := f.links[3].Call(ctx, 2, "echo", nil); err != nil {
		t.Errorf("peers set to what they were: %v", err)
	}
	if err := f.links[1].SetPeers(map[holdfast.SiteID][]string{1: {"a", "b"}}); err == nil {
		t.Error("a site is its own peer")
	}
	if err := f.links[1].SetPeers(map[holdfast.SiteID][]string{2: {"a"}}); err == nil {
		t.Error("one address for two carriers")
	}
}

// TestCallsEndWithTheirPeer: whoever waits for a site that is taken out hears that there will be no answer.
func TestCallsEndWithTheirPeer(t *testing.T) {
	f := newFleet(t, 2, 1, 0, nil)
	ended := make(chan error, 1)
	go func() {
		_, err := f.links[1].Call(t.Context(), 2, "hold", nil)
		ended <- err
	}()
	eventually(t, "the call is served", func() bool { return f.handlers[2].calls() > 0 })
	if err := f.links[1].SetPeers(nil); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, ErrNoAnswer) {
			t.Errorf("a call under way: %v", err)
		}
	case <-time.After(patience):
		t.Error("the call waits for ever")
	}
}

func TestProbe(t *testing.T) {
	f := newFleet(t, 3, 1, 0, nil)
	if err := f.links[1].SetPeers(f.known(1, 3)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if trip, err := f.links[1].Probe(ctx, 3, f.listen[3][0]); err != nil || trip <= 0 {
		t.Errorf("a site of the cluster that is no peer: %v, %v", trip, err)
	}
	if _, err := f.links[1].Probe(ctx, 4, f.listen[3][0]); !errors.Is(err, errStranger) {
		t.Errorf("the address of another site: %v", err)
	}
	if _, err := f.links[1].Probe(ctx, 4, freePort(t)); err == nil {
		t.Error("an address where nobody listens")
	}
	// The certificate of an authority of another cluster is found out as well.
	foreign := newCA(t, "other")
	l, err := New(Config{Site: 9, Listen: []string{freePort(t)}, Credentials: f.credentials(foreign, 9), Handler: &recorder{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := f.links[1].Probe(ctx, 9, l.Addrs()[0]); !errors.Is(err, errStranger) {
		t.Errorf("a site of another cluster: %v", err)
	}
}

// TestConnectionEndsWithItsCertificate: what the peer has shown is good until it ends, and not until the line breaks for another reason.
func TestConnectionEndsWithItsCertificate(t *testing.T) {
	ca := newCA(t, "demo")
	listen := map[holdfast.SiteID]string{1: freePort(t), 2: freePort(t)}
	life := map[holdfast.SiteID]time.Duration{1: year, 2: 30 * 24 * time.Hour}
	links := map[holdfast.SiteID]*Link{}
	var ahead atomic.Int64 // of the clock of site 1; that of site 2 is right
	for _, site := range []holdfast.SiteID{1, 2} {
		pair, err := ca.NewSiteCert(site, testNow, life[site])
		if err != nil {
			t.Fatal(err)
		}
		creds, err := NewCredentials(ca.Pair().Cert, pair, testNow)
		if err != nil {
			t.Fatal(err)
		}
		l, err := New(Config{
			Site: site, Listen: []string{listen[site]}, Peers: map[holdfast.SiteID][]string{3 - site: {listen[3-site]}},
			Credentials: creds, Handler: &recorder{}, Timing: Timing{Silence: silence, Ping: 10 * time.Millisecond},
		})
		if err != nil {
			t.Fatal(err)
		}
		if site == 1 {
			l.clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		}
		if err := l.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
		links[site] = l
	}
	both := func() bool { return links[1].Peers()[0].Up && links[2].Peers()[0].Up }
	eventually(t, "both are in reach", both)
	ahead.Store(int64(29 * 24 * time.Hour))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	strangers, breaks := links[1].Totals().Strangers, links[1].Peers()[0].Carriers[0].Breaks
	if _, err := links[1].Probe(ctx, 2, listen[2]); err != nil || !both() {
		t.Errorf("a day before its end the certificate is no good: %v", err)
	}
	ahead.Store(int64(31 * 24 * time.Hour))
	one := links[1].peer(2)
	eventually(t, "no connection is left, in neither direction", func() bool {
		one.mu.Lock()
		defer one.mu.Unlock()
		return len(*one.live.Load()) == 0 && len(one.receivers) == 0
	})
	eventually(t, "its holder is turned away", func() bool { return links[1].Totals().Strangers > strangers })
	if now := links[1].Peers()[0].Carriers[0]; now.Breaks == breaks || now.Up {
		t.Errorf("the carrier afterwards: %+v", now)
	}
	ahead.Store(0) // it was the clock alone
	eventually(t, "both are in reach again", both)
}

// TestUpIsAboutTheSameLife: whether a way to a peer and a way back belong together is told by the life of its process, whatever was heard of
// others in between.
func TestUpIsAboutTheSameLife(t *testing.T) {
	for _, x := range []struct {
		to, from uint64
		up       bool
	}{{7, 7, true}, {7, 6, false}} {
		p := &peer{receivers: []*receiver{{from: newIncarnation(x.from, 1)}}}
		p.live.Store(&[]*sender{{to: newIncarnation(x.to, 1)}})
		if p.up() != x.up {
			t.Errorf("sent to life %d, heard from life %d: up %v", x.to, x.from, p.up())
		}
	}
}
