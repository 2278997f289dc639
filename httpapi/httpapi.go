// Package httpapi is the native REST API of one site: accounts, transactions, transfers, holds,
// the payments that people use, the fleet and the audit.
//
// It is the edge. It authenticates, decodes strictly, turns the caller's idempotency key into the id of the transaction,
// detaches the work from the caller's connection, gives it a deadline of its own, and hands it to the site. A caller that
// leaves stops waiting; the work goes on.
//
// The document of the API (OpenAPI 3.1) is made from the types by huma; the requests do not pass through it. The bodies of
// all POSTs are read by the strict scanner of this package, outcomes are written by hand, and there is one place that writes
// errors: no reflection on the path of a payment.
package httpapi

import (
	"context"
	"hash/maphash"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
	"holdfast/proof"
	"holdfast/receipt"
	"holdfast/shard"
	"holdfast/site"
	"holdfast/transit"
)

// Site is what the API needs of a site; *[site.Site] is one. Each part may be used by many requests at once.
type Site interface {
	Payments
	Books
	Fleet
	Witnesses
}

var _ Site = (*site.Site)(nil)

// Payments takes what changes something.
type Payments interface {
	// Submit proposes transactions that have ids, and returns one outcome for each, in order; bulk puts them behind single
	// payments. It returns when ctx ends at the latest. What the site was not able to do is in the outcomes: an error means
	// a call that makes no sense.
	Submit(ctx context.Context, txns []holdfast.Txn, bulk bool) ([]holdfast.Outcome, error)
	// Acknowledge drops messages from the outbox of a shard under the id of a transaction. site.ErrNoMessage: nothing was dropped.
	Acknowledge(ctx context.Context, at holdfast.ShardID, id holdfast.ID, seqs []uint64) (holdfast.Outcome, error)
	// IssueOwner gives an owner number nobody has had before.
	IssueOwner(ctx context.Context) (holdfast.Owner, error)
}

// Books answers what has been written.
type Books interface {
	// Read calls fn with the books of a shard as they are now (or, stale, as this site knows them) and returns its error,
	// or one of package shard that says why there is no answer. fn must not keep the view.
	Read(ctx context.Context, id holdfast.ShardID, mode shard.ReadMode, fn func(*shard.View) error) error
	// ReadAccount does the same with the books of the shard that has an account now; fn may be called several times, and the last
	// time counts. ReadOrigin reads a shard where the slot of the account was before.
	ReadAccount(ctx context.Context, id holdfast.AccountID, mode shard.ReadMode, fn func(site.Stay, *shard.View) error) error
	ReadOrigin(ctx context.Context, o transit.Origin, fn func(*shard.View) error) error
	// ReadOwner is ReadAccount for all that belongs to an owner. Records lists the records of all shards that carry an index key.
	ReadOwner(ctx context.Context, owner holdfast.Owner, mode shard.ReadMode, fn func(site.Stay, *shard.View) error) error
	Records(ctx context.Context, index, after string, max int, mode shard.ReadMode) ([]holdfast.Record, error)
	// Hold finds a hold by its caller's id, wherever it is now, or fails with [site.AmbiguousHoldError]. Landed is what became of a payment between shards where its payees were.
	Hold(ctx context.Context, name site.HoldName, mode shard.ReadMode) (site.HoldNow, bool, error)
	Landed(ctx context.Context, p *transit.Payment, mode shard.ReadMode) (holdfast.Outcome, error)
	// ShardIDs are all shards.
	ShardIDs() []holdfast.ShardID
}

// Witnesses are what the logs at the sites say of a payment.
type Witnesses interface {
	// AskSites asks all other sites, and returns what they have said by the end of ctx. OnAsked sets who answers such questions here.
	AskSites(ctx context.Context, question []byte) []site.Heard
	OnAsked(answer func(ctx context.Context, question []byte) ([]byte, error))
	// LandedHere is Landed by the replicas here, with the shard; 0: they know nothing of it.
	LandedHere(ctx context.Context, p *transit.Payment) (holdfast.ShardID, holdfast.Outcome, error)
}

// Fleet tells how the fleet is.
type Fleet interface {
	Ready() error
	Sites(ctx context.Context) []site.SiteStatus
	// Roster is the list of sites; SiteChange tells how far a change of it is, nil when none is under way.
	Roster() *site.Roster
	SiteChange(ctx context.Context) *site.SiteChangeStatus
	// PlanSites works out what a change of sites would do, ApplySites orders it. Both refuse with [site.PlanRefused].
	PlanSites(ctx context.Context, q site.SiteRequest) (site.SitePlan, error)
	ApplySites(ctx context.Context, q site.SiteRequest, plan string) error
	// PlanSlots works out what moving slots to another shard would do, ApplySlots orders it, KeepSlots gives moves up that are not
	// decided, and SlotMoves lists those that are under way. All but the last refuse with [site.PlanRefused].
	PlanSlots(ctx context.Context, q site.SlotRequest) (site.SlotPlan, error)
	ApplySlots(ctx context.Context, q site.SlotRequest, plan string) error
	KeepSlots(ctx context.Context, slots []site.SlotRange) (site.SlotsKept, error)
	SlotMoves(ctx context.Context) []site.SlotMove
	// PlanSplit works out what splitting a shard would do, ApplySplit orders it, CancelSplit gives it up as far as that is possible still,
	// and ShardSplits lists those that were ordered. All but the last refuse with [site.PlanRefused].
	PlanSplit(ctx context.Context, q site.SplitRequest) (site.SplitPlan, error)
	ApplySplit(ctx context.Context, q site.SplitRequest, plan string) error
	CancelSplit(ctx context.Context, from holdfast.ShardID) (site.SplitStatus, error)
	ShardSplits(ctx context.Context) ([]site.SplitStatus, error)
	Shards(ctx context.Context) []site.ShardStatus
	ShardMapVersion() uint64
	// MoveLeader moves the leadership of a shard now, and makes the site its home, where it goes back to; both or, unless it is not known
	// what was done, nothing.
	MoveLeader(ctx context.Context, id holdfast.ShardID, to holdfast.SiteID) error
	// Rebuild wipes this site's own replica of a shard, so that it joins again; only when that can lose nothing, unless force.
	Rebuild(ctx context.Context, id holdfast.ShardID, force bool) error
	// Trust decides that the state of this site's own replica of a shard is right, when replicas differ and no majority has the same.
	Trust(ctx context.Context, id holdfast.ShardID) error
	Audit(ctx context.Context) (site.Audit, error)
	// Survival is what would happen if something failed; false while nothing has been worked out.
	Survival() (site.Survival, bool)
	// Trend is how this site did of late, Events what has happened at it after an event.
	Trend(last, step time.Duration) site.Trend
	Events(after uint64) []site.Event
}

// Options are the parts of the API that are not the site's. The zero value of each field but Keys is usable.
type Options struct {
	Keys     []guard.Key          // who may come in; none: nobody
	Logger   *slog.Logger         // one event per request at debug level; nil: none
	Registry *prometheus.Registry // gathered at /metrics, and given the API's own metrics; nil: a new one
	Version  string               // of the program, shown in the document
	Deadline time.Duration        // of a request that does not choose; 0: 2 s. At most MaxDeadline
	Limit    int                  // requests at once; 0: 4096. More are refused with 429
	// Payments are those that people use; nil: their operations answer 404, payments-off.
	Payments *Commerce
	// Drills runs drills; nil: their operations answer 404, drills-off.
	Drills Drills
	// Signer signs answers to GET for callers who ask (RFC 9421). nil, or nil from it: nothing is signed.
	Signer func() proof.Signer
	// Receipts signs receipts of payments for this site. nil, or nil from it: they are not signed.
	Receipts func() *receipt.Signer
}

// MaxDeadline is the longest deadline a request can ask for with the X-Deadline-Ms header; one that does not ask has that of Options.
const MaxDeadline = site.MaxRequest

const (
	defaultDeadline = 2 * time.Second
	defaultLimit    = 4096
)

type api struct {
	site     Site
	keys     []guard.Key
	log      *slog.Logger
	deadline time.Duration
	limit    int
	inflight atomic.Int64
	signer   func() proof.Signer
	life     context.Context // parent of the deadlines of all requests: never that of a connection
	metrics  *metrics
	registry *prometheus.Registry
	commerce *Commerce
	drills   Drills // nil: off
	sellers  sellers
	guests   guests
	aliases  *pay.Tries // that sessions have named, by customer
	sources  *pay.Tries // wrong sign-ins, by where they come from
	receipts func() *receipt.Signer
	asking   asking // callers
	asked    asking // by other sites, which wait for it: callers take nothing from them
	keyring  keyring
}

// New makes the handler of the API. It panics when the registry has the API's metrics already: one handler per registry.
func New(s Site, o Options) http.Handler { return routed(s, o).finish() }

// routed is the router with all operations, and their document.
func routed(s Site, o Options) *router {
	a := &api{
		site: s, keys: o.Keys, log: o.Logger, deadline: o.Deadline, limit: o.Limit, life: context.Background(), registry: o.Registry,
		signer: o.Signer, commerce: o.Payments, drills: o.Drills, sources: pay.NewTries(maphash.MakeSeed(), sourceTries, sourceEvery),
		aliases:  pay.NewTries(maphash.MakeSeed(), aliasTries, aliasEvery),
		receipts: o.Receipts, asking: make(asking, safetyAtOnce), asked: make(asking, 4*safetyAtOnce),
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.registry == nil {
		a.registry = prometheus.NewRegistry()
	}
	if a.deadline <= 0 {
		a.deadline = defaultDeadline
	}
	a.deadline = min(a.deadline, MaxDeadline)
	if a.limit <= 0 {
		a.limit = defaultLimit
	}
	a.metrics = newMetrics(a.registry, func() float64 { return float64(a.inflight.Load()) })
	r := newRouter(a, o.Version)
	a.routes(r)
	s.OnAsked(a.answerSite)
	return r
}

// NewServer wraps a handler into a server with bounds on everything a caller could make last for ever. Writing has none of
// its own: an answer is at most a few megabytes, and the limit of requests at once holds.
func NewServer(h http.Handler, logger *slog.Logger) *http.Server {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}
