package console

import (
	"fmt"
	"strings"

	"holdfast/client"
	"holdfast/page"
)

// reportBody is a report as people read it: what it comes to first.
type reportBody struct {
	*client.DrillReport
	Bound    int // the longest pause that passes, in milliseconds; 0: it is not known here
	TooLong  bool
	Broken   int // payments that are lost, doubled or altered
	Rows     []faultRow
	Findings []string // keys of words: what was not kept, and, with "-do", what to do
	Proved   []proof
}

// Count writes a number as people read it.
func (b *reportBody) Count(n int) string { return thousands(n) }

type faultRow struct {
	Kind, Where phrase
	From, To    string // seconds since payments began; To "": it lasts
	client.DrillFault
}

// proof is something that was to be proved.
type proof struct {
	Name   phrase
	Detail string // in English
	OK     bool
}

// reportOf puts a report into words. checks are what was proved, if more is known than the report itself says.
func reportOf(v *page.View, r *client.DrillReport, checks []client.DrillCheck, bound int) *reportBody {
	b := &reportBody{DrillReport: r, Bound: bound, TooLong: bound > 0 && r.Pause() > float64(bound), Broken: r.Lost + r.Duplicated + r.Altered, Rows: faultRows(v, r.Faults)}
	for _, c := range checks {
		b.Proved = append(b.Proved, proof{phraseOf(v, "check-"+c.Name, c.Name), c.Detail, c.OK})
	}
	if len(checks) == 0 {
		for _, c := range []struct {
			word string
			ok   bool
		}{
			{"proved-kept", b.Broken == 0},
			{"proved-books", r.BooksBalanced},
			{"proved-replicas", r.ReplicasAgree},
			{"proved-order", r.Linearizable},
			{"proved-answered", r.FailedRequests() == 0},
		} {
			b.Proved = append(b.Proved, proof{Name: phrase{Text: v.T(c.word)}, OK: c.ok})
		}
	}
	for _, f := range []struct {
		word string
		is   bool
	}{
		{"found-lost", b.Broken > 0},
		{"found-books", !r.BooksBalanced},
		{"found-replicas", !r.ReplicasAgree},
		{"found-order", !r.Linearizable},
		{"found-unanswered", r.FailedRequests() > 0},
		{"found-pause", b.TooLong},
	} {
		if f.is && !r.Passed() {
			b.Findings = append(b.Findings, f.word)
		}
	}
	if !r.Passed() && len(b.Findings) == 0 {
		b.Findings = []string{"found-other"}
	}
	return b
}

func faultRows(v *page.View, list []client.DrillFault) (rows []faultRow) {
	for i := range list {
		f := list[i]
		row := faultRow{
			Kind: phraseOf(v, "fault-"+f.Kind, strings.ReplaceAll(f.Kind, "-", " ")), Where: placeOf(v, f.Target),
			From: fmt.Sprintf("%.1f", float64(f.At)/1000), DrillFault: f,
		}
		if f.Healed > 0 {
			row.To = fmt.Sprintf("%.1f", float64(f.Healed)/1000)
		}
		rows = append(rows, row)
	}
	return rows
}

// placeOf is where a fault was: sites joined by "+", with ":inbound" or ":outbound" when it was in one direction.
func placeOf(v *page.View, target string) phrase {
	var all []string
	for name := range strings.SplitSeq(target, "+") {
		name, direction, one := strings.Cut(name, ":")
		if one {
			name += " (" + phraseOf(v, "way-"+direction, direction).Text + ")"
		}
		all = append(all, name)
	}
	return phrase{Text: strings.Join(all, ", ")}
}
