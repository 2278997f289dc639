package site

import (
	"cmp"
	"fmt"
	"slices"

	"holdfast"
)

// The list of sites says what is wanted, the shards' logs say what is. This file is the step function between the two: from both,
// as they are now, it works out the one thing to do next. It remembers nothing, so that whichever site drives it goes on where
// another has stopped. fleetkeeper.go gathers what it works on and does what it says.

// moveKind says what to do next.
type moveKind uint8

const (
	moveNone     moveKind = iota // the list and the shards agree, and no change is under way
	moveWait                     // nothing can be done now; why says what is waited for
	moveAdmit                    // a learner
	movePromote                  // a learner gets its vote, perhaps in the stead of a site that leaves
	moveHandOver                 // a leader that is to go, or to lose its vote
	moveDemote                   // a voter loses its vote, and stays as a learner
	moveRemove
	moveFinish // every shard is as it should be
)

// move is the next step.
type move struct {
	kind    moveKind
	shard   holdfast.ShardID
	site    holdfast.SiteID // that is admitted, promoted, demoted, removed, or is to lead
	instead holdfast.SiteID // movePromote: that goes in the same change; 0: none
	why     string          // moveWait
}

// shardNow is a shard as its leader sees it.
type shardNow struct {
	shard   holdfast.ShardID
	known   bool // its leader has answered
	joint   bool // a change of members is under way
	leader  holdfast.SiteID
	members []memberNow
}

func shardsOf(list []shardNow) []holdfast.ShardID {
	ids := make([]holdfast.ShardID, len(list))
	for i := range list {
		ids[i] = list[i].shard
	}
	return ids
}

// memberNow is one replica.
type memberNow struct {
	site  holdfast.SiteID
	votes bool
	fit   bool // it is at work and has everything
	lag   uint64
}

// siteNow is what a site says of itself, as far as a change of sites needs it.
type siteNow struct {
	site    holdfast.SiteID
	answers bool
	roster  uint64 // version that it knows
	trouble string // why it cannot take part; "": nothing
	turns   bool   // its release knows how learners become voters, and voters learners
}

// next works out what to do.
func (r *Roster) next(shards []shardNow, sites []siteNow) move {
	if r.Change == nil {
		return move{}
	}
	if why := r.unheard(sites); why != "" {
		return move{kind: moveWait, why: why}
	}
	// The first shard comes last: its log has the list, and a site that leaves hears of its end in it.
	for i := len(shards) - 1; i >= 0; i-- {
		m := r.nextIn(&shards[i])
		if m.kind == moveNone {
			m = r.copying(&shards[i])
		}
		if m.kind != moveNone {
			return m
		}
	}
	return move{kind: moveFinish}
}

// unheard says which site does not know the list yet, or cannot take part. A site that does not answer is not waited for: it may be
// the one that is replaced, and it learns of the list from the others when it is back.
func (r *Roster) unheard(sites []siteNow) string {
	for _, s := range sites {
		switch {
		case r.role(s.site) == RoleLeaving || !s.answers:
		case s.trouble != "":
			return fmt.Sprintf("site %d %s", s.site, s.trouble)
		case s.roster < r.Version:
			return fmt.Sprintf("site %d does not know version %d of the list of sites yet", s.site, r.Version)
		}
	}
	return ""
}

// nextIn works out what to do in one shard: moveNone when it is as it should be.
func (r *Roster) nextIn(s *shardNow) move {
	wait := func(why string, args ...any) move {
		return move{kind: moveWait, shard: s.shard, why: fmt.Sprintf("shard %d: ", s.shard) + fmt.Sprintf(why, args...)}
	}
	switch {
	case !s.known:
		return wait("its leader does not answer")
	case s.joint:
		return wait("a change of its members is under way")
	}
	for _, id := range slices.Concat(r.with(RoleVoter), r.with(RoleLearner)) {
		if s.at(id) == nil {
			return move{kind: moveAdmit, shard: s.shard, site: id}
		}
	}
	for _, id := range r.with(RoleVoter) {
		if m := s.at(id); !m.votes {
			if !m.fit {
				return wait("site %d copies what it does not have: %d entries to go", id, m.lag)
			}
			return r.handOverFirst(s, move{kind: movePromote, shard: s.shard, site: id, instead: s.leaving(r)}, wait)
		}
	}
	for _, id := range r.with(RoleLearner) {
		if s.at(id).votes {
			return r.handOverFirst(s, move{kind: moveDemote, shard: s.shard, site: id}, wait)
		}
	}
	if id := s.left(r); id != 0 {
		return r.handOverFirst(s, move{kind: moveRemove, shard: s.shard, site: id}, wait)
	}
	return move{}
}

// copying waits until a learner that comes has what it is to hold: only then is it the copy that was ordered. A learner that is not part
// of the change is not waited for, as nothing ever waits for it; nor is one that was a voter, which had everything that it had to have.
func (r *Roster) copying(s *shardNow) move {
	if r.Change == nil || r.Change.Kind == SiteDemote || r.role(r.Change.Site) != RoleLearner {
		return move{}
	}
	m := s.at(r.Change.Site)
	if m == nil || m.fit {
		return move{}
	}
	return move{kind: moveWait, shard: s.shard, why: fmt.Sprintf("shard %d: site %d copies what it does not have: %d entries to go", s.shard, m.site, m.lag)}
}

// handOverFirst puts a hand-over before a change that takes the leader out, or its vote.
func (r *Roster) handOverFirst(s *shardNow, m move, wait func(string, ...any) move) move {
	if goes := cmp.Or(m.instead, m.site); goes != s.leader {
		return m
	}
	for _, x := range s.members {
		if x.votes && x.fit && x.site != s.leader && r.role(x.site) == RoleVoter {
			return move{kind: moveHandOver, shard: s.shard, site: x.site}
		}
	}
	return wait("site %d leads it, and no other voter could", s.leader)
}

// at is the member of a site: its voter, if it has one beside a learner that is to replace it.
func (s *shardNow) at(id holdfast.SiteID) (found *memberNow) {
	for i := range s.members {
		if m := &s.members[i]; m.site == id && (found == nil || m.votes) {
			found = m
		}
	}
	return found
}

// leaving is a voter that is to go, 0 when there is none; the one that does not work first.
func (s *shardNow) leaving(r *Roster) (id holdfast.SiteID) {
	for _, m := range s.members {
		if m.votes && r.role(m.site) == RoleLeaving && (id == 0 || !m.fit) {
			id = m.site
		}
	}
	return id
}

// left is a member that is to go, 0 when there is none.
func (s *shardNow) left(r *Roster) holdfast.SiteID {
	for _, m := range s.members {
		if r.role(m.site) == RoleLeaving {
			return m.site
		}
	}
	return 0
}

// voters are the sites that vote, in order of number.
func (s *shardNow) voters() (list []holdfast.SiteID) {
	for _, m := range s.members {
		if m.votes && !slices.Contains(list, m.site) {
			list = append(list, m.site)
		}
	}
	slices.Sort(list)
	return list
}

// done reports whether a shard is as the list wants it.
func (r *Roster) done(s *shardNow) bool {
	return r.nextIn(s).kind == moveNone && r.copying(s).kind == moveNone
}
