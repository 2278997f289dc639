package drill

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
	"time"

	"holdfast"
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
	"days":      days,
	"plural":    plural,
}).Parse(reportText))

// reportData is what the page is made from.
type reportData struct {
	Passed      bool
	Title       string
	Made        string
	Runs        int
	Series      []*seriesPage
	Drills      []*drillPage
	Contest     *contestPage
	Machine     []Fact
	Attribution string
}

func stamp() string { return time.Now().UTC().Format("2 January 2006, 15:04 UTC") }

// Report draws one page for people from one drill or several: HTML in one file, which asks nobody for anything. Of several
// runs of a scenario it shows all pauses, and in full only those runs that failed and the one with the longest pause.
func Report(all []*Evidence) ([]byte, error) {
	page := reportData{Passed: true, Runs: len(all), Made: stamp(), Attribution: retail.Attribution}
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
		if e.Smooth != nil {
			if s.Carriers == nil {
				s.Carriers = &CarrierSummary{}
			}
			s.Carriers.add(e)
		}
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
	Traffic  plots
	Lines    []legend // of the carriers
	Repeat   string
	Said     []string // of each fault and of the run, in words
	Shards   *pauseTable
	Foretold []foretoldRow
	Broken   []FaultResult // that are worth a line each
	InRounds plots
}

type tile struct{ Value, Name, Class string }

type legend struct{ Class, Name string }

type plots struct{ Wide, Narrow template.HTML }

func newDrillPage(e *Evidence) *drillPage {
	d := &drillPage{Evidence: e, Claim: claim(e), Tiles: tiles(e), Repeat: repeat(e)}
	for i, name := range e.Sites {
		d.Legend = append(d.Legend, legend{fmt.Sprintf("s%d", i+1), name})
	}
	for _, i := range e.Shown() {
		d.Broken = append(d.Broken, e.Result.Faults[i])
		for _, words := range e.remarks(i, longestPause) { // a table has those of all
			d.Said = append(d.Said, fmt.Sprintf("%s: %s.", faultName(&e.Faults[i]), words))
		}
	}
	d.Said = append(d.Said, e.Comparisons()...)
	d.Shards, d.Foretold = pausesByShard(e), foretoldRows(e)
	if e.Result.Carriers > 1 && len(e.Traffic) > 0 {
		d.Traffic = plots{trafficPlot(e, wide), trafficPlot(e, narrow)}
		for i := range e.Result.Carriers {
			d.Lines = append(d.Lines, legend{carrierColours[i], fmt.Sprintf("carrier %d", i+1)})
		}
	}
	if len(e.Rounds) > 0 {
		d.InRounds = plots{roundPlot(e, wide), roundPlot(e, narrow)}
	}
	d.Latency = plots{latencyPlot(e, wide), latencyPlot(e, narrow)}
	d.Rate = plots{ratePlot(e, wide), ratePlot(e, narrow)}
	d.Reign = plots{reignPlot(e, wide), reignPlot(e, narrow)}
	return d
}

// days is a length of time as people say it who look back on a year.
func days(d time.Duration) string { return plural(max(1, int(d.Hours()/24+0.5)), "day") }

func faultName(f *Fault) string { return f.Kind + " of " + place(f.Target) }

// pauseTable is the pauses of every shard in every fault; nil with one shard.
type pauseTable struct {
	Faults []string
	Rows   []pauseRow
}

type pauseRow struct {
	Shard holdfast.ShardID
	Cells []pauseCell
}

type pauseCell struct{ Pause, Moved string }

func pausesByShard(e *Evidence) *pauseTable {
	if len(e.Pauses) == 0 || len(e.Pauses[0]) < 2 || len(e.Rounds) > 0 {
		return nil
	}
	t := &pauseTable{Rows: make([]pauseRow, len(e.Pauses[0]))}
	for i, pauses := range e.Pauses {
		t.Faults = append(t.Faults, faultName(&e.Faults[i]))
		for k, p := range pauses {
			cell := pauseCell{Pause: fmt.Sprintf("%.0f ms", millis(p.Pause))}
			if p.Moved && p.To != 0 {
				cell.Moved = fmt.Sprintf("%s to %s", SiteName(p.From), SiteName(p.To))
			}
			t.Rows[k].Shard = p.Shard
			t.Rows[k].Cells = append(t.Rows[k].Cells, cell)
		}
	}
	return t
}

// foretoldRow is a line of the forecasts: shards with the same fate in the same fault.
type foretoldRow struct {
	Right                bool
	Fault, Shards        string
	Foretold, Fact       string
	PauseForetold, Pause string
}

func foretoldRows(e *Evidence) (rows []foretoldRow) {
	for _, c := range e.Forecast {
		for _, g := range c.Grouped() {
			if g.Right && len(e.Rounds) > 0 {
				continue // of so many only what was wrong is worth a line
			}
			row := foretoldRow{Right: g.Right, Fault: faultName(&e.Faults[c.Fault]), Shards: g.Shards(), Foretold: g.Foretold, Fact: g.Fact()}
			if strings.HasPrefix(g.Foretold, "moves") {
				row.PauseForetold = fmt.Sprintf("%.0f ms, at most %.0f", millis(c.Pause), millis(c.Worst))
			}
			if strings.HasPrefix(row.Fact, "moved") {
				row.Pause = fmt.Sprintf("%.0f ms", millis(c.Moved))
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// claim is the one sentence that matters.
func claim(e *Evidence) string {
	r := &e.Result
	if !r.Passed() {
		return "Not every promise was kept: " + strings.Join(r.Reasons, "; ") + "."
	}
	if t := e.Trades; t != nil {
		return fmt.Sprintf("%s payments were acknowledged, %s and %s of people among them. Every one of them is at all %d sites, once and unaltered, and the books, the fees and the settlement of the merchants are right to the penny.",
			thousands(int64(r.Payments.Acknowledged)), plural(t.Trades, "trade"), plural(t.Refunds, "refund"), r.Sites)
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
	list := []tile{
		{thousands(int64(r.Payments.Acknowledged)), "payments acknowledged", ""},
		{thousands(int64(r.Lost + r.Duplicated + r.Altered)), "lost, doubled or altered", zero(r.Lost + r.Duplicated + r.Altered)},
		{fmt.Sprintf("%.0f ms", pause), fmt.Sprintf("longest pause (%.0f ms passes)", millis(e.Bound)), zero(boolInt(pause > millis(e.Bound)))},
	}
	if stay, spared := e.longestStay(); spared {
		list = append(list, tile{
			fmt.Sprintf("%.0f ms", millis(stay)), fmt.Sprintf("longest pause of owners led from sites that stayed (%.0f ms passes)", millis(e.StayBound)),
			zero(boolInt(stay > e.StayBound)),
		})
	}
	if t := e.Trades; t != nil {
		list = append(list,
			tile{thousands(int64(t.Trades)), fmt.Sprintf("trades of %s with %s", plural(t.Customers, "customer"), plural(t.Merchants, "merchant")), ""},
			tile{"£" + thousands(int64(t.Booked/100)), fmt.Sprintf("paid out by the settlement, of £%s earned", inPounds(t.Earned)), zero(boolInt(t.Booked != t.Earned))})
	}
	return append(list, []tile{
		{thousands(int64(failed)), "requests without an answer", zero(failed)},
		{fmt.Sprintf("%.1f ms", r.Latency.P50), fmt.Sprintf("half were answered in; 99 %% in %.0f ms", r.Latency.P99), ""},
	}...)
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
		return fmt.Sprintf("holdfast demo --seed %d --shards %d --report demo.html", r.Seed, r.Shards)
	}
	rounds := ""
	if len(e.Rounds) > 0 {
		rounds = fmt.Sprintf(" --rounds %d", len(e.Rounds))
	}
	return fmt.Sprintf("holdfast drill run %s --seed %d --sites %d --shards %d --carriers %d --rtt %v%s --report %s.html",
		r.Scenario, r.Seed, r.Sites, r.Shards, r.Carriers, time.Duration(r.RTTMillis*1e6), rounds, r.Scenario)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%s %ss", thousands(int64(n)), what)
}
