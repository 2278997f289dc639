package site

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/shard"
)

// vitals are what a site tells the others for their forecasts: which carriers it has to whom, and what it leads.
type vitals struct {
	carriers map[holdfast.SiteID]uint8 // by peer: bit i says that carrier i is up, as seen from here
	rates    map[holdfast.ShardID]float64
	peak     float64 // the most transactions in a second that this site has ever led
	// trips are the measured round trips by peer and carrier; 0: not known.
	trips   map[holdfast.SiteID][]time.Duration
	transit transitWord
}

func (v *vitals) append(b []byte) []byte {
	b = append(b, wireVersion)
	b = binary.BigEndian.AppendUint16(b, uint16(len(v.carriers)))
	for site, mask := range v.carriers {
		b = append(binary.BigEndian.AppendUint16(b, uint16(site)), mask)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(v.rates)))
	for id, rate := range v.rates {
		b = binary.BigEndian.AppendUint16(b, uint16(id))
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(rate))
	}
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(v.peak))
	b = binary.BigEndian.AppendUint16(b, uint16(len(v.trips)))
	for site, trips := range v.trips {
		b = append(binary.BigEndian.AppendUint16(b, uint16(site)), byte(len(trips)))
		for _, trip := range trips {
			b = binary.BigEndian.AppendUint32(b, uint32(min(trip.Microseconds(), math.MaxUint32)))
		}
	}
	return v.transit.append(b)
}

func readVitals(b []byte) (v vitals, err error) {
	r := reader{b: b}
	if r.u8() != wireVersion {
		r.fail()
	}
	v = vitals{carriers: map[holdfast.SiteID]uint8{}, rates: map[holdfast.ShardID]float64{}}
	for range r.u16() {
		if site := holdfast.SiteID(r.u16()); r.ok() {
			v.carriers[site] = r.u8()
		}
	}
	for range r.u16() {
		if id := holdfast.ShardID(r.u16()); r.ok() {
			v.rates[id] = math.Float64frombits(r.u64())
		}
	}
	v.peak = math.Float64frombits(r.u64())
	if len(r.b) > 0 { // a site of an earlier release ends here; and reads no further in what it is told
		v.readMore(&r)
	}
	return v, r.err()
}

func (v *vitals) readMore(r *reader) {
	v.trips = map[holdfast.SiteID][]time.Duration{}
	for range r.u16() {
		site, trips := holdfast.SiteID(r.u16()), []time.Duration{}
		for range r.u8() {
			trips = append(trips, time.Duration(r.u32())*time.Microsecond)
		}
		if r.ok() {
			v.trips[site] = trips
		}
	}
	v.transit = readTransitWord(r)
}

// How often the forecast is made, and over how many makings rates are averaged.
const (
	forecastEvery = time.Second
	rateSmoothing = 5
)

const (
	// vitalsAge is for how long what a peer said last stands for an answer that did not come in time, while the peer is well by every
	// other sign: a machine with much to do answers late, and to call its site lost would be a false alarm.
	vitalsAge = 3 * forecastEvery
	// settlingTime is how long after its start a site may say that it does not know yet. Until then what is missing from the picture is
	// more likely still to come than lost: peers that start as well, carriers that nobody has dialled yet, and peers that have not
	// looked at theirs since.
	settlingTime = 5 * forecastEvery
)

// forecaster keeps the answer to "what if" up to date.
type forecaster struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	own    atomic.Pointer[vitals]
	latest atomic.Pointer[Survival]
	peak   peakKeeper

	// The forecaster's goroutine only:
	txns map[holdfast.ShardID]uint64 // done at the last making
	at   time.Duration
	seen transitSeen

	mu    sync.Mutex
	heard map[holdfast.SiteID]heardVitals // guarded by mu: plans ask as well
}

// heardVitals are what a peer said last.
type heardVitals struct {
	vitals
	at time.Duration
}

// fill adds to the answers what peers said lately that did not answer now, and keeps the answers for the next time.
func (f *forecaster) fill(answers map[holdfast.SiteID]vitals, now time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, h := range f.heard {
		if _, answered := answers[id]; !answered && now-h.at <= vitalsAge {
			answers[id] = h.vitals
		}
	}
}

// keep remembers answers for when the next ones do not come.
func (f *forecaster) keep(answers map[holdfast.SiteID]vitals, now time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.heard == nil {
		f.heard = map[holdfast.SiteID]heardVitals{}
	}
	for id, v := range answers {
		f.heard[id] = heardVitals{v, now}
	}
}

// knows reports whether a picture is worth a forecast: it was once, or shows a whole fleet, or has had the time to.
func (f *forecaster) knows(p *picture, sinceStart time.Duration) bool {
	return f.latest.Load() != nil || sinceStart >= settlingTime || p.whole()
}

func (s *Site) startForecasts(context.Context) error {
	s.forecasts.own.Store(&vitals{peak: s.recallPeak()})
	var ctx context.Context
	ctx, s.forecasts.cancel = context.WithCancel(context.Background())
	s.forecasts.done.Go(func() { s.keepForecasts(ctx) })
	s.forecasts.peak.done.Go(func() { s.keepPeak(ctx) })
	return nil
}

func (s *Site) stopForecasts(ctx context.Context) error {
	s.forecasts.cancel()
	s.forecasts.done.Wait()
	return s.forecasts.peak.wait(ctx)
}

func (s *Site) keepForecasts(ctx context.Context) {
	ticker := time.NewTicker(forecastEvery)
	defer ticker.Stop()
	for {
		s.forecasts.own.Store(s.takeVitals(ctx))
		s.meter.tick(s.watch.now())
		all := s.askVitals(ctx)
		if p := s.paint(all); s.forecasts.knows(p, s.watch.now()) {
			now := p.survive(time.Now())
			now.Transit = s.transitCheck(all)
			s.tellSurvival(now)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Survival is what would happen now if something failed, as worked out a moment ago; false: it is not known yet, just after the start.
func (s *Site) Survival() (Survival, bool) {
	if latest := s.forecasts.latest.Load(); latest != nil {
		return *latest, true
	}
	return Survival{}, false
}

// tellSurvival says so when the fleet ceases to survive any single loss, and when it does again. A fleet of one has nothing to
// lose to others.
func (s *Site) tellSurvival(now Survival) {
	before := s.forecasts.latest.Swap(&now)
	if len(s.peers()) == 0 {
		return
	}
	switch {
	case !now.Survives && (before == nil || before.Survives):
		s.event(Event{Kind: EventFragile, Site: s.cfg.Site, Detail: now.Weakest})
	case now.Survives && before != nil && !before.Survives:
		s.event(Event{Kind: EventSturdy, Site: s.cfg.Site, Detail: "the fleet survives the loss of any carrier, cable or site again"})
	}
}

// takeVitals measures this site.
func (s *Site) takeVitals(ctx context.Context) *vitals {
	v := &vitals{
		carriers: map[holdfast.SiteID]uint8{}, rates: map[holdfast.ShardID]float64{}, peak: s.forecasts.own.Load().peak,
		trips: map[holdfast.SiteID][]time.Duration{}, transit: s.auditor.tell(s.watch.now()),
	}
	if s.link != nil {
		for _, p := range s.link.Peers() {
			trips := make([]time.Duration, min(len(p.Carriers), 8))
			v.trips[p.Site] = trips
			for i, c := range p.Carriers {
				if c.Up && i < 8 {
					v.carriers[p.Site] |= 1 << i
					trips[i] = c.RTT
				}
			}
		}
	}
	s.takeRates(ctx, v)
	return v
}

// takeRates counts what was done in the shards led here since the last time.
func (s *Site) takeRates(ctx context.Context, v *vitals) {
	f := &s.forecasts
	now := s.watch.now()
	seconds, old, txns := (now - f.at).Seconds(), f.own.Load().rates, map[holdfast.ShardID]uint64{}
	led := 0.0
	for _, id := range s.ShardIDs() {
		if !s.host.Leader(id).Self {
			continue
		}
		_ = s.host.Read(ctx, id, shard.Stale, func(view *shard.View) error { // no replica, no rate
			txns[id] = view.Meta().Txns
			return nil
		})
		if before, known := f.txns[id]; known && txns[id] >= before && seconds > 0 {
			rate := float64(txns[id]-before) / seconds
			led += rate
			v.rates[id] = old[id] + (rate-old[id])/rateSmoothing
		}
	}
	v.peak = max(v.peak, led)
	f.txns, f.at = txns, now
}

// askVitals asks all peers that answer. Whoever has not answered for some time has no vitals.
func (s *Site) askVitals(ctx context.Context) map[holdfast.SiteID]vitals {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timing.QuorumSilence.Std())
	defer cancel()
	var mu sync.Mutex
	all := map[holdfast.SiteID]vitals{s.cfg.Site: *s.forecasts.own.Load()}
	var asking sync.WaitGroup
	for _, p := range s.peers() {
		asking.Go(func() {
			b, err := s.link.Call(ctx, p.Site, methodVitals, []byte{wireVersion})
			if err != nil {
				return
			}
			if v, err := readVitals(b); err == nil {
				mu.Lock()
				defer mu.Unlock()
				all[p.Site] = v
			}
		})
	}
	asking.Wait()
	now := s.watch.now()
	s.forecasts.keep(all, now)
	s.forecasts.fill(all, now)
	return all
}

// paint puts together what a forecast is made from.
func (s *Site) paint(all map[holdfast.SiteID]vitals) *picture {
	p := &picture{election: s.cfg.Timing.Election(), trip: s.cfg.Timing.RoundTrip.Std()}
	p.ways, p.carriers = s.ways(all)
	p.trips = measuredTrips(all)
	names := map[holdfast.SiteID]string{s.cfg.Site: s.cfg.Name}
	for _, peer := range s.peers() {
		names[peer.Site] = peer.Name
	}
	cities := map[holdfast.SiteID]string{}
	for _, listed := range s.Roster().Sites {
		cities[listed.Site] = listed.City
	}
	for _, id := range slices.Sorted(slices.Values(s.sites())) {
		v, answered := all[id]
		facts := siteFacts{site: id, name: names[id], city: cities[id], peak: v.peak, reaches: map[holdfast.SiteID][]string{}}
		mine := id == s.cfg.Site
		facts.works = answered && (mine && !s.outs.any() || !mine && s.worksPeer(id))
		facts.fit = facts.works && (mine || s.wellPeer(id))
		for peer, mask := range v.carriers {
			facts.reaches[peer] = reached(mask, p.carriers)
		}
		for _, rate := range v.rates {
			facts.rate += rate
		}
		p.sites = append(p.sites, facts)
	}
	p.shards = s.shardFacts(all)
	return p
}

// ways are the carriers that each two sites share, and how many carriers there are: not every site has all of them. Of its own ways a site
// knows by its configuration; of those between others by what the list of sites says they listen on, and by what they say is up.
func (s *Site) ways(all map[holdfast.SiteID]vitals) (ways map[cable]bool, carriers int) {
	ways = map[cable]bool{}
	add := func(a, b holdfast.SiteID, carrier int) {
		ways[cableOf(a, b, carrier)] = true
		carriers = max(carriers, carrier+1)
	}
	for _, p := range s.peers() {
		for c, address := range p.Addresses {
			if address != "" {
				add(s.cfg.Site, p.Site, c)
			}
		}
	}
	listed := s.Roster().Sites
	for i := range listed {
		for j := range listed[:i] {
			a, b := &listed[i], &listed[j]
			if a.Site == s.cfg.Site || b.Site == s.cfg.Site {
				continue
			}
			for c := range min(len(a.Addresses), len(b.Addresses)) {
				if a.Addresses[c] != "" && b.Addresses[c] != "" {
					add(a.Site, b.Site, c)
				}
			}
		}
	}
	for id, v := range all {
		for peer, mask := range v.carriers {
			for c := range 8 {
				if mask&(1<<c) != 0 {
					add(id, peer, c)
				}
			}
		}
	}
	return ways, carriers
}

// measuredTrips are the round trips between each two sites on each carrier, as the two have measured them. Where they differ the longer one
// counts: it was the same way.
func measuredTrips(all map[holdfast.SiteID]vitals) map[cable]time.Duration {
	trips := map[cable]time.Duration{}
	for id, v := range all {
		for peer, list := range v.trips {
			for c, trip := range list {
				if at := cableOf(id, peer, c); trip > trips[at] {
					trips[at] = trip
				}
			}
		}
	}
	return trips
}

// reached turns a mask into one word per carrier.
func reached(mask uint8, carriers int) []string {
	list := make([]string, carriers)
	for i := range list {
		if mask&(1<<i) != 0 {
			list[i] = "up"
		}
	}
	return list
}

func (s *Site) shardFacts(all map[holdfast.SiteID]vitals) (list []shardFacts) {
	m := s.ShardMap()
	for _, st := range s.host.Status() {
		if !m.has(st.Shard) {
			continue // it is being born: there is nothing in it to lose
		}
		f := shardFacts{shard: st.Shard, leader: s.board.seat(st.Shard).leader, home: m.Home(st.Shard)}
		f.rate = all[f.leader].rates[st.Shard]
		f.voters, f.outgoing = halves(st.Members)
		list = append(list, f)
	}
	return list
}

// halves are the sites of which a shard needs a majority; while a joint change of its members lasts, also those of which it did before:
// until it is over, a majority of each is needed.
func halves(members []shard.Member) (voters, outgoing []holdfast.SiteID) {
	for _, m := range members {
		if m.Role&shard.Voter != 0 {
			voters = append(voters, m.Site)
		}
		if m.Role&shard.OldVoter != 0 {
			outgoing = append(outgoing, m.Site)
		}
	}
	return voters, outgoing
}

// serveVitals answers a peer. A site that is still starting has measured nothing.
func (s *Site) serveVitals() []byte {
	v := s.forecasts.own.Load()
	if v == nil {
		v = &vitals{}
	}
	return v.append(nil)
}
