package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// accept takes connections of one carrier until the listener is closed.
func (l *Link) accept(listener net.Listener, carrier int) {
	for {
		raw, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // most likely out of files; accepting at full speed would not give any back
			l.warn("cannot accept", "carrier", carrier, "reason", err.Error())
			select {
			case <-l.dialCtx.Done():
				return
			case <-time.After(l.timing.RedialMin):
			}
			continue
		}
		select {
		case l.handshakes <- struct{}{}:
			l.goroutines.Go(func() { l.host(raw, carrier) })
		default:
			l.failed.Add(1)
			_ = raw.Close()
		}
	}
}

// host owns a connection that somebody has dialled, from the handshake to its end.
func (l *Link) host(raw net.Conn, carrier int) {
	r, err := l.welcome(raw, carrier)
	<-l.handshakes
	if err != nil {
		l.turnAway(raw, carrier, err)
		return
	}
	p := r.path.peer
	p.join(r)
	err = r.run()
	r.conn.close()
	p.leave(r)
	if errors.Is(err, errBadFrame) {
		l.badFrames.Add(1)
		l.warn("gave a connection up", "peer", p.site, "carrier", carrier, "reason", err.Error())
	}
}

// turnAway counts and logs a connection that did not become one of a peer. It has been closed.
func (l *Link) turnAway(raw net.Conn, carrier int, err error) {
	if lineFault(err) {
		l.failed.Add(1)
		l.log.Debug("handshake not completed", "carrier", carrier, "from", raw.RemoteAddr().String(), "reason", err.Error())
		return
	}
	l.strangers.Add(1)
	l.warn("turned a connection away", "carrier", carrier, "from", raw.RemoteAddr().String(), "reason", err.Error())
}

// welcome finds out who has dialled. Nothing is read but the handshake and the hello before that is known.
func (l *Link) welcome(raw net.Conn, carrier int) (*receiver, error) {
	ctx, cancel := context.WithTimeout(l.dialCtx, l.timing.handshake())
	defer cancel()
	c, err := l.secure(ctx, raw, tls.Server, l.serverTLS)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	r, err := l.answerHello(c, carrier)
	if err != nil {
		c.close()
		return nil, err
	}
	return r, nil
}

func (l *Link) answerHello(c *conn, carrier int) (*receiver, error) {
	site, err := l.siteOf(c)
	if err != nil {
		return nil, err
	}
	in := newReader(c, nil)
	f, err := in.next()
	if err != nil {
		return nil, err
	}
	h, err := parseHello(f)
	if err != nil {
		return nil, err
	}
	if h.from != site || h.to != l.site || int(h.carrier) != carrier {
		return nil, fmt.Errorf(
			"%w: site %d says it is site %d and means site %d on carrier %d, this is site %d on carrier %d: are addresses mixed up?",
			errStranger, site, h.from, h.to, h.carrier, l.site, carrier)
	}
	if _, err := c.Write(l.hello(site, carrier)); err != nil {
		return nil, err
	}
	if h.version != version {
		return nil, fmt.Errorf("site %d speaks version %d of the link, this one %d: upgrade the older one", site, h.version, version)
	}
	p := l.peer(site)
	if p == nil {
		return nil, fmt.Errorf("%w: site %d has gone meanwhile", errStranger, site)
	}
	r := &receiver{path: p.paths[carrier], conn: c, in: in, from: p.met(h)}
	in.heard = r.heard
	r.heard()
	return r, nil
}
