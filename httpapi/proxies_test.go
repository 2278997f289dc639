package httpapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"holdfast/site"
)

func TestWhoIsBelievedAboutWhereARequestComesFrom(t *testing.T) {
	networks := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.20.0.0/24"), netip.MustParsePrefix("2001:db8:ff::/48")}
	const xff, fwd, proto = site.HeaderXForwardedFor, site.HeaderForwarded, "X-Forwarded-Proto"
	for _, row := range []struct {
		name, header, peer string
		head               []string
		want               string
		tls                bool
	}{
		{"nobody asked", xff, "203.0.113.9:4711", nil, "203.0.113.9:4711", false},
		{"anybody may write it", xff, "203.0.113.9:4711", []string{xff, "198.51.100.1", proto, "https"}, "203.0.113.9:4711", false},
		{"a proxy", xff, "127.0.0.1:4711", []string{xff, "198.51.100.1", proto, "https"}, "198.51.100.1:0", true},
		{"a proxy of IPv4 on a socket of IPv6", xff, "[::ffff:127.0.0.1]:4711", []string{xff, "198.51.100.1"}, "198.51.100.1:0", false},
		{"a neighbour of the network", xff, "10.20.1.1:4711", []string{xff, "198.51.100.1"}, "10.20.1.1:4711", false},
		{"made up before the proxy", xff, "127.0.0.1:1", []string{xff, "192.0.2.66, 198.51.100.1", proto, "https"}, "198.51.100.1:0", true},
		{"made up, in a header of its own", xff, "127.0.0.1:1", []string{xff, "192.0.2.66", xff, "198.51.100.1"}, "198.51.100.1:0", false},
		{"two proxies", xff, "127.0.0.1:1", []string{xff, "192.0.2.66, 198.51.100.1, 10.20.0.7"}, "198.51.100.1:0", false},
		{"somebody between", xff, "127.0.0.1:1", []string{xff, "198.51.100.1, 203.0.113.9, 10.20.0.7"}, "203.0.113.9:0", false},
		{"proxies only", xff, "127.0.0.1:1", []string{xff, "10.20.0.9, 10.20.0.7"}, "10.20.0.9:0", false},
		{"with a port", xff, "127.0.0.1:1", []string{xff, "198.51.100.1:1234"}, "198.51.100.1:0", false},
		{"IPv6", xff, "[2001:db8:ff::1]:1", []string{xff, "2001:db8::7"}, "[2001:db8::7]:0", false},
		{"IPv6 in brackets", xff, "127.0.0.1:1", []string{xff, "[2001:db8::7]:80"}, "[2001:db8::7]:0", false},
		{"IPv4 written as IPv6", xff, "127.0.0.1:1", []string{xff, "::ffff:198.51.100.1"}, "198.51.100.1:0", false},
		{"illegible", xff, "127.0.0.1:1", []string{xff, "198.51.100.1, unknown"}, "127.0.0.1:0", false},
		{"illegible after a proxy", xff, "127.0.0.1:1", []string{xff, "198.51.100.1, <b>, 10.20.0.7"}, "10.20.0.7:0", false},
		{"empty", xff, "127.0.0.1:1", []string{xff, ""}, "127.0.0.1:0", false},
		{"nothing", xff, "127.0.0.1:1", []string{proto, "https"}, "127.0.0.1:0", true},
		{"the scheme that the last proxy says", xff, "127.0.0.1:1", []string{xff, "198.51.100.1", proto, "https, http"}, "198.51.100.1:0", false},
		{"the other header is anybody's", xff, "127.0.0.1:1", []string{fwd, "for=192.0.2.66;proto=https", xff, "198.51.100.1"}, "198.51.100.1:0", false},
		{"the other header is anybody's, the other way", fwd, "127.0.0.1:1", []string{fwd, "for=198.51.100.1", xff, "192.0.2.66"}, "198.51.100.1:0", false},
		{"RFC 7239", fwd, "127.0.0.1:1", []string{fwd, `for=192.0.2.66;proto=http, For="[2001:db8::7]:4711";Proto=https;by=x`}, "[2001:db8::7]:0", true},
		{"the scheme of the outermost proxy", fwd, "127.0.0.1:1", []string{fwd, `for=198.51.100.1;proto=https, for=10.20.0.7;proto=http`}, "198.51.100.1:0", true},
		{"a hidden name", fwd, "127.0.0.1:1", []string{fwd, "for=198.51.100.1, for=_secret"}, "127.0.0.1:0", false},
		{"more proxies than there are", xff, "127.0.0.1:1", []string{xff, "198.51.100.1" + strings.Repeat(", 10.20.0.7", 16)}, "10.20.0.7:0", false},
	} {
		r := httptest.NewRequest(http.MethodPost, "/v1/sessions", nil)
		r.RemoteAddr = row.peer
		for i := 0; i+1 < len(row.head); i += 2 {
			r.Header.Add(row.head[i], row.head[i+1])
		}
		seen, tls := "", false
		Proxies{networks, row.header}.Before(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen, tls = r.RemoteAddr, ByTLS(r) })).ServeHTTP(nil, r)
		if seen != row.want || tls != row.tls {
			t.Errorf("%s: from %s, TLS %v; want %s, %v", row.name, seen, tls, row.want, row.tls)
		}
		if r.RemoteAddr != row.peer {
			t.Errorf("%s: the request of the server was changed", row.name)
		}
	}
	Proxies{}.Before(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.RemoteAddr != "127.0.0.1:1" || ByTLS(r) {
			t.Errorf("without proxies: %s", r.RemoteAddr)
		}
	})).ServeHTTP(nil, &http.Request{RemoteAddr: "127.0.0.1:1", Header: http.Header{"X-Forwarded-For": {"198.51.100.1"}, "X-Forwarded-Proto": {"https"}}})
}

// TestWrongSignInsBehindAProxy: the bound is that of the browser's address, whoever carries the request; and nobody gets more tries by writing headers.
func TestWrongSignInsBehindAProxy(t *testing.T) {
	m := newMarket()
	h := Proxies{[]netip.Prefix{netip.MustParsePrefix("10.20.0.5/32")}, site.HeaderXForwardedFor}.Before(m.api())
	in := func(peer, forwarded string) int {
		r := httptest.NewRequest(http.MethodPost, "/v1/sessions", strings.NewReader(`{"as":"operator","login":"`+strings.ReplaceAll(forwarded, ".", "-")+`","password":"x"}`))
		r.RemoteAddr = peer
		r.Header.Set(site.HeaderXForwardedFor, forwarded)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for i := range sourceTries {
		if code := in("10.20.0.5:99", fmt.Sprintf("192.0.2.%d, 198.51.100.1", i)); code != 422 {
			t.Fatalf("%d: %d", i, code)
		}
		if code := in("203.0.113.9:99", fmt.Sprintf("192.0.2.%d", i)); code != 422 {
			t.Fatalf("%d, not by the proxy: %d", i, code)
		}
	}
	for _, row := range []struct {
		peer, forwarded string
		want            int
	}{
		{"10.20.0.5:99", "198.51.100.1", 429}, {"10.20.0.5:99", "192.0.2.200, 198.51.100.1", 429}, {"10.20.0.5:99", "198.51.100.2", 422}, {"203.0.113.9:99", "192.0.2.200", 429},
	} {
		if code := in(row.peer, row.forwarded); code != row.want {
			t.Errorf("%s for %s: %d, want %d", row.peer, row.forwarded, code, row.want)
		}
	}
}
