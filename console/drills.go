package console

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

const (
	maxReports   = 512 << 10               // bytes of a file with reports
	reportsShown = 100                     // of a file, a line each
	reportsFull  = 5                       // of those, in full
	askDrills    = 1200 * time.Millisecond // a site that runs drills may be busy; a page that is live must not be taken for lost
)

func (p *pages) drillRoutes() {
	p.Page("GET /console/drills", p.showDrills)
	p.Page("GET /console/drills/start", p.showDrill)
	p.Page("POST /console/drills/start", p.startDrill)
	p.Upload("POST /console/drills/read", maxReports+16<<10, p.readReports)
	p.Page("GET /console/drills/{run}", p.showDrillRun)
	p.Page("POST /console/drills/{run}/stop", p.stopDrill)
	p.Page("GET /console/drills/{run}/report.json", p.downloadReport)
	p.Live("GET /console/drills/{run}/live", "drill", liveEvery, p.tellDrillRun)
}

// drillSite is a site, and the drills beside it.
type drillSite struct {
	Name   string
	Self   bool
	Drills []client.Drill
	Runs   []client.DrillRun
	Off    bool  // it runs none
	err    error // it has not answered
	client *client.Client
}

// On reports whether drills can be run there.
func (s *drillSite) On() bool { return s.err == nil && !s.Off }

// Busy is the run that is under way there; nil: none.
func (s *drillSite) Busy() *client.DrillRun {
	i := slices.IndexFunc(s.Runs, func(r client.DrillRun) bool { return !r.Over() })
	if i < 0 {
		return nil
	}
	return &s.Runs[i]
}

// drillSites are the sites of the fleet, the one that serves the page first; each is asked by a client that asks no other: drills run beside one site,
// and no other one knows of them.
func (p *pages) drillSites() (list []*drillSite) {
	for _, x := range p.Places() {
		c, err := p.Only(x.URL)
		list = append(list, &drillSite{Name: x.Name, Self: x.Self, client: c, err: err})
	}
	if len(list) == 0 {
		return []*drillSite{{Self: true, client: p.API}}
	}
	slices.SortStableFunc(list, func(a, b *drillSite) int {
		switch {
		case a.Self == b.Self:
			return 0
		case a.Self:
			return -1
		}
		return 1
	})
	return list
}

// askAll does something with every site at once. It returns the error of the first one, which serves the page, if that says that the person may not
// ask, or the last one if none has answered.
func askAll(ctx context.Context, list []*drillSite, do func(ctx context.Context, s *drillSite) error) error {
	ctx, cancel := context.WithTimeout(ctx, askDrills)
	defer cancel()
	var work sync.WaitGroup
	for _, s := range list {
		if s.err == nil {
			work.Go(func() { s.err = do(ctx, s) })
		}
	}
	work.Wait()
	answered := false
	for _, s := range list {
		e, ok := errors.AsType[*client.Error](s.err)
		if ok && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden) {
			return s.err
		}
		if ok && e.Code == "drills-off" {
			s.Off, s.err = true, nil
		}
		answered = answered || s.err == nil
	}
	if !answered {
		return list[0].err
	}
	return nil
}

// drillsBody is the page of all drills.
type drillsBody struct {
	Sites  []*drillSite
	Groups []drillGroup
	Runs   []runRow
	On     bool // somewhere
	Silent []string
}

// Named reports whether sites have names to tell them apart.
func (b *drillsBody) Named() bool { return len(b.Sites) > 1 }

// drillGroup is drills that are about the same thing.
type drillGroup struct {
	Word   string
	Drills []drillRow
}

type drillRow struct {
	client.Drill
	Story phrase
}

type runRow struct {
	client.DrillRun
	Site    string
	Address string
	Look    string // how it stands, for the eye
	Word    string // for how it stands
}

// Who is who asked for it: the name of an operator, or of a key.
func (r *runRow) Who() string { return strings.TrimPrefix(r.By, "operator:") }

// Count writes a number as people read it.
func (r *runRow) Count(n int) string { return thousands(n) }

// thousands groups the digits of a number.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// phrase is a text that may be in English on a page that is not.
type phrase struct {
	Text    string
	Foreign bool
}

// phraseOf is a text of the API in the language of the page, if we have it there.
func phraseOf(v *page.View, key, english string) phrase {
	if v.Lang == page.English {
		return phrase{english, false}
	}
	for _, table := range []page.Words{drillStories, drillWords} {
		if w, ok := table[key]; ok {
			return phrase{w.In(v.Lang), false}
		}
	}
	return phrase{english, true}
}

func (p *pages) showDrills(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	b, err := p.drills(ctx, v)
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "drills", Body: b}
}

func (p *pages) drills(ctx context.Context, v *page.View) (*drillsBody, error) {
	b := &drillsBody{Sites: p.drillSites()}
	err := askAll(ctx, b.Sites, func(ctx context.Context, s *drillSite) (err error) {
		if s.Drills, err = s.client.Drills(ctx); err == nil {
			s.Runs, err = s.client.DrillRuns(ctx)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var known []client.Drill
	for _, s := range b.Sites {
		if s.err != nil {
			b.Silent = append(b.Silent, s.Name)
		}
		b.On = b.On || s.On()
		for _, d := range s.Drills {
			if !slices.ContainsFunc(known, func(k client.Drill) bool { return k.Name == d.Name }) {
				known = append(known, d)
			}
		}
		for i := range s.Runs {
			b.Runs = append(b.Runs, runRowOf(&s.Runs[i], s.Name))
		}
	}
	b.Groups = grouped(v, known)
	slices.SortStableFunc(b.Runs, func(x, y runRow) int { return y.Started.Compare(x.Started) })
	return b, nil
}

// stateWords are the words for how a run stands.
var stateWords = map[string]string{
	"running": "drill-running", "stopping": "drill-stopping", "done": "drill-done", "stopped": "drill-stopped", "broken": "drill-broken-off",
}

func runRowOf(r *client.DrillRun, site string) runRow {
	row := runRow{DrillRun: *r, Site: site, Address: "/console/drills/" + r.ID.String(), Look: stateUnknown, Word: stateWords[r.State]}
	switch {
	case r.Verdict == "pass":
		row.Look, row.Word = stateUp, "drill-pass"
	case r.Verdict == "fail":
		row.Look, row.Word = stateDown, "drill-fail"
	case r.State == "broken":
		row.Look = stateWeak
	}
	return row
}

// drillKinds says by the beginning of its name what a drill is about. What fits nowhere is about sites that are lost.
var drillKinds = []struct{ word, beginnings string }{
	{"drills-first", "demo"},
	{"drills-lost", ""},
	{"drills-carriers", "carrier- forecast"},
	{"drills-sick", "sick- busy-"},
	{"drills-planned", "leader-handover rolling- site-add site-replace site-learner site-promote"},
	{"drills-shards", "slot- shard-"},
	{"drills-people", "pay- code- webhook- bank-"},
}

func kindOf(name string) int {
	for i, k := range drillKinds {
		for beginning := range strings.FieldsSeq(k.beginnings) {
			if strings.HasPrefix(name, beginning) {
				return i
			}
		}
	}
	return 1
}

func grouped(v *page.View, list []client.Drill) (groups []drillGroup) {
	for i, k := range drillKinds {
		g := drillGroup{Word: k.word}
		for _, d := range list {
			if kindOf(d.Name) == i {
				g.Drills = append(g.Drills, drillRow{d, phraseOf(v, "story-"+d.Name, d.Story)})
			}
		}
		if len(g.Drills) > 0 {
			groups = append(groups, g)
		}
	}
	return groups
}

// drillBody is the page on which a drill is started.
type drillBody struct {
	drillRow
	Sites   []*drillSite // where it can be run
	Seed    string
	Problem string // in words; "": none
	Foreign bool   // those are English
}

func (p *pages) showDrill(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	q := r.URL.Query()
	return p.drillPage(ctx, v, r, q.Get("drill"), q.Get("seed"), nil)
}

// drillPage is the page on which a drill is started; why says why it was not.
func (p *pages) drillPage(ctx context.Context, v *page.View, r *http.Request, name, seed string, why error) page.Answer {
	all, err := p.drills(ctx, v)
	if err != nil {
		return page.Failed(v, r, err)
	}
	b := &drillBody{Seed: cmp.Or(seed, "1")}
	for _, s := range all.Sites {
		if s.On() {
			b.Sites = append(b.Sites, s)
		}
	}
	for _, g := range all.Groups {
		for _, d := range g.Drills {
			if d.Name == name {
				b.drillRow = d
			}
		}
	}
	if b.Name == "" {
		return page.NotFound("")
	}
	status := http.StatusOK
	if why != nil {
		status, b.Problem = http.StatusConflict, page.Refused(v, why)
		if e, ok := errors.AsType[*client.Error](why); ok {
			status, b.Foreign = max(e.Status, http.StatusBadRequest), v.Lang != page.English && b.Problem == e.Detail
		}
	}
	return page.Answer{Status: status, Template: "drill", Title: name + " · " + v.T("title-drills"), Body: b}
}

// errSeed says that what somebody has typed is no seed.
var errSeed = &client.Error{Status: http.StatusUnprocessableEntity, Code: "seed", Detail: "A seed is a whole number."}

func (p *pages) startDrill(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	if err := r.ParseForm(); err != nil {
		return page.FormFailed(err)
	}
	o := client.DrillOrder{Drill: r.PostForm.Get("drill")}
	seed := strings.TrimSpace(r.PostForm.Get("seed"))
	var err error
	if o.Seed, err = strconv.ParseUint(cmp.Or(seed, "1"), 10, 53); err != nil {
		return p.drillPage(ctx, v, r, o.Drill, seed, errSeed)
	}
	if o.ID, err = holdfast.ParseID(r.PostForm.Get("number")); err != nil {
		return page.FormFailed(err)
	}
	sites := p.drillSites()
	i := slices.IndexFunc(sites, func(s *drillSite) bool { return s.Name == r.PostForm.Get("site") })
	if i < 0 || sites[i].err != nil {
		return page.FormFailed(errors.New("no site was chosen"))
	}
	run, err := sites[i].client.StartDrill(ctx, o)
	if err != nil {
		if e, ok := errors.AsType[*client.Error](err); !ok || e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden {
			return page.Failed(v, r, err)
		}
		return p.drillPage(ctx, v, r, o.Drill, seed, err)
	}
	return page.Answer{Redirect: v.Link("/console/drills/"+run.ID.String(), "at", sites[i].Name)}
}

// drillRun finds a run: at the site that the address names, or else at any.
func (p *pages) drillRun(ctx context.Context, v *page.View) (*drillSite, *client.DrillRun, error) {
	id, at, err := runIn(v.Here())
	if err != nil {
		return nil, nil, err
	}
	all := p.drillSites()
	if i := slices.IndexFunc(all, func(s *drillSite) bool { return s.Name == at }); i >= 0 {
		s := all[i]
		if s.err != nil {
			return nil, nil, s.err
		}
		ctx, cancel := context.WithTimeout(ctx, askDrills)
		defer cancel()
		run, err := s.client.DrillRun(ctx, id)
		return s, &run, err
	}
	runs := make([]client.DrillRun, len(all))
	err = askAll(ctx, all, func(ctx context.Context, s *drillSite) (err error) {
		runs[slices.Index(all, s)], err = s.client.DrillRun(ctx, id)
		return err
	})
	for i := range runs {
		if runs[i].ID == id {
			return all[i], &runs[i], nil
		}
	}
	if err == nil { // those that have answered run no drills
		err = &client.Error{Status: http.StatusNotFound}
	}
	return nil, nil, err
}

// runIn is the run that an address names, and the site that it was done at; "": any.
func runIn(address string) (id holdfast.ID, at string, err error) {
	u, err := url.ParseRequestURI(address)
	if err == nil {
		name, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/console/drills/"), "/")
		id, err = holdfast.ParseID(name)
	}
	if err != nil {
		return id, "", &client.Error{Status: http.StatusNotFound}
	}
	return id, u.Query().Get("at"), nil
}

// runBody is the page of a run.
type runBody struct {
	runRow
	Story   phrase
	Live    string // where the part that changes comes from; "": nothing changes any more
	Stop    string
	Phase   phrase
	Share   int // percent of the run, by the clock
	Bars    []bar
	Rate    float64
	Sites   []sitePart
	Cables  []sitePart
	Faults  []faultRow
	Report  *reportBody // nil: there is none
	Again   string
	Command string
	JSON    string // where it is to be had as such
}

// bar is one of a plot without scripts.
type bar struct{ X, Y, H float64 }

type sitePart struct {
	Name  string
	State phrase // what has been done to it; "": nothing
	Look  string
	Leads int
	Rate  float64
}

func (p *pages) showDrillRun(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	s, run, err := p.drillRun(ctx, v)
	if err != nil {
		return p.runFailed(v, r, err)
	}
	return page.Answer{Template: "drill-run", Title: run.Drill + " · " + v.T("title-drills"), Body: p.runBodyOf(ctx, v, s, run)}
}

// runFailed says why a run is not shown. One that is not there was done at another site, or is one of too many.
func (p *pages) runFailed(v *page.View, r *http.Request, err error) page.Answer {
	if e, ok := errors.AsType[*client.Error](err); ok && e.Status == http.StatusNotFound {
		return page.Answer{Status: http.StatusNotFound, Template: "drill-gone", Title: v.T("title-drills"), Err: err}
	}
	return page.Failed(v, r, err)
}

func (p *pages) tellDrillRun(ctx context.Context, v *page.View) (string, any, error) {
	s, run, err := p.drillRun(ctx, v)
	if err != nil {
		return "", nil, err
	}
	return "drill-now", p.runBodyOf(ctx, v, s, run), nil
}

func (p *pages) runBodyOf(ctx context.Context, v *page.View, s *drillSite, run *client.DrillRun) *runBody {
	known := s.knows(ctx, run.Drill)
	b := &runBody{runRow: runRowOf(run, s.Name), Story: phraseOf(v, "story-"+run.Drill, known.Story)}
	b.Again = v.Link("/console/drills/start", "drill", run.Drill, "seed", strconv.FormatUint(run.Seed, 10))
	b.Command = fmt.Sprintf("holdfast drill run %s --seed %d --report %s.html", run.Drill, run.Seed, run.Drill)
	if run.Drill == "demo" {
		b.Command = fmt.Sprintf("holdfast demo --seed %d --report demo.html", run.Seed)
	}
	if run.Report != nil {
		b.Report = reportOf(v, run.Report, run.Checks, known.Bound)
		b.JSON = v.Link(b.Address+"/report.json", "at", s.Name)
	}
	if !run.Over() {
		b.Live, b.Stop = v.Link(b.Address+"/live", "at", s.Name), v.Link(b.Address+"/stop", "at", s.Name)
		b.Share = shareOf(run, v.Now)
	}
	if n := run.Now; n != nil {
		b.standing(v, n)
	}
	return b
}

// standing takes over how a run stands.
func (b *runBody) standing(v *page.View, n *client.DrillNow) {
	b.Phase = phraseOf(v, "phase-"+n.Phase, n.Phase)
	if n.Paying { // it says what the drill is about, and so does the page
		b.Phase = phrase{Text: v.T("drill-paying")}
	}
	b.Bars, b.Rate = barsOf(n.Rates)
	for _, x := range n.Sites {
		b.Sites = append(b.Sites, sitePart{Name: x.Name, State: damage(v, x.State), Look: lookOf(x.State), Leads: x.Leads})
	}
	for i, x := range n.Carriers {
		b.Cables = append(b.Cables, sitePart{Name: strconv.Itoa(i + 1), State: damage(v, x.State), Look: lookOf(x.State), Rate: x.Rate / 1000})
	}
	b.Faults = faultRows(v, n.Faults)
}

func damage(v *page.View, state string) phrase {
	if state == "" {
		return phrase{}
	}
	return phraseOf(v, "damage-"+state, state)
}

func lookOf(state string) string {
	switch state {
	case "":
		return stateUp
	case "lossy", "flaps", "one way", "not heard", "hears nothing", "restarting":
		return stateWeak
	}
	return stateDown
}

// shareOf is how much of the time is over that a run is expected to take; never all of it.
func shareOf(run *client.DrillRun, now time.Time) int {
	if run.Takes <= 0 {
		return 0
	}
	return int(min(95, max(1, 100*now.Sub(run.Started).Seconds()/float64(run.Takes))))
}

const (
	plotWidth  = 600.0
	plotHeight = 80.0
)

// barsOf draws the rates of the last minute, one bar for each half second.
func barsOf(rates []float64) (bars []bar, last float64) {
	if len(rates) == 0 {
		return nil, 0
	}
	top, step := max(1, slices.Max(rates)), plotWidth/float64(max(60, len(rates)))
	for i, x := range rates {
		h := plotHeight * max(0, x) / top
		bars = append(bars, bar{X: float64(i) * step, Y: plotHeight - h, H: h})
	}
	return bars, rates[len(rates)-1]
}

// knows is what a site says of a drill; without a name when it says nothing.
func (s *drillSite) knows(ctx context.Context, name string) client.Drill {
	list, err := s.client.Drills(ctx)
	i := slices.IndexFunc(list, func(d client.Drill) bool { return d.Name == name })
	if err != nil || i < 0 {
		return client.Drill{}
	}
	return list[i]
}

func (p *pages) stopDrill(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	s, run, err := p.drillRun(ctx, v)
	if err == nil {
		_, err = s.client.StopDrill(ctx, run.ID)
	}
	if err != nil {
		return p.runFailed(v, r, err)
	}
	return page.Answer{Redirect: v.Link("/console/drills/"+run.ID.String(), "at", s.Name)}
}

func (p *pages) downloadReport(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	_, run, err := p.drillRun(ctx, v)
	if err == nil && run.Report == nil {
		err = &client.Error{Status: http.StatusNotFound}
	}
	if err != nil {
		return p.runFailed(v, r, err)
	}
	text, err := json.MarshalIndent(run.Report, "", "  ")
	if err != nil {
		return page.Failed(v, r, err)
	}
	name := fmt.Sprintf("%s-%d.json", run.Drill, run.Seed)
	return page.Answer{File: &page.File{Type: "application/json", Name: name, Content: append(text, '\n')}}
}

// readBody is the page of a file with reports.
type readBody struct {
	Name    string
	Problem string // a key of words; "": none
	Detail  string // in English
	Rows    []reportRow
	More    int           // that have no row
	Full    []*reportBody // the first that are worth it
	Passed  int
	Count   int
}

type reportRow struct {
	*client.DrillReport
	Look, Word string
}

// readReports shows a file that somebody has brought. Nothing of it is kept.
func (p *pages) readReports(_ context.Context, v *page.View, r *http.Request) page.Answer {
	b := &readBody{}
	list, problem, err := uploaded(r, &b.Name)
	if err != nil {
		b.Problem = problem
		if problem == "drill-file-wrong" {
			b.Detail = err.Error()
		}
		return page.Answer{Status: http.StatusUnprocessableEntity, Template: "drill-read", Title: v.T("title-drill-read"), Body: b, Err: err}
	}
	b.Count = len(list)
	for i := range list {
		x := &list[i]
		row := reportRow{x, stateDown, "drill-fail"}
		if x.Passed() {
			row.Look, row.Word = stateUp, "drill-pass"
			b.Passed++
		}
		if len(b.Rows) < reportsShown {
			b.Rows = append(b.Rows, row)
		}
		if len(b.Full) < reportsFull && (!x.Passed() || len(list) <= reportsFull) {
			b.Full = append(b.Full, reportOf(v, x, nil, 0))
		}
	}
	b.More = len(list) - len(b.Rows)
	return page.Answer{Template: "drill-read", Title: v.T("title-drill-read"), Body: b}
}

// uploaded reads the reports of a form. With an error it gives the key of the words for it.
func uploaded(r *http.Request, name *string) (list []client.DrillReport, problem string, err error) {
	if err := r.ParseMultipartForm(maxReports + 16<<10); err != nil { // all of it stays in memory
		if _, long := errors.AsType[*http.MaxBytesError](err); long {
			return nil, "drill-file-long", err
		}
		return nil, "drill-file-none", err
	}
	f, head, err := r.FormFile("report")
	if err != nil {
		return nil, "drill-file-none", err
	}
	defer func() { _ = f.Close() }()
	*name = head.Filename[:min(len(head.Filename), 100)]
	text, err := io.ReadAll(io.LimitReader(f, maxReports+1))
	switch {
	case err != nil:
		return nil, "drill-file-none", err
	case len(text) > maxReports:
		return nil, "drill-file-long", errors.New("the file is too long")
	case len(text) == 0:
		return nil, "drill-file-none", errors.New("the file is empty")
	}
	list, err = client.ReadDrillReports(text)
	return list, "drill-file-wrong", err
}
