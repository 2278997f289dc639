package doctor

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"holdfast"
	"holdfast/guard"
	"holdfast/site"
)

// Machine is what was seen on the machine of one site.
type Machine struct {
	File     string // its configuration
	Config   site.Config
	Problems []string // of the configuration, in words
	Now      time.Time
	Certs    []Cert
	// Hops is where this machine sends packets for an address of a peer; an address that is missing could not be asked for.
	Hops map[string]Hop
	Disk *Disk // nil: the data directory could not be tried
	// DiskProblem says why, if so.
	DiskProblem string
	Files       uint64  // that the process may have open; 0: not known
	NoPriority  bool    // it may not raise its priority as the configuration asks
	Shards      *Shards // nil: there is no data in the directory yet, or it cannot be read
}

// Shards is what a data directory says of the shards of its fleet.
type Shards struct {
	First int // that the fleet was born with
	Now   int // that there were when the site last heard of one more
}

// Cert is a certificate file.
type Cert struct {
	File    string
	Expires time.Time
}

// Hop is the way out of a machine: the next router, or the network itself when the destination is on it.
type Hop struct {
	Device  string
	Gateway netip.Addr // zero: the destination is on the network of the device
}

func (h Hop) String() string {
	if h.Gateway.IsValid() {
		return fmt.Sprintf("%s via %s", h.Device, h.Gateway)
	}
	return h.Device
}

// Disk is what was measured in the data directory.
type Disk struct {
	InMemory bool // the file system is in memory: nothing is kept when the machine stops
	Free     uint64
	Median   time.Duration // of a synced write of 4 KiB
	Slow     time.Duration // of the slowest in a hundred
}

const (
	certSoon  = 30 * 24 * time.Hour
	certVery  = 7 * 24 * time.Hour
	diskSlow  = 10 * time.Millisecond // of the median: a payment waits for two of them
	diskTail  = 50 * time.Millisecond
	diskFast  = 15 * time.Microsecond // nothing that survives a power cut answers sooner
	filesWant = 4096
)

// ExamineMachine says what is wrong with the configuration of one site, and with the machine it is for.
func ExamineMachine(m *Machine) []Finding {
	f := findings{where: m.File}
	for _, p := range m.Problems {
		f.add(Critical, "config-invalid", "mend the field; holdfast serve --print-config explains each", "%s", p)
	}
	f.sites(&m.Config)
	f.carriers(m)
	f.certs(m)
	f.disk(m)
	f.pages(&m.Config)
	if m.Files > 0 && m.Files < filesWant {
		f.add(Warning, "files-few", "raise the limit: LimitNOFILE in the systemd unit, or ulimit -n",
			"a process here may have %d files open; a site with many callers needs %d", m.Files, filesWant)
	}
	if m.NoPriority {
		f.add(Advice, "priority-refused", "AmbientCapabilities=CAP_SYS_NICE in the systemd unit, or [process] nice = 0 to leave it",
			"the site may not raise its priority to %d: when the machine is busy with other things, it may lose its leaderships", m.Config.Process.Nice)
	}
	if m.Config.Drills.Enable && len(m.Config.Peers) > 0 {
		f.add(Advice, "drills-on", "[drills] enable = false where people pay; leave it at a site that serves nobody",
			"operators may run drills beside this site: each takes its processors for a minute or two, and payments get slower")
	}
	return f.list
}

func (f *findings) sites(c *site.Config) {
	switch n := len(c.Peers) + 1; {
	case n == 1:
		// Whoever runs one site knows it: this is how people try the platform.
		f.add(Advice, "site-single", "run three sites or more before real money is in it, see the README", "there is one site: without it nobody can pay")
	case n == 2:
		f.add(Critical, "sites-two", "add a third site; it may be a small one", "there are two sites: without either there is no majority")
	case n%2 == 0:
		f.add(Advice, "sites-even", "add one, or retire one", "%d sites survive the loss of no more sites than %d would", n, n-1)
	}
}

// carriers looks for "carriers" that share something which one shovel can cut.
func (f *findings) carriers(m *Machine) {
	for i := range m.Config.Peers {
		p := &m.Config.Peers[i]
		g := findings{where: fmt.Sprintf("%s, way to site %d (%s)", m.File, p.Site, p.Name)}
		g.ways(m, p)
		f.list = append(f.list, g.list...)
	}
	f.shared("this site", m.Config.Link.Listen)
}

func (f *findings) ways(m *Machine, p *site.Peer) {
	used := slices.DeleteFunc(slices.Clone(p.Addresses), func(a string) bool { return a == "" })
	if len(used) == 1 {
		f.add(Warning, "carrier-single", "give the two sites a second carrier, of another company and through another street",
			"there is one carrier: when it is cut, site %d is cut off from here", p.Site)
	}
	f.shared(fmt.Sprintf("site %d", p.Site), p.Addresses)
	for i, a := range p.Addresses {
		for j := range i {
			x, known := m.Hops[a]
			y, too := m.Hops[p.Addresses[j]]
			if known && too && x == y {
				f.add(Warning, "carrier-same-hop", "route each carrier out of a network card and a router of its own",
					"carriers %d and %d leave this machine the same way (%s): what cuts one cuts both", j+1, i+1, x)
			}
		}
	}
}

// shared compares the addresses of one site with each other.
func (f *findings) shared(whose string, addresses []string) {
	for i, a := range addresses {
		for j := range i {
			x, y := hostOf(a), hostOf(addresses[j])
			switch {
			case sameName(a, addresses[j]):
				f.add(Warning, "carrier-same-address", "give each carrier a name and an address of its own, from the company that runs it",
					"carriers %d and %d reach %s by one name, %s: they are one carrier", j+1, i+1, whose, nameOf(a))
			case !x.IsValid() || !y.IsValid() || x.IsUnspecified() || y.IsUnspecified():
			case x == y:
				f.add(Warning, "carrier-same-address", "give each carrier an address of its own, from the company that runs it",
					"carriers %d and %d reach %s at one address, %s: they are one carrier", j+1, i+1, whose, x)
			case network(x) == network(y):
				f.add(Warning, "carrier-same-prefix", "give each carrier an address from the company that runs it",
					"carriers %d and %d reach %s in one network, %s: most likely one cable", j+1, i+1, whose, network(x))
			}
		}
	}
}

// hostOf is the address without the port; zero when it is a name or empty.
func hostOf(address string) netip.Addr {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// nameOf is the name in an address, in the form in which names are compared (RFC 4343); "" when it is an address in numbers, or empty.
func nameOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if _, number := netip.ParseAddr(host); err != nil || number == nil {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func sameName(a, b string) bool { return nameOf(a) != "" && nameOf(a) == nameOf(b) }

// network is the prefix that one company gives to one place at most: 24 bits, or 48 of IPv6 (RFC 6177).
func network(a netip.Addr) netip.Prefix {
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, _ := a.Prefix(bits)
	return p
}

func (f *findings) certs(m *Machine) {
	for _, c := range m.Certs {
		left := c.Expires.Sub(m.Now)
		day := c.Expires.UTC().Format(time.DateOnly)
		const do = "make a new one with holdfast cert, and restart the site; the others go on meanwhile"
		switch {
		case left <= 0:
			f.add(Critical, "cert-expired", do, "%s has expired on %s: the other sites refuse this one", c.File, day)
		case left < certVery:
			f.add(Critical, "cert-expires", do, "%s expires on %s, in %d days", c.File, day, int(left.Hours()/24))
		case left < certSoon:
			f.add(Warning, "cert-expires", do, "%s expires on %s, in %d days", c.File, day, int(left.Hours()/24))
		}
	}
}

func (f *findings) disk(m *Machine) {
	d := m.Disk
	if d == nil {
		if m.DiskProblem != "" {
			f.add(Warning, "disk-untried", "run doctor as the user that runs the site", "the data directory could not be tried: %s", m.DiskProblem)
		}
		return
	}
	if d.InMemory {
		f.add(Critical, "disk-in-memory", "put data on a disk", "%s is in memory: nothing there survives a power cut", m.Config.Data)
	} else if d.Median > 0 && d.Median < diskFast {
		f.add(Critical, "disk-promises", "turn off the write cache, or use a disk that has power for it",
			"a synced write takes %v: the disk says that data is safe before it is", d.Median)
	}
	if d.Median > diskSlow || d.Slow > diskTail {
		f.add(Warning, "disk-slow", "use a local solid-state disk that nothing else writes to",
			"half of the synced writes take %v or more, one in a hundred %v; a payment waits for two of them", d.Median, d.Slow)
	}
	if reserve := uint64(max(m.Config.Store.ReserveBytes, 0)); d.Free < 2*reserve {
		severity := Warning
		if d.Free < reserve {
			severity = Critical
		}
		f.add(severity, "disk-low", "make room: below the reserve of the configuration new payments are refused",
			"%d MiB are free, and %d of them are the reserve", d.Free>>20, reserve>>20)
	}
}

// ExamineConfigs compares the configurations of several sites of one fleet, which has so many shards now; 0: nobody has asked it.
func ExamineConfigs(list []*Machine, shards int) []Finding {
	var out findings
	for i, a := range list {
		for _, b := range list[:i] {
			f := findings{where: b.File + " and " + a.File}
			f.pair(&b.Config, &a.Config)
			f.shards(b, a, shards)
			out.list = append(out.list, f.list...)
		}
	}
	return out.list
}

func (f *findings) pair(a, b *site.Config) {
	const do = "use one value at all sites"
	if a.Site == b.Site {
		f.add(Critical, "config-same-site", "give each site a number of its own", "both are of site %d", a.Site)
		return
	}
	if a.Cluster != b.Cluster {
		f.add(Critical, "config-differs", do, "cluster is %q in one and %q in the other: they refuse each other", a.Cluster, b.Cluster)
	}
	if a.Timing != b.Timing {
		f.add(Advice, "config-differs", do, "[timing] differs: sites suspect each other at different times")
	}
	f.keys(a, b)
	f.samePages(a, b)
	f.knows(a, b)
	f.knows(b, a)
}

// shards compares how many shards there are to be. Once shards were born in a running fleet, a configuration may say how many there were
// at first, or how many there are: before that, two numbers are two fleets.
func (f *findings) shards(a, b *Machine, now int) {
	one, other := a.Config.Shards, b.Config.Shards
	if one == other || a.Config.Site == b.Config.Site {
		return
	}
	first := 0
	for _, m := range []*Machine{a, b} {
		if m.Shards != nil {
			first, now = m.Shards.First, max(now, m.Shards.Now)
		}
	}
	low, high := min(one, other), max(one, other)
	switch {
	case now == 0:
		f.add(Critical, "config-differs", "use one value at all sites; in a fleet in which shards were born since, ask that with the API key, or look where its data is",
			"shards is %d in one and %d in the other", one, other)
	case high > now:
		f.add(Critical, "config-differs", "write the number with which the fleet was born, or that of today",
			"shards is %d in one and %d in the other, and the fleet has %d: the site with %d does not start", one, other, now, high)
	case low < first:
		f.add(Critical, "config-differs", "write the number with which the fleet was born, or that of today",
			"shards is %d in one and %d in the other, and the fleet was born with %d: the site with %d does not start", one, other, first, low)
	}
}

// keys reports API keys that are not the same at both sites. The name is part of what makes an idempotency key the caller's own: one secret
// under two names would let a payment be made once under each.
func (f *findings) keys(a, b *site.Config) {
	names := map[guard.Hash]string{}
	for _, k := range a.Keys {
		names[k.SHA256] = k.Name
	}
	for _, k := range b.Keys {
		name, known := names[k.SHA256]
		switch {
		case !known:
			f.add(Warning, "keys-differ", "give every site the same [[api_key]] sections", "the key %q of site %d is not known at site %d: its callers cannot move on", k.Name, b.Site, a.Site)
		case name != k.Name:
			f.add(Critical, "keys-differ", "give the key one name at every site, at once: until then its callers may be charged twice",
				"one API key is called %q at site %d and %q at site %d: the same idempotency key means two payments", name, a.Site, k.Name, b.Site)
		}
		delete(names, k.SHA256)
	}
	for _, name := range slices.Sorted(maps.Values(names)) {
		f.add(Warning, "keys-differ", "give every site the same [[api_key]] sections", "the key %q of site %d is not known at site %d: its callers cannot move on", name, a.Site, b.Site)
	}
}

// knows reports that one site cannot reach the other by what it is configured for.
func (f *findings) knows(a, b *site.Config) {
	i := slices.IndexFunc(a.Peers, func(p site.Peer) bool { return p.Site == b.Site })
	if i < 0 {
		f.add(Warning, "config-unknown-peer", fmt.Sprintf("add a [[peer]] for site %d, or add the site with holdfast site add", b.Site),
			"site %d does not list site %d", a.Site, b.Site)
		return
	}
	for carrier, address := range a.Peers[i].Addresses {
		if address != "" && carrier >= len(b.Link.Listen) {
			f.add(Critical, "config-no-listener", "add an address to link.listen there, in the order of the carriers",
				"site %d reaches site %d by carrier %d at %s, and it listens on %d carriers", a.Site, b.Site, carrier+1, address, len(b.Link.Listen))
		}
	}
}

// siteName is a site as people know it.
func siteName(id holdfast.SiteID, name string) string {
	if name == "" {
		return fmt.Sprintf("site %d", id)
	}
	return fmt.Sprintf("site %d (%s)", id, name)
}
