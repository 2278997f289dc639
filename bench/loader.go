package bench

import (
	"context"
	"errors"
	"sync"

	"holdfast"
	"holdfast/pay"
	"holdfast/site"
)

// loader is the books of a site, for bringing much in: it takes what many callers submit to the log together.
type loader struct {
	site.Books
	site  *site.Site
	queue chan *loading
	ended sync.WaitGroup
}

type loading struct {
	txn  *holdfast.Txn
	out  holdfast.Outcome
	err  error
	done chan struct{}
}

const (
	loadAtOnce  = 400 // transactions in one call
	loadInTurns = 4   // calls at once: some on their way to the disks, some being made
	loadCallers = 500
)

func newLoader(ctx context.Context, s *site.Site) *loader {
	l := &loader{Books: s.Books(), site: s, queue: make(chan *loading, loadCallers)}
	for range loadInTurns {
		l.ended.Go(func() { l.carry(ctx) })
	}
	return l
}

// close ends the loader when nobody submits any more.
func (l *loader) close() {
	close(l.queue)
	l.ended.Wait()
}

func (l *loader) carry(ctx context.Context) {
	for first := range l.queue {
		list := []*loading{first}
	more:
		for len(list) < loadAtOnce {
			select {
			case x, ok := <-l.queue:
				if !ok {
					break more
				}
				list = append(list, x)
			default:
				break more
			}
		}
		txns := make([]holdfast.Txn, len(list))
		for i, x := range list {
			txns[i] = *x.txn
		}
		outcomes, err := l.site.Submit(ctx, txns, false)
		for i, x := range list {
			if x.err = err; err == nil {
				x.out = outcomes[i]
			}
			close(x.done)
		}
	}
}

// Submit implements pay.Books.
func (l *loader) Submit(ctx context.Context, t *holdfast.Txn) (holdfast.Outcome, error) {
	x := &loading{txn: t, done: make(chan struct{})}
	select {
	case l.queue <- x:
	case <-ctx.Done():
		return holdfast.Outcome{ID: t.ID, Status: holdfast.NotExecuted, Leg: holdfast.NoLeg}, ctx.Err()
	}
	<-x.done
	if x.err == nil && x.out.Status == holdfast.NotExecuted {
		return x.out, site.NotExecutedError{Outcome: x.out}
	}
	return x.out, x.err
}

// loadingCashier is a cashier that brings much in. stop ends it.
func (s *settlement) loadingCashier(ctx context.Context) (c *pay.Cashier, stop func()) {
	l := newLoader(ctx, s.site)
	loading := *s.cashier
	loading.Books = l
	return &loading, l.close
}

// again reports whether an error of the domain is one after which the same is asked for again.
func again(err error) bool {
	var not *pay.Unavailable
	var unknown *pay.Pending
	return errors.As(err, &not) || errors.As(err, &unknown)
}
