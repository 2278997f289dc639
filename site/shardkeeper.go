package site

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/shard"
)

// shardKeeper keeps the shard map as this site knows it, and makes the parts of the site that count shards follow it: the file
// beside the data, the board, the replicas, the movers. Beside the leader of the first shard it also carries out a birth.
type shardKeeper struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	adopts sync.Mutex  // serializes adoptMap
	unsure atomic.Bool // the directory is new: with how many shards the fleet was born is only known from the configuration
	seen   atomic.Bool // the map was seen as it was at some moment since the start
	doing  atomic.Pointer[birthAt]
}

// birthAt is a birth under way, as its driver sees it.
type birthAt struct {
	ID    string `json:"id"`
	Doing string `json:"doing"`
}

// keepSoon is the pause between two looks at the map while something is under way.
const keepSoon = 50 * time.Millisecond

// claim makes sure that the directory is that of this site, and begins with as many shards as it says.
func (s *Site) claim() error {
	x, fresh, err := claimDirectory(&s.cfg)
	if err != nil {
		return err
	}
	s.shards.unsure.Store(fresh && !s.alone())
	s.board.grow(x.seats)
	s.extent.Store(&x)
	founding := newShardMap(x.first, s.configured())
	s.founding.Store(founding)
	known := *founding // until a map is read: the shards that were born later, without a slot
	known.Homes = newShardMap(x.now, s.configured()).Homes
	s.shardMap.Store(&known)
	return nil
}

// sure reports nil when this site knows with how many shards the fleet was born, by which records without an owner are placed. A new
// directory has it from the configuration only, and so nothing is placed by it before the fleet was asked.
func (s *Site) sure() error {
	if s.shards.unsure.Load() {
		return errors.New("this site is new, and has not seen the shard map of the fleet yet")
	}
	return nil
}

// adoptMap takes over a newer map, and makes everything that counts shards follow it.
func (s *Site) adoptMap(m *ShardMap) error {
	s.shards.adopts.Lock()
	defer s.shards.adopts.Unlock()
	old := s.shardMap.Load()
	if m.Version <= old.Version {
		return nil
	}
	if err := s.makeRoom(m); err != nil {
		return err
	}
	s.shardMap.Store(m)
	s.shards.unsure.Store(false)
	s.event(Event{Kind: EventMap, Detail: fmt.Sprintf("shard map version %d: homes %v", m.Version, m.Homes)})
	s.moveAll()
	s.changed(0)
	return nil
}

// makeRoom prepares for the shards of a map. The file comes first: a site must not be counted on by the others before it would come
// back with every replica. Then whatever a replica speaks to when it begins.
func (s *Site) makeRoom(m *ShardMap) error {
	old := *s.extent.Load()
	x := extent{first: m.first, now: len(m.Homes), seats: max(old.seats, m.seats())}
	if x != old {
		if err := writeDurably(filepath.Join(s.cfg.Data, directoryFile), x.of(&s.cfg)); err != nil {
			return fmt.Errorf("remember that there are %d shards: %w", x.seats, err)
		}
		if x.first != old.first {
			s.founding.Store(newShardMap(x.first, s.configured()))
		}
		s.board.grow(x.seats)
		for _, id := range shardIDs(x.seats) {
			s.host.AddShard(id)
		}
		s.extent.Store(&x)
		s.event(Event{Kind: EventShards, Shard: holdfast.ShardID(x.seats), Site: s.cfg.Site, Detail: fmt.Sprintf("%d shards, %d have a place here", x.now, x.seats)})
	}
	if b := m.birth; b != nil && b.Founders != nil {
		return s.host.Found(b.Shard, b.members())
	}
	return nil
}

// learnMap takes over the map as it is now.
func (s *Site) learnMap(ctx context.Context) error {
	m, err := s.readMap(ctx, shard.Linearizable)
	if err != nil {
		return err
	}
	if err := s.adoptMap(m); err != nil {
		return err
	}
	s.shards.unsure.Store(false) // there may be none, and then the configuration holds
	s.shards.seen.Store(true)
	return nil
}

func (s *Site) startShards(ctx context.Context) error {
	if s.alone() { // it takes requests as soon as it has started
		if err := s.learnMap(ctx); err != nil {
			return err
		}
	}
	ctx, s.shards.cancel = context.WithCancel(context.Background())
	s.shards.done.Go(func() { s.keepShards(ctx) })
	return nil
}

func (s *Site) stopShards(context.Context) error {
	s.shards.cancel()
	s.shards.done.Wait()
	return nil
}

func (s *Site) keepShards(ctx context.Context) {
	timer := time.NewTimer(keepSoon)
	defer timer.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if err := s.lookAtMap(ctx, n%askRosterTicks == 0); err != nil && ctx.Err() == nil {
			s.log.Debug("the shard map could not be read here", "err", err)
		}
		s.driveBirth(ctx)
		pause := untilNext(fleetTick, s.cfg.Site)
		if s.driveSplits(ctx) || s.ShardMap().birth != nil || !s.shards.seen.Load() {
			pause = keepSoon
		}
		timer.Reset(pause)
	}
}

// lookAtMap takes over the map from this site's own replica of the first shard; or, when it may not have the latest, from the others.
func (s *Site) lookAtMap(ctx context.Context, ask bool) error {
	if ask && s.Ready() != nil {
		s.askMap(ctx)
	}
	if !s.shards.seen.Load() {
		with, cancel := context.WithTimeout(ctx, s.cfg.Timing.Request.Std()/2)
		defer cancel()
		if s.learnMap(with) == nil {
			return nil
		}
	}
	return s.refreshMap(ctx)
}

// askMap asks all peers for the map, and takes the newest.
func (s *Site) askMap(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timing.QuorumSilence.Std())
	defer cancel()
	for _, p := range s.peers() {
		b, err := s.link.Call(ctx, p.Site, methodMap, []byte{wireVersion})
		if err != nil || len(b) < 9 || b[0] != wireVersion {
			continue // it is not there, of an older release, or has no map
		}
		m, err := readShardMap(b[9:], binary.BigEndian.Uint64(b[1:]), s.extent.Load().first, s.sites())
		if err == nil {
			err = s.adoptMap(m)
		}
		if err != nil {
			s.log.Warn("the shard map of another site could not be taken over", "peer", p.Site, "err", err)
		}
	}
}

// serveMap answers a site that asks for the map; with nothing while there is none.
func (s *Site) serveMap() []byte {
	m := s.ShardMap()
	if m.Version == 0 {
		return nil
	}
	return append(binary.BigEndian.AppendUint64([]byte{wireVersion}, m.Version), m.encode()...)
}

// birthKey is the record of a shard that was born: by the id of its order, so that whoever repeats it hears which one it was.
func birthKey(id string) string { return holdfast.ReservedPrefix + "birth/" + id }

// birthIndex is what all of them are found by.
const birthIndex = holdfast.ReservedPrefix + "births"

// AddShard orders that one more shard is born, without a slot, and returns its number when that stands in the log of the first one.
// From then on the fleet carries it out by itself; [Site.ShardBirths] tells how far it is, and [Site.ApplySlots] brings slots to it when
// it is there. id names the order: asked again with it, whatever has happened since, the answer is the same shard. version is that of the
// map that the order was made from: [ErrMapChanged] when there is another. The error is a [PlanRefused] when no shard can be born now.
func (s *Site) AddShard(ctx context.Context, id string, version uint64) (holdfast.ShardID, error) {
	if err := errors.Join(s.known(mapShard), checkBirthID(id)); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, planWait)
	defer cancel()
	if at, err := s.orderedBirth(ctx, id); at != 0 || err != nil {
		return at, err
	}
	m, err := s.readMap(ctx, shard.Linearizable)
	if err != nil {
		return 0, err
	}
	r, err := s.listed(ctx)
	if err != nil {
		return 0, err
	}
	if b := m.birth; b != nil && b.ID == id {
		return b.Shard, nil
	}
	if m.Version != version {
		return 0, ErrMapChanged
	}
	if err := s.birthAllowed(ctx, m, r); err != nil {
		return 0, err
	}
	return s.announceBirth(ctx, m, r, id)
}

// announceBirth writes the map in which one more shard is to be born, made from this map and this list, together with other records.
func (s *Site) announceBirth(ctx context.Context, m *ShardMap, r *Roster, id string, more ...holdfast.RecordChange) (holdfast.ShardID, error) {
	next := m.announced(id)
	err := s.writeMapWith(ctx, next, holdfast.Txn{
		Preconditions: []holdfast.Precondition{{Key: rosterRecord, Version: r.Version}, {Key: birthKey(id)}}, Records: more,
	})
	return next.birth.Shard, err
}

// orderedBirth is the shard that was born by an order; 0: none was.
func (s *Site) orderedBirth(ctx context.Context, id string) (at holdfast.ShardID, err error) {
	err = s.Read(ctx, mapShard, shard.Linearizable, func(v *shard.View) error {
		r, found, err := v.Record(birthKey(id))
		if err != nil || !found {
			return err
		}
		var b birth
		err = json.Unmarshal(r.Body, &b)
		at = b.Shard
		return err
	})
	return at, err
}

// listed is the list of sites as it is now. While there is no record, it is those that the configuration names and that have a replica of
// some shard: one that is configured and was never taken in is no site of the fleet yet.
func (s *Site) listed(ctx context.Context) (*Roster, error) {
	r, err := s.readRosterHere(ctx, shard.Linearizable)
	if err != nil || r.Version > 0 {
		return r, err
	}
	shards, _, _ := s.fleetNow(ctx, r)
	if r = r.among(shards); len(r.Sites) == 0 {
		return nil, refuse("no shard has a leader that answers")
	}
	return r, nil
}

// birthAllowed says why no shard can be born now.
func (s *Site) birthAllowed(ctx context.Context, m *ShardMap, r *Roster) error {
	switch {
	case m.birth != nil:
		return refuse("shard %d is being born already, by order %s: wait for its end", m.birth.Shard, m.birth.ID)
	case r.Change != nil:
		return refuse("a change of sites is under way: %s site %d; wait for its end", r.Change.Kind, r.Change.Site)
	case len(m.Homes) >= MaxShards:
		return refuse("there are %d shards, and no fleet has more", MaxShards)
	}
	for _, b := range s.babies(ctx, m, r, holdfast.ShardID(len(m.Homes)+1)) {
		switch {
		case !b.answers:
			return refuse("site %d does not answer: bring it back or replace it first", b.site)
		case b.trouble != "":
			return refuse("site %d %s", b.site, b.trouble)
		}
	}
	return nil
}

// babies asks every site of the list for its replica of a shard.
func (s *Site) babies(ctx context.Context, m *ShardMap, r *Roster, id holdfast.ShardID) []babyAt {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	list := make([]babyAt, len(r.Sites))
	var all sync.WaitGroup
	for i, listed := range r.Sites {
		list[i].site = listed.Site
		all.Go(func() {
			a, err := s.askAbout(ctx, listed.Site)
			if err != nil {
				list[i].answers = s.watch.answers(s.watch.peer(listed.Site))
				list[i].trouble = "does not know how shards are born: upgrade it first"
				return
			}
			list[i] = a.baby(m.first, id)
		})
	}
	all.Wait()
	return list
}

// baby is what a site says of its replica of one shard.
func (a *aboutAnswer) baby(first int, id holdfast.ShardID) babyAt {
	b := babyAt{site: a.Site, answers: true, mapped: a.Map}
	switch {
	case a.First == 0:
		b.trouble = "does not know how shards are born: upgrade it first"
	case a.First != first:
		b.trouble = fmt.Sprintf("is configured for %d shards, the fleet was born with %d", a.First, first)
	case len(a.Shards) >= int(id):
		b.replica, b.founded = a.Shards[id-1].Replica, a.Shards[id-1].Founded
	}
	return b
}

// CancelShard gives a birth up whose founders are not named yet, because a site that is needed does not come back. When they are named,
// it can only go on.
func (s *Site) CancelShard(ctx context.Context, id string) error {
	if err := errors.Join(s.known(mapShard), checkBirthID(id)); err != nil {
		return err
	}
	return s.changeMap(ctx, func(m *ShardMap) (*ShardMap, holdfast.Txn, error) {
		switch b := m.birth; {
		case b == nil || b.ID != id:
			return nil, holdfast.Txn{}, refuse("no shard is being born by order %s", id)
		case b.Founders != nil:
			return nil, holdfast.Txn{}, refuse("shard %d has its founders: it is as good as born", b.Shard)
		}
		return m.abandoned(), holdfast.Txn{}, nil
	})
}

// changeMap writes what comes of the map as it is, again when somebody else has written meanwhile. No map: there is nothing to write.
func (s *Site) changeMap(ctx context.Context, change func(*ShardMap) (*ShardMap, holdfast.Txn, error)) error {
	ctx, cancel := s.within(ctx)
	defer cancel()
	for mode := shard.Stale; ; mode = shard.Linearizable { // what is known here is mostly the newest
		old, err := s.readMap(ctx, mode)
		if err != nil {
			return err
		}
		next, txn, err := change(old)
		if err != nil && mode == shard.Stale {
			continue
		}
		if err != nil || next == nil {
			return err
		}
		if err := s.writeMapWith(ctx, next, txn); !errors.Is(err, ErrMapChanged) {
			return err
		}
	}
}

// driveBirth does the next step of a birth that is under way, beside the leader of the first shard.
func (s *Site) driveBirth(ctx context.Context) {
	m := s.ShardMap()
	if m.birth == nil || !s.host.Leader(mapShard).Self {
		s.shards.doing.Store(nil)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, planWait)
	defer cancel()
	what, err := s.birthStep(ctx, m)
	at := &birthAt{ID: m.birth.ID, Doing: what}
	if err != nil {
		at.Doing += " (not yet: " + err.Error() + ")"
	}
	if old := s.shards.doing.Swap(at); old == nil || old.Doing != at.Doing {
		s.log.Info("birth of a shard", "shard", m.birth.Shard, "order", at.ID, "doing", at.Doing)
	}
}

// birthStep gathers what is known, and does what is to be done. An error is no harm: the step comes up again.
func (s *Site) birthStep(ctx context.Context, m *ShardMap) (what string, err error) {
	r, err := s.listed(ctx) // it does not change while a birth is under way, but may have just before
	if err != nil {
		return "reading the list of sites", err
	}
	b := m.birth
	sites := s.babies(ctx, m, r, b.Shard)
	now, _ := s.shardNow(ctx, b.Shard)
	switch next := b.next(r, sites, &now); next.kind {
	case birthFound:
		what = fmt.Sprintf("its founders are named: %d sites", len(next.founders))
		err = s.writeBirth(ctx, b, func(m *ShardMap) (*ShardMap, holdfast.Txn) {
			return m.foundedWith(next.founders), holdfast.Txn{Preconditions: []holdfast.Precondition{{Key: rosterRecord, Version: r.Version}}}
		})
	case birthOrder:
		what = doing(r, next.order, nil)
		err = s.orderMember(ctx, r, next.order)
	case birthFinish:
		what = "it comes into the shard map"
		var home holdfast.SiteID
		if home, err = s.homeOfBirth(ctx, b); err != nil {
			return what, err
		}
		body, broken := json.Marshal(b)
		if broken != nil {
			panic(broken) // text and numbers only
		}
		err = s.writeBirth(ctx, b, func(m *ShardMap) (*ShardMap, holdfast.Txn) {
			return m.withBorn(r, home), holdfast.Txn{Records: []holdfast.RecordChange{{Key: birthKey(b.ID), Index: []string{birthIndex}, Body: body}}}
		})
	default:
		return "waits: " + next.why, nil
	}
	if err == nil {
		s.event(Event{Kind: EventShardStep, Shard: b.Shard, Site: s.cfg.Site, Detail: what})
	}
	return what, err
}

// writeBirth changes the map, if the birth is still where it was.
func (s *Site) writeBirth(ctx context.Context, b *birth, change func(*ShardMap) (*ShardMap, holdfast.Txn)) error {
	return s.changeMap(ctx, func(m *ShardMap) (*ShardMap, holdfast.Txn, error) {
		if !m.still(b) {
			return nil, holdfast.Txn{}, nil // somebody else has done the step, or given it up
		}
		next, txn := change(m)
		return next, txn, nil
	})
}

// orderMember takes a site in that is on the list and was not among the founders.
func (s *Site) orderMember(ctx context.Context, r *Roster, m move) error {
	a, err := s.askAbout(ctx, m.site)
	if err != nil {
		return err
	}
	return s.carryOut(ctx, r, m, map[holdfast.SiteID]aboutAnswer{m.site: a})
}

// States of a birth.
const (
	BirthPreparing = "preparing" // every voter makes room for it
	BirthFounded   = "founded"   // its founders are named, and elect a leader
	BirthDone      = "born"      // it is in the map
)

// BirthStatus is a shard that was born in the running fleet, or is being born.
type BirthStatus struct {
	ID       string // of the order
	Shard    holdfast.ShardID
	State    string
	Doing    string            // while it is under way: what is done just now, or waited for; "": its driver does not answer
	Founders []holdfast.SiteID // when they are named
}

func (b *birth) status(state string) BirthStatus {
	st := BirthStatus{ID: b.ID, Shard: b.Shard, State: state}
	for _, f := range b.Founders {
		st.Founders = append(st.Founders, f.Site)
	}
	return st
}

// ShardBirths tells of every shard that was born since the fleet was, in order of number, and of one that is being born, as far as
// this site knows.
func (s *Site) ShardBirths(ctx context.Context) (list []BirthStatus, err error) {
	err = s.Read(ctx, mapShard, shard.Stale, func(v *shard.View) error {
		records, err := v.Records(birthIndex, "", MaxShards)
		for i := range records {
			var b birth
			err = cmp.Or(err, json.Unmarshal(records[i].Body, &b))
			list = append(list, b.status(BirthDone))
		}
		return err
	})
	slices.SortFunc(list, func(a, b BirthStatus) int { return int(a.Shard) - int(b.Shard) })
	if b := s.ShardMap().birth; b != nil && err == nil {
		list = append(list, s.birthNow(ctx, b))
	}
	return list, err
}

// birthNow asks the driver of a birth how far it is.
func (s *Site) birthNow(ctx context.Context, b *birth) BirthStatus {
	st := b.status(BirthPreparing)
	if b.Founders != nil {
		st.State = BirthFounded
	}
	at := s.shards.doing.Load()
	if leader := s.board.seat(mapShard).leader; at == nil && leader != 0 && leader != s.cfg.Site {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.Timing.QuorumSilence.Std())
		defer cancel()
		at, _ = askJSON[*birthAt](ctx, s, leader, methodBirthAt, struct{}{}) // without an answer there is none
	}
	if at != nil && at.ID == b.ID {
		st.Doing = at.Doing
	}
	return st
}
