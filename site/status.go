package site

import (
	"time"

	"holdfast"
)

// SiteStatus is what this site knows about a site of the fleet, itself included.
type SiteStatus struct {
	Site      holdfast.SiteID
	Name      string
	City      string
	Role      SiteRole           // that it is to be in every shard
	HTTP      string             // base URL of its API as configured; "" when not
	Self      bool               // it is the site that answers
	Reachable bool               // heard from lately, and answered just now
	RoundTrip time.Duration      // over the link, smoothed; 0 for itself and when unknown
	LastHeard time.Time          // zero: never since this process started
	Version   string             // of its program; "" when it did not answer
	Leads     []holdfast.ShardID // shards it leads, as it says itself
	Ready     bool               // takes requests
	DigestOK  bool               // none of its replicas has found itself to differ
	DiskFree  uint64             // bytes; 0 when it did not answer
	DiskFull  bool               // takes no new work for want of space
	DiskWrite time.Duration      // half of the writes of the last two seconds, synced, took as long; of itself, and 0 when there were hardly any
	DiskSick  bool               // a write hangs, or they take too long to lead on; of itself
	Carriers  []CarrierStatus    // empty for itself
}

// CarrierStatus is one telecom network between this site and another.
type CarrierStatus struct {
	Address   string
	Connected bool
	RoundTrip time.Duration
	LastHeard time.Time
	Stalled   bool    // it answers late while another carrier does not; what is not urgent takes the others
	Loss      float64 // of what came from the site in the last seconds, the share that this carrier brought late or not at all
}

// ShardStatus is a shard as this site's replica sees it.
type ShardStatus struct {
	Shard     holdfast.ShardID
	Leader    holdfast.SiteID // 0: none known just now
	Home      holdfast.SiteID // that leads when all is well
	Slots     []Stretch       // of owners that are in it
	Term      uint64
	Commit    uint64 // last index known to be committed
	Applied   uint64 // last index this replica has applied
	Digest    uint64 // of the state at Applied
	DigestOK  bool
	InService bool // false: this replica has taken itself out of service
	Reason    string
	Members   []MemberStatus
	Accounts  int
	Holds     int
	LogFirst  uint64
	LogLast   uint64
}

// MemberStatus is one replica of a shard. Match and Lag are known to the leader only.
type MemberStatus struct {
	Site    holdfast.SiteID
	Replica uint64
	Learner bool
	Match   uint64 // last index that is on its disk
	Lag     uint64 // entries that are not
}

// Audit is the proof that the books are right, as one site can give it about its own replicas and those it can reach.
type Audit struct {
	Site     holdfast.SiteID
	At       time.Time
	Balanced bool // in every shard, debits equal credits per asset, posted and pending, and the recount agrees with the running sums
	Agree    bool // every replica that was compared has the same digest at the same index, and no replica is out of service
	Compared int  // how many digests of other sites were compared; 0 in a fleet of one, or when nobody answered
	Shards   []ShardAudit
	Transit  []TransitAudit // wherever money has gone from one shard to another
	Problems []string       // in words, empty when all is well
}

// OK is the verdict.
func (a *Audit) OK() bool { return a.Balanced && a.Agree && len(a.Problems) == 0 }

// ShardAudit is the audit of one shard at one index.
type ShardAudit struct {
	Shard    holdfast.ShardID
	Index    uint64 // applied
	Time     holdfast.Time
	Digest   uint64
	Accounts int
	Holds    int
	Assets   []AssetAudit
	Digests  []DigestAudit // what the other sites answered
}

// TransitAudit is what went from one shard to another, in one asset. What has landed is never less than what was sent for good,
// and never more than that and what is held for it.
type TransitAudit struct {
	Home   holdfast.ShardID
	Away   holdfast.ShardID   // 0: several
	Among  []holdfast.ShardID // then they are these: slots have moved between them, so what was sent to one may have landed in another
	Asset  holdfast.Asset
	Sent   holdfast.Amount // posted at home
	Held   holdfast.Amount // held at home: under way, or for a hold that is still open
	Landed holdfast.Amount // at the away shards
	// Problem says in words what does not fit; "": it does.
	Problem string
}

// AssetAudit is the trial balance of one asset: the sums over all accounts.
type AssetAudit struct {
	Asset          holdfast.Asset
	DebitsPosted   holdfast.Amount
	CreditsPosted  holdfast.Amount
	DebitsPending  holdfast.Amount
	CreditsPending holdfast.Amount
	Accounts       int
}

// DigestAudit is the digest another site has at an index both know.
type DigestAudit struct {
	Site   holdfast.SiteID
	Index  uint64
	Digest uint64
	Ours   uint64 // our digest at that index
	Error  string // why there is no answer; then the other fields but Site are zero
}
