package link

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestCallOutcomes(t *testing.T) {
	f := newFleet(t, 2, 1, time.Millisecond, nil)
	l := f.links[1]
	call := func(method string, payload []byte) error {
		_, err := l.Call(t.Context(), 2, method, payload)
		return err
	}
	var remote *RemoteError
	if err := call("coded", nil); !errors.As(err, &remote) || remote.Code != 404 || remote.Site != 2 || remote.Method != "coded" {
		t.Errorf("error with a code: %v", err)
	}
	if err := call("nonsense", nil); !errors.As(err, &remote) || remote.Code != 0 || remote.Text != "unknown method" {
		t.Errorf("plain error: %v", err)
	}
	if err := call("huge", nil); !errors.As(err, &remote) {
		t.Errorf("answer that is too large: %v", err)
	}
	if err := call("echo", make([]byte, MaxPayload+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("request that is too large: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	served := f.handlers[2].calls()
	if _, err := l.Call(gone, 2, "echo", nil); !errors.Is(err, ErrUnreachable) || !errors.Is(err, context.Canceled) {
		t.Errorf("context that was over before: %v", err)
	}
	err := ErrUnreachable
	for wait := 50 * time.Millisecond; errors.Is(err, ErrUnreachable) && wait < patience; wait *= 2 { // until it was sent in time
		brief, cancel := context.WithTimeout(t.Context(), wait)
		_, err = l.Call(brief, 2, "hold", nil)
		cancel()
	}
	if !errors.Is(err, ErrNoAnswer) && !errors.As(err, &remote) {
		t.Errorf("deadline while it runs: %v", err)
	}
	if n := f.handlers[2].calls() - served; n != 1 {
		t.Errorf("%d calls were served, want 1", n)
	}
	eventually(t, "the budget ends the call over there", func() bool { return f.links[2].Totals().Serving == 0 })
}

func TestCallOverACableThatIsCut(t *testing.T) {
	f := newFleet(t, 2, 1, time.Millisecond, defaultTiming)
	eventually(t, "a call is sent before anybody knows that the cable is cut", func() bool { // on a slow machine the silence may be known first
		f.net.HealAll()
		f.reach(1, 2)
		f.net.CutPair(1, 2)
		_, err := f.links[1].Call(t.Context(), 2, "echo", nil)
		if !errors.Is(err, ErrNoAnswer) && !errors.Is(err, ErrUnreachable) {
			t.Fatalf("call into a cut cable: %v", err)
		}
		return errors.Is(err, ErrNoAnswer)
	})
	f.down(1, 2)
	quickest := patience
	for range 10 {
		start := time.Now()
		if _, err := f.links[1].Call(t.Context(), 2, "echo", nil); !errors.Is(err, ErrUnreachable) {
			t.Errorf("call when the cut is known: %v", err)
		}
		quickest = min(quickest, time.Since(start))
	}
	if quickest > time.Second { // waiting for an answer takes five
		t.Errorf("it took %v or more to say that nothing was sent", quickest)
	}
}

func TestCallWhenThePeerDies(t *testing.T) {
	f := newFleet(t, 2, 1, time.Millisecond, func(c *Config) { c.Timing.Drain = time.Millisecond })
	errs := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := f.links[1].Call(t.Context(), 2, "hold", nil)
		errs <- err
	})
	eventually(t, "it runs", func() bool { return f.handlers[2].calls() == 1 })
	_ = f.links[2].Close()
	wg.Wait()
	var remote *RemoteError
	if err := <-errs; !errors.Is(err, ErrNoAnswer) && !errors.As(err, &remote) {
		t.Errorf("the peer went away while it ran: %v", err)
	}
}

func TestCloseEndsCalls(t *testing.T) {
	f := newFleet(t, 2, 1, time.Millisecond, nil)
	errs := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := f.links[1].Call(t.Context(), 2, "hold", nil)
		errs <- err
	})
	eventually(t, "it runs", func() bool { return f.handlers[2].calls() == 1 })
	if err := f.links[1].Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if err := <-errs; !errors.Is(err, ErrNoAnswer) {
		t.Errorf("the link was closed while it ran: %v", err)
	}
	if _, err := f.links[1].Call(t.Context(), 2, "echo", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("call on a closed link: %v", err)
	}
	f.links[1].Send(2, 1, []byte("nobody minds"))
	if err := f.links[1].Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestCloseLetsAnswersOut(t *testing.T) {
	f := newFleet(t, 2, 1, time.Millisecond, func(c *Config) { c.Timing.Drain = patience })
	errs := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := f.links[1].Call(t.Context(), 2, "hold", nil)
		errs <- err
	})
	eventually(t, "it runs", func() bool { return f.handlers[2].calls() == 1 })
	wg.Go(func() {
		if err := f.links[2].Close(); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the link is closing", func() bool {
		f.links[2].mu.Lock()
		defer f.links[2].mu.Unlock()
		return f.links[2].state == stateClosed
	})
	close(f.handlers[2].hold)
	if err := <-errs; err != nil {
		t.Errorf("a call that was being served when the peer closed: %v", err)
	}
	wg.Wait()
}

func TestTooManyCallsAreRefused(t *testing.T) {
	f := newFleet(t, 2, 1, 0, func(c *Config) { c.Limits.Calls = 2 })
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if answer, err := f.links[1].Call(t.Context(), 2, "hold", nil); err != nil || string(answer) != "held" {
				t.Errorf("admitted call: %q, %v", answer, err)
			}
		})
	}
	eventually(t, "both run", func() bool { return f.links[2].Totals().Serving == 2 })
	if _, err := f.links[1].Call(t.Context(), 2, "echo", nil); !errors.Is(err, ErrBusy) {
		t.Errorf("third call: %v", err)
	}
	close(f.handlers[2].hold)
	wg.Wait()
	eventually(t, "places are free again", func() bool { return f.links[2].Totals().Serving == 0 })
	f.echo(1, 2, nil)
	if n := f.links[2].Totals().Refused; n != 1 {
		t.Errorf("%d refused, want 1", n)
	}
}

func TestTooManyWaitingCalls(t *testing.T) {
	f := newFleet(t, 2, 1, 0, func(c *Config) { c.Limits.Waiting = 1 })
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := f.links[1].Call(t.Context(), 2, "hold", nil); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "it runs", func() bool { return f.links[2].Totals().Serving == 1 })
	if _, err := f.links[1].Call(t.Context(), 2, "echo", nil); !errors.Is(err, ErrBusy) {
		t.Errorf("second call: %v", err)
	}
	close(f.handlers[2].hold)
	wg.Wait()
}

// TestWithdrawnCallIsNotSent looks at the bytes: a request whose caller has left while it was queued becomes a void frame.
func TestWithdrawnCallIsNotSent(t *testing.T) {
	for _, size := range []int{10, 3 * maxChunk} {
		q := newBacklog(&pool{}, laneInteractive, 1<<20)
		stays, leaves := &call{}, &call{}
		for _, m := range []message{
			{kind: kindCall, head: make([]byte, callFixed), body: pattern(10, 1), call: stays},
			{kind: kindCall, head: make([]byte, callFixed), body: pattern(size, 2), call: leaves},
		} {
			if err := q.add(&m); err != nil {
				t.Fatal(err)
			}
		}
		if err := leaves.giveUp(ErrUnreachable); !errors.Is(err, ErrUnreachable) {
			t.Errorf("withdrawn while queued: %v", err)
		}
		for range 2 { // on a second connection the same bytes leave
			kinds := map[kind]int{}
			for _, f := range takeAll(t, q, 0) {
				kinds[f.kind]++
			}
			if kinds[kindCall] != 1 || kinds[kindVoid] == 0 || len(kinds) != 2 {
				t.Errorf("%d bytes: sent %v, want one call and the rest void", size, kinds)
			}
		}
		if err := stays.giveUp(ErrUnreachable); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("given up after it was sent: %v", err)
		}
	}
}
