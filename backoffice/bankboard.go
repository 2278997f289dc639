package backoffice

import (
	"context"
	"time"

	"holdfast"
	"holdfast/bank"
	"holdfast/bank/clerk"
)

// Estimate is an honest word about when the bank will have taken an order.
type Estimate struct {
	bank.Estimate
	Bank string // who pays it; "": nobody is configured for its currency
	At   holdfast.Time
}

// BankState is how the work with one bank is doing.
type BankState struct {
	Bank     string
	Assets   []holdfast.Asset
	Waiting  int           // orders that the bank is to take, and has not taken as far as is known
	Accepted int           // orders that it has accepted and not settled
	Unknown  int           // of those that wait, how many have been sent: the bank may have done them
	Oldest   holdfast.Time // when the first of the unknown ones was made; 0: there is none
	Doubtful int           // orders that the bank has contradicted itself about: people have to look at them
	Since    holdfast.Time // since when it has not answered; 0: it does
	At       holdfast.Time // when the site that speaks with it said so; 0: none has said anything yet
}

// Marks of estimates: what the site that runs a clerk lets the others know.
const (
	estimateMark  = "estimate-"
	publishEvery  = 10 * time.Second
	publishSilent = time.Second // when the bank has just fallen silent, or answers again, or much more waits
	estimateStale = time.Minute
)

// board is what the site with the clerk lets the others know.
type board struct {
	ahead    int
	rate     float64
	since    holdfast.Time // the bank has not answered; 0: it does
	at       holdfast.Time // when it was said
	unknown  int
	oldest   holdfast.Time // of those
	doubtful int
	accepted int
	ramp     bank.Ramp
}

func boardOf(c *clerk.Clerk, now holdfast.Time) board {
	e, s := c.Estimate(c.Ahead("\xff")), c.Standing()
	return board{e.Ahead, e.Rate, e.Since, now, s.Unknown, madeAt(s.Oldest), s.Doubtful, s.Accepted, c.Ramp()}
}

func (b *board) numbers() []int64 {
	return []int64{
		int64(b.ahead), int64(b.rate * 1000), int64(b.since), int64(b.at), int64(b.unknown), int64(b.oldest), int64(b.doubtful), int64(b.accepted),
		int64(b.ramp.Probe), int64(b.ramp.Round),
	}
}

// boardFrom reads what numbers had; a release before this one told four.
func boardFrom(n []int64) (b board) {
	if len(n) < 4 {
		return b
	}
	b.ahead, b.rate, b.since, b.at = int(n[0]), float64(n[1])/1000, holdfast.Time(n[2]), holdfast.Time(n[3])
	if len(n) >= 10 {
		b.unknown, b.oldest, b.doubtful, b.accepted = int(n[4]), holdfast.Time(n[5]), int(n[6]), int(n[7])
		b.ramp = bank.Ramp{Probe: holdfast.Time(n[8]), Round: time.Duration(n[9])}
	}
	return b
}

// idle tells of a board that stays as it is for as long as nobody orders anything.
func (b *board) idle() bool {
	return b.at != 0 && b.ahead == 0 && b.since == 0 && b.unknown == 0 && b.doubtful == 0 && b.accepted == 0
}

// due reports whether the others have to hear of this, who were told of that. When more waits than was said, they have to hear it soon: who is told
// that fewer come before him than do is told too short a time.
func (b *board) due(told *board) bool {
	age := b.at - told.at
	switch {
	case told.at == 0, (b.since != 0) != (told.since != 0), b.ahead > told.ahead+max(2, told.ahead/20):
		return true
	case age < holdfast.Time(publishEvery):
		return false
	}
	same := *b
	same.at, same.ramp = told.at, told.ramp
	return same != *told || !b.idle() && age >= holdfast.Time(estimateStale/2)
}

// publish lets the other sites know how the bank is doing: when that changes, and again and again while anything waits or the bank is down.
func (d *desk) publish(ctx context.Context, c *clerk.Clerk) {
	var told board
	cashier := d.office.cfg.Cashier
	for pause(ctx, publishSilent) {
		b := boardOf(c, d.office.now())
		if !b.due(&told) {
			continue
		}
		m, err := cashier.Mark(ctx, estimateMark+d.cfg.Name)
		if err == nil {
			m.Numbers = b.numbers()
			_, err = cashier.SetMark(ctx, &m, b.at)
		}
		if err != nil {
			d.log.Debug("how the bank is doing could not be told to the other sites", "error", err)
			continue
		}
		told = b
	}
}

// heard is what the site with the clerk has said last.
func (d *desk) heard(ctx context.Context) (board, error) {
	m, err := d.office.cfg.Cashier.Mark(ctx, estimateMark+d.cfg.Name)
	return boardFrom(m.Numbers), err
}

// remember has a clerk begin with what the site has said that did this work before, so that customers are told something right after a change.
func (d *desk) remember(ctx context.Context, c *clerk.Clerk) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	told, err := d.heard(ctx)
	if err != nil || told.at == 0 || d.office.now()-told.at > holdfast.Time(estimateStale) {
		return
	}
	c.Remember(told.rate, told.since, told.ramp.Round)
}

// Banks says how the work with each bank is doing. At a site that does not do it, it rests on what that site has said.
func (o *Office) Banks(ctx context.Context) (list []BankState, err error) {
	if o.banks == nil {
		return nil, nil
	}
	for _, d := range o.banks.list {
		b := board{}
		if c := d.running(); c != nil {
			b = boardOf(c, o.now())
		} else if b, err = d.heard(ctx); err != nil {
			return nil, err
		}
		list = append(list, BankState{
			Bank: d.cfg.Name, Assets: d.cfg.assets(), Waiting: b.ahead, Accepted: b.accepted, Unknown: b.unknown, Oldest: b.oldest, Doubtful: b.doubtful,
			Since: b.since, At: b.at,
		})
	}
	return list, nil
}
