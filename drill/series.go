package drill

import "slices"

// Summary is what several runs of one scenario found, with seeds in a row. Its JSON form is an addition to that of [Result].
type Summary struct {
	Scenario       string `json:"scenario"`
	Runs           int    `json:"runs"`
	Passed         int    `json:"passed"`
	FirstSeed      uint64 `json:"first_seed"`
	Pause          Pauses `json:"pause_ms"`
	FailedRequests int    `json:"failed_requests"`
	LeaderChanges  int    `json:"leader_changes"`
	Lost           int    `json:"lost"`
	Duplicated     int    `json:"duplicated"`
	Altered        int    `json:"altered"`
	Verdict        string `json:"verdict"` // "pass" when every run passed, else "fail"
	pauses         []float64
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
