package site

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/guard"
	"holdfast/link"
)

const threeSites = `
site = 1
name = "hangzhou"
cluster = "demo"
data = "/var/lib/holdfast"
shards = 8

[http]
listen = "10.0.0.1:8080"

[link]
listen = ["10.0.0.1:7001", "10.0.1.1:7001"]
ca = "ca.pem"
cert = "site.pem"
key = "site.key"

[timing]
round_trip = "30ms"
election_ticks = 12

[[peer]]
site = 2
name = "shanghai"
addresses = ["10.0.0.2:7001", "10.0.1.2:7001"]
http = "http://10.0.0.2:8080"

[[peer]]
site = 3
name = "shenzhen"
addresses = ["", "10.0.1.3:7001"]

[[api_key]]
name = "till-7"
role = "teller"
sha256 = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
`

func decode(t *testing.T, text string) Config {
	t.Helper()
	c, err := Decode("site.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// problems are those that do not need files.
func problems(c Config) string {
	var k checker
	c.checkValues(&k)
	return k.problems.Error()
}

func TestDecode(t *testing.T) {
	c := decode(t, threeSites)
	if p := problems(c); p != "" {
		t.Fatalf("a good configuration has problems:\n%s", p)
	}
	if c.Timing.Election() != 120*time.Millisecond || c.Timing.Heartbeat() != 20*time.Millisecond {
		t.Errorf("election %s, heartbeat %s", c.Timing.Election(), c.Timing.Heartbeat())
	}
	if keys := c.GuardKeys(); len(keys) != 1 || keys[0].Role != guard.Teller || keys[0].Hash != guard.HashOf("x") {
		t.Errorf("keys: %v", keys)
	}
}

func TestDefaultsAreGood(t *testing.T) {
	c := Embedded("holdfast-data", "127.0.0.1:8080")
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

func TestTheExampleIsOneOfThreeWithEightShardsAndTwoCarriers(t *testing.T) {
	c := Example("holdfast-data", 3)
	if p := problems(c); p != "" || len(c.Peers) != 2 || c.Shards != 8 || len(c.Link.Listen) != 2 {
		t.Errorf("%d peers, %d shards, %d carriers, problems: %s", len(c.Peers), c.Shards, len(c.Link.Listen), p)
	}
	for _, p := range c.Peers {
		if len(p.Addresses) != 2 || p.Addresses[0] == p.Addresses[1] {
			t.Errorf("site %d is reached at %v", p.Site, p.Addresses)
		}
	}
}

func TestPingsLeaveWithBeats(t *testing.T) {
	rows := []struct{ silence, tick, ping time.Duration }{
		{300 * time.Millisecond, 10 * time.Millisecond, 40 * time.Millisecond},
		{900 * time.Millisecond, 10 * time.Millisecond, 120 * time.Millisecond},
		{200 * time.Millisecond, 10 * time.Millisecond, 0}, // the link knows best
		{900 * time.Millisecond, 30 * time.Millisecond, 120 * time.Millisecond},
	}
	for _, row := range rows {
		timing := Timing{Silence: Duration(row.silence), Tick: Duration(row.tick), HeartbeatTicks: 2}
		if got := timing.link(); got.Ping != row.ping || got.Silence != row.silence {
			t.Errorf("silence %v, tick %v: a ping every %v, want %v", row.silence, row.tick, got.Ping, row.ping)
		}
	}
}

func TestDecodeNamesWhatItDoesNotKnow(t *testing.T) {
	rows := []struct{ text, want string }{
		{"site = 1\nsiet = 2\n", "site.toml:2: siet: no such field"},
		{"[timing]\ntick = \"10ms\"\nticks = 3\n", "site.toml:3: timing.ticks: no such field"},
		{"[[peer]]\nsite = 2\nname = \"b\"\naddress = \"x\"\n", "site.toml:4: peer.address: no such field"},
		{"site = \"one\"\n", "site.toml:1:8: site: "},
		{"[timing]\ntick = \"fast\"\n", `"fast" is no length of time`},
		{"site = 70000\n", "site.toml:1"},
		{"site = 1\nsite = 2\n", "site.toml:2"},
		{"[[api_key]]\nrole = \"boss\"\n", `role "boss" is not one of reader, teller, operator`},
		{"[[api_key]]\nsha256 = \"12\"\n", "want 64 hexadecimal digits"},
		{"site = \n", "site.toml:1"},
	}
	for _, row := range rows {
		_, err := Decode("site.toml", []byte(row.text))
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q: %v, want %s", row.text, err, row.want)
		}
		if _, ok := errors.AsType[Problems](err); !ok {
			t.Errorf("%q: %T is not Problems", row.text, err)
		}
	}
}

func TestAllUnknownFieldsAtOnce(t *testing.T) {
	_, err := Decode("site.toml", []byte("a = 1\nb = 2\n"))
	if p, ok := errors.AsType[Problems](err); !ok || len(p) != 2 {
		t.Errorf("want two problems: %v", err)
	}
}

// consoleExample is a good section.
func consoleExample() Console {
	return Console{
		Sites:        map[string]string{"hangzhou": "https://hangzhou.pay.example", "shanghai": "https://shanghai.pay.example", "shenzhen": "https://10-1.pay.example:8443"},
		CookieDomain: "pay.example", TrustedProxies: []string{"127.0.0.1", "10.20.0.0/24", "2001:db8::/48"}, ProxyHeader: HeaderForwarded,
	}
}

func TestProxies(t *testing.T) {
	c := consoleExample()
	if got := c.Proxies(); len(got) != 3 || got[0].String() != "127.0.0.1/32" || got[1].String() != "10.20.0.0/24" {
		t.Errorf("%v", got)
	}
}

func TestCheck(t *testing.T) {
	rows := []struct {
		name string
		hurt func(*Config)
		want string
	}{
		{"site", func(c *Config) { c.Site = 0 }, "site: 0 is not within 1-9"},
		{"name", func(c *Config) { c.Name = "Hangzhou" }, `name: "Hangzhou" is not 1-40`},
		{"cluster", func(c *Config) { c.Cluster = strings.Repeat("a", 33) }, "is not 1-32"},
		{"data", func(c *Config) { c.Data = "" }, "data: is missing"},
		{"shards", func(c *Config) { c.Shards = 257 }, "shards: 257"},
		{"http port", func(c *Config) { c.HTTP.Listen = "10.0.0.1" }, "http.listen: "},
		{"port beyond", func(c *Config) { c.HTTP.Listen = "10.0.0.1:70000" }, "http.listen: "},
		{"same port", func(c *Config) { c.Link.Listen[1] = c.HTTP.Listen }, "link.listen[1]: 10.0.0.1:8080 is http.listen already"},
		{"no listener", func(c *Config) { c.Link.Listen = nil }, "link.listen: is missing"},
		{"fewer carriers", func(c *Config) { c.Link.Listen = c.Link.Listen[:1] }, "peer[0].addresses: has 2 carriers, link.listen only 1"},
		{"no certificate", func(c *Config) { c.Link.Cert = "" }, "link.cert: is missing"},
		{"itself", func(c *Config) { c.Peers[0].Site = 1 }, "peer[0].site: 1 is this site itself"},
		{"twice", func(c *Config) { c.Peers[1].Site = 2 }, "peer[1].site: 2 is peer[0] already"},
		{"same name", func(c *Config) { c.Peers[1].Name = "hangzhou" }, `peer[1].name: "hangzhou" is name already`},
		{"same address", func(c *Config) { c.Peers[1].Addresses[1] = c.Peers[0].Addresses[0] }, `"10.0.0.2:7001" is peer[0].addresses[0] already`},
		{"no address", func(c *Config) { c.Peers[1].Addresses = []string{"", ""} }, "peer[1].addresses: is empty"},
		{"port 0", func(c *Config) { c.Peers[1].Addresses[1] = "10.0.1.3:0" }, "peer[1].addresses[1]: "},
		{"url", func(c *Config) { c.Peers[0].HTTP = "10.0.0.2:8080" }, "peer[0].http: "},
		{"bare number", func(c *Config) { c.Timing.RoundTrip = 10 }, "timing.round_trip: 10ns is not 0s or within"},
		{"tick", func(c *Config) { c.Timing.Tick = 0 }, "timing.tick: 0s is not within"},
		{"heartbeat", func(c *Config) { c.Timing.HeartbeatTicks = 5 }, "timing.election_ticks: 12 is below 3 heartbeats of 5 ticks"},
		{"far apart", func(c *Config) { c.Timing.RoundTrip = Duration(50 * time.Millisecond) }, "timing.election_ticks: 120ms is below 3 round trips of 50ms"},
		{"too honest", func(c *Config) { c.Timing.QuorumSilence = Duration(40 * time.Millisecond) }, "timing.quorum_silence: 40ms is below"},
		{"dishonest", func(c *Config) { c.Timing.QuorumSilence = Duration(400 * time.Millisecond) }, "timing.quorum_silence: 400ms is not within"},
		{"silence", func(c *Config) { c.Timing.Silence = Duration(40 * time.Millisecond) }, "timing.silence: 40ms is below"},
		{"audit for ever", func(c *Config) { c.Timing.Audit = Duration(0) }, "timing.audit: 0s is not within 100ms-1h0m0s"},
		{"audit in a hurry", func(c *Config) { c.Timing.Audit = Duration(400 * time.Millisecond) }, "timing.audit: 400ms is below 4 election times"},
		{"too patient", func(c *Config) { c.Timing.Request = Duration(11 * time.Second) }, "timing.request: 11s is not within 100ms-10s"},
		{"impatient", func(c *Config) { c.Timing.Request = Duration(400 * time.Millisecond) }, "timing.request: 400ms is below 4 election times"},
		{"pending", func(c *Config) { c.Limits.Pending = 1 }, "limits.pending: 1 is not within"},
		{"key name", func(c *Config) { c.Keys[0].Name = "" }, "api_key[0].name: "},
		{"key role", func(c *Config) { c.Keys[0].Role = 0 }, "api_key[0].role: is missing"},
		{"key hash", func(c *Config) { c.Keys[0].SHA256 = guard.Hash{} }, "api_key[0].sha256: is missing"},
		{"key twice", func(c *Config) { c.Keys = append(c.Keys, c.Keys[0]) }, `api_key[1].name: "till-7" is api_key[0].name already`},
		{"level", func(c *Config) { c.Log.Level = "loud" }, "log.level: "},
		{"public path", func(c *Config) { c.Payments.Public = "https://pay.example/x" }, "payments.public: "},
		{"zone", func(c *Config) { c.Payments.Zone = "Hangzhou" }, `payments.zone: "Hangzhou" is no time zone`},
		{"to ship", func(c *Config) { c.Payments.ShipWithin = Duration(time.Minute) }, "payments.ship_within: 1m0s is not within"},
		{"frozen", func(c *Config) { c.Payments.FreezeFor = 0 }, "payments.freeze_for: 0s is not within"},
		{"to top up", func(c *Config) { c.Payments.TopUpWithin = 0 }, "payments.top_up_within: 0s is not within"},
		{"protection", func(c *Config) { c.Payments.LeastProtection = Duration(91 * 24 * time.Hour) }, "payments.least_protection: 2184h0m0s is not within"},
		{"window", func(c *Config) { c.Payments.TimestampWindow = 0 }, "payments.timestamp_window: 0s is not within"},
		{"network", func(c *Config) { c.Payments.NotifyNetworks = []string{"10.0.0.1"} }, "payments.notify_networks[0]: "},
		{"origins", func(c *Config) { c.SignIn.PasskeyDomain = "pay.example" }, "signin.origins: give both"},
		{"origin", func(c *Config) {
			c.SignIn.PasskeyDomain, c.SignIn.Origins = "pay.example", []string{"https://a.pay.example", "https://xpay.example"}
		}, `signin.origins[1]: "https://xpay.example" is no origin below pay.example`},
		{"idle", func(c *Config) { c.SignIn.Idle = Duration(25 * time.Hour) }, "signin.idle: 25h0m0s is not within 1m-24h0m0s"},
		{"hashes", func(c *Config) { c.SignIn.HashMemory = 1 }, "signin.hash_memory: 1 is not within"},
		{"bank without keys", func(c *Config) { c.Payments.Keys = "" }, "bank: there are no payments of people without payments.keys"},
		{"bank name", func(c *Config) { c.Banks[0].Name = "" }, "bank[0].name: "},
		{"bank url", func(c *Config) { c.Banks[0].URL = "bank.example" }, "bank[0].url: "},
		{"no way to the bank", func(c *Config) { c.Banks[0].URL = "" }, "bank[0].url: is missing, and so is exchange"},
		{"bank exchange", func(c *Config) { c.Banks[0].Exchange = "files" }, `bank[0].exchange: "files" is no absolute path`},
		{"bank inbox alone", func(c *Config) { c.Banks[0].Inbox = "/srv/in" }, "bank[0].exchange: is missing"},
		{"bank exchange twice", func(c *Config) {
			c.Banks[0].Exchange = "/srv/bank"
			c.Banks = append(c.Banks, c.Banks[0])
			c.Banks[1].Name = "other"
		}, `bank[1].exchange: "/srv/bank" is bank[0].exchange already`},
		{"bank account", func(c *Config) { c.Banks[0].Account = "" }, "bank[0].account: is missing"},
		{"bank asset", func(c *Config) { c.Banks[0].Asset = "yuan" }, "bank[0].asset: "},
		{"bank key", func(c *Config) { c.Banks[0].Cert = "x" }, "bank[0].cert: give both"},
		{"bank late", func(c *Config) { c.Banks[0].Late = 0 }, "bank[0].late: is missing"},
		{"bank twice", func(c *Config) { c.Banks = append(c.Banks, c.Banks[0]) }, `bank[1].name: "icbc" is bank[0].name already`},
		{"pages of others only", func(c *Config) { delete(c.Console.Sites, "hangzhou") }, "console.sites: has no address for this site, hangzhou"},
		{"pages with a path", func(c *Config) { c.Console.Sites["shanghai"] = "https://shanghai.pay.example/" }, `console.sites.shanghai: "https://shanghai.pay.example/" is not scheme, host and port alone`},
		{"pages in capitals", func(c *Config) { c.Console.Sites["shanghai"] = "https://Shanghai.pay.example" }, "console.sites.shanghai: "},
		{"pages with a port that browsers leave out", func(c *Config) { c.Console.Sites["shanghai"] = "https://shanghai.pay.example:443" }, "console.sites.shanghai: "},
		{"pages with a password", func(c *Config) { c.Console.Sites["shanghai"] = "https://a:b@shanghai.pay.example" }, "console.sites.shanghai: "},
		{"pages twice", func(c *Config) { c.Console.Sites["shanghai"] = c.Console.Sites["hangzhou"] }, `console.sites.shanghai: "https://hangzhou.pay.example" is console.sites.hangzhou already`},
		{"pages of no site", func(c *Config) { c.Console.Sites["Shanghai!"] = "https://x.pay.example" }, `console.sites: "Shanghai!" is no name of a site`},
		{"pages half in the clear", func(c *Config) { c.Console.Sites["shanghai"] = "http://shanghai.pay.example" }, "console.sites: has https and http addresses"},
		{"cookie of another domain", func(c *Config) { c.Console.CookieDomain = "hangzhou.pay.example" }, "console.cookie_domain: hangzhou.pay.example is not above shanghai.pay.example, the host of shanghai"},
		{"cookie for everybody", func(c *Config) { c.Console.CookieDomain = "example" }, `console.cookie_domain: "example" is no domain`},
		{"cookie of an address", func(c *Config) { c.Console.CookieDomain = "10.0.0.1" }, `console.cookie_domain: "10.0.0.1" is no domain`},
		{"cookie without pages", func(c *Config) { c.Console.Sites = nil }, "console.cookie_domain: goes with console.sites"},
		{"proxy", func(c *Config) { c.Console.TrustedProxies = []string{"127.0.0.1", "proxy.example"} }, `console.trusted_proxies[1]: "proxy.example" is no address and no network`},
		{"network with a host", func(c *Config) { c.Console.TrustedProxies = []string{"10.0.0.1/24"} }, `console.trusted_proxies[0]: "10.0.0.1/24" is no address and no network`},
		{"everybody a proxy", func(c *Config) { c.Console.TrustedProxies = []string{"::/0"} }, `console.trusted_proxies[0]: "::/0" is everybody`},
		{"proxy header", func(c *Config) { c.Console.ProxyHeader = "X-Real-IP" }, `console.proxy_header: "X-Real-IP" is not X-Forwarded-For or Forwarded`},
		{"format", func(c *Config) { c.Log.Format = "xml" }, "log.format: "},
	}
	for _, row := range rows {
		c := decode(t, threeSites)
		c.Payments.Keys = "keys"
		c.Banks = []Bank{{Name: "icbc", URL: "https://bank.example", Account: "6222020000000000018", Initiator: "Holdfast", Asset: "CNY", Late: Duration(time.Minute)}}
		c.Console = consoleExample()
		if p := problems(c); p != "" {
			t.Fatalf("before anything is hurt: %s", p)
		}
		row.hurt(&c)
		if p := problems(c); !strings.Contains(p, row.want) {
			t.Errorf("%s: problems are %q, want %q among them", row.name, p, row.want)
		}
	}
}

// TestBankFilesAsInTheRunbook: the example there is one that works.
func TestBankFilesAsInTheRunbook(t *testing.T) {
	text, err := os.ReadFile("../docs/runbooks/bank-files.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```toml\n")
	example, _, _ := strings.Cut(rest, "```")
	c := decode(t, threeSites+"\n"+example)
	c.Payments.Keys = "keys"
	if p := problems(c); !found || len(c.Banks) != 1 || c.Banks[0].Exchange == "" || c.Banks[0].URL != "" || p != "" {
		t.Errorf("the example: %+v, problems %q", c.Banks, p)
	}
}

// TestPagesAsInTheReadme: the example there is one that works.
func TestPagesAsInTheReadme(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "<!-- console: read by site/config_test.go -->\n```toml\n")
	example, _, _ := strings.Cut(rest, "```")
	c := decode(t, threeSites+"\n"+example)
	if p := problems(c); !found || p != "" || len(c.Console.Sites) != 3 || len(c.Console.Proxies()) != 1 {
		t.Errorf("the example: %+v, problems %q", c.Console, p)
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	c := decode(t, threeSites)
	c.Site, c.Data, c.Log.Level = 0, "", ""
	if n := len(strings.Split(problems(c), "\n")); n != 3 {
		t.Errorf("%d problems, want 3:\n%s", n, problems(c))
	}
}

func TestPrintGivesBackWhatItWasGiven(t *testing.T) {
	pages := decode(t, threeSites)
	pages.Console = consoleExample()
	for _, c := range []Config{decode(t, threeSites), pages, Embedded("d", "127.0.0.1:0"), Example("d", 3)} {
		var text bytes.Buffer
		if err := Print(&text, c); err != nil {
			t.Fatal(err)
		}
		again := decode(t, text.String())
		if diff := cmp.Diff(normal(c), normal(again)); diff != "" {
			t.Errorf("printed and read again (-was +is):\n%s\n%s", diff, text.String())
		}
	}
}

// normal makes empty and missing lists the same.
func normal(c Config) Config {
	if len(c.Link.Listen) == 0 {
		c.Link.Listen = nil
	}
	if len(c.Link.Advertise) == 0 {
		c.Link.Advertise = nil
	}
	if len(c.Peers) == 0 {
		c.Peers = nil
	}
	if len(c.Keys) == 0 {
		c.Keys = nil
	}
	if len(c.Banks) == 0 {
		c.Banks = nil
	}
	if len(c.Payments.NotifyNetworks) == 0 {
		c.Payments.NotifyNetworks = nil
	}
	if len(c.SignIn.Origins) == 0 {
		c.SignIn.Origins = nil
	}
	if len(c.Console.Sites) == 0 {
		c.Console.Sites = nil
	}
	if len(c.Console.TrustedProxies) == 0 {
		c.Console.TrustedProxies = nil
	}
	return c
}

func TestEveryFieldHasAParagraph(t *testing.T) {
	docs, err := paragraphs()
	if err != nil {
		t.Fatal(err)
	}
	var walk func(reflect.Type)
	walk = func(at reflect.Type) {
		for f := range at.Fields() {
			if doc := docs[at.Name()+"."+f.Name]; len(doc) < 10 {
				t.Errorf("%s.%s has no paragraph", at.Name(), f.Name)
			}
			if f.Tag.Get("toml") == "" {
				t.Errorf("%s.%s has no name in the file", at.Name(), f.Name)
			}
			if isSection(f.Type) {
				inner := f.Type
				if inner.Kind() == reflect.Slice {
					inner = inner.Elem()
				}
				walk(inner)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
}

// certificates writes the authority and certificates of sites into a directory.
func certificates(t testing.TB, cluster string, sites int) string {
	t.Helper()
	dir := t.TempDir()
	ca, err := link.NewCA(cluster, time.Now(), 480*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := link.WritePair(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key"), ca.Pair()); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= sites; n++ {
		pair, err := ca.NewSiteCert(siteID(n), time.Now(), 240*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if err := link.WritePair(certFile(dir, n, "pem"), certFile(dir, n, "key"), pair); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCheckFiles(t *testing.T) {
	dir, other := certificates(t, "demo", 2), certificates(t, "other", 1)
	good := func() Config {
		c := decode(t, threeSites)
		c.Link.CA, c.Link.Cert, c.Link.Key = filepath.Join(dir, "ca.pem"), certFile(dir, 1, "pem"), certFile(dir, 1, "key")
		return c
	}
	rows := []struct {
		name string
		hurt func(*Config)
		want string
	}{
		{"good", func(*Config) {}, ""},
		{"no authority", func(c *Config) { c.Link.CA = "/nowhere/ca.pem" }, "link.ca: open /nowhere/ca.pem"},
		{"authority is a key", func(c *Config) { c.Link.CA = c.Link.Key }, "holds no certificate"},
		{"other authority", func(c *Config) { c.Link.CA = filepath.Join(other, "ca.pem") }, "link.cert: "},
		{"other site", func(c *Config) { c.Link.Cert, c.Link.Key = certFile(dir, 2, "pem"), certFile(dir, 2, "key") }, "is not for site 1 of fleet demo"},
		{"other fleet", func(c *Config) {
			c.Link.CA, c.Link.Cert, c.Link.Key = filepath.Join(other, "ca.pem"), certFile(other, 1, "pem"), certFile(other, 1, "key")
		}, "is not for site 1 of fleet demo"},
		{"key of another", func(c *Config) { c.Link.Key = certFile(dir, 2, "key") }, "link.cert: "},
		{"open key", func(c *Config) { c.Link.Key = copyKey(t, c.Link.Key) }, "can be read by others"},
	}
	for _, row := range rows {
		c := good()
		row.hurt(&c)
		err := c.Check()
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
	}
}

func copyKey(t *testing.T, from string) string {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "open.key")
	if err := os.WriteFile(to, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "site.toml")
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that is not there: %v", err)
	}
	text := "site = 1\nname = \"a\"\ncluster = \"b\"\ndata = \"d\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err != nil {
		t.Error(err)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(threeSites))
	f.Add([]byte("[timing]\ntick = \"-1ns\"\n[[peer]]\naddresses = [\":\"]\nhttp = \"http://[::1\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Decode("fuzz", text)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a text")
			}
			return
		}
		var k checker
		c.checkValues(&k)
		if k.err() != nil {
			return
		}
		var printed bytes.Buffer
		if err := Print(&printed, c); err != nil {
			t.Fatal(err)
		}
		again, err := Decode("printed", printed.Bytes())
		if err != nil {
			t.Fatalf("what was printed cannot be read: %v\n%s", err, printed.String())
		}
		if diff := cmp.Diff(normal(c), normal(again)); diff != "" {
			t.Errorf("printed and read again:\n%s", diff)
		}
	})
}
