package bank

import (
	"context"
	"errors"
	"fmt"

	"holdfast"
)

// Order is an instruction with what was written down about it. The money it is about is held by the ledger for as long as the order is open.
type Order struct {
	Instruction // Sent is the moment of the last attempt; 0: never sent

	// Key is where the order stands among all of the bank: keys sort in the order in which orders were made, roughly.
	Key string
	// Version is of the record, and the condition of every [Change].
	Version uint64
	// Recalled: its owner wants the money back. It is not sent any more, and ends as NotExecuted as soon as that is certain, or as Done or
	// Rejected if the bank says so.
	Recalled bool
	// Accepted: the bank has said once that it has it.
	Accepted bool
	// Doubtful: the bank has contradicted itself about it.
	Doubtful bool
}

// waits reports whether the order is one that the bank is to take yet. The others are asked about at most.
func (o *Order) waits() bool { return !o.Accepted && !o.Recalled && !o.Doubtful }

// cutOff is the moment of the bank's clock after which the bank's word that it has never heard of the order is final.
func (o *Order) cutOff(t Terms) holdfast.Time { return o.Sent + nanos(t.Late) + nanos(t.Step) }

// Kind is what a [Change] says. The numbers are stored: only add.
type Kind uint8

const (
	// Sending: an attempt is made; it has to be written down before anything is sent. Sets Sent.
	Sending Kind = iota + 1
	// Accepting: the bank has it. Sets Accepted.
	Accepting
	// Doubting: the bank contradicts itself; people have to look, and the order stays open. Sets Doubtful.
	Doubting
	// Paid ends the order: the bank has paid. The held money is posted.
	Paid
	// Refused ends the order: the bank has not paid and never will, and Reason says why. The held money is released.
	Refused
	// NotExecuted ends a recalled order: it never came to the bank and cannot any more. The held money is released.
	NotExecuted
)

var kindNames = [...]string{"", "sending", "accepting", "doubting", "paid", "refused", "not executed"}

// String gives the name of the kind.
func (k Kind) String() string {
	if k > 0 && int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Ends reports whether the order is over after such a change.
func (k Kind) Ends() bool { return k >= Paid }

// Change is something to be written down about an order.
type Change struct {
	ID      string
	Key     string
	Version uint64 // the version the order must have
	Kind    Kind
	At      holdfast.Time // of the platform's clock
	Ref     string        // the bank's own reference, if it has told one
	Reason  string        // why refused or doubtful
}

// ErrNoStatement says that a bank has no statement of a day: not yet, or never, as of a day on which it does not work.
var ErrNoStatement = errors.New("the bank has no statement of this day")

// ErrChanged is the error of a [Change] whose order has another version, or has ended.
var ErrChanged = errors.New("the order has been changed meanwhile")

// Orders is where the orders of one bank are written down: package pay implements it on the ledger. It may be called by several goroutines
// at once.
type Orders interface {
	// Open lists orders that have not ended, in the order of keys, after a key, at most max. What was made a moment ago may be missing; it
	// comes with a later call that begins from the start.
	Open(ctx context.Context, after string, max int) ([]Order, error)
	// Record writes a change down, durably, together with the money that it moves, if the order has the version that the change names,
	// and returns the order as it stands then, with a higher version. Otherwise it changes nothing and returns ErrChanged and the
	// order as it stands; the order is the zero Order when it has ended.
	//
	// Any other error means that nobody knows whether it is written. The same change is then recorded again until there is an answer, and
	// one that has been written before is answered as then: the order as it stands, and no error. Record must therefore tell its own change,
	// come again, from another one: by the id of the transaction, made of order, version and kind, or by comparing what is written.
	Record(ctx context.Context, c Change) (Order, error)
}

// Apply is what a change makes of an order, with the next version; ended is true when nothing is left of it. Implementations of
// [Orders] may use it, so that they all mean the same.
func (o Order) Apply(c *Change) (next Order, ended bool) {
	o.Version++
	switch c.Kind {
	case Sending:
		o.Sent = max(o.Sent, c.At)
	case Accepting:
		o.Accepted = true
	case Doubting:
		o.Doubtful = true
	}
	return o, c.Kind.Ends()
}
