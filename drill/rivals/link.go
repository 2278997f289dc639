package rivals

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"time"

	"holdfast"
	"holdfast/link"
)

// linked sends over package link, with its default timing.
type linked struct {
	links [2]*link.Link
	size  int
}

// taker tells what arrives.
type taker struct{ arrived func(uint64) }

func (t taker) Receive(_ holdfast.SiteID, _ holdfast.ShardID, payload []byte) {
	t.arrived(binary.BigEndian.Uint64(payload))
}

func (taker) Serve(context.Context, holdfast.SiteID, string, []byte) ([]byte, error) {
	return nil, errors.New("nobody calls here")
}

func openLink(ctx context.Context, g ground, o Options, arrived func(uint64)) (stream, error) {
	ca, err := link.NewCA("rivals", time.Now(), 72*time.Hour)
	if err != nil {
		return nil, err
	}
	s := &linked{size: o.Size}
	for side := range s.links {
		if s.links[side], err = openSide(g, ca, side, arrived); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	if err := s.connected(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func openSide(g ground, ca *link.CA, side int, arrived func(uint64)) (*link.Link, error) {
	site, other := holdfast.SiteID(1+side), holdfast.SiteID(2-side)
	pair, err := ca.NewSiteCert(site, time.Now(), 24*time.Hour)
	if err != nil {
		return nil, err
	}
	credentials, err := link.NewCredentials(ca.Pair().Cert, pair, time.Now())
	if err != nil {
		return nil, err
	}
	cfg := link.Config{
		Site: site, Credentials: credentials, Handler: taker{arrived}, Peers: map[holdfast.SiteID][]string{},
		Dial: func(ctx context.Context, d *net.Dialer, address string) (c net.Conn, err error) {
			err = g.within(side, func() error { c, err = d.DialContext(ctx, "tcp", address); return err })
			return c, err
		},
	}
	for carrier := range carriers {
		cfg.Listen = append(cfg.Listen, g.address(side, carrier))
		cfg.Peers[other] = append(cfg.Peers[other], g.route(side, carrier))
	}
	l, err := link.New(cfg)
	if err != nil {
		return nil, err
	}
	return l, g.within(side, l.Start)
}

// connected waits until all carriers are up.
func (s *linked) connected(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for s.up() < 2*carriers {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-look.C:
		}
	}
	return nil
}

func (s *linked) up() (n int) {
	for _, l := range s.links {
		for _, c := range l.Peers()[0].Carriers {
			if c.Up {
				n++
			}
		}
	}
	return n
}

func (s *linked) send(n uint64) {
	message := make([]byte, s.size)
	binary.BigEndian.PutUint64(message, n)
	s.links[near].Send(2, 1, message)
}

func (s *linked) close() (err error) {
	for _, l := range s.links {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
	}
	return err
}
