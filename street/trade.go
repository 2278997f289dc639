package street

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/retail"
)

// What is replayed of the recorded orders, and how.
const (
	scale = 10     // recorded pence to a fen
	most  = 50_000 // fen: an order above this is left out
	// shipsAfter and confirmsAfter are how many orders later a protected one is shipped, and confirmed.
	shipsAfter, confirmsAfter = 6, 15
)

// pick chooses by a text and not by chance, so that what is done again is the same.
func pick(text string, n int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(text))
	return int(h.Sum32() % uint32(n))
}

// shopOf is in which shop an order was made.
func shopOf(invoice string) int {
	n := pick("shop"+invoice, 100)
	for i := range shops {
		if n -= shops[i].share; n < 0 {
			return i
		}
	}
	return 0
}

// numberOf is the merchant's number of an order.
func numberOf(e *retail.Event) string { return "order-" + e.Invoice }

func amountOf(e *retail.Event) holdfast.Amount { return (e.Amount + scale - 1) / scale }

// replay does what was recorded as event n. A refusal is part of life; any other error is returned.
func (s *Street) replay(ctx context.Context, n int) error {
	e := &s.trade.Events[n]
	err := s.catchUp(ctx, n)
	switch {
	case err != nil:
	case e.IsRefund():
		err = s.refund(ctx, n, e)
	case amountOf(e) <= most:
		err = s.order(ctx, n, e)
	}
	if refused(err) {
		return nil
	}
	return err
}

// refused reports whether an error is an answer that people get.
func refused(err error) bool {
	r, ok := errors.AsType[*client.Error](err)
	return ok && (r.Status == http.StatusConflict || r.Status == http.StatusUnprocessableEntity || r.Status == http.StatusNotFound)
}

// catchUp does the errands that have become due.
func (s *Street) catchUp(ctx context.Context, n int) error {
	var errs []error
	for len(s.later) > 0 && s.later[0].at <= n {
		do := s.later[0].do
		s.later = s.later[1:]
		if err := do(ctx); err != nil && !refused(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// after remembers an errand, in the order in which they are due.
func (s *Street) after(n int, do func(context.Context) error) {
	i := len(s.later)
	for i > 0 && s.later[i-1].at > n {
		i--
	}
	s.later = append(s.later, errand{})
	copy(s.later[i+1:], s.later[i:])
	s.later[i] = errand{n, do}
}

// buys says who makes an order: the recorded customer as one of ours.
func (s *Street) buys(e *retail.Event) *person { return s.people[pick(e.Customer, len(s.people))] }

// order is one that was made and paid.
func (s *Street) order(ctx context.Context, n int, e *retail.Event) error {
	return s.sell(ctx, n, n%10, s.buys(e), e)
}

// sell makes an order of somebody, who pays in one of ten ways.
func (s *Street) sell(ctx context.Context, n, way int, p *person, e *retail.Event) error {
	shop, amount, number := shopOf(e.Invoice), amountOf(e), numberOf(e)
	if err := s.bring(ctx, p, amount+1, moreMoney, fmt.Sprintf("order-%d", n)); err != nil {
		return err
	}
	m, c := s.state.Merchants[shop].ID, s.cfg.API
	goods := shops[shop].goods
	t := client.NewTrade{Merchant: m, OutTradeNo: number, Amount: amount, Asset: yuan, Subject: goods[pick(number, len(goods))]}
	v, err := s.pay(ctx, way, shop, p, t)
	if r, ok := errors.AsType[*client.Error](err); ok && r.Code == "balance-not-enough" {
		p.money = 0 // it was not as we thought: they bring some before the next one
	}
	if err != nil || v.Paid.IsZero() {
		return err
	}
	p.money -= amount
	if v.Mode != "escrow" {
		return nil
	}
	s.after(n+shipsAfter, func(ctx context.Context) error {
		_, err := c.Ship(ctx, m, number, 14*24*time.Hour)
		return err
	})
	s.after(n+confirmsAfter, func(ctx context.Context) error {
		_, err := c.ConfirmEscrow(ctx, m, number, p.ID)
		return err
	})
	return nil
}

// pay makes the trade and pays it, in one of the ways that there are.
func (s *Street) pay(ctx context.Context, way, shop int, p *person, t client.NewTrade) (v client.Trade, err error) {
	c, now := s.cfg.API, s.cfg.Now()
	var made client.MadeTrade
	switch way {
	case 0, 1, 2, 3: // at the till, with the code of a phone, if it shows one that has not been used
		t.Shop, t.Till, t.Payer = shops[shop].shop, shops[shop].till, p.ID
		if minute := now.Unix() / 60; p.minute < minute {
			p.minute, t.Payer = minute, 0
			t.PaymentCode = client.PaymentCode(p.ID, p.Secret, now)
		}
	case 4, 5, 6: // on the page behind the QR code that the shop shows
		t.QR = true
		made, err = c.CreateTrade(ctx, t)
		if err == nil {
			_, err = c.OpenCode(ctx, made.Token)
		}
		if err != nil {
			return v, err
		}
		return c.PayTrade(ctx, t.Merchant, t.OutTradeNo, p.ID)
	case 7, 8: // under the protection of the platform
		t.Mode, t.Payer = "escrow", p.ID
	default:
		if t.Payer = p.ID; pick("mind"+t.OutTradeNo, 3) == 0 { // somebody changes their mind
			t.Payer = 0
		}
	}
	made, err = c.CreateTrade(ctx, t)
	return made.Trade, err
}

// refund gives back what was given back, if we have sold it: else it is refused.
func (s *Street) refund(ctx context.Context, n int, e *retail.Event) error {
	of := &s.trade.Events[e.Refunds]
	amount := e.Amount / scale
	if amount < 1 || amountOf(of) > most {
		return nil
	}
	_, err := s.cfg.API.Refund(ctx, client.NewRefund{
		Merchant: s.state.Merchants[shopOf(of.Invoice)].ID, OutTradeNo: numberOf(of), OutRequestNo: fmt.Sprintf("return-%s-%d", e.Invoice, n),
		Amount: amount, Reason: "sent back",
	})
	if err == nil {
		s.buys(e).money += amount
	}
	return err
}

// Day is a day that the street has lived before anybody looks: n of the recorded orders, spread from one moment to another by set, which sets the clock of the
// payments. The regular customer buys a tenth of them.
func (s *Street) Day(ctx context.Context, from, until time.Time, n int, set func(time.Time)) error {
	regular := &person{customer: customer{ID: s.cfg.Regular}, money: most * 1000} // has their own money, and no phone of ours
	step := until.Sub(from) / time.Duration(max(1, n))
	for i := range n {
		set(from.Add(time.Duration(i) * step))
		next := s.state.Next
		if next >= len(s.trade.Events) {
			return nil
		}
		s.state.Next++
		e := &s.trade.Events[next]
		var err error
		if s.cfg.Regular != 0 && i%8 == 3 && !e.IsRefund() && amountOf(e) <= most/2 {
			err = s.sell(ctx, next, 4+3*(i/8%2), regular, e)
		} else {
			err = s.replay(ctx, next)
		}
		if err != nil {
			return fmt.Errorf("recorded event %d: %w", next, err)
		}
	}
	return s.save()
}

// Settle settles a day of every merchant, and waits until the bank has paid it out, or the context ends.
func (s *Street) Settle(ctx context.Context, day string) error {
	for _, m := range s.state.Merchants {
		list, err := s.cfg.API.Settle(ctx, m.ID, day)
		if r, ok := errors.AsType[*client.Error](err); ok && r.Code == "day-not-over" {
			return nil // it is a few minutes after midnight: the platform does it by itself soon
		}
		if err != nil {
			return fmt.Errorf("settle %s of merchant %s: %w", day, m.ID, err)
		}
		for i := range list {
			for p := (client.Payout{Status: "waiting"}); list[i].Order != "" && (p.Status == "waiting" || p.Status == "sent"); {
				if p, err = s.cfg.API.Payout(ctx, m.ID, list[i].Order); err == nil {
					err = rest(ctx, 20*time.Millisecond)
				}
				if err != nil {
					return fmt.Errorf("pay out what merchant %s has earned on %s: %w", m.ID, day, err)
				}
			}
		}
	}
	return nil
}
