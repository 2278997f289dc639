package drill

import (
	"fmt"
	"math"
	"slices"
)

// Summary is what several runs of one scenario found, with seeds in a row. Its JSON form is an addition to that of [Result].
type Summary struct {
	Scenario       string          `json:"scenario"`
	Runs           int             `json:"runs"`
	Passed         int             `json:"passed"`
	FirstSeed      uint64          `json:"first_seed"`
	Pause          Pauses          `json:"pause_ms"`
	FailedRequests int             `json:"failed_requests"`
	LeaderChanges  int             `json:"leader_changes"`
	Lost           int             `json:"lost"`
	Duplicated     int             `json:"duplicated"`
	Altered        int             `json:"altered"`
	Verdict        string          `json:"verdict"` // "pass" when every run passed, else "fail"
	Carriers       *CarrierSummary `json:"carriers,omitempty"`
	Stayed         *Spread         `json:"stayed_pause_ms,omitempty"` // of each run: the longest of a shard that was led from a site which stayed
	Led            *Spread         `json:"led_pause_ms,omitempty"`    // of each shard that was led from what was lost, each by itself
	pauses, stays  []float64
	led            []float64
}

// CarrierSummary is what the faults of carriers did in several runs.
type CarrierSummary struct {
	Faults       int    `json:"faults"`
	Undisturbed  int    `json:"undisturbed"`             // of them: no election, no failed request
	Rise         Spread `json:"p99_rise_ms"`             // of each run
	Cost         Spread `json:"bytes_times"`             // of one carrier alone
	Rounds       int    `json:"rounds,omitempty"`        // that were judged one by one, in runs of several
	Passed       int    `json:"rounds_passed,omitempty"` // of them
	rises, costs []float64
}

// Spread is what is known of a number over several runs.
type Spread struct {
	Median float64 `json:"median"`
	Worst  float64 `json:"worst"`
}

// Pauses are those of several runs, in milliseconds. The pause of a run is the longest of its faults.
type Pauses struct {
	Median float64 `json:"median"`
	Worst  float64 `json:"worst"`
}

// Series is several runs, as JSON: every result in the form it has alone, and one summary per scenario.
type Series struct {
	Results   []Result  `json:"results"`
	Summaries []Summary `json:"summaries"`
}

// NewSeries sums up results, which may be of several scenarios, in the order in which these first occur.
func NewSeries(results []Result) Series {
	s := Series{Results: results}
	for i := range results {
		r := &results[i]
		at := slices.IndexFunc(s.Summaries, func(x Summary) bool { return x.Scenario == r.Scenario })
		if at < 0 {
			at = len(s.Summaries)
			s.Summaries = append(s.Summaries, Summary{Scenario: r.Scenario, FirstSeed: r.Seed})
		}
		s.Summaries[at].add(r)
	}
	return s
}

func (s *Summary) add(r *Result) {
	s.Runs++
	if r.Passed() {
		s.Passed++
	}
	s.FirstSeed = min(s.FirstSeed, r.Seed)
	s.pauses = append(s.pauses, r.Pause())
	slices.Sort(s.pauses)
	s.Pause = Pauses{Quantile(s.pauses, 0.5), Quantile(s.pauses, 1)}
	s.FailedRequests += r.FailedRequests()
	s.LeaderChanges += r.LeaderChanges()
	s.Lost, s.Duplicated, s.Altered = s.Lost+r.Lost, s.Duplicated+r.Duplicated, s.Altered+r.Altered
	s.Verdict = "pass"
	if s.Passed < s.Runs {
		s.Verdict = "fail"
	}
}

// AddStays adds how long those shards paused that were led from a site which stayed, and each of those led from what was lost, if there were such.
func (s *Series) AddStays(e *Evidence) {
	at := slices.IndexFunc(s.Summaries, func(x Summary) bool { return x.Scenario == e.Result.Scenario })
	if at >= 0 {
		s.Summaries[at].addStays(e)
	}
}

func (s *Summary) addStays(e *Evidence) {
	if longest, spared := e.longestStay(); spared {
		s.stays = append(s.stays, millis(longest))
		spread := spreadOf(s.stays)
		s.Stayed = &spread
	}
	if list := e.lostPauses(); len(list) > 0 {
		s.led = append(s.led, list...)
		spread := spreadOf(s.led)
		s.Led = &spread
	}
}

// AddCarriers adds what a run of the scenario found about its carriers, if it broke any.
func (s *Series) AddCarriers(e *Evidence) {
	at := slices.IndexFunc(s.Summaries, func(x Summary) bool { return x.Scenario == e.Result.Scenario })
	if at < 0 || e.Smooth == nil {
		return
	}
	if s.Summaries[at].Carriers == nil {
		s.Summaries[at].Carriers = &CarrierSummary{}
	}
	s.Summaries[at].Carriers.add(e)
}

func (c *CarrierSummary) add(e *Evidence) {
	for i := range e.Smooth.Faults {
		w := &e.Smooth.Faults[i]
		f := &e.Result.Faults[w.Fault]
		c.Faults++
		if f.FailedRequests == 0 && len(anew(e.Reigns, felt(e.Faults, w.Fault, e.Length))) == 0 {
			c.Undisturbed++
		}
	}
	c.Rounds, c.Passed = c.Rounds+len(e.Rounds), c.Passed+passedRounds(e.Rounds)
	c.rises, c.costs = append(c.rises, millis(e.Smooth.Worst())), append(c.costs, math.Round(100*e.Smooth.Cost())/100)
	c.Rise, c.Cost = spreadOf(c.rises), spreadOf(c.costs)
}

func spreadOf(values []float64) Spread {
	slices.Sort(values)
	return Spread{Quantile(values, 0.5), Quantile(values, 1)}
}

// String is one sentence for people.
func (c *CarrierSummary) String() string {
	rounds := ""
	if c.Rounds > 0 {
		rounds = fmt.Sprintf("%d of %d rounds passed; ", c.Passed, c.Rounds)
	}
	return rounds + fmt.Sprintf("%d of %d faults of carriers without an election or a failed request; 99 of 100 waited longer by: median %.1f ms, worst %.1f ms; bytes of one carrier: median %.2f times, worst %.2f",
		c.Undisturbed, c.Faults, c.Rise.Median, c.Rise.Worst, c.Cost.Median, c.Cost.Worst)
}

// Pause is the longest pause of all faults, in milliseconds.
func (r *Result) Pause() (longest float64) {
	for i := range r.Faults {
		longest = max(longest, r.Faults[i].PauseMillis)
	}
	return longest
}

// FailedRequests is how many requests had no definite answer at their deadline, over all faults.
func (r *Result) FailedRequests() (n int) {
	for i := range r.Faults {
		n += r.Faults[i].FailedRequests
	}
	return n
}

// LeaderChanges is how often a shard got another leader, over all faults.
func (r *Result) LeaderChanges() (n int) {
	for i := range r.Faults {
		n += r.Faults[i].LeaderChanges
	}
	return n
}
