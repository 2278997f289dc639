package rivals

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Options say what is measured. All of them have to be set; Default is a start.
type Options struct {
	Messages int           // how many are sent
	Every    time.Duration // between two
	Size     int           // bytes of each, at least 8
	CutAt    int           // carrier 0 is cut before this message
	HealAt   int           // and healed before this one
	Timeout  time.Duration // plain TCP dials anew when nothing has been acknowledged for so long
	Wait     time.Duration // how long messages may be missing at the end
	Runs     int           // of every rival, each on fresh connections
}

// Result is what one rival achieved in one run.
type Result struct {
	Name    string
	Ground  string // what it ran over
	Skipped string // why it did not run; "" when it did
	Sent    int
	Missing int // not arrived within Options.Wait
	// Gap is the longest time between a message and the next one that had not arrived before.
	Gap time.Duration
	// Of all messages, from the moment each was due to its first arrival.
	P50, P99, Max time.Duration
	// Waits has every message that arrived, in the order in which they were due.
	Waits []Wait
	// Cut and Healed are when that was done to carrier 0.
	Cut, Healed time.Duration
}

// Wait is one message: when it was due since the start, and how long it took until it had arrived.
type Wait struct{ Due, Took time.Duration }

// String is one line for people.
func (r Result) String() string {
	if r.Skipped != "" {
		return fmt.Sprintf("%-14s not run: %s", r.Name, r.Skipped)
	}
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
	return fmt.Sprintf("%-14s over %s: longest gap %s, p50 %s, p99 %s, max %s, %d of %d missing",
		r.Name, r.Ground, ms(r.Gap), ms(r.P50), ms(r.P99), ms(r.Max), r.Missing, r.Sent)
}

// stream carries messages from the near site to the far one.
type stream interface {
	send(n uint64) // never blocks
	close() error
}

// rival opens a stream; arrived is told every number that reaches the far site, as often as it does.
type rival struct {
	name string
	open func(ctx context.Context, g ground, o Options, arrived func(n uint64)) (stream, error)
	can  func(g ground) error
}

func rivals() []rival {
	always := func(ground) error { return nil }
	return []rival{
		{"tcp-redial", openTCP, always},
		{"multipath-tcp", openMultipath, ground.multipath},
		{"link", openLink, always},
	}
}

// Default is a cut of 2 s in a stream of 500 small messages per second.
var Default = Options{
	Messages: 2000, Every: 2 * time.Millisecond, Size: 200, CutAt: 500, HealAt: 1500,
	Timeout: 300 * time.Millisecond, Wait: 10 * time.Second, Runs: 3,
}

func (o Options) check() error {
	if o.Size < 8 || o.Runs < 1 || o.Every <= 0 || o.Timeout <= 0 || o.Wait <= 0 {
		return errors.New("rivals: an option is missing, or messages are shorter than 8 bytes")
	}
	if o.CutAt < 0 || o.CutAt >= o.HealAt || o.HealAt >= o.Messages {
		return fmt.Errorf("rivals: cut before message %d and healed before %d of %d", o.CutAt, o.HealAt, o.Messages)
	}
	return nil
}

// Run measures every rival on the best ground there is.
func Run(ctx context.Context, o Options) (results []Result, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	g, err := newGround(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	for range o.Runs {
		for _, r := range rivals() {
			result, err := r.run(ctx, g, o)
			if err != nil {
				return results, fmt.Errorf("%s over %s: %w", r.name, g, err)
			}
			results = append(results, result)
		}
	}
	return results, nil
}

func (r rival) run(ctx context.Context, g ground, o Options) (result Result, err error) {
	result = Result{Name: r.name, Ground: g.String()}
	if err := r.can(g); err != nil {
		result.Skipped = err.Error()
		return result, nil
	}
	book := newBook(o.Messages)
	s, err := r.open(ctx, g, o, book.arrived)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	defer func() { err = errors.Join(err, g.heal(0)) }()
	if err := drive(ctx, g, o, s, book, &result); err != nil {
		return result, err
	}
	book.settle(ctx, o.Wait)
	book.judge(&result)
	return result, nil
}

// drive sends every message when it is due, and breaks the carrier meanwhile.
func drive(ctx context.Context, g ground, o Options, s stream, b *book, r *Result) error {
	start := time.Now()
	due := time.NewTimer(0)
	defer due.Stop()
	turned := make(chan error, 2)
	var turns sync.WaitGroup
	defer turns.Wait()
	turn := func(how func(carrier int) error, done *time.Duration) {
		turns.Go(func() {
			turned <- how(0)
			*done = time.Since(start)
		})
	}
	for n := range o.Messages {
		at := start.Add(time.Duration(n) * o.Every)
		due.Reset(time.Until(at))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-due.C:
		}
		switch n { // beside the messages, which must not wait for it
		case o.CutAt:
			turn(g.cut, &r.Cut)
		case o.HealAt:
			turn(g.heal, &r.Healed)
		}
		b.sent(n, at)
		s.send(uint64(n))
	}
	turns.Wait()
	return errors.Join(<-turned, <-turned)
}

// book notes when messages were due and when they arrived first.
type book struct {
	mu    sync.Mutex
	due   []time.Time
	first []time.Time
	left  int
	all   chan struct{} // closed when all have arrived
}

func newBook(n int) *book {
	return &book{due: make([]time.Time, n), first: make([]time.Time, n), left: n, all: make(chan struct{})}
}

func (b *book) sent(n int, due time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.due[n] = due
}

func (b *book) arrived(n uint64) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if n >= uint64(len(b.first)) || !b.first[n].IsZero() {
		return
	}
	b.first[n] = now
	if b.left--; b.left == 0 {
		close(b.all)
	}
}

// settle waits until everything has arrived, not for long.
func (b *book) settle(ctx context.Context, wait time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	select {
	case <-b.all:
	case <-ctx.Done():
	}
}

func (b *book) judge(r *Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.Sent, r.Missing = len(b.due), b.left
	var took []time.Duration
	var when []time.Time
	for n, at := range b.first {
		if !at.IsZero() {
			took = append(took, at.Sub(b.due[n]))
			r.Waits = append(r.Waits, Wait{b.due[n].Sub(b.due[0]), at.Sub(b.due[n])})
			when = append(when, at)
		}
	}
	if len(took) == 0 {
		return
	}
	slices.SortFunc(when, time.Time.Compare)
	for i := range len(when) - 1 {
		r.Gap = max(r.Gap, when[i+1].Sub(when[i]))
	}
	slices.Sort(took)
	r.P50, r.P99, r.Max = took[len(took)/2], took[len(took)*99/100], took[len(took)-1]
}
