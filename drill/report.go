package drill

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
	"time"

	"holdfast/retail"
)

//go:embed report.html
var reportText string

var reportPage = template.Must(template.New("report").Funcs(template.FuncMap{
	"thousands": func(n int) string { return thousands(int64(n)) },
	"seconds":   func(millis int64) string { return fmt.Sprintf("%.1f s", float64(millis)/1000) },
	"millis":    func(v float64) string { return fmt.Sprintf("%.1f ms", v) },
	"whole":     func(v float64) string { return fmt.Sprintf("%.0f ms", v) },
	"place":     place,
	"plural":    plural,
}).Parse(reportText))

// Report draws one page for people from one drill or several: HTML in one file, which asks nobody for anything. Of several
// runs of a scenario it shows all pauses, and in full only those runs that failed and the one with the longest pause.
func Report(all []*Evidence) ([]byte, error) {
	page := struct {
		Passed      bool
		Title       string
		Made        string
		Runs        int
		Series      []*seriesPage
		Drills      []*drillPage
		Machine     []Fact
		Attribution string
	}{Passed: true, Runs: len(all), Made: time.Now().UTC().Format("2 January 2006, 15:04 UTC"), Attribution: retail.Attribution}
	var names []string
	series := seriesOf(all)
	for _, e := range all {
		s := series[e.Result.Scenario]
		if len(s.Runs) == 1 || s.shows(e) {
			page.Drills = append(page.Drills, newDrillPage(e))
		}
		if len(s.Runs) > 1 && e == s.Runs[0] {
			page.Series = append(page.Series, s.drawn())
		}
		page.Passed = page.Passed && e.Result.Passed()
		page.Machine = e.Machine
		if e == s.Runs[0] {
			names = append(names, e.Result.Scenario)
		}
	}
	page.Title = strings.Join(names, ", ")
	var out bytes.Buffer
	if err := reportPage.Execute(&out, page); err != nil {
		return nil, fmt.Errorf("write the report: %w", err)
	}
	return out.Bytes(), nil
}

// seriesPage is what the page says about several runs of one scenario.
type seriesPage struct {
	Summary
	Runs   []*Evidence
	Bound  time.Duration
	Pauses plots
}

func seriesOf(all []*Evidence) map[string]*seriesPage {
	series := map[string]*seriesPage{}
	for _, e := range all {
		s := series[e.Result.Scenario]
		if s == nil {
			s = &seriesPage{Summary: Summary{Scenario: e.Result.Scenario, FirstSeed: e.Result.Seed}, Bound: e.Bound}
			series[e.Result.Scenario] = s
		}
		s.Runs = append(s.Runs, e)
		s.add(&e.Result)
	}
	return series
}

// shows reports whether a run is shown in full: it failed, or it is the first with the longest pause.
func (s *seriesPage) shows(e *Evidence) bool {
	if !e.Result.Passed() {
		return true
	}
	for _, r := range s.Runs {
		if r.Result.Pause() == s.Pause.Worst {
			return r == e
		}
	}
	return false
}

func (s *seriesPage) drawn() *seriesPage {
	s.Pauses = plots{pausePlot(s, wide), pausePlot(s, narrow)}
	return s
}

// drillPage is what the page says about one drill.
type drillPage struct {
	*Evidence
	Claim    string
	Tiles    []tile
	Legend   []legend
	Latency  plots
	Rate     plots
	Reign    plots
	Repeat   string
	Failures int
	PerShard []string // pauses of each fault, in words
}

type tile struct{ Value, Name, Class string }

type legend struct{ Class, Name string }

type plots struct{ Wide, Narrow template.HTML }

func newDrillPage(e *Evidence) *drillPage {
	d := &drillPage{Evidence: e, Claim: claim(e), Tiles: tiles(e), Repeat: repeat(e)}
	for i, name := range e.Sites {
		d.Legend = append(d.Legend, legend{fmt.Sprintf("s%d", i+1), name})
	}
	for i, pauses := range e.Pauses {
		if words := PausesOf(pauses); words != "" {
			d.PerShard = append(d.PerShard, fmt.Sprintf("%s of %s: %s.", e.Faults[i].Kind, e.Faults[i].Target, words))
		}
	}
	d.Latency = plots{latencyPlot(e, wide), latencyPlot(e, narrow)}
	d.Rate = plots{ratePlot(e, wide), ratePlot(e, narrow)}
	d.Reign = plots{reignPlot(e, wide), reignPlot(e, narrow)}
	return d
}

// claim is the one sentence that matters.
func claim(e *Evidence) string {
	r := &e.Result
	if !r.Passed() {
		return "Not every promise was kept: " + strings.Join(r.Reasons, "; ") + "."
	}
	return fmt.Sprintf("%s payments were acknowledged. Every one of them is at all %d sites, once and unaltered, and the books balance to the penny.",
		thousands(int64(r.Payments.Acknowledged)), r.Sites)
}

func tiles(e *Evidence) []tile {
	r := &e.Result
	pause, failed := 0.0, 0
	for _, f := range r.Faults {
		pause, failed = max(pause, f.PauseMillis), failed+f.FailedRequests
	}
	return []tile{
		{thousands(int64(r.Payments.Acknowledged)), "payments acknowledged", ""},
		{thousands(int64(r.Lost + r.Duplicated + r.Altered)), "lost, doubled or altered", zero(r.Lost + r.Duplicated + r.Altered)},
		{fmt.Sprintf("%.0f ms", pause), fmt.Sprintf("longest pause (%.0f ms passes)", millis(e.Bound)), zero(boolInt(pause > millis(e.Bound)))},
		{thousands(int64(failed)), "requests without an answer", zero(failed)},
		{fmt.Sprintf("%.1f ms", r.Latency.P50), fmt.Sprintf("half were answered in; 99 %% in %.0f ms", r.Latency.P99), ""},
	}
}

func zero(n int) string {
	if n == 0 {
		return "good"
	}
	return "bad"
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// repeat is the command line that does the same again.
func repeat(e *Evidence) string {
	r := &e.Result
	if r.Scenario == demoScenario.Name {
		return fmt.Sprintf("holdfast demo --seed %d --report demo.html", r.Seed)
	}
	return fmt.Sprintf("holdfast drill run %s --seed %d --sites %d --shards %d --carriers %d --rtt %v --report %s.html",
		r.Scenario, r.Seed, r.Sites, r.Shards, r.Carriers, time.Duration(r.RTTMillis*1e6), r.Scenario)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%s %ss", thousands(int64(n)), what)
}
