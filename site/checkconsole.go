package site

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Headers in which proxies say where a request comes from.
const (
	HeaderXForwardedFor = "X-Forwarded-For"
	HeaderForwarded     = "Forwarded"
)

// Proxies are the trusted proxies as networks. Texts that are neither address nor network, which [Config.Check] refuses, are left out.
func (c *Console) Proxies() (list []netip.Prefix) {
	for _, text := range c.TrustedProxies {
		if n, ok := parseNetwork(text); ok {
			list = append(list, n)
		}
	}
	return list
}

// parseNetwork reads a network, or an address, which is a network of one.
func parseNetwork(text string) (netip.Prefix, bool) {
	if n, err := netip.ParsePrefix(text); err == nil {
		return n, n.Masked() == n && !n.Addr().Is4In6()
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), true
}

func (c *Config) checkConsole(k *checker) {
	x := &c.Console
	x.checkSites(k, c.Name)
	x.checkCookies(k)
	for i, text := range x.TrustedProxies {
		field := fmt.Sprintf("console.trusted_proxies[%d]", i)
		n, ok := parseNetwork(text)
		k.that(ok, field, "%q is no address and no network: write for example 10.20.0.5 or 10.20.0.0/24", text)
		k.that(!ok || n.Bits() > 0, field, "%q is everybody: anybody could say that a request comes from anywhere", text)
	}
	k.that(oneOf(x.ProxyHeader, HeaderXForwardedFor, HeaderForwarded), "console.proxy_header", "%q is not %s or %s", x.ProxyHeader, HeaderXForwardedFor, HeaderForwarded)
}

// checkSites looks at the addresses of the pages.
func (x *Console) checkSites(k *checker, own string) {
	if len(x.Sites) == 0 {
		return
	}
	k.that(len(x.Sites) <= MaxPeers+1, "console.sites", "there are %d, at most %d are possible", len(x.Sites), MaxPeers+1)
	k.that(x.Sites[own] != "", "console.sites", "has no address for this site, %s", own)
	taken := map[string]string{}
	schemes := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(x.Sites)) {
		field, address := "console.sites."+name, x.Sites[name]
		k.that(plainName(name, maxName), "console.sites", "%q is no name of a site", name)
		u, ok := origin(address)
		k.that(ok, field, "%q is not scheme, host and port alone, for example https://%s.pay.example", address, name)
		if ok {
			schemes[u.Scheme] = true
			unique(k, taken, address, field)
		}
	}
	k.that(len(schemes) < 2, "console.sites", "has https and http addresses: a session from the one would not come along to the other; write all with https")
}

// checkCookies makes sure that browsers would take the cookies: they do only from a host below the domain.
func (x *Console) checkCookies(k *checker) {
	d := x.CookieDomain
	if d == "" {
		return
	}
	k.that(len(x.Sites) > 0, "console.cookie_domain", "goes with console.sites: name the address of each site there")
	_, err := netip.ParseAddr(d)
	ok := err != nil && strings.Contains(d, ".") && hostName(d)
	k.that(ok, "console.cookie_domain", "%q is no domain: write for example pay.example", d)
	for _, name := range slices.Sorted(maps.Keys(x.Sites)) {
		if u, whole := origin(x.Sites[name]); ok && whole {
			k.that(below(u.Hostname(), d), "console.cookie_domain", "%s is not above %s, the host of %s: browsers would not take the cookies", d, u.Hostname(), name)
		}
	}
}

// below reports whether a host is a domain, or below it.
func below(host, domain string) bool { return host == domain || strings.HasSuffix(host, "."+domain) }

// origin reads an address that is scheme, host and port alone, in the form in which browsers say it.
func origin(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Scheme+"://"+u.Host != text {
		return nil, false
	}
	_, err = netip.ParseAddr(u.Hostname())
	return u, (err == nil || hostName(u.Hostname())) && !(u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80")
}

// hostName reports whether a text is a name of a host in small letters (RFC 1123).
func hostName(text string) bool {
	if len(text) > 253 {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if !plainName(label, 63) || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}
