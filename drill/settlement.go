package drill

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"holdfast"
	"holdfast/client"
)

const (
	// settleAfter is how long after the end of the day of a merchant the clocks are set to: longer than the platform waits before it settles one.
	settleAfter = 6 * time.Minute
	// settlementTime is how long the back offices of all sites may take for that, and bankTime how long until the bank has booked the payouts.
	settlementTime = 45 * time.Second
	bankTime       = 30 * time.Second
)

// earnings are what the days of a merchant must come to, by what callers were told.
type earnings struct {
	payments, refunds    uint32
	paid, refunded, fees holdfast.Amount
}

func (e *earnings) net() holdfast.Amount { return e.paid - e.refunded - e.fees }

// earned sums the sales up by merchant.
func earned(sales map[tradeKey]*sale, m *market) map[holdfast.Owner]*earnings {
	all := map[holdfast.Owner]*earnings{}
	for i := range m.sellers {
		all[m.sellers[i].owner] = &earnings{}
	}
	for _, s := range sales {
		e := all[s.merchant]
		e.payments, e.refunds = e.payments+1, e.refunds+uint32(len(s.refunds))
		e.paid, e.refunded, e.fees = e.paid+s.amount, e.refunded+s.refunded, e.fees+s.fee-s.feeBack()
	}
	return all
}

// differs says in what the settlements of a merchant are not what they must be; "": in nothing. The load may have lasted over midnight, so there can
// be several.
func (e *earnings) differs(list []client.Settlement) string {
	var had earnings
	var net, other, carried holdfast.Amount
	var unpaid string
	for i := range list {
		s := &list[i]
		had.payments, had.refunds = had.payments+s.Payments, had.refunds+s.Refunds
		had.paid, had.refunded, had.fees = had.paid+s.Paid, had.refunded+s.Refunded, had.fees+s.Fees
		net, other = net+s.Net, other+s.Other
		carried += s.Net
		if due := max(0, carried); s.Payout != due && unpaid == "" {
			unpaid = fmt.Sprintf("%d pence of %s are paid out, and should be %d", s.Payout, s.Day, due)
		}
		carried -= s.Payout
	}
	switch {
	case had != *e:
		return fmt.Sprintf("settled are %d payments of %d pence, %d refunds of %d and fees of %d; they were %d of %d, %d of %d and %d",
			had.payments, had.paid, had.refunds, had.refunded, had.fees, e.payments, e.paid, e.refunds, e.refunded, e.fees)
	case net != e.net() || other != 0:
		return fmt.Sprintf("the net is %d pence with %d of something else, and should be %d", net, other, e.net())
	}
	return unpaid
}

// settlement sets the clocks of all sites ahead, waits until the day of every merchant has been settled by the platform itself, and compares that
// with the data, and what the bank has booked with that.
func (p *prover) settlement(ctx context.Context) error {
	before, err := p.bankHas(ctx)
	if err != nil {
		return err
	}
	if err := p.nextMorning(); err != nil {
		return err
	}
	want := earned(p.sales, p.world.market)
	days, err := p.settledDays(ctx, want)
	if err != nil {
		return err
	}
	p.compareSettlements(want, days)
	return p.bankSays(ctx, before)
}

// nextMorning sets the clocks of what people pay with to the next day.
func (p *prover) nextMorning() error {
	now := time.Now()
	_, over, err := dayOf(now)
	if err != nil {
		return err
	}
	ahead := over.Sub(now).Truncate(time.Second) + settleAfter
	for _, m := range p.home.sites {
		if err := p.home.trouble(m, fmt.Sprintf("clock_ahead = %q\n", ahead)); err != nil {
			return err
		}
	}
	return nil
}

// settledDays waits until the days of every merchant are settled as they must be, or the time is over. What is wrong then is found by comparing.
func (p *prover) settledDays(ctx context.Context, want map[holdfast.Owner]*earnings) (map[holdfast.Owner][]client.Settlement, error) {
	type answer struct {
		list []client.Settlement
		err  error
	}
	wait, cancel := context.WithTimeout(ctx, settlementTime)
	defer cancel()
	asked := p.home.sites[0].own
	for {
		answers := askAll(p.world.market.sellers, func(s seller) answer {
			list, err := settlementsOf(ctx, asked, s.owner)
			return answer{list, err}
		})
		days, whole, errs := map[holdfast.Owner][]client.Settlement{}, true, []error{}
		for i := range answers {
			owner := p.world.market.sellers[i].owner
			days[owner] = answers[i].list
			whole, errs = whole && want[owner].differs(answers[i].list) == "", append(errs, answers[i].err)
		}
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
		if whole || rest(wait, 20*pollPause) != nil {
			return days, ctx.Err()
		}
	}
}

func settlementsOf(ctx context.Context, c *client.Client, merchant holdfast.Owner) ([]client.Settlement, error) {
	return paged(ctx, func(ctx context.Context, cursor string) ([]client.Settlement, string, error) {
		return c.Settlements(ctx, merchant, cursor, client.MaxPage)
	})
}

func (p *prover) compareSettlements(want map[holdfast.Owner]*earnings, days map[holdfast.Owner][]client.Settlement) {
	t, wrong := p.trades, 0
	for _, s := range p.world.market.sellers {
		list := days[s.owner]
		if what := want[s.owner].differs(list); what != "" {
			wrong++
			p.findings = append(p.findings, fmt.Sprintf("settlement of merchant %s: %s", s.owner, what))
		}
		if len(list) > 0 {
			t.Settled++
		}
		for i := range list {
			t.Payout += list[i].Payout
		}
	}
	p.add("Every merchant is settled to the penny", wrong == 0, "%d of %d merchants, by the sites themselves: £%s paid, less £%s refunded and £%s in fees, is £%s paid out; %d differ",
		t.Settled, t.Merchants, inPounds(t.Paid), inPounds(t.Refunded), inPounds(t.Fees), inPounds(t.Payout), wrong)
}

// bankState is what the bank of a drill has really done.
type bankState struct {
	Accounts []struct {
		Currency string          `json:"currency"`
		Balance  holdfast.Amount `json:"balance"`
	} `json:"accounts"`
}

// bankHas is what is on the account at the bank that merchants of the load are paid from.
func (p *prover) bankHas(ctx context.Context) (sum holdfast.Amount, err error) {
	var s bankState
	err = p.bank.tell(ctx, http.MethodGet, "/control/state", nil, &s)
	for _, a := range s.Accounts {
		if a.Currency == bankAsset {
			sum += a.Balance
		}
	}
	return sum, err
}

// bankSays waits until the bank has booked what was paid out, and compares; before is what was on the account then.
func (p *prover) bankSays(ctx context.Context, before holdfast.Amount) error {
	wait, cancel := context.WithTimeout(ctx, bankTime)
	defer cancel()
	for {
		has, err := p.bankHas(ctx)
		if err != nil {
			return err
		}
		p.trades.Booked = before - has
		if p.trades.Booked >= p.trades.Payout || rest(wait, 20*pollPause) != nil {
			break
		}
	}
	ok := p.trades.Booked == p.trades.Payout
	p.add("The bank has paid what was settled", ok, "£%s booked at the bank, £%s settled", inPounds(p.trades.Booked), inPounds(p.trades.Payout))
	if !ok {
		p.findings = append(p.findings, fmt.Sprintf("the bank has booked %d pence for merchants, and %d were settled", p.trades.Booked, p.trades.Payout))
	}
	return ctx.Err()
}
