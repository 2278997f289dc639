package site

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strconv"
	"time"

	"holdfast"
	"holdfast/guard"
)

// Bounds of the configuration.
const (
	MaxShards   = 256
	MaxPeers    = 8
	MaxCarriers = 4
	MaxKeys     = 1000

	maxName    = 40 // characters
	maxCluster = 32 // of them; the bound of the certificates
)

// MaxRequest is the longest that a request may take, whatever its caller or the configuration says.
const MaxRequest = 10 * time.Second

// checker gathers problems; each names the field as it stands in the file.
type checker struct{ problems Problems }

func (c *checker) that(ok bool, field, format string, args ...any) {
	if !ok {
		c.problems = append(c.problems, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
}

func (c *checker) err() error {
	if len(c.problems) == 0 {
		return nil
	}
	return c.problems
}

// Check reports everything that is wrong with the configuration, as [Problems]: each value by itself, the values against
// each other, and the certificate files.
func (c *Config) Check() error {
	var k checker
	c.checkValues(&k)
	if len(c.Peers) > 0 {
		c.checkFiles(&k)
	}
	return k.err()
}

// checkValues is the part of Check that touches no file.
func (c *Config) checkValues(k *checker) {
	k.that(c.Site >= 1 && c.Site <= holdfast.SiteID(MaxPeers+1), "site", "%d is not within 1-%d", c.Site, MaxPeers+1)
	k.that(plainName(c.Name, maxName), "name", "%q is not 1-%d characters a-z, 0-9 and \"-\"", c.Name, maxName)
	k.that(c.City == "" || plainName(c.City, maxName), "city", "%q is not 1-%d characters a-z, 0-9 and \"-\"", c.City, maxName)
	k.that(plainName(c.Cluster, maxCluster), "cluster", "%q is not 1-%d characters a-z, 0-9 and \"-\"", c.Cluster, maxCluster)
	k.that(c.Data != "", "data", "is missing: name a directory")
	k.that(c.Shards >= 1 && c.Shards <= MaxShards, "shards", "%d is not within 1-%d", c.Shards, MaxShards)
	c.checkAddresses(k)
	c.checkPeers(k)
	c.Timing.check(k)
	c.checkLimits(k)
	c.checkKeys(k)
	c.checkPayments(k)
	c.checkSignIn(k)
	c.checkConsole(k)
	c.checkBanks(k)
	k.that(c.Process.Nice >= -20 && c.Process.Nice <= 19, "process.nice", "%d is not within -20 to 19", c.Process.Nice)
	k.that(oneOf(c.Log.Level, "debug", "info", "warn", "error"), "log.level", "%q is not one of debug, info, warn, error", c.Log.Level)
	k.that(oneOf(c.Log.Format, "text", "json"), "log.format", "%q is not text or json", c.Log.Format)
}

// checkAddresses makes sure that this site listens on each address once.
func (c *Config) checkAddresses(k *checker) {
	k.that(address(c.HTTP.Listen, true), "http.listen", "%q is not host:port, for example 127.0.0.1:8080", c.HTTP.Listen)
	taken := map[string]string{c.HTTP.Listen: "http.listen"}
	for i, a := range c.Link.Listen {
		field := fmt.Sprintf("link.listen[%d]", i)
		k.that(address(a, true), field, "%q is not of the form host:port, for example 10.0.0.1:7001", a)
		_, port, _ := net.SplitHostPort(a)
		if first, again := taken[a]; again && port != "0" {
			k.that(false, field, "%s is %s already: every listener needs its own", a, first)
		}
		taken[a] = field
	}
	k.that(len(c.Link.Listen) <= MaxCarriers, "link.listen", "has %d carriers, at most %d are possible",
		len(c.Link.Listen), MaxCarriers)
	for i, a := range c.Link.Advertise {
		k.that(a == "" || address(a, false), fmt.Sprintf("link.advertise[%d]", i), "%q is not of the form host:port, for example 10.0.0.1:7001", a)
	}
	k.that(len(c.Link.Advertise) == 0 || len(c.Link.Advertise) == len(c.Link.Listen), "link.advertise",
		"has %d addresses, link.listen %d: one for each carrier", len(c.Link.Advertise), len(c.Link.Listen))
	if len(c.Peers) == 0 {
		return
	}
	k.that(len(c.Link.Listen) > 0, "link.listen", "is missing: the other sites have to reach this one")
	k.that(c.Link.CA != "", "link.ca", "is missing: sites speak only with certificates (holdfast cert ca)")
	k.that(c.Link.Cert != "", "link.cert", "is missing: sites speak only with certificates (holdfast cert site)")
	k.that(c.Link.Key != "", "link.key", "is missing: sites speak only with certificates (holdfast cert site)")
}

func (c *Config) checkPeers(k *checker) {
	k.that(len(c.Peers) <= MaxPeers, "peer", "there are %d, at most %d are possible", len(c.Peers), MaxPeers)
	sites := map[holdfast.SiteID]int{}
	names := map[string]string{c.Name: "name"}
	addresses := map[string]string{}
	for i := range c.Peers {
		p, field := &c.Peers[i], fmt.Sprintf("peer[%d]", i)
		p.check(k, field, len(c.Link.Listen))
		k.that(p.Site != c.Site, field+".site", "%d is this site itself: list only the others", p.Site)
		if first, again := sites[p.Site]; again {
			k.that(false, field+".site", "%d is peer[%d] already", p.Site, first)
		}
		sites[p.Site] = i
		unique(k, names, p.Name, field+".name")
		for j, a := range p.Addresses {
			unique(k, addresses, a, fmt.Sprintf("%s.addresses[%d]", field, j))
		}
	}
}

func (p *Peer) check(k *checker, field string, carriers int) {
	k.that(p.Site >= 1 && p.Site <= holdfast.SiteID(MaxPeers+1), field+".site", "%d is not within 1-%d", p.Site, MaxPeers+1)
	k.that(plainName(p.Name, maxName), field+".name", "%q is not 1-%d characters a-z, 0-9 and \"-\"", p.Name, maxName)
	k.that(p.City == "" || plainName(p.City, maxName), field+".city", "%q is not 1-%d characters a-z, 0-9 and \"-\"", p.City, maxName)
	k.that(len(p.Addresses) <= carriers, field+".addresses", "has %d carriers, link.listen only %d: this site needs a listener for "+
		"every carrier it uses", len(p.Addresses), carriers)
	some := false
	for j, a := range p.Addresses {
		some = some || a != ""
		k.that(a == "" || address(a, false), fmt.Sprintf("%s.addresses[%d]", field, j), "%q is not of the form host:port", a)
	}
	k.that(some, field+".addresses", "is empty: how is the site reached?")
	if p.HTTP != "" {
		u, err := url.Parse(p.HTTP)
		k.that(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "", field+".http",
			"%q is no base URL, for example http://10.0.0.2:8080", p.HTTP)
	}
}

func unique(k *checker, taken map[string]string, value, field string) {
	if value == "" {
		return
	}
	if first, again := taken[value]; again {
		k.that(false, field, "%q is %s already", value, first)
	}
	taken[value] = field
}

// check holds the times against each other; what goes wrong when a rule is broken stands in its text.
func (t Timing) check(k *checker) {
	before := len(k.problems)
	within := func(d Duration, low, high time.Duration, field string) {
		k.that(d.Std() >= low && d.Std() <= high, "timing."+field, "%s is not within %s-%s", d, low, high)
	}
	// A number without a unit is read as nanoseconds; the lower bounds are what notices.
	k.that(t.RoundTrip == 0 || t.RoundTrip.Std() >= 10*time.Microsecond && t.RoundTrip.Std() <= time.Second, "timing.round_trip",
		"%s is not 0s or within 10µs-1s", t.RoundTrip)
	within(t.Tick, time.Millisecond, time.Second, "tick")
	within(t.Silence, 10*time.Millisecond, time.Minute, "silence")
	within(t.QuorumSilence, 10*time.Millisecond, HonestWithin, "quorum_silence")
	within(t.Request, 100*time.Millisecond, MaxRequest, "request")
	within(t.Home, time.Millisecond, time.Hour, "home")
	within(t.Audit, 100*time.Millisecond, time.Hour, "audit")
	within(t.Stop, 100*time.Millisecond, 5*time.Minute, "stop")
	k.that(t.HeartbeatTicks >= 1 && t.HeartbeatTicks <= 100, "timing.heartbeat_ticks", "%d is not within 1-100", t.HeartbeatTicks)
	k.that(t.ElectionTicks >= 1 && t.ElectionTicks <= 1000, "timing.election_ticks", "%d is not within 1-1000", t.ElectionTicks)
	if len(k.problems) > before {
		return // with a value out of bounds the rules below would only repeat it
	}
	k.that(t.ElectionTicks >= 3*t.HeartbeatTicks, "timing.election_ticks", "%d is below 3 heartbeats of %d ticks: one lost "+
		"heartbeat would start an election", t.ElectionTicks, t.HeartbeatTicks)
	k.that(t.Election() >= 3*t.RoundTrip.Std(), "timing.election_ticks", "%s is below 3 round trips of %s: an election could not "+
		"end before the next begins", t.Election(), t.RoundTrip)
	least := t.Heartbeat() + t.RoundTrip.Std()
	k.that(t.QuorumSilence.Std() >= least, "timing.quorum_silence", "%s is below a heartbeat and a round trip (%s): a healthy "+
		"site would call itself cut off", t.QuorumSilence, least)
	k.that(t.Silence.Std() >= least, "timing.silence", "%s is below a heartbeat and a round trip (%s): healthy "+
		"connections would be dialled again and again", t.Silence, least)
	k.that(t.Audit.Std() >= 4*t.Election(), "timing.audit", "%s is below 4 election times of %s: one election would look as if nobody "+
		"compared any more", t.Audit, t.Election())
	k.that(t.Request.Std() >= 4*t.Election(), "timing.request", "%s is below 4 election times of %s: no request would outlive an "+
		"election", t.Request, t.Election())
}

func (c *Config) checkLimits(k *checker) {
	within := func(n, low, high int64, field string) {
		k.that(n >= low && n <= high, field, "%d is not within %d-%d", n, low, high)
	}
	within(int64(c.Limits.Pending), holdfast.MaxLegs, 1<<24, "limits.pending")
	within(int64(c.Limits.ForwardBytes), 2*holdfast.MaxTxnBytes, 1<<30, "limits.forward_bytes")
	within(int64(c.Limits.ForwardCalls), 1, 256, "limits.forward_calls")
	within(c.Store.CacheBytes, 1<<20, 1<<40, "store.cache_bytes")
	within(c.Store.ReserveBytes, 1<<20, 1<<44, "store.reserve_bytes")
}

func (c *Config) checkKeys(k *checker) {
	k.that(len(c.Keys) <= MaxKeys, "api_key", "there are %d, at most %d are possible", len(c.Keys), MaxKeys)
	names, hashes := map[string]string{}, map[string]string{}
	for i, key := range c.Keys {
		field := fmt.Sprintf("api_key[%d]", i)
		if err := guard.CheckName(key.Name); err != nil {
			k.that(false, field+".name", "%v", err)
		}
		k.that(key.Role >= guard.Reader && key.Role <= guard.Operator, field+".role", "is missing: reader, teller or operator")
		k.that(key.SHA256 != guard.Hash{}, field+".sha256", "is missing: 64 hexadecimal digits")
		unique(k, names, key.Name, field+".name")
		unique(k, hashes, string(key.SHA256[:]), field+".sha256")
	}
}

// checkFiles makes sure before anything starts that the certificates can be read and are for this site of this fleet.
func (c *Config) checkFiles(k *checker) {
	if c.Link.CA == "" || c.Link.Cert == "" || c.Link.Key == "" {
		return // said already
	}
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(c.Link.CA)
	k.that(err == nil, "link.ca", "%v", err)
	readable := err == nil && roots.AppendCertsFromPEM(ca)
	k.that(err != nil || readable, "link.ca", "%s holds no certificate in PEM form", c.Link.CA)
	info, err := os.Stat(c.Link.Key)
	k.that(err != nil || info.Mode().Perm()&0o077 == 0 || info.Mode()&fs.ModeType != 0, "link.key",
		"%s can be read by others: chmod 600 it", c.Link.Key)
	pair, err := tls.LoadX509KeyPair(c.Link.Cert, c.Link.Key)
	if err != nil {
		k.that(false, "link.cert", "%v", err)
		return
	}
	k.that(c.names(pair.Leaf), "link.cert", "%s is not for site %d of fleet %s",
		c.Link.Cert, c.Site, c.Cluster)
	_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if readable && err != nil {
		k.that(false, "link.cert", "%s does not verify with %s: %v", c.Link.Cert, c.Link.CA, explain(err))
	}
}

// names reports whether the certificate is that of this site: its URI is holdfast://<cluster>/site/<number>.
func (c *Config) names(leaf *x509.Certificate) bool {
	want := fmt.Sprintf("holdfast://%s/site/%d", c.Cluster, c.Site)
	for _, u := range leaf.URIs {
		if u.String() == want {
			return true
		}
	}
	return false
}

func explain(err error) string {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "it has expired or is not valid yet; make a new one with holdfast cert site"
	}
	return err.Error()
}

func plainName(name string, most int) bool {
	if len(name) == 0 || len(name) > most {
		return false
	}
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

// ListenAddress reports whether a text says where to listen: host:port. The host may be missing, and port 0 is any that is free.
func ListenAddress(text string) bool { return address(text, true) }

// address reports whether a is host:port with a port number. Port 0, any free one, makes sense only for a listener.
func address(a string, listen bool) bool {
	host, port, err := net.SplitHostPort(a)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && (n > 0 || listen) && (host != "" || listen)
}

func oneOf(s string, all ...string) bool {
	for _, a := range all {
		if s == a {
			return true
		}
	}
	return false
}
