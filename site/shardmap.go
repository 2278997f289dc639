package site

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"holdfast"
	"holdfast/shard"
	"holdfast/transit"
)

// mapRecord is the record that holds the shard map. It lives in the first shard, which every site has a replica of, and is
// written with the version that was read: two operators who change it at once do not undo each other.
const mapRecord = holdfast.ReservedPrefix + "shard-map"

// mapShard is the shard whose log the map is in.
const mapShard holdfast.ShardID = 1

// mapFormat is the version of the text form. A site that reads another one keeps the map it has and says so.
const mapFormat = 1

// movedFormat is that of a map of which slots have moved: a release that does not know how to route those must not use it.
const movedFormat = 2

// bornFormat is that of a map of a fleet in which shards were born, or one is being born: a release that does not know how they come
// must not use it. Slots may have moved or not.
const bornFormat = 3

// ShardMap says which shard has which slots, and where each shard is at home: the site that leads it when all is well.
type ShardMap struct {
	Version uint64            // of the record; 0: nobody has changed anything, and the map follows from the configuration
	Homes   []holdfast.SiteID // of shard i+1
	slots   [holdfast.Slots]holdfast.ShardID
	// been is where slots were before that have moved, oldest first; see docs/decisions/0011-moving-slots.md.
	been  map[holdfast.Slot][]transit.Origin
	first int    // shards that the fleet was born with
	birth *birth // of one more that is under way; nil: none is
	// written is the map as it stands in the log, of one that foresees more; nil: this is it.
	written *ShardMap
}

// record is the map as it stands in the log.
func (m *ShardMap) record() *ShardMap {
	if m.written != nil {
		return m.written
	}
	return m
}

// newShardMap spreads the slots evenly over the shards, and their homes over the sites in order of number.
func newShardMap(shards int, sites []holdfast.SiteID) *ShardMap {
	m := &ShardMap{Homes: make([]holdfast.SiteID, shards), first: shards}
	sites = slices.Sorted(slices.Values(sites))
	for i := range m.Homes {
		m.Homes[i] = sites[i%len(sites)]
	}
	for slot := range m.slots {
		m.slots[slot] = holdfast.ShardID(slot*shards/holdfast.Slots + 1)
	}
	return m
}

// ShardOf is the shard that has a slot.
func (m *ShardMap) ShardOf(slot holdfast.Slot) holdfast.ShardID { return m.slots[slot] }

// Home is the site that leads a shard when all is well; 0 for one that is not in the map.
func (m *ShardMap) Home(id holdfast.ShardID) holdfast.SiteID {
	if !m.has(id) {
		return 0
	}
	return m.Homes[id-1]
}

// has reports whether a shard is in the map. One that is being born is not.
func (m *ShardMap) has(id holdfast.ShardID) bool { return id >= 1 && int(id) <= len(m.Homes) }

// seats is how many shards a site of this map has a place for.
func (m *ShardMap) seats() int {
	if m.birth != nil {
		return len(m.Homes) + 1
	}
	return len(m.Homes)
}

// Stretch is slots one after the other that are in one shard, both ends included.
type Stretch struct {
	From  holdfast.Slot    `json:"from"`
	To    holdfast.Slot    `json:"to"`
	Shard holdfast.ShardID `json:"shard"`
}

// Stretches are all slots, in order.
func (m *ShardMap) Stretches() (list []Stretch) {
	for slot, id := range m.slots {
		if n := len(list); n > 0 && list[n-1].Shard == id {
			list[n-1].To = holdfast.Slot(slot)
			continue
		}
		list = append(list, Stretch{From: holdfast.Slot(slot), To: holdfast.Slot(slot), Shard: id})
	}
	return list
}

// placeOf is where a shard is at home, and its slots.
func (m *ShardMap) placeOf(id holdfast.ShardID) (home holdfast.SiteID, slots []Stretch) {
	for _, s := range m.Stretches() {
		if s.Shard == id {
			slots = append(slots, s)
		}
	}
	return m.Home(id), slots
}

// mapText is the form in the record.
type mapText struct {
	Format int               `json:"format"`
	Slots  []Stretch         `json:"slots"`
	Homes  []holdfast.SiteID `json:"homes"`
	Moved  []movedText       `json:"moved,omitempty"`
	First  int               `json:"first,omitempty"`
	Birth  *birth            `json:"birth,omitempty"`
}

// movedText is a slot that has moved, and then shard and index of each place where it was: in few bytes, because there may be a thousand.
type movedText []uint64

// mapRoom is what the text of a map may take: the most that a record has, and some of it kept for homes and births.
const mapRoom = holdfast.MaxRecordBody - 8<<10

// fitsMoved reports whether the map has room for these slots in another shard, wherever they will have been up to.
func (m *ShardMap) fitsMoved(slots []holdfast.Slot, to holdfast.ShardID) bool {
	next := *m
	next.been = maps.Clone(m.been)
	if next.been == nil {
		next.been = map[holdfast.Slot][]transit.Origin{}
	}
	for _, slot := range slots {
		next.been[slot] = append(slices.Clone(next.been[slot]), transit.Origin{Shard: m.slots[slot], Index: math.MaxInt64})
		next.slots[slot] = to
	}
	return len(next.encode()) <= mapRoom
}

func (m *ShardMap) encode() []byte {
	text := mapText{Format: mapFormat, Slots: m.Stretches(), Homes: m.Homes}
	for _, slot := range slices.Sorted(maps.Keys(m.been)) {
		moved := movedText{uint64(slot)}
		for _, o := range m.been[slot] {
			moved = append(moved, uint64(o.Shard), o.Index)
		}
		text.Moved, text.Format = append(text.Moved, moved), movedFormat
	}
	if m.birth != nil || len(m.Homes) > m.first {
		text.Format, text.First, text.Birth = bornFormat, m.first, m.birth
	}
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // numbers only
	}
	return b
}

// fits reports whether the parts of the text are those of its format.
func (t *mapText) fits() bool {
	grown := t.First > 0 && t.First <= len(t.Homes) && len(t.Homes) <= MaxShards && (t.Birth != nil || len(t.Homes) > t.First)
	switch t.Format {
	case mapFormat:
		return len(t.Moved) == 0 && t.First == 0 && t.Birth == nil
	case movedFormat:
		return len(t.Moved) > 0 && t.First == 0 && t.Birth == nil
	}
	return t.Format == bornFormat && grown && (t.Birth == nil || int(t.Birth.Shard) == len(t.Homes)+1 && t.Birth.check() == nil)
}

// readShardMap reads a record written by encode, for a fleet that was born with so many shards, and these sites. A map of a fleet in
// which others were born says itself how many there were at first.
func readShardMap(body []byte, version uint64, first int, sites []holdfast.SiteID) (*ShardMap, error) {
	var text mapText
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&text); err != nil {
		return nil, fmt.Errorf("record %s, version %d: %w", mapRecord, version, err)
	}
	if !text.fits() {
		return nil, fmt.Errorf("record %s, version %d is not of its format, %d, or of a newer one; this release knows up to %d: upgrade this site",
			mapRecord, version, text.Format, bornFormat)
	}
	m, shards := &ShardMap{Version: version, Homes: text.Homes, first: first, birth: text.Birth}, first
	if text.Format == bornFormat {
		m.first, shards = text.First, len(text.Homes)
	}
	if len(m.Homes) != shards || slices.ContainsFunc(m.Homes, func(s holdfast.SiteID) bool { return !slices.Contains(sites, s) }) {
		return nil, fmt.Errorf("record %s, version %d: homes %v are not one of the sites %v for each of %d shards", mapRecord, version, m.Homes, sites, shards)
	}
	next := 0
	for _, s := range text.Slots {
		if int(s.From) != next || s.To < s.From || int(s.To) >= holdfast.Slots || s.Shard < 1 || int(s.Shard) > shards {
			return nil, fmt.Errorf("record %s, version %d: slots %d-%d in shard %d do not continue at slot %d", mapRecord, version, s.From, s.To, s.Shard, next)
		}
		for slot := s.From; slot <= s.To; slot++ {
			m.slots[slot] = s.Shard
		}
		next = int(s.To) + 1
	}
	if next != holdfast.Slots {
		return nil, fmt.Errorf("record %s, version %d ends at slot %d of %d", mapRecord, version, next, holdfast.Slots)
	}
	return m, m.readMoved(text.Moved, shards)
}

func (m *ShardMap) readMoved(list []movedText, shards int) error {
	last := -1
	for _, x := range list {
		if len(x) < 3 || len(x)%2 == 0 || x[0] >= holdfast.Slots || int(x[0]) <= last {
			return fmt.Errorf("record %s, version %d: %d is not a slot that follows on %d, and the shards where it has been", mapRecord, m.Version, x, last)
		}
		if last = int(x[0]); m.been == nil {
			m.been = map[holdfast.Slot][]transit.Origin{}
		}
		for places := x[1:]; len(places) > 0; places = places[2:] {
			if places[0] < 1 || places[0] > uint64(shards) || places[1] == 0 {
				return fmt.Errorf("record %s, version %d: slot %d was in shard %d up to entry %d", mapRecord, m.Version, last, places[0], places[1])
			}
			slot := holdfast.Slot(last)
			m.been[slot] = append(m.been[slot], transit.Origin{Shard: holdfast.ShardID(places[0]), Index: places[1]})
		}
	}
	return nil
}

// directory is the map as package transit asks for it.
type directory struct{ *ShardMap }

// ShardOf implements transit.Directory.
func (d directory) ShardOf(o holdfast.Owner) holdfast.ShardID { return d.ShardMap.ShardOf(o.Slot()) }

// Origins implements transit.Directory.
func (d directory) Origins(slot holdfast.Slot) []transit.Origin { return d.been[slot] }

// ShardMap is the map as this site knows it.
func (s *Site) ShardMap() *ShardMap { return s.shardMap.Load() }

// ShardMapVersion counts the changes of the map that this site knows of.
func (s *Site) ShardMapVersion() uint64 { return s.ShardMap().Version }

// refreshMap takes over the map of this site's replica of the first shard. The map only says where to ask first and where
// leaders belong; a site with an old one asks in the wrong place and is sent on.
func (s *Site) refreshMap(ctx context.Context) error {
	var m *ShardMap
	err := s.Read(ctx, mapShard, shard.Stale, func(v *shard.View) error {
		r, found, err := v.Record(mapRecord)
		if err != nil || !found || r.Version <= s.ShardMap().Version { // while a slot moves this is asked often: it is not read in vain
			return err
		}
		m, err = readShardMap(r.Body, r.Version, s.extent.Load().first, s.sites())
		return err
	})
	if err != nil || m == nil {
		return err
	}
	return s.adoptMap(m)
}

func (s *Site) readMap(ctx context.Context, mode shard.ReadMode) (m *ShardMap, err error) {
	err = s.Read(ctx, mapShard, mode, func(v *shard.View) error {
		r, found, err := v.Record(mapRecord)
		if err != nil {
			return err
		}
		if !found {
			m = newShardMap(s.extent.Load().first, s.configured())
			return nil
		}
		m, err = readShardMap(r.Body, r.Version, s.extent.Load().first, s.sites())
		return err
	})
	return m, err
}

// ErrMapChanged says that somebody else changed the shard map, or the list of sites, between reading and writing. Nothing was changed.
var ErrMapChanged = errors.New("the shard map was changed by somebody else meanwhile: look at it again")

// SetHome makes a site the home of a shard, through the log. The leadership follows by itself when that site has been well
// for a while; [Site.MoveLeader] moves it at once.
func (s *Site) SetHome(ctx context.Context, id holdfast.ShardID, home holdfast.SiteID) error {
	if err := s.known(id); err != nil {
		return err
	}
	if !slices.Contains(s.sites(), home) {
		return fmt.Errorf("site %d is no site of this fleet: there are %v", home, s.sites())
	}
	ctx, cancel := s.within(ctx)
	defer cancel()
	old, err := s.readMap(ctx, shard.Linearizable)
	if err != nil {
		return err
	}
	r, err := s.readRosterHere(ctx, shard.Linearizable)
	if err != nil {
		return err
	}
	return s.setHome(ctx, old, r, id, home)
}

// setHome writes a home into a map. A site that is to leave, or to lose its vote, gives its homes away by the order to do so: none may
// come after it, so the list of sites must be as it was seen.
func (s *Site) setHome(ctx context.Context, old *ShardMap, r *Roster, id holdfast.ShardID, home holdfast.SiteID) error {
	switch role := r.role(home); {
	case role != RoleVoter:
		return fmt.Errorf("site %d is a %s: a shard is at home where it can be led", home, role)
	case old.Home(id) == home:
		return nil
	case !old.has(id):
		return fmt.Errorf("shard %d of %d: %w", id, len(old.Homes), shard.ErrNoShard)
	}
	next := *old
	next.Homes = slices.Clone(old.Homes)
	next.Homes[id-1] = home
	return s.writeMapWith(ctx, &next, holdfast.Txn{Preconditions: []holdfast.Precondition{{Key: rosterRecord, Version: r.Version}}})
}

// writeMap proposes a map made from the version it names.
func (s *Site) writeMap(ctx context.Context, m *ShardMap) error {
	return s.writeMapWith(ctx, m, holdfast.Txn{})
}

// writeMapWith writes a map together with what else is in a transaction, all or nothing.
func (s *Site) writeMapWith(ctx context.Context, m *ShardMap, txn holdfast.Txn) error {
	txn.ID = freshID(time.Now())
	txn.Records = append(txn.Records, holdfast.RecordChange{Key: mapRecord, Expect: m.Version, Body: m.encode()})
	out, err := s.proposeOwn(ctx, mapShard, &txn)
	switch {
	case err != nil:
		return err
	case out.Status == holdfast.Done:
		return s.refreshMap(ctx)
	case outdated(out.Code):
		return ErrMapChanged
	}
	return unwritten("the shard map", out)
}

// ErrUnknown says that what was ordered may have been done, or be done yet: asking again settles it, and does no harm.
var ErrUnknown = errors.New("it is not known whether this was done, and it may be done yet: look at holdfast status, or ask again")

// unwritten is the error of an order to the log that was not done, as far as is known.
func unwritten(what string, out holdfast.Outcome) error {
	if out.Status == holdfast.Unknown {
		return fmt.Errorf("%s: %w", what, ErrUnknown)
	}
	return fmt.Errorf("%s was not written: %s: %w", what, out.Status, errorOf(out.Code))
}

// errorOf is the error of package shard that says why a transaction of the platform's own was not executed.
func errorOf(c holdfast.Code) error {
	switch c {
	case holdfast.CodeOverloaded:
		return shard.ErrOverloaded
	case holdfast.CodeDeadline:
		return shard.ErrTimeout
	case holdfast.CodeStopping:
		return shard.ErrStopping
	case holdfast.CodeDiskFull:
		return shard.ErrDiskFull
	}
	return fmt.Errorf("%w (%s)", shard.ErrNoQuorum, c)
}

// outdated reports a code that says that a record has another version than a transaction was made from.
func outdated(c holdfast.Code) bool {
	return c == holdfast.CodeRecordVersionMismatch || c == holdfast.CodeRecordExists || c == holdfast.CodeRecordMissing
}

// proposeOwn proposes a transaction of the platform's own to a shard, whatever the map says, and waits for its outcome.
func (s *Site) proposeOwn(ctx context.Context, id holdfast.ShardID, t *holdfast.Txn) (holdfast.Outcome, error) {
	ctx, cancel := s.within(ctx) // a lane has to know until when a proposal waits
	defer cancel()
	var batch shard.Batch
	batch.Add(t)
	outcomes, err := s.propose(ctx, group{id: id, Batch: batch})
	if err == nil {
		return decidedBy(id, outcomes[0]), nil
	}
	status, code := outcomeOf(err)
	return holdfast.Outcome{ID: t.ID, Status: status, Code: cmp.Or(code, holdfast.CodeUnknown), Leg: holdfast.NoLeg}, nil
}
