package drill

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/fault"
)

// served starts the cables in a goroutine: the same two ends as with a process, and pipes between them.
func served(t *testing.T) *cables {
	t.Helper()
	in, orders := io.Pipe()
	reports, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- errors.Join(Cables(in, out), out.Close()) }()
	c := newCables(orders, reports, func() error { return errors.Join(orders.Close(), <-ended) })
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// What is told to the cables holds when they have answered: after a cut nothing passes, after a heal what stood in it.
func TestCablesDoAsTheyAreTold(t *testing.T) {
	c := served(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := c.order(order{Do: orderDelay, Delay: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	address, err := c.lay(1, 2, 0, l.Addr().String(), 0)
	if err != nil {
		t.Fatal(err)
	}
	near, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	passes(t, near, far, "whole")
	for _, what := range []order{{Do: orderCut, From: 2}, {Do: orderMute, From: 1}, {Do: orderDeafen, From: 2}} {
		if err := c.do(what.Do, what.From); err != nil {
			t.Fatal(err)
		}
		if _, err := near.Write([]byte(what.Do)); err != nil {
			t.Fatal(err)
		}
		_ = far.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := far.Read(make([]byte, 16)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %d bytes passed, %v", what.Do, n, err)
		}
		if err := c.do(orderHeal, 0); err != nil {
			t.Fatal(err)
		}
		arrives(t, far, what.Do)
	}
}

func passes(t *testing.T, near, far net.Conn, text string) {
	t.Helper()
	if _, err := near.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	arrives(t, far, text)
}

func arrives(t *testing.T, far net.Conn, text string) {
	t.Helper()
	_ = far.SetReadDeadline(time.Now().Add(time.Minute))
	got := make([]byte, len(text))
	if _, err := io.ReadFull(far, got); err != nil || string(got) != text {
		t.Fatalf("%q came, want %q: %v", got, text, err)
	}
}

// An order that cannot be carried out is an error of whoever gave it, and the cables go on.
func TestCablesSayWhatTheyCannotDo(t *testing.T) {
	c := served(t)
	if err := c.do("splice", 1); err == nil || !strings.Contains(err.Error(), `no order is called "splice"`) {
		t.Errorf("%v", err)
	}
	if _, err := c.lay(1, 2, 0, "127.0.0.1:1", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := c.lay(1, 2, 0, "127.0.0.1:1", 0); err == nil || !strings.Contains(err.Error(), "has a cable already") {
		t.Errorf("laid twice: %v", err)
	}
}

// Flows are chosen by carrier and by their ends; those of clients are never.
func TestFlows(t *testing.T) {
	ids := func(list ...holdfast.SiteID) []holdfast.SiteID { return list }
	for _, c := range []struct {
		flows flows
		hit   []fault.Route
		not   []fault.Route
	}{
		{flows{Carrier: 2}, []fault.Route{{From: 1, To: 2, Carrier: 1}, {From: 3, To: 1, Carrier: 1}}, []fault.Route{{From: 1, To: 2}, {From: fault.Outside, To: 2, Carrier: 1}}},
		{flows{From: ids(1), To: ids(2), Both: true}, []fault.Route{{From: 1, To: 2}, {From: 2, To: 1, Carrier: 1}}, []fault.Route{{From: 1, To: 3}}},
		{flows{Carrier: 1, From: ids(1)}, []fault.Route{{From: 1, To: 2}}, []fault.Route{{From: 2, To: 1}, {From: 1, To: 2, Carrier: 1}}},
		{flows{From: ids(1, 2), To: ids(3, 4, 5), Both: true}, []fault.Route{{From: 2, To: 5}, {From: 3, To: 1}}, []fault.Route{{From: 1, To: 2}, {From: 4, To: 5}}},
	} {
		for _, r := range c.hit {
			if !c.flows.match(r) {
				t.Errorf("%+v does not have %v", c.flows, r)
			}
		}
		for _, r := range c.not {
			if c.flows.match(r) {
				t.Errorf("%+v has %v", c.flows, r)
			}
		}
	}
}

// One carrier can be cut, made lossy and made to flap while the other works; a heal of everything ends all of it, and every byte that
// was handed to a carrier is counted, whether it came out or not.
func TestOneCarrierOfTwo(t *testing.T) {
	c := served(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := c.order(order{Do: orderDelay}); err != nil {
		t.Fatal(err)
	}
	var near, far [2]net.Conn
	for carrier := range near {
		address, err := c.lay(1, 2, carrier, l.Addr().String(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if near[carrier], err = net.Dial("tcp", address); err != nil {
			t.Fatal(err)
		}
		defer near[carrier].Close()
		if far[carrier], err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		defer far[carrier].Close()
	}
	for _, o := range []order{
		{Do: orderCutFlows, Flows: &flows{Carrier: 1}},
		{Do: orderLossy, Flows: &flows{Carrier: 1}, Share: 1, Delay: time.Hour},
		{Do: orderFlap, Flows: &flows{Carrier: 1}, Delay: time.Hour},
	} {
		if err := c.order(o); err != nil {
			t.Fatal(err)
		}
		passes(t, near[1], far[1], o.Do)
		if o.Do != orderLossy {
			if _, err := near[0].Write([]byte(o.Do)); err != nil {
				t.Fatal(err)
			}
			_ = far[0].SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			if n, err := far[0].Read(make([]byte, 16)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %d bytes passed, %v", o.Do, n, err)
			}
		}
		if err := c.do(orderHeal, 0); err != nil {
			t.Fatal(err)
		}
		if o.Do != orderLossy {
			arrives(t, far[0], o.Do)
		}
		passes(t, near[0], far[0], "whole")
	}
	got, _, err := c.stats()
	if err != nil {
		t.Fatal(err)
	}
	if want := []uint64{uint64(len(orderCutFlows) + len(orderFlap) + 3*len("whole")), uint64(len(orderCutFlows) + len(orderLossy) + len(orderFlap))}; !slices.Equal(got, want) {
		t.Errorf("%d bytes were sent by carrier, want %d", got, want)
	}
}

func TestHarmNeedsFlows(t *testing.T) {
	if err := served(t).order(order{Do: orderCutFlows}); err == nil || !strings.Contains(err.Error(), "of which flows?") {
		t.Errorf("%v", err)
	}
}
