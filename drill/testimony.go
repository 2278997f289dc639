package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"holdfast"
	"holdfast/client"
	"holdfast/evidence"
	"holdfast/proof"
)

// testimony keeps what the sites sign while everything is proved.
type testimony struct {
	mu      sync.Mutex
	answers []proof.Answer
	errs    []error
}

func (t *testimony) hear(s client.Signed) {
	a, err := proof.Keep(s.Method, s.Target, s.Status, s.Body, s.Input, s.Signature, s.Certificate)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.errs = append(t.errs, fmt.Errorf("%s%s: %w", s.Site, s.Target, err))
		return
	}
	t.answers = append(t.answers, a)
}

// swear has every site of the fleet sign what it answers from now on. The returned fleet is for asking; close ends its clients.
func (f *fleet) swear(t *testimony) (sworn *fleet, closeAll func(), err error) {
	sworn = f.around()
	closeAll = func() {
		for _, m := range sworn.sites {
			m.own.Close()
		}
	}
	for _, m := range f.sites {
		own, err := client.New(client.Config{Sites: []string{m.url}, Key: f.key.Reveal(), Hedge: -1, Signed: t.hear})
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		sworn.sites = append(sworn.sites, &member{id: m.id, name: m.name, url: m.url, proc: m.proc, own: own})
	}
	return sworn, closeAll, nil
}

// ended puts what was signed together with what callers were told; nil when nobody was to sign.
func (t *testimony) ended(r *run, sites []*member) (*evidence.Run, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !r.o.Sign {
		return nil, nil
	}
	authority, err := os.ReadFile(filepath.Join(r.fleet.dir, "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("read the certificate of the authority: %w", err)
	}
	x := &evidence.Run{Scenario: r.scenario.Name, Seed: r.o.Seed, Authority: string(authority), Answers: t.answers}
	for _, m := range sites {
		x.Sites = append(x.Sites, m.id)
	}
	r.deals(x)
	for _, p := range r.book.each(0) {
		if p.read == nil && p.txn == nil && !p.payment.id.IsZero() {
			x.Receipts = append(x.Receipts, receipt(p))
		}
	}
	return x, errors.Join(t.errs...)
}

// deals adds what buyers and sellers were told of trades, and what was agreed with the sellers; unless it is too much for a file.
func (r *run) deals(x *evidence.Run) {
	if r.world.market == nil {
		return
	}
	if n := len(r.load.deals.list); n > evidence.MaxDeals {
		x.DealsLeft = n
		return
	}
	for i := range r.world.market.sellers {
		s := &r.world.market.sellers[i]
		x.Sellers = append(x.Sellers, evidence.Seller{Merchant: s.owner, Asset: pounds, BasisPoints: uint32(s.plan.points), Fixed: s.plan.fixed})
	}
	for i := range r.load.deals.list {
		d := &r.load.deals.list[i]
		x.Deals = append(x.Deals, evidence.Deal{
			Merchant: d.merchant, Number: d.number, Request: d.request, Customer: d.customer, Amount: d.amount, Fee: d.fee, Outcome: d.status.String(),
		})
	}
}

// signTrades has every site sign what stands on the statements of the merchants, and how they were settled: for whoever checks that without the
// fleet. It is the last that is asked: settlements move what is on the statements.
func (p *prover) signTrades(ctx context.Context) error {
	if len(p.load.deals.list) > evidence.MaxDeals {
		return nil
	}
	var all []error
	for _, m := range p.fleet.sites {
		errs := askAll(p.world.market.sellers, func(s seller) error {
			for _, account := range []holdfast.AccountID{s.settlement(), s.fees()} {
				if _, err := linesOf(ctx, m.own, account); err != nil {
					return fmt.Errorf("%s, statement of %s: %w", m.name, account, err)
				}
			}
			_, err := settlementsOf(ctx, m.own, s.owner)
			return err
		})
		all = append(all, errs...)
	}
	return errors.Join(all...)
}

func receipt(p *page) evidence.Receipt {
	return evidence.Receipt{
		ID: p.payment.id, Debit: p.payment.debit, Credit: p.payment.credit, Amount: p.payment.amount,
		Outcome: p.sample.Status.String(), Time: p.time,
	}
}
