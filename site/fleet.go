package site

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/link"
	"holdfast/shard"
)

// Sites reports on every site of the fleet, in the order of their numbers. What it says of the others they have said
// themselves within the last timing.quorum_silence, if they are reachable.
func (s *Site) Sites(context.Context) []SiteStatus {
	list := []SiteStatus{s.ownStatus()}
	peers := map[holdfast.SiteID]link.PeerStatus{}
	if s.link != nil && s.running.Load() {
		for _, p := range s.link.Peers() {
			peers[p.Site] = p
		}
	}
	for _, p := range s.peers() {
		list = append(list, s.peerStatus(&p, peers[p.Site]))
	}
	slices.SortFunc(list, func(a, b SiteStatus) int { return cmp.Compare(a.Site, b.Site) })
	roster := s.Roster()
	for i := range list {
		list[i].Role = roster.role(list[i].Site)
		if listed := roster.find(list[i].Site); listed != nil {
			list[i].City = listed.City
		}
	}
	return list
}

func (s *Site) ownStatus() SiteStatus {
	st := SiteStatus{
		Site: s.cfg.Site, Name: s.cfg.Name, HTTP: s.ownURL(), Self: true, Reachable: true, LastHeard: time.Now(),
		Ready: s.Ready() == nil,
	}
	if s.store != nil {
		p := s.pulse()
		st.take(&p)
		disk := s.host.Health()
		st.DiskWrite, st.DiskSick = disk.Median, disk.Sick
	}
	return st
}

// ownURL is the base URL of this site's API as others can use it: as the list of sites says, or where it listens; "" when that is on every
// address of the machine, which tells nobody where to go.
func (s *Site) ownURL() string {
	if own := s.Roster().find(s.cfg.Site); own != nil && own.HTTP != "" {
		return own.HTTP
	}
	host, _, err := net.SplitHostPort(s.cfg.HTTP.Listen)
	if ip, failed := netip.ParseAddr(host); err != nil || host == "" || failed == nil && ip.IsUnspecified() {
		return ""
	}
	return "http://" + s.cfg.HTTP.Listen
}

func (s *Site) peerStatus(p *Peer, l link.PeerStatus) SiteStatus {
	w := s.watch.peer(p.Site)
	if w == nil {
		return SiteStatus{Site: p.Site, Name: p.Name, HTTP: p.HTTP} // it came or went a moment ago
	}
	st := SiteStatus{Site: p.Site, Name: p.Name, HTTP: p.HTTP, Reachable: s.watch.answers(w), RoundTrip: l.RTT, Version: l.Version}
	if at := w.answered.Load(); at > 0 {
		st.LastHeard = s.watch.epoch.Add(time.Duration(at))
	}
	if latest := w.latest.Load(); latest != nil && st.Reachable {
		st.take(latest)
		st.Ready = latest.ready
	}
	for _, c := range l.Carriers {
		st.Carriers = append(st.Carriers, CarrierStatus{
			Address: c.Address, Connected: c.Up, RoundTrip: c.RTT, LastHeard: time.Now().Add(-c.Silence),
			Stalled: c.Stalled, Loss: c.Loss,
		})
	}
	return st
}

// take copies what a site says of itself.
func (st *SiteStatus) take(p *pulse) {
	st.Version, st.DigestOK, st.DiskFree, st.DiskFull = p.version, p.digestOK, p.diskFree, p.diskFull
	for id := range p.leads {
		st.Leads = append(st.Leads, id)
	}
	slices.Sort(st.Leads)
}

// Shards reports on every shard as this site sees it.
func (s *Site) Shards(ctx context.Context) []ShardStatus {
	if !s.running.Load() {
		return nil
	}
	var list []ShardStatus
	for _, st := range s.host.Status() {
		if int(st.Shard) > s.extent.Load().now {
			continue // it is being born: see ShardBirths
		}
		list = append(list, s.shardStatus(ctx, st))
	}
	return list
}

func (s *Site) shardStatus(ctx context.Context, st shard.ShardStatus) ShardStatus {
	seat, log := s.board.seat(st.Shard), s.store.Shard(st.Shard)
	out := ShardStatus{
		Shard: st.Shard, Leader: seat.leader, Term: seat.term, Commit: st.Node.Commit, Applied: st.Applied, Digest: st.Digest,
		DigestOK: st.OutOfService == nil, InService: st.OutOfService == nil && st.Born, LogFirst: log.FirstIndex(),
		LogLast: log.LastIndex(), Reason: reason(st), Members: members(st, log.LastIndex()),
	}
	out.Home, out.Slots = s.ShardMap().placeOf(st.Shard)
	var meta ledger.Meta
	err := s.host.Read(ctx, st.Shard, shard.Stale, func(v *shard.View) error {
		meta = v.Meta()
		return nil
	})
	if err != nil && out.Reason == "" {
		out.InService, out.Reason = false, err.Error()
	}
	// What the host reports may be a tenth of a second old; the state itself is not.
	out.Applied, out.Digest = max(out.Applied, meta.Index), meta.Digest
	out.Accounts, out.Holds = int(meta.Accounts), int(meta.Holds)
	return out
}

// reason says why a replica does not answer; "" when it does.
func reason(st shard.ShardStatus) string {
	switch {
	case st.OutOfService != nil:
		return st.OutOfService.Error()
	case st.NoSpace != "":
		return st.NoSpace
	case st.Pulling:
		return "a checkpoint of another site is being fetched"
	case !st.Born:
		return "this replica waits for its place in the fleet"
	}
	return ""
}

func members(st shard.ShardStatus, last uint64) []MemberStatus {
	progress := map[shard.ReplicaID]shard.Progress{}
	for _, f := range st.Node.Followers {
		progress[f.Replica] = f
	}
	var list []MemberStatus
	for _, m := range st.Members {
		out := MemberStatus{Site: m.Site, Replica: uint64(m.Replica), Learner: m.Role&(shard.Voter|shard.OldVoter) == 0}
		if f, known := progress[m.Replica]; known {
			out.Match, out.Lag = f.Match, last-min(f.Match, last)
		}
		list = append(list, out)
	}
	slices.SortFunc(list, func(a, b MemberStatus) int { return cmp.Compare(a.Site, b.Site) })
	return list
}
