package client

import (
	"fmt"
	"time"

	"holdfast"
)

// Error is a problem document (RFC 9457) with which a site answered.
type Error struct {
	Status int    // HTTP status
	Code   string // stable: the name of a holdfast.Code, or one of the edge: "unauthenticated", "malformed", "not-found" ...
	Detail string // what to do
	Field  string // the member of the request at fault, if one is
	Site   string // base URL of the site that answered
	// RetryAfter is how long the site asks to be left alone; 0 when it did not say.
	RetryAfter time.Duration
}

// Error gives code, detail and field.
func (e *Error) Error() string {
	if e.Field != "" {
		return fmt.Sprintf("%s (HTTP %d, %s, from %s): %s", e.Code, e.Status, e.Field, e.Site, e.Detail)
	}
	return fmt.Sprintf("%s (HTTP %d, from %s): %s", e.Code, e.Status, e.Site, e.Detail)
}

// Movement is a transfer as it stands in the journal.
type Movement struct {
	holdfast.Transfer
	Txn   holdfast.ID // the transaction it was part of
	Leg   holdfast.Leg
	Time  time.Time
	Shard holdfast.ShardID
	Index uint64 // log index
}

// Line is one movement on a statement, with the four sums of the account after it.
type Line struct {
	Movement
	DebitsPosted   holdfast.Amount
	CreditsPosted  holdfast.Amount
	DebitsPending  holdfast.Amount
	CreditsPending holdfast.Amount
}

// Balance is posted credits less posted debits after the line.
func (l *Line) Balance() holdfast.Amount { return l.CreditsPosted - l.DebitsPosted }

// Page is a part of a statement, newest line first. Next is the cursor of the following page, "" on the last one.
type Page struct {
	Lines []Line
	Next  string
}

// Hold is a two-step transfer: open, posted, voided or expired.
type Hold struct {
	ID      holdfast.ID
	Debit   holdfast.AccountID
	Credit  holdfast.AccountID
	Amount  holdfast.Amount
	State   string    // "open", "posted", "voided", "expired"
	Opened  time.Time // zero if the answer does not tell
	Expires time.Time // zero: never
}

// Txn is a decided transaction as it stands in the journal: what was asked, and what became of it.
type Txn struct {
	Outcome   holdfast.Outcome
	Shard     holdfast.ShardID
	Transfers []Movement // empty when it was refused
}

// Site is a site of the fleet as the answering site sees it.
type Site struct {
	ID         holdfast.SiteID `json:"id"`
	Name       string          `json:"name"`
	HTTP       string          `json:"http"`          // base URL of its API, "" if the configuration does not tell
	Self       bool            `json:"self"`          // the site that answered
	Reachable  bool            `json:"reachable"`     // heard of within the failure detector's time
	LastHeard  int64           `json:"last_heard_ms"` // milliseconds since it was last heard; 0 for itself
	RoundTrip  float64         `json:"round_trip_ms"`
	LeadsCount int             `json:"leads"` // shards it leads
}

// Shard is one shard as the answering site sees it.
type Shard struct {
	ID       holdfast.ShardID `json:"id"`
	Leader   holdfast.SiteID  `json:"leader"` // 0: none known just now
	Term     uint64           `json:"term"`
	Commit   uint64           `json:"commit"`
	Applied  uint64           `json:"applied"`
	Last     uint64           `json:"last"`   // last index in the log of the answering site
	Digest   string           `json:"digest"` // chain hash over all effects up to Applied, hexadecimal
	Members  []Member         `json:"members"`
	Accounts uint64           `json:"accounts"`
	State    string           `json:"state"` // "leader", "follower", "candidate", "learner", "catching-up", "out-of-service"
}

// Member is a replica of a shard.
type Member struct {
	Site    holdfast.SiteID `json:"site"`
	Replica string          `json:"replica"` // identity of its disk, hexadecimal
	Learner bool            `json:"learner"`
	Match   uint64          `json:"match"` // highest index known to be on its disk; 0 unless the leader answers
}

// Audit is the answer of one site to "do the books balance".
type Audit struct {
	Site   holdfast.SiteID `json:"site"`
	OK     bool            `json:"ok"` // every finding below is clean
	Shards []ShardAudit    `json:"shards"`
}

// ShardAudit is the trial balance of one shard at one log index.
type ShardAudit struct {
	Shard        holdfast.ShardID `json:"shard"`
	Index        uint64           `json:"index"`
	Time         time.Time        `json:"time"`
	Digest       string           `json:"digest"`
	Accounts     uint64           `json:"accounts"`
	Transactions uint64           `json:"transactions"`
	Transfers    uint64           `json:"transfers"`
	OpenHolds    uint64           `json:"open_holds"`
	Balanced     bool             `json:"balanced"`
	Assets       []AssetTotal     `json:"assets"`
	Findings     []string         `json:"findings"` // what is wrong, in words; empty when nothing is
}

// AssetTotal is the trial balance of one asset: debits equal credits.
type AssetTotal struct {
	Asset          holdfast.Asset  `json:"-"`
	Name           string          `json:"asset"`
	DebitsPosted   holdfast.Amount `json:"debits_posted"`
	CreditsPosted  holdfast.Amount `json:"credits_posted"`
	DebitsPending  holdfast.Amount `json:"debits_pending"`
	CreditsPending holdfast.Amount `json:"credits_pending"`
}

// Stats counts what a client did since it was made.
type Stats struct {
	Requests uint64 // calls
	Attempts uint64 // requests sent, hedges and retries included
	Hedges   uint64 // attempts started because an earlier one had not answered yet
	Failures uint64 // attempts that ended without an answer, or with 503 or 504
}
