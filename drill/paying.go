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
	nativeEvery = 300 * time.Millisecond // with usualCores; see bazaar.pace
	sdkLeast    = 20                     // payments, or the SDK has not been used enough to say anything
	// knowTime is for how long a shop asks what has become of a call.
	knowTime = 15 * time.Second
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
				_ = rest(until, x.pace(nativeEvery)-time.Since(began))
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

// do makes one call, and writes down what it was told. One that has no definite answer is made again, with the same numbers, as the client says, until
// it has one: that is how long a shop waits.
func (m *bazaar) do(d deed, call func(d *deed) error) deed {
	began := time.Now()
	d.By, d.Began = byNative, began.UnixMilli()
	for {
		d.Told, d.Code = toldBy(call(&d))
		if !d.maybe() || time.Since(began) > knowTime {
			break
		}
		time.Sleep(pollPause)
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
	if n := countDeeds(deeds, func(d *deed) bool { return d.By == bySDK && d.Do == doPay && d.Told == toldDone }); n < sdkLeast {
		p.findings = append(p.findings, fmt.Sprintf("%d payments through the SDK were acknowledged: that proves nothing", n))
	}
	if n := countDeeds(deeds, func(d *deed) bool { return d.By == bySDK && d.Told == toldNothing }); n > 0 {
		p.findings = append(p.findings, fmt.Sprintf("the SDK had no answer to %d calls, or one that it cannot verify", n))
	}
	x.proveWaits(deeds, p)
	return errors.Join(errors.Join(x.errs...), x.proveDeeds(ctx, p))
}

// proveWaits judges how long people waited.
func (x *paying) proveWaits(deeds []deed, p *prover) {
	waits, dark, faults := waitsOf(deeds, time.Now().Add(-x.clock())), shadows(x.stalls()), x.faults()
	// An SDK has one address: what stands before the gateways has to notice that a site is lost, and its user asks what has become of a call.
	sdk := judgeWaits(waits, bySDK, faults, dark, x.bound, frontAsks+frontWait+sdkAsks)
	native := judgeWaits(waits, byNative, faults, dark, x.bound, 0)
	for _, found := range []*patienceOf{&sdk, &native} {
		for _, list := range [][]string{found.unanswered, found.late} {
			p.findings = append(p.findings, list[:min(len(list), 5)]...)
		}
		found.paid = countDeeds(deeds, func(d *deed) bool { return d.By == found.by && d.Do == doPay && d.Told == toldDone })
	}
	p.told = append(p.told, sdk.words(x.length), native.words(x.length))
	late, open := len(sdk.late)+len(native.late), len(sdk.unanswered)+len(native.unanswered)
	p.add("Who pays has an answer to every call, and soon", late+open == 0, "%s, %d without an answer, %d later than what passes: %d ms through the SDK, %d ms natively, %d more where a payment was half-way when the site was lost",
		plural(len(waits), "call"), open, late, sdk.passes.Milliseconds(), native.passes.Milliseconds(), halfWay.Milliseconds())
}

func (x *paying) close() error {
	x.client.Close()
	return errors.Join(x.sdk.close(), x.front.close())
}
