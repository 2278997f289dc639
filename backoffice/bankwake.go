package backoffice

import (
	"context"
	"time"
)

const (
	// newsMark is a mark that changes when the site with the clerks has to look for new orders.
	newsMark = "bank-news"
	// newsEvery is how often a site tells the one with the clerks at most, and how often that one looks whether there is news.
	newsEvery = time.Second
)

// WakeBanks tells the clerks that there are new orders, or recalled ones: those here at once, those at another site within moments. Without it they
// find them within [BankConfig].Rescan. It never waits.
func (o *Office) WakeBanks() {
	if o.banks == nil || o.banks.wake() {
		return
	}
	select {
	case o.banks.news <- struct{}{}:
	default: // it is told already
	}
}

// wake wakes the clerks that run here; false: there are none.
func (b *banks) wake() (any bool) {
	for _, d := range b.list {
		if c := d.running(); c != nil {
			c.Wake()
			any = true
		}
	}
	return any
}

// tellNews lets the site with the clerks know that there are new orders. When it fails, the other site finds them when it lists all again; when it fails
// because somebody else tells the same in that moment, that is as good.
func (b *banks) tellNews(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.news:
		}
		cashier, now := b.office.cfg.Cashier, b.office.now()
		m, err := cashier.Mark(ctx, newsMark)
		if err == nil {
			m.Numbers = []int64{int64(now)}
			_, err = cashier.SetMark(ctx, &m, now)
		}
		if err != nil {
			b.office.cfg.Logger.Debug("new orders could not be told to the site that speaks with the banks", "error", err)
		}
		if !pause(ctx, newsEvery) {
			return
		}
	}
}

// hearNews wakes the clerks here when another site has told of new orders.
func (b *banks) hearNews(ctx context.Context) {
	heard := uint64(0)
	for pause(ctx, newsEvery) {
		m, err := b.office.cfg.Cashier.Mark(ctx, newsMark)
		if err != nil || m.Version == heard {
			continue
		}
		heard = m.Version
		b.wake()
	}
}
