package doctor

import (
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"holdfast/site"
)

// pages looks at how browsers come to the pages: whether passwords travel in the clear, whether everybody seems to come from one place, and whether a page
// that has lost its site finds another.
func (f *findings) pages(c *site.Config) {
	x := &c.Console
	if len(x.Sites) == 0 {
		f.plain("http://" + c.HTTP.Listen)
		return
	}
	own := x.Sites[c.Name]
	f.plain(own)
	if strings.HasPrefix(own, "https://") && len(x.TrustedProxies) == 0 {
		f.add(Warning, "pages-proxy", "name the proxy in console.trusted_proxies",
			"the pages are at %s, so a TLS proxy is before the site, and none is trusted: everybody seems to come from its address, and one person's wrong sign-ins are everybody's", own)
	}
	hosts := map[string]bool{}
	for _, address := range x.Sites {
		hosts[hostIn(address)] = true
	}
	if len(hosts) > 1 && x.CookieDomain == "" {
		f.add(Warning, "pages-cookie", "set console.cookie_domain to a domain above all of them",
			"the pages are on %d hosts and have no common cookies: when a site is lost, its people have to sign in again at the next", len(hosts))
	}
	for i := range c.Peers {
		if name := c.Peers[i].Name; x.Sites[name] == "" {
			f.add(Warning, "pages-site-missing", "add it to console.sites, at every site", "console.sites has no address for %s: no page goes on there", name)
		}
	}
	if c.SignIn.PasskeyDomain == "" {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(x.Sites)) {
		if !slices.Contains(c.SignIn.Origins, x.Sites[name]) {
			f.add(Warning, "pages-passkeys", "add it to signin.origins, at every site", "passkeys are not taken from %s, where the pages of %s are", x.Sites[name], name)
		}
	}
}

// plain reports pages that browsers reach without TLS, unless they are on this machine alone.
func (f *findings) plain(address string) {
	host := hostIn(address)
	ip, err := netip.ParseAddr(host)
	if strings.HasPrefix(address, "https://") || host == "localhost" || err == nil && ip.IsLoopback() {
		return
	}
	severity := Warning
	if err == nil && ip.IsPrivate() {
		severity = Advice
	}
	f.add(severity, "pages-plain", "put a TLS proxy before the site, and name addresses and proxy in [console]",
		"the pages are at %s: whoever is on the way can read passwords and sessions", address)
}

func hostIn(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	host, _, err := net.SplitHostPort(u.Host)
	if err != nil {
		host = u.Hostname()
	}
	return host
}

// samePages reports that two sites tell browsers different things.
func (f *findings) samePages(a, b *site.Config) {
	if !maps.Equal(a.Console.Sites, b.Console.Sites) || a.Console.CookieDomain != b.Console.CookieDomain {
		f.add(Warning, "config-differs", "use one console.sites and one console.cookie_domain at all sites", "[console] differs: pages that have lost their site do not find the same ones")
	}
}
