package shard

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"holdfast"
)

// A shard can be born in a fleet that runs. Its founders are not found out by asking around, as at the first start: the fleet
// decides upon them once, in the log of another shard, and tells every host (see docs/decisions/0013-a-shard-is-born.md).

// seats are those of a host, in order of shard.
type seats []*seat

func (list seats) find(id holdfast.ShardID) (int, bool) {
	return slices.BinarySearchFunc(list, id, func(s *seat, id holdfast.ShardID) int { return int(s.id) - int(id) })
}

// with is the list with one more.
func (list seats) with(s *seat) *seats {
	i, _ := list.find(s.id)
	next := slices.Insert(slices.Clone(list), i, s)
	return &next
}

// at is the seat of a shard, nil when there is none.
func (h *Host) at(id holdfast.ShardID) *seat {
	list := *h.seats.Load()
	if i, ok := list.find(id); ok {
		return list[i]
	}
	return nil
}

// AddShard makes a place for a shard that is born in a running fleet, before Start or after it. Its replica draws an identity,
// which [Host.Report] tells, and waits for [Host.Found], or for another site whose replica was born already. It never founds
// the shard of its own accord. For a shard that has a place here it does nothing.
func (h *Host) AddShard(id holdfast.ShardID) {
	h.adding.Lock()
	defer h.adding.Unlock()
	if h.at(id) != nil {
		return
	}
	s := newSeat(h, id)
	s.later = true
	h.seats.Store(h.seats.Load().with(s))
	if h.started.Load() && h.ctx.Err() == nil {
		h.spawn(s.run)
	}
}

// Found tells the host what the fleet has decided: who the first members of a shard are that [Host.AddShard] made a place for. It
// may be told again, for one shard always the same. A replica whose identity is not among them joins without a vote.
func (h *Host) Found(id holdfast.ShardID, founders []Member) error {
	s, err := h.seat(id)
	if err != nil {
		return err
	}
	if len(founders) == 0 {
		return fmt.Errorf("shard %d has no founders", id)
	}
	m := NewMembers(founders)
	s.founders.Store(&m)
	s.foretold.set()
	return nil
}

// errUnfounded is what others hear of a replica that waits to be told of its founders: it is nobody to found a shard with.
var errUnfounded = errors.New("this shard is born later: its founders are not known here yet")

// serveBirth answers a site that asks who is there. A replica that is born later is nobody until it is born: a site that takes
// its shard for one of the first, because it is configured wrongly, must not count it among the founders.
func (s *seat) serveBirth() ([]byte, error) {
	r, err := s.report()
	if err != nil {
		return nil, err
	}
	if s.later && !r.Born {
		return nil, fmt.Errorf("shard %d: %w", s.id, errUnfounded)
	}
	return r.Append(nil), nil
}

// DecideLater says how a replica of a shard begins that is born in a running fleet. told are the founders, as the fleet has decided, nil
// when this site was not told. No site founds such a shard by itself, whatever it hears: it takes over the list that it is told, or that a
// replica has which was born before.
func DecideLater(self Report, told *Members, others []Report) Birth {
	if told == nil && PlantedLaterFounds {
		sites := []holdfast.SiteID{self.Site}
		for _, r := range others {
			sites = append(sites, r.Site)
		}
		return Decide(self, sites, others)
	}
	if told != nil {
		others = []Report{{Replica: told.Founders[0].Replica, Born: true, Members: *told}}
	}
	return Decide(self, nil, others)
}

// decide says how this replica begins.
func (s *seat) decide(self Report) Birth {
	if !s.later {
		return Decide(self, s.host.config.Sites, s.askReports())
	}
	told := s.founders.Load()
	var others []Report
	if told == nil {
		others = s.askReports()
	}
	return DecideLater(self, told, others)
}

// Pauses until an unborn replica asks the others again. One that is born later may wait for long, and is told.
const (
	birthPause = 100 * time.Millisecond
	laterPause = time.Second
)

func (s *seat) birthPause() time.Duration {
	if s.later {
		return laterPause
	}
	return birthPause
}
