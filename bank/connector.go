package bank

import (
	"context"
	"fmt"
	"time"

	"holdfast"
	"holdfast/bank/iso20022"
)

// Account is the number of an account at a bank, an IBAN or the bank's own number. It does not show itself in logs or formatted text.
type Account struct{ number string }

// ParseAccount checks and takes the number of an account; see [iso20022.CheckAccount]. The error does not show it.
func ParseAccount(number string) (Account, error) {
	if err := iso20022.CheckAccount(number); err != nil {
		return Account{}, err
	}
	return Account{number}, nil
}

// Reveal gives the number, for the message to the bank.
func (a Account) Reveal() string { return a.number }

// String hides the number.
func (a Account) String() string { return "(account)" }

// GoString hides the number.
func (a Account) GoString() string { return a.String() }

// MarshalText hides the number from encoders and structured logs.
func (a Account) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Instruction is an order as it is sent to a bank.
type Instruction struct {
	ID     string          // end-to-end id, 1-35 characters, see [iso20022.CheckID]; it never changes
	Amount holdfast.Amount // above 0
	Asset  holdfast.Asset  // a currency of ISO 4217
	From   Account         // the platform's account at this bank
	To     Account         // whom to pay
	Name   string          // of whom to pay; personal
	Text   string          // for him to read; "" is none
	Sent   holdfast.Time   // when this attempt was written down; the bank takes no message that is older than [Terms].Late
}

// String shows nothing personal.
func (i Instruction) String() string { return fmt.Sprintf("%s: %d %s", i.ID, i.Amount, i.Asset) }

// GoString shows nothing personal.
func (i Instruction) GoString() string { return i.String() }

// Check reports what is wrong with the instruction.
func (i *Instruction) Check() error {
	o := i.Order()
	return o.Check()
}

// Order is the instruction as it stands in a message.
func (i *Instruction) Order() iso20022.Order {
	return iso20022.Order{
		EndToEnd: i.ID, Amount: i.Amount, Asset: i.Asset, Debtor: i.From.number, Creditor: i.To.number, Name: i.Name, Text: i.Text,
	}
}

// State is what a bank says about an instruction. The zero State is Unknown: nothing is known by default.
type State uint8

const (
	// Unknown: no answer, or one that says nothing. The instruction may be carried out, may be still on its way, or may be lost.
	Unknown State = iota
	// Pending: the bank has the instruction and has not decided, or has accepted it and has not settled it.
	Pending
	// Done: the money has left the platform's account. Final.
	Done
	// Rejected: the bank has not paid under this id and never will. Final when said in answer to Ask.
	Rejected
	// NeverHeard: at the time that the answer names the bank had nothing under this id.
	NeverHeard
	// Conflict: the bank has another payment under this id.
	Conflict
)

var stateNames = [...]string{"unknown", "pending", "done", "rejected", "never heard of", "conflict"}

// String gives the name of the state.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Answer is what a bank has said.
type Answer struct {
	State  State
	Reason string        // of a rejection: a code of ISO 20022, for example AC04
	Ref    string        // the bank's own reference, "" if it has told none
	At     holdfast.Time // when the bank looked, by its own clock; 0 if it has not said. Only the bank's clock is compared with it
	Alive  bool          // the bank has answered something; false when it may be down. Every State but Unknown implies it
	Detail string        // for the log: why nothing is known; nothing personal
}

// Terms are what a bank promises.
type Terms struct {
	// Late is the cut-off for late arrival: a message whose moment of making is further back than this when the bank reads it, by the bank's
	// clock, is not carried out and leaves no trace. It also says how far the clocks of the platform and the bank may be apart.
	Late time.Duration
	// Step is how far the bank's clock may go back, at worst.
	Step time.Duration
}

// Connector speaks with one bank about payments out of accounts of the platform. All methods may be called by several goroutines at once,
// and return when ctx ends at the latest. None returns an error: what went wrong is an Answer with the State Unknown.
//
// What the bank promises, and a connector has to make of whatever the bank's own protocol is:
//
//   - One payment per end-to-end id, for ever. A second message with the same content is answered as the first; one with another content is
//     Conflict and changes nothing.
//   - Done is final, whatever it answers; Rejected is, in answer to Ask. Pending becomes one of them at some time.
//   - A message is taken until Instruction.Sent + Terms.Late by the bank's clock, and not after that. Until then a message that seems lost
//     may still arrive.
//   - NeverHeard names when the bank looked (Answer.At), by the clock by which it refuses late messages. Without At it is Unknown.
type Connector interface {
	// Terms are the promises of this bank; they do not change while the program runs.
	Terms() Terms
	// Send brings an instruction to the bank: Pending or Done when the bank has taken it, Rejected when this message was not taken,
	// Conflict, or Unknown. Sending the same instruction again, with a later Sent, does no harm.
	Send(ctx context.Context, i *Instruction) Answer
	// Ask asks what the bank knows of an id; any State.
	Ask(ctx context.Context, id string) Answer
}

// Deposit is money that has come into an account of the platform, by the bank's word. Its Ref is unique at the bank and never changes: a
// deposit that is read twice is the same one.
type Deposit struct {
	Seq      uint64 // grows from deposit to deposit of the account
	Ref      string // the bank's own reference
	EndToEnd string // what the payer named it, "" if he did not
	Amount   holdfast.Amount
	Asset    holdfast.Asset
	From     Account // zero if the bank does not tell
	Text     string  // what the payer wrote: the platform tells its customers what to write
}

// Deposits is a bank that can be asked for what has come in.
type Deposits interface {
	// Deposits lists what came into the account after a Seq, in order, at most max, and the Seq to ask for next time.
	Deposits(ctx context.Context, account Account, after uint64, max int) (list []Deposit, next uint64, err error)
}
