package doctor

import (
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/guard"
	"holdfast/site"
)

var noon = time.Date(2026, 5, 27, 12, 0, 0, 0, time.UTC)

func codes(list []Finding) (out []string) {
	for _, f := range list {
		out = append(out, string(f.Severity)+" "+f.Code)
	}
	slices.Sort(out)
	return out
}

// soundMachine is one of which nothing is to be said; each row of a test spoils one thing.
func soundMachine() *Machine {
	c := site.Default()
	c.Site, c.Name, c.Cluster, c.Data = 1, "hangzhou", "test", "/data"
	c.Link.Listen = []string{"10.1.0.1:7001", "172.16.0.1:7001"}
	c.Peers = []site.Peer{
		{Site: 2, Name: "shanghai", Addresses: []string{"10.1.1.2:7001", "172.16.1.2:7001"}},
		{Site: 3, Name: "shenzhen", Addresses: []string{"10.1.2.3:7001", "172.16.2.3:7001"}},
	}
	m := &Machine{
		File: "hangzhou.toml", Config: c, Now: noon, Files: 65536,
		Certs: []Cert{{"site.crt", noon.Add(365 * 24 * time.Hour)}},
		Disk:  &Disk{Free: 1 << 40, Median: 300 * time.Microsecond, Slow: time.Millisecond},
		Hops:  map[string]Hop{},
	}
	for _, p := range c.Peers {
		m.Hops[p.Addresses[0]] = Hop{"eth0", netip.MustParseAddr("10.1.0.254")}
		m.Hops[p.Addresses[1]] = Hop{"eth1", netip.MustParseAddr("172.16.0.254")}
	}
	return m
}

// pages are those of all sites, behind proxies.
func pages(m *Machine, own string) {
	m.Config.Console = site.Console{
		Sites:        map[string]string{"hangzhou": own, "shanghai": "https://shanghai.pay.example", "shenzhen": "https://shenzhen.pay.example"},
		CookieDomain: "pay.example", TrustedProxies: []string{"127.0.0.1"},
	}
}

func TestExamineMachine(t *testing.T) {
	for _, row := range []struct {
		name  string
		spoil func(m *Machine)
		want  []string
	}{
		{"sound", func(*Machine) {}, nil},
		{"a field is wrong", func(m *Machine) { m.Problems = []string{"name: is missing"} }, []string{"critical config-invalid"}},
		{"one site", func(m *Machine) { m.Config.Peers = nil }, []string{"advice site-single"}},
		{"two sites", func(m *Machine) { m.Config.Peers = m.Config.Peers[:1] }, []string{"critical sites-two"}},
		{"four sites", func(m *Machine) {
			m.Config.Peers = append(m.Config.Peers, site.Peer{Site: 4, Addresses: []string{"10.1.3.4:1", "172.16.3.4:1"}})
		}, []string{"advice sites-even"}},
		{"one carrier to one site", func(m *Machine) { m.Config.Peers[0].Addresses[1] = "" }, []string{"warning carrier-single"}},
		{"one address", func(m *Machine) {
			m.Config.Peers[0].Addresses[1] = "10.1.1.2:7002"
		}, []string{"warning carrier-same-address"}},
		{"one address, written as IPv6", func(m *Machine) {
			m.Config.Peers[0].Addresses[1] = "[::ffff:10.1.1.2]:7002"
		}, []string{"warning carrier-same-address"}},
		{"one network", func(m *Machine) { m.Config.Peers[0].Addresses[1] = "10.1.1.77:7001" }, []string{"warning carrier-same-prefix"}},
		{"one network of IPv6", func(m *Machine) {
			m.Config.Peers[0].Addresses = []string{"[2001:db8:1:1::2]:7001", "[2001:db8:1:2::2]:7001"}
		}, []string{"warning carrier-same-prefix"}},
		{"two networks of IPv6", func(m *Machine) {
			m.Config.Peers[0].Addresses = []string{"[2001:db8:1::2]:7001", "[2001:db8:2::2]:7001"}
		}, nil},
		{"names cannot be compared", func(m *Machine) {
			m.Config.Peers[0].Addresses = []string{"a.example:7001", "b.example:7001"}
		}, nil},
		{"one name, two ports", func(m *Machine) {
			m.Config.Peers[0].Addresses = []string{"hz.example:7001", "HZ.example.:7002"}
		}, []string{"warning carrier-same-address"}},
		{"this site listens on one address", func(m *Machine) {
			m.Config.Link.Listen[1] = "10.1.0.1:7002"
		}, []string{"warning carrier-same-address"}},
		{"this site listens everywhere", func(m *Machine) { m.Config.Link.Listen = []string{":7001", "0.0.0.0:7002"} }, nil},
		{"one way out", func(m *Machine) {
			m.Hops["172.16.1.2:7001"] = m.Hops["10.1.1.2:7001"]
		}, []string{"warning carrier-same-hop"}},
		{"one card, two routers", func(m *Machine) {
			m.Hops["172.16.1.2:7001"] = Hop{"eth0", netip.MustParseAddr("10.1.0.253")}
		}, nil},
		{"an expired certificate", func(m *Machine) { m.Certs[0].Expires = noon }, []string{"critical cert-expired"}},
		{"expires in six days", func(m *Machine) { m.Certs[0].Expires = noon.Add(6 * 24 * time.Hour) }, []string{"critical cert-expires"}},
		{"expires in a month", func(m *Machine) { m.Certs[0].Expires = noon.Add(29 * 24 * time.Hour) }, []string{"warning cert-expires"}},
		{"a disk in memory", func(m *Machine) { m.Disk.InMemory, m.Disk.Median = true, time.Microsecond }, []string{"critical disk-in-memory"}},
		{"a disk that lies", func(m *Machine) { m.Disk.Median = 9 * time.Microsecond }, []string{"critical disk-promises"}},
		{"a slow disk", func(m *Machine) { m.Disk.Median = 11 * time.Millisecond }, []string{"warning disk-slow"}},
		{"a disk that is slow at times", func(m *Machine) { m.Disk.Slow = 60 * time.Millisecond }, []string{"warning disk-slow"}},
		{"little space", func(m *Machine) { m.Disk.Free = uint64(m.Config.Store.ReserveBytes) + 1 }, []string{"warning disk-low"}},
		{"no space", func(m *Machine) { m.Disk.Free = uint64(m.Config.Store.ReserveBytes) - 1 }, []string{"critical disk-low"}},
		{"a disk that could not be tried", func(m *Machine) { m.Disk, m.DiskProblem = nil, "permission denied" }, []string{"warning disk-untried"}},
		{"few files", func(m *Machine) { m.Files = 1024 }, []string{"warning files-few"}},
		{"drills", func(m *Machine) { m.Config.Drills.Enable = true }, []string{"advice drills-on"}},
		{"no priority", func(m *Machine) { m.NoPriority = true }, []string{"advice priority-refused"}},
		{"pages in the clear, in a private network", func(m *Machine) { m.Config.HTTP.Listen = "10.0.0.1:8080" }, []string{"advice pages-plain"}},
		{"pages in the clear, everywhere", func(m *Machine) { m.Config.HTTP.Listen = ":8080" }, []string{"warning pages-plain"}},
		{"pages in the clear, under a name", func(m *Machine) { pages(m, "http://hangzhou.pay.example:8080") }, []string{"warning pages-plain"}},
		{"pages behind a proxy", func(m *Machine) { m.Config.HTTP.Listen = ":8080"; pages(m, "https://hangzhou.pay.example") }, nil},
		{"a proxy that is not trusted", func(m *Machine) {
			pages(m, "https://hangzhou.pay.example")
			m.Config.Console.TrustedProxies = nil
		}, []string{"warning pages-proxy"}},
		{"no common cookies", func(m *Machine) {
			pages(m, "https://hangzhou.pay.example")
			m.Config.Console.CookieDomain = ""
		}, []string{"warning pages-cookie"}},
		{"one host, several ports", func(m *Machine) {
			pages(m, "https://pay.example:1")
			m.Config.Console.Sites["shanghai"], m.Config.Console.Sites["shenzhen"] = "https://pay.example:2", "https://pay.example:3"
			m.Config.Console.CookieDomain = ""
		}, nil},
		{"a site without pages", func(m *Machine) {
			pages(m, "https://hangzhou.pay.example")
			delete(m.Config.Console.Sites, "shenzhen")
		}, []string{"warning pages-site-missing"}},
		{"pages without passkeys", func(m *Machine) {
			pages(m, "https://hangzhou.pay.example")
			m.Config.SignIn.PasskeyDomain, m.Config.SignIn.Origins = "pay.example", []string{"https://shanghai.pay.example", "https://shenzhen.pay.example"}
		}, []string{"warning pages-passkeys"}},
	} {
		m := soundMachine()
		row.spoil(m)
		if got := codes(ExamineMachine(m)); !slices.Equal(got, row.want) {
			t.Errorf("%s: %q; want %q", row.name, got, row.want)
		}
	}
}

func TestExamineConfigs(t *testing.T) {
	for _, row := range []struct {
		name  string
		spoil func(a, b *site.Config)
		want  []string
	}{
		{"sound", func(_, _ *site.Config) {}, nil},
		{"one number", func(_, b *site.Config) { b.Site = 1 }, []string{"critical config-same-site"}},
		{"two fleets", func(_, b *site.Config) { b.Cluster = "other" }, []string{"critical config-differs"}},
		{"shards", func(_, b *site.Config) { b.Shards = 8 }, []string{"critical config-differs"}},
		{"timing", func(_, b *site.Config) { b.Timing.ElectionTicks++ }, []string{"advice config-differs"}},
		{"one key, two names", func(a, b *site.Config) {
			a.Keys, b.Keys = []site.APIKey{{Name: "boss", SHA256: guard.Hash{1}}}, []site.APIKey{{Name: "boss2", SHA256: guard.Hash{1}}}
		}, []string{"critical keys-differ"}},
		{"keys that are missing", func(a, b *site.Config) {
			a.Keys, b.Keys = []site.APIKey{{Name: "a", SHA256: guard.Hash{1}}}, []site.APIKey{{Name: "b", SHA256: guard.Hash{2}}}
		}, []string{"warning keys-differ", "warning keys-differ"}},
		{"the same keys", func(a, b *site.Config) {
			a.Keys = []site.APIKey{{Name: "a", SHA256: guard.Hash{1}}}
			b.Keys = a.Keys
		}, nil},
		{"one does not know the other", func(a, _ *site.Config) { a.Peers = a.Peers[1:] }, []string{"warning config-unknown-peer"}},
		{"a carrier without a listener", func(_, b *site.Config) { b.Link.Listen = b.Link.Listen[:1] }, []string{"critical config-no-listener"}},
	} {
		a, b := soundMachine(), soundMachine()
		b.File, b.Config.Site = "shanghai.toml", 2
		b.Config.Peers[0].Site = 1
		row.spoil(&a.Config, &b.Config)
		if got := codes(ExamineConfigs([]*Machine{a, b}, 0)); !slices.Equal(got, row.want) {
			t.Errorf("%s: %q; want %q", row.name, got, row.want)
		}
	}
}

func soundFleet() *Fleet {
	x := &Fleet{Survival: client.Survival{Survives: true}, Clocks: map[holdfast.SiteID]time.Duration{}}
	for id := holdfast.SiteID(1); id <= 3; id++ {
		s := client.Site{Site: id, Name: "abc"[id-1 : id], Self: id == 1, Reachable: true, Ready: true, Version: "1", DigestOK: true, RoundTrip: 9}
		if id > 1 {
			s.Carriers = []client.Carrier{
				{Address: "10.1.1.2:7001", Connected: true, LastHeard: noon},
				{Address: "172.16.1.2:7001", Connected: true, LastHeard: noon},
			}
		}
		x.Sites = append(x.Sites, s)
		x.Clocks[id] = 400 * time.Millisecond
		x.Survival.Losses = append(x.Survival.Losses, client.Forecast{
			Loss: "site", Sites: []holdfast.SiteID{id}, Survives: true, Loads: []client.SiteLoad{{Site: 1, Rate: 10, Peak: 100}},
		})
	}
	x.Shards = []client.Shard{{Shard: 1, Leader: 1, InService: true, Members: []client.Member{{Site: 1}, {Site: 2}, {Site: 3}}}}
	return x
}

func TestExamineFleet(t *testing.T) {
	for _, row := range []struct {
		name  string
		spoil func(x *Fleet)
		want  []string
	}{
		{"sound", func(*Fleet) {}, nil},
		{"a site is gone", func(x *Fleet) { x.Sites[1] = client.Site{Site: 2} }, []string{"critical site-unreachable"}},
		{"a learner is gone", func(x *Fleet) { x.Sites[1] = client.Site{Site: 2, Role: "learner"} }, []string{"warning learner-unreachable"}},
		{"a learner is far", func(x *Fleet) {
			x.RoundTrip, x.Sites[2].RoundTrip, x.Sites[2].Role = 10*time.Millisecond, 90, "learner"
		}, nil},
		{"a site starts", func(x *Fleet) { x.Sites[1].Ready = false }, []string{"warning site-not-ready"}},
		{"a replica differs", func(x *Fleet) { x.Sites[1].DigestOK = false }, []string{"critical replica-differs"}},
		{"a disk is full", func(x *Fleet) { x.Sites[1].DiskFull = true }, []string{"critical disk-low"}},
		{"a carrier is down", func(x *Fleet) { x.Sites[1].Carriers[0].Connected = false }, []string{"warning carrier-silent", "warning carrier-single"}},
		{"a carrier is silent", func(x *Fleet) {
			x.Sites[1].Carriers[0].LastHeard = noon.Add(-3 * time.Second)
		}, []string{"warning carrier-silent", "warning carrier-single"}},
		{"a carrier loses", func(x *Fleet) { x.Sites[1].Carriers[0].Loss = 0.3 }, []string{"warning carrier-lossy"}},
		{"carriers that are one", func(x *Fleet) { x.Sites[1].Carriers[0].Address = "172.16.1.2:7002" }, []string{"warning carrier-same-address"}},
		{"one carrier", func(x *Fleet) { x.Sites[1].Carriers = x.Sites[1].Carriers[:1] }, []string{"warning carrier-single"}},
		{"farther than configured", func(x *Fleet) { x.RoundTrip, x.Sites[2].RoundTrip = 10*time.Millisecond, 21 }, []string{"warning round-trip"}},
		{"as far as configured", func(x *Fleet) { x.RoundTrip = 10 * time.Millisecond }, nil},
		{"no leader", func(x *Fleet) { x.Shards[0].Leader = 0 }, []string{"critical no-leader"}},
		{"out of service", func(x *Fleet) { x.Shards[0].InService = false }, []string{"critical replica-out-of-service"}},
		{"no space for a checkpoint", func(x *Fleet) { x.Shards[0].Reason = "it waits" }, []string{"warning replica-behind"}},
		{"behind", func(x *Fleet) { x.Shards[0].Members[2].Lag = 20_000 }, []string{"warning replica-lags"}},
		{"two voters", func(x *Fleet) { x.Shards[0].Members[2].Learner = true }, []string{"critical voters-few"}},
		{"one site, to try it", func(x *Fleet) {
			x.Sites, x.Clocks, x.Survival.Losses[0].Survives = x.Sites[:1], nil, false
			x.Shards[0].Members = x.Shards[0].Members[:1]
		}, []string{"advice site-single"}},
		{"two versions", func(x *Fleet) { x.Sites[2].Version = "2" }, []string{"warning versions-mixed"}},
		{"a site whose version is not known", func(x *Fleet) { x.Sites[2].Version = "" }, nil},
		{"a clock is wrong", func(x *Fleet) { x.Clocks[2] = -3 * time.Second }, []string{"warning clocks-differ"}},
		{"only ours is wrong", func(x *Fleet) {
			for id := range x.Clocks {
				x.Clocks[id] = time.Hour
			}
		}, nil},
		{"the loss of a site", func(x *Fleet) { x.Survival.Losses[1].Survives = false }, []string{"critical loss-not-survived"}},
		{"the loss of a city of two", func(x *Fleet) {
			x.Sites[0].City, x.Sites[1].City, x.Sites[2].City = "h", "h", "s"
			x.Survival.Losses[1] = client.Forecast{Loss: "city", City: "h", Sites: []holdfast.SiteID{1, 2}}
		}, []string{"advice city-not-survived"}},
		{"the loss of a city of three", func(x *Fleet) {
			x.Sites[0].City, x.Sites[1].City, x.Sites[2].City = "h", "s", "b"
			x.Survival.Survives, x.Survival.Losses[1] = false, client.Forecast{Loss: "city", City: "h", Sites: []holdfast.SiteID{1, 2}}
		}, []string{"critical loss-not-survived"}},
		{"payments in transit fit", func(x *Fleet) { x.Survival.Transit = &client.TransitCheck{Fits: true, Compared: noon} }, nil},
		{"payments in transit do not fit", func(x *Fleet) {
			x.Survival.Transit = &client.TransitCheck{Compared: noon, Differs: "1 to 2"}
		}, []string{"critical transit-differs"}},
		{"payments in transit are not compared", func(x *Fleet) {
			x.Survival.Transit = &client.TransitCheck{Fits: true, Compared: noon.Add(-time.Hour), Overdue: true, Trouble: "shard 2 does not answer"}
		}, []string{"warning transit-unknown"}},
		{"payments in transit were never compared", func(x *Fleet) { x.Survival.Transit = &client.TransitCheck{Overdue: true} }, []string{"warning transit-unknown"}},
		{"a disk that is slow", func(x *Fleet) { x.Sites[0].DiskWrite = 11 }, []string{"warning disk-slow"}},
		{"a disk that hangs at another site", func(x *Fleet) {
			x.Views = map[holdfast.SiteID][]client.Site{2: {{Site: 2, Self: true, DiskSick: true}}}
		}, []string{"critical disk-sick"}},
		{"a site that could not be asked", func(x *Fleet) {
			x.Unasked = map[holdfast.SiteID]string{2: "nobody says where its API is"}
		}, []string{"warning site-unasked"}},
		{"a carrier between two others is down", func(x *Fleet) {
			two := []client.Carrier{{Address: "10.1.1.2:7001", LastHeard: noon}, {Address: "172.16.1.2:7001", Connected: true, LastHeard: noon}}
			x.Views = map[holdfast.SiteID][]client.Site{2: {{Site: 2, Self: true}, {Site: 3, Reachable: true, Carriers: two}}}
		}, []string{"warning carrier-silent", "warning carrier-single"}},
		{"a carrier that two sites do not share", func(x *Fleet) {
			x.Sites[1].Carriers = append(x.Sites[1].Carriers, client.Carrier{})
		}, nil},
		{"the loss of two sites of three", func(x *Fleet) {
			x.Survival.Losses[1].Survives, x.Survival.Losses[1].Loss = false, "sites"
		}, nil},
		{"a bank that is well", func(x *Fleet) {
			x.Banks = []client.Bank{{Bank: "a", Said: noon, Waiting: 3, Unknown: 1, UnknownSince: noon.Add(-time.Minute)}}
		}, nil},
		{"a bank that has just fallen silent", func(x *Fleet) {
			x.Banks = []client.Bank{{Said: noon, Down: true, DownSince: noon.Add(-20 * time.Second)}}
		}, nil},
		{"a bank is down", func(x *Fleet) { x.Banks = []client.Bank{{Said: noon, Down: true, DownSince: noon.Add(-time.Minute)}} }, []string{"warning bank-down"}},
		{"nobody knows for long", func(x *Fleet) {
			x.Banks = []client.Bank{{Said: noon, Unknown: 2, UnknownSince: noon.Add(-time.Hour)}}
		}, []string{"warning bank-unknown"}},
		{"a bank that contradicts itself", func(x *Fleet) { x.Banks = []client.Bank{{Said: noon, Doubtful: 1}} }, []string{"critical bank-contradicts"}},
		{"nobody speaks with a bank", func(x *Fleet) { x.Banks = []client.Bank{{}} }, []string{"warning bank-unattended"}},
		{"books that differ", func(x *Fleet) { x.Differences = 1 }, []string{"warning bank-differs"}},
		{"too much for those who are left", func(x *Fleet) { x.Survival.Losses[1].Loads[0].Rate = 101 }, []string{"warning capacity-missing"}},
		{"nobody has been measured", func(x *Fleet) { x.Survival.Losses[1].Loads[0].Peak = 0 }, nil},
	} {
		x := soundFleet()
		row.spoil(x)
		if got := codes(ExamineFleet(x, noon)); !slices.Equal(got, row.want) {
			t.Errorf("%s: %q; want %q", row.name, got, row.want)
		}
	}
}

func TestReportPutsTheWorstFirst(t *testing.T) {
	r := NewReport([]string{"a"}, []Finding{{Code: "b", Severity: Advice}, {Code: "c", Severity: Critical}, {Code: "a", Severity: Warning}, {Code: "c", Severity: Critical}})
	if got := codes(r.Findings); len(got) != 3 || r.Findings[0].Code != "c" || r.Findings[2].Code != "b" || r.Healthy {
		t.Errorf("%+v", r)
	}
	if !NewReport(nil, []Finding{{Code: "b", Severity: Advice}}).Healthy {
		t.Error("advice made a fleet ill")
	}
}

// TestConfiguredShards: once shards were born, a configuration may say how many there were at first, how many there are, and what lies between.
func TestConfiguredShards(t *testing.T) {
	for _, row := range []struct {
		name       string
		one, other int
		disk       *Shards // of the first
		asked      int     // what the fleet says
		want       []string
	}{
		{"nothing is known", 2, 3, nil, 0, []string{"critical config-differs"}},
		{"no shard was born", 2, 3, &Shards{2, 2}, 2, []string{"critical config-differs"}},
		{"of then and of today", 2, 3, &Shards{2, 3}, 0, nil},
		{"in between", 3, 4, &Shards{2, 5}, 0, nil},
		{"the fleet says so", 2, 3, nil, 3, nil},
		{"the disk has not heard of the last", 2, 4, &Shards{2, 3}, 4, nil},
		{"too many", 2, 4, &Shards{2, 3}, 3, []string{"critical config-differs"}},
		{"too few", 1, 2, &Shards{2, 3}, 3, []string{"critical config-differs"}},
	} {
		a, b := soundMachine(), soundMachine()
		b.Config.Site, b.Config.Peers[0].Site = 2, 1
		a.Config.Shards, b.Config.Shards, a.Shards = row.one, row.other, row.disk
		if got := codes(ExamineConfigs([]*Machine{a, b}, row.asked)); !slices.Equal(got, row.want) {
			t.Errorf("%s: %q; want %q", row.name, got, row.want)
		}
	}
}

// TestEveryCodeIsInTheRunbook: scripts and people look codes up there.
func TestEveryCodeIsInTheRunbook(t *testing.T) {
	book, err := os.ReadFile("../docs/runbooks/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\.add\(\w+, "([a-z-]+)"`).FindAllSubmatch(text, -1) {
			n++
			if !strings.Contains(string(book), "| `"+string(m[1])+"` |") {
				t.Errorf("%s: the code %s is not in docs/runbooks/doctor.md", file, m[1])
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d codes were found in the source: is this test blind?", n)
	}
}
