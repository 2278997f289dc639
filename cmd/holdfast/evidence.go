package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"holdfast/drill"
)

// printEvidence tells what a drill found, for people.
func printEvidence(w io.Writer, e *drill.Evidence) {
	p := paintFor(w)
	r := &e.Result
	printFaults(w, p, e)
	fmt.Fprintf(w, "\n%s\n", p.bold("What was paid"))
	fmt.Fprintf(w, "  %s payments sent: %s acknowledged, %s refused, %s unknown at their deadline\n", thousands(r.Payments.Attempted),
		thousands(r.Payments.Acknowledged), thousands(r.Payments.Refused), thousands(r.Payments.Unknown))
	fmt.Fprintf(w, "  answered in %.1f ms (half), %.1f ms (99 of 100), %.1f ms (999 of 1000), %.1f ms (the slowest)\n",
		r.Latency.P50, r.Latency.P99, r.Latency.P999, r.Latency.Max)
	if e.Load != "" {
		fmt.Fprintf(w, "  %s\n", e.Load)
	}
	for _, line := range e.Told {
		fmt.Fprintf(w, "  %s\n", line)
	}
	if e.Trades != nil {
		for _, line := range e.Trades.Lines() {
			fmt.Fprintf(w, "  %s\n", line)
		}
	}
	fmt.Fprintf(w, "\n%s\n", p.bold("What was proved"))
	width := 0
	for _, c := range e.Checks {
		width = max(width, len(c.Name))
	}
	for _, c := range e.Checks {
		mark := p.green("✔")
		if !c.OK {
			mark = p.red("✘")
		}
		fmt.Fprintf(w, "  %s %-*s  %s\n", mark, width, c.Name, p.dim(c.Detail))
	}
	printVerdict(w, p, e)
}

// printFaults tells what was broken, and what of it could be noticed.
func printFaults(w io.Writer, p paint, e *drill.Evidence) {
	fmt.Fprintf(w, "\n%s\n", p.bold("What was broken"))
	kinds, places := 0, 0
	if n := len(e.Result.Faults) - len(e.Shown()); n > 0 {
		fmt.Fprintf(w, "  %d faults in rounds that passed\n", n)
	}
	for _, f := range e.Result.Faults {
		kinds, places = max(kinds, len(f.Kind)), max(places, len(title(f.Target)))
	}
	more := func(text string) { fmt.Fprintf(w, "  %*s  %s\n", kinds, "", p.dim(text)) }
	for _, i := range e.Shown() {
		f := e.Result.Faults[i]
		fmt.Fprintf(w, "  %-*s  %-*s %5.1f s to %4.1f s   longest pause %s   %d failed requests   %s\n", kinds, f.Kind, places, title(f.Target),
			float64(f.AtMillis)/1000, float64(f.HealedMillis)/1000, p.bold(fmt.Sprintf("%4.0f ms", f.PauseMillis)), f.FailedRequests,
			plural(f.LeaderChanges, "new leader"))
		for _, text := range e.Remarks(i) {
			more(text)
		}
	}
	for _, text := range e.Comparisons() {
		fmt.Fprintf(w, "  %s\n", text)
	}
}

func printVerdict(w io.Writer, p paint, e *drill.Evidence) {
	r := &e.Result
	if r.Passed() {
		trades := ""
		if t := e.Trades; t != nil {
			trades = fmt.Sprintf(", %s and %s among them", plural(t.Trades, "trade"), plural(t.Refunds, "refund"))
		}
		fmt.Fprintf(w, "\n  %s  %s: %s payments acknowledged%s: none lost, none doubled, none altered.\n\n",
			p.good(" PASS "), r.Scenario, thousands(r.Payments.Acknowledged), trades)
		return
	}
	fmt.Fprintf(w, "\n  %s  %s\n", p.alarm(" FAIL "), r.Scenario)
	for _, reason := range r.Reasons {
		fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(reason, "\n", "\n    "))
	}
	if e.Kept != "" {
		fmt.Fprintf(w, "\n  Data and logs of the sites: %s\n", e.Kept)
	}
	fmt.Fprintln(w)
}

// printRun tells of one of several runs in a line, and why it failed.
func printRun(w io.Writer, e *drill.Evidence, first bool) {
	p, r := paintFor(w), &e.Result
	if first {
		fmt.Fprintf(w, "\n%s\n", p.dim(fmt.Sprintf(runHeader, "scenario", "seed", "longest pause", "failed", "new leaders", "acknowledged", "lost", "doubled", "altered")))
	}
	mark := p.green(r.Verdict)
	if !r.Passed() {
		mark = p.red(r.Verdict)
	}
	fmt.Fprintf(w, "%-18s %6d %s %7d %12d %13s %6d %8d %8d  %s\n", r.Scenario, r.Seed, p.bold(fmt.Sprintf("%11.0f ms", r.Pause())),
		r.FailedRequests(), r.LeaderChanges(), thousands(r.Payments.Acknowledged), r.Lost, r.Duplicated, r.Altered, mark)
	for _, reason := range r.Reasons {
		fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(reason, "\n", "\n    "))
	}
	if e.Kept != "" {
		fmt.Fprintf(w, "    data and logs of the sites: %s\n", e.Kept)
	}
}

const runHeader = "%-18s %6s %14s %7s %12s %13s %6s %8s %8s"

// printSummaries tells what several runs found, scenario by scenario.
func printSummaries(w io.Writer, all []drill.Summary) {
	p := paintFor(w)
	fmt.Fprintln(w)
	for i := range all {
		s := &all[i]
		mark := p.good(" PASS ")
		if s.Passed < s.Runs {
			mark = p.alarm(" FAIL ")
		}
		fmt.Fprintf(w, "  %s  %s: %d of %d runs passed; pause: median %.0f ms, worst %.0f ms; %s, %s; %d lost, %d doubled, %d altered\n", mark, s.Scenario,
			s.Passed, s.Runs, s.Pause.Median, s.Pause.Worst, plural(s.FailedRequests, "failed request"), plural(s.LeaderChanges, "new leader"),
			s.Lost, s.Duplicated, s.Altered)
		if s.Carriers != nil {
			fmt.Fprintf(w, "          %s\n", s.Carriers)
		}
		if s.Led != nil {
			fmt.Fprintf(w, "          shards led from what was lost, each by itself: median %.0f ms, worst %.0f ms\n", s.Led.Median, s.Led.Worst)
		}
		if s.Stayed != nil {
			fmt.Fprintf(w, "          shards led from sites that stayed: median %.0f ms, worst %.0f ms\n", s.Stayed.Median, s.Stayed.Worst)
		}
	}
	fmt.Fprintln(w)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func paintFor(w io.Writer) paint {
	f, ok := w.(*os.File)
	return paint(ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
}
