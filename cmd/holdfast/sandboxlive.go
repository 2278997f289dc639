package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/street"
)

// sandboxClock lets the payments of a sandbox believe, while it is being made, that it is the day before. The bank, a process of its own, is told by a file.
type sandboxClock struct {
	file string
	by   atomic.Int64 // nanoseconds
}

func (c *sandboxClock) over(clock func() time.Time) func() time.Time {
	return func() time.Time { return clock().Add(time.Duration(c.by.Load())) }
}

// at sets the clock of the site alone: within a day the bank need not know.
func (c *sandboxClock) at(t time.Time) { c.by.Store(int64(time.Until(t))) }

// setBoth sets the clocks of bank and site.
func (c *sandboxClock) setBoth(t time.Time) error { return c.set(time.Until(t)) }

// set sets both clocks ahead: the one of the bank first, which then takes no message for one of tomorrow.
func (c *sandboxClock) set(ahead time.Duration) error {
	if err := os.WriteFile(c.file, fmt.Appendf(nil, "clock_ahead = %q\n", ahead.Truncate(time.Second)), 0o600); err != nil {
		return fmt.Errorf("tell the test bank what time it is: %w", err)
	}
	if time.Duration(c.by.Load()) != ahead {
		time.Sleep(2 * clockFor)
	}
	c.by.Store(int64(ahead))
	return nil
}

// liveliness is what goes on in a sandbox: people buy, merchants are told and settled. A nil one is none.
type liveliness struct {
	said io.Writer // what there is to say at the end

	hooks  *street.Hooks
	street *street.Street
	closed func() // of the client
	end    context.CancelFunc
	ended  sync.WaitGroup
}

// streetName is the file of the street, beside that of the sandbox.
const streetName = "street.json"

// open makes the people of the street, and opens it.
func (l *liveliness) open(m *sandboxMaker, s *sandbox) (err error) {
	if l == nil {
		return nil
	}
	if l.hooks, err = street.OpenHooks(); err != nil {
		return fmt.Errorf("listen for events: %w", err)
	}
	l.closed = m.c.Close
	l.street, err = street.Open(m.ctx, street.Config{
		API: m.c, File: filepath.Join(m.dir, streetName), Credit: m.bank.credit, Hook: l.hooks.URL, First: s.Merchant, Regular: s.Buyer,
		Now: m.clock.over(time.Now),
	})
	if err != nil {
		return fmt.Errorf("make the street of the sandbox: %w", err)
	}
	return nil
}

// livedDay is one that the sandbox has lived before it was made.
type livedDay struct {
	name   string    // 2006-01-02
	opens  time.Time // when its shops do
	closes time.Time
	orders int
}

// days are the two before a moment, and of its own what has passed.
func (l *liveliness) days(now time.Time) (all []livedDay) {
	const perDay = 70
	local := now.In(beijing)
	for back := 2; back >= 0; back-- {
		at := func(hour int) time.Time {
			return time.Date(local.Year(), local.Month(), local.Day()-back, hour, 0, 0, 0, beijing)
		}
		d := livedDay{at(0).Format(time.DateOnly), at(9), at(21), perDay}
		if latest := now.Add(-time.Minute); d.closes.After(latest) {
			d.closes = latest
		}
		if back == 0 {
			d.orders = perDay / 3
		}
		if d.opens.Before(d.closes) {
			all = append(all, d)
		}
	}
	return all
}

// live lives the days, each settled after its midnight.
func (l *liveliness) live(m *sandboxMaker, days []livedDay) error {
	for i, d := range days {
		if err := l.street.Day(m.ctx, d.opens, d.closes, d.orders, m.clock.at); err != nil {
			return fmt.Errorf("live the %s of the sandbox: %w", d.name, err)
		}
		next := time.Now()
		if i+1 < len(days) {
			next = days[i+1].opens
		}
		if err := m.clock.setBoth(next); err != nil {
			return err
		}
		if next.In(beijing).Format(time.DateOnly) == d.name {
			continue
		}
		if err := l.street.Settle(m.ctx, d.name); err != nil {
			return err
		}
	}
	return nil
}

// start lets the people buy until stop.
func (l *liveliness) start() {
	if l == nil || l.street == nil {
		return
	}
	ctx, end := context.WithCancel(context.Background())
	l.end = end
	l.ended.Go(func() {
		said, err := l.street.Run(ctx)
		switch {
		case err != nil:
			fmt.Fprintf(l.said, "The street of the sandbox is closed: %v\n", err)
		case said != "":
			fmt.Fprintln(l.said, said)
		}
	})
}

// stop ends all of it. It may be called again.
func (l *liveliness) stop() {
	if l == nil {
		return
	}
	if l.end != nil {
		l.end()
		l.ended.Wait()
	}
	if l.closed != nil {
		l.closed()
		l.closed = nil
	}
	if l.hooks != nil {
		_ = l.hooks.Close()
		l.hooks = nil
	}
}
