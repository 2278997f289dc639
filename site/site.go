package site

import (
	"context"
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast"
)

// Options are the parts of a site that are not in its configuration file. The zero value is usable.
type Options struct {
	Version string       // of the program
	Logger  *slog.Logger // nil: none
	// OnFatal is called once, from any goroutine, when the site must not go on: a failed write or fsync, a corrupt log.
	// The process has to end; nothing is acknowledged any more. nil: panic.
	OnFatal func(error)
	// OnEvent is called for each [Event], in order, and must not block. nil: nothing.
	OnEvent func(Event)
}

// ErrNotReady is the error of everything that needs a site that has started and not yet stopped.
var ErrNotReady = errors.New("this site is not ready: it is starting or stopping")

// Open makes a site of a checked configuration. Nothing is opened or started before [Site.Start].
func Open(cfg Config, o Options) (*Site, error) { panic("unwritten") }

// Start brings the site up, step by step. When a step fails those before it are undone and the site can be thrown away.
// It returns when this site has found its place in the fleet and takes requests; a majority need not be there yet.
func (s *Site) Start(ctx context.Context) error { panic("unwritten") }

// Stop hands leaderships over, refuses what is new, finishes what is under way and closes everything, in that order. It
// takes at most timing.stop, or until ctx ends. It can be called more than once and at any time after Start.
func (s *Site) Stop(ctx context.Context) error { panic("unwritten") }

// Ready reports nil when the site takes requests and hears a majority, and otherwise the reason why not.
func (s *Site) Ready() error { panic("unwritten") }

// Config is the configuration the site was made of.
func (s *Site) Config() Config { panic("unwritten") }

// Registry has the metrics of this site. There is no global one.
func (s *Site) Registry() *prometheus.Registry { panic("unwritten") }

// Submit proposes transactions and returns one outcome for each, in order. Transactions of one shard in one call share a
// log entry where they fit and are applied in order, but not as one: each is all or nothing by itself.
//
// A malformed transaction is not executed and does not stop the others. It returns when ctx ends at the latest, and
// within timing.request in any case; what was proposed and not heard of since has the status Unknown. The error is nil
// but for a call that makes no sense: none or more than holdfast.MaxLegs transactions.
func (s *Site) Submit(ctx context.Context, txns []holdfast.Txn, bulk bool) ([]holdfast.Outcome, error) {
	panic("unwritten")
}

// ShardOf is the shard of an owner.
func (s *Site) ShardOf(o holdfast.Owner) holdfast.ShardID { panic("unwritten") }

// ShardOfKey is the shard of a record whose transaction had no account, and so no owner.
func (s *Site) ShardOfKey(key string) holdfast.ShardID { panic("unwritten") }

// ShardIDs lists all shards.
func (s *Site) ShardIDs() []holdfast.ShardID { panic("unwritten") }

// Sites reports on every site of the fleet, in the order of their numbers. It asks those that can be reached, for at most
// 250 ms.
func (s *Site) Sites(ctx context.Context) []SiteStatus { panic("unwritten") }

// Shards reports on every shard as this site sees it.
func (s *Site) Shards(ctx context.Context) []ShardStatus { panic("unwritten") }

// HandOver moves the leadership of a shard to another site and returns when it is there. It costs no failed request.
func (s *Site) HandOver(ctx context.Context, id holdfast.ShardID, to holdfast.SiteID) error { panic("unwritten") }

// Audit recounts the books of this site's replicas and compares their digests with those of the other sites.
func (s *Site) Audit(ctx context.Context) (Audit, error) { panic("unwritten") }

// IssueOwner gives an owner number nobody has had before.
func (s *Site) IssueOwner(ctx context.Context) (holdfast.Owner, error) { panic("unwritten") }

// Events are the latest events after seq, oldest first; at most the last 1,024 are kept.
func (s *Site) Events(after uint64) []Event { panic("unwritten") }

// Site is the process of one data centre.
type Site struct{}
