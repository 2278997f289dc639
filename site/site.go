package site

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast"
	"holdfast/link"
	"holdfast/shard"
	"holdfast/store"
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
	// OnCheckpoint hears of every checkpoint that was made here; it must not block. nil: nobody.
	OnCheckpoint func(shard.CheckpointMade)
	// OnWrite hears how long each write took, on the goroutine that writes: as long as it runs, the write is not done. nil: nobody.
	OnWrite func(took time.Duration, bytes int)
	// Wall is the clock of this machine, for tests; nil: it is.
	Wall func() holdfast.Time
	// Machine, Replica and Care are limits of the replicas, for benches and tests that need others than a site has.
	Machine shard.MachineConfig
	Replica shard.ReplicaConfig
	Care    shard.CareBounds
}

// ErrNotReady is the error of everything that needs a site that has started and not yet stopped.
var ErrNotReady = errors.New("this site takes no requests")

// ErrStarting says that it takes none yet, and will in a moment.
var ErrStarting = errors.New("this site is still starting: ask again in a moment, or another site")

// Site is the process of one data centre. Open makes it, Start brings it up; its other methods may be called at any time
// and by many goroutines at once.
type Site struct {
	cfg     Config
	opts    Options
	log     *slog.Logger
	metrics *metrics
	events  *events

	// Made by Start, in this order, and gone when Stop has returned.
	store *store.Store
	link  *link.Link
	host  *shard.Host
	lanes atomic.Pointer[map[laneKey]*lane] // replaced as a whole when a site comes; none is ever taken out

	credentials atomic.Pointer[link.Credentials] // nil: none are needed, or not yet
	witness     atomic.Pointer[func(ctx context.Context, question []byte) ([]byte, error)]

	proposer proposer // the host, or a stand-in in tests
	shardMap atomic.Pointer[ShardMap]
	founding atomic.Pointer[ShardMap] // the map that the fleet was born with
	extent   atomic.Pointer[extent]
	shards   shardKeeper
	splits   splits
	homes    homes
	reach    reach
	fleet    fleetKeeper
	moves    moves
	meter    slotMeter
	trend    trend

	forecasts forecaster
	auditor   auditor
	couriers  couriers
	pendings  pendings
	board     *board
	watch     *watch
	onLoss    cancels // of requests that wait for this site's own replicas
	gate      *gate
	limiters  limiters
	owners    *owners
	disk      diskWatch

	outs     outs // replicas here that have found themselves to differ, or corrupt with nobody to learn from
	stopping atomic.Bool
	running  atomic.Bool
	fatal    sync.Once
	undo     []step // of what has been started
	stuck    bool   // replicas did not stop in time
}

type laneKey struct {
	to   holdfast.SiteID
	bulk bool
}

// sealAge is how old what has changed may become at a site before it makes a checkpoint: another time at each. All replicas see the same
// entries at the same moment, so with one time for all they would make their checkpoints at once, again and again, and nobody would be
// left to make a quick majority.
func sealAge(id holdfast.SiteID) holdfast.Time {
	return holdfast.Time((10 + int64(id)%8) * int64(time.Second))
}

// Open makes a site of a checked configuration. Nothing is opened or started before [Site.Start].
func Open(cfg Config, o Options) (*Site, error) {
	if err := cfg.Check(); err != nil {
		return nil, fmt.Errorf("configuration of site %d:\n%w", cfg.Site, err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.OnCheckpoint == nil {
		o.OnCheckpoint = func(shard.CheckpointMade) {}
	}
	if o.OnWrite == nil {
		o.OnWrite = func(time.Duration, int) {}
	}
	if o.OnFatal == nil {
		o.OnFatal = func(err error) { panic(err) }
	}
	if o.Machine.SealAge == 0 {
		o.Machine.SealAge = sealAge(cfg.Site)
	}
	s := &Site{
		cfg: cfg, opts: o, log: o.Logger.With("site", cfg.Site),
		board: newBoard(cfg.Shards), watch: newWatch(cfg.Peers, cfg.Timing.QuorumSilence.Std()), gate: newGate(),
	}
	s.lanes.Store(&map[laneKey]*lane{})
	s.couriers.stir, s.moves.stir, s.pendings.stir = newStir(), newStir(), newStir()
	s.watch.site = cfg.Site
	s.extent.Store(&extent{cfg.Shards, cfg.Shards, cfg.Shards})
	s.founding.Store(newShardMap(cfg.Shards, s.configured()))
	s.shardMap.Store(s.founding.Load())
	s.events = newEvents(s.log, o.OnEvent)
	s.metrics = newMetrics(s)
	s.owners = newOwners(s)
	s.watch.self, s.watch.heard, s.watch.turned = s.pulse, s.heardPulse, s.majorityTurned
	s.watch.lost, s.watch.back = s.lostPeer, s.peerBack
	s.watch.leading = s.leadsAny
	return s, nil
}

// Config is the configuration the site was made of.
func (s *Site) Config() Config { return s.cfg }

// Signer signs for this site with the key of its certificate; nil while the site has not started, and in a fleet of one, which has no
// certificate.
func (s *Site) Signer() *link.Credentials { return s.credentials.Load() }

// Registry has the metrics of this site. There is no global one.
func (s *Site) Registry() *prometheus.Registry { return s.metrics.registry }

// Events are the latest events after seq, oldest first; at most the last 1,024 are kept.
func (s *Site) Events(after uint64) []Event { return s.events.after(after) }

// Ready reports nil when the site takes requests and hears a majority, and otherwise the reason why not.
func (s *Site) Ready() error {
	retired := s.retired()
	switch {
	case !s.running.Load() || s.stopping.Load():
		return s.closed()
	case retired != nil:
		return retired
	case s.outs.any():
		return shard.ErrOutOfService
	case !s.watch.majority.Load().heard:
		return shard.ErrNoQuorum
	}
	status := s.host.Status()
	status = status[:min(len(status), s.extent.Load().now)] // one that is being born keeps nobody waiting
	for i := range status {
		if st := &status[i]; st.Born && st.OutOfService == nil && st.Applied < st.Node.Commit && !st.CaughtUp {
			return stillApplies(st)
		}
	}
	for _, id := range s.ShardIDs() {
		if s.board.seat(id).leader == 0 {
			return fmt.Errorf("shard %d has no leader yet", id)
		}
	}
	for i := range status {
		st := &status[i]
		if st.OutOfService != nil {
			return fmt.Errorf("shard %d: %w: %w", st.Shard, shard.ErrOutOfService, st.OutOfService)
		}
		if !st.Born {
			return fmt.Errorf("shard %d has no replica here yet: it waits for the other sites", st.Shard)
		}
		if !st.CaughtUp {
			return stillApplies(st)
		}
	}
	if !s.shards.seen.Load() {
		return errors.New("the shard map was not seen yet since this site started: requests could go where their owners are no more")
	}
	return nil
}

func stillApplies(st *shard.ShardStatus) error {
	return fmt.Errorf("shard %d still applies what its log holds since the last checkpoint: entry %d of %d", st.Shard, st.Applied, st.Node.Commit)
}

// Read calls fn with the books of a shard: as they are now, or, stale, as far as this site's replica knows them. It returns
// what fn returned, or an error of package shard that says why there is no answer. A read that meets an election waits
// for the new leader, until ctx ends (timing.request if it has no deadline, [MaxRequest] at most); a site without a majority says so at once. fn must not
// keep the view. When fn returns [shard.NotFinalError], the past that it asks for is made final, and fn is called again; a stale read
// gets the error.
func (s *Site) Read(ctx context.Context, id holdfast.ShardID, mode shard.ReadMode, fn func(*shard.View) error) error {
	if err := s.known(id); err != nil {
		return err
	}
	if mode == shard.Stale {
		return s.host.Read(ctx, id, mode, fn)
	}
	ctx, cancel := s.within(ctx)
	defer cancel()
	for {
		seat, majority := s.board.seat(id), s.watch.majority.Load()
		if !majority.heard {
			return shard.ErrNoQuorum
		}
		answered := false
		err := s.readOnce(ctx, id, func(v *shard.View) error {
			answered = true
			return fn(v)
		})
		if open, ok := errors.AsType[shard.NotFinalError](err); ok {
			if err = s.closePast(ctx, id, open.At); err == nil {
				continue
			}
			answered = !mayPass(err)
		}
		if answered || err == nil || !mayPass(err) {
			return err
		}
		p := proposal{ctx: ctx, seat: seat, majority: majority}
		if p.pause() != nil {
			return err
		}
	}
}

// readOnce is a read that ends when the majority is lost.
func (s *Site) readOnce(ctx context.Context, id holdfast.ShardID, fn func(*shard.View) error) error {
	if len(s.cfg.Peers) > 0 {
		with, cancel := context.WithCancel(ctx)
		defer cancel()
		defer s.onLoss.add(cancel)()
		ctx = with
	}
	return s.host.Read(ctx, id, shard.Linearizable, fn)
}

// closePast makes the past of a shard final, or ends when the majority is lost.
func (s *Site) closePast(ctx context.Context, id holdfast.ShardID, t holdfast.Time) error {
	if len(s.cfg.Peers) > 0 {
		with, cancel := context.WithCancel(ctx)
		defer cancel()
		defer s.onLoss.add(cancel)()
		ctx = with
	}
	return s.host.ClosePast(ctx, id, t)
}

// mayPass reports that a leader which was not there, or did not answer, may be there in a moment.
func mayPass(err error) bool {
	return errors.Is(err, shard.ErrNoQuorum) || errors.As(err, new(shard.NotLeaderError))
}

// known reports an error for a shard that does not exist, or while there is nothing to ask.
func (s *Site) known(id holdfast.ShardID) error {
	if x := s.extent.Load(); id < 1 || int(id) > x.seats {
		return fmt.Errorf("shard %d of %d: %w", id, x.now, shard.ErrNoShard)
	}
	if !s.running.Load() {
		return s.closed()
	}
	return nil
}

// closed says why this site takes nothing in: it is on its way up, or down.
func (s *Site) closed() error {
	if s.gate.fresh() {
		return fmt.Errorf("%w: %w", ErrNotReady, ErrStarting)
	}
	return fmt.Errorf("%w: %w", ErrNotReady, shard.ErrStopping)
}

// lane is the way to another site, nil for one that was never heard of.
func (s *Site) lane(to holdfast.SiteID, bulk bool) *lane { return (*s.lanes.Load())[laneKey{to, bulk}] }

// leadsAny reports whether a replica here leads its shard.
func (s *Site) leadsAny() bool {
	for _, id := range s.seatIDs() {
		if s.host != nil && s.host.Leader(id).Self {
			return true
		}
	}
	return false
}
