package client

import (
	"cmp"
	"fmt"
	"strings"
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

// Line is one movement on a statement, with the four sums of the account after it. The line of an account that was opened,
// frozen, thawed or closed has the Leg NoLeg and no Kind.
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
	Site      holdfast.SiteID    `json:"site"`
	Name      string             `json:"name"`
	City      string             `json:"city"`      // "": not told
	Role      string             `json:"role"`      // that it is to be in every shard: voter, learner, leaving
	HTTP      string             `json:"http"`      // base URL of its API, "" if the configuration does not tell
	Self      bool               `json:"self"`      // it is the site that answers
	Reachable bool               `json:"reachable"` // heard from lately, and answered just now
	Ready     bool               `json:"ready"`     // takes requests
	RoundTrip float64            `json:"round_trip_ms"`
	LastHeard time.Time          `json:"last_heard,omitzero"` // zero: never since the answering site started
	Version   string             `json:"version"`
	Leads     []holdfast.ShardID `json:"leads"`
	DigestOK  bool               `json:"digest_ok"` // none of its replicas has found itself to differ
	DiskFree  uint64             `json:"disk_free_bytes"`
	DiskFull  bool               `json:"disk_full"`
	DiskWrite float64            `json:"disk_write_ms"` // half of the synced writes of the last two seconds; of the answering site, 0 when there were hardly any
	DiskSick  bool               `json:"disk_sick"`     // a write hangs, or they take too long to lead on; of the answering site
	Carriers  []Carrier          `json:"carriers"`
}

// Carrier is one telecom network between the answering site and another.
type Carrier struct {
	Address   string    `json:"address"`
	Connected bool      `json:"connected"`
	RoundTrip float64   `json:"round_trip_ms"`
	LastHeard time.Time `json:"last_heard,omitzero"`
	Stalled   bool      `json:"stalled"` // it answers late while another carrier does not
	Loss      float64   `json:"loss"`    // of what came in the last seconds, the share it brought late or not at all
}

// Shard is one shard as the answering site's replica sees it.
type Shard struct {
	Shard     holdfast.ShardID `json:"shard"`
	Leader    holdfast.SiteID  `json:"leader"` // 0: none known just now
	Home      holdfast.SiteID  `json:"home"`   // that leads when all is well
	Slots     []SlotRange      `json:"slots"`  // of owners that are in it
	Term      uint64           `json:"term"`
	Commit    uint64           `json:"commit"`
	Applied   uint64           `json:"applied"`
	Digest    string           `json:"digest"` // of the state at Applied, 16 hexadecimal digits
	DigestOK  bool             `json:"digest_ok"`
	InService bool             `json:"in_service"` // false: the replica has taken itself out of service
	Reason    string           `json:"reason"`
	Accounts  int              `json:"accounts"`
	Holds     int              `json:"holds"` // open ones
	LogFirst  uint64           `json:"log_first"`
	LogLast   uint64           `json:"log_last"`
	Members   []Member         `json:"members"`
}

// Survival is what would happen now if something failed.
type Survival struct {
	At       time.Time  `json:"at"`
	Survives bool       `json:"survives"` // every single loss: of a carrier, a cable, a site
	Weakest  string     `json:"weakest"`  // in words, the first that would not be survived
	Losses   []Forecast `json:"losses"`
	// Transit is nil in a fleet of one shard, and when the site is of a release that does not compare.
	Transit *TransitCheck `json:"transit,omitempty"`
}

// TransitCheck tells whether what every shard has sent to every other one has landed there.
type TransitCheck struct {
	Fits     bool            `json:"fits"`        // by the last two comparisons
	Compared time.Time       `json:"compared_at"` // the last one; zero: there was none yet
	Overdue  bool            `json:"overdue"`     // there was none for several times timing.audit
	Site     holdfast.SiteID `json:"site"`        // that compares; 0: not known
	Differs  string          `json:"differs"`     // in words, what does not fit; "": nothing
	Since    time.Time       `json:"differs_since"`
	Trouble  string          `json:"trouble"` // why the last attempt came to nothing
}

// Well reports whether there is nothing that somebody should look at.
func (t *TransitCheck) Well() bool { return t == nil || t.Differs == "" && !t.Overdue }

// Forecast is what one loss would do.
type Forecast struct {
	Loss     string             `json:"loss"`    // carrier (everywhere), cable, site, sites: two at once, or city: all its sites
	City     string             `json:"city"`    // of a city
	Sites    []holdfast.SiteID  `json:"sites"`   // that are lost, or at the ends of the cable
	Carrier  int                `json:"carrier"` // from 1; 0: none
	Survives bool               `json:"survives"`
	Stops    []holdfast.ShardID `json:"stops"` // shards that would stop
	Moves    []Move             `json:"moves"` // shards that would get another leader
	Pause    float64            `json:"pause_ms"`
	Worst    float64            `json:"worst_pause_ms"`
	Loads    []SiteLoad         `json:"loads"`
	Breaks   string             `json:"breaks"` // the first thing that would go wrong, in words
}

// Name says in a few words what is lost. A site without a name in names is called by its number.
func (f *Forecast) Name(names map[holdfast.SiteID]string) string {
	var who []string
	for _, id := range f.Sites {
		who = append(who, cmp.Or(names[id], fmt.Sprintf("site %d", id)))
	}
	switch f.Loss {
	case "carrier":
		return fmt.Sprintf("carrier %d everywhere", f.Carrier)
	case "city":
		return "the city " + f.City
	case "cable":
		return fmt.Sprintf("cable %d %s", f.Carrier, strings.Join(who, " - "))
	}
	return strings.Join(who, " and ")
}

// Move is a shard that would get another leader.
type Move struct {
	Shard holdfast.ShardID  `json:"shard"`
	From  holdfast.SiteID   `json:"from"`
	To    []holdfast.SiteID `json:"to"` // who could lead; its home first
}

// SiteLoad is what a site would lead, in transactions a second, against the most it was measured to lead.
type SiteLoad struct {
	Site holdfast.SiteID `json:"site"`
	Rate float64         `json:"per_s"`
	Peak float64         `json:"measured_per_s"`
}

// Member is a replica of a shard. Match and Lag are known to the leader only.
type Member struct {
	Site    holdfast.SiteID `json:"site"`
	Replica string          `json:"replica"` // identity of its disk, 16 hexadecimal digits
	Learner bool            `json:"learner"`
	Match   uint64          `json:"match"`
	Lag     uint64          `json:"lag"` // entries that are not on its disk
}

// Audit is the proof that the books are right, as one site can give it about itself and those it can reach.
type Audit struct {
	Site     holdfast.SiteID `json:"site"`
	At       time.Time       `json:"at"`
	OK       bool            `json:"ok"`       // the verdict
	Balanced bool            `json:"balanced"` // debits equal credits per asset, and a recount agrees with the running sums
	Agree    bool            `json:"agree"`    // replicas that were compared have the same digest at the same index
	Compared int             `json:"compared"` // how many digests of other sites were compared
	Shards   []ShardAudit    `json:"shards"`
	Transit  []Transit       `json:"transit"`  // wherever money has gone from one shard to another
	Problems []string        `json:"problems"` // in words, empty when all is well
}

// Transit is what went from one shard to another, in one asset.
type Transit struct {
	Home   holdfast.ShardID   `json:"home"`  // of the payers
	Away   holdfast.ShardID   `json:"away"`  // of the payees; 0: several
	Among  []holdfast.ShardID `json:"among"` // then they are these, between which slots have moved
	Asset  string             `json:"asset"`
	Sent   holdfast.Amount    `json:"sent"`   // for good
	Held   holdfast.Amount    `json:"held"`   // under way, or for a hold that is open
	Landed holdfast.Amount    `json:"landed"` // between Sent, and Sent and Held
}

// ShardAudit is the audit of one shard at one log index.
type ShardAudit struct {
	Shard    holdfast.ShardID `json:"shard"`
	Index    uint64           `json:"index"`
	Time     time.Time        `json:"time"`
	Digest   string           `json:"digest"`
	Accounts int              `json:"accounts"`
	Holds    int              `json:"holds"`
	Assets   []AssetTotal     `json:"assets"`
	Digests  []Digest         `json:"digests"`
}

// AssetTotal is the trial balance of one asset: the sums over all accounts.
type AssetTotal struct {
	Asset          string          `json:"asset"`
	DebitsPosted   holdfast.Amount `json:"debits_posted"`
	CreditsPosted  holdfast.Amount `json:"credits_posted"`
	DebitsPending  holdfast.Amount `json:"debits_pending"`
	CreditsPending holdfast.Amount `json:"credits_pending"`
	Accounts       int             `json:"accounts"`
}

// Digest is what another site has at an index that both know. With an Error there was no answer.
type Digest struct {
	Site   holdfast.SiteID `json:"site"`
	Index  uint64          `json:"index"`
	Digest string          `json:"digest"`
	Ours   string          `json:"ours"`
	Error  string          `json:"error"`
}

// Stats counts what a client did since it was made.
type Stats struct {
	Requests uint64 // calls
	Attempts uint64 // requests sent, hedges and retries included
	Hedges   uint64 // attempts started because an earlier one had not answered yet
	Failures uint64 // attempts that ended without an answer, or with 503 or 504
}
