package site

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"holdfast"
	"holdfast/shard"
	"holdfast/transit"
)

// Whoever wants to know whether a payment is safe asks all sites what their own logs say. What is asked and answered is not this package's
// business: it knows no payments. It carries the question, and says where things stand.

// Heard is what another site has answered to [Site.AskSites].
type Heard struct {
	Site   holdfast.SiteID
	Answer []byte // its own; nil: there is none, and Err says why
	Err    error
}

// OnAsked sets who answers what other sites ask with [Site.AskSites]. It has to answer by its own replicas alone, before ctx ends; from then on it
// is called from many goroutines at once. Until it is set, and after nil, questions are turned away.
func (s *Site) OnAsked(answer func(ctx context.Context, question []byte) ([]byte, error)) {
	if answer == nil {
		s.witness.Store(nil)
		return
	}
	s.witness.Store(&answer)
}

func (s *Site) serveWitness(ctx context.Context, payload []byte) ([]byte, error) {
	answer := s.witness.Load()
	if answer == nil {
		return nil, notExecuted{errors.New("this site does not answer for its log: nothing that could is part of it")}
	}
	if len(payload) == 0 || payload[0] != wireVersion {
		return nil, notExecuted{errWire}
	}
	return (*answer)(ctx, payload[1:])
}

// AskSites asks all other sites at once, and returns what each has said by the end of ctx, in the order of their numbers. One that cannot be reached
// costs no time.
func (s *Site) AskSites(ctx context.Context, question []byte) []Heard {
	peers := s.peers()
	list := make([]Heard, len(peers))
	payload := append([]byte{wireVersion}, question...)
	var all sync.WaitGroup
	for i := range peers {
		h := &list[i]
		if h.Site = peers[i].Site; s.link == nil || !s.running.Load() {
			h.Err = s.closed()
			continue
		}
		all.Go(func() { h.Answer, h.Err = s.link.Call(ctx, h.Site, methodWitness, payload) })
	}
	all.Wait()
	slices.SortFunc(list, func(a, b Heard) int { return int(a.Site) - int(b.Site) })
	return list
}

// LandedHere is [Site.Landed] by the replicas of this site alone: where the land of a payment that crosses was decided, and how. 0: they know
// nothing of it, which says nothing about whether it was.
func (s *Site) LandedHere(ctx context.Context, p *transit.Payment) (at holdfast.ShardID, land holdfast.Outcome, err error) {
	var unread error
	for _, id := range p.Places(directory{s.ShardMap()}) {
		q := p.At(id)
		err := s.Read(ctx, id, shard.Stale, func(v *shard.View) error {
			f, found, err := v.Txn(q.LandID())
			if found && err == nil && q.IsLand(f.Txn) {
				at, land = id, f.Outcome
			}
			return err
		})
		if at != 0 && err == nil {
			return at, land, nil
		}
		unread = errors.Join(unread, err)
	}
	if unread != nil {
		return 0, land, fmt.Errorf("where the payment may have arrived cannot be read here: %w", unread)
	}
	return 0, land, nil
}
