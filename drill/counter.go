package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"holdfast"
	"holdfast/client"
)

// counter is the business of the drills of banks: customers bring money to their wallets by transfers at the bank, and withdraw it. Beside it
// others buy in shops, and have nothing to do with the bank.
type counter struct {
	*bazaar
	bank    *testBank
	patrons []*patron
	wild    bool // some withdrawals go to accounts that come to nothing, and some are recalled

	mu     sync.Mutex
	orders []*withdrawal
	tops   []*deposit
	errs   []error
}

// patron is a customer of the platform who has to do with the bank.
type patron struct {
	owner   holdfast.Owner
	account string // at the bank
}

// deposit is money that a customer has brought: the transfer at the bank, and what the platform says of it.
type deposit struct {
	of     *patron
	number string
	amount holdfast.Amount
	stands client.TopUp
}

const (
	patronsAll    = 8
	patronBrings  = holdfast.Amount(1_000_000) // at first
	withdrawEvery = 220 * time.Millisecond
	topUpEvery    = 900 * time.Millisecond
	counterShops  = 2
	shopEvery     = 200 * time.Millisecond
	// lookEvery is how often a customer looks how far a withdrawal is.
	lookEvery = 1500 * time.Millisecond
	lookHands = 4
	// recallAfter is how long a customer waits who wants the money back.
	recallAfter = 900 * time.Millisecond
)

func openBankDown(ctx context.Context, r *run) (business, error) { return openCounters(ctx, r, false) }

func openBankLies(ctx context.Context, r *run) (business, error) { return openCounters(ctx, r, true) }

func openCounters(ctx context.Context, r *run, wild bool) (business, error) {
	m, err := newBazaar(ctx, r, stalls{sellers: 3, buyers: 21, phones: 2, money: 10_000_000})
	if err != nil {
		return nil, err
	}
	x := &counter{bazaar: m, bank: r.fleet.bank, wild: wild}
	for i := range patronsAll {
		x.patrons = append(x.patrons, &patron{account: fmt.Sprintf("62170000000%08d", i+1)})
	}
	ctx, cancel := context.WithTimeout(ctx, bazaarTime)
	defer cancel()
	r.view.say(fmt.Sprintf("%d customers bring their first money by the bank", patronsAll))
	if err := x.bank.misbehave(ctx, counterFaults(nil)); err != nil {
		return nil, err
	}
	err = atOnce(len(x.patrons), func(i int) (err error) {
		p := x.patrons[i]
		if p.owner, err = x.issue(ctx); err != nil {
			return err
		}
		n := client.NewCustomer{ID: p.owner, Assets: []holdfast.Asset{yuan}}
		if err := insist(ctx, func() error { _, err := x.client.RegisterCustomer(ctx, n); return err }); err != nil {
			return err
		}
		return x.bring(ctx, p, fmt.Sprintf("first-%d", i), patronBrings)
	})
	if err == nil {
		err = x.credited(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("bring the first money: %w", err)
	}
	return x, nil
}

// bring announces a top-up, and transfers the money at the bank with its reference in the text.
func (x *counter) bring(ctx context.Context, p *patron, number string, amount holdfast.Amount) error {
	d := &deposit{of: p, number: number, amount: amount}
	err := insist(ctx, func() (err error) {
		d.stands, err = x.client.AnnounceTopUp(ctx, p.owner, client.Money{Number: number, Asset: yuan, Amount: amount})
		return err
	})
	if err != nil {
		return fmt.Errorf("announce the top-up %s: %w", number, err)
	}
	x.mu.Lock()
	x.tops = append(x.tops, d)
	x.mu.Unlock()
	return x.bank.tell(ctx, http.MethodPost, "/control/topups", map[string]any{
		"key": number, "account": counterAccount, "amount": amount, "from": p.account, "text": "top-up " + d.stands.Reference,
	}, nil)
}

// credited waits until all that was brought so far is in the wallets.
func (x *counter) credited(ctx context.Context) error {
	return atOnce(len(x.tops), func(i int) error {
		return insist(ctx, func() (err error) {
			d := x.tops[i]
			if d.stands, err = x.client.TopUp(ctx, d.of.owner, d.number); err == nil && d.stands.Status != paidOut {
				err = fmt.Errorf("the top-up %s is %q", d.number, d.stands.Status)
			}
			return err
		})
	})
}

func (x *counter) wrong(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil {
		x.errs = append(x.errs, err)
	}
}

func (x *counter) trade(ctx, until context.Context) {
	var work sync.WaitGroup
	for i := range counterShops {
		work.Go(func() {
			for n := 0; until.Err() == nil; n++ {
				began := time.Now()
				x.round(ctx, x.sellers[i%len(x.sellers)], fmt.Sprintf("shop-%d-%d", i, n), n)
				_ = rest(until, shopEvery-time.Since(began))
			}
		})
	}
	work.Go(func() {
		for n := 0; rest(until, withdrawEvery) == nil; n++ {
			work.Go(func() { x.withdraw(ctx, until, n) })
		}
	})
	work.Go(func() {
		for n := 0; rest(until, topUpEvery) == nil; n++ {
			work.Go(func() {
				bring, cancel := context.WithTimeout(ctx, bazaarTime)
				defer cancel()
				x.wrong(x.bring(bring, x.patrons[n%len(x.patrons)], fmt.Sprintf("top-up-%d", n), holdfast.Amount(10_000+n)))
			})
		}
	})
	for hand := range lookHands {
		work.Go(func() { x.look(ctx, until, hand) })
	}
	work.Wait()
}

// order is the call.
func (w *withdrawal) order() client.Withdrawal {
	return client.Withdrawal{
		Money: client.Money{Number: w.number, Asset: yuan, Amount: w.amount}, Account: &client.BankAccount{Number: w.account, Holder: "Li Lei"},
	}
}

// withdraw orders one withdrawal, and makes the call again, with the same number, while nobody knows what became of it.
func (x *counter) withdraw(ctx, until context.Context, n int) {
	p := x.patrons[n%len(x.patrons)]
	w := &withdrawal{number: fmt.Sprintf("w-%d", n), of: p, account: p.account, amount: holdfast.Amount(1_000 + n)}
	if x.wild {
		switch n % 12 {
		case 5:
			w.account, w.hopeless = refusedAccount, true
		case 11:
			w.account, w.hopeless = bouncedAccount, true
		}
		w.recalled = n%7 == 3
	}
	for began := time.Now(); ; {
		v, err := x.client.Withdraw(ctx, p.owner, w.order())
		if w.told, _ = toldBy(err); w.told == toldDone {
			w.hear(time.Now(), v)
		}
		if w.told != toldUnknown || time.Since(began) > payDeadline {
			break
		}
	}
	w.asked = time.Now()
	x.mu.Lock()
	x.orders = append(x.orders, w)
	x.mu.Unlock()
	if w.told != toldDone || !w.recalled {
		return
	}
	_ = rest(until, recallAfter)
	call, cancel := context.WithTimeout(ctx, bazaarTime)
	defer cancel()
	x.wrong(insist(call, func() error {
		v, err := x.client.Recall(call, p.owner, w.number)
		if told, _ := toldBy(err); told == toldRefused {
			return nil // it has ended meanwhile
		}
		if err == nil {
			x.heard(w, v)
		}
		return err
	}))
}

// heard is hear when others look as well.
func (x *counter) heard(w *withdrawal, v client.Payout) {
	x.mu.Lock()
	defer x.mu.Unlock()
	w.hear(time.Now(), v)
}

// look asks how far withdrawals are: whose turn it is of this hand, again and again.
func (x *counter) look(ctx, until context.Context, hand int) {
	for rest(until, lookEvery) == nil {
		for i, w := range x.waiting() {
			if i%lookHands != hand || until.Err() != nil {
				continue
			}
			x.ask(ctx, w)
		}
	}
}

// ask asks for one withdrawal, at the nearest site that answers.
func (x *counter) ask(ctx context.Context, w *withdrawal) {
	if v, err := x.client.Payout(ctx, w.of.owner, w.number); err == nil {
		x.heard(w, v)
	}
}

// waiting are the withdrawals that have not ended, as far as is known.
func (x *counter) waiting() (list []*withdrawal) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, w := range x.orders {
		if w.told != toldRefused && !w.over() {
			list = append(list, w)
		}
	}
	return list
}

// book is the bank's own, of one account; of a day, or "" of all.
func (x *counter) book(ctx context.Context, account, day string) (list []bankEntry, err error) {
	path := "/control/book"
	if day != "" {
		path += "?day=" + day
	}
	return list, x.bank.tellOf(ctx, account, http.MethodGet, path, nil, &list)
}

func (x *counter) close() error {
	x.client.Close()
	return nil
}

// questions sums up what the sites have asked the bank, by what came of it.
func (x *counter) questions(ctx context.Context) (all, nothing int, err error) {
	for _, m := range x.fleet.final().sites {
		text, err := scrape(ctx, m.url)
		if err != nil {
			return 0, 0, fmt.Errorf("%s: %w", m.name, err)
		}
		for line := range strings.Lines(text) {
			var n float64
			name, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
			if _, err := fmt.Sscan(value, &n); err != nil || !strings.HasPrefix(name, "holdfast_bank_calls_total{") || !strings.Contains(name, `bank="`+counterBank+`"`) {
				continue
			}
			all += int(n)
			if strings.Contains(name, `result="unknown"`) {
				nothing += int(n)
			}
		}
	}
	return all, nothing, nil
}

// scrape reads the metrics of a site.
func scrape(ctx context.Context, base string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/metrics", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(text), err
}
