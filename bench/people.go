package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/pay"
	"holdfast/site"
)

// Customers are registered by the million: by what package pay makes of each of them, many transactions in a request.

const (
	perRegistering = 500 // customers in a request
	registrars     = 12  // requests at once
	registerTries  = 20
	registerPause  = 200 * time.Millisecond

	restLook  = 250 * time.Millisecond
	restShare = 0.15 // of one core, all sites together
	restMost  = 60 * time.Second
)

// blank are books in which nobody is registered: what is submitted is kept, and nothing is done with it.
type blank struct{ made []holdfast.Txn }

// Record implements pay.Books.
func (*blank) Record(context.Context, string) (r holdfast.Record, found bool, err error) {
	return r, false, nil
}

// Records implements pay.Books.
func (*blank) Records(context.Context, string, string, int) ([]holdfast.Record, error) {
	return nil, nil
}

// ByIndex implements pay.Books.
func (*blank) ByIndex(context.Context, string, string, int) ([]holdfast.Record, error) {
	return nil, nil
}

// Account implements pay.Books.
func (*blank) Account(context.Context, holdfast.AccountID) (a holdfast.Account, found bool, err error) {
	return a, false, nil
}

// Submit implements pay.Books.
func (b *blank) Submit(_ context.Context, t *holdfast.Txn) (holdfast.Outcome, error) {
	b.made = append(b.made, *t)
	return holdfast.Outcome{ID: t.ID, Status: holdfast.Done, Leg: holdfast.NoLeg}, nil
}

// registrations are the transactions that register customers who have no aliases: those of package pay.
func registrations(ctx context.Context, customers []holdfast.Owner) ([]holdfast.Txn, error) {
	books := &blank{made: make([]holdfast.Txn, 0, len(customers))}
	platform, err := site.OwnerOf(0)
	if err != nil {
		return nil, err
	}
	c, err := pay.New(pay.Config{ // without aliases and phones no key is used
		Books: books, AliasKey: make([]byte, 32), CodeKey: make([]byte, 32), Bank: platform, OwnerOf: site.OwnerOf, Day: time.UTC, Zone: time.LoadLocation,
	})
	if err != nil {
		return nil, err
	}
	now := holdfast.TimeOf(time.Now())
	for _, o := range customers {
		if _, err := c.RegisterCustomer(ctx, pay.CustomerAsk{Owner: o, Assets: []holdfast.Asset{yuan}}, now); err != nil {
			return nil, err
		}
	}
	return books.made, nil
}

// registerCustomers registers all customers.
func (m *market) registerCustomers(ctx context.Context) error {
	all := slices.Collect(slices.Chunk(m.customers, perRegistering))
	return each(ctx, len(all), registrars, func(ctx context.Context, i int) error {
		list, err := registrations(ctx, all[i])
		if err != nil {
			return err
		}
		return submitAll(ctx, m.at(i), list)
	})
}

// rest waits until the sites have put away what they were loaded with: tables of a million customers are written and compacted beside payments, and
// for a while that would be measured instead of them. It returns how long that took.
func (m *market) rest(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	for time.Since(began) < restMost {
		before, from := workOf(m.fleet).sites, time.Now()
		select {
		case <-time.After(restLook):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
		if used := workOf(m.fleet).sites - before; used.Seconds() < restShare*time.Since(from).Seconds() {
			break
		}
	}
	return time.Since(began), nil
}

// submitAll has transactions done, all of them: what could not be done yet, or is not known to be, is asked for again.
func submitAll(ctx context.Context, c *client.Client, list []holdfast.Txn) (err error) {
	for range registerTries {
		var outcomes []holdfast.Outcome
		outcomes, err = c.SubmitMany(ctx, list)
		var left []holdfast.Txn
		for i, o := range outcomes {
			switch o.Status {
			case holdfast.Done:
			case holdfast.Refused:
				return fmt.Errorf("%s (%s)", o.Status, o.Code)
			default:
				left = append(left, list[i])
				err = errors.Join(err, fmt.Errorf("%s (%s)", o.Status, o.Code))
			}
		}
		if list = left; len(list) == 0 {
			return nil
		}
		select {
		case <-time.After(registerPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return err
}
