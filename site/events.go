package site

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"holdfast"
	"holdfast/shard"
)

// Event is an interesting change in the life of a site: an operator wants to see it without searching logs. Nothing in it is
// personal or secret.
type Event struct {
	Seq    uint64 // from 1, without gaps
	At     time.Time
	Kind   EventKind
	Shard  holdfast.ShardID // 0: it is not about one
	Site   holdfast.SiteID  // the site it is about; 0: none, as for a shard without a leader
	Term   uint64
	Detail string
}

// EventKind names what has happened. The names are part of what operators search for: add, never rename.
type EventKind string

// Kinds of events. Those marked loud are logged as warnings or errors.
const (
	EventStart        EventKind = "start"
	EventStop         EventKind = "stop"
	EventLeader       EventKind = "leader"          // another site leads, or nobody does
	EventCut          EventKind = "cut"             // loud: a site does not answer any more
	EventHeal         EventKind = "heal"            // it answers
	EventAlone        EventKind = "no-majority"     // loud: this site refuses what is new
	EventMajority     EventKind = "majority"        // it does no longer
	EventHome         EventKind = "home"            // a leadership was given back to the site where it is at home
	EventMap          EventKind = "shard-map"       // this site has learnt of a new shard map
	EventShards       EventKind = "shards"          // a shard has a place here from now on, or can be used
	EventShardStep    EventKind = "shard-step"      // a step of the birth or the split of a shard was ordered here
	EventSplit        EventKind = "shard-split"     // a shard was split, or the split of it was given up
	EventSites        EventKind = "sites"           // this site has learnt of a new list of sites
	EventSiteStep     EventKind = "site-step"       // a step of a change of sites was ordered here
	EventSiteDone     EventKind = "site-done"       // a change of sites is over
	EventSlotMoved    EventKind = "slot-moved"      // a slot is in another shard now
	EventSlotStuck    EventKind = "slot-stuck"      // loud: a slot does not move, or was given up
	EventFragile      EventKind = "fragile"         // loud: some single loss would stop a shard
	EventSturdy       EventKind = "sturdy"          // none would any more
	EventDiffers      EventKind = "transit-differs" // loud: what a shard has sent to another is not what has landed there
	EventFits         EventKind = "transit-fits"    // it is again, or is compared again
	EventUncompared   EventKind = "transit-unknown" // loud: it was not compared for several intervals
	EventCourier      EventKind = "courier"         // loud: a payment between shards cannot be brought to its end
	EventBorn         EventKind = "born"            // a replica has found its place in the fleet
	EventRejoin       EventKind = "rejoin"          // loud: an empty disk joins a living fleet in the stead of the old one
	EventMembers      EventKind = "members"         // a shard's voters have changed
	EventInstalled    EventKind = "installed"       // a checkpoint of another site was installed
	EventOutOfService EventKind = "out-of-service"  // loud: a replica differs from the others and answers nothing
	EventBack         EventKind = "back-in-service" // it is known to be right after all
	EventOthersDiffer EventKind = "others-differ"   // loud: a majority has the state of the replica here, and others have another one
	EventCorrupt      EventKind = "corrupt"         // loud: a disk does not hold what was written; the replica has left service
	EventWaits        EventKind = "rebuild-waits"   // loud: a corrupt replica may not be wiped, because others do not hold its data for certain
	EventYields       EventKind = "yields"          // loud: a leadership goes to a site with a better disk
	EventSpoilt       EventKind = "bad-checkpoint"  // loud: another site has sent a checkpoint that contradicts itself
	EventClock        EventKind = "clock-ahead"     // loud: this site's clock is far ahead of the others', and is not believed
	EventNoSpace      EventKind = "fetch-waits"     // loud: a checkpoint of another site cannot be fetched for want of space
	EventWiped        EventKind = "wiped"           // loud: a replica forgets all it has and joins again under a new identity
	EventBankFile     EventKind = "bank-file"       // loud: a file of a bank cannot be taken, and was set aside for people to look at
)

var eventLevels = map[EventKind]slog.Level{
	EventCut: slog.LevelWarn, EventFragile: slog.LevelWarn, EventAlone: slog.LevelWarn, EventRejoin: slog.LevelWarn,
	EventOutOfService: slog.LevelError, EventCorrupt: slog.LevelError, EventWaits: slog.LevelError, EventWiped: slog.LevelWarn,
	EventNoSpace: slog.LevelError, EventSpoilt: slog.LevelError, EventClock: slog.LevelError, EventOthersDiffer: slog.LevelError, EventYields: slog.LevelWarn, EventCourier: slog.LevelError, EventSlotStuck: slog.LevelWarn,
	EventDiffers: slog.LevelError, EventUncompared: slog.LevelWarn, EventBankFile: slog.LevelError,
}

// eventsKept is how many events are remembered.
const eventsKept = 1024

// events remembers, logs and passes on what happens.
type events struct {
	log  *slog.Logger
	hook func(Event)

	mu   sync.Mutex
	ring []Event // Event of Seq n is at (n-1) % eventsKept
	last uint64
}

func newEvents(log *slog.Logger, hook func(Event)) *events {
	if hook == nil {
		hook = func(Event) {}
	}
	return &events{log: log, hook: hook}
}

// add holds the lock while the hook runs: that is what keeps the order.
func (e *events) add(v Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last++
	v.Seq, v.At = e.last, time.Now()
	if len(e.ring) < eventsKept {
		e.ring = append(e.ring, v)
	} else {
		e.ring[(v.Seq-1)%eventsKept] = v
	}
	e.log.Log(context.Background(), eventLevels[v.Kind], string(v.Kind), "seq", v.Seq, "shard", v.Shard,
		"about", v.Site, "term", v.Term, "detail", v.Detail)
	e.hook(v)
}

func (e *events) after(seq uint64) []Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	first := e.last - uint64(len(e.ring)) + 1
	var list []Event
	for n := max(seq+1, first); n <= e.last; n++ {
		list = append(list, e.ring[(n-1)%eventsKept])
	}
	return list
}

func (s *Site) event(v Event) {
	s.metrics.event(v)
	s.events.add(v)
}

// BankFileAside tells operators of a file of a bank that was set aside, and why.
func (s *Site) BankFileAside(bank, file, why string) {
	s.event(Event{Kind: EventBankFile, Site: s.cfg.Site, Detail: fmt.Sprintf("bank %s: %.80s: %.400s", bank, file, why)})
}

// hostEvent translates what the replicas of this site report.
func (s *Site) hostEvent(e shard.Event) {
	v := Event{Shard: e.Shard, Site: s.cfg.Site, Detail: e.Text}
	if e.Err != nil {
		v.Detail = fmt.Sprintf("%s: %v", e.Text, e.Err)
	}
	switch e.Kind {
	case shard.EventLeader:
		s.board.own(e.Shard, e.Leader.Site, e.Leader.Term)
		s.changed(e.Shard)
		v.Kind, v.Site, v.Term = EventLeader, e.Leader.Site, e.Leader.Term
	case shard.EventBorn:
		v.Kind = EventBorn
		if e.Text == shard.BirthJoin.String() {
			v.Kind = EventRejoin
			v.Detail = "this disk is empty and the shard lives: it joins without a vote, in the stead of the replica that was here"
		}
	case shard.EventMembers:
		v.Kind = EventMembers
		s.countVoters()
	case shard.EventInstalled:
		v.Kind = EventInstalled
		s.outs.returns(e.Shard)
	case shard.EventCorrupt:
		v.Kind = EventCorrupt
		if len(s.peers()) == 0 { // with peers it may be rebuilt from them
			s.outs.leaves(e.Shard)
		}
	case shard.EventYields:
		v.Kind = EventYields
	case shard.EventWaits:
		v.Kind = EventWaits
	case shard.EventWiped:
		v.Kind = EventWiped
		s.outs.returns(e.Shard)
	case shard.EventOutOfService:
		v.Kind = EventOutOfService
		s.outs.leaves(e.Shard)
	case shard.EventBack:
		v.Kind = EventBack
		s.outs.returns(e.Shard)
	case shard.EventOthersDiffer:
		v.Kind = EventOthersDiffer
	case shard.EventSpoilt:
		v.Kind = EventSpoilt
	case shard.EventClock:
		v.Kind = EventClock
	case shard.EventNoSpace:
		v.Kind = EventNoSpace
	}
	s.event(v)
	s.watch.tell() // what it leads, and whether it is fit to, may be news
}

// outs are the shards whose replica here answers nothing until somebody has looked. While there is one the site is not ready.
type outs struct {
	mu     sync.Mutex
	shards map[holdfast.ShardID]bool
	failed bool // this site must stop: nothing returns
}

func (o *outs) leaves(id holdfast.ShardID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.shards == nil {
		o.shards = map[holdfast.ShardID]bool{}
	}
	o.shards[id] = true
}

// returns is for a replica that serves again, or was rebuilt or replaced and so is another one.
func (o *outs) returns(id holdfast.ShardID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.shards, id)
}

func (o *outs) all() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed = true
}

func (o *outs) any() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed || len(o.shards) > 0
}
