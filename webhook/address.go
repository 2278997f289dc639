package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
)

// maxURL bounds an address, in bytes.
const maxURL = 2048

// Addresses says where events may be posted to.
type Addresses struct {
	// Allow are prefixes that events may go to although they are not of the open internet: the machine itself, private networks.
	Allow []netip.Prefix
	// Plain allows http as well as https on the open internet. To prefixes in Allow http is always allowed.
	Plain bool
}

// special are the blocks of the registries for special purposes (IANA, RFC 6890) that netip.Addr has no name for, and ways to write
// one of another family within an address.
var special = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
)

func prefixes(list ...string) (all []netip.Prefix) {
	for _, p := range list {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// Check says whether events may be posted to a machine. Host names are not enough to tell: it is asked for each connection, with
// the address that the name stands for at that moment.
func (a Addresses) Check(ip netip.Addr) error {
	ip = ip.Unmap().WithZone("")
	if a.allowed(ip) {
		return nil
	}
	open := ip.IsGlobalUnicast() && !ip.IsPrivate()
	for _, p := range special {
		open = open && !p.Contains(ip)
	}
	if !open {
		return fmt.Errorf("%w: %s is not an address of the open internet", ErrAddress, ip)
	}
	return nil
}

func (a Addresses) allowed(ip netip.Addr) bool {
	for _, p := range a.Allow {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// ErrAddress is wrapped by what is said of an address that events are not posted to.
var ErrAddress = errors.New("events are not posted to this address")

// CheckURL says what is wrong with an address that somebody wants events to be posted to, as far as can be told before asking what its host
// name stands for.
func (a Addresses) CheckURL(text string) (*url.URL, error) {
	if len(text) > maxURL {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrAddress, maxURL)
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: it is not a URL", ErrAddress) // the error of Parse would repeat it, with what secrets it may have
	}
	host := u.Hostname()
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%w: it begins with neither https:// nor http://", ErrAddress)
	case host == "":
		return nil, fmt.Errorf("%w: it names no host", ErrAddress)
	case u.User != nil:
		return nil, fmt.Errorf("%w: it has a name or password before the host; the signature shows who sends", ErrAddress)
	case u.Fragment != "":
		return nil, fmt.Errorf("%w: it has a fragment (#...), which is never sent", ErrAddress)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if err := a.Check(ip); err != nil {
			return nil, err
		}
		if u.Scheme == "http" && !a.Plain && !a.allowed(ip.Unmap().WithZone("")) {
			return nil, errPlain
		}
		return u, nil
	}
	if u.Scheme == "http" && !a.Plain && len(a.Allow) == 0 {
		return nil, errPlain
	}
	if name := strings.TrimSuffix(strings.ToLower(host), "."); name == "localhost" || strings.HasSuffix(name, ".localhost") || !strings.Contains(name, ".") {
		if len(a.Allow) == 0 {
			return nil, fmt.Errorf("%w: %q is a name within a machine or a private network", ErrAddress, host)
		}
	}
	return u, nil
}

var errPlain = fmt.Errorf("%w: http:// is not encrypted; use https://", ErrAddress)

// dialer connects to addresses that Check has nothing against. The check is made with the address of the very connection, after the name was
// looked up, so that a name which stands for another address a moment later gains nothing.
func (a Addresses) dialer(plain bool) *net.Dialer {
	return &net.Dialer{ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: %s cannot be read", ErrAddress, address)
		}
		if err := a.Check(to.Addr()); err != nil {
			return err
		}
		if plain && !a.Plain && !a.allowed(to.Addr().Unmap().WithZone("")) {
			return errPlain
		}
		return nil
	}}
}
