package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"time"

	"holdfast/client"
)

// Callers are people who pay, in a process of their own: who measures a site in his own process would measure how the two of them share it.
type Callers struct {
	URLs                 [][]string    // of the sites, one list for each client
	Key                  string        // of the API
	Merchants, Customers int           // as many as are registered
	PerSecond            float64       // payments that are due a second; 0: each caller pays again as soon as he is answered
	AtOnce               int           // callers, when PerSecond is 0
	Length               time.Duration //
	First                uint64        // the number before that of the first trade
	Seed                 uint64
}

// Called is what came of it.
type Called struct {
	Waits  []time.Duration
	Rate   float64 // a second
	Failed int
	Why    string            // the last one failed, "": none
	Last   uint64            // number of the last trade
	Sample []client.NewTrade // some of those that were acknowledged
	Paid   uint64
}

// Live pays as in is told, a [Callers] in JSON, until the time is over or in ends, and tells out what came of it, a [Called].
func (c *Callers) Live(ctx context.Context, in io.Reader, out io.Writer) error {
	r := json.NewDecoder(in)
	if err := r.Decode(c); err != nil {
		return fmt.Errorf("read what to do: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { // ends with the orders, or with the process
		_, _ = io.Copy(io.Discard, in)
		stop()
	}()
	m := &market{}
	m.number.Store(c.First)
	if err := m.people(c.Merchants, c.Customers); err != nil {
		return err
	}
	for _, list := range c.URLs {
		one, err := client.New(client.Config{Sites: list, Key: c.Key, Timeout: 10 * time.Second})
		if err != nil {
			return err
		}
		defer one.Close()
		m.clients = append(m.clients, one)
	}
	return json.NewEncoder(out).Encode(m.called(ctx, c))
}

func (m *market) called(ctx context.Context, c *Callers) *Called {
	v := &Called{}
	var waits times
	var err error
	if c.PerSecond == 0 {
		v.Rate, waits, err = m.closed(context.WithoutCancel(ctx), c.AtOnce, c.Length)
	} else {
		r := rand.New(rand.NewPCG(c.Seed, 11))
		waits, v.Failed, _ = openLoop(ctx, c.PerSecond, c.Length, func(n int) call {
			t := m.trade(r)
			return func(context.Context) error { return m.pay(context.WithoutCancel(ctx), n, t) } // what is under way in the end is still answered
		})
	}
	if err != nil && ctx.Err() == nil {
		v.Why = err.Error()
	}
	v.Waits, v.Last, v.Sample, v.Paid = waits, m.number.Load(), m.sample, m.paid.Load()
	return v
}

// callers has a process of callers do something, until it is over or stop is closed. What they were acknowledged goes into the sample.
func (m *market) callers(ctx context.Context, program string, c Callers, stop <-chan struct{}) (*Called, error) {
	c.Merchants, c.Customers, c.First, c.Key = len(m.merchants), len(m.customers), m.number.Load(), m.fleet.Key()
	for i := range paySites {
		c.URLs = append(c.URLs, m.fleet.URLs(i))
	}
	order, err := json.Marshal(&c)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "bench-callers")
	var told, wrong strings.Builder
	cmd.Stdout, cmd.Stderr = &told, &wrong
	orders, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start callers: %w", err)
	}
	_, err = orders.Write(append(order, '\n'))
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-stop:
		err = errors.Join(err, orders.Close(), <-ended)
	case end := <-ended:
		err = errors.Join(err, end)
	}
	v := &Called{}
	if err == nil {
		err = json.Unmarshal([]byte(told.String()), v)
	}
	if err == nil && v.Why != "" {
		err = errors.New(v.Why)
	}
	if err != nil {
		return nil, fmt.Errorf("callers: %w: %.300s", err, wrong.String())
	}
	m.number.Store(v.Last)
	m.paid.Add(v.Paid)
	m.sample = append(m.sample, v.Sample...)
	m.sample = m.sample[:min(len(m.sample), lookAtMost)]
	slices.Sort(v.Waits)
	return v, nil
}
