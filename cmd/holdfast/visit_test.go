package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/drill"
)

// visiting is a visit at a terminal, and what it says.
func visiting(show error) (*visit, chan struct{}, *strings.Builder) {
	enter, said := make(chan struct{}), &strings.Builder{}
	return &visit{
		w: said, view: newView(said), print: func(*drill.Evidence) { _, _ = io.WriteString(said, "PROVED\n") }, enter: enter,
		show: func(context.Context, string) error { return show },
	}, enter, said
}

func TestVisitorsAreWaitedFor(t *testing.T) {
	nobody := func(context.Context) (bool, error) { return false, nil }
	for name, c := range map[string]struct {
		visited func(context.Context) (bool, error)
		enter   bool
		alone   bool // no terminal
		after   time.Duration
	}{
		"signs in":    {visited: somebodyAfter(2), after: 2 * visitAsk},
		"not known":   {visited: func(context.Context) (bool, error) { return true, errors.New("no answer") }, after: visitWait},
		"never comes": {visited: nobody, after: visitWait},
		"enter":       {visited: nobody, enter: true},
		"no terminal": {visited: nobody, alone: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v, enter, said := visiting(errNoScreen)
				if c.alone {
					v.enter = nil
				}
				if c.enter {
					go func() { enter <- struct{}{} }()
				}
				began := time.Now()
				err := v.come(t.Context(), drill.Door{Site: "http://127.1.2.3:80", Login: "visitor", Password: "secret", Visited: c.visited})
				if took := time.Since(began); err != nil || took != c.after {
					t.Errorf("%v after %v, want %v", err, took, c.after)
				}
				for _, want := range []string{"http://127.1.2.3:80/sign-in?as=operator&to=%2Fconsole", "sign in as visitor, password secret", "No browser could be opened"} {
					if !strings.Contains(said.String(), want) {
						t.Errorf("it does not say %q: %s", want, said)
					}
				}
			})
		})
	}
}

func somebodyAfter(n int) func(context.Context) (bool, error) {
	return func(context.Context) (bool, error) {
		n--
		return n <= 0, nil
	}
}

func TestTheFleetStaysAsLongAsSomebodyLooks(t *testing.T) {
	for name, end := range map[string]func(enter chan struct{}, stop func()){
		"enter": func(enter chan struct{}, _ func()) { enter <- struct{}{} },
		"stop":  func(_ chan struct{}, stop func()) { stop() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v, enter, said := visiting(nil)
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				began := time.Now()
				go func() { time.Sleep(5 * time.Minute); end(enter, stop) }()
				v.stay(ctx, drill.Door{Site: "http://127.1.2.3:80"}, &drill.Evidence{})
				if took := time.Since(began); took != 5*time.Minute || !v.printed || !strings.Contains(said.String(), "PROVED\n\nThe fleet is still there") {
					t.Errorf("after %v: %s", took, said)
				}
			})
		})
	}
	v, _, said := visiting(nil)
	v.enter = nil
	v.stay(t.Context(), drill.Door{}, &drill.Evidence{})
	if v.printed || said.Len() > 0 {
		t.Errorf("without a terminal it says %s", said)
	}
}

// TestEnterCountsWhenItIsAskedFor: who presses it while the picture moves does not end the fleet later.
func TestEnterCountsWhenItIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		c := lines(r)
		press := func() {
			if _, err := io.WriteString(w, "\n"); err != nil {
				t.Error(err)
			}
		}
		press()
		synctest.Wait()
		select {
		case <-c:
			t.Error("an Enter of before counts")
		default:
		}
		go press()
		<-c
		_ = w.Close()
		if _, more := <-c; more {
			t.Error("it goes on without a terminal")
		}
	})
}
