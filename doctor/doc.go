// Package doctor looks for what would make a fleet fail before it does: two "carriers" that are one cable, a site whose loss would stop
// payments, a certificate about to expire, a disk that is slow or does not keep its promise, clocks that differ, versions that differ,
// capacity that is missing.
//
// Examining is arithmetic on [Machine] and [Fleet], which hold what was seen; looking ([Inspect], [Ask]) is apart, so that every
// finding can be tested without a sick fleet at hand.
package doctor

import (
	"cmp"
	"fmt"
	"slices"
)

// Severity says how bad a finding is.
type Severity string

const (
	// Critical: payments stop, or may be lost, now or with the next single failure.
	Critical Severity = "critical"
	// Warning: less is survived than it seems, or something will be critical soon.
	Warning Severity = "warning"
	// Advice: it could be better.
	Advice Severity = "advice"
)

var ranks = map[Severity]int{Critical: 0, Warning: 1, Advice: 2}

// Finding is one thing that is wrong.
type Finding struct {
	Code     string   `json:"code"` // stable: scripts and runbooks name it
	Severity Severity `json:"severity"`
	Where    string   `json:"where"` // the file, site, shard or pair of sites
	What     string   `json:"what"`
	Do       string   `json:"do"` // what to do about it
}

// Report is what a round of looking has found, the worst first.
type Report struct {
	Healthy  bool      `json:"healthy"` // nothing above advice
	Looked   []string  `json:"looked"`  // at what
	Findings []Finding `json:"findings"`
}

// NewReport puts findings in order; a finding that was made twice is there once.
func NewReport(looked []string, findings []Finding) Report {
	r := Report{Healthy: true, Looked: looked, Findings: slices.Clone(findings)}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(ranks[a.Severity]-ranks[b.Severity], cmp.Compare(a.Code, b.Code), cmp.Compare(a.Where, b.Where))
	})
	r.Findings = slices.Compact(r.Findings)
	for i := range r.Findings {
		r.Healthy = r.Healthy && r.Findings[i].Severity == Advice
	}
	return r
}

// findings gathers what is wrong at one place.
type findings struct {
	where string
	list  []Finding
}

func (f *findings) add(s Severity, code, do, what string, args ...any) {
	f.list = append(f.list, Finding{Code: code, Severity: s, Where: f.where, What: fmt.Sprintf(what, args...), Do: do})
}
