package site

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/shard"
)

// fleetKeeper keeps the list of sites as this one knows it, and makes the parts of the site that speak to others follow it: the
// link, the pulse, the lanes, the replicas. Beside the leader of the first shard it also carries out a change of the list.
type fleetKeeper struct {
	roster atomic.Pointer[Roster] // nil: nothing was learnt yet, the configuration holds
	others atomic.Pointer[[]Peer] // the other sites, as they are reached; nil: as configured
	doing  atomic.Pointer[siteChangeAt]
	fenced string // plan whose change has locked moves of slots out, as its driver knows: only that one uses it
	cancel context.CancelFunc
	done   sync.WaitGroup
	adopts sync.Mutex // serializes adopt
}

const (
	fleetTick = 250 * time.Millisecond
	// askRosterTicks is how often a site without the list in its own log asks the others for it.
	askRosterTicks = 2
)

// peers are the other sites of the fleet, as far as this one knows.
func (s *Site) peers() []Peer {
	if list := s.fleet.others.Load(); list != nil {
		return *list
	}
	return s.cfg.Peers
}

// sites are all sites of the fleet, this one first.
func (s *Site) sites() []holdfast.SiteID { return siteIDs(s.cfg.Site, s.peers()) }

// configured are the sites that the configuration names, this one first: they found the shards.
func (s *Site) configured() []holdfast.SiteID { return siteIDs(s.cfg.Site, s.cfg.Peers) }

func siteIDs(self holdfast.SiteID, peers []Peer) []holdfast.SiteID {
	ids := []holdfast.SiteID{self}
	for _, p := range peers {
		ids = append(ids, p.Site)
	}
	return ids
}

// memberSites are the other sites that have a replica of a shard, as this site's replica knows.
func (s *Site) memberSites(id holdfast.ShardID) (list []holdfast.SiteID) {
	for _, st := range s.host.Status() {
		for _, m := range st.Members {
			if st.Shard == id && m.Site != s.cfg.Site && !slices.Contains(list, m.Site) {
				list = append(list, m.Site)
			}
		}
	}
	slices.Sort(list)
	return list
}

func addressesOf(peers []Peer) map[holdfast.SiteID][]string {
	all := map[holdfast.SiteID][]string{}
	for _, p := range peers {
		all[p.Site] = p.Addresses
	}
	return all
}

// openLanes makes the ways to sites that have none yet. Those to a site that is gone stay: calls over them fail at once.
func (s *Site) openLanes(peers []Peer) {
	old, next := *s.lanes.Load(), map[laneKey]*lane{}
	for key, l := range old {
		next[key] = l
	}
	for _, p := range peers {
		for _, bulk := range []bool{false, true} {
			if key := (laneKey{p.Site, bulk}); next[key] == nil {
				next[key] = newLane(p.Site, s.link, s.followHere, s.knows, s.cfg.Limits.ForwardCalls, s.cfg.Limits.ForwardBytes)
			}
		}
	}
	s.lanes.Store(&next)
}

// rosterFile remembers the list across a restart. It is a hint, for a site that has to find the others before it can read its own
// log to the end; what is decided stands in the logs.
const rosterFile = "SITES"

// recallRoster reads the file, before anything runs.
func (s *Site) recallRoster() error {
	if s.alone() {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(s.cfg.Data, rosterFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the list of sites as it was last known: %w", err)
	}
	head, body, _ := strings.Cut(string(text), "\n")
	version, err := strconv.ParseUint(head, 10, 64)
	if err != nil {
		return fmt.Errorf("%s does not begin with a version: remove it, the site learns the list from the others", filepath.Join(s.cfg.Data, rosterFile))
	}
	r, err := readRoster([]byte(body), version)
	if err == nil {
		s.take(r)
		s.watch.setPeers(s.peers())
	}
	return err
}

// alone reports a site that was configured without others: it has no link, and so nobody can come.
func (s *Site) alone() bool { return len(s.cfg.Peers) == 0 }

// take makes a list the one that is known, if this site is on it. Off the list it goes on as it is: it was retired, and stays out.
func (s *Site) take(r *Roster) {
	s.fleet.roster.Store(r)
	if r.find(s.cfg.Site) == nil {
		return
	}
	peers := r.peersOf(&s.cfg)
	for i := range peers {
		peers[i].Addresses = carriers(peers[i].Addresses, len(s.cfg.Link.Listen))
	}
	s.fleet.others.Store(&peers)
}

// carriers gives one address for each carrier of this site.
func carriers(addresses []string, n int) []string {
	list := make([]string, n)
	copy(list, addresses)
	return list
}

// adopt takes over a newer list, and makes everything that speaks to others follow it.
func (s *Site) adopt(r *Roster) error {
	s.fleet.adopts.Lock()
	defer s.fleet.adopts.Unlock()
	if old := s.fleet.roster.Load(); r == nil || r.Version == 0 || old != nil && r.Version <= old.Version {
		return nil
	}
	// The file first: a site must not be counted on by the others before it would find them again.
	text := strconv.FormatUint(r.Version, 10) + "\n" + string(r.encode())
	if err := writeDurably(filepath.Join(s.cfg.Data, rosterFile), text); err != nil {
		return fmt.Errorf("remember the list of sites: %w", err)
	}
	s.take(r)
	peers := s.peers()
	if err := s.link.SetPeers(addressesOf(peers)); err != nil {
		return err
	}
	s.openLanes(peers)
	for _, gone := range s.watch.setPeers(peers) {
		s.board.heard(gone, nil)
	}
	s.host.SetSites(s.sites())
	s.event(Event{Kind: EventSites, Site: s.cfg.Site, Detail: fmt.Sprintf("version %d of the list of sites: %v", r.Version, r.words())})
	return nil
}

// words name the sites and what they are to be.
func (r *Roster) words() (list []string) {
	for _, x := range r.Sites {
		list = append(list, fmt.Sprintf("%d %s (%s)", x.Site, x.Name, x.Role))
	}
	return list
}

// configuredRoster is the list while there is no record: what the configuration says. It is enough to know who there is.
func (s *Site) configuredRoster() *Roster {
	r := &Roster{Least: min(fewVoters, len(s.cfg.Peers)+1)}
	r.put(ListedSite{Site: s.cfg.Site, Name: s.cfg.Name, City: s.cfg.City, Addresses: s.cfg.advertised(), Role: RoleVoter})
	for _, p := range s.cfg.Peers {
		r.put(ListedSite{Site: p.Site, Name: p.Name, City: p.City, HTTP: p.HTTP, Addresses: p.Addresses, Role: RoleVoter})
	}
	return r
}

// Roster is the list of sites as this one knows it.
func (s *Site) Roster() *Roster {
	if r := s.fleet.roster.Load(); r != nil {
		return r
	}
	return s.configuredRoster()
}

// retired says that this site does not belong to the fleet any more; nil: it does. One that was taken out of the last shard is not
// told of the end: the others do not speak to it any more.
func (s *Site) retired() error {
	r := s.fleet.roster.Load()
	switch {
	case r == nil:
		return nil
	case r.find(s.cfg.Site) == nil:
		return errors.New("this site was retired from the fleet: stop its process")
	case r.role(s.cfg.Site) == RoleLeaving && !s.watch.majority.Load().heard:
		return fmt.Errorf("%w: it was leaving the fleet and is retired, unless holdfast site list at another site still shows it; then stop its process", shard.ErrNoQuorum)
	}
	return nil
}

// advertised is where the others reach this site.
func (c *Config) advertised() []string {
	if len(c.Link.Advertise) > 0 {
		return c.Link.Advertise
	}
	return c.Link.Listen
}

func (s *Site) startFleet(context.Context) error {
	if s.alone() {
		return nil
	}
	var ctx context.Context
	ctx, s.fleet.cancel = context.WithCancel(context.Background())
	s.fleet.done.Go(func() { s.keepFleet(ctx) })
	return nil
}

func (s *Site) stopFleet(context.Context) error {
	if s.fleet.cancel != nil {
		s.fleet.cancel()
		s.fleet.done.Wait()
	}
	return nil
}

func (s *Site) keepFleet(ctx context.Context) {
	timer := time.NewTimer(fleetTick)
	defer timer.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(untilNext(fleetTick, s.cfg.Site))
		s.countVoters()
		if err := s.learnRoster(ctx, n%askRosterTicks == 0); err != nil && ctx.Err() == nil {
			s.log.Debug("the list of sites could not be read here", "err", err)
		}
		s.driveChange(ctx)
	}
}

// countVoters tells the watch whose answers make a majority.
func (s *Site) countVoters() {
	var sets [][]holdfast.SiteID
	for _, st := range s.host.Status() {
		var voters []holdfast.SiteID
		for _, m := range st.Members {
			if m.Role&shard.Voter != 0 && !slices.Contains(voters, m.Site) {
				voters = append(voters, m.Site)
			}
		}
		if len(voters) > 0 {
			sets = append(sets, voters)
		}
	}
	s.watch.voters.Store(&sets)
}

// learnRoster takes over the list from this site's own replica of the first shard; or, when there is none that is up to date, from
// the others.
func (s *Site) learnRoster(ctx context.Context, ask bool) error {
	r, err := s.readRosterHere(ctx, shard.Stale)
	if err == nil {
		err = s.adopt(r)
	}
	if ask && s.Ready() != nil {
		s.askRoster(ctx)
	}
	return err
}

// readRosterHere reads the record; the configured list when there is none.
func (s *Site) readRosterHere(ctx context.Context, mode shard.ReadMode) (r *Roster, err error) {
	err = s.Read(ctx, mapShard, mode, func(v *shard.View) error {
		record, found, err := v.Record(rosterRecord)
		if err != nil {
			return err
		}
		if !found {
			r = s.configuredRoster()
			return nil
		}
		r, err = readRoster(record.Body, record.Version)
		return err
	})
	return r, err
}

// askRoster asks all peers for the list, and takes the newest.
func (s *Site) askRoster(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timing.QuorumSilence.Std())
	defer cancel()
	for _, p := range s.peers() {
		b, err := s.link.Call(ctx, p.Site, methodRoster, []byte{wireVersion})
		if err != nil || len(b) < 9 || b[0] != wireVersion {
			continue // it is not there, of an older release, or has no list
		}
		r, err := readRoster(b[9:], binary.BigEndian.Uint64(b[1:]))
		if err == nil {
			err = s.adopt(r)
		}
		if err != nil {
			s.log.Warn("the list of sites of another site could not be taken over", "peer", p.Site, "err", err)
		}
	}
}

// serveRoster answers a site that asks for the list; with nothing while there is none.
func (s *Site) serveRoster() []byte {
	r := s.fleet.roster.Load()
	if r == nil {
		return nil
	}
	return append(binary.BigEndian.AppendUint64([]byte{wireVersion}, r.Version), r.encode()...)
}
