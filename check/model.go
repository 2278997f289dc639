package check

import (
	"fmt"
	"math"
	"slices"

	"holdfast"
)

// call is an [Op] with everything looked up: accounts, holds and ids are slots of a flat state, so that stepping the model is
// arithmetic on a small slice. Porcupine steps it millions of times.
type call struct {
	op    *Op
	group int
	txn   int // slot of the decision about the id
	opens []open
	legs  []leg
	read  int // slot of the account read, or of the decision about the id that was looked up; or -1
}

type open struct {
	account int
	limit   holdfast.Limit
}

type leg struct {
	kind          holdfast.Kind
	debit, credit int // slots; -1 when not given
	hold          int // slot of the hold that is made or ended
	amount        int64
}

// An account takes accountSlots slots: 1+limit (0: not open), debits posted and pending, credits posted and pending.
// A hold takes holdSlots: its state, both account slots, its amount. A transaction id takes one.
const (
	accountSlots = 5
	holdSlots    = 4
)

const (
	debitsPosted = 1 + iota
	debitsPending
	creditsPosted
	creditsPending
)

const (
	holdOpen = 1 + iota
	holdEnded
)

const (
	decidedDone = 1 + iota
	decidedRefused
)

// step is the sequential specification: may this call answer as it did in this state, and what state is next? It never
// changes the state given.
func (c *call) step(state []int64) (bool, []int64) {
	if c.op.Read != nil {
		return c.reads(state), state
	}
	status := c.op.Outcome.Status
	switch state[c.txn] {
	case decidedDone:
		return status != holdfast.Refused, state
	case decidedRefused:
		return status != holdfast.Done, state
	}
	next := slices.Clone(state)
	if status == holdfast.Refused && !aboutMoney(c.op.Outcome.Code) {
		next[c.txn] = decidedRefused
		return true, next
	}
	if c.apply(next) {
		next[c.txn] = decidedDone
		return status != holdfast.Refused, next
	}
	next = slices.Clone(state)
	next[c.txn] = decidedRefused
	return status != holdfast.Done, next
}

// advance is step on a state that nobody else keeps: it changes the state in place, and looks only at what the call touches.
// A history in the order of its log is as long as the state is large; copying one for each of the other would be quadratic.
func (c *call) advance(s []int64) bool {
	status := c.op.Outcome.Status
	switch s[c.txn] {
	case decidedDone:
		return status != holdfast.Refused
	case decidedRefused:
		return status != holdfast.Done
	}
	if status == holdfast.Refused && !aboutMoney(c.op.Outcome.Code) {
		s[c.txn] = decidedRefused
		return true
	}
	restore := c.save(s)
	if c.apply(s) {
		s[c.txn] = decidedDone
		return status != holdfast.Refused
	}
	restore()
	s[c.txn] = decidedRefused
	return status != holdfast.Done
}

// save keeps what apply may change, the accounts and the holds, and returns what puts it back.
func (c *call) save(s []int64) (restore func()) {
	type stretch struct {
		at   int
		kept [accountSlots]int64
		n    int
	}
	var list []stretch
	keep := func(at, n int) {
		x := stretch{at: at, n: n}
		copy(x.kept[:], s[at:at+n])
		list = append(list, x)
	}
	for _, account := range c.touches(s) {
		keep(account, accountSlots)
	}
	for i := range c.legs {
		if c.legs[i].kind != holdfast.Immediate {
			keep(c.legs[i].hold, holdSlots)
		}
	}
	return func() {
		for i := range list {
			copy(s[list[i].at:], list[i].kept[:list[i].n])
		}
	}
}

// aboutMoney are the refusals that the model understands well enough to contradict.
func aboutMoney(code holdfast.Code) bool {
	switch code {
	case holdfast.CodeHoldMissing, holdfast.CodeHoldPosted, holdfast.CodeHoldVoided, holdfast.CodeHoldExceeded,
		holdfast.CodeExceedsCredits, holdfast.CodeExceedsDebits:
		return true
	}
	return false
}

func (c *call) reads(s []int64) bool {
	r := c.op.Read
	if !r.Txn.IsZero() {
		return r.Found == (s[c.read] == decidedDone)
	}
	a := s[c.read : c.read+accountSlots]
	if !r.Found || a[0] == 0 {
		return !r.Found && a[0] == 0
	}
	got := r.Account
	return a[debitsPosted] == int64(got.DebitsPosted) && a[debitsPending] == int64(got.DebitsPending) &&
		a[creditsPosted] == int64(got.CreditsPosted) && a[creditsPending] == int64(got.CreditsPending)
}

// apply does all of it on s, or reports that it cannot be done; s is then to be thrown away.
func (c *call) apply(s []int64) bool {
	for _, o := range c.opens {
		if have := s[o.account]; have != 0 && have != 1+int64(o.limit) {
			return false
		}
		s[o.account] = 1 + int64(o.limit)
	}
	for i := range c.legs {
		if !c.legs[i].apply(s) {
			return false
		}
	}
	return true
}

func (l *leg) apply(s []int64) bool {
	switch l.kind {
	case holdfast.Immediate:
		return s[l.debit] != 0 && s[l.credit] != 0 && move(s, l.debit, l.credit, 0, l.amount)
	case holdfast.Hold:
		if s[l.debit] == 0 || s[l.credit] == 0 || s[l.hold] != 0 || !move(s, l.debit, l.credit, 1, l.amount) {
			return false
		}
		s[l.hold], s[l.hold+1], s[l.hold+2], s[l.hold+3] = holdOpen, int64(l.debit), int64(l.credit), l.amount
		return true
	}
	return l.end(s)
}

// end posts, voids or expires: what is held is released, what is posted moves. No limit can be hurt by it.
func (l *leg) end(s []int64) bool {
	h := s[l.hold : l.hold+holdSlots]
	if h[0] != holdOpen || l.amount > h[3] {
		return false
	}
	debit, credit, amount := int(h[1]), int(h[2]), h[3]
	h[0] = holdEnded
	s[debit+debitsPending] -= amount
	s[credit+creditsPending] -= amount
	if l.kind != holdfast.Post {
		return true
	}
	if l.amount != 0 {
		amount = l.amount
	}
	s[debit+debitsPosted] += amount
	s[credit+creditsPosted] += amount
	return true
}

// move adds to both sides (posted, or pending with offset 1) and then checks the limits.
func move(s []int64, debit, credit, offset int, amount int64) bool {
	d, c := s[debit:debit+accountSlots], s[credit:credit+accountSlots]
	if d[debitsPosted] > math.MaxInt64-d[debitsPending]-amount || c[creditsPosted] > math.MaxInt64-c[creditsPending]-amount {
		return false
	}
	d[debitsPosted+offset] += amount
	c[creditsPosted+offset] += amount
	return inLimit(d) && inLimit(c)
}

func inLimit(a []int64) bool {
	switch holdfast.Limit(a[0] - 1) {
	case holdfast.LimitDebits:
		return a[debitsPosted]+a[debitsPending] <= a[creditsPosted]
	case holdfast.LimitCredits:
		return a[creditsPosted]+a[creditsPending] <= a[debitsPosted]
	}
	return true
}

// describe gives a call in one line for explanations.
func (c *call) describe() string {
	at := fmt.Sprintf("client %d [%d, %d] ", c.op.Client, c.op.Call, c.op.Return)
	if c.op.Outcome.Status == holdfast.Unknown && c.op.Read == nil {
		at = fmt.Sprintf("client %d [%d, ...] ", c.op.Client, c.op.Call)
	}
	if r := c.op.Read; r != nil {
		switch {
		case !r.Txn.IsZero() && r.Found:
			return at + "finds " + r.Txn.String() + " done"
		case !r.Txn.IsZero():
			return at + "does not find " + r.Txn.String()
		case !r.Found:
			return at + "reads " + r.Account.ID.String() + ": no such account"
		}
		return at + "reads " + r.Account.ID.String() + ": " + sums(&r.Account)
	}
	return at + c.op.Txn.ID.String() + c.describeLegs() + ": " + c.op.Outcome.Status.String() + " (" + c.op.Outcome.Code.String() + ")"
}

func (c *call) describeLegs() string {
	text := ""
	for i := range c.op.Txn.Transfers {
		if i == 3 {
			return text + " ..."
		}
		t := &c.op.Txn.Transfers[i]
		text += fmt.Sprintf(" %s %d", t.Kind, t.Amount)
		if t.Kind <= holdfast.Hold {
			text += fmt.Sprintf(" %s -> %s", t.Debit, t.Credit)
		} else {
			text += " of " + t.Hold.String()
		}
	}
	return text
}
