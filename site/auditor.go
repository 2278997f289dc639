package site

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/shard"
)

// auditor compares what each shard has sent to each other one with what has landed there, every timing.audit, without being asked. The site
// that leads the first shard does it, so that it is done once; all others hear of it with the vitals.
//
// It disturbs nobody: it reads a few shards at a time, within a deadline; shards that are asleep it reads as they are here, which is as they
// are everywhere, so that they sleep on; and while nothing has happened in any shard since a comparison, there is nothing to read at all.
type auditor struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	word   atomic.Pointer[transitWord] // what others are told; times are those of the watch's clock

	// The auditor's goroutine only:
	judge *transitJudge // nil: another site compares
	marks *auditMarks   // of the last comparison, if nothing was in doubt then
}

const (
	// auditSoon is after how long a site looks again when the last look does not agree with what was told, and whether it has become the one
	// that has to.
	auditSoon = 5 * time.Second
	// auditMost is the longest that one look may take.
	auditMost = 20 * time.Second
	// auditOverdue is how many times timing.audit may pass without a comparison before that is told.
	auditOverdue = 4
)

func (s *Site) startAuditor(context.Context) error {
	var ctx context.Context
	ctx, s.auditor.cancel = context.WithCancel(context.Background())
	s.auditor.done.Go(func() { s.keepAuditing(ctx) })
	return nil
}

func (s *Site) stopAuditor(context.Context) error {
	s.auditor.cancel()
	s.auditor.done.Wait()
	return nil
}

func (s *Site) keepAuditing(ctx context.Context) {
	timer := time.NewTimer(min(auditSoon, s.cfg.Timing.Audit.Std()))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(s.auditOnce(ctx))
	}
}

// auditOnce looks, if that is this site's task, and returns how long to rest.
func (s *Site) auditOnce(ctx context.Context) time.Duration {
	a, interval := &s.auditor, s.cfg.Timing.Audit.Std()
	soon := min(auditSoon, interval)
	if len(s.ShardIDs()) == 1 || !s.host.Leader(mapShard).Self {
		a.retire()
		return soon
	}
	if a.judge == nil {
		a.judge = newTransitJudge(s.watch.now(), auditOverdue*interval, s.transitDiffers())
	}
	marks := s.auditMarks()
	if a.marks != nil && marks != nil && a.marks.equal(marks) {
		s.told(a.judge.same(s.watch.now()), "")
		return interval
	}
	list, err := s.compareTransitNow(ctx)
	switch {
	case ctx.Err() != nil:
		return interval
	case err != nil:
		a.marks = nil
		s.told(a.judge.failed(s.watch.now(), err), err.Error())
		return soon
	}
	events := a.judge.look(s.watch.now(), list)
	a.marks = nil
	if !a.judge.doubts() {
		a.marks = marks
	}
	s.told(events, "")
	if a.judge.doubts() {
		return soon
	}
	return interval
}

// compareTransitNow is one look: all lines, those that do not fit with their problem.
func (s *Site) compareTransitNow(ctx context.Context) ([]TransitAudit, error) {
	ctx, cancel := context.WithTimeout(ctx, auditMost)
	defer cancel()
	looks, joined, err := s.transitLooks(ctx, s.sleepersAsHere)
	if err != nil {
		return nil, err
	}
	var a Audit
	a.compareTransit(looks, joined)
	return a.Transit, nil
}

// sleepersAsHere reads what is asleep from the replica here. A word that comes in this moment may be missed by one of three looks; it is not by
// the look after this one, and no difference is told before that.
func (s *Site) sleepersAsHere(id holdfast.ShardID) shard.ReadMode {
	if s.host.Asleep(id) {
		return shard.Stale
	}
	return shard.Linearizable
}

// auditMarks tell whether anything has happened in any shard.
type auditMarks struct {
	version uint64 // of the shard map
	applied []uint64
}

// auditMarks are nil while some shard is awake.
func (s *Site) auditMarks() *auditMarks {
	m := &auditMarks{version: s.ShardMap().Version}
	for _, id := range s.ShardIDs() {
		if !s.host.Asleep(id) {
			return nil
		}
		m.applied = append(m.applied, s.host.Applied(id))
	}
	return m
}

func (m *auditMarks) equal(other *auditMarks) bool {
	return m.version == other.version && slices.Equal(m.applied, other.applied)
}

// retire leaves the task to another site. What it has found last stands until that one has compared.
func (a *auditor) retire() {
	a.judge, a.marks = nil, nil
	if w := a.word.Load(); w != nil && w.auditing {
		kept := *w
		kept.auditing, kept.trouble = false, ""
		a.word.Store(&kept)
	}
}

// told raises events and says to the other sites what is known now. trouble is why the look has failed.
func (s *Site) told(events []Event, trouble string) {
	for _, e := range events {
		e.Site = s.cfg.Site
		s.event(e)
	}
	j := s.auditor.judge
	w := &transitWord{auditing: true, compared: j.compared, differs: j.words(), since: j.since, trouble: trouble}
	switch old := s.auditor.word.Load(); {
	case !j.ever:
	case old != nil && old.stamp != 0 && old.compared == j.compared:
		w.stamp = old.stamp
	default:
		w.stamp = uint64(time.Now().UnixNano())
	}
	s.auditor.word.Store(w)
}

// transitLine is one line of the comparison, and which way it does not fit.
type transitLine struct {
	home, away holdfast.ShardID
	among      string
	asset      holdfast.Asset
	missing    bool // less has landed than was sent; otherwise more than was sent and is held
	last       bool // of the site that compared before: which one is not known here
}

func lineOf(t *TransitAudit) transitLine {
	l := transitLine{home: t.Home, away: t.Away, asset: t.Asset, missing: t.Landed < t.Sent}
	if len(t.Among) > 0 {
		l.among = fmt.Sprint(t.Among)
	}
	return l
}

// transitJudge turns looks into what is told of them: a step function without a clock. A line is told when it has not fitted in two looks in a
// row, and is over when it has in two: payments that are under way may hide a small difference for a moment, and what comes about while a look
// reads may seem to be one.
type transitJudge struct {
	overdue  time.Duration
	ever     bool          // something was compared
	compared time.Duration // when it was last; until then, since when it should be
	since    time.Duration // that something is told
	mute     bool          // it was told that nothing is compared
	now      map[transitLine]string
	told     map[transitLine]string
}

// newTransitJudge begins with what the site before has told; "": nothing.
func newTransitJudge(now, overdue time.Duration, differs string) *transitJudge {
	j := &transitJudge{overdue: overdue, compared: now, since: now, now: map[transitLine]string{}, told: map[transitLine]string{}}
	if differs != "" {
		j.told[transitLine{last: true}] = differs
		j.now = maps.Clone(j.told)
	}
	return j
}

// look takes what was found.
func (j *transitJudge) look(now time.Duration, list []TransitAudit) []Event {
	before := j.now
	j.now = map[transitLine]string{}
	for i := range list {
		if t := &list[i]; t.Problem != "" {
			j.now[lineOf(t)] = t.Problem
		}
	}
	told := map[transitLine]string{}
	for l, text := range j.now {
		if _, again := before[l]; again || j.has(l) {
			told[l] = text
		}
	}
	for l, text := range before {
		if _, still := j.now[l]; !still && j.has(l) {
			told[l] = text
		}
	}
	return j.tell(now, told)
}

func (j *transitJudge) has(l transitLine) bool {
	_, ok := j.told[l]
	return ok
}

// tell takes over what is to be told from now on.
func (j *transitJudge) tell(now time.Duration, told map[transitLine]string) (events []Event) {
	changed := !sameLines(told, j.told)
	if len(j.told) == 0 && len(told) > 0 {
		j.since = now
	}
	j.told, j.ever, j.compared = told, true, now
	mute := j.mute
	j.mute = false
	switch {
	case len(told) > 0 && (changed || mute):
		e := Event{Kind: EventDiffers, Detail: j.words() + "; payments go on: holdfast audit shows all lines, docs/runbooks/transit-differs.md says what to do"}
		for l := range told {
			if len(told) == 1 {
				e.Shard = l.home
			}
		}
		events = append(events, e)
	case changed:
		events = append(events, Event{Kind: EventFits, Detail: "what was sent between the shards has landed again, in two comparisons"})
	case mute && len(j.now) == 0:
		events = append(events, Event{Kind: EventFits, Detail: "what was sent between the shards is compared again, and has landed"})
	default:
		j.mute = mute // the next look will tell
	}
	return events
}

// same is for a look that is not needed: nothing has happened since the last one.
func (j *transitJudge) same(now time.Duration) []Event { return j.tell(now, j.told) }

// failed takes a look that came to nothing.
func (j *transitJudge) failed(now time.Duration, why error) []Event {
	if j.mute || now-j.compared < j.overdue {
		return nil
	}
	j.mute = true
	return []Event{{Kind: EventUncompared, Detail: fmt.Sprintf("payments between shards were not compared for %s: %v; "+
		"docs/runbooks/transit-differs.md says what to do", (now - j.compared).Round(time.Second), why)}}
}

// doubts reports whether the last look does not agree with what is told.
func (j *transitJudge) doubts() bool { return !sameLines(j.now, j.told) }

func sameLines(a, b map[transitLine]string) bool {
	same := len(a) == len(b)
	for l := range a {
		_, ok := b[l]
		same = same && ok
	}
	return same
}

// words name the first line and how many more there are.
func (j *transitJudge) words() string {
	texts := slices.Sorted(maps.Values(j.told))
	switch len(texts) {
	case 0:
		return ""
	case 1:
		return texts[0]
	}
	return fmt.Sprintf("%s (and %d more)", texts[0], len(texts)-1)
}

// transitWord is what a site says of its comparisons. Between sites moments are told as how long ago they are: their clocks differ.
type transitWord struct {
	auditing bool          // it is the one that compares
	stamp    uint64        // one for each comparison; 0: there was none
	compared time.Duration // the last one
	differs  string        // "": everything fits
	since    time.Duration
	trouble  string // why the last look failed
}

// tell is the word with times as how long ago they are.
func (a *auditor) tell(now time.Duration) (w transitWord) {
	if known := a.word.Load(); known != nil {
		w = *known
		w.compared, w.since = now-w.compared, now-w.since
	}
	return w
}

func (w *transitWord) append(b []byte) []byte {
	b = append(b, flag(w.auditing))
	for _, n := range []uint64{w.stamp, uint64(w.compared), uint64(w.since)} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return appendText(appendText(b, strings.ToValidUTF8(w.differs, "?")), strings.ToValidUTF8(w.trouble, "?"))
}

func readTransitWord(r *reader) transitWord {
	w := transitWord{auditing: r.u8() != 0, stamp: r.u64(), compared: time.Duration(r.u64()), since: time.Duration(r.u64())}
	w.differs, w.trouble = r.text(), r.text()
	return w
}

// TransitCheck is what a site knows of the last comparison of payments between shards, by whichever site has made it.
type TransitCheck struct {
	Site     holdfast.SiteID // that compares now; 0: none says so
	Compared time.Time       // zero: never, as far as this site knows
	Overdue  bool            // that was too long ago
	Differs  string          // in words, what does not fit; "": everything does
	Since    time.Time       // that it does not
	Trouble  string          // why the last attempt came to nothing; "": it did not
}

// Fits reports whether there was a comparison, and nothing was found.
func (t *TransitCheck) Fits() bool { return !t.Compared.IsZero() && t.Differs == "" }

// transitSeen are the comparisons that a site has heard of, its own among them. The zero value is ready.
type transitSeen map[holdfast.SiteID]seenWord

// seenWord is a word with times of the clock of the site that has heard it.
type seenWord struct {
	transitWord
	at, since time.Duration
}

// take remembers what sites say now: a word that is known already says nothing new about when that was.
func (t transitSeen) take(now time.Duration, all map[holdfast.SiteID]vitals) {
	for id, v := range all {
		if w := v.transit; w.stamp != 0 && t[id].stamp != w.stamp {
			t[id] = seenWord{w, now - max(w.compared, 0), now - max(w.since, 0)}
		}
	}
}

// newest is the comparison that was made last.
func (t transitSeen) newest() (last seenWord, ok bool) {
	for _, w := range t {
		if !ok || w.at > last.at {
			last, ok = w, true
		}
	}
	return last, ok
}

// transitCheck puts together what the sites say. It runs on the forecaster's goroutine.
func (s *Site) transitCheck(all map[holdfast.SiteID]vitals) *TransitCheck {
	if len(s.ShardIDs()) == 1 {
		return nil
	}
	now, f := s.watch.now(), &s.forecasts
	if f.seen == nil {
		f.seen = transitSeen{}
	}
	f.seen.take(now, all)
	c := f.seen.check(now, auditOverdue*s.cfg.Timing.Audit.Std(), time.Now())
	for id, v := range all {
		if v.transit.auditing {
			c.Site, c.Trouble = id, v.transit.trouble
		}
	}
	return c
}

// check tells of the newest one. A site that has heard of none counts from its own start.
func (t transitSeen) check(now, overdue time.Duration, clock time.Time) *TransitCheck {
	c := &TransitCheck{}
	last, ok := t.newest()
	if ok {
		c.Compared = clock.Add(last.at - now)
		if c.Differs = last.differs; c.Differs != "" {
			c.Since = clock.Add(last.since - now)
		}
	}
	c.Overdue = now-last.at > overdue
	return c
}

// transitDiffers is what the fleet knew not to fit when this site took the task over.
func (s *Site) transitDiffers() string {
	if now, known := s.Survival(); known && now.Transit != nil {
		return now.Transit.Differs
	}
	return ""
}
