package client

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"holdfast"
)

// closesWhenIdle answers, says nothing of it, and closes the connection: as a proxy does that has waited long enough, and a site that
// stops.
func closesWhenIdle(t *testing.T, b *book, closed chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, body := b.outcome(r.Header.Get("Idempotency-Key"))
		fmt.Fprintf(conn, "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		conn.Close()
		closed <- struct{}{}
	}
}

// A site that closes what is not used is not sick: every payment goes to the nearest, once, and none goes elsewhere.
func TestIdleConnectionsThatAreClosed(t *testing.T) {
	b, closed := newBook(), make(chan struct{}, 1)
	near, far := newSiteFor(t, closesWhenIdle(t, b, closed)), newSiteFor(t, b.pays)
	c := newTestClient(t, Config{Hedge: -1, Timeout: 10 * time.Second}, near, far)
	const payments = 6
	for i := range payments {
		o, err := c.Pay(t.Context(), testTransfer)
		if err != nil || o.Status != holdfast.Done || o.Replay {
			t.Fatalf("payment %d: %+v %v", i, o, err)
		}
		<-closed
		awaitClosed(t, c.sites[0])
		if c.sites[0].sick() {
			t.Errorf("after payment %d the nearest site is taken for sick", i)
		}
	}
	if n, m := len(near.asked()), len(far.asked()); n != payments || m != 0 {
		t.Errorf("the nearest site was asked %d times and another one %d times, for %d payments", n, m, payments)
	}
	if st := c.Stats(); st.Failures != 0 {
		t.Errorf("%+v: nothing has failed", st)
	}
}

// awaitClosed waits until the close of the unused connection has come over the loopback.
func awaitClosed(t *testing.T, s *site) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		n := len(s.idle)
		gone := n > 0 && s.idle[n-1].closed()
		s.mu.Unlock()
		if gone || n == 0 {
			return
		}
	}
	t.Fatal("the connection stays open")
}

// A connection that is whole is used again, also when the deadline of the request before is over.
func TestIdleConnectionsAreUsedAgain(t *testing.T) {
	b := newBook()
	var mu sync.Mutex
	from := map[string]bool{}
	s := newSiteFor(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		from[r.RemoteAddr] = true
		mu.Unlock()
		b.pays(w, r)
	})
	c := newTestClient(t, Config{Hedge: -1, Timeout: 10 * time.Second}, s)
	for range 3 {
		if o, err := c.Pay(t.Context(), testTransfer); err != nil || o.Status != holdfast.Done {
			t.Fatalf("%+v %v", o, err)
		}
		for _, l := range c.sites[0].idle {
			if err := l.conn.SetReadDeadline(time.Unix(1, 0)); err != nil { // it is long over
				t.Fatal(err)
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(from) != 1 {
		t.Errorf("%d connections for 3 payments one after another", len(from))
	}
}

// What was never sent, because the connection was found closed, is not executed when the site then says so.
func TestClosedConnectionKeepsNotExecuted(t *testing.T) {
	b, closed := newBook(), make(chan struct{}, 1)
	s := newSiteFor(t, closesWhenIdle(t, b, closed))
	c := newTestClient(t, Config{Hedge: -1, Timeout: time.Minute}, s)
	if o, err := c.Pay(t.Context(), testTransfer); err != nil || o.Status != holdfast.Done {
		t.Fatalf("%+v %v", o, err)
	}
	<-closed
	awaitClosed(t, c.sites[0])
	s.become(problem(400, "malformed", "not-executed")) // which is final
	if o, err := c.Pay(t.Context(), testTransfer); o.Status != holdfast.NotExecuted || err == nil {
		t.Errorf("%+v %v: nothing was sent over the connection that was closed", o, err)
	}
}

// A connection may break at the very moment of its use. The site is asked once more over another one; it is known whether the first
// attempt may have come of something.
func TestConnectionThatBreaksInUse(t *testing.T) {
	for name, x := range map[string]struct {
		conn  net.Conn
		maybe bool
	}{
		"nothing was sent":     {brokenConn{write: syscall.EPIPE}, false},
		"sent, and no answer":  {brokenConn{read: io.EOF}, true},
		"sent, and then reset": {brokenConn{read: syscall.ECONNRESET}, true},
	} {
		inBubble(t, name, func(t *testing.T) {
			b := newBook()
			near, far := newSiteNear(t, b.pays), newSiteNear(t, b.pays)
			c := newTestClient(t, Config{Hedge: -1, Timeout: 300 * time.Millisecond}, near, far)
			broken := func() { c.sites[0].put(&line{conn: x.conn, in: bufio.NewReader(x.conn)}) }
			broken()
			if o, err := c.Pay(t.Context(), testTransfer); err != nil || o.Status != holdfast.Done {
				t.Fatalf("%+v %v", o, err)
			}
			if len(near.asked()) != 1 || len(far.asked()) != 0 || c.sites[0].sick() {
				t.Errorf("asked the nearest %d times, another one %d times; sick: %v", len(near.asked()), len(far.asked()), c.sites[0].sick())
			}
			no := problem(503, "no-quorum", "not-executed")
			near.become(no)
			far.become(no)
			broken()
			want := holdfast.NotExecuted
			if x.maybe {
				want = holdfast.Unknown
			}
			if o, err := c.Pay(t.Context(), testTransfer); o.Status != want || err == nil {
				t.Errorf("%+v %v, want %s", o, err, want)
			}
		})
	}
}

// brokenConn is a connection that breaks when it is used.
type brokenConn struct{ write, read error }

func (b brokenConn) Write(p []byte) (int, error) {
	if b.write != nil {
		return 0, b.write
	}
	return len(p), nil
}

func (b brokenConn) Read([]byte) (int, error) {
	if b.read == nil {
		return 0, errors.New("read although nothing was sent")
	}
	return 0, b.read
}

func (brokenConn) Close() error                     { return nil }
func (brokenConn) LocalAddr() net.Addr              { return nil }
func (brokenConn) RemoteAddr() net.Addr             { return nil }
func (brokenConn) SetDeadline(time.Time) error      { return nil }
func (brokenConn) SetReadDeadline(time.Time) error  { return nil }
func (brokenConn) SetWriteDeadline(time.Time) error { return nil }
