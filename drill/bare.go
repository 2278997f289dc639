package drill

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"time"

	"holdfast"
	"holdfast/site"
)

// Bare is a fleet of real processes on loopback, without cables in between and without faults: for benches.
type Bare struct {
	fleet   *fleet
	configs []site.Config
}

// BareOptions say what a bare fleet is like.
type BareOptions struct {
	Sites  int
	Shards int
	// Except, when it is not 0, is left out: the caller runs it, with [Bare.Config], and the others wait for it.
	Except holdfast.SiteID
	// RTT is the round trip between each two sites. Above 0 there are cables between them after all.
	RTT time.Duration
	// Carriers is how many there are between each two sites; 0: one.
	Carriers int
	// Payments are those of people: with it all sites have the keys for them. There is no bank.
	Payments bool
}

// StartBare starts the sites as processes of the program, with certificates, configurations and data in dir. It returns when all
// take requests, unless one is left out.
func StartBare(ctx context.Context, program, dir string, b BareOptions) (*Bare, error) {
	o := Defaults()
	o.Program, o.Sites, o.Shards, o.Carriers, o.RTT, o.bare = program, b.Sites, b.Shards, max(b.Carriers, 1), b.RTT, b.RTT == 0
	o.tills = b.Payments
	f, err := newFleet(&o, dir, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		return nil, err
	}
	bare := &Bare{fleet: f, configs: f.made}
	for _, m := range f.sites {
		if m.id != b.Except {
			err = errors.Join(err, m.proc.start())
		}
	}
	if err == nil && b.Except == 0 {
		up, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		err = f.ready(up)
	}
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return bare, nil
}

// Settle sends every leadership home, and waits until all are there.
func (b *Bare) Settle(ctx context.Context) error {
	if err := b.fleet.place(ctx); err != nil {
		return err
	}
	return b.fleet.settled(ctx)
}

// Config is the configuration of a site.
func (b *Bare) Config(id holdfast.SiteID) site.Config { return b.configs[id-1] }

// ConfigFile is the file that holds it.
func (b *Bare) ConfigFile(id holdfast.SiteID) string {
	return filepath.Join(b.fleet.dir, b.configs[id-1].Name+".toml")
}

// Start starts the process of a site. It does not wait until the site is of use.
func (b *Bare) Start(id holdfast.SiteID) error { return b.fleet.sites[id-1].proc.start() }

// Kill ends the process of a site by SIGKILL, and waits until it is gone.
func (b *Bare) Kill(id holdfast.SiteID) error { return b.fleet.sites[id-1].proc.kill() }

// CutCarrier cuts a carrier (from 1) between all sites, if there are cables.
func (b *Bare) CutCarrier(carrier int) error {
	return b.tell(order{Do: orderCutFlows, Flows: &flows{Carrier: carrier}})
}

// CutSite cuts all cables of a site, if there are any. People still reach it.
func (b *Bare) CutSite(id holdfast.SiteID) error { return b.tell(order{Do: orderCut, From: id}) }

// Heal mends all cables.
func (b *Bare) Heal() error { return b.tell(order{Do: orderHeal}) }

func (b *Bare) tell(o order) error {
	if b.fleet.net == nil {
		return errNoCables
	}
	return b.fleet.net.order(o)
}

// PID is that of the process of a site that has been started.
func (b *Bare) PID(id holdfast.SiteID) int { return b.fleet.sites[id-1].proc.pid() }

// Ended is why the process of a site is gone although nobody has ended it; nil when it is not.
func (b *Bare) Ended(id holdfast.SiteID) error { return b.fleet.sites[id-1].proc.unexpected() }

// URLs lists the API addresses of all sites, beginning with the site first (from 0).
func (b *Bare) URLs(first int) []string { return b.fleet.urls(first) }

// Key is the API key of the fleet; its role is operator.
func (b *Bare) Key() string { return b.fleet.key.Reveal() }

// Close kills the processes. What they stored stays in the directory.
func (b *Bare) Close() error { return b.fleet.close() }
