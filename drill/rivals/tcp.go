package rivals

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// tcp sends over one connection at a time. The far site acknowledges every message; when nothing is acknowledged for the
// time-out, the connection is given up, the other carrier is dialled, and what is not acknowledged is sent again.
type tcp struct {
	ground    ground
	size      int
	timeout   time.Duration
	multipath bool // the kernel changes carriers, and nothing is dialled anew
	arrived   func(uint64)

	ctx        context.Context
	cancel     context.CancelFunc
	goroutines sync.WaitGroup
	listeners  []net.Listener
	wake       chan struct{} // capacity 1

	mu      sync.Mutex
	pending []uint64 // sent and not acknowledged, in order
	next    int      // in pending: the first that the connection has not been given
	acked   time.Time
}

func openTCP(ctx context.Context, g ground, o Options, arrived func(uint64)) (stream, error) {
	return newTCP(ctx, g, o, arrived, false)
}

func openMultipath(ctx context.Context, g ground, o Options, arrived func(uint64)) (stream, error) {
	return newTCP(ctx, g, o, arrived, true)
}

func newTCP(ctx context.Context, g ground, o Options, arrived func(uint64), multipath bool) (stream, error) {
	s := &tcp{ground: g, size: o.Size, timeout: o.Timeout, multipath: multipath, arrived: arrived, wake: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(ctx)
	for carrier := range carriers {
		if err := s.listen(carrier); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	c, err := s.dial(0)
	for tries := 1; err != nil && tries < 20 && ctx.Err() == nil; tries++ { // nothing is cut yet: the machine is busy
		c, err = s.dial(0)
	}
	if err == nil && multipath {
		err = s.joined(c)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.goroutines.Go(func() { s.keep(c) })
	return s, nil
}

func (s *tcp) listen(carrier int) error {
	var l net.Listener
	err := s.ground.within(far, func() (err error) {
		var config net.ListenConfig
		config.SetMultipathTCP(s.multipath)
		address := s.ground.address(far, carrier)
		if s.multipath { // the second way of a connection comes in at another address, and needs somebody who listens there
			_, port, _ := net.SplitHostPort(address)
			address = net.JoinHostPort("0.0.0.0", port)
		}
		l, err = config.Listen(s.ctx, "tcp", address)
		return err
	})
	if err != nil {
		return err
	}
	s.listeners = append(s.listeners, l)
	s.goroutines.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.goroutines.Go(func() { s.serve(c) })
		}
	})
	return nil
}

// serve notes and acknowledges what arrives.
func (s *tcp) serve(c net.Conn) {
	defer c.Close()
	defer context.AfterFunc(s.ctx, func() { _ = c.Close() })()
	for message := make([]byte, s.size); ; {
		if _, err := io.ReadFull(c, message); err != nil {
			return
		}
		s.arrived(binary.BigEndian.Uint64(message))
		if _, err := c.Write(message[:8]); err != nil {
			return
		}
	}
}

// joined waits until a connection has its second way: without it there would be nothing to compare.
func (s *tcp) joined(c net.Conn) error {
	timeout := time.NewTimer(30 * time.Second)
	defer timeout.Stop()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		n, err := subflows(c)
		if n > 0 || err != nil {
			return err
		}
		select {
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		case <-timeout.C:
			return errors.New("no second way was opened by Multipath TCP")
		case <-look.C:
		}
	}
}

func (s *tcp) dial(carrier int) (c net.Conn, err error) {
	err = s.ground.within(near, func() error {
		d := net.Dialer{Timeout: s.timeout}
		d.SetMultipathTCP(s.multipath)
		c, err = d.DialContext(s.ctx, "tcp", s.ground.route(near, carrier))
		return err
	})
	return c, err
}

// keep uses a connection, and the next one over the other carrier when it has ended, until the stream is closed.
func (s *tcp) keep(c net.Conn) {
	for carrier := 0; ; {
		if c != nil {
			s.use(c)
		}
		if s.ctx.Err() != nil {
			return
		}
		carrier = (carrier + 1) % carriers
		c, _ = s.dial(carrier) // the other carrier is next
	}
}

// use writes what is pending, until the connection breaks or nothing is acknowledged for too long.
func (s *tcp) use(c net.Conn) {
	var reader sync.WaitGroup
	defer reader.Wait()
	defer c.Close()
	defer context.AfterFunc(s.ctx, func() { _ = c.Close() })()
	s.restart()
	reader.Go(func() { s.acknowledged(c) })
	look := time.NewTicker(s.timeout / 20)
	defer look.Stop()
	message := make([]byte, s.size)
	for {
		for n, ok := s.take(); ok; n, ok = s.take() {
			binary.BigEndian.PutUint64(message, n)
			_ = c.SetWriteDeadline(s.deadline())
			if _, err := c.Write(message); err != nil {
				return
			}
		}
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake:
		case <-look.C:
			if s.late() {
				return
			}
		}
	}
}

func (s *tcp) deadline() time.Time {
	if s.multipath {
		return time.Time{}
	}
	return time.Now().Add(s.timeout)
}

// restart makes the next connection begin with what is not acknowledged.
func (s *tcp) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next, s.acked = 0, time.Now()
}

func (s *tcp) take() (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == len(s.pending) {
		return 0, false
	}
	s.next++
	return s.pending[s.next-1], true
}

func (s *tcp) late() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.multipath && len(s.pending) > 0 && time.Since(s.acked) > s.timeout
}

// acknowledged takes the answers of the far site.
func (s *tcp) acknowledged(c net.Conn) {
	for answer := make([]byte, 8); ; {
		if _, err := io.ReadFull(c, answer); err != nil {
			return
		}
		n := binary.BigEndian.Uint64(answer)
		s.mu.Lock()
		for len(s.pending) > 0 && s.pending[0] <= n {
			s.pending = s.pending[1:]
			s.next = max(s.next-1, 0)
		}
		s.acked = time.Now()
		s.mu.Unlock()
	}
}

func (s *tcp) send(n uint64) {
	s.mu.Lock()
	if len(s.pending) == 0 {
		s.acked = time.Now() // nothing was waited for
	}
	s.pending = append(s.pending, n)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *tcp) close() error {
	s.cancel()
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	s.goroutines.Wait()
	return errors.Join(errs...)
}
