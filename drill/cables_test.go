package drill

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
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
	if _, err := c.tell(order{Do: orderDelay, Delay: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	address, err := c.lay(1, 2, 0, l.Addr().String())
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
	_ = far.SetReadDeadline(time.Now().Add(10 * time.Second))
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
	if _, err := c.lay(1, 2, 0, "127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.lay(1, 2, 0, "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "has a cable already") {
		t.Errorf("laid twice: %v", err)
	}
}
