package drill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"holdfast"
	"holdfast/client"
)

// paying is the business of pay-through-site-cut: one merchant is paid through the official SDK, others through the native client.
type paying struct {
	*bazaar
	front *front
	sdk   *sdkPayers

	mu   sync.Mutex
	errs []error
}

const (
	nativeShops = 3
	nativeEvery = 200 * time.Millisecond
	sdkLeast    = 20 // payments, or the SDK has not been used enough to say anything
)

func openPaying(ctx context.Context, r *run) (business, error) {
	m, err := newBazaar(ctx, r, stalls{sellers: 3, apps: 1, buyers: 25, phones: 4, money: 10_000_000})
	if err != nil {
		return nil, err
	}
	x := &paying{bazaar: m}
	if x.front, err = openFront(r.fleet.sites); err != nil {
		return nil, err
	}
	return x, nil
}

// sdkBuyers are those whose phones the SDK's merchant scans; the codes of the others are for the native client.
func (x *paying) sdkBuyers() []*shopper { return x.buyers[:len(x.buyers)/2] }

func (x *paying) trade(ctx, until context.Context) {
	var err error
	if x.sdk, err = x.startSDK(x.sellers[0], x.front.url, x.sdkBuyers()); err != nil {
		x.wrong(err)
		return
	}
	for _, b := range x.sdkBuyers() {
		b.phones = nil
	}
	var work sync.WaitGroup
	for i := range nativeShops {
		work.Go(func() {
			for n := 0; until.Err() == nil; n++ {
				began := time.Now()
				x.round(ctx, x.sellers[1+i%(len(x.sellers)-1)], fmt.Sprintf("native-%d-%d", i, n), n)
				_ = rest(until, nativeEvery-time.Since(began))
			}
		})
	}
	work.Wait()
	deeds, err := x.sdk.stop()
	x.deeds.write(deeds...)
	x.wrong(err)
}

func (x *paying) wrong(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil {
		x.errs = append(x.errs, err)
	}
}

// do makes one call, and writes down what it was told. One of which nobody knows whether it was executed is made again, with the same numbers,
// as the client says: a refusal is no last word while another site, that was asked as well, has not answered.
func (m *bazaar) do(d deed, call func(d *deed) error) deed {
	began := time.Now()
	d.By, d.Began = byNative, began.UnixMilli()
	d.Told, d.Code = toldBy(call(&d))
	for d.Told == toldUnknown && time.Since(began) < payDeadline {
		d.Told, d.Code = toldBy(call(&d))
	}
	d.Ended = time.Now().UnixMilli()
	m.deeds.write(d)
	return d
}

// payBy makes a trade that is paid at once.
func (m *bazaar) payBy(ctx context.Context, s *vendor, number string, amount holdfast.Amount, payer holdfast.Owner, code string) deed {
	return m.do(deed{Do: doPay, Trade: number, Amount: amount, seller: s.owner}, func(d *deed) error {
		v, err := m.client.CreateTrade(ctx, client.NewTrade{
			Merchant: s.owner, OutTradeNo: number, Amount: amount, Asset: yuan, Subject: "tea", Payer: payer, PaymentCode: code,
		})
		d.Said, d.Status = v.Amount, v.Status
		return err
	})
}

func (m *bazaar) query(ctx context.Context, s *vendor, number string) deed {
	return m.do(deed{Do: doQuery, Trade: number, seller: s.owner}, func(d *deed) error {
		v, err := m.client.Trade(ctx, s.owner, number)
		d.Said, d.Status = v.Amount, v.Status
		return err
	})
}

func (m *bazaar) refund(ctx context.Context, s *vendor, number, request string, amount holdfast.Amount) deed {
	return m.do(deed{Do: doRefund, Trade: number, Request: request, Amount: amount, seller: s.owner}, func(d *deed) error {
		v, err := m.client.Refund(ctx, client.NewRefund{Merchant: s.owner, OutTradeNo: number, OutRequestNo: request, Amount: amount})
		d.Said = v.Amount
		return err
	})
}

func (m *bazaar) cancel(ctx context.Context, s *vendor, number string) deed {
	return m.do(deed{Do: doCancel, Trade: number, seller: s.owner}, func(d *deed) error {
		v, err := m.client.CancelTrade(ctx, s.owner, number)
		d.Status = v.Status
		return err
	})
}

// round is what one shop does with one trade, by turns well and badly.
func (m *bazaar) round(ctx context.Context, s *vendor, number string, n int) {
	amount, b := holdfast.Amount(300+n), m.anyone(n)
	switch n % 5 {
	case 0:
		m.payBy(ctx, s, number, amount, b.owner, "")
		m.query(ctx, s, number)
	case 1: // the trade waits, and is paid then
		made := m.do(deed{Do: "create", Trade: number, Amount: amount, seller: s.owner}, func(*deed) error {
			_, err := m.client.CreateTrade(ctx, client.NewTrade{Merchant: s.owner, OutTradeNo: number, Amount: amount, Asset: yuan, Subject: "tea"})
			return err
		})
		if made.Told != toldDone {
			return
		}
		m.do(deed{Do: doPay, Trade: number, Amount: amount, seller: s.owner}, func(d *deed) error {
			v, err := m.client.PayTrade(ctx, s.owner, number, b.owner)
			d.Said, d.Status = v.Amount, v.Status
			return err
		})
		m.refund(ctx, s, number, "half", amount/2)
	case 2:
		m.payBy(ctx, s, number, amount, b.owner, "")
		m.cancel(ctx, s, number)
	case 3: // who has no money pays nothing
		m.payBy(ctx, s, number, amount, m.poor().owner, "")
		m.query(ctx, s, number)
	default:
		code, _, ok := m.code(time.Now())
		if !ok {
			return
		}
		m.payBy(ctx, s, number, amount, 0, code)
		m.refund(ctx, s, number, "more", amount+1)
	}
}

func (x *paying) prove(ctx context.Context, p *prover) error {
	deeds := x.deeds.all()
	failed := failedCalls(deeds)
	p.findings = append(p.findings, failed[:min(len(failed), 5)]...)
	if n := countDeeds(deeds, func(d *deed) bool { return d.By == bySDK && d.Do == doPay && d.Told == toldDone }); n < sdkLeast {
		p.findings = append(p.findings, fmt.Sprintf("%d payments through the SDK were acknowledged: that proves nothing", n))
	}
	if n := countDeeds(deeds, func(d *deed) bool { return d.By == bySDK && d.Told == toldNothing }); n > 0 {
		p.findings = append(p.findings, fmt.Sprintf("the SDK had no answer to %d calls, or one that it cannot verify", n))
	}
	detail := ""
	for i, by := range []string{bySDK, byNative} {
		n, p50, p99, most := callTimes(deeds, by)
		if i > 0 {
			detail += "; "
		}
		detail += fmt.Sprintf("%s: %d calls, half within %d ms, 99 of 100 within %d, the slowest %d", by, n, p50.Milliseconds(), p99.Milliseconds(), most.Milliseconds())
	}
	p.add("The native client has an answer to every call", len(failed) == 0, "%s; %d of the native client failed", detail, len(failed))
	return errors.Join(errors.Join(x.errs...), x.proveDeeds(ctx, p))
}

func (x *paying) close() error {
	x.client.Close()
	return errors.Join(x.sdk.close(), x.front.close())
}
