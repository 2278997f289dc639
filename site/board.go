package site

import (
	"slices"
	"sync"
	"sync/atomic"

	"holdfast"
)

// seat says who leads a shard, as far as this site knows. It is immutable; changed is closed when another seat takes its
// place, so that any number of requests can wait for an election at the cost of one channel.
type seat struct {
	leader  holdfast.SiteID // 0: nobody known
	term    uint64
	changed chan struct{}
}

// board shows who leads each shard. It is written from two sides: by this site's own replica, which is usually the first
// to know, and by what the leaders of the other sites say of themselves, which is all there is while this site's replica
// is being rebuilt.
type board struct {
	shards atomic.Pointer[[]*boardShard] // replaced as a whole when a shard comes
}

type boardShard struct {
	seat atomic.Pointer[seat] // read without a lock on the way of each payment

	mu        sync.Mutex
	own       claim                     // of our replica
	claims    map[holdfast.SiteID]claim // of peers heard lately, each about itself
	elected   uint64                    // the newest term that was seen with a leader
	elections uint64                    // how many such terms were seen
}

// claim is that a site leads in a term. The own replica's claim may name any site, or 0.
type claim struct {
	leader holdfast.SiteID
	term   uint64
}

func newBoard(shards int) *board {
	b := &board{}
	b.shards.Store(&[]*boardShard{})
	b.grow(shards)
	return b
}

// grow makes room for as many shards. It is called by one goroutine at a time.
func (b *board) grow(shards int) {
	list := slices.Clone(*b.shards.Load())
	for len(list) < shards {
		s := &boardShard{claims: map[holdfast.SiteID]claim{}}
		s.seat.Store(&seat{changed: make(chan struct{})})
		list = append(list, s)
	}
	b.shards.Store(&list)
}

func (b *board) shard(id holdfast.ShardID) *boardShard { return (*b.shards.Load())[id-1] }

// seat is who leads now. The shard must exist.
func (b *board) seat(id holdfast.ShardID) *seat { return b.shard(id).seat.Load() }

// own takes what this site's replica says. It reports whether the seat has changed.
func (b *board) own(id holdfast.ShardID, leader holdfast.SiteID, term uint64) bool {
	s := b.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own = claim{leader, term}
	return s.resolve()
}

// heard takes what a peer says: the terms of all shards it leads. What it does not name, it does not lead any more. A nil
// map takes back all it has said. It reports the shards whose seat has changed.
func (b *board) heard(from holdfast.SiteID, leads map[holdfast.ShardID]uint64) (changed []holdfast.ShardID) {
	for i, s := range *b.shards.Load() {
		id := holdfast.ShardID(i + 1)
		term, leading := leads[id]
		s.mu.Lock()
		if leading {
			s.claims[from] = claim{from, term}
		} else {
			delete(s.claims, from)
		}
		if s.resolve() {
			changed = append(changed, id)
		}
		s.mu.Unlock()
	}
	return changed
}

// resolve puts who has the highest term into the seat; of equal terms the one who names a leader. A term has one leader at
// most, so two claims of one term never differ.
func (s *boardShard) resolve() bool {
	best := s.own
	for _, c := range s.claims {
		if c.term > best.term || c.term == best.term && best.leader == 0 {
			best = c
		}
	}
	if best.leader != 0 && best.term > s.elected {
		s.elected = best.term
		s.elections++
	}
	old := s.seat.Load()
	if old.leader == best.leader && old.term == best.term {
		return false
	}
	s.seat.Store(&seat{best.leader, best.term, make(chan struct{})})
	close(old.changed)
	return true
}

// elections is how many terms with a leader this site has seen of a shard since it started. Terms that came and went between
// two looks, or elected nobody, are not among them.
func (b *board) elections(id holdfast.ShardID) uint64 {
	s := b.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.elections
}

// majority is whether this site has had answers from enough sites lately. Like seat it is immutable.
type majority struct {
	heard   bool
	changed chan struct{}
}
