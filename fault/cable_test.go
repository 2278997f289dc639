package fault_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"holdfast/fault"
)

const patience = time.Minute // for what must happen; never waited for when it does

// echo answers every byte with itself until the other side ends, then ends too. It counts connections.
func echo(t testing.TB) (addr string, accepted func() int) {
	var mu sync.Mutex
	var count int
	return listen(t, func(c *net.TCPConn) {
		mu.Lock()
		count++
		mu.Unlock()
		_, _ = io.Copy(c, c)
		_ = c.Close()
	}), func() int { mu.Lock(); defer mu.Unlock(); return count }
}

// listen serves connections until the test ends.
func listen(t testing.TB, serve func(c *net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(c.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String()
}

func lay(t testing.TB, target string, delay time.Duration) *fault.Cable {
	t.Helper()
	c, err := fault.NewCable("test", "127.0.0.1:0", target, delay)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if s := c.Stats(); s.Open != 0 || s.Held != 0 {
			t.Errorf("after Close the cable still has %d connections and %d bytes", s.Open, s.Held)
		}
	})
	return c
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

func send(t testing.TB, c net.Conn, data []byte) {
	t.Helper()
	if _, err := c.Write(data); err != nil {
		t.Fatal(err)
	}
}

func expect(t testing.TB, c net.Conn, want []byte) {
	t.Helper()
	deadline(t, c, patience)
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("after %d of %d bytes: %v", n, len(want), err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%d bytes came back changed", len(want))
	}
}

// silent asserts that nothing comes for a while: no byte, no end of stream, no reset.
func silent(t testing.TB, c net.Conn) {
	t.Helper()
	deadline(t, c, 60*time.Millisecond)
	n, err := c.Read(make([]byte, 1))
	var late net.Error
	if n != 0 || !errors.As(err, &late) || !late.Timeout() {
		t.Fatalf("the cable should be silent, but Read gave %d bytes and %v", n, err)
	}
}

func deadline(t testing.TB, c net.Conn, d time.Duration) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
}

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

func noise(size int) []byte {
	r := rand.NewChaCha8([32]byte{7})
	b := make([]byte, size)
	_, _ = r.Read(b) // never fails
	return b
}

func TestCableRoundTrip(t *testing.T) {
	addr, _ := echo(t)
	cable := lay(t, addr, 5*time.Millisecond)
	// From before the dial: the kernel takes the connection at once, and the cable may count the handshake's round trip from
	// there while this goroutine still waits for a processor.
	const early = 200 * time.Microsecond // a cable rounds what is nearly due down, once in each direction
	start := time.Now()
	c := dial(t, cable.Addr())
	exchange(t, c)
	if first := time.Since(start); first < 20*time.Millisecond-early {
		t.Errorf("the first exchange took %v: the handshake's round trip is missing", first)
	}
	var trips []time.Duration
	for range 30 {
		start := time.Now()
		exchange(t, c)
		trips = append(trips, time.Since(start))
	}
	slices.Sort(trips)
	t.Logf("min %v, median %v, max %v", trips[0], trips[15], trips[29])
	if trips[0] < 10*time.Millisecond-early {
		t.Errorf("a round trip took %v: faster than light in this cable", trips[0])
	}
	if trips[0] > 100*time.Millisecond { // the best of many: the rest says how busy the machine is
		t.Errorf("no round trip took less than %v, want 10 ms and little more", trips[0])
	}
}

// exchange sends four bytes and waits until they are back.
func exchange(t *testing.T, c net.Conn) {
	t.Helper()
	send(t, c, []byte("ping"))
	expect(t, c, []byte("ping"))
}

func TestCableKeepsBytesInOrder(t *testing.T) {
	addr, _ := echo(t)
	cable := lay(t, addr, 2*time.Millisecond)
	c := dial(t, cable.Addr())
	data := noise(24 << 20) // more than the ring holds
	var wg sync.WaitGroup
	wg.Go(func() {
		for piece := range slices.Chunk(data, 77_777) {
			if _, err := c.Write(piece); err != nil {
				t.Errorf("write: %v", err)
				return
			}
		}
		if err := c.CloseWrite(); err != nil {
			t.Error(err)
		}
	})
	expect(t, c, data)
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after the last byte: %d bytes, %v; want the end of the stream", n, err)
	}
	wg.Wait()
	eventually(t, "the connection is forgotten", func() bool { return cable.Stats().Open == 0 })
	if s := cable.Stats(); s.Forward != uint64(len(data)) || s.Backward != uint64(len(data)) || s.Sent != 2*uint64(len(data)) || s.Accepted != 1 {
		t.Errorf("stats %+v, want %d bytes each way", s, len(data))
	}
}

func TestCutIsSilentAndLosesNothing(t *testing.T) {
	for _, d := range []fault.Direction{fault.Forward, fault.Backward, fault.Both} {
		far := make(chan *net.TCPConn, 1)
		cable := lay(t, listen(t, func(c *net.TCPConn) { far <- c }), 2*time.Millisecond)
		near := dial(t, cable.Addr())
		target := <-far
		defer target.Close()
		send(t, near, []byte("before"))
		expect(t, target, []byte("before"))

		up, down := noise(3<<20), noise(2<<20)
		cable.SetDelay(time.Hour, time.Hour)
		send(t, near, up[:1000]) // under way when the cut comes
		send(t, target, down[:1000])
		eventually(t, "both are under way", func() bool { return cable.Stats().Held == 2000 })
		cable.Cut(d)
		cable.SetDelay(2*time.Millisecond, 2*time.Millisecond)
		var wg sync.WaitGroup
		wg.Go(func() { send(t, near, up[1000:]) })
		wg.Go(func() { send(t, target, down[1000:]) })
		if d&fault.Forward != 0 {
			silent(t, target)
		} else {
			expect(t, target, up)
		}
		if d&fault.Backward != 0 {
			silent(t, near)
		} else {
			expect(t, near, down)
		}
		cable.Heal()
		if d&fault.Forward != 0 {
			expect(t, target, up)
		}
		if d&fault.Backward != 0 {
			expect(t, near, down)
		}
		wg.Wait()
	}
}

// TestCutStopsAtOnce cuts while bytes pour: when Cut has returned, what the cable has delivered grows no more.
func TestCutStopsAtOnce(t *testing.T) {
	arrived := make(chan int64, 1)
	cable := lay(t, listen(t, func(c *net.TCPConn) {
		n, _ := io.Copy(io.Discard, c)
		arrived <- n
		_ = c.Close()
	}), time.Millisecond)
	near := dial(t, cable.Addr())
	var wg sync.WaitGroup
	const total = 256 << 20
	wg.Go(func() {
		for block := make([]byte, 1<<20); ; {
			if _, err := near.Write(block); err != nil {
				t.Errorf("write: %v", err)
			}
			if cable.Stats().Forward+uint64(cable.Stats().Held) > total {
				_ = near.CloseWrite()
				return
			}
		}
	})
	for round := range 20 {
		eventually(t, "bytes flow", func() bool { return cable.Stats().Forward > uint64(round)<<20 })
		cable.Cut(fault.Forward)
		before := cable.Stats().Forward
		for range 1000 {
			runtime.Gosched()
		}
		if after := cable.Stats().Forward; after != before {
			t.Errorf("%d bytes left the cable after the cut", after-before)
		}
		cable.Heal()
	}
	wg.Wait()
	if n := <-arrived; uint64(n) != cable.Stats().Forward {
		t.Errorf("%d bytes arrived of %d", n, cable.Stats().Forward)
	}
}

func TestCutHidesTheEndOfEitherSide(t *testing.T) {
	far := make(chan *net.TCPConn, 1)
	cable := lay(t, listen(t, func(c *net.TCPConn) { far <- c }), time.Millisecond)
	near := dial(t, cable.Addr())
	target := <-far
	defer target.Close()
	cable.Cut(fault.Both)
	send(t, near, []byte("last words"))
	_ = near.SetLinger(0)
	_ = near.Close() // a reset, as from a process that was killed
	silent(t, target)
	cable.Heal()
	expect(t, target, []byte("last words"))
	if _, err := target.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after the heal the reset should arrive, got %v", err)
	}
}

func TestNewConnectionsDuringACutLeadNowhere(t *testing.T) {
	addr, accepted := echo(t)
	for _, d := range []fault.Direction{fault.Forward, fault.Backward, fault.Both} {
		cable := lay(t, addr, time.Millisecond)
		cable.Cut(d)
		before := accepted()
		patient, hasty := dial(t, cable.Addr()), dial(t, cable.Addr())
		send(t, patient, []byte("hello"))
		send(t, hasty, []byte("hello"))
		silent(t, patient)
		_ = hasty.Close() // gives up, as a redial does
		eventually(t, "the one that gave up is forgotten", func() bool { return cable.Stats().Open == 1 })
		if n := accepted() - before; n != 0 {
			t.Errorf("cut %v: the target saw %d connections", d, n)
		}
		cable.Heal()
		expect(t, patient, []byte("hello"))
		if n := accepted() - before; n != 1 {
			t.Errorf("cut %v: after the heal the target saw %d connections, want only the patient one", d, n)
		}
	}
}

func TestResetTravels(t *testing.T) {
	cable := lay(t, listen(t, func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() }), time.Millisecond)
	c := dial(t, cable.Addr())
	deadline(t, c, patience)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the target reset the connection, the dialler saw %v", err)
	}
}

func TestRefusedTargetResets(t *testing.T) {
	cable := lay(t, "127.0.0.1:1", time.Millisecond) // below the ports that the system hands out: nobody gets it meanwhile
	c := dial(t, cable.Addr())
	deadline(t, c, patience)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("nobody listens at the target, the dialler saw %v", err)
	}
	if s := cable.Stats(); s.Refused != 1 {
		t.Errorf("stats %+v, want 1 refused", s)
	}
}

func TestSlowReaderHoldsTheWriter(t *testing.T) {
	far := make(chan *net.TCPConn, 1)
	cable := lay(t, listen(t, func(c *net.TCPConn) { far <- c }), time.Millisecond)
	near := dial(t, cable.Addr())
	target := <-far
	defer target.Close()
	if err := near.SetWriteDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n, err := near.Write(make([]byte, 512<<20))
	var late net.Error
	if !errors.As(err, &late) || !late.Timeout() {
		t.Fatalf("%d bytes vanished into a cable whose end nobody reads (%v)", n, err)
	}
	if held := cable.Stats().Held; held > 20<<20 {
		t.Errorf("the cable holds %d bytes", held)
	}
}

func TestDelayChangesAtRunTime(t *testing.T) {
	addr, _ := echo(t)
	cable := lay(t, addr, 0)
	c := dial(t, cable.Addr())
	trip := func() time.Duration {
		start := time.Now()
		send(t, c, []byte("x"))
		expect(t, c, []byte("x"))
		return time.Since(start)
	}
	trip()
	cable.SetDelay(30*time.Millisecond, 10*time.Millisecond)
	if d := trip(); d < 39*time.Millisecond {
		t.Errorf("round trip %v after the delay was set to 40 ms", d)
	}
	cable.SetDelay(0, 0)
	var trips []time.Duration
	for range 30 {
		trips = append(trips, trip())
	}
	if best := slices.Min(trips); best > 30*time.Millisecond { // the best of many: the rest says how busy the machine is
		t.Errorf("no round trip took less than %v after the delay was set to 0", best)
	}
}

func BenchmarkCableThroughput(b *testing.B) {
	done := make(chan int64, 1)
	addr := listen(b, func(c *net.TCPConn) {
		n, _ := io.Copy(io.Discard, c)
		done <- n
		_ = c.Close()
	})
	c := dial(b, lay(b, addr, 5*time.Millisecond).Addr())
	piece := make([]byte, 256<<10)
	b.SetBytes(int64(len(piece)))
	b.ReportAllocs()
	for b.Loop() {
		send(b, c, piece)
	}
	_ = c.CloseWrite()
	<-done
}

func BenchmarkCablePingPong(b *testing.B) {
	addr, _ := echo(b)
	c := dial(b, lay(b, addr, 5*time.Millisecond).Addr())
	word := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		send(b, c, word)
		if _, err := io.ReadFull(c, word); err != nil {
			b.Fatal(err)
		}
	}
}
