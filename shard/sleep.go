package shard

import (
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast"
)

// Rest is the sleep of one replica: nobody ticks it until it wakes.
type Rest struct {
	shard holdfast.ShardID
	leads bool
	site  holdfast.SiteID // as follower: whose beats it trusts
	word  Slumber         // and what they say of it
}

// Doze lets a replica fall asleep if it may; nil: it has to stay awake. Whoever owns it ticks it no more, until [Beats.Keeps] says
// no or [Replica.Stirred] says yes; then it calls [Beats.Rouse].
//
// A leader falls asleep first: when nothing has happened for some time, every voter has everything, and so has every learner whose site
// is there, and every other voter's site hears this one and is heard. Its followers follow when the beats name them.
func (b *Beats) Doze(id holdfast.ShardID, r *Replica) (*Rest, error) {
	lead := r.Leader()
	if lead.Leader == 0 || r.Stirred() || !r.calm() {
		return nil, nil
	}
	if lead.Self {
		return b.dozeLeader(id, r)
	}
	word, ok := b.peer(lead.Site).list[id]
	if !ok || word.From != lead.Leader || word.To != r.Node.config.Replica || word.Term != lead.Term || word.Commit != r.Node.applied {
		return nil, nil
	}
	rest := &Rest{shard: id, site: lead.Site, word: word}
	if b.Late(rest) || !b.Keeps(rest) {
		return nil, nil
	}
	r.Node.spoke = false
	return rest, r.Hear(lead.Site, word) // its clock counts from the beat on, as Rouse does
}

func (b *Beats) dozeLeader(id holdfast.ShardID, r *Replica) (*Rest, error) {
	if r.idle < r.config.SleepTicks || r.config.SleepTicks < 0 || !r.Ready() || r.Transferring() {
		return nil, nil
	}
	status, err := r.Status()
	if err != nil {
		return nil, err
	}
	l := ledAsleep{from: status.Replica, term: status.Term, commit: status.Commit}
	for _, p := range status.Followers {
		if p.Replica == status.Replica {
			continue
		}
		if !b.join(&l, p, status.Commit) {
			return nil, nil
		}
	}
	b.led[id] = l
	b.epoch++
	return &Rest{shard: id, leads: true}, nil
}

// join counts a follower in among those with whom a leader sleeps; false: it has to stay awake for it. A voter is needed, so everything
// about it has to be well. Nothing needs a learner, but a leader who is awake brings it what it lacks, if it is there to be brought anything.
func (b *Beats) join(l *ledAsleep, p Progress, commit uint64) bool {
	// Active, because one check of the majority may come before the answer to the first heartbeat after the sleep.
	whole := (p.Match == commit || PlantedSleepUnmatched) && p.State == "replicate" && p.Active
	switch {
	case p.Role == Voter && whole && b.vouched(p.Member):
		l.with = append(l.with, p.Member)
	case p.Role == Learner && !b.hears(p.Site):
		l.absent = append(l.absent, p.Member)
	case p.Role == Learner && whole:
		l.learners = append(l.learners, p.Member)
	default:
		return false
	}
	return true
}

// hears reports whether a site and this one hear each other.
func (b *Beats) hears(site holdfast.SiteID) bool { return b.unheard(site) <= b.unheardAfter() }

// vouched reports whether beats show of a follower all that heartbeats would: it hears its leader, is heard, and is at work.
func (b *Beats) vouched(m Member) bool {
	return !b.peer(m.Site).lame && (PlantedSleepUnheard || b.hears(m.Site))
}

// Keeps reports whether a replica may sleep on.
func (b *Beats) Keeps(rest *Rest) bool {
	if !rest.leads {
		p := b.peer(rest.site)
		return (PlantedSleepOn || p.silent < b.doubtAfter()) && p.list[rest.shard] == rest.word
	}
	l, ok := b.led[rest.shard]
	for _, m := range l.with {
		ok = ok && b.vouched(m) && b.silence(m.Site) <= b.doubtAfter()
	}
	for _, m := range l.absent {
		ok = ok && !b.hears(m.Site) // it is back: it may lack what was written meanwhile
	}
	return ok
}

// Late reports whether the clock has to tick each time: a site that a sleeping replica counts on has been silent for so long that one more
// rest of the clock could last until an election. The replica must neither wake later than that, nor refuse its vote to another one that
// has woken.
func (b *Beats) Late(rest *Rest) bool {
	late := func(site holdfast.SiteID) bool { return b.silence(site)+b.RestTicks() >= b.config.ElectionTicks }
	if !rest.leads {
		return late(rest.site)
	}
	return slices.ContainsFunc(b.led[rest.shard].with, func(m Member) bool { return late(m.Site) })
}

// Rouse ends the sleep of a replica. What it has slept through while beats were missing is added to its clock: a follower
// campaigns, and a leader finds out that it has lost its majority, as soon as it would have done awake.
func (b *Beats) Rouse(r *Replica, rest *Rest) {
	missed := 0
	if rest.leads {
		for _, m := range b.led[rest.shard].with {
			missed = max(missed, b.unheard(m.Site))
		}
		if missed <= b.RestTicks() {
			missed = 0 // all is well
		}
		b.Unlist(rest.shard)
	} else if !r.Node.spoke { // a leader that has just spoken was heard later than any beat
		missed = b.silence(rest.site)
	}
	r.Node.overslept(max(0, min(missed, b.config.ElectionTicks)))
}

// Unlist takes a shard that is led here off the list: nobody vouches for its leader any more, whether it sleeps or not.
func (b *Beats) Unlist(id holdfast.ShardID) {
	if _, ok := b.led[id]; ok && !PlantedSleepVouched {
		delete(b.led, id)
		b.epoch++
	}
}

// calm reports whether nothing is under way at this replica, as far as it knows.
func (r *Replica) calm() bool {
	n := r.Node
	status := n.raft.BasicStatus()
	self, ok := n.members.Find(n.config.Replica)
	switch {
	case !ok || self.Role != Voter && self.Role != Learner || n.members.Joint():
	case n.HasOutput() || len(n.writes)+len(n.applying)+len(n.changes)+len(n.snapshotted) > 0 || n.duel:
	case n.leader.Term != status.HardState.GetTerm() || n.applied != status.HardState.GetCommit() || n.applied != n.end:
	case r.reads.busy() || r.config.Answers.busy():
	default:
		singles, bulks := r.config.Intake.Waiting()
		return singles+bulks == 0
	}
	return false
}

// Stirred reports whether something has happened since the last tick that a replica must be awake for: anything but heartbeats.
func (r *Replica) Stirred() bool { return r.Node.stirred }

// Stir says that something has.
func (n *Node) Stir() { n.stirred = true }

// overslept adds ticks in which nobody was heard, and nothing was done about it. Less than an election time-out of a follower begins no
// election by itself.
func (n *Node) overslept(ticks int) {
	for range ticks {
		// The clock is all that it moves on, and no other call does only that.
		n.raft.TickQuiesced()
	}
}

// beatMark is in the heartbeats that a beat stands for, and so in the answers to them: nobody waits for those. It differs from the
// numbers of reads by its length.
const beatMark = "beat"

// Hear takes the heartbeat that a beat stood for.
func (n *Node) Hear(from holdfast.SiteID, s Slumber) (err error) {
	defer caught(&err)
	if s.To != n.config.Replica || s.Shard != n.config.Shard || s.From == s.To {
		return nil // of a disk that was here before
	}
	n.learnSite(s.From, from)
	n.ignore(n.raft.Step(heartbeat(s.From, s.To, s.Term, s.Commit)))
	return nil
}

// notice takes note of a message that has been stepped: it wakes the replica, unless it is an answer to a heartbeat, of which some come
// late to a leader that has fallen asleep.
func (n *Node) notice(m *pb.Message) {
	switch m.GetType() {
	case pb.MsgHeartbeatResp:
		return
	case pb.MsgHeartbeat, pb.MsgApp:
		n.spoke = n.spoke || m.GetTerm() >= n.leader.Term
	}
	n.stirred = true
}
