package link

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast"
	"holdfast/fault"
)

const patience = time.Minute // for what must happen; never waited for when it does

// silence is how long nothing may be heard where a test is not about that: a machine that gives this process no time for a while must not
// have a connection given up.
const silence = 10 * time.Second

// eventually polls until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !cond(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// got is one payload that was received.
type got struct {
	from    holdfast.SiteID
	shard   holdfast.ShardID
	payload []byte
}

// recorder is a handler that keeps what it receives and serves calls by name.
type recorder struct {
	mu       sync.Mutex
	received []got
	served   int
	hold     chan struct{} // "hold" waits for it
}

type codedError struct{}

func (codedError) Error() string    { return "no such thing" }
func (codedError) LinkCode() uint16 { return 404 }

func (r *recorder) Receive(from holdfast.SiteID, shard holdfast.ShardID, payload []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.received = append(r.received, got{from, shard, payload})
}

func (r *recorder) Serve(ctx context.Context, _ holdfast.SiteID, method string, payload []byte) ([]byte, error) {
	r.mu.Lock()
	r.served++
	r.mu.Unlock()
	switch method {
	case "echo":
		return payload, nil
	case "coded":
		return nil, fmt.Errorf("look up: %w", codedError{})
	case "huge":
		return make([]byte, MaxPayload+1), nil
	case "hold":
		select {
		case <-r.hold:
			return []byte("held"), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, errors.New("unknown method")
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.received)
}

func (r *recorder) calls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.served
}

func (r *recorder) all() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]got(nil), r.received...)
}

// fleet is some sites with a cable for every ordered pair and carrier.
type fleet struct {
	t        testing.TB
	ca       *CA
	net      *fault.Net
	carriers int
	listen   map[holdfast.SiteID][]string
	links    map[holdfast.SiteID]*Link
	handlers map[holdfast.SiteID]*recorder
	edit     func(*Config)
}

// newFleet starts sites 1 to n and waits until all are in reach of each other.
func newFleet(t testing.TB, n, carriers int, delay time.Duration, edit func(*Config)) *fleet {
	t.Helper()
	before := runtime.NumGoroutine()
	f := &fleet{
		t: t, ca: newCA(t, "demo"), net: fault.NewNet(delay), carriers: carriers, edit: edit,
		listen: map[holdfast.SiteID][]string{}, links: map[holdfast.SiteID]*Link{}, handlers: map[holdfast.SiteID]*recorder{},
	}
	t.Cleanup(func() {
		for _, l := range f.links {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := f.net.Close(); err != nil {
			t.Error(err)
		}
		eventually(t, "all goroutines are gone", func() bool { return runtime.NumGoroutine() <= before })
	})
	for site := holdfast.SiteID(1); int(site) <= n; site++ {
		for range carriers {
			f.listen[site] = append(f.listen[site], freePort(t))
		}
	}
	for site := range f.listen {
		f.start(site)
	}
	for a := range f.listen {
		for b := range f.listen {
			if a != b {
				f.reach(a, b)
			}
		}
	}
	return f
}

// freePort finds an address to listen on later. The loopback address is one of this process alone, so that no other
// program's listener or outgoing connection takes the port meanwhile; and no other call gets it.
func freePort(t testing.TB) string {
	t.Helper()
	pid := os.Getpid()
	for port := 20_000 + taken.Add(1); port < 32_000; port = 20_000 + taken.Add(1) {
		address := fmt.Sprintf("127.%d.%d.%d:%d", 1+pid>>16%100, pid>>8&255, pid&255, port)
		if l, err := net.Listen("tcp", address); err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

var taken atomic.Int32 // ports

func (f *fleet) credentials(ca *CA, site holdfast.SiteID) *Credentials {
	f.t.Helper()
	pair, err := ca.NewSiteCert(site, testNow, year)
	if err != nil {
		f.t.Fatal(err)
	}
	c, err := NewCredentials(ca.Pair().Cert, pair, testNow)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

func (f *fleet) start(site holdfast.SiteID) {
	f.t.Helper()
	f.handlers[site] = &recorder{hold: make(chan struct{})}
	cfg := Config{
		Site: site, Listen: f.listen[site], Peers: map[holdfast.SiteID][]string{}, Credentials: f.credentials(f.ca, site),
		Handler: f.handlers[site], Version: "test",
		// However busy the machine, no connection is given up in tests that are not about that.
		Timing: Timing{Silence: silence, Ping: 50 * time.Millisecond},
	}
	for to, targets := range f.listen {
		if to == site {
			continue
		}
		for carrier, target := range targets {
			route := fault.Route{From: site, To: to, Carrier: carrier}
			if f.net.Cable(route) == nil {
				if _, err := f.net.Lay(route, "", target); err != nil {
					f.t.Fatal(err)
				}
			}
			cfg.Peers[to] = append(cfg.Peers[to], f.net.Cable(route).Addr())
		}
	}
	if f.edit != nil {
		f.edit(&cfg)
	}
	l, err := New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := l.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.links[site] = l
}

func (f *fleet) status(from, to holdfast.SiteID) PeerStatus {
	for _, p := range f.links[from].Peers() {
		if p.Site == to {
			return p
		}
	}
	f.t.Fatalf("site %d does not know site %d", from, to)
	return PeerStatus{}
}

// defaultTiming is for tests about silence.
func defaultTiming(c *Config) { c.Timing = Timing{} }

// reach waits until all carriers from one site to another are up.
func (f *fleet) reach(from, to holdfast.SiteID) {
	f.t.Helper()
	eventually(f.t, fmt.Sprintf("site %d reaches site %d", from, to), func() bool {
		s := f.status(from, to)
		for _, c := range s.Carriers {
			if !c.Up {
				return false
			}
		}
		return s.Up
	})
}

func (f *fleet) down(from, to holdfast.SiteID) {
	f.t.Helper()
	eventually(f.t, fmt.Sprintf("site %d notices that site %d is silent", from, to), func() bool { return !f.status(from, to).Up })
}

func (f *fleet) echo(from, to holdfast.SiteID, payload []byte) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	answer, err := f.links[from].Call(ctx, to, "echo", payload)
	if err != nil || !bytes.Equal(answer, payload) {
		f.t.Fatalf("echo of %d bytes from site %d to %d: %d bytes, %v", len(payload), from, to, len(answer), err)
	}
}

// echoAgain is echo where a call may find the peer out of reach for a moment, and is repeated then: with the timing of a real link on
// a slow machine.
func (f *fleet) echoAgain(from, to holdfast.SiteID, payload []byte) {
	f.t.Helper()
	eventually(f.t, fmt.Sprintf("an echo from site %d to %d", from, to), func() bool {
		answer, err := f.links[from].Call(f.t.Context(), to, "echo", payload)
		if err != nil && !errors.Is(err, ErrUnreachable) && !errors.Is(err, ErrNoAnswer) || err == nil && !bytes.Equal(answer, payload) {
			f.t.Fatalf("echo of %d bytes from site %d to %d: %d bytes, %v", len(payload), from, to, len(answer), err)
		}
		return err == nil
	})
}

func pattern(size int, seed byte) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7) + byte(i>>8) + seed
	}
	return b
}

func TestExchange(t *testing.T) {
	f := newFleet(t, 3, 1, 0, nil)
	sizes := []int{0, 1, 100, 1025, maxChunk - 1, maxChunk, maxChunk + 1, 3 * maxChunk, 1 << 20}
	for i, size := range sizes {
		for to := holdfast.SiteID(2); to <= 3; to++ {
			f.links[1].Send(to, holdfast.ShardID(i+1), pattern(size, byte(i)))
			f.links[1].SendUrgent(to, holdfast.ShardID(100+i), pattern(size, byte(i)))
			f.echo(1, to, pattern(size, byte(i)))
			f.echo(to, 1, pattern(size, byte(i)))
		}
	}
	for to := holdfast.SiteID(2); to <= 3; to++ {
		h := f.handlers[to]
		eventually(t, "everything has arrived", func() bool { return h.count() == 2*len(sizes) })
		for _, g := range h.all() {
			i := int(g.shard-1) % 99
			if g.shard >= 100 {
				i = int(g.shard - 100)
			}
			if g.from != 1 || !bytes.Equal(g.payload, pattern(sizes[i], byte(i))) {
				t.Errorf("site %d got %d bytes for shard %d from site %d, want %d bytes as sent", to, len(g.payload), g.shard, g.from, sizes[i])
			}
		}
	}
	if s := f.status(1, 2); s.Dropped != 0 || s.Duplicates != 0 || s.Version != "test" || s.Carriers[0].Sent.Frames == 0 || s.Waiting != 0 {
		t.Errorf("status %+v", s)
	}
}

func TestLargestPayload(t *testing.T) {
	f := newFleet(t, 2, 1, 0, nil)
	f.echo(1, 2, make([]byte, MaxPayload))
	f.links[1].Send(2, 1, make([]byte, MaxPayload))
	eventually(t, "it arrives", func() bool { return f.handlers[2].count() == 1 })
	if n := len(f.handlers[2].all()[0].payload); n != MaxPayload {
		t.Errorf("%d bytes arrived of %d", n, MaxPayload)
	}
}

func TestShardOrderIsKept(t *testing.T) {
	f := newFleet(t, 2, 1, time.Millisecond, nil)
	const n = 300
	for i := range n { // large and small ones in turn
		size := 8
		if i%10 == 0 {
			size = 200_000
		}
		p := pattern(size, 0)
		p[0], p[1] = byte(i>>8), byte(i)
		f.links[1].Send(2, 1, p)
	}
	eventually(t, "everything has arrived", func() bool { return f.handlers[2].count() == n })
	for i, g := range f.handlers[2].all() {
		if at := int(g.payload[0])<<8 | int(g.payload[1]); at != i {
			t.Fatalf("payload %d of the shard arrived as number %d", at, i)
		}
	}
}

func TestCutAndHeal(t *testing.T) {
	cuts := map[string]func(*fault.Net){
		"both ways":  func(n *fault.Net) { n.CutPair(1, 2) },
		"1 to 2":     func(n *fault.Net) { n.CutOneWay(1, 2) },
		"2 to 1":     func(n *fault.Net) { n.CutOneWay(2, 1) },
		"1 is muted": func(n *fault.Net) { n.Mute(1) },
	}
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			told := map[holdfast.SiteID][]bool{}
			f := newFleet(t, 2, 1, 2*time.Millisecond, func(c *Config) {
				c.Timing = Timing{}
				site := c.Site
				c.Notify = func(_ holdfast.SiteID, up bool) {
					mu.Lock()
					defer mu.Unlock()
					told[site] = append(told[site], up)
				}
			})
			f.echo(1, 2, []byte("before"))
			start := time.Now()
			cut(f.net)
			f.down(1, 2)
			f.down(2, 1)
			noticed := time.Since(start)
			_, err := f.links[1].Call(t.Context(), 2, "echo", nil)
			if !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrNoAnswer) {
				t.Errorf("call over a cut cable: %v", err)
			}
			f.net.HealAll()
			start = time.Now()
			f.reach(1, 2)
			f.reach(2, 1)
			t.Logf("silence noticed after %v, healed after %v", noticed.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
			f.echoAgain(1, 2, []byte("after"))
			f.echoAgain(2, 1, []byte("after"))
			for site := holdfast.SiteID(1); site <= 2; site++ {
				eventually(t, fmt.Sprintf("site %d was told of one end more than of beginnings", site), func() bool {
					mu.Lock()
					defer mu.Unlock()
					if !alternates(told[site]) {
						t.Fatalf("site %d was told %v", site, told[site])
					}
					return len(told[site])%2 == 1 && len(told[site]) >= 3
				})
			}
		})
	}
}

// alternates reports whether a peer was in reach first, and nothing was told twice. On a machine that gives this process no time for
// longer than the silence that counts, more is told than was cut.
func alternates(ups []bool) bool {
	for i, up := range ups {
		if up != (i%2 == 0) {
			return false
		}
	}
	return true
}

func TestStrangersGetNothing(t *testing.T) {
	f := newFleet(t, 2, 1, 0, nil)
	_ = f.links[1].Close()
	target := f.links[2].Addrs()[0]
	other := newCA(t, "demo")
	foreign := newCA(t, "elsewhere")
	payload := appendFrame(nil, frame{kind: kindRaft, flags: flagWhole, shard: 1}, nil, []byte("money"))
	client := func(c *Credentials, edit func(*tls.Config)) func() error {
		return func() error {
			cfg := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{alpn}}
			if c != nil {
				cfg.Certificates = []tls.Certificate{c.cert}
			}
			if edit != nil {
				edit(cfg)
			}
			conn, err := tls.Dial("tcp", target, cfg)
			if err != nil {
				return err
			}
			defer conn.Close()
			l := &Link{site: 1, incarnation: 1}
			if _, err := conn.Write(append(l.hello(2, 0), payload...)); err != nil {
				return err
			}
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			n, err := conn.Read(make([]byte, 1))
			if n > 0 {
				return nil
			}
			return err
		}
	}
	rows := []struct {
		name    string
		connect func() error
	}{
		{"no certificate", client(nil, nil)},
		{"certificate of another authority", client(f.credentials(other, 1), nil)},
		{"certificate of another cluster", client(f.credentials(foreign, 1), nil)},
		{"certificate of a site that is not configured", client(f.credentials(f.ca, 9), nil)},
		{"its own certificate", client(f.credentials(f.ca, 2), nil)},
		{"TLS 1.2", client(f.credentials(f.ca, 1), func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })},
		{"another protocol", client(f.credentials(f.ca, 1), func(c *tls.Config) { c.NextProtos = []string{"h2"} })},
		{"no TLS at all", func() error {
			conn, err := net.Dial("tcp", target)
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n"); err != nil {
				return err
			}
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			answer, err := io.ReadAll(conn)
			if err == nil && (len(answer) == 0 || answer[0] == 21) { // closed, or a TLS alert
				err = io.EOF
			}
			return err
		}},
	}
	for _, row := range rows {
		before := f.links[2].Totals().Strangers
		if err := row.connect(); err == nil {
			t.Errorf("%s: was answered", row.name)
		}
		eventually(t, row.name+" is counted", func() bool { return f.links[2].Totals().Strangers == before+1 })
	}
	before := f.links[2].Totals().Strangers
	if err := client(f.credentials(f.ca, 1), nil)(); err != nil {
		t.Errorf("the right certificate: %v", err)
	}
	if n := f.links[2].Totals().Strangers; n != before {
		t.Errorf("the right certificate was counted as a stranger")
	}
	eventually(t, "the right certificate gets through", func() bool { return f.handlers[2].count() == 1 })
}

// TestSiteThatBreaksTheRules has the right certificate, and gets no further than its first mistake.
func TestSiteThatBreaksTheRules(t *testing.T) {
	f := newFleet(t, 2, 1, 0, nil)
	_ = f.links[1].Close()
	good := hello{version: version, from: 1, to: 2, incarnation: 7}
	edit := func(change func(*hello)) []byte {
		h := good
		change(&h)
		return appendFrame(nil, frame{kind: kindHello, flags: flagWhole}, nil, h.append(nil))
	}
	after := func(frames ...byte) []byte { return append(edit(func(*hello) {}), frames...) }
	raft := frame{kind: kindRaft, lane: laneInteractive, flags: flagWhole, shard: 1}
	damaged := appendFrame(nil, raft, nil, []byte("money"))
	damaged[len(damaged)-1] ^= 1
	rows := []struct {
		name string
		sent []byte
	}{
		{"says it is another site", edit(func(h *hello) { h.from = 3 })},
		{"means another site", edit(func(h *hello) { h.to = 3 })},
		{"means another carrier", edit(func(h *hello) { h.carrier = 1 })},
		{"speaks another version", edit(func(h *hello) { h.version = 99 })},
		{"starts without hello", appendFrame(nil, raft, nil, []byte("money"))},
		{"sends a damaged frame", after(damaged...)},
		{"sends a pong", after(appendFrame(nil, frame{kind: kindPong, flags: flagWhole}, nil, make([]byte, pongBytes))...)},
		{"says hello twice", after(edit(func(*hello) {})...)},
		{"calls without a head", after(appendFrame(nil, frame{kind: kindCall, flags: flagWhole}, nil, []byte("x"))...)},
		{"replies without a head", after(appendFrame(nil, frame{kind: kindReply, flags: flagWhole}, nil, []byte("x"))...)},
		{"pings with nothing", after(appendFrame(nil, frame{kind: kindPing, flags: flagWhole}, nil, nil)...)},
	}
	cfg := &tls.Config{
		InsecureSkipVerify: true, NextProtos: []string{alpn}, Certificates: []tls.Certificate{f.credentials(f.ca, 1).cert},
	}
	count := func() uint64 { return f.links[2].Totals().Strangers + f.links[2].Totals().BadFrames }
	for _, row := range rows {
		before := count()
		conn, err := tls.Dial("tcp", f.listen[2][0], cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(row.sent); err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		_, err = io.Copy(io.Discard, conn)
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			t.Errorf("%s: the connection was left open", row.name)
		}
		_ = conn.Close()
		eventually(t, row.name+" is counted", func() bool { return count() == before+1 })
	}
	if n := f.handlers[2].count() + f.handlers[2].calls(); n != 0 {
		t.Errorf("%d of the frames got through", n)
	}
}

func TestAddressOfTheWrongSite(t *testing.T) {
	f := newFleet(t, 3, 1, 0, nil)
	_ = f.links[1].Close()
	f.edit = func(c *Config) { c.Peers[2] = []string{f.listen[3][0]} }
	f.start(1)
	f.reach(1, 3)
	eventually(t, "the mix-up is reported", func() bool {
		return strings.Contains(f.status(1, 2).Carriers[0].LastErr, "does not lead to site 2")
	})
	if f.links[1].Totals().Strangers == 0 {
		t.Error("the mix-up was not counted")
	}
	if _, err := f.links[1].Call(t.Context(), 2, "echo", nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("call: %v", err)
	}
}

func TestPeerRestart(t *testing.T) {
	f := newFleet(t, 2, 1, time.Millisecond, nil)
	first := f.status(1, 2).Incarnation
	for range 3 {
		f.links[1].Send(2, 1, []byte("to the first life"))
	}
	eventually(t, "the first life got it", func() bool { return f.handlers[2].count() == 3 })
	if err := f.links[2].Close(); err != nil {
		t.Fatal(err)
	}
	f.down(1, 2)
	f.start(2)
	f.reach(1, 2)
	f.reach(2, 1)
	if second := f.status(1, 2).Incarnation; second == first || second == 0 {
		t.Errorf("incarnation %d, then %d", first, second)
	}
	f.echo(1, 2, []byte("x"))
	f.echo(2, 1, []byte("x"))
	f.links[2].Send(1, 1, []byte("from the second life"))
	eventually(t, "sequences start afresh", func() bool { return f.handlers[1].count() == 1 })
}

func TestSeveralCarriers(t *testing.T) {
	f := newFleet(t, 2, 2, time.Millisecond, func(c *Config) { c.Timing = Timing{Silence: 5 * time.Second} }) // a slow machine cuts nothing
	const n = 500
	for i := range n {
		if i == n/2 {
			f.net.CutCarrier(0)
		}
		f.links[1].Send(2, 1, []byte{byte(i >> 8), byte(i)})
		f.echo(1, 2, []byte{1})
	}
	eventually(t, "everything has arrived", func() bool { return f.handlers[2].count() >= n })
	for i, g := range f.handlers[2].all() {
		if at := int(g.payload[0])<<8 | int(g.payload[1]); at != i {
			t.Fatalf("payload %d arrived as number %d", at, i)
		}
	}
	eventually(t, "carrier 0 is given up", func() bool { return !f.status(1, 2).Carriers[0].Up })
	s := f.status(1, 2)
	if !s.Up || !s.Carriers[1].Up || s.Carriers[1].Breaks != 0 {
		t.Errorf("with one carrier left: %+v", s)
	}
	if d := f.status(2, 1).Duplicates; d == 0 {
		t.Error("nothing came twice while there were two carriers")
	}
	if calls := f.handlers[2].calls(); calls != n {
		t.Errorf("%d calls were served %d times", n, calls)
	}
	f.echo(1, 2, pattern(1<<20, 3)) // bulk takes the carrier that is left
	f.net.HealAll()
	f.reach(1, 2)
}

// signaller is a handler that counts bulk and passes the payloads of shard 2 on.
type signaller struct {
	counter
	urgent chan int64 // bytes of bulk that had come before it
}

func (s *signaller) Receive(from holdfast.SiteID, shard holdfast.ShardID, payload []byte) {
	if shard == 2 {
		s.urgent <- s.bytes.Load()
		return
	}
	s.counter.Receive(from, shard, payload)
}

func TestUrgentOvertakesBulk(t *testing.T) {
	at := &signaller{urgent: make(chan int64, 1)}
	f := newFleet(t, 2, 1, time.Millisecond, func(c *Config) {
		if c.Site == 2 {
			c.Handler = at
		}
	})
	queued := func() int { return f.status(1, 2).Carriers[0].Queued }
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { // keeps some tens of megabytes queued
		for block := make([]byte, 1<<20); ctx.Err() == nil; {
			if queued() < 32<<20 {
				f.links[1].Send(2, 1, block)
			} else {
				runtime.Gosched()
			}
		}
	})
	eventually(t, "bulk piles up", func() bool { return queued() > 16<<20 })
	var worst time.Duration
	for range 20 {
		start := time.Now()
		f.links[1].SendUrgent(2, 2, []byte("heartbeat"))
		bulk := at.bytes.Load() // when it has been sent, and when it comes: whoever counts may wait for a processor before and after
		passed := <-at.urgent - bulk
		worst = max(worst, time.Since(start))
		if passed > 12<<20 {
			t.Errorf("%d bytes of bulk arrived before a heartbeat that was sent after them", passed)
		}
	}
	t.Logf("worst of 20 heartbeats through saturating bulk: %v", worst)
}

func TestFullQueueDrops(t *testing.T) {
	f := newFleet(t, 2, 1, time.Millisecond, func(c *Config) {
		c.Limits = Limits{Interactive: 64 << 10, Bulk: 2 << 20}
	})
	f.net.CutPair(1, 2)
	block := make([]byte, 1<<20)
	eventually(t, "bulk is dropped", func() bool {
		f.links[1].Send(2, 1, block)
		return f.status(1, 2).Dropped > 0
	})
	eventually(t, "a large call is refused", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := f.links[1].Call(ctx, 2, "echo", block)
		return errors.Is(err, ErrBusy)
	})
	s := f.status(1, 2)
	if !s.Up || s.Dropped == 0 || s.Carriers[0].Queued > 3<<20 {
		t.Errorf("status %+v", s)
	}
	f.net.HealAll()
	f.echo(2, 1, []byte("the connection is still there"))
	if b := f.status(1, 2).Carriers[0].Breaks; b != 0 {
		t.Errorf("the connection broke %d times", b)
	}
}

func TestUnknownSite(t *testing.T) {
	f := newFleet(t, 2, 1, 0, nil)
	f.links[1].Send(7, 1, []byte("x"))
	f.links[1].Send(2, 1, make([]byte, MaxPayload+1))
	if n := f.links[1].Totals().Unroutable; n != 2 {
		t.Errorf("%d unroutable, want 2", n)
	}
	if _, err := f.links[1].Call(t.Context(), 7, "echo", nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("call: %v", err)
	}
}

func TestConfigErrors(t *testing.T) {
	f := &fleet{t: t, ca: newCA(t, "demo")}
	good := func() Config {
		return Config{
			Site: 1, Listen: []string{"127.0.0.1:0"}, Peers: map[holdfast.SiteID][]string{2: {"127.0.0.1:1"}},
			Credentials: f.credentials(f.ca, 1), Handler: &recorder{},
		}
	}
	rows := map[string]func(*Config){
		"credentials are missing":           func(c *Config) { c.Credentials = nil },
		"handler is missing":                func(c *Config) { c.Handler = nil },
		"its certificate is that of site 1": func(c *Config) { c.Site = 3 },
		"numbered from 1":                   func(c *Config) { c.Site = 0 },
		"one per carrier":                   func(c *Config) { c.Listen = nil },
		"cannot be a peer":                  func(c *Config) { c.Peers[1] = []string{"x:1"} },
		"site 2 has 2 addresses":            func(c *Config) { c.Peers[2] = append(c.Peers[2], "x:1") },
	}
	for want, edit := range rows {
		c := good()
		edit(&c)
		_, err := New(c)
		wantError(t, want, err, want)
	}
	c := good()
	c.Listen = []string{"256.0.0.1:0"}
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, "bad address", l.Start(), "listen for the other sites")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	wantError(t, "start after close", l.Start(), "closed")
}
