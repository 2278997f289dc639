package site

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net"
	"slices"
	"sync"
	"time"

	"holdfast"
	"holdfast/shard"
)

// This file gathers what plans and steps are made from, writes the list, and carries steps out.

// Between sites these questions are JSON: they are rare, and a site of another release leaves out what it does not know.

func servesFleet(method string) bool {
	switch method {
	case methodRoster, methodAbout, methodProbe, methodMembers, methodOrder, methodChange, methodBirthAt, methodSplitAt, methodSlotRates, methodStuck:
		return true
	}
	return false
}

func (s *Site) serveFleet(ctx context.Context, method string, payload []byte) ([]byte, error) {
	switch method {
	case methodRoster:
		return s.serveRoster(), nil
	case methodAbout:
		return json.Marshal(s.about())
	case methodProbe:
		return serveJSON(payload, func(q probeRequest) (probeAnswer, error) { return s.probe(ctx, q), nil })
	case methodMembers:
		return serveJSON(payload, func(q membersRequest) (membersAnswer, error) { return s.membersHere(ctx, q.Shard) })
	case methodSlotRates:
		return json.Marshal(s.slotRatesHere())
	case methodStuck:
		return serveJSON(payload, func(q stuckRequest) (stuckAnswer, error) { return stuckAnswer{s.moves.stuck.get(q.Shard)}, nil })
	case methodOrder:
		return serveJSON(payload, func(q orderRequest) (struct{}, error) { return struct{}{}, s.orderHere(ctx, q) })
	case methodBirthAt:
		return json.Marshal(s.shards.doing.Load())
	case methodSplitAt:
		return json.Marshal(s.splits.doing.Load())
	}
	return json.Marshal(s.fleet.doing.Load())
}

func serveJSON[Q, A any](payload []byte, answer func(Q) (A, error)) ([]byte, error) {
	var q Q
	if err := json.Unmarshal(payload, &q); err != nil {
		return nil, notExecuted{fmt.Errorf("%w: %w", errWire, err)}
	}
	a, err := answer(q)
	if err != nil {
		return nil, err
	}
	return json.Marshal(a)
}

// askJSON asks another site.
func askJSON[A any](ctx context.Context, s *Site, to holdfast.SiteID, method string, q any) (a A, err error) {
	payload, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	answer, err := s.link.Call(ctx, to, method, payload)
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(answer, &a)
}

// turnsFormat is what this release knows of learners that become voters, and of voters that become learners.
const turnsFormat = 1

// aboutAnswer is what a site says of itself.
type aboutAnswer struct {
	Site      holdfast.SiteID `json:"site"`
	Name      string          `json:"name"`
	City      string          `json:"city"`
	HTTP      string          `json:"http"`
	Addresses []string        `json:"addresses"`
	Roster    uint64          `json:"roster"`
	Shards    []replicaAbout  `json:"shards"` // that have a place there
	First     int             `json:"first"`  // shards that the fleet was born with, as it knows; 0: it is of an older release, and cannot take in more
	Map       uint64          `json:"map"`    // version of the shard map that it follows, on disk too
	Moves     int             `json:"moves"`  // of slots, that its release can take part in; 0: none
	Splits    int             `json:"splits"` // of shards, that it can carry out; 0: none
	Turns     int             `json:"turns"`  // of learners into voters and back, that it can carry out; 0: none
}

// replicaAbout is its replica of a shard.
type replicaAbout struct {
	Replica uint64 `json:"replica"`
	Founded uint64 `json:"founded"` // by whom: of two replicas of one shard it is the same; 0: not born
}

func (s *Site) about() aboutAnswer {
	a := aboutAnswer{Site: s.cfg.Site, Name: s.cfg.Name, City: s.cfg.City, Addresses: s.cfg.advertised(), Moves: movesFormat, Splits: splitFormat, Turns: turnsFormat}
	if host, _, err := net.SplitHostPort(s.cfg.HTTP.Listen); err == nil && dialable(s.cfg.HTTP.Listen) && !net.ParseIP(host).IsLoopback() {
		a.HTTP = "http://" + s.cfg.HTTP.Listen // what it listens on for a proxy beside it is of no use to others
	}
	if r := s.fleet.roster.Load(); r != nil {
		a.Roster = r.Version
	}
	a.First, a.Map = s.extent.Load().first, s.ShardMapVersion() // the map before the replicas: what it names is among them
	for _, id := range s.seatIDs() {
		var about replicaAbout
		if r, err := s.host.Report(id); err == nil { // without an answer it has none: asked again
			about = replicaAbout{Replica: uint64(r.Replica), Founded: foundedBy(r.Members)}
		}
		a.Shards = append(a.Shards, about)
	}
	return a
}

// foundedBy makes one number of the founders of a shard.
func foundedBy(m shard.Members) uint64 {
	if len(m.Founders) == 0 {
		return 0
	}
	h := fnv.New64a()
	for _, f := range m.Founders {
		fmt.Fprintf(h, "%x at %d,", uint64(f.Replica), f.Site) // never fails
	}
	return h.Sum64() | 1
}

type probeRequest struct {
	Site      holdfast.SiteID `json:"site"`
	Addresses []string        `json:"addresses"`
}

// probeAnswer says per carrier why the site is not reached; "" where it is.
type probeAnswer struct {
	Carriers []string `json:"carriers"`
}

// probeWait bounds one attempt to reach a site.
const probeWait = time.Second

func (s *Site) probe(ctx context.Context, q probeRequest) (a probeAnswer) {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	a.Carriers = make([]string, len(s.cfg.Link.Listen))
	var all sync.WaitGroup
	for i, to := range carriers(q.Addresses, len(a.Carriers)) {
		if to == "" {
			a.Carriers[i] = "it has no address on this carrier"
			continue
		}
		all.Go(func() {
			if _, err := s.link.Probe(ctx, q.Site, to); err != nil {
				a.Carriers[i] = err.Error()
			}
		})
	}
	all.Wait()
	return a
}

type membersRequest struct {
	Shard holdfast.ShardID `json:"shard"`
}

type membersAnswer struct {
	Leader  holdfast.SiteID `json:"leader"`
	Joint   bool            `json:"joint"`
	Founded uint64          `json:"founded"`
	Members []memberAnswer  `json:"members"`
}

type memberAnswer struct {
	Site  holdfast.SiteID `json:"site"`
	Votes bool            `json:"votes"`
	Fit   bool            `json:"fit"`
	Lag   uint64          `json:"lag"`
}

// membersHere is what the leader of a shard, which has to be here, says of its members.
func (s *Site) membersHere(ctx context.Context, id holdfast.ShardID) (a membersAnswer, err error) {
	v, err := s.host.View(ctx, id)
	if err != nil {
		return a, err
	}
	a = membersAnswer{Leader: s.cfg.Site, Joint: v.Members.Joint(), Founded: foundedBy(v.Members)}
	for _, p := range v.Followers {
		m := memberAnswer{Site: p.Site, Votes: p.Role&(shard.Voter|shard.OldVoter) != 0, Lag: v.Commit - min(p.Match, v.Commit)}
		m.Fit = p.Site == s.cfg.Site || p.Active && p.UpToDate
		a.Members = append(a.Members, m)
	}
	return a, nil
}

func (s *Site) askMembers(ctx context.Context, id holdfast.ShardID) (membersAnswer, error) {
	switch leader := s.board.seat(id).leader; leader {
	case 0:
		return membersAnswer{}, shard.NotLeaderError{Shard: id}
	case s.cfg.Site:
		return s.membersHere(ctx, id)
	default:
		return askJSON[membersAnswer](ctx, s, leader, methodMembers, membersRequest{id})
	}
}

type orderRequest struct {
	Roster  uint64           `json:"roster"` // version that it was ordered for
	Shard   holdfast.ShardID `json:"shard"`
	Kind    shard.OrderKind  `json:"kind"`
	Site    holdfast.SiteID  `json:"site"`
	Replica uint64           `json:"replica"`
	Instead holdfast.SiteID  `json:"instead"`
}

// orderHere carries an order out at the leader of its shard, unless it was given for a list that has been replaced since.
func (s *Site) orderHere(ctx context.Context, q orderRequest) error {
	if r := s.fleet.roster.Load(); r != nil && r.Version > q.Roster {
		return fmt.Errorf("the order is for version %d of the list of sites, and there is version %d", q.Roster, r.Version)
	}
	return s.host.Obey(ctx, q.Shard, shard.Order{Kind: q.Kind, Site: q.Site, Replica: shard.ReplicaID(q.Replica), Instead: q.Instead})
}

// fleetNow is all that a plan or a step is made from: everybody is asked at once.
func (s *Site) fleetNow(ctx context.Context, r *Roster) (shards []shardNow, sites []siteNow, abouts map[holdfast.SiteID]aboutAnswer) {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	ids, first := s.ShardIDs(), s.extent.Load().first
	shards, sites = make([]shardNow, len(ids)), make([]siteNow, len(r.Sites))
	founded := make([]uint64, len(ids))
	abouts = map[holdfast.SiteID]aboutAnswer{}
	var mu sync.Mutex // guards abouts
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() { shards[i], founded[i] = s.shardNow(ctx, id) })
	}
	for i, listed := range r.Sites {
		sites[i].site = listed.Site
		all.Go(func() {
			a, err := s.askAbout(ctx, listed.Site)
			mu.Lock()
			defer mu.Unlock()
			if sites[i].answers = err == nil; err == nil {
				abouts[listed.Site] = a
			} else if s.watch.answers(s.watch.peer(listed.Site)) {
				sites[i].answers, sites[i].trouble = true, "does not know how to change sites: upgrade it first"
			}
		})
	}
	all.Wait()
	for i := range sites {
		if a, ok := abouts[sites[i].site]; ok {
			sites[i].roster, sites[i].turns, sites[i].trouble = a.Roster, a.Turns > 0, a.trouble(first, founded)
		}
	}
	return shards, sites, abouts
}

func (s *Site) askAbout(ctx context.Context, id holdfast.SiteID) (aboutAnswer, error) {
	if id == s.cfg.Site {
		return s.about(), nil
	}
	return askJSON[aboutAnswer](ctx, s, id, methodAbout, struct{}{})
}

// trouble says why a site cannot take part in a fleet that was born with so many shards, and founded those that it has.
func (a *aboutAnswer) trouble(first int, founded []uint64) string {
	switch {
	case a.First == 0 && first < len(founded):
		return "does not know how shards are born: upgrade it first"
	case a.First == 0 && len(a.Shards) != first, a.First != 0 && a.First != first:
		return fmt.Sprintf("is configured for %d shards, the fleet was born with %d", cmp.Or(a.First, len(a.Shards)), first)
	case len(a.Shards) < len(founded):
		return fmt.Sprintf("knows of %d shards yet, the fleet has %d", len(a.Shards), len(founded))
	}
	for i, r := range a.Shards[:len(founded)] {
		if r.Founded != 0 && founded[i] != 0 && r.Founded != founded[i] {
			return fmt.Sprintf("holds the books of another fleet (shard %d): stop it, empty its data directory, start it again", i+1)
		}
	}
	return ""
}

func (s *Site) shardNow(ctx context.Context, id holdfast.ShardID) (shardNow, uint64) {
	now := shardNow{shard: id}
	a, err := s.askMembers(ctx, id)
	if err != nil {
		return now, 0
	}
	now.known, now.joint, now.leader = true, a.Joint, a.Leader
	for _, m := range a.Members {
		now.members = append(now.members, memberNow{site: m.Site, votes: m.Votes, fit: m.Fit, lag: m.Lag})
	}
	return now, a.Founded
}

// planWait is how long a plan may take, applying included.
const planWait = 4 * time.Second

// PlanSites works out what a change of sites would do. It changes nothing. The error is a [PlanRefused], or why nothing could be
// worked out.
func (s *Site) PlanSites(ctx context.Context, q SiteRequest) (SitePlan, error) {
	ctx, cancel := context.WithTimeout(ctx, planWait)
	defer cancel()
	p, _, _, err := s.makePlan(ctx, q)
	return p, err
}

// ApplySites orders what a plan has shown: it returns when the order stands in the log. From then on the fleet carries it out by
// itself; [Site.SiteChange] tells how far it is. [ErrPlanStale]: something has changed since the plan was made. A plan that was
// ordered already may be ordered again.
func (s *Site) ApplySites(ctx context.Context, q SiteRequest, plan string) error {
	ctx, cancel := context.WithTimeout(ctx, planWait)
	defer cancel()
	if done, err := s.ordered(ctx, plan); done || err != nil {
		return err
	}
	p, target, m, err := s.makePlan(ctx, q)
	if err != nil {
		return err
	}
	if p.ID != plan {
		return ErrPlanStale
	}
	return s.writeRoster(ctx, target, m)
}

// ordered reports whether a plan is carried out, or was the last.
func (s *Site) ordered(ctx context.Context, plan string) (bool, error) {
	if err := s.known(mapShard); err != nil {
		return false, err
	}
	r, err := s.readRosterHere(ctx, shard.Linearizable)
	return err == nil && (r.Change != nil && r.Change.Plan == plan || r.Last != "" && r.Last == plan), err
}

func (s *Site) makePlan(ctx context.Context, q SiteRequest) (p SitePlan, target *Roster, m *ShardMap, err error) {
	if err := s.known(mapShard); err != nil {
		return p, nil, nil, err
	}
	if s.alone() {
		return p, nil, nil, refuse("this fleet of one site has no link: give it the sections [link] and [[peer]] of a first other site, and start both")
	}
	r, err := s.readRosterHere(ctx, shard.Linearizable)
	if err != nil {
		return p, nil, nil, err
	}
	if m, err = s.readMap(ctx, shard.Linearizable); err != nil {
		return p, nil, nil, err
	}
	if err := s.adoptMap(m); err != nil {
		return p, nil, nil, err
	}
	if b := m.birth; b != nil {
		return p, nil, nil, refuse("shard %d is being born: wait for its end", b.Shard)
	}
	f := planFacts{homes: m.Homes, mapped: m.Version}
	var abouts map[holdfast.SiteID]aboutAnswer
	f.shards, f.sites, abouts = s.fleetNow(ctx, r)
	if f.motion, err = s.motion(ctx, f.shards); err != nil { // after the map, which a split that begins now changes
		return p, nil, nil, err
	}
	if f.roster = r; r.Version == 0 {
		if f.roster, err = described(r, f.shards, abouts); err != nil {
			return p, nil, nil, err
		}
		f.sites = slices.DeleteFunc(f.sites, func(x siteNow) bool { return f.roster.find(x.site) == nil })
	}
	if f.reached = map[holdfast.SiteID][]string{}; q.comes() {
		f.reached = s.probeFrom(ctx, f.roster, f.silent, q)
	}
	f.picture = s.paint(s.askVitals(ctx))
	log, state := s.store.DiskUsage()
	f.bytes = log + state
	p, target, err = f.plan(q)
	return p, target, m, err
}

// described is the list while there is no record: the sites that have a replica of some shard, with what each says of itself. One that
// does not answer is entered as this site's configuration knows it. A site that is configured and has nothing is still to come.
func described(r *Roster, shards []shardNow, abouts map[holdfast.SiteID]aboutAnswer) (*Roster, error) {
	r = r.among(shards)
	r.Least = min(fewVoters, len(r.Sites))
	if len(r.Sites) == 0 {
		return nil, refuse("no shard has a leader that answers")
	}
	for i := range r.Sites {
		x := &r.Sites[i]
		a, ok := abouts[x.Site]
		if !ok {
			continue
		}
		x.Name, x.City, x.HTTP, x.Addresses = a.Name, a.City, cmp.Or(x.HTTP, a.HTTP), a.Addresses
		for _, address := range a.Addresses {
			if !dialable(address) {
				return nil, refuse("%s listens on %s, which the others cannot dial: set link.advertise in its configuration, and restart it", x.Name, address)
			}
		}
	}
	return r, nil
}

// among is the list without sites that have a replica of none of these shards.
func (r *Roster) among(shards []shardNow) *Roster {
	r = r.clone()
	r.Sites = slices.DeleteFunc(r.Sites, func(x ListedSite) bool {
		return !slices.ContainsFunc(shards, func(s shardNow) bool { return s.at(x.Site) != nil })
	})
	return r
}

// probeFrom asks every site that answers to reach the one that comes.
func (s *Site) probeFrom(ctx context.Context, r *Roster, silent func(holdfast.SiteID) bool, q SiteRequest) map[holdfast.SiteID][]string {
	ctx, cancel := context.WithTimeout(ctx, 2*probeWait)
	defer cancel()
	reached := map[holdfast.SiteID][]string{}
	var mu sync.Mutex
	var all sync.WaitGroup
	request := probeRequest{q.Site, q.Addresses}
	for _, listed := range r.Sites {
		if r.role(listed.Site) == RoleLeaving || silent(listed.Site) { // whoever is silent is not waited for a second time
			continue
		}
		all.Go(func() {
			var a probeAnswer
			var err error
			if listed.Site == s.cfg.Site {
				a = s.probe(ctx, request)
			} else {
				a, err = askJSON[probeAnswer](ctx, s, listed.Site, methodProbe, request)
			}
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				reached[listed.Site] = a.Carriers
			}
		})
	}
	all.Wait()
	return reached
}

// writeRoster writes a list, made from the version that it names, and with it the homes that the list allows: one transaction, so
// that no leader is ever at home at a site that is leaving, and so that the map no longer follows from anybody's configuration.
func (s *Site) writeRoster(ctx context.Context, r *Roster, m *ShardMap) error {
	next := *m
	next.Homes = r.leave(m.Homes)
	if r.Change == nil {
		next.Homes = r.spread(m.Homes)
	}
	txn := holdfast.Txn{ID: freshID(time.Now()), Records: []holdfast.RecordChange{{Key: rosterRecord, Expect: r.Version, Body: r.encode()}}}
	if m.Version == 0 || !slices.Equal(next.Homes, m.Homes) {
		txn.Records = append(txn.Records, holdfast.RecordChange{Key: mapRecord, Expect: m.Version, Body: next.encode()})
	} else { // what the map says besides homes, a birth that is under way above all, must not have changed either
		txn.Preconditions = []holdfast.Precondition{{Key: mapRecord, Version: m.Version}}
	}
	out, err := s.proposeOwn(ctx, mapShard, &txn)
	switch {
	case err != nil:
		return err
	case out.Status == holdfast.Done:
		return nil
	case outdated(out.Code):
		return ErrPlanStale
	}
	return unwritten("the list of sites", out)
}

// leave gives the homes of sites that leave to the other voters, and moves no other.
func (r *Roster) leave(homes []holdfast.SiteID) []holdfast.SiteID {
	spread, kept := r.spread(homes), slices.Clone(homes)
	for i, h := range homes {
		if r.role(h) != RoleVoter {
			kept[i] = spread[i]
		}
	}
	return kept
}

// driveChange does the next step of a change that is under way, beside the leader of the first shard.
func (s *Site) driveChange(ctx context.Context) {
	r := s.fleet.roster.Load()
	if r == nil || r.Change == nil || !s.host.Leader(mapShard).Self {
		s.fleet.doing.Store(nil)
		return
	}
	if err := s.learnMap(ctx); err != nil { // no shard is born while a change is under way: these are all that it has to go through
		return
	}
	shards, sites, abouts := s.fleetNow(ctx, r)
	m := s.excludeMoves(ctx, r, r.next(shards, sites), shards)
	err := s.carryOut(ctx, r, m, abouts)
	at := &siteChangeAt{Change: *r.Change, Doing: doing(r, m, err), Of: len(shards), At: time.Now()}
	for i := range shards {
		if shards[i].known && r.done(&shards[i]) {
			at.Done++
		}
	}
	if old := s.fleet.doing.Swap(at); old == nil || old.Doing != at.Doing {
		s.log.Info("change of sites", "plan", r.Change.Plan, "doing", at.Doing)
	}
}

// doing says what a change does just now, or why it does not.
func doing(r *Roster, m move, err error) string {
	f := planFacts{roster: r}
	text := m.why
	switch m.kind {
	case moveWait:
		return "waits: " + text
	case moveFinish:
		text = "every shard is as it should be"
	default:
		text = fmt.Sprintf("shard %d: %s", m.shard, f.words(r, m))
	}
	if err != nil {
		text += " (not yet: " + err.Error() + ")"
	}
	return text
}

// carryOut does one step. An error is no harm: the step comes up again.
func (s *Site) carryOut(ctx context.Context, r *Roster, m move, abouts map[holdfast.SiteID]aboutAnswer) error {
	ctx, cancel := context.WithTimeout(ctx, planWait)
	defer cancel()
	q := orderRequest{Roster: r.Version, Shard: m.shard, Site: m.site, Instead: m.instead}
	switch m.kind {
	case moveAdmit:
		a, ok := abouts[m.site]
		if !ok || len(a.Shards) < int(m.shard) || a.Shards[m.shard-1].Replica == 0 {
			return fmt.Errorf("site %d does not answer, or has no disk for the shard yet", m.site)
		}
		q.Kind, q.Replica = shard.OrderAdmit, a.Shards[m.shard-1].Replica
	case movePromote:
		q.Kind = shard.OrderPromote
	case moveRemove:
		q.Kind = shard.OrderRemove
	case moveDemote:
		q.Kind = shard.OrderDemote
	case moveHandOver:
		return s.HandOver(ctx, m.shard, m.site)
	case moveFinish:
		return s.finishChange(ctx, r)
	default:
		return nil
	}
	err := s.order(ctx, q)
	if err == nil {
		s.event(Event{Kind: EventSiteStep, Shard: m.shard, Site: m.site, Detail: doing(r, m, nil)})
	}
	return err
}

// order brings an order to the leader of its shard.
func (s *Site) order(ctx context.Context, q orderRequest) error {
	switch leader := s.board.seat(q.Shard).leader; leader {
	case 0:
		return shard.NotLeaderError{Shard: q.Shard}
	case s.cfg.Site:
		return s.orderHere(ctx, q)
	default:
		_, err := askJSON[struct{}](ctx, s, leader, methodOrder, q)
		return err
	}
}

// finishChange takes those who have left off the list, and gives every site its share of homes.
func (s *Site) finishChange(ctx context.Context, r *Roster) error {
	m, err := s.readMap(ctx, shard.Linearizable)
	if err != nil {
		return err
	}
	if err := s.writeRoster(ctx, r.finished(), m); err != nil {
		return err
	}
	s.event(Event{Kind: EventSiteDone, Site: r.Change.Site, Detail: fmt.Sprintf("%s site %d: every shard is as the list of sites wants it", r.Change.Kind, r.Change.Site)})
	return nil
}

// SiteChangeStatus is a change of sites that is under way, as far as this site knows.
type SiteChangeStatus struct {
	SiteChange
	Doing string // what is done just now, or waited for; "": its driver does not answer
	Done  int    // shards that are as they should be
	Of    int
}

// SiteChange tells how far a change of sites is; nil: none is under way.
func (s *Site) SiteChange(ctx context.Context) *SiteChangeStatus {
	r := s.fleet.roster.Load()
	if r == nil || r.Change == nil {
		return nil
	}
	st := &SiteChangeStatus{SiteChange: *r.Change, Of: s.extent.Load().now}
	at := s.fleet.doing.Load()
	if leader := s.board.seat(mapShard).leader; at == nil && leader != 0 && leader != s.cfg.Site && s.running.Load() {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.Timing.QuorumSilence.Std())
		defer cancel()
		at, _ = askJSON[*siteChangeAt](ctx, s, leader, methodChange, struct{}{}) // without an answer there is none
	}
	if at != nil && at.Change.Plan == st.Plan {
		st.Doing, st.Done = at.Doing, at.Done
	}
	return st
}

// dialable reports whether others can dial an address: it names a host, and not every one of them.
func dialable(a string) bool {
	host, port, err := net.SplitHostPort(a)
	if err != nil || port == "0" || host == "" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsUnspecified()
}
