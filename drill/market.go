package drill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/site"
)

// market is who sells in a drill in which people pay. The recorded orders are trades then: customers pay merchants, the platform takes its
// fee, and merchants give money back.
type market struct {
	sellers []seller
	byOwner map[holdfast.Owner]*seller
}

// seller is a merchant.
type seller struct {
	owner   holdfast.Owner
	plan    feePlan
	account string // at the bank
}

func (s *seller) settlement() holdfast.AccountID { return s.has(settlement) }
func (s *seller) fees() holdfast.AccountID       { return s.has(fees) }

func (s *seller) has(p holdfast.Purpose) holdfast.AccountID {
	return holdfast.AccountID{Owner: s.owner, Purpose: p, Asset: pounds}
}

var (
	fees    = holdfast.MustPurpose("fee")
	kept    = []holdfast.Purpose{holdfast.MustPurpose("escrow"), holdfast.MustPurpose("royalty"), holdfast.MustPurpose("outgoing")} // of a merchant
	apart   = []holdfast.Purpose{holdfast.MustPurpose("frozen"), holdfast.MustPurpose("outgoing")}                                  // of a customer
	tradeAt = "Europe/London"                                                                                                       // where the orders were recorded
)

// feePlan is what the platform takes of a payment, as the drill reckons it for itself.
type feePlan struct{ points, fixed holdfast.Amount }

// feePlans are given to the merchants in turn.
var feePlans = []feePlan{{points: 60}, {points: 38}, {points: 25, fixed: 20}}

// of is the fee for an amount: so many parts of ten thousand, half a penny and more rounded up, and what is fixed, never more than all of it.
func (f feePlan) of(amount holdfast.Amount) holdfast.Amount {
	fee, rest := amount*f.points/10_000, amount*f.points%10_000
	if rest >= 5_000 {
		fee++
	}
	return min(fee+f.fixed, amount)
}

// returned is what of a fee has gone back when so much of the amount has been refunded: the same part of it, rounded down.
func returned(fee, refunded, amount holdfast.Amount) holdfast.Amount { return fee * refunded / amount }

const (
	sellersPerShard = 3
	sellerSequence  = 100_000
)

// openMarket has the customers buy from merchants of the platform. The owners are numbered as the platform numbers them.
func (w *world) openMarket() error {
	w.market = &market{byOwner: map[holdfast.Owner]*seller{}}
	for i, name := range w.trade.Customers {
		owner, err := site.OwnerOf(customerSequence + uint32(i))
		if err != nil {
			return err
		}
		w.customers[name] = holdfast.AccountID{Owner: owner, Purpose: wallet, Asset: pounds}
	}
	room := map[*shardCast]int{}
	for sequence := uint32(sellerSequence); len(w.market.sellers) < sellersPerShard*len(w.shards); sequence++ {
		owner, err := site.OwnerOf(sequence)
		if err != nil {
			return err
		}
		at := w.cast(holdfast.AccountID{Owner: owner})
		if room[at]++; room[at] > sellersPerShard {
			continue
		}
		n := len(w.market.sellers)
		w.market.sellers = append(w.market.sellers, seller{owner, feePlans[n%len(feePlans)], fmt.Sprintf("62220200000%08d", sequence)})
	}
	for i := range w.market.sellers {
		s := &w.market.sellers[i]
		w.market.byOwner[s.owner] = s
	}
	for i, name := range w.trade.Customers {
		w.merchants[name] = w.market.sellers[i%len(w.market.sellers)].settlement()
	}
	return nil
}

// buyers are the customers in the first n events, in their order.
func (w *world) buyers(n int) (all []holdfast.Owner) {
	seen := map[string]bool{}
	for i := range w.trade.Events[:min(n, len(w.trade.Events))] {
		if name := w.trade.Events[i].Customer; !seen[name] {
			seen[name] = true
			all = append(all, w.customers[name].Owner)
		}
	}
	return all
}

// accounts of merchants and customers that a trade can touch, and those that it must not.
func (w *world) marketAccounts(buyers []holdfast.Owner) (all []holdfast.AccountID) {
	for i := range w.market.sellers {
		s := &w.market.sellers[i]
		all = append(all, s.settlement(), s.fees())
		for _, p := range kept {
			all = append(all, s.has(p))
		}
	}
	for _, o := range buyers {
		for _, p := range apart {
			all = append(all, holdfast.AccountID{Owner: o, Purpose: p, Asset: pounds})
		}
	}
	return all
}

// registering is how many people are registered at once.
const registering = 48

// register makes everybody known to the platform, through its API, before the load begins.
func (l *load) register(ctx context.Context, w *world, buyers []holdfast.Owner, said func(done, all int)) error {
	var todo []func(context.Context, *client.Client) error
	for i := range w.market.sellers {
		s := &w.market.sellers[i]
		todo = append(todo, func(ctx context.Context, c *client.Client) error {
			_, err := c.RegisterMerchant(ctx, client.NewMerchant{
				ID: s.owner, Name: fmt.Sprintf("Merchant %d", i+1), Zone: tradeAt, Assets: []holdfast.Asset{pounds},
				Fee: client.Fee{BasisPoints: uint32(s.plan.points), Fixed: s.plan.fixed},
			})
			if err != nil {
				return err
			}
			_, err = c.PutBankAccount(ctx, client.OfMerchant, s.owner, "", client.BankAccount{Number: s.account, Holder: fmt.Sprintf("Merchant %d", i+1)})
			return err
		})
	}
	for _, o := range buyers {
		todo = append(todo, func(ctx context.Context, c *client.Client) error {
			_, err := c.RegisterCustomer(ctx, client.NewCustomer{ID: o, Assets: []holdfast.Asset{pounds}})
			return err
		})
	}
	return l.together(ctx, todo, said)
}

// together does everything, so much at once; each is tried again as long as it may only have been too early.
func (l *load) together(ctx context.Context, todo []func(context.Context, *client.Client) error, said func(done, all int)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	next := 0
	take := func() int {
		mu.Lock()
		defer mu.Unlock()
		if next++; next%100 == 0 && next < len(todo) {
			said(next, len(todo))
		}
		return next - 1
	}
	for worker := range registering {
		wg.Go(func() {
			for i := take(); i < len(todo) && ctx.Err() == nil; i = take() {
				if err := tillAnswered(ctx, func(ctx context.Context) error { return todo[i](ctx, l.clients[worker%len(l.clients)]) }); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// tillAnswered asks until there is a definite answer, for as long as settleTime.
func tillAnswered(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		once, done := context.WithTimeout(ctx, 5*payDeadline)
		err := ask(once)
		done()
		if status, _ := answered(err); status == holdfast.Done || status == holdfast.Refused {
			return err
		}
		if gone := rest(ctx, 10*pollPause); gone != nil {
			return errors.Join(err, gone)
		}
	}
}

// day is the day of a moment where the merchants are.
func dayOf(t time.Time) (day string, over time.Time, err error) {
	zone, err := time.LoadLocation(tradeAt)
	if err != nil {
		return "", over, err
	}
	t = t.In(zone)
	return t.Format(time.DateOnly), time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, zone), nil
}
