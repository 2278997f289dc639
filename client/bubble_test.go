package client

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// inBubble runs a test whose time passes only while everybody waits: what a deadline cuts off does not depend on how busy the machine is.
func inBubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

// newSiteNear is a site for a test in a bubble: its connections stay in memory.
func newSiteNear(t *testing.T, handle http.HandlerFunc) *testSite {
	s := newTestSite(t, handle)
	if err := s.Server.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	s.pipes = newPipes()
	s.Server.Listener = s.pipes
	s.Server.Start()
	return s
}

// pipes is a listener within this process.
type pipes struct {
	name  string
	conns chan net.Conn
	over  chan struct{}
	once  sync.Once
}

var piped atomic.Int64

func newPipes() *pipes {
	return &pipes{name: fmt.Sprintf("pipe-%d:80", piped.Add(1)), conns: make(chan net.Conn), over: make(chan struct{})}
}

// Network and String are its address's.
func (p *pipes) Network() string { return "pipe" }
func (p *pipes) String() string  { return p.name }
func (p *pipes) Addr() net.Addr  { return p }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.over) })
	return nil
}

func (p *pipes) connect(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.over:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
