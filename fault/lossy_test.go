package fault_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"holdfast/fault"
)

// TestLossyStandsStill sends one message at a time: those that are hit come late, all come whole, and none is late when it is over.
func TestLossyStandsStill(t *testing.T) {
	addr, _ := echo(t)
	cable := lay(t, addr, 0)
	c := dial(t, cable.Addr())
	const n, late = 40, 100 * time.Millisecond // so long that a busy machine does not make most of the others as late
	trip := func(i int) time.Duration {
		start := time.Now()
		send(t, c, []byte{byte(i), byte(i >> 8)})
		expect(t, c, []byte{byte(i), byte(i >> 8)})
		return time.Since(start)
	}
	hit := func(ways fault.Direction, share float64) (count int) {
		cable.Lossy(ways, share, late, 7)
		for i := range n {
			if trip(i) >= late {
				count++
			}
		}
		return count
	}
	one, both := hit(fault.Forward, 0.3), hit(fault.Both, 0.3)
	if one < n/10 || one > n*2/3 || both <= one {
		t.Errorf("of %d messages %d were late with one direction lossy, %d with both; 30 %% are lost each way", n, one, both)
	}
	cable.Lossy(fault.Both, 0, 0, 0)
	punctual := false // on a busy machine anything can be late, but not everything
	for i := range n {
		punctual = trip(i) < late || punctual
	}
	if !punctual {
		t.Error("everything is late after the loss has ended")
	}
}

// TestLossyKeepsTheOrder has many messages under way: those behind a late one wait for it.
func TestLossyKeepsTheOrder(t *testing.T) {
	addr, _ := echo(t)
	cable := lay(t, addr, time.Millisecond)
	c := dial(t, cable.Addr())
	cable.Lossy(fault.Both, 0.3, 5*time.Millisecond, 1)
	data := noise(64 << 10)
	var wg sync.WaitGroup
	wg.Go(func() {
		for rest := data; len(rest) > 0; rest = rest[1<<10:] {
			send(t, c, rest[:1<<10])
		}
	})
	expect(t, c, data)
	wg.Wait()
}

func TestFlap(t *testing.T) {
	n := fleet(t)
	carrier := func(flow fault.Route) bool { return flow.From == 1 && flow.To == 2 && flow.Carrier == 1 }
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { n.Flap(ctx, carrier, 2*time.Millisecond, 2*time.Millisecond) })
	for range 3 {
		eventually(t, "it is cut", func() bool { return len(cuts(n)) > 0 })
		eventually(t, "it is healed", func() bool { return len(cuts(n)) == 0 })
	}
	eventually(t, "it is cut", func() bool {
		c := cuts(n)
		return len(c) == 2 && c[0] == "1>2/1:1" && c[1] == "2>1/1:2"
	})
	cancel()
	wg.Wait()
	if c := cuts(n); len(c) != 0 {
		t.Errorf("after it has ended, %v are still cut", c)
	}
}
