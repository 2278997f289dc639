package httpapi

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"holdfast/site"
)

// Proxies are those before a site that are believed about where a request comes from. Without them everybody behind one would have its address, and
// the bounds of wrong sign-ins with it (0027).
type Proxies struct {
	Networks []netip.Prefix // none: nobody is believed
	Header   string         // [site.HeaderXForwardedFor] or [site.HeaderForwarded]; the other one may be anybody's
}

// Before gives requests that come through the proxies the address that they come from, and remembers whether it was by TLS.
func (p Proxies) Before(next http.Handler) http.Handler {
	if len(p.Networks) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from, secure, ok := p.origin(r); ok {
			if secure {
				r = r.WithContext(context.WithValue(r.Context(), secureKey{}, true))
			} else {
				r = r.WithContext(r.Context()) // a copy: the address of the connection is the server's
			}
			r.RemoteAddr = net.JoinHostPort(from.String(), "0")
		}
		next.ServeHTTP(w, r)
	})
}

type secureKey struct{}

// ByTLS reports whether a request came by TLS: to this process, or to a trusted proxy before it.
func ByTLS(r *http.Request) bool {
	secure, _ := r.Context().Value(secureKey{}).(bool)
	return secure || r.TLS != nil
}

// maxHops is how many proxies there may be in a row; what is farther away is not looked at.
const maxHops = 16

// origin is where a request of a trusted proxy comes from. Each proxy adds where it has it from at the end, so the list is read from there, and never
// past somebody who is not trusted: what stands before may be made up. A proxy that says nothing legible is where it comes from.
func (p Proxies) origin(r *http.Request) (from netip.Addr, secure, ok bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !p.trusts(peer.Addr()) {
		return from, false, false
	}
	from = peer.Addr().Unmap()
	secure = encrypted(last(r.Header.Values("X-Forwarded-Proto")))
	hops := elements(r.Header.Values(p.Header))
	for i := len(hops) - 1; i >= 0 && i >= len(hops)-maxHops && p.trusts(from); i-- {
		who, proto := hops[i], ""
		if p.Header == site.HeaderForwarded {
			who, proto = member(hops[i], "for"), member(hops[i], "proto")
		}
		at, legible := address(who)
		if !legible {
			break
		}
		from = at
		if proto != "" { // as the proxy says that is farthest out
			secure = encrypted(proto)
		}
	}
	return from, secure, true
}

func (p Proxies) trusts(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(p.Networks, func(n netip.Prefix) bool { return n.Contains(a) })
}

func encrypted(proto string) bool { return strings.EqualFold(proto, "https") }

// elements are the members of a list that may stand in several headers. None of them has a comma in it: addresses have none.
func elements(values []string) (list []string) {
	for _, v := range values {
		for e := range strings.SplitSeq(v, ",") {
			list = append(list, strings.TrimSpace(e))
		}
	}
	return list
}

func last(values []string) string {
	if list := elements(values); len(list) > 0 {
		return list[len(list)-1]
	}
	return ""
}

// member is the value of a pair in an element of Forwarded: for="[2001:db8::1]:4711";proto=https.
func member(element, name string) string {
	for pair := range strings.SplitSeq(element, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if strings.EqualFold(key, name) {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}

// address reads an address with or without a port, IPv6 with or without brackets.
func address(text string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return a.Unmap().WithZone(""), err == nil
}
