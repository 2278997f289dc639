package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/doctor"
	"holdfast/page"
)

// fleetBody is the page of the fleet; the part that is live is made of it again and again.
type fleetBody struct {
	At       time.Time
	Picture  picture
	Sites    []siteNow
	Cables   []cableRow
	Shards   []shardRow
	Findings []finding
	Verdict  string // key of words: all well, or how bad it is
	State    string
	Foretold bool
	Weakest  string
	Rate     float64
	Change   *client.SiteChange
}

type cableRow struct {
	cable
	Between string
}

type shardRow struct {
	client.Shard
	LeaderName, HomeName string
	Away                 bool // it is led elsewhere than at home
	State                string
	Slots                string
	Behind               string // sites whose replicas are behind
}

// finding is something that is wrong, with words for it, wherever it is.
type finding struct {
	Code     string
	Severity doctor.Severity
	Title    string
	State    string
	Places   []doctor.Finding // the same thing at several places is said once
	Do       []string         // what to do about it, in English
}

func fleetPage(f *fleet, v *page.View) *fleetBody {
	b := &fleetBody{At: f.At, Picture: draw(f, v), Sites: f.Sites, Foretold: f.Foretold, Weakest: f.Survival.Weakest, Change: f.Change}
	names := f.names()
	for _, c := range f.Cables {
		b.Cables = append(b.Cables, cableRow{c, names[c.A] + " – " + names[c.B]})
	}
	for i := range f.Shards {
		b.Shards = append(b.Shards, shardRowOf(&f.Shards[i], names))
	}
	for i := range f.Sites {
		b.Rate += f.Sites[i].Rate
	}
	b.Findings = findings(f, v)
	b.Verdict, b.State = verdict(b.Findings)
	if b.State == stateUp && (!f.Foretold || !f.Survival.Survives) {
		b.Verdict, b.State = "verdict-fragile", stateWeak
	}
	return b
}

func shardRowOf(s *client.Shard, names map[holdfast.SiteID]string) shardRow {
	row := shardRow{
		Shard: *s, LeaderName: names[s.Leader], HomeName: names[s.Home], Away: s.Leader != 0 && s.Home != 0 && s.Leader != s.Home, State: stateUp,
	}
	switch {
	case s.Leader == 0:
		row.State = stateDown
	case !s.InService || !s.DigestOK || row.Away:
		row.State = stateWeak
	}
	var ranges, behind []string
	for _, r := range s.Slots {
		ranges = append(ranges, fmt.Sprintf("%d–%d", r.From, r.To))
	}
	for _, m := range s.Members {
		if m.Lag > behindFrom {
			behind = append(behind, fmt.Sprintf("%s (%d)", names[m.Site], m.Lag))
		}
	}
	row.Slots, row.Behind = strings.Join(ranges, ", "), strings.Join(behind, ", ")
	return row
}

// behindFrom is how many entries a replica may lack before it is told: a few are always on their way.
const behindFrom = 1000

// findings are what the doctor says of what was seen. It was not asked about clocks here.
func findings(f *fleet, v *page.View) []finding {
	x := doctor.Fleet{Shards: f.Shards, Survival: f.Survival, Banks: f.Banks, Views: map[holdfast.SiteID][]client.Site{}}
	for i := range f.Sites {
		s := &f.Sites[i]
		x.Sites = append(x.Sites, s.Site)
		if s.Others != nil {
			x.Views[s.Site.Site] = slices.Collect(values(s.Others))
		}
	}
	var list []finding
	for _, n := range doctor.NewReport(nil, doctor.ExamineFleet(&x, f.At)).Findings {
		state := stateWeak
		if n.Severity == doctor.Critical {
			state = stateDown
		} else if n.Severity == doctor.Advice {
			state = stateUnknown
		}
		i := slices.IndexFunc(list, func(f finding) bool { return f.Code == n.Code && f.Severity == n.Severity })
		if i < 0 {
			i = len(list)
			list = append(list, finding{Code: n.Code, Severity: n.Severity, Title: cmp.Or(words["finding-"+n.Code].In(v.Lang), n.Code), State: state})
		}
		list[i].Places = append(list[i].Places, n)
		if !slices.Contains(list[i].Do, n.Do) {
			list[i].Do = append(list[i].Do, n.Do)
		}
	}
	return list
}

func values(m map[holdfast.SiteID]client.Site) func(yield func(client.Site) bool) {
	return func(yield func(client.Site) bool) {
		for _, s := range m {
			if !yield(s) {
				return
			}
		}
	}
}

func verdict(list []finding) (key, state string) {
	for _, n := range list {
		if n.Severity == doctor.Critical {
			return "verdict-critical", stateDown
		}
	}
	for _, n := range list {
		if n.Severity == doctor.Warning {
			return "verdict-warning", stateWeak
		}
	}
	return "verdict-well", stateUp
}

func (p *pages) showFleet(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	f, err := p.look(ctx)
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "fleet", Body: fleetPage(f, v)}
}

// tellFleet is the part of the page that is live.
func (p *pages) tellFleet(ctx context.Context, v *page.View) (string, any, error) {
	f, err := p.look(ctx)
	if err != nil {
		return "", nil, err
	}
	return "fleet-now", fleetPage(f, v), nil
}

// whatIfBody is the matrix of losses.
type whatIfBody struct {
	At     time.Time
	Shards []holdfast.ShardID
	Rows   []lossRow
	Known  bool
}

type lossRow struct {
	Name, Kind string
	Survives   bool
	Cells      []lossCell
	Pause      float64
	Worst      float64
	Breaks     string
}

// lossCell is what a loss does to a shard.
type lossCell struct {
	Shard holdfast.ShardID
	State string // up: nothing; weak: it gets another leader; down: it stops
	To    string // name of the site that would lead
}

func (p *pages) showWhatIf(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	f, err := p.look(ctx)
	if err != nil {
		return page.Failed(v, r, err)
	}
	b := whatIfBody{At: f.Survival.At, Known: f.Foretold}
	names := f.names()
	for i := range f.Shards {
		b.Shards = append(b.Shards, f.Shards[i].Shard)
	}
	for i := range f.Survival.Losses {
		l := &f.Survival.Losses[i]
		row := lossRow{Name: l.Name(names), Kind: l.Loss, Survives: l.Survives, Pause: l.Pause, Worst: l.Worst, Breaks: l.Breaks}
		for _, id := range b.Shards {
			row.Cells = append(row.Cells, lossCellOf(l, id, names))
		}
		b.Rows = append(b.Rows, row)
	}
	return page.Answer{Template: "what-if", Body: b}
}

func lossCellOf(l *client.Forecast, id holdfast.ShardID, names map[holdfast.SiteID]string) lossCell {
	c := lossCell{Shard: id, State: stateUp}
	for _, m := range l.Moves {
		if m.Shard == id {
			c.State = stateWeak
			if len(m.To) > 0 {
				c.To = names[m.To[0]]
			}
		}
	}
	if slices.Contains(l.Stops, id) {
		c.State, c.To = stateDown, ""
	}
	return c
}

// journalRow is an event, and where it was seen.
type journalRow struct {
	client.JournalEvent
	Seen, About string
}

func (p *pages) showJournal(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	all, err := p.API.Fleet(ctx)
	if err != nil {
		return page.Failed(v, r, err)
	}
	names := map[holdfast.SiteID]string{}
	for _, s := range all.Sites {
		names[s.Site] = siteName(&s)
	}
	var mu sync.Mutex // guards rows and silent
	var rows []journalRow
	var silent []string
	var work sync.WaitGroup
	for _, s := range all.Sites {
		work.Go(func() {
			list, err := p.journalOf(ctx, s.HTTP)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				silent = append(silent, names[s.Site])
				return
			}
			for _, e := range list {
				rows = append(rows, journalRow{e, names[s.Site], names[e.Site]})
			}
		})
	}
	work.Wait()
	slices.SortFunc(rows, func(a, b journalRow) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Seen, b.Seen)) })
	slices.Sort(silent)
	return page.Answer{Template: "journal", Body: struct {
		Rows   []journalRow
		Silent []string
		More   bool
	}{rows[:min(len(rows), journalRows)], silent, len(rows) > journalRows}}
}

const journalRows = 300 // on a page

func (p *pages) journalOf(ctx context.Context, base string) ([]client.JournalEvent, error) {
	c, err := p.Only(base)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, page.AskOne)
	defer cancel()
	return c.Journal(ctx, 0)
}

// trendData is what the plots show: for each site the same moments, nil where nothing is known.
type trendData struct {
	At    []int64     `json:"at"` // Unix seconds
	Sites []trendSite `json:"sites"`
}

type trendSite struct {
	Name      string     `json:"name"`
	Rate      []*float64 `json:"rate"` // transactions a second
	P50       []*float64 `json:"p50"`  // ms
	P99       []*float64 `json:"p99"`
	Lost      []*float64 `json:"lost"` // not executed, and without an answer, a second
	Elections []*float64 `json:"elections"`
	Waiting   []*float64 `json:"waiting"`
	Disk      []*float64 `json:"disk"` // ms of a write
}

const trendStep = 10 * time.Second

// showTrend gives the data of the plots. Steps of different sites end at different seconds: they are put to the nearest multiple of a step.
func (p *pages) showTrend(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	ctx = client.Passive(ctx) // the plots ask for it by themselves
	all, err := p.API.Fleet(ctx)
	if err != nil {
		a := page.Failed(v, r, err)
		return page.Answer{Status: max(a.Status, http.StatusUnauthorized), JSON: map[string]string{"error": "unavailable"}, Err: err}
	}
	trends := make([]client.Trend, len(all.Sites))
	var work sync.WaitGroup
	for i, s := range all.Sites {
		work.Go(func() {
			if c, err := p.Only(s.HTTP); err == nil {
				trends[i], _ = c.Trend(ctx, time.Hour, trendStep) // one that does not answer has a line that ends
			}
		})
	}
	work.Wait()
	return page.Answer{JSON: trendDataOf(all.Sites, trends)}
}

func trendDataOf(sites []client.Site, trends []client.Trend) trendData {
	const step = int64(trendStep / time.Second)
	slot := func(t time.Time) int64 { return (t.Unix() + step/2) / step * step }
	seen := map[int64]bool{}
	for i := range trends {
		for j := range trends[i].Points {
			seen[slot(trends[i].Points[j].At)] = true
		}
	}
	d := trendData{At: make([]int64, 0, len(seen))}
	for at := range seen {
		d.At = append(d.At, at)
	}
	slices.Sort(d.At)
	for i := range trends {
		s := trendSite{Name: siteName(&sites[i])}
		byTime := map[int64]*client.TrendPoint{}
		for j := range trends[i].Points {
			x := &trends[i].Points[j]
			byTime[slot(x.At)] = x
		}
		for _, at := range d.At {
			s.add(byTime[at])
		}
		d.Sites = append(d.Sites, s)
	}
	return d
}

func (s *trendSite) add(x *client.TrendPoint) {
	if x == nil || x.Seconds == 0 {
		x = &client.TrendPoint{Seconds: -1}
	}
	put := func(list *[]*float64, v float64, known bool) {
		if known && x.Seconds > 0 {
			*list = append(*list, &v)
		} else {
			*list = append(*list, nil)
		}
	}
	seconds := float64(x.Seconds)
	put(&s.Rate, float64(x.Done)/seconds, true)
	put(&s.P50, x.P50, x.P50 > 0)
	put(&s.P99, x.P99, x.P99 > 0)
	put(&s.Lost, float64(x.Unfit+x.Unknown)/seconds, true)
	put(&s.Elections, float64(x.Elections), true)
	put(&s.Waiting, float64(x.Waiting), true)
	put(&s.Disk, x.DiskWrite, true)
}
