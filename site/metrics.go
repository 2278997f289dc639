package site

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast"
	"holdfast/shard"
)

// metrics of one site, in a registry of its own. What is counted on the way of a payment is looked up once, here; everything
// else is read when somebody asks (collector).
type metrics struct {
	registry *prometheus.Registry
	outcomes map[holdfast.Code]prometheus.Counter
	replays  prometheus.Counter
	seconds  prometheus.Histogram
	events   *prometheus.CounterVec
	writes   prometheus.Histogram
	written  prometheus.Counter

	checkpoints prometheus.Histogram
	pauses      *prometheus.HistogramVec
}

func newMetrics(s *Site) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), outcomes: map[holdfast.Code]prometheus.Counter{}}
	transactions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_transactions_total", Help: "Transactions that came to this site, by the code of their outcome.",
	}, []string{"code"})
	for _, c := range holdfast.Codes() {
		m.outcomes[c] = transactions.WithLabelValues(c.String())
	}
	m.replays = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "holdfast_replays_total", Help: "Transactions that had been decided before and were answered from memory.",
	})
	m.seconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "holdfast_submit_seconds", Help: "From the call to the outcome of all its transactions.",
		Buckets: []float64{.0005, .001, .002, .005, .01, .015, .025, .05, .1, .2, .3, .5, 1, 2, 5},
	})
	m.events = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_events_total", Help: "Changes in the life of this site: leaders, cuts, rejoins ...",
	}, []string{"kind"})
	m.writes = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "holdfast_log_write_seconds", Help: "One write of all shards to the log, fsync included.",
		Buckets: []float64{.00005, .0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5},
	})
	m.written = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "holdfast_log_written_bytes_total", Help: "Bytes handed to the log.",
	})
	m.checkpoints = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "holdfast_checkpoint_seconds", Help: "The store's work for one checkpoint, beside the payments.",
		Buckets: []float64{.005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10},
	})
	m.pauses = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "holdfast_checkpoint_pause_seconds", Help: "How long payments stood still for a checkpoint: for the cut itself, or because the store was behind.",
		Buckets: []float64{.00001, .0001, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1},
	}, []string{"why"})
	m.registry.MustRegister(
		transactions, m.replays, m.seconds, m.events, m.writes, m.written, m.checkpoints, m.pauses, &collector{s},
	)
	return m
}

func (m *metrics) requests(outcomes []holdfast.Outcome, took time.Duration) {
	m.seconds.Observe(took.Seconds())
	if len(outcomes) == 1 {
		m.count(&outcomes[0], 1)
		return
	}
	for i := 0; i < len(outcomes); { // runs of one code, which batches mostly are, cost one addition
		n := 1
		for i+n < len(outcomes) && outcomes[i+n].Code == outcomes[i].Code && outcomes[i+n].Replay == outcomes[i].Replay {
			n++
		}
		m.count(&outcomes[i], n)
		i += n
	}
}

func (m *metrics) count(o *holdfast.Outcome, n int) {
	if c := m.outcomes[o.Code]; c != nil {
		c.Add(float64(n))
	}
	if o.Replay {
		m.replays.Add(float64(n))
	}
}

func (m *metrics) wrote(took time.Duration, bytes int) {
	m.writes.Observe(took.Seconds())
	m.written.Add(float64(bytes))
}

func (m *metrics) checkpoint(c shard.CheckpointMade) {
	m.checkpoints.Observe(c.Took.Seconds())
	m.pauses.WithLabelValues("cut").Observe(c.Seal.Seconds())
	if c.Waited > 0 {
		m.pauses.WithLabelValues("behind").Observe(c.Waited.Seconds())
	}
}

func (m *metrics) event(e Event) { m.events.WithLabelValues(string(e.Kind)).Inc() }

// collector reads gauges from the parts of the site when the metrics are asked for.
type collector struct{ site *Site }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("holdfast_"+name, help, labels, nil)
}

var (
	descPending  = describe("pending_transactions", "Transactions under way in this process.")
	descLimit    = describe("payments_limit", "New payments that may be under way to the leaders at a site while more come than they answer in time; 0: no limit is needed.", "leader")
	descMajority = describe("majority", "1 when this site hears a majority.")
	descFree     = describe("disk_free_bytes", "Free space of the data directory.")
	descFull     = describe("disk_full", "1 when new work is refused for want of space.")
	descUsed     = describe("disk_used_bytes", "What the log (kept for ever) and the state (checkpoint and history) take.", "part")

	descLeader     = describe("shard_leader", "1 when this site leads the shard.", "shard")
	descTerm       = describe("shard_term", "Term of the shard, which grows with every election.", "shard")
	descElections  = describe("elections_total", "Terms with a leader that this site has seen of the shard since it started.", "shard")
	descCommit     = describe("shard_commit_index", "Last entry known to be committed.", "shard")
	descApplied    = describe("shard_applied_index", "Last entry applied here.", "shard")
	descCheckpoint = describe("shard_checkpoint_index", "Last entry whose effects are in the checkpoint.", "shard")
	descLast       = describe("shard_log_index", "Last entry in the log here.", "shard")
	descWaiting    = describe("shard_waiting", "Requests that wait to be proposed.", "shard", "class")
	descSealed     = describe("shard_segments_waiting", "Segments that wait to become a checkpoint.", "shard")
	descService    = describe("shard_in_service", "0 when the replica here has taken itself out of service.", "shard")
	descAsleep     = describe("shard_asleep", "1 when nothing has happened in the shard for some time, so that the replica here costs nothing.", "shard")
	descWaits      = describe("shard_rebuild_waits", "1 when the replica here is corrupt and keeps its data until enough others hold it.", "shard")
	descNoSpace    = describe("shard_fetch_waits", "1 when the replica here needs a checkpoint of another site and has no room for it.", "shard")

	descSurvives = describe("survives_single_loss", "1 when the fleet would survive the loss of any single carrier, cable or site, as forecast here.")
	descFits     = describe("transit_fits", "1 when what every shard has sent to every other one has landed there, by the last two comparisons that this site knows of.")
	descCompared = describe("transit_compared_timestamp_seconds", "When the payments in transit between the shards were compared last, as far as this site knows.")
	descExpires  = describe("certificate_expires_timestamp_seconds", "When the first of the certificates ends that this site speaks with others by. Then payments stop.")
	descReach    = describe("peer_reachable", "1 when the other site answers.", "peer")
	descMoves    = describe("link_bulk_moves_total", "Times that large messages moved to another carrier because theirs stalled or broke.", "peer")
	descLost     = describe("link_untaken_total", "Messages that no carrier took.", "peer")
	descUp       = describe("link_up", "1 when the connection over the carrier is established.", "peer", "carrier")
	descSilence  = describe("link_silence_seconds", "Since anything came from the other site over the carrier.", "peer", "carrier")
	descLoss     = describe("link_loss_ratio", "Of what came in the last seconds, the share that the carrier brought late or not at all while another did.", "peer", "carrier")
	descMissed   = describe("link_missed_total", "Messages that came over another carrier and not over this one.", "peer", "carrier")
	descLate     = describe("link_late_total", "Messages that came long after they had come over another carrier.", "peer", "carrier")
	descStalls   = describe("link_stalls_total", "Times that the carrier answered late while another did not.", "peer", "carrier")
	descTrip     = describe("link_round_trip_seconds", "Smoothed round trip to the other site.", "peer", "carrier")
	descDropped  = describe("link_dropped_total", "Urgent messages that found the queue of the carrier full.", "peer", "carrier")
	descBreaks   = describe("link_breaks_total", "Connections lost after they had been established.", "peer", "carrier")
	descSent     = describe("link_sent_bytes_total", "Bytes sent.", "peer", "carrier")
	descReceived = describe("link_received_bytes_total", "Bytes received.", "peer", "carrier")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descPending, descLimit, descMajority, descFree, descFull, descUsed, descSealed, descLeader, descTerm, descElections, descCommit, descApplied,
		descCheckpoint, descLast, descWaiting, descService, descWaits, descNoSpace, descAsleep, descSurvives, descFits, descCompared, descExpires, descReach, descTrip, descDropped, descBreaks,
		descSent, descReceived,
		descMoves, descLost, descUp, descSilence, descLoss, descMissed, descLate, descStalls,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.site
	if !s.running.Load() {
		return
	}
	full, free := s.disk.look(s.store)
	gauge(ch, descPending, float64(s.gate.inside.Load()))
	s.limiters.bySite.Range(func(leader, l any) bool {
		gauge(ch, descLimit, l.(*limiter).bound(), siteLabel(leader.(holdfast.SiteID)))
		return true
	})
	gauge(ch, descMajority, number(s.watch.majority.Load().heard))
	gauge(ch, descFree, float64(free))
	gauge(ch, descFull, number(full))
	log, state := s.store.DiskUsage()
	gauge(ch, descUsed, float64(log), "log")
	gauge(ch, descUsed, float64(state), "state")
	if now, ok := s.Survival(); ok {
		gauge(ch, descSurvives, number(now.Survives))
		if t := now.Transit; t != nil && !t.Compared.IsZero() {
			gauge(ch, descFits, number(t.Fits()))
			gauge(ch, descCompared, float64(t.Compared.UnixMilli())/1e3)
		}
	}
	if x := s.credentials.Load(); x != nil {
		gauge(ch, descExpires, float64(x.Expires().Unix()))
	}
	c.shards(ch)
	c.links(ch)
}

func (c *collector) shards(ch chan<- prometheus.Metric) {
	for _, st := range c.site.host.Status() {
		id, seat := shardLabel(st.Shard), c.site.board.seat(st.Shard)
		gauge(ch, descLeader, number(seat.leader == c.site.cfg.Site), id)
		gauge(ch, descTerm, float64(seat.term), id)
		counter(ch, descElections, c.site.board.elections(st.Shard), id)
		gauge(ch, descCommit, float64(st.Node.Commit), id)
		gauge(ch, descApplied, float64(st.Applied), id)
		gauge(ch, descCheckpoint, float64(st.Checkpoint), id)
		gauge(ch, descLast, float64(c.site.store.Shard(st.Shard).LastIndex()), id)
		gauge(ch, descWaiting, float64(st.WaitingSingles), id, "single")
		gauge(ch, descWaiting, float64(st.WaitingBulks), id, "bulk")
		gauge(ch, descSealed, float64(st.Sealed), id)
		gauge(ch, descService, number(st.OutOfService == nil), id)
		gauge(ch, descWaits, number(st.Waits != ""), id)
		gauge(ch, descAsleep, number(st.Asleep), id)
		gauge(ch, descNoSpace, number(st.NoSpace != ""), id)
	}
}

func (c *collector) links(ch chan<- prometheus.Metric) {
	if c.site.link == nil {
		return
	}
	for _, p := range c.site.link.Peers() {
		peer := siteLabel(p.Site)
		gauge(ch, descReach, number(c.site.watch.answers(c.site.watch.peer(p.Site))), peer)
		counter(ch, descMoves, p.Moves, peer)
		counter(ch, descLost, p.Dropped, peer)
		for i, x := range p.Carriers {
			carrier := carrierLabel(i)
			gauge(ch, descUp, number(x.Up), peer, carrier)
			gauge(ch, descSilence, x.Silence.Seconds(), peer, carrier)
			gauge(ch, descLoss, x.Loss, peer, carrier)
			counter(ch, descMissed, x.Missed, peer, carrier)
			counter(ch, descLate, x.Late, peer, carrier)
			counter(ch, descStalls, x.Stalls, peer, carrier)
			gauge(ch, descTrip, x.RTT.Seconds(), peer, carrier)
			counter(ch, descDropped, x.Dropped, peer, carrier)
			counter(ch, descBreaks, x.Breaks, peer, carrier)
			counter(ch, descSent, x.Sent.Bytes, peer, carrier)
			counter(ch, descReceived, x.Received.Bytes, peer, carrier)
		}
	}
}

func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(ch chan<- prometheus.Metric, d *prometheus.Desc, v uint64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func number(b bool) float64 { return float64(flag(b)) }

func shardLabel(id holdfast.ShardID) string { return strconv.Itoa(int(id)) }
func siteLabel(id holdfast.SiteID) string   { return strconv.Itoa(int(id)) }
func carrierLabel(i int) string             { return strconv.Itoa(i) }
