package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/pelletier/go-toml/v2"

	"holdfast"
	"holdfast/client"
	"holdfast/guard"
	"holdfast/link"
	"holdfast/site"
)

// Names of the sites of a drill, by number. Five sites are in three cities, two, two and one of them, as banks build them: so the
// loss of a whole city leaves a majority.
// The last is for one that comes when all others are there.
var siteNames = []string{"Hangzhou", "Shanghai", "Shenzhen", "Hangzhou-2", "Shanghai-2", "Shenzhen-2"}

// city is where a site is.
func city(id holdfast.SiteID) string {
	name, _, _ := strings.Cut(SiteName(id), "-")
	return name
}

// withinCity is how much nearer to each other two sites of one city are than others.
const withinCity = 10

// MaxSites is how many sites a drill can begin with.
const MaxSites = 5

// SiteName is what a drill calls a site.
func SiteName(id holdfast.SiteID) string {
	if id < 1 || int(id) > len(siteNames) {
		return fmt.Sprintf("site %d", id)
	}
	return siteNames[id-1]
}

// fleet is the real thing, small: one server process per site on this machine, joined by cables that can be cut.
type fleet struct {
	dir   string
	rtt   time.Duration
	key   guard.Secret // of the load clients; the role is operator
	net   *cables      // nil: sites dial each other directly
	spawn *spawner
	sites []*member
	made  []site.Config

	rehearse bool
	bank     *testBank  // nil: there are no payments of people
	mu       sync.Mutex // guards what follows
	damage   map[holdfast.SiteID]Damage
	came     []*member // while the load ran; see newcomers.go
	went     []holdfast.SiteID
	carriers []Damage
}

// member is one site of the fleet as the drill sees it.
type member struct {
	id   holdfast.SiteID
	name string
	url  string // of its HTTP API, reached without a cable
	proc *process
	own  *client.Client // asks this site and no other
}

// Damage is what is wrong with a site, or a carrier, just now, by order of the drill.
type Damage string

// What a drill does to a site.
const (
	Whole      Damage = ""
	CutOff     Damage = "cut off"
	Parted     Damage = "wrong side" // cut off together with others, which it still reaches
	Muted      Damage = "not heard"
	Deafened   Damage = "hears nothing"
	Killed     Damage = "killed"
	Frozen     Damage = "frozen"
	Restarting Damage = "restarting"
)

// newFleet lays cables, makes certificates and configurations in dir, and starts nothing.
func newFleet(o *Options, dir string, r *rand.Rand) (_ *fleet, err error) {
	f := &fleet{dir: dir, rtt: o.RTT, rehearse: o.rehearse, spawn: newSpawner(), damage: map[holdfast.SiteID]Damage{}, carriers: make([]Damage, o.Carriers)}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.bank.close(), f.net.Close())
			f.spawn.close()
		}
	}()
	if !o.bare {
		if f.net, err = startCables(f.spawn, o.Program, filepath.Join(dir, "cables.log"), o.RTT/2); err != nil {
			return nil, err
		}
	}
	var key guard.Key
	if key, f.key, err = guard.NewKey("drill", guard.Operator, entropy(r)); err != nil {
		return nil, err
	}
	configs, err := f.configs(o, key)
	if err != nil {
		return nil, err
	}
	if o.Visitors != nil {
		patientDoors(configs)
	}
	if err := writeCertificates(dir, len(siteNames)); err != nil {
		return nil, err
	}
	switch {
	case o.commerce:
		err = f.openShop(o.Program, configs, o.counter)
	case o.tills:
		err = f.openTills(o.Program, configs)
	}
	if err != nil {
		return nil, err
	}
	f.made = configs
	for i := range configs {
		if err := f.add(o.Program, &configs[i]); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func entropy(r *rand.Rand) (b [guard.KeyEntropy]byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// configs gives every site its addresses: for itself real ones, for its peers those of the cables to them.
func (f *fleet) configs(o *Options, key guard.Key) ([]site.Config, error) {
	ports, err := freePorts(o.Sites * (1 + o.Carriers))
	if err != nil {
		return nil, err
	}
	all := make([]site.Config, o.Sites)
	for i := range all {
		c := site.Embedded(filepath.Join(f.dir, fileName(i)), ports[i*(1+o.Carriers)])
		c.Site, c.Name, c.Cluster, c.Shards = holdfast.SiteID(i+1), fileName(i), "drill", o.Shards
		if o.Sites == MaxSites { // fewer are in a city each
			c.City = strings.ToLower(city(c.Site))
		}
		c.Link = site.Link{
			Listen: ports[i*(1+o.Carriers)+1 : (i+1)*(1+o.Carriers)],
			CA:     filepath.Join(f.dir, "ca.crt"), Cert: filepath.Join(f.dir, fileName(i)+".crt"), Key: filepath.Join(f.dir, fileName(i)+".key"),
		}
		c.Timing.RoundTrip = site.Duration(o.RTT)
		c.Timing.ElectionTicks = electionTicks(o.RTT, c.Timing.Tick.Std(), c.Timing.ElectionTicks)
		c.Keys = []site.APIKey{{Name: key.Name, Role: key.Role, SHA256: key.Hash}}
		c.Log.Level = "info"
		all[i] = c
	}
	return all, f.connect(all, o.bare)
}

// delay is that of a cable between two sites (from 0), one way; 0: as all others.
func (f *fleet) delay(i, j int) time.Duration {
	if city(holdfast.SiteID(i+1)) != city(holdfast.SiteID(j+1)) {
		return 0
	}
	return f.rtt / 2 / withinCity
}

// electionTicks keeps the time after which a leader is suspected at four round trips or more.
func electionTicks(rtt, tick time.Duration, atLeast int) int {
	return max(atLeast, int((4*rtt+tick-1)/tick))
}

func fileName(i int) string { return strings.ToLower(siteNames[i]) }

// connect lays a cable from every site to every other on every carrier; a bare fleet has none, its sites dial directly.
func (f *fleet) connect(all []site.Config, bare bool) error {
	for i := range all {
		for j := range all {
			if i == j {
				continue
			}
			peer := site.Peer{Site: all[j].Site, Name: all[j].Name, City: all[j].City, HTTP: "http://" + all[j].HTTP.Listen}
			for carrier, target := range all[j].Link.Listen {
				if !bare {
					addr, err := f.net.lay(all[i].Site, all[j].Site, carrier, target, f.delay(i, j))
					if err != nil {
						return err
					}
					target = addr
				}
				peer.Addresses = append(peer.Addresses, target)
			}
			all[i].Peers = append(all[i].Peers, peer)
		}
	}
	return nil
}

func (f *fleet) add(program string, c *site.Config) error {
	m, err := f.member(program, c)
	if err != nil {
		return err
	}
	f.sites = append(f.sites, m)
	return nil
}

// member writes the configuration of a site, and starts nothing.
func (f *fleet) member(program string, c *site.Config) (*member, error) {
	text, err := toml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("write the configuration of %s: %w", c.Name, err)
	}
	file := filepath.Join(f.dir, c.Name+".toml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("write the configuration of %s: %w", c.Name, err)
	}
	url := "http://" + c.HTTP.Listen
	own, err := client.New(client.Config{Sites: []string{url}, Key: f.key.Reveal(), Hedge: -1})
	if err != nil {
		return nil, err
	}
	return &member{
		id: c.Site, name: SiteName(c.Site), url: url, own: own,
		proc: &process{spawn: f.spawn, program: program, args: f.serveArgs(file, c.Name), logFile: filepath.Join(f.dir, c.Name+".log")},
	}, nil
}

// writeCertificates makes the authority of the fleet and a certificate for each site, good for two days.
func writeCertificates(dir string, sites int) error {
	now := time.Now()
	ca, err := link.NewCA("drill", now, 72*time.Hour)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), ca.Pair().Cert, 0o600); err != nil {
		return fmt.Errorf("write the certificate of the authority: %w", err)
	}
	for i := range sites {
		pair, err := ca.NewSiteCert(holdfast.SiteID(i+1), now, 48*time.Hour)
		if err != nil {
			return err
		}
		base := filepath.Join(dir, fileName(i))
		if err := link.WritePair(base+".crt", base+".key", pair); err != nil {
			return err
		}
	}
	return nil
}

// freePorts finds n loopback addresses nobody listens on. All are held until all are found, so that they differ.
func freePorts(n int) (addrs []string, err error) {
	for range n {
		l, err := net.Listen("tcp", loopback()+":0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// start starts all sites and waits until each takes requests.
func (f *fleet) start(ctx context.Context) error {
	for _, m := range f.sites {
		if err := m.proc.start(); err != nil {
			return err
		}
	}
	return f.ready(ctx)
}

// ready waits until every site takes requests and hears a majority.
func (f *fleet) ready(ctx context.Context) error {
	for _, m := range f.sites {
		if err := m.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// pollPause is how long a loop that waits for a site rests between two questions.
const pollPause = 10 * time.Millisecond

func (m *member) ready(ctx context.Context) error {
	var last error
	for {
		if last = m.asked(ctx); last == nil {
			return nil
		}
		if err := m.proc.unexpected(); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		if err := rest(ctx, pollPause); err != nil {
			return fmt.Errorf("%s does not take requests (%w): %w", m.name, err, last)
		}
	}
}

func (m *member) asked(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return m.own.Ready(ctx)
}

// rest waits, unless the context ends before.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// urls lists the sites' API addresses, beginning with that of site first (from 0), then around the circle.
func (f *fleet) urls(first int) []string {
	var out []string
	for i := range f.sites {
		out = append(out, f.sites[(first+i)%len(f.sites)].url)
	}
	return out
}

// connectFrom makes a client whose nearest site is first (from 0).
func (f *fleet) connectFrom(first int) (*client.Client, error) {
	return client.New(client.Config{Sites: f.urls(first), Key: f.key.Reveal(), Timeout: payDeadline})
}

func (f *fleet) site(id holdfast.SiteID) *member { return f.sites[id-1] }

func (f *fleet) mark(id holdfast.SiteID, d Damage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.damage[id] = d
}

func (f *fleet) state(id holdfast.SiteID) Damage {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.damage[id]
}

// close ends every process and cable. It may be called at any time, and again.
func (f *fleet) close() error {
	var errs []error
	for _, m := range f.sites {
		if m.proc.running() {
			errs = append(errs, m.proc.kill())
		}
		m.own.Close()
	}
	errs = append(errs, f.closeCame()...)
	errs = append(errs, f.bank.close(), f.net.Close())
	f.spawn.close()
	return errors.Join(errs...)
}

// loopback is an address of this machine that no other program uses: on Linux all of 127.0.0.0/8 is loopback, and a port that
// was found free on 127.0.0.1 is soon taken by somebody's outgoing connection.
func loopback() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 1+pid>>16%100, pid>>8&255, pid&255)
}
