package drill

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"math"
	"slices"
	"time"

	"holdfast/drill/rivals"
)

// ContestName is what the comparison is called beside the scenarios. It has no fleet: what it compares are ways to carry messages
// over two carriers, and only one of them is what sites use.
const ContestName = "carrier-rivals"

// ContestStory is one sentence for people.
const ContestStory = "A stream of messages between two sites, of whose two carriers one is cut: TCP that is dialled anew, Multipath TCP, and the link."

// Contest is what a comparison found.
type Contest struct {
	Scenario string   `json:"scenario"`
	Runs     int      `json:"runs"`
	Messages int      `json:"messages"` // of each rival in each run
	EveryMs  float64  `json:"every_ms"` // between two of them
	CutMs    float64  `json:"cut_ms"`   // for how long the carrier was cut
	Ground   string   `json:"ground"`
	Rivals   []Rival  `json:"rivals"`
	Verdict  string   `json:"verdict"`
	Reasons  []string `json:"reasons"`

	Machine []Fact    `json:"-"`
	Started time.Time `json:"-"`
}

// Rival is one way to carry messages, over all runs.
type Rival struct {
	Name    string  `json:"name"`
	Skipped string  `json:"skipped,omitempty"` // why it did not run
	Gap     Spread  `json:"longest_gap_ms"`    // in which nothing new arrived, of each run
	P99     Spread  `json:"p99_ms"`
	Max     float64 `json:"max_ms"`
	Missing int     `json:"missing"`
	gaps    []float64
	runs    []rivals.Result
}

// ours is the rival that sites use.
const ours = "link"

// Compete runs every rival so many times, in turn.
func Compete(ctx context.Context, runs int, version string) (*Contest, error) {
	o := rivals.Default
	o.Runs = runs
	started := time.Now()
	results, err := rivals.Run(ctx, o)
	if err != nil {
		return nil, err
	}
	c := newContest(results, o)
	c.Started, c.Machine = started, machine(version)
	return c, nil
}

func newContest(results []rivals.Result, o rivals.Options) *Contest {
	c := &Contest{
		Scenario: ContestName, Runs: o.Runs, Messages: o.Messages, EveryMs: millis(o.Every),
		CutMs: millis(time.Duration(o.HealAt-o.CutAt) * o.Every), Reasons: []string{}, Verdict: "pass",
	}
	for _, r := range results {
		at := slices.IndexFunc(c.Rivals, func(x Rival) bool { return x.Name == r.Name })
		if at < 0 {
			at = len(c.Rivals)
			c.Rivals = append(c.Rivals, Rival{Name: r.Name, Skipped: r.Skipped})
		}
		c.Rivals[at].runs = append(c.Rivals[at].runs, r)
		c.Ground = r.Ground
	}
	for i := range c.Rivals {
		c.Rivals[i].sum()
	}
	if c.Reasons = append(c.Reasons, c.judge()...); len(c.Reasons) > 0 {
		c.Verdict = "fail"
	}
	return c
}

func (r *Rival) sum() {
	var high []float64
	for _, x := range r.runs {
		if x.Skipped != "" {
			continue
		}
		r.gaps, high = append(r.gaps, millis(x.Gap)), append(high, millis(x.P99))
		r.Max, r.Missing = max(r.Max, millis(x.Max)), r.Missing+x.Missing
	}
	r.Gap, r.P99 = spreadOf(slices.Clone(r.gaps)), spreadOf(high)
}

// judge compares run by run: what else the machine did, it did to all rivals of a run.
func (c *Contest) judge() (out []string) {
	at := slices.IndexFunc(c.Rivals, func(r Rival) bool { return r.Name == ours })
	if at < 0 {
		return []string{"the link did not run"}
	}
	own := &c.Rivals[at]
	if own.Missing > 0 {
		out = append(out, fmt.Sprintf("%d messages of the link did not arrive", own.Missing))
	}
	for i := range c.Rivals {
		r := &c.Rivals[i]
		for run := range min(len(r.gaps), len(own.gaps)) {
			if i != at && own.gaps[run] >= r.gaps[run] {
				out = append(out, fmt.Sprintf("run %d: the link had a gap of %.0f ms, %s one of %.0f ms", run+1, own.gaps[run], r.Name, r.gaps[run]))
			}
		}
	}
	return out
}

// Passed reports the verdict.
func (c *Contest) Passed() bool { return c.Verdict == "pass" }

// middle is the run whose gap is the median; nil: there is none.
func (r *Rival) middle() *rivals.Result {
	for i := range r.runs {
		if r.runs[i].Skipped == "" && millis(r.runs[i].Gap) == r.Gap.Median {
			return &r.runs[i]
		}
	}
	return nil
}

// ReportContest draws one page for people from a comparison.
func ReportContest(c *Contest) ([]byte, error) {
	page := reportData{Passed: c.Passed(), Title: c.Scenario, Made: stamp(), Machine: c.Machine}
	page.Contest = &contestPage{Contest: c, Story: ContestStory, Plot: plots{rivalPlot(c, wide), rivalPlot(c, narrow)}}
	for i := range c.Rivals {
		page.Contest.Lines = append(page.Contest.Lines, legend{carrierColours[i%len(carrierColours)], c.Rivals[i].Name})
	}
	var out bytes.Buffer
	if err := reportPage.Execute(&out, page); err != nil {
		return nil, fmt.Errorf("write the report: %w", err)
	}
	return out.Bytes(), nil
}

// contestPage is what the page says about a comparison.
type contestPage struct {
	*Contest
	Story string
	Plot  plots
	Lines []legend
}

// rivalPlot shows how long messages took, by the moment at which they were due, of every rival the run with the median gap.
func rivalPlot(c *Contest, width float64) template.HTML {
	shown := &Evidence{}
	for i := range c.Rivals {
		if r := c.Rivals[i].middle(); r != nil && len(r.Waits) > 0 {
			shown.Length = max(shown.Length, r.Waits[len(r.Waits)-1].Due)
			shown.Faults = []Fault{{Kind: "carrier-cut", Target: "carrier 1", At: r.Cut, Healed: r.Healed}}
		}
	}
	p := newPlot(width, 320, shown, "Time a message took, by rival, logarithmic")
	const decades, least = 5, float64(100 * time.Microsecond)
	for i, label := range []string{"0.1 ms", "1 ms", "10 ms", "100 ms", "1 s", "10 s"} {
		p.rule(float64(i)/decades, label)
	}
	const step = 20 * time.Millisecond
	at := func(i int) time.Duration { return time.Duration(i)*step + step/2 }
	for i := range c.Rivals {
		if r := c.Rivals[i].middle(); r != nil {
			worst := make([]float64, int(shown.Length/step)+1)
			for k := range worst {
				worst[k] = math.NaN()
			}
			for _, w := range r.Waits {
				share := min(1, max(0, math.Log10(max(float64(w.Took), 1)/least)/decades))
				if k := int(w.Due / step); !(worst[k] >= share) { // it may be no number yet
					worst[k] = share
				}
			}
			p.line(fmt.Sprintf("c%d", i%len(carrierColours)+1), at, worst)
		}
	}
	return p.done()
}
