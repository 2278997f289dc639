package testbank

import (
	"container/heap"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"holdfast"
	"holdfast/bank/iso20022"
)

// Options of a bank.
type Options struct {
	Dir   string           // of the journal; "" keeps nothing beyond the process
	Clock func() time.Time // nil: the machine's
	Zone  *time.Location   // of the bank's days; nil: UTC
	Late  time.Duration    // messages made longer ago are not taken; 0: 10 minutes
}

// Account is an account of a customer at the bank.
type Account struct {
	Number   string          `json:"number"`
	Asset    holdfast.Asset  `json:"-"`
	Currency string          `json:"currency"`
	Balance  holdfast.Amount `json:"balance"` // in minor units; when it is opened, what is on it
}

// Bank is a bank. It is safe for concurrent use.
type Bank struct {
	options Options
	journal *journal

	mu       sync.Mutex
	last     time.Time // the bank's clock does not go back
	faults   Faults
	dice     dice
	accounts map[string]*book
	payments map[string]*payment
	topUps   map[string]uint64 // by reference of whoever ordered them: the record
	pending  settlement
	number   uint64 // of payments and top-ups, for references
	replies  uint64 // of reports, for their ids
	ended    int    // days that were ended before the clock did
}

// book is an account with all that was ever booked on it.
type book struct {
	Account
	opened   holdfast.Amount
	free     holdfast.Amount // balance less what is accepted and not settled
	lines    []bookLine
	deposits []int // places of the credits in lines
}

type bookLine struct {
	iso20022.Line
	at time.Time
}

// payment is one end-to-end id, for ever.
type payment struct {
	order  iso20022.Order
	number uint64
	at     time.Time // accepted or rejected
	due    time.Time // settled
	reason string    // why rejected; with bounce: only when due
	bounce bool
	booked bool // settled, or bounced, or rejected at once
}

func (p *payment) status() string {
	switch {
	case p.reason != "" && (!p.bounce || p.booked):
		return iso20022.StatusRejected
	case p.booked:
		return iso20022.StatusSettled
	}
	return iso20022.StatusInProgress
}

func (p *payment) ref() string { return ref(p.number) }

func ref(number uint64) string { return fmt.Sprintf("TB%012d", number) }

// record is one line of the journal; the field that is set says what it is.
type record struct {
	At      time.Time       `json:"at"`
	Open    *Account        `json:"open,omitempty"`
	Payment *paymentRecord  `json:"payment,omitempty"`
	TopUp   *TopUp          `json:"top_up,omitempty"`
	Faults  json.RawMessage `json:"faults,omitempty"`
	Release bool            `json:"release,omitempty"`
	EndDay  bool            `json:"end_day,omitempty"`
}

type paymentRecord struct {
	Order  iso20022.Order `json:"order"`
	Due    time.Time      `json:"due,omitzero"`
	Reason string         `json:"reason,omitempty"`
	Bounce bool           `json:"bounce,omitempty"`
}

// TopUp is money that comes in from outside.
type TopUp struct {
	Key      string          `json:"key"` // of whoever orders it: the same key is the same top-up
	Account  string          `json:"account"`
	Amount   holdfast.Amount `json:"amount"` // in minor units of the account's currency
	From     string          `json:"from,omitempty"`
	EndToEnd string          `json:"end_to_end,omitempty"`
	Text     string          `json:"text,omitempty"`
}

// Open opens a bank, with what its journal holds.
func Open(o Options) (*Bank, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Late == 0 {
		o.Late = 10 * time.Minute
	}
	b := &Bank{options: o, accounts: map[string]*book{}, payments: map[string]*payment{}, topUps: map[string]uint64{}, dice: newDice(0)}
	j, err := openJournal(o.Dir, b.replay)
	if err != nil {
		return nil, err
	}
	b.journal = j
	return b, nil
}

// Close closes the journal. Nobody may ask the bank any more.
func (b *Bank) Close() error { return b.journal.close() }

func (b *Bank) replay(text []byte) error {
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return err
	}
	return b.apply(&r)
}

// apply is the one way in which the state changes, now and after a restart.
func (b *Bank) apply(r *record) error {
	b.settle(r.At)
	switch {
	case r.Open != nil:
		return b.applyOpen(r.Open)
	case r.Payment != nil:
		b.applyPayment(r)
	case r.TopUp != nil:
		b.applyTopUp(r)
	case r.Faults != nil:
		b.faults = Faults{}
		if err := json.Unmarshal(r.Faults, &b.faults); err != nil {
			return err
		}
		b.dice = newDice(b.faults.Seed)
	case r.Release:
		for _, p := range b.pending {
			p.due = r.At
		}
		heap.Init(&b.pending)
		b.settle(r.At)
	case r.EndDay:
		b.ended++
	}
	return nil
}

func (b *Bank) applyOpen(a *Account) error {
	asset, err := holdfast.ParseAsset(a.Currency)
	if err != nil {
		return err
	}
	c := *a
	c.Asset = asset
	b.accounts[a.Number] = &book{Account: c, opened: a.Balance, free: a.Balance}
	return nil
}

func (b *Bank) applyPayment(r *record) {
	b.number++
	p := &payment{order: r.Payment.Order, number: b.number, at: r.At, due: r.Payment.Due, reason: r.Payment.Reason, bounce: r.Payment.Bounce}
	b.payments[p.order.EndToEnd] = p
	if p.reason != "" && !p.bounce {
		p.booked = true
		return
	}
	b.accounts[p.order.Debtor].free -= p.order.Amount
	heap.Push(&b.pending, p)
	b.settle(r.At)
}

func (b *Bank) applyTopUp(r *record) {
	b.number++
	t := r.TopUp
	b.topUps[t.Key] = b.number
	a := b.accounts[t.Account]
	a.free += t.Amount
	b.book(a, r.At, iso20022.Line{EndToEnd: t.EndToEnd, BankRef: ref(b.number), Amount: t.Amount, Asset: a.Asset, Other: t.From, Text: t.Text})
}

// settle books everything that is due.
func (b *Bank) settle(now time.Time) {
	if now.After(b.last) {
		b.last = now
	}
	for len(b.pending) > 0 && !b.pending[0].due.After(b.last) {
		p := heap.Pop(&b.pending).(*payment)
		p.booked = true
		a := b.accounts[p.order.Debtor]
		if p.bounce {
			a.free += p.order.Amount
			continue
		}
		b.book(a, p.due, iso20022.Line{
			EndToEnd: p.order.EndToEnd, BankRef: p.ref(), Amount: -p.order.Amount, Asset: a.Asset, Other: p.order.Creditor, Text: p.order.Text,
		})
	}
}

func (b *Bank) book(a *book, at time.Time, l iso20022.Line) {
	l.Day = b.day(at)
	a.Balance += l.Amount
	if l.Amount > 0 {
		a.deposits = append(a.deposits, len(a.lines))
	}
	a.lines = append(a.lines, bookLine{l, at})
}

// day is the beginning, in UTC, of the bank's day that a moment belongs to from now on.
func (b *Bank) day(at time.Time) time.Time {
	y, m, d := at.In(b.options.Zone).Date()
	return time.Date(y, m, d+b.ended, 0, 0, 0, 0, time.UTC)
}

// now is the bank's clock; what is due then has been booked. With mu.
func (b *Bank) now() time.Time {
	b.settle(b.options.Clock().UTC().Truncate(time.Microsecond))
	return b.last
}

// change writes a record down and applies it; whoever tells of it waits for the journal first. With mu.
func (b *Bank) change(r *record) (uint64, error) {
	r.At = b.now()
	n, err := b.journal.add(r)
	if err != nil {
		return 0, err
	}
	return n, b.apply(r)
}

// ErrNo is wrapped by the errors about requests that make no sense.
var ErrNo = errors.New("not possible")

// OpenAccount opens an account with some money on it. Opening one again with the same currency changes nothing.
func (b *Bank) OpenAccount(a Account) error {
	if err := iso20022.CheckAccount(a.Number); err != nil {
		return fmt.Errorf("%w: %w", ErrNo, err)
	}
	if _, _, err := (iso20022.Money{Currency: a.Currency, Text: "0"}).Minor(); err != nil {
		return fmt.Errorf("%w: %w", ErrNo, err)
	}
	return b.locked(func() (uint64, error) {
		if old := b.accounts[a.Number]; old != nil {
			if old.Currency != a.Currency {
				return 0, fmt.Errorf("%w: the account is there and has another currency", ErrNo)
			}
			return b.journal.last(), nil
		}
		return b.change(&record{Open: &a})
	})
}

// locked does something with the state, and waits until what it has seen is on disk.
func (b *Bank) locked(do func() (uint64, error)) error {
	b.mu.Lock()
	n, err := do()
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return b.journal.wait(n)
}

// Credit books money that comes in.
func (b *Bank) Credit(t TopUp) error {
	if t.Key == "" || t.Amount <= 0 {
		return fmt.Errorf("%w: a top-up has a key of whoever orders it, and an amount above 0 in minor units", ErrNo)
	}
	for _, err := range []error{optional(t.EndToEnd, iso20022.CheckID), optional(t.From, iso20022.CheckAccount), optional(t.Text, checkLine)} {
		if err != nil {
			return fmt.Errorf("%w: %w", ErrNo, err)
		}
	}
	return b.locked(func() (uint64, error) {
		a := b.accounts[t.Account]
		if a == nil {
			return 0, fmt.Errorf("%w: no such account: open it first", ErrNo)
		}
		if b.topUps[t.Key] != 0 {
			return b.journal.last(), nil
		}
		if sum, ok := a.Balance.Add(t.Amount); !ok || sum > 1<<60 {
			return 0, fmt.Errorf("%w: that would be more money than there is", ErrNo)
		}
		return b.change(&record{TopUp: &t})
	})
}

func optional(text string, check func(string) error) error {
	if text == "" {
		return nil
	}
	return check(text)
}

func checkLine(text string) error { return iso20022.CheckText(text, iso20022.MaxText) }

// SetFaults tells the bank how to misbehave from now on.
func (b *Bank) SetFaults(f Faults) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrNo, err)
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return b.locked(func() (uint64, error) { return b.change(&record{Faults: text}) })
}

// Release settles at once what is accepted and waits to be settled.
func (b *Bank) Release() error {
	return b.locked(func() (uint64, error) { return b.change(&record{Release: true}) })
}

// EndDay ends the bank's day, as a bank does in the evening: what is booked from now on belongs to the next one. The clock, by which messages are late,
// goes on as it did.
func (b *Bank) EndDay() error {
	return b.locked(func() (uint64, error) { return b.change(&record{EndDay: true}) })
}

// receive carries a message out, once.
func (b *Bank) receive(doc *iso20022.Initiation) (*iso20022.StatusReport, error) {
	made, err := doc.Made()
	if err != nil {
		return nil, err
	}
	orders, err := doc.Orders()
	if err != nil {
		return nil, err
	}
	var list []iso20022.TxStatus
	var at time.Time
	err = b.locked(func() (uint64, error) {
		for i := range orders {
			s, err := b.take(&orders[i], made)
			if err != nil {
				return 0, err
			}
			list = append(list, s)
		}
		at = b.now()
		return b.journal.last(), nil
	})
	if err != nil {
		return nil, err
	}
	return b.report(at, doc.Body.Header.MessageID, list...), nil
}

func (b *Bank) report(at time.Time, messageID string, list ...iso20022.TxStatus) *iso20022.StatusReport {
	b.mu.Lock()
	b.replies++
	id := fmt.Sprintf("TBR%d-%d", at.UnixMilli(), b.replies)
	b.mu.Unlock()
	return iso20022.NewStatusReport(id, at, messageID, list...)
}

// take judges one order. The id comes first: one that is known is answered as before, whatever has changed.
func (b *Bank) take(o *iso20022.Order, made time.Time) (iso20022.TxStatus, error) {
	now := b.now()
	if p := b.payments[o.EndToEnd]; p != nil {
		return b.repeated(p, o), nil
	}
	if now.After(made.Add(b.options.Late)) || made.After(now.Add(b.options.Late)) {
		// It leaves no trace: a message that is made anew, under the same id, is another matter.
		return iso20022.TxStatus{
			EndToEnd: o.EndToEnd, Status: iso20022.StatusRejected,
			Reasons: iso20022.Why(iso20022.ReasonTooLate, false, "made too long ago, or dated ahead"),
		}, nil
	}
	r := &paymentRecord{Order: *o, Reason: b.objection(o)}
	if r.Reason == "" {
		r.Reason = b.faults.Bounce[o.Creditor]
		r.Bounce = r.Reason != ""
		wait := b.faults.SettleMS
		if late, ok := b.faults.Late[o.Creditor]; ok {
			wait = late
		}
		r.Due = now.Add(time.Duration(wait) * time.Millisecond)
	}
	if _, err := b.change(&record{Payment: r}); err != nil {
		return iso20022.TxStatus{}, err
	}
	return statusOf(b.payments[o.EndToEnd]), nil
}

func (b *Bank) objection(o *iso20022.Order) string {
	a := b.accounts[o.Debtor]
	switch {
	case a == nil:
		return iso20022.ReasonAccount
	case a.Asset != o.Asset:
		return iso20022.ReasonForbidden
	case b.faults.Reject[o.Creditor] != "":
		return b.faults.Reject[o.Creditor]
	case a.free < o.Amount:
		return iso20022.ReasonFunds
	}
	return ""
}

func (b *Bank) repeated(p *payment, o *iso20022.Order) iso20022.TxStatus {
	switch {
	case p.order != *o:
		return iso20022.TxStatus{EndToEnd: o.EndToEnd, Reasons: iso20022.Why(iso20022.OtherContent, true, "another payment has this id")}
	case b.faults.Strict:
		return iso20022.TxStatus{
			EndToEnd: o.EndToEnd, Status: iso20022.StatusRejected, Reasons: iso20022.Why(iso20022.ReasonDuplicate, false, ""),
		}
	}
	return statusOf(p)
}

func statusOf(p *payment) iso20022.TxStatus {
	s := iso20022.TxStatus{EndToEnd: p.order.EndToEnd, Status: p.status(), Reference: p.ref()}
	if s.Status == iso20022.StatusRejected {
		s.Reasons = iso20022.Why(p.reason, false, "")
	} else {
		s.Accepted = iso20022.TimeText(p.at)
	}
	return s
}

// ask tells what the bank knows of an id.
func (b *Bank) ask(id string) (report *iso20022.StatusReport, known bool, err error) {
	s := iso20022.TxStatus{EndToEnd: id, Reasons: iso20022.Why(iso20022.NeverHeardOf, true, "nothing under this id")}
	var at time.Time
	err = b.locked(func() (uint64, error) {
		at = b.now()
		if p := b.payments[id]; p != nil {
			s, known = statusOf(p), true
		}
		return b.journal.last(), nil
	})
	return b.report(at, "", s), known, err
}

// settlement is a heap of payments by when they are settled.
type settlement []*payment

func (s settlement) Len() int { return len(s) }

func (s settlement) Less(i, j int) bool {
	if c := s[i].due.Compare(s[j].due); c != 0 {
		return c < 0
	}
	return s[i].number < s[j].number
}

func (s settlement) Swap(i, j int) { s[i], s[j] = s[j], s[i] }

// Push implements heap.Interface.
func (s *settlement) Push(x any) { *s = append(*s, x.(*payment)) }

// Pop implements heap.Interface.
func (s *settlement) Pop() any {
	last := len(*s) - 1
	p := (*s)[last]
	*s = (*s)[:last]
	return p
}
