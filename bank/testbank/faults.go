package testbank

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"

	"holdfast/bank/iso20022"
)

// Faults is how the bank misbehaves. The zero Faults is a good bank. Shares are from 0 (never) to 1 (always). They are kept in the journal.
type Faults struct {
	Seed uint64 `json:"seed,omitempty"` // of what is drawn

	// What goes wrong with a request.
	Down         string  `json:"down,omitempty"`          // "refuse": the connection ends without a word; "hang": nothing at all; "error": 503
	SlowMS       int64   `json:"slow_ms,omitempty"`       // before a request is looked at
	ReplyMS      int64   `json:"reply_ms,omitempty"`      // between the journal and the answer
	LoseRequests float64 `json:"lose_requests,omitempty"` // never looked at
	LoseReplies  float64 `json:"lose_replies,omitempty"`  // carried out, and not answered
	Hold         float64 `json:"hold,omitempty"`          // not answered, and looked at after HoldMS only
	HoldMS       int64   `json:"hold_ms,omitempty"`
	Twice        float64 `json:"twice,omitempty"` // looked at twice and answered with both answers in one report, the older one behind
	// Strict answers a message with an id that is known by a rejection as a duplicate, whatever became of the first.
	Strict bool `json:"strict,omitempty"`

	// What goes wrong with a payment. By account of the creditor.
	Reject   map[string]string `json:"reject,omitempty"`    // rejected at once, with this code
	Bounce   map[string]string `json:"bounce,omitempty"`    // accepted, and rejected with this code when it should be settled
	SettleMS int64             `json:"settle_ms,omitempty"` // from accepted to settled
	Late     map[string]int64  `json:"late_ms,omitempty"`   // the same, for one account

	// What is wrong with statements, though every answer is right. Which payments it hits depends on their ids and the seed alone.
	Omit   float64 `json:"omit,omitempty"`   // not in the statement
	Alter  float64 `json:"alter,omitempty"`  // one minor unit more
	Double float64 `json:"double,omitempty"` // there twice
	Invent int     `json:"invent,omitempty"` // so many entries that nobody has ordered, each day
}

// Ways of being down.
const (
	downRefuse = "refuse"
	downHang   = "hang"
	downError  = "error"
)

const maxDelay = 24 * 60 * 60 * 1000 // ms

// check reports what makes no sense.
func (f *Faults) check() error {
	if f.Down != "" && f.Down != downRefuse && f.Down != downHang && f.Down != downError {
		return fmt.Errorf("down is %.20q: want refuse, hang, error, or nothing for a bank that is up", f.Down)
	}
	shares := map[string]float64{
		"lose_requests": f.LoseRequests, "lose_replies": f.LoseReplies, "hold": f.Hold, "twice": f.Twice,
		"omit": f.Omit, "alter": f.Alter, "double": f.Double,
	}
	for name, share := range shares {
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("%s is %v: want a share from 0 to 1", name, share)
		}
	}
	for name, ms := range map[string]int64{"slow_ms": f.SlowMS, "reply_ms": f.ReplyMS, "hold_ms": f.HoldMS, "settle_ms": f.SettleMS} {
		if ms < 0 || ms > maxDelay {
			return fmt.Errorf("%s is %d: want 0 to %d, which is a day", name, ms, maxDelay)
		}
	}
	if f.Invent < 0 || f.Invent > 1000 {
		return fmt.Errorf("invent is %d: want 0 to 1000", f.Invent)
	}
	return f.checkAccounts()
}

func (f *Faults) checkAccounts() error {
	for _, codes := range []map[string]string{f.Reject, f.Bounce} {
		for account, code := range codes {
			if err := iso20022.CheckAccount(account); err != nil {
				return err
			}
			if len(code) != 4 {
				return fmt.Errorf("reason %.10q is no code of four characters, for example AC04", code)
			}
		}
	}
	for account, ms := range f.Late {
		if err := iso20022.CheckAccount(account); err != nil {
			return err
		}
		if ms < 0 || ms > 400*maxDelay {
			return fmt.Errorf("late_ms is %d: want 0 to %d", ms, 400*maxDelay)
		}
	}
	return nil
}

// copy is one that shares no map.
func (f *Faults) copy() (c Faults) {
	text, err := json.Marshal(f)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		panic(err) // plain fields only
	}
	return c
}

// dice draws what happens to requests.
type dice struct{ r *rand.Rand }

func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 0x62616e6b))} }

func (d dice) hits(share float64) bool { return share > 0 && d.r.Float64() < share }

// marked says whether a payment is among those that a fault of statements hits: always the same ones.
func marked(f *Faults, what, id string, share float64) bool {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d\x00%s\x00%s", f.Seed, what, id)
	x := h.Sum64()
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 32
	return share > 0 && float64(x>>11)/(1<<53) < share
}
