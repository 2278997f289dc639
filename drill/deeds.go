package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"

	"holdfast"
	"holdfast/client"
)

// deed is one call about a trade, by whichever client, and what it was told.
type deed struct {
	By      string          `json:"by"`      // native, sdk
	Do      string          `json:"do"`      // see below
	Trade   string          `json:"trade"`   // out_trade_no, unique in the drill
	Request string          `json:"request"` // of a refund
	Amount  holdfast.Amount `json:"amount"`  // that was asked for, in fen
	Told    string          `json:"told"`    // see below
	Code    string          `json:"code"`    // of a refusal, or why nothing was told
	Said    holdfast.Amount `json:"said"`    // the amount in the answer; 0: none
	Status  string          `json:"status"`  // in the answer
	Began   int64           `json:"began"`   // Unix milliseconds
	Ended   int64           `json:"ended"`
	seller  holdfast.Owner
}

// What is done.
const (
	doPay         = "pay"
	doQuery       = "query"
	doRefund      = "refund"
	doRefundQuery = "refund-query"
	doCancel      = "cancel"
)

// What is told.
const (
	toldDone    = "done"
	toldRefused = "refused" // nothing was done
	toldUnknown = "unknown" // the caller has to ask
	toldNothing = "nothing" // no answer
)

const (
	byNative = "native"
	bySDK    = "sdk"
)

// maybe reports a call that may have been carried out although nobody said so.
func (d *deed) maybe() bool { return d.Told == toldUnknown || d.Told == toldNothing }

// deedBook is what all callers of a bazaar were told.
type deedBook struct {
	mu   sync.Mutex
	list []deed
}

func (b *deedBook) write(d ...deed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, d...)
}

func (b *deedBook) all() []deed {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.list)
}

// toldBy turns the error of a call of the native client into what it tells.
func toldBy(err error) (told, code string) {
	refusal, ok := errors.AsType[*client.Error](err)
	switch {
	case err == nil:
		return toldDone, ""
	case errors.Is(err, client.ErrUnknown):
		return toldUnknown, err.Error()
	case ok && refusal.Status < http.StatusInternalServerError && refusal.Status != http.StatusTooManyRequests:
		return toldRefused, refusal.Code
	}
	return toldNothing, err.Error()
}

// stand is a trade as a site has it in the end.
type stand struct {
	client.Trade
	there   bool
	refunds []client.Refund
}

func (s *stand) paid() bool { return s.there && !s.Paid.IsZero() }

// dealings is what was found about what was told.
type dealings struct {
	lost, altered, phantom, untrue []string
	trades, paid                   int
}

// judgeDeeds compares what callers were told about each trade with how it stands.
func judgeDeeds(deeds []deed, found map[string]*stand) (out dealings) {
	of := map[string][]deed{}
	for _, d := range deeds {
		of[d.Trade] = append(of[d.Trade], d)
	}
	for _, number := range slices.Sorted(maps.Keys(of)) {
		s := found[number]
		if s == nil {
			s = &stand{}
		}
		out.trades++
		if s.paid() {
			out.paid++
		}
		out.payment(number, of[number], s)
		out.refunds(number, of[number], s)
		out.queries(number, of[number], s)
	}
	return out
}

func say(list *[]string, format string, args ...any) {
	*list = append(*list, fmt.Sprintf(format, args...))
}

func (x *dealings) payment(number string, deeds []deed, s *stand) {
	var asked, acked, possible, cancelled bool
	for i := range deeds {
		d := &deeds[i]
		switch {
		case d.Do == doCancel && d.Told == toldDone:
			cancelled = true
		case d.Do != doPay:
			continue
		}
		if d.Do == doPay {
			asked, acked, possible = true, acked || d.Told == toldDone, possible || d.maybe()
			if s.paid() && s.Amount != d.Amount || d.Told == toldDone && d.Said != d.Amount {
				say(&x.altered, "%s: %d fen were to be paid, %d were answered, %d are in the books", number, d.Amount, d.Said, s.Amount)
			}
		}
	}
	switch {
	case acked && !s.paid():
		say(&x.lost, "%s: the payment was acknowledged, and is not in the books", number)
	case asked && !acked && !possible && s.paid():
		say(&x.phantom, "%s: the payment was refused, and is in the books", number)
	}
	if cancelled && (s.there && s.Status != "TRADE_CLOSED" || s.paid() && s.Refunded != s.Amount) {
		say(&x.lost, "%s: the cancel was acknowledged, and the trade is %s with %d of %d fen given back", number, s.Status, s.Refunded, s.Amount)
	}
}

func (x *dealings) refunds(number string, deeds []deed, s *stand) {
	type asked struct {
		amount          holdfast.Amount
		acked, possible bool
	}
	requests, cancels := map[string]*asked{}, false
	for i := range deeds {
		d := &deeds[i]
		cancels = cancels || d.Do == doCancel && d.Told != toldRefused
		if d.Do != doRefund {
			continue
		}
		r := requests[d.Request]
		if r == nil {
			r = &asked{amount: d.Amount}
			requests[d.Request] = r
		}
		r.acked, r.possible = r.acked || d.Told == toldDone, r.possible || d.maybe()
	}
	sum := holdfast.Amount(0)
	for i := range s.refunds {
		r := &s.refunds[i]
		sum += r.Amount
		q := requests[r.OutRequestNo]
		switch {
		case q == nil && !cancels, q != nil && !q.acked && !q.possible:
			say(&x.phantom, "%s: the refund %s is in the books, and was refused or never asked for", number, r.OutRequestNo)
		case q != nil && q.amount != r.Amount:
			say(&x.altered, "%s: the refund %s was of %d fen, and is of %d", number, r.OutRequestNo, q.amount, r.Amount)
		}
		delete(requests, r.OutRequestNo)
	}
	for name, q := range requests {
		if q.acked {
			say(&x.lost, "%s: the refund %s was acknowledged, and is not in the books", number, name)
		}
	}
	if sum != s.Refunded {
		say(&x.altered, "%s: refunds of %d fen are listed, and %d were given back", number, sum, s.Refunded)
	}
}

// queries have to say what was acknowledged before they were asked, and nothing that is not so in the end.
func (x *dealings) queries(number string, deeds []deed, s *stand) {
	before := func(q *deed, do, request string) bool {
		return slices.ContainsFunc(deeds, func(d deed) bool {
			return d.Do == do && d.Told == toldDone && d.Ended < q.Began && (request == "" || d.Request == request)
		})
	}
	for i := range deeds {
		q := &deeds[i]
		if q.maybe() {
			continue
		}
		switch q.Do {
		case doQuery:
			paid := q.Status == "TRADE_SUCCESS" || q.Status == "TRADE_FINISHED"
			switch {
			case paid && before(q, doCancel, ""):
				say(&x.untrue, "%s: a query said %s after it had been cancelled", number, q.Status)
			case paid && !s.paid():
				say(&x.untrue, "%s: a query said %s, and it has not been paid", number, q.Status)
			case !paid && q.Status != "TRADE_CLOSED" && before(q, doPay, ""):
				say(&x.untrue, "%s: a query said %q after it had been paid", number, cmp.Or(q.Status, q.Code))
			}
		case doRefundQuery:
			done := q.Status == "REFUND_SUCCESS"
			there := slices.ContainsFunc(s.refunds, func(r client.Refund) bool { return r.OutRequestNo == q.Request })
			if done && !there || !done && before(q, doRefund, q.Request) {
				say(&x.untrue, "%s: a query said %q of the refund %s, which is there: %v", number, q.Status, q.Request, there)
			}
		}
	}
}

// till is how much a wallet or a merchant has, and ought to have.
type till struct {
	name      string
	has, want holdfast.Amount
}

// owed works out of the trades what everybody has to have.
func (m *bazaar) owed(found map[string]*stand) (wallets, earned map[holdfast.Owner]holdfast.Amount) {
	wallets, earned = map[holdfast.Owner]holdfast.Amount{}, map[holdfast.Owner]holdfast.Amount{}
	for _, b := range m.buyers {
		wallets[b.owner] = b.brought
	}
	for _, s := range found {
		if s.paid() {
			wallets[s.Payer] -= s.Amount - s.Refunded
			earned[s.Merchant] += s.Amount - s.Refunded - s.Fee + s.FeeReturned
		}
	}
	return wallets, earned
}

// standings reads every trade that anybody has asked for at one site.
func (m *bazaar) standings(ctx context.Context, at *client.Client, deeds []deed) (map[string]*stand, error) {
	sellers := map[string]holdfast.Owner{}
	for i := range deeds {
		sellers[deeds[i].Trade] = deeds[i].seller
	}
	numbers := slices.Sorted(maps.Keys(sellers))
	list := make([]*stand, len(numbers))
	err := atOnce(len(numbers), func(i int) (err error) {
		list[i], err = standing(ctx, at, sellers[numbers[i]], numbers[i])
		return err
	})
	found := map[string]*stand{}
	for i, s := range list {
		found[numbers[i]] = s
	}
	return found, err
}

func standing(ctx context.Context, at *client.Client, seller holdfast.Owner, number string) (*stand, error) {
	t, err := retried(ctx, func(ctx context.Context) (client.Trade, error) { return at.Trade(ctx, seller, number) })
	if refusal, ok := errors.AsType[*client.Error](err); ok && refusal.Status == http.StatusNotFound {
		return &stand{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the trade %s: %w", number, err)
	}
	s := &stand{Trade: t, there: true}
	if t.Refunded == 0 {
		return s, nil
	}
	s.refunds, err = retried(ctx, func(ctx context.Context) ([]client.Refund, error) {
		list, _, err := at.Refunds(ctx, seller, number, "", 0)
		return list, err
	})
	return s, err
}

// tills compares what everybody has at one site with what the trades come to.
func (m *bazaar) tills(ctx context.Context, at *client.Client, found map[string]*stand) (wrong []till, err error) {
	wallets, earned := m.owed(found)
	list := make([]till, len(m.buyers)+len(m.sellers))
	err = atOnce(len(list), func(i int) error {
		if i < len(m.buyers) {
			o := m.buyers[i].owner
			w, err := retried(ctx, func(ctx context.Context) (client.Wallet, error) { return at.Wallet(ctx, o, yuan) })
			list[i] = till{"the wallet of " + o.String(), w.Available, wallets[o]}
			return err
		}
		o := m.sellers[i-len(m.buyers)].owner
		b, err := retried(ctx, func(ctx context.Context) (client.MerchantBalance, error) { return at.MerchantBalance(ctx, o, yuan) })
		list[i] = till{"the merchant " + o.String(), b.Settlement, earned[o]}
		return err
	})
	for _, t := range list {
		if t.has != t.want {
			wrong = append(wrong, t)
		}
	}
	return wrong, err
}

// proveDeeds asks every site how every trade stands, and for everybody's money.
func (m *bazaar) proveDeeds(ctx context.Context, p *prover) error {
	ctx, cancel := context.WithTimeout(ctx, proofTime)
	defer cancel()
	deeds := m.deeds.all()
	var first map[string]*stand
	tally := dealings{}
	pennies, differ := 0, 0
	for i, site := range m.fleet.final().sites {
		found, err := m.standings(ctx, site.own, deeds)
		if err != nil {
			return fmt.Errorf("%s: %w", site.name, err)
		}
		wrong, err := m.tills(ctx, site.own, found)
		if err != nil {
			return fmt.Errorf("%s: read what everybody has: %w", site.name, err)
		}
		for _, t := range wrong {
			p.findings = append(p.findings, fmt.Sprintf("%s: %s has %d fen, and the trades come to %d", site.name, t.name, t.has, t.want))
		}
		pennies += len(wrong)
		if i == 0 {
			first, tally = found, judgeDeeds(deeds, found)
			continue
		}
		for number, s := range found {
			if o := first[number]; s.there != o.there || s.Trade != o.Trade || len(s.refunds) != len(o.refunds) {
				differ++
				p.findings = append(p.findings, fmt.Sprintf("the trade %s stands otherwise at %s", number, site.name))
			}
		}
	}
	for _, list := range [][]string{tally.lost, tally.altered, tally.phantom, tally.untrue} {
		p.findings = append(p.findings, list[:min(len(list), 5)]...)
		if len(list) > 5 {
			p.findings = append(p.findings, fmt.Sprintf("and %d more like these", len(list)-5))
		}
	}
	sites := len(m.fleet.final().sites)
	p.add("Every trade stands as callers were told", len(tally.lost)+len(tally.altered)+len(tally.phantom)+differ == 0,
		"%d trades, of which %d were paid, × %d sites: of %d calls %d acknowledgements are lost, %d altered, %d refusals were done all the same",
		tally.trades, tally.paid, sites, len(deeds), len(tally.lost), len(tally.altered), len(tally.phantom))
	if queries := countDeeds(deeds, func(d *deed) bool { return d.Do == doQuery || d.Do == doRefundQuery }); queries > 0 {
		p.add("Queries tell the truth", len(tally.untrue) == 0, "%d queries, %d of them after an answer that told no outcome: %d untrue", queries, queriesInDoubt(deeds), len(tally.untrue))
	}
	p.add("Wallets and merchants have what the trades come to", pennies == 0, "%d wallets and %d merchants × %d sites, to the penny: %d differ",
		len(m.buyers), len(m.sellers), sites, pennies)
	return nil
}

func countDeeds(deeds []deed, is func(d *deed) bool) (n int) {
	for i := range deeds {
		if is(&deeds[i]) {
			n++
		}
	}
	return n
}

// queriesInDoubt counts the queries that were made because the call before did not tell its outcome.
func queriesInDoubt(deeds []deed) (n int) {
	doubt := map[string]bool{} // by trade, whose calls are made one after the other
	for i := range deeds {
		d := &deeds[i]
		if doubt[d.Trade] && (d.Do == doQuery || d.Do == doRefundQuery) {
			n++
		}
		doubt[d.Trade] = d.maybe()
	}
	return n
}
