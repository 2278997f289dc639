package backoffice

import (
	"context"
	"time"

	"holdfast"
	"holdfast/pay"
)

const (
	// forgetEvery is of how many payments one has the codes of its payer looked through: each time more are deleted than have come meanwhile.
	forgetEvery = 32
	forgetPage  = 100 // records at once
	forgetQueue = 256 // payers that wait; others are met again
)

// forgetter deletes what is remembered of payment codes that have been used and could not be used again any more. It works for those who
// pay, so that a customer who does not costs nothing.
type forgetter struct {
	office *Office
	payers chan holdfast.Owner
}

func openForget(o *Office) (part, error) {
	if o.cfg.Due == nil {
		return nil, nil // nobody looks after what is left over here
	}
	o.forget = &forgetter{o, make(chan holdfast.Owner, forgetQueue)}
	return o.forget, nil
}

// told notes the payer of some of the payments, and never waits.
func (f *forgetter) told(e *pay.Event) {
	if f == nil || e.Kind != pay.EventPaid || e.Other == 0 || e.Time/holdfast.Time(time.Microsecond)%forgetEvery != 0 {
		return
	}
	select {
	case f.payers <- e.Other:
	default:
	}
}

func (f *forgetter) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case payer := <-f.payers:
			f.clear(ctx, payer)
		}
	}
}

// clear deletes all that can be deleted of one customer. What fails is met again with a later payment.
func (f *forgetter) clear(ctx context.Context, payer holdfast.Owner) {
	for n := forgetPage; n == forgetPage && ctx.Err() == nil; {
		var err error
		ask, cancel := context.WithTimeout(ctx, 10*time.Second)
		n, err = f.office.cfg.Cashier.ForgetCodes(ask, payer, forgetPage, f.office.now())
		cancel()
		if err != nil {
			f.office.cfg.Logger.Debug("used payment codes could not be forgotten; they are looked at again", "error", err)
			return
		}
	}
}
