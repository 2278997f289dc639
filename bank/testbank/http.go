package testbank

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"holdfast"
	"holdfast/bank/iso20022"
)

// AccountHeader names the account of a request: numbers of accounts do not belong into URLs, which are logged.
const AccountHeader = "Account"

const xmlType = "application/xml; charset=utf-8"

// Payments is the bank's face to its customers:
//
//	POST /v1/payments              pain.001 -> pacs.002
//	GET  /v1/payments?id=ID        pacs.002; 404, with a pacs.002 that says so, for what the bank has never heard of
//	GET  /v1/statements?day=DAY    camt.053 of the account in the header Account
//	GET  /v1/deposits?after=N      camt.054 of what came into the account in the header Account
func (b *Bank) Payments() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST /v1/payments", b.postPayments)
	m.HandleFunc("GET /v1/payments", b.getPayment)
	m.HandleFunc("GET /v1/statements", b.getStatement)
	m.HandleFunc("GET /v1/deposits", b.getDeposits)
	return b.misbehaving(m)
}

// fate is what is drawn for one request.
type fate struct {
	down                          string
	slow, reply, hold             time.Duration
	loseRequest, loseReply, twice bool
}

func (b *Bank) draw() (f fate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	f.down, f.slow, f.reply = b.faults.Down, ms(b.faults.SlowMS), ms(b.faults.ReplyMS)
	f.loseRequest = b.dice.hits(b.faults.LoseRequests)
	f.loseReply = b.dice.hits(b.faults.LoseReplies)
	f.twice = b.dice.hits(b.faults.Twice)
	if b.dice.hits(b.faults.Hold) {
		f.hold = ms(b.faults.HoldMS)
	}
	return f
}

type fateKey struct{}

// abort ends the connection without a word.
func abort() { panic(http.ErrAbortHandler) }

// misbehaving is a handler between which and its callers things go wrong.
func (b *Bank) misbehaving(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := b.draw()
		switch f.down {
		case downRefuse:
			abort()
		case downHang:
			<-r.Context().Done()
			abort()
		case downError:
			http.Error(w, "the bank is closed", http.StatusServiceUnavailable)
			return
		}
		if !pause(r.Context(), f.slow) || f.loseRequest {
			abort()
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), fateKey{}, f)))
	})
}

// pause waits; false means that the caller has gone.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (b *Bank) postPayments(w http.ResponseWriter, r *http.Request) {
	f, _ := r.Context().Value(fateKey{}).(fate)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, iso20022.MaxMessage))
	if err != nil {
		http.Error(w, "the message could not be read: "+err.Error(), http.StatusBadRequest)
		return
	}
	doc, err := iso20022.ReadInitiation(bytes.NewReader(body))
	if err != nil {
		http.Error(w, "the message is refused as a whole: "+err.Error(), http.StatusBadRequest)
		return
	}
	if f.hold > 0 { // it is on its way for longer than anybody waits; a bank that is killed meanwhile never gets it
		time.AfterFunc(f.hold, func() { _, _ = b.receive(doc) })
		abort()
	}
	report, err := b.receive(doc)
	if err == nil && f.twice {
		report, err = b.twice(doc, report)
	}
	b.answer(w, r, http.StatusOK, report, err)
}

// twice receives a message once more, and answers with both reports in one, the later one in front.
func (b *Bank) twice(doc *iso20022.Initiation, before *iso20022.StatusReport) (*iso20022.StatusReport, error) {
	report, err := b.receive(doc)
	if err == nil {
		report.Body.Transactions = append(report.Body.Transactions, before.Body.Transactions...)
	}
	return report, err
}

func (b *Bank) getPayment(w http.ResponseWriter, r *http.Request) {
	f, _ := r.Context().Value(fateKey{}).(fate)
	id := r.URL.Query().Get("id")
	if err := iso20022.CheckID(id); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	report, known, err := b.ask(id)
	status := http.StatusOK
	if !known {
		status = http.StatusNotFound
	}
	if err == nil && f.twice {
		report.Body.Transactions = append(report.Body.Transactions, report.Body.Transactions...)
	}
	b.answer(w, r, status, report, err)
}

// encoded is a message.
type encoded interface{ Encode() ([]byte, error) }

// answer is where replies get lost. A bank whose journal has failed says nothing any more.
func (b *Bank) answer(w http.ResponseWriter, r *http.Request, status int, doc encoded, err error) {
	f, _ := r.Context().Value(fateKey{}).(fate)
	if err == nil && (!pause(r.Context(), f.reply) || f.loseReply) {
		abort()
	}
	var text []byte
	if err == nil {
		text, err = doc.Encode()
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", xmlType)
	w.WriteHeader(status)
	_, _ = w.Write(text) // whoever has gone asks again
}

func refuse(w http.ResponseWriter, err error) {
	if !errors.Is(err, ErrNo) {
		abort()
	}
	http.Error(w, err.Error(), http.StatusBadRequest)
}

func (b *Bank) getStatement(w http.ResponseWriter, r *http.Request) {
	day, err := iso20022.ParseDay(r.URL.Query().Get("day"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", xmlType)
	if err := b.statement(w, r.Header.Get(AccountHeader), day); err != nil {
		w.Header().Del("Content-Type")
		refuse(w, err)
	}
}

func (b *Bank) getDeposits(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.ParseUint(r.URL.Query().Get("after"), 10, 63)
	if err != nil {
		http.Error(w, "after is the number up to which deposits are known: a whole number, 0 at first", http.StatusBadRequest)
		return
	}
	most := maxDeposits
	if text := r.URL.Query().Get("max"); text != "" {
		if most, err = strconv.Atoi(text); err != nil || most < 1 {
			http.Error(w, "max is a whole number above 0", http.StatusBadRequest)
			return
		}
	}
	doc, err := b.deposits(r.Header.Get(AccountHeader), after, most)
	b.answer(w, r, http.StatusOK, doc, err)
}

// State is what the bank really has done.
type State struct {
	Accounts []Account      `json:"accounts"`
	Payments map[string]int `json:"payments"` // how many there are, by status
}

// Truth is what has really become of one payment, whatever the bank answers.
type Truth struct {
	Status string `json:"status"` // "" if there is none
	Booked int    `json:"booked"` // how many times money has left the account for it
}

// State tells what the bank really has done.
func (b *Bank) State() (s State, err error) {
	s = State{Accounts: []Account{}, Payments: map[string]int{}}
	err = b.locked(func() (uint64, error) {
		b.now()
		for _, a := range b.accounts {
			s.Accounts = append(s.Accounts, a.Account)
		}
		for _, p := range b.payments {
			s.Payments[p.status()]++
		}
		return b.journal.last(), nil
	})
	return s, err
}

// Truth tells what has really become of a payment.
func (b *Bank) Truth(id string) (t Truth, err error) {
	err = b.locked(func() (uint64, error) {
		b.now()
		if p := b.payments[id]; p != nil {
			t.Status = p.status()
		}
		for _, a := range b.accounts {
			for i := range a.lines {
				if a.lines[i].EndToEnd == id && a.lines[i].Amount < 0 {
					t.Booked++
				}
			}
		}
		return b.journal.last(), nil
	})
	return t, err
}

// Entry is one line of the bank's book of an account, as it was really booked and as its statement has it.
type Entry struct {
	EndToEnd string            `json:"end_to_end"`
	Ref      string            `json:"ref"`
	Amount   holdfast.Amount   `json:"amount"` // that was booked, below 0 where money went out; 0: the statement alone has it
	Other    string            `json:"other"`
	Text     string            `json:"text"`
	Day      string            `json:"day"`
	At       time.Time         `json:"at,omitzero"`
	Stated   []holdfast.Amount `json:"stated"` // the amounts of its lines in the statement of the day
}

// Book lists what was booked on an account, in order; a day that is not zero alone, and then with what its statement has invented.
func (b *Bank) Book(number string, day time.Time) (list []Entry, err error) {
	list = []Entry{}
	err = b.locked(func() (uint64, error) {
		b.now()
		a := b.accounts[number]
		if a == nil {
			return 0, fmt.Errorf("%w: no such account", ErrNo)
		}
		for i := range a.lines {
			if l := &a.lines[i]; day.IsZero() || l.Day.Equal(day) {
				list = append(list, entryOf(&l.Line, l.Amount, l.at, b.misstate(&l.Line)))
			}
		}
		if !day.IsZero() {
			for _, l := range b.invented(a, day) {
				list = append(list, entryOf(&l, 0, time.Time{}, []iso20022.Line{l}))
			}
		}
		return b.journal.last(), nil
	})
	return list, err
}

func entryOf(l *iso20022.Line, amount holdfast.Amount, at time.Time, stated []iso20022.Line) Entry {
	e := Entry{EndToEnd: l.EndToEnd, Ref: l.BankRef, Amount: amount, Other: l.Other, Text: l.Text, Day: iso20022.DayText(l.Day), At: at, Stated: []holdfast.Amount{}}
	for i := range stated {
		e.Stated = append(e.Stated, stated[i].Amount)
	}
	return e
}

func (b *Bank) getBook(w http.ResponseWriter, r *http.Request) {
	var day time.Time
	if text := r.URL.Query().Get("day"); text != "" {
		var err error
		if day, err = iso20022.ParseDay(text); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	list, err := b.Book(r.Header.Get(AccountHeader), day)
	told(w, list, err)
}

// Control is the bank's face to those who torment it; JSON:
//
//	GET  /control/faults   PUT /control/faults    [Faults], all of them
//	POST /control/accounts                        [Account]
//	POST /control/topups                          [TopUp]
//	POST /control/release                         what is accepted is settled now
//	POST /control/day                             the bank's day ends now
//	GET  /control/state                           [State]
//	GET  /control/payments?id=ID                  [Truth]
//	GET  /control/book?day=DAY                    [Entry], all of the account in the header Account, or those of a day
func (b *Bank) Control() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /control/faults", func(w http.ResponseWriter, _ *http.Request) {
		b.mu.Lock()
		f := b.faults.copy()
		b.mu.Unlock()
		told(w, f, nil)
	})
	m.HandleFunc("PUT /control/faults", func(w http.ResponseWriter, r *http.Request) { order(w, r, b.SetFaults) })
	m.HandleFunc("POST /control/accounts", func(w http.ResponseWriter, r *http.Request) { order(w, r, b.OpenAccount) })
	m.HandleFunc("POST /control/topups", func(w http.ResponseWriter, r *http.Request) { order(w, r, b.Credit) })
	m.HandleFunc("POST /control/release", func(w http.ResponseWriter, _ *http.Request) { told(w, struct{}{}, b.Release()) })
	m.HandleFunc("POST /control/day", func(w http.ResponseWriter, _ *http.Request) { told(w, struct{}{}, b.EndDay()) })
	m.HandleFunc("GET /control/book", b.getBook)
	m.HandleFunc("GET /control/state", func(w http.ResponseWriter, _ *http.Request) {
		s, err := b.State()
		told(w, s, err)
	})
	m.HandleFunc("GET /control/payments", func(w http.ResponseWriter, r *http.Request) {
		t, err := b.Truth(r.URL.Query().Get("id"))
		told(w, t, err)
	})
	return m
}

// order reads one JSON value, strictly, and carries it out.
func order[T any](w http.ResponseWriter, r *http.Request, do func(T) error) {
	var v T
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		http.Error(w, "the request is not the JSON that is wanted here: "+err.Error(), http.StatusBadRequest)
		return
	}
	told(w, v, do(v))
}

func told(w http.ResponseWriter, v any, err error) {
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // whoever has gone does not read it
}
