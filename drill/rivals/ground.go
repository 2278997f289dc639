package rivals

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"holdfast"
	"holdfast/fault"
)

const (
	near, far = 0, 1 // the sites
	carriers  = 2
)

// ground is two sites with two carriers between them.
type ground interface {
	fmt.Stringer
	address(side, carrier int) string         // to listen on
	route(from, carrier int) string           // to dial the other site
	within(side int, make func() error) error // runs make where sockets belong to the site
	cut(carrier int) error                    // both ways, silently
	heal(carrier int) error
	multipath() error // why Multipath TCP cannot run here
	close() error
}

// newGround makes network namespaces, or lays cables where that is not possible.
func newGround(ctx context.Context) (ground, error) {
	spaces, err := newSpaces(ctx)
	if err == nil {
		return spaces, nil
	}
	return newRelays(fmt.Errorf("it needs network namespaces, because a relay ends TCP: %w", err))
}

// relays is a ground of cables.
type relays struct {
	net     *fault.Net
	why     error
	listens [2][carriers]string
}

func newRelays(why error) (*relays, error) {
	r := &relays{net: fault.NewNet(time.Millisecond), why: why}
	for carrier := range carriers {
		for side := range r.listens {
			address, err := freeAddress()
			if err != nil {
				return nil, errors.Join(err, r.net.Close())
			}
			r.listens[side][carrier] = address
			if _, err := r.net.Lay(cableTo(side, carrier), "", address); err != nil {
				return nil, errors.Join(err, r.net.Close())
			}
		}
	}
	return r, nil
}

// cableTo names the cable over which the other site dials one.
func cableTo(side, carrier int) fault.Route {
	return fault.Route{From: holdfast.SiteID(2 - side), To: holdfast.SiteID(1 + side), Carrier: carrier}
}

// freeAddress finds an address of this process alone to listen on later.
func freeAddress() (string, error) {
	pid := os.Getpid()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 101+pid>>16%100, pid>>8&255, pid&255))
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (r *relays) String() string                        { return "relays, one-way delay 1 ms" }
func (r *relays) address(side, carrier int) string      { return r.listens[side][carrier] }
func (r *relays) route(from, carrier int) string        { return r.net.Cable(cableTo(1-from, carrier)).Addr() }
func (r *relays) within(_ int, make func() error) error { return make() }
func (r *relays) multipath() error                      { return r.why }
func (r *relays) close() error                          { return r.net.Close() }

func (r *relays) cut(carrier int) error {
	r.net.CutCarrier(carrier)
	return nil
}

func (r *relays) heal(carrier int) error {
	r.net.HealWhere(func(flow fault.Route) bool { return flow.Carrier == carrier })
	return nil
}
