package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"holdfast"
)

const alpn = "holdfast-link"

// errStranger says that whoever is at the other end is not the site it should be.
var errStranger = errors.New("not a site of this cluster")

// tlsConfig is for both ends. Chain and name are checked by check and nothing else, so that both ends follow one rule: made by
// an authority of this cluster, names a site of this cluster, and that site is welcome.
func (l *Link) tlsConfig(welcome func(holdfast.SiteID) bool) *tls.Config {
	creds := l.creds
	return &tls.Config{
		Certificates:                []tls.Certificate{creds.cert},
		MinVersion:                  tls.VersionTLS13,
		NextProtos:                  []string{alpn},
		ClientAuth:                  tls.RequireAnyClientCert,
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true,
		InsecureSkipVerify:          true, // sites have no host names; VerifyConnection below does all of it
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return fmt.Errorf("%w: it shows no certificate", errStranger)
			}
			site, err := creds.verify(s.PeerCertificates[0], l.clock())
			if err != nil {
				return fmt.Errorf("%w: %w", errStranger, err)
			}
			if !welcome(site) {
				return fmt.Errorf("%w: it shows the certificate of site %d", errStranger, site)
			}
			return nil
		},
	}
}

// secure runs the handshake over a new TCP connection, from either end. It closes the connection when it fails.
func (l *Link) secure(ctx context.Context, raw net.Conn, wrap func(net.Conn, *tls.Config) *tls.Conn, cfg *tls.Config) (*conn, error) {
	batch := newBatchConn(raw)
	c := wrap(batch, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	chain, err := l.creds.chain(c.ConnectionState().PeerCertificates[0], l.clock())
	if err != nil { // it has ended since the handshake
		_ = raw.Close()
		return nil, fmt.Errorf("%w: %w", errStranger, err)
	}
	return &conn{Conn: c, batch: batch, until: endOf(chain)}, nil
}

// handshake is how long all of it may take: TCP, TLS and hello are three round trips, and signatures. It is patient: on a
// machine without processor time to spare, giving up and beginning again is what keeps sites apart.
func (t Timing) handshake() time.Duration { return 5 * t.Silence }

// siteOf is the site whose certificate the peer of an established connection has shown.
func (l *Link) siteOf(c *conn) (holdfast.SiteID, error) {
	return l.creds.verify(c.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0], l.clock())
}

// lineFault reports whether an error of a handshake says something about the line rather than about who is at its end.
func lineFault(err error) bool {
	var opErr *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.As(err, &opErr) && opErr.Op != "remote error" && opErr.Op != "local error"
}
