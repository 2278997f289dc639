package drill

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"holdfast"
	"holdfast/client"
)

// bankEntry is one line of the bank's own book, as its control tells it: what was really booked, and what the statement of that day says.
type bankEntry struct {
	EndToEnd string            `json:"end_to_end"`
	Ref      string            `json:"ref"`
	Amount   holdfast.Amount   `json:"amount"` // below 0: it went out. 0: only the statement has it
	Other    string            `json:"other"`  // account on the other side
	Text     string            `json:"text"`
	Day      string            `json:"day"`
	Stated   []holdfast.Amount `json:"stated"`
}

// withdrawal is money that a customer has ordered to be paid to a bank, and all that the customer was told of it.
type withdrawal struct {
	number   string
	of       *patron
	account  string // at the bank
	amount   holdfast.Amount
	asked    time.Time // when the order was answered
	told     string    // of the order: toldDone, toldRefused, toldUnknown, toldNothing
	recalled bool      // the customer wanted the money back
	hopeless bool      // the bank takes no payment to that account
	words    []word
	stands   client.Payout // as it stood when it was asked about last
}

// word is what a customer was told of a withdrawal that waits, and when.
type word struct {
	at       time.Time
	status   string
	estimate *client.Estimate
}

// hear notes what was told of a withdrawal.
func (w *withdrawal) hear(at time.Time, v client.Payout) {
	w.stands = v
	w.words = append(w.words, word{at, v.Status, v.Estimate})
}

// Statuses of a withdrawal that has ended.
const (
	paidOut   = "done"
	givenBack = "returned"
)

func (w *withdrawal) over() bool { return w.stands.Status == paidOut || w.stands.Status == givenBack }

// text is what the platform writes into its order to the bank.
func (w *withdrawal) text() string { return "withdrawal " + w.number }

// passbook is what was found by holding the bank's own book against what customers ordered and were told, item by item.
type passbook struct {
	missing, doubled, altered, unasked, untrue, open []string
	paid, back                                       int
	sum                                              holdfast.Amount // that the bank has paid for them
}

func (x *passbook) wrong() int {
	return len(x.missing) + len(x.doubled) + len(x.altered) + len(x.unasked) + len(x.untrue) + len(x.open)
}

func (x *passbook) findings() (out []string) {
	for _, list := range [][]string{x.missing, x.doubled, x.altered, x.unasked, x.untrue, x.open} {
		out = append(out, list[:min(len(list), 5)]...)
		if len(list) > 5 {
			out = append(out, fmt.Sprintf("and %d more like these", len(list)-5))
		}
	}
	return out
}

// judgeWithdrawals compares what went out at the bank with what was ordered. book are the lines of the account.
func judgeWithdrawals(list []*withdrawal, book []bankEntry) (out passbook) {
	booked := map[string][]bankEntry{}
	for _, e := range book {
		if e.Amount < 0 {
			booked[e.Text] = append(booked[e.Text], e)
		}
	}
	for _, w := range list {
		lines := booked[w.text()]
		delete(booked, w.text())
		out.withdrawal(w, lines)
	}
	for _, text := range slices.Sorted(maps.Keys(booked)) {
		for _, e := range booked[text] {
			say(&out.unasked, "the bank has paid %d fen to %s (%q), and nobody has ordered that", -e.Amount, e.Other, text)
		}
	}
	return out
}

func (x *passbook) withdrawal(w *withdrawal, lines []bankEntry) {
	for _, e := range lines {
		x.sum -= e.Amount
	}
	ended := w.stands.Status
	switch {
	case w.told == toldRefused:
		if len(lines) > 0 {
			say(&x.untrue, "%s: the order was refused, and the bank has paid it", w.number)
		}
		return
	case !w.over():
		say(&x.open, "%s: it is still %q, and the bank has paid it %s", w.number, ended, often(len(lines)))
		return
	case ended == paidOut && len(lines) == 0:
		say(&x.missing, "%s: %d fen are paid, says the ledger, and the bank has not paid them", w.number, w.amount)
	case len(lines) > 1:
		say(&x.doubled, "%s: the bank has paid %d fen %s", w.number, w.amount, often(len(lines)))
	case ended == givenBack && !w.hopeless && !w.recalled:
		say(&x.untrue, "%s: the money was given back (%s), though nothing stood against paying it", w.number, w.stands.Reason)
	}
	if n := slices.IndexFunc(w.words, func(t word) bool { return t.status == givenBack }); n >= 0 && (len(lines) > 0 || ended == paidOut) {
		say(&x.untrue, "%s: the customer was told that the money is back, and the bank has paid it", w.number)
	}
	if w.stands.Amount != w.amount {
		say(&x.altered, "%s: %d fen were ordered, and the order is of %d", w.number, w.amount, w.stands.Amount)
	}
	for _, e := range lines {
		switch {
		case -e.Amount != w.amount:
			say(&x.altered, "%s: %d fen were ordered, and the bank has paid %d", w.number, w.amount, -e.Amount)
		case e.Other != w.account:
			say(&x.altered, "%s: it was for %s, and the bank has paid %s", w.number, w.account, e.Other)
		case ended == paidOut && w.stands.Bank != e.Ref:
			say(&x.altered, "%s: the bank calls the payment %s, and the ledger knows it as %q", w.number, e.Ref, w.stands.Bank)
		}
	}
	if ended == paidOut {
		x.paid++
	} else {
		x.back++
	}
}

func often(n int) string {
	switch n {
	case 0:
		return "not at all"
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

// outage is a stretch in which the bank did not answer.
type outage struct{ from, until time.Time }

// promises is what was found about the estimates that customers were told while the bank was down.
type promises struct {
	broken   []string
	told     int           // while it was down
	timed    int           // of those, with a time
	queued   int           // withdrawals that waited when the bank was back
	soonest  time.Duration // the longest that was told, if the bank answered from then on
	took     time.Duration // the longest that any took, from when the bank answered again
	recovery time.Duration // from when the bank was back until it was heard
	likely   int           // of those with a time, how many were told when the outage was half over or more: all of these have to hold
	last     time.Duration // from when the bank was back until the last of what waited was paid
}

const (
	// noticed is how long everybody may take to hear that a bank is down, or that another site speaks with it, which tells the others every second.
	noticed = 4 * time.Second
	// grace is what an estimate is given besides: it tells whole seconds, and the clocks of a busy machine.
	estimateGrace = 1500 * time.Millisecond
)

// judgeEstimates holds what was told while the bank was down against what happened. "Soonest" counts from the moment at which the bank answers
// again; "likely" has to hold whenever the outage did not last longer, from then on, than it had lasted. What is told while the site that speaks with the
// bank has been lost, and the next one has not been heard yet, is of before: changes are those moments.
func judgeEstimates(list []*withdrawal, down []outage, changes []time.Time) (out promises) {
	for _, o := range down {
		out.outage(list, o, changes)
	}
	return out
}

func (x *promises) outage(list []*withdrawal, o outage, changes []time.Time) {
	waits := func(w *withdrawal) bool { // money that the bank was to pay, and had not when it came back
		return w.stands.Status == paidOut && !w.recalled && w.asked.Before(o.until) && w.stands.Since.After(o.until)
	}
	var heard time.Time // again
	for _, w := range list {
		if waits(w) && (heard.IsZero() || w.stands.Since.Before(heard)) {
			heard = w.stands.Since
		}
	}
	if heard.IsZero() {
		return
	}
	x.recovery = max(x.recovery, heard.Sub(o.until))
	for _, w := range list {
		if !waits(w) {
			continue
		}
		x.queued++
		x.last, x.took = max(x.last, w.stands.Since.Sub(o.until)), max(x.took, w.stands.Since.Sub(heard))
		for _, t := range w.words {
			old := slices.ContainsFunc(changes, func(c time.Time) bool { return t.at.After(c) && t.at.Before(c.Add(noticed)) })
			if t.at.After(o.from.Add(noticed)) && t.at.Before(o.until) && !old {
				x.word(w, &t, heard, ahead(list, w, t.at))
			}
		}
	}
}

// ahead is how many orders came before one, when it was asked about, that had been made a while before and were not paid.
func ahead(list []*withdrawal, w *withdrawal, at time.Time) (n int) {
	for _, o := range list {
		if o != w && o.told == toldDone && !o.recalled && o.asked.Before(w.asked) && o.asked.Before(at.Add(-noticed)) && (!o.over() || o.stands.Since.After(at)) {
			n++
		}
	}
	return n
}

func (x *promises) word(w *withdrawal, t *word, heard time.Time, ahead int) {
	x.told++
	e, paid := t.estimate, w.stands.Since
	switch {
	case e == nil:
		say(&x.broken, "%s: nothing was told of when the bank will have it", w.number)
		return
	case !e.Down:
		say(&x.broken, "%s: it was told that the bank answers, %.1f s before it did again", w.number, heard.Sub(t.at).Seconds())
		return
	case e.Ahead < ahead:
		say(&x.broken, "%s: %d orders were told to come before it, and %d did", w.number, e.Ahead, ahead)
	}
	if e.Soonest == nil || e.Likely == nil {
		return
	}
	x.timed++
	soonest, likely := time.Duration(*e.Soonest)*time.Second, time.Duration(*e.Likely)*time.Second
	x.soonest = max(x.soonest, soonest)
	if late := paid.Sub(heard) - soonest; late > estimateGrace {
		say(&x.broken, "%s: %v at the soonest was told, and it took %.1f s from when the bank answered again", w.number, soonest, paid.Sub(heard).Seconds())
	}
	if heard.Sub(t.at) > t.at.Sub(e.DownSince) {
		return // it has lasted longer than as long again: half of them do
	}
	x.likely++
	if took := paid.Sub(t.at); took > likely+estimateGrace {
		say(&x.broken, "%s: %v was told as likely, and it took %.1f s", w.number, likely, took.Seconds())
	}
}

// planted is a difference between the statements of a bank and the ledger, by what the bank says of its own lies.
type planted struct{ key, kind string }

// Kinds of differences that a bank can bring about by its statements alone.
const (
	caseNotAtBank   = "not at the bank"
	caseNotInLedger = "not in the ledger"
	caseOtherAmount = "another amount"
	caseTwice       = "booked twice"
	caseGap         = "the statement does not go on from the one before"
)

var caseKinds = map[int]string{1: caseNotAtBank, 2: caseNotInLedger, 3: caseOtherAmount, 5: caseTwice, 10: caseGap}

func kindOf(c *client.Case) string {
	return cmp.Or(caseKinds[c.Kind], fmt.Sprintf("a difference of kind %d", c.Kind))
}

// lies are the differences that have to be found when the statements of some days are compared, which follow on each other.
func lies(days []string, book map[string][]bankEntry) (list []planted) {
	gap := holdfast.Amount(0)
	for _, day := range days {
		if gap != 0 {
			list = append(list, planted{"statement:" + day, caseGap})
		}
		gap = 0
		for _, e := range book[day] {
			gap -= e.Amount
			for _, a := range e.Stated {
				gap += a
			}
			key := e.EndToEnd
			if key == "" {
				key = "ref:" + e.Ref
			}
			switch {
			case e.Amount == 0:
				list = append(list, planted{"ref:" + e.Ref, caseNotInLedger})
				continue
			case len(e.Stated) == 0:
				list = append(list, planted{key, caseNotAtBank})
				continue
			case e.Stated[0] != e.Amount:
				list = append(list, planted{key, caseOtherAmount})
			}
			if len(e.Stated) > 1 {
				list = append(list, planted{key, caseTwice})
			}
		}
	}
	return list
}

// judgeCases compares the list of differences with those that were planted.
func judgeCases(want []planted, found []client.Case) (missing, unasked []string) {
	have := map[planted]int{}
	for i := range found {
		have[planted{found[i].Key, kindOf(&found[i])}]++
	}
	for _, w := range want {
		if have[w]--; have[w] < 0 {
			say(&missing, "%s: %s, and it is not on the list of differences", w.key, w.kind)
		}
	}
	for p, n := range have {
		if n > 0 {
			say(&unasked, "%s: %s, says the list of differences, and it is not so", p.key, p.kind)
		}
	}
	slices.Sort(unasked)
	return missing, unasked
}

// kindsOf counts differences by kind, in words.
func kindsOf(list []planted) string {
	n := map[string]int{}
	for _, p := range list {
		n[p.kind]++
	}
	var words []string
	for _, kind := range slices.Sorted(maps.Keys(n)) {
		words = append(words, fmt.Sprintf("%d %s", n[kind], kind))
	}
	return strings.Join(words, ", ")
}
