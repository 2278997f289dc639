package site

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/fault"
)

// TestADifferenceInTransitIsNoticed without anybody asking, by the one site that compares, and told to all; and so is its end. Then sites are
// lost, nobody can compare, and the one that is left says since when.
func TestADifferenceInTransitIsNoticed(t *testing.T) {
	t.Parallel()
	f := &fleet{t: t, net: fault.NewNet(time.Millisecond), configs: map[holdfast.SiteID]Config{}, sites: map[holdfast.SiteID]*Site{}}
	f.configure(3, 3, 1)
	for id, c := range f.configs {
		c.Timing.Audit = Duration(500 * time.Millisecond)
		f.configs[id] = c
	}
	f.run()
	s := f.site(1)
	a, b := account(t, 1, 10), account(t, 2, 500) // in two shards
	f.mustDo(s, f.open(a))
	f.mustDo(s, f.open(b))
	f.mustDo(s, f.pay(a, b, 7))
	f.transitIs("all fits", func(c *TransitCheck) bool { return c.Fits() && !c.Overdue && c.Site == s.board.seat(mapShard).leader })

	gbp := holdfast.MustAsset("GBP")
	move := func(at holdfast.ShardID, debit, credit holdfast.AccountID) {
		txn := holdfast.Txn{ID: f.id(), Transfers: []holdfast.Transfer{{ID: f.id(), Kind: holdfast.Immediate, Debit: debit, Credit: credit, Amount: 10}}}
		for _, id := range []holdfast.AccountID{debit, credit} {
			txn.Accounts = append(txn.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: id})
		}
		f.until("a transaction behind the edge is done", func() (string, bool) {
			out, err := s.proposeOwn(context.Background(), at, &txn)
			return fmt.Sprint(out, err), err == nil && out.Status == holdfast.Done
		})
	}
	const differs = "shard 1 has sent 10 GBP to shard 3, and only 0 have landed"
	move(1, holdfast.Moving(1, 3, gbp), holdfast.InTransit(1, 3, gbp))
	f.transitIs("the difference is known", func(c *TransitCheck) bool { return c.Differs == differs && !c.Fits() && !c.Since.IsZero() })
	f.mustDo(f.site(2), f.pay(b, a, 3)) // nobody is kept from paying
	f.told(EventDiffers, differs)
	if ends := f.metric("holdfast_certificate_expires_timestamp_seconds"); ends < float64(time.Now().Unix()) || ends > float64(time.Now().AddDate(30, 0, 0).Unix()) {
		t.Errorf("the certificates end at %.0f", ends)
	}
	if got := f.metric("holdfast_transit_fits"); got != 0 {
		t.Errorf("the metric is %v while something differs", got)
	}
	move(3, holdfast.InTransit(3, 1, gbp), holdfast.Moving(3, 1, gbp))
	f.transitIs("it is gone", func(c *TransitCheck) bool { return c.Fits() })
	f.told(EventFits, "landed again")
	if got := f.metric("holdfast_transit_fits"); got != 1 {
		t.Errorf("the metric is %v while all fits", got)
	}

	f.stop(2)
	f.stop(3)
	f.until("it is overdue", func() (string, bool) {
		now, _ := s.Survival()
		return fmt.Sprintf("%+v", now.Transit), now.Transit != nil && now.Transit.Overdue && !now.Transit.Compared.IsZero()
	})
}

// transitIs waits until every site knows that of the payments between shards.
func (f *fleet) transitIs(what string, ok func(*TransitCheck) bool) {
	f.t.Helper()
	for _, s := range f.all() {
		f.until(fmt.Sprintf("%s at site %d", what, s.cfg.Site), func() (string, bool) {
			now, known := s.Survival()
			return fmt.Sprintf("%+v", now.Transit), known && now.Transit != nil && ok(now.Transit)
		})
	}
}

// told insists on an event, once in the whole fleet; in each site that has led the first shard meanwhile.
func (f *fleet) told(kind EventKind, says string) {
	f.t.Helper()
	var list []string
	leaders := map[holdfast.SiteID]bool{}
	for _, s := range f.all() {
		for _, e := range s.Events(0) {
			if e.Kind == kind && strings.Contains(e.Detail, says) {
				list = append(list, fmt.Sprintf("site %d: %s", s.cfg.Site, e.Detail))
			}
			if e.Kind == EventLeader && e.Shard == mapShard && e.Site != 0 {
				leaders[e.Site] = true
			}
		}
	}
	if len(list) == 0 || len(list) > len(leaders) {
		f.t.Errorf("%s: %q, with leaders %v: want one", kind, list, leaders)
	}
}

// metric is a gauge without labels of the first site.
func (f *fleet) metric(name string) float64 {
	f.t.Helper()
	families, err := f.site(1).Registry().Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	f.t.Fatalf("there is no %s", name)
	return 0
}

// TestTransitIsToldOncePerChange: what one look finds is told when the next one finds it too, and is over when two have not.
func TestTransitIsToldOncePerChange(t *testing.T) {
	const minute = time.Minute
	line := func(away holdfast.ShardID, landed holdfast.Amount) TransitAudit {
		l := TransitAudit{Home: 1, Away: away, Asset: holdfast.MustAsset("GBP"), Sent: 50, Landed: landed}
		if landed != 50 {
			l.Problem = fmt.Sprintf("%d at %d", landed, away)
		}
		return l
	}
	missing, more, fits, other := line(2, 40), line(2, 60), line(2, 50), line(3, 40)
	fails := errors.New("shard 2 does not answer")
	type step struct {
		list   []TransitAudit
		err    error
		same   bool
		want   string // events, each kind with the beginning of its words
		doubts bool
	}
	for _, row := range []struct {
		name  string
		heard string
		steps []step
	}{
		{"all fits, and nothing is told", "", []step{{list: []TransitAudit{fits}}, {}, {same: true}}},
		{"it differs for one look", "", []step{{list: []TransitAudit{missing}, doubts: true}, {list: []TransitAudit{fits}}, {list: []TransitAudit{missing}, doubts: true}, {}}},
		{"it differs and is over", "", []step{
			{list: []TransitAudit{missing, fits}, doubts: true},
			{list: []TransitAudit{missing}, want: "transit-differs 40 at 2;"},
			{list: []TransitAudit{line(2, 30)}},
			{same: true}, // once, whatever the amount is by then
			{list: []TransitAudit{fits}, doubts: true},
			{list: []TransitAudit{missing}},
			{doubts: true},
			{want: "transit-fits what was sent"},
			{},
		}},
		{"another line comes and goes", "", []step{
			{list: []TransitAudit{missing}, doubts: true},
			{list: []TransitAudit{missing}, want: "transit-differs 40 at 2;"},
			{list: []TransitAudit{missing, other}, doubts: true},
			{list: []TransitAudit{missing, other}, want: "transit-differs 40 at 2 (and 1 more);"},
			{list: []TransitAudit{other}, doubts: true},
			{list: []TransitAudit{other}, want: "transit-differs 40 at 3;"},
		}},
		{"the other way round is another thing", "", []step{
			{list: []TransitAudit{missing}, doubts: true},
			{list: []TransitAudit{missing}, want: "transit-differs 40 at 2;"},
			{list: []TransitAudit{more}, doubts: true},
			{list: []TransitAudit{more}, want: "transit-differs 60 at 2;"},
		}},
		{"nobody answers", "", []step{
			{},
			{err: fails},
			{err: fails},
			{err: fails},
			{err: fails, want: "transit-unknown payments between shards were not compared for 4m0s: shard 2 does not answer"},
			{err: fails},
			{want: "transit-fits what was sent between the shards is compared again"},
			{},
		}},
		{"nobody answers from the beginning, and then it differs", "", []step{
			{err: fails},
			{err: fails},
			{err: fails},
			{err: fails, want: "transit-unknown payments"},
			{list: []TransitAudit{missing}, doubts: true},
			{list: []TransitAudit{missing}, want: "transit-differs"},
		}},
		{"nobody answers while it differs", "", []step{
			{list: []TransitAudit{missing}, doubts: true},
			{list: []TransitAudit{missing}, want: "transit-differs"},
			{err: fails},
			{err: fails},
			{err: fails},
			{err: fails, want: "transit-unknown"},
			{list: []TransitAudit{missing}, want: "transit-differs 40 at 2;"},
		}},
		{"the site before has told of it, and it is over", "30 at 2", []step{{doubts: true}, {want: "transit-fits"}, {}}},
		{"the site before has told of it, and it is there", "30 at 2", []step{
			{list: []TransitAudit{missing}, doubts: true}, {list: []TransitAudit{missing}, want: "transit-differs 40 at 2;"}, {list: []TransitAudit{missing}},
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			j := newTransitJudge(0, 4*minute, row.heard)
			for i, st := range row.steps {
				var events []Event
				switch now := time.Duration(i+1) * minute; {
				case st.err != nil:
					events = j.failed(now, st.err)
				case st.same:
					events = j.same(now)
				default:
					events = j.look(now, st.list)
				}
				var got []string
				for _, e := range events {
					got = append(got, fmt.Sprintf("%s %s", e.Kind, e.Detail))
				}
				if all := strings.Join(got, ", "); (st.want == "") != (all == "") || !strings.HasPrefix(all, st.want) {
					t.Errorf("step %d: told %q, want %q", i+1, all, st.want)
				}
				if st.err == nil && j.doubts() != st.doubts {
					t.Errorf("step %d: doubts %t", i+1, j.doubts())
				}
			}
		})
	}
}

// TestTheNewestComparisonCounts: a site that says again what it said before has not compared again, however late the word comes.
func TestTheNewestComparisonCounts(t *testing.T) {
	seen, clock := transitSeen{}, time.Unix(1000, 0)
	says := func(stamp uint64, ago time.Duration, differs string) vitals {
		return vitals{transit: transitWord{stamp: stamp, compared: ago, differs: differs, since: ago}}
	}
	check := func(now time.Duration, all map[holdfast.SiteID]vitals) string {
		seen.take(now, all)
		c := seen.check(now, time.Minute, clock.Add(now))
		return fmt.Sprintf("%d %t %q", c.Compared.Unix(), c.Overdue, c.Differs)
	}
	for i, row := range []struct {
		now  time.Duration
		all  map[holdfast.SiteID]vitals
		want string
	}{
		{50 * time.Second, map[holdfast.SiteID]vitals{1: {}, 2: {}}, `-62135596800 false ""`},
		{61 * time.Second, map[holdfast.SiteID]vitals{1: {}, 2: {}}, `-62135596800 true ""`},
		{70 * time.Second, map[holdfast.SiteID]vitals{1: says(5, 2*time.Second, ""), 2: {}}, `1068 false ""`},
		{80 * time.Second, map[holdfast.SiteID]vitals{1: says(5, 2*time.Second, ""), 2: {}}, `1068 false ""`}, // a late word
		{90 * time.Second, map[holdfast.SiteID]vitals{1: says(5, 22*time.Second, ""), 2: says(3, 1*time.Second, "x")}, `1089 false "x"`},
		{95 * time.Second, map[holdfast.SiteID]vitals{1: says(5, 27*time.Second, "")}, `1089 false "x"`}, // the site that has compared last is gone
		{150 * time.Second, nil, `1089 true "x"`},
	} {
		if got := check(row.now, row.all); got != row.want {
			t.Errorf("row %d: %s, want %s", i+1, got, row.want)
		}
	}
}
