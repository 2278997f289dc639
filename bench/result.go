package bench

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"holdfast/site"
)

// Report is the result of a bench. Its JSON form is a contract with other programs.
type Report struct {
	Bench   string   `json:"bench"`
	Cores   int      `json:"cores"`
	Results []Result `json:"results"`
}

// Result is one case of a bench.
type Result struct {
	Name    string         `json:"name"`
	PerS    float64        `json:"per_s"`  // transfers a second, sustained over Seconds
	P50     float64        `json:"p50_ms"` // of what one caller waits for: an entry, a batch, a payment
	P99     float64        `json:"p99_ms"`
	Seconds float64        `json:"seconds"`
	Config  map[string]any `json:"config"` // what was measured, and what was found
}

// Options of a bench.
type Options struct {
	Program   string            // the executable whose "serve --config" is a site
	Dir       string            // where sites store; "" is the directory of temporary files
	Transfers int               // how many in the cases that count; 0: as many as the contract says
	Length    time.Duration     // of the cases that take a time; 0: 10 s
	Shards    int               // of the fleets; 0: one, in the bench idle 64, in crossing 8
	Callers   int               // of single payments; 0: 256
	Accounts  int               // of the cases about restarting; 0: 10 million
	Merchants int               // of the bench pay; 0: as many as the case is about
	Customers int               // of the bench pay; 0: as many as the case is about
	Entries   int               // of the log since the last checkpoint, in those cases; 0: 1 million
	Only      []string          // names of cases; none: all but those marked as extra
	Say       func(what string) // progress; nil: silence
}

// kase is one case of a bench.
type kase struct {
	name  string
	extra bool // run only when asked for by name
	run   func(ctx context.Context, o *Options) (Result, error)
	// several is run for a case that measures more than one thing; the results have names of their own.
	several func(ctx context.Context, o *Options) ([]Result, error)
}

// measure runs the case. What was measured before an error is in the results.
func (k *kase) measure(ctx context.Context, o *Options) ([]Result, error) {
	if k.several != nil {
		return k.several(ctx, o)
	}
	r, err := k.run(ctx, o)
	if err != nil {
		return nil, err
	}
	r.Name = k.name
	return []Result{r}, nil
}

var benches = map[string][]kase{
	"ledger": ledgerCases, "commit": commitCases, "http": httpCases, "restart": restartCases, "history": historyCases,
	"shards": shardsCases, "crossing": crossingCases, "idle": idleCases,
	"pay": payCases,
}

// Names lists the benches.
func Names() []string {
	return []string{"ledger", "commit", "shards", "crossing", "http", "pay", "idle", "restart", "history"}
}

// Cases lists the cases of a bench, those that only run when asked for included.
func Cases(name string) (all []string) {
	for _, k := range benches[name] {
		all = append(all, k.name)
	}
	return all
}

// Check reports an option that makes no sense for the bench.
func (o *Options) Check(name string) error {
	for _, want := range o.Only {
		if !slices.Contains(Cases(name), want) {
			return fmt.Errorf("bench %s has no case %q: there are %v", name, want, Cases(name))
		}
	}
	if o.Shards < 0 || o.Shards > site.MaxShards {
		return fmt.Errorf("%d shards: it takes between 1 and %d", o.Shards, site.MaxShards)
	}
	if o.Merchants < 0 || o.Customers < 0 || o.Customers == 1 || o.Merchants+o.Customers > mostPeople {
		return fmt.Errorf("%d merchants and %d customers: it takes at least 1 and 2, and %d of both at most", o.Merchants, o.Customers, mostPeople)
	}
	if o.Transfers < 0 || o.Length < 0 || o.Callers < 0 || o.Accounts < 0 || o.Entries < 0 {
		return fmt.Errorf("transfers, length, callers, accounts and entries are not negative")
	}
	if o.Accounts > 0 && o.Accounts < fewestAccounts || o.Accounts > mostAccounts {
		return fmt.Errorf("%d accounts: it takes between %d and %d", o.Accounts, fewestAccounts, mostAccounts)
	}
	return nil
}

// Run runs a bench. The error names the case that could not be measured; what was measured before is in the report.
func Run(ctx context.Context, name string, o Options) (Report, error) {
	report := Report{Bench: name, Cores: runtime.NumCPU(), Results: []Result{}}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	if name == "idle" {
		o.Length, o.Shards = cmp.Or(o.Length, idleLength), cmp.Or(o.Shards, idleShards)
	}
	o.Length, o.Callers = cmp.Or(o.Length, 10*time.Second), cmp.Or(o.Callers, 256)
	for _, k := range benches[name] {
		if len(o.Only) == 0 && k.extra || len(o.Only) > 0 && !slices.Contains(o.Only, k.name) {
			continue
		}
		runtime.GC() // what the case before has left behind is not part of this one
		o.Say(k.name)
		results, err := k.measure(ctx, &o)
		report.Results = append(report.Results, results...)
		if err != nil {
			return report, fmt.Errorf("bench %s, case %s: %w", name, k.name, err)
		}
	}
	return report, nil
}

// times collects how long something took.
type times []time.Duration

// quantiles in milliseconds, nearest rank.
func (t times) quantiles() (p50, p99 float64) {
	slices.Sort(t)
	return t.at(0.5), t.at(0.99)
}

func (t times) median() float64 {
	p50, _ := t.quantiles()
	return p50
}

func (t times) at(q float64) float64 {
	if len(t) == 0 {
		return 0
	}
	d := t[max(0, int(math.Ceil(q*float64(len(t))))-1)]
	return math.Round(float64(d)/1e3) / 1e3
}

// rate is per second, without digits that are noise.
func rate(n int, took time.Duration) float64 { return math.Round(float64(n) / took.Seconds()) }

func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*100) / 100 }
