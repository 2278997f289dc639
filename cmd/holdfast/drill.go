package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"holdfast/drill"
)

func newDrill() *cobra.Command {
	return group("drill", "Break a running fleet on purpose, and prove what became of the payments",
		`Break a running fleet on purpose, and prove what became of the payments. A drill starts real processes, one per site,
joined by cables it can cut without anybody being told. It replays recorded orders through the HTTP API, breaks something,
mends it, and then compares every acknowledgement it was given with what every site answers.`,
		newDrillList(), newDrillRun())
}

func newDrillList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the scenarios",
		Long:    "List the scenarios, with the longest pause that passes at a round trip of 10 ms.",
		Example: "  holdfast drill list",
		Args:    nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, s := range drill.Scenarios() {
				fmt.Fprintf(cmd.OutOrStdout(), "%-20s %s A pause of at most %v passes.\n", s.Name, s.Story, s.Bound(drill.Defaults().RTT))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%-20s %s The link must have the shortest gap.\n", drill.ContestName, drill.ContestStory)
			return nil
		},
	}
}

type drillFlags struct {
	o            drill.Options
	runs         int
	play         player
	compete      competitor
	json, report string
	evidence     string // file
	visit        *visit // nil: nobody looks at the fleet
	progress     string // "": for people; "json"
}

func newDrillRun() *cobra.Command { return newDrillRunWith(fromElsewhere(drill.Run)) }

// player plays one scenario: drill.Run, but in tests.
type player func(context.Context, drill.Scenario, drill.Options) (*drill.Evidence, error)

func newDrillRunWith(play player) *cobra.Command {
	return newDrillRunOf(&drillFlags{play: play, compete: drill.Compete})
}

// drillRunText is the long text of drill run.
const drillRunText = `Run a scenario, or all of them, and say whether every promise was kept. It fails when an acknowledged payment is lost,
doubled or altered, when the books do not balance or the replicas differ, when the answers cannot be put into one order,
when a request had no definite answer at its deadline of 2 s, or when payments paused for longer than the scenario allows.

The pause is measured from outside: one payment every 20 ms to each of 8 shards (400 a second over all of them; with five sites half of
that; of one or two shards each every 5 ms), sent to the nearest site that answers; it is the longest stretch in which a shard acknowledged none, from the last
acknowledgement before to the first one after: rarer probes make it longer, never shorter.

There are 8 shards and 2 carriers unless --shards and --carriers say otherwise. Shards are led from all sites in turn, and most of the
orders are paid from one to another. Where a drill takes sites away, a shard that was led from one that stayed may pause for 200 ms at most, and
100 more for each further site that is lost (its callers have to find another one first, and a pause is measured from probe to probe): owners there hardly notice. An order from one shard to another is three entries in
logs: where --rate does not say how many there are, it is as many as leave a third of those cores idle that nobody else uses when it begins
(of 8 shards at three sites 40 a second for each core, at five 20; never more than the 300 of one shard). With fewer than two such
cores there are fewer probes as well, and the result says so.

The drills of carriers break one of several, never the last. They pass when nobody could have noticed: no election, no failed
request, and 99 of 100 callers waited at most 5 ms longer, while a carrier was broken and for half a second after, than they
did in the same run while nothing was. Two carriers may take at most 2.1 times the bytes of one, measured for a payment against
what the one that is left takes while the other is cut.

With --rounds their faults are played many times under one load, and every round is judged by itself, against the times without a fault
just before, in and after it: a round takes 5.3 s, the first 13 s. Who waited because the machine itself stood still is left out,
whatever was broken: beside the sites, a few bytes are synced to their disk every 10 ms, and when that is 10 ms late and three times as
late as usual, everybody was. A drill in which that happens more often in the faults than between them fails. By how much stretches
without a fault differ from each other is allowed for in each round, up to 20 ms; for all rounds together it is not.

With five sites there are two in Hangzhou, two in Shanghai and one in Shenzhen; those of a city are ten times nearer to each
other. In minority-side and city-cut, clients that reach the wrong side only must be told within 300 ms that nothing was
executed or that the outcome is not known.

"all" runs every scenario and writes one evidence file for holdfast check, which is beside the result (out/drills-evidence.json.gz beside
out/drills.json; drills-evidence.json.gz in the current directory where --json names no file), unless --evidence names another one, or
none (--evidence "").

Before every loss of a carrier, a cable, a site, two sites or a city the fleet is asked what it would do (GET /v1/survival), and the
drill fails when it does not say, or when a shard stops that was said to go on, or the other way round. In the scenario forecast every word has to come
true: who leads, and who goes on to lead.

carrier-rivals has no fleet and is not part of all. It sends a stream of messages between two sites, cuts one of their two
carriers silently and heals it, and compares three ways: one TCP connection that is dialled anew over the other carrier when
nothing was acknowledged for 300 ms, Multipath TCP, and the link that sites use. It runs in network namespaces, which takes
root on Linux; elsewhere over relays, and without Multipath TCP. Sites themselves can use neither of the other two.

slot-move breaks nothing either. One slot of three shards, with 5,000 quiet accounts and a dozen that pay and are paid all the
time, moves to a shard that is led from another site, and 20 s later back. No request may fail, and neither the slot
nor any one of its owners may pause for more than 200 ms: each pays another one every 40 ms.

shard-split lets a fourth shard be born, at home at another site, and gives it 166 of the 333 slots of the second one, with their
5,000 quiet accounts, the dozen, and some hundred customers. No request may fail, and no owner may pause for more than 200 ms. In
shard-split-kill the site that leads the second shard is killed when a third of the slots have moved, and started again 3 s later:
the split goes on, and the bound is that of an election more.

site-learner adds a site that is six times as far away as the others, as a learner: it holds a copy, answers reads and passes on what is to
be paid, and has no vote. Neither its coming nor its loss may cost an election or a pause of more than 200 ms, and in the end its books
are compared with the others'.

site-promote adds such a copy near by, gives it its vote, takes the vote of another site, and kills the site that leads: with three
sites to begin with, two voters are left, and no payment is done without the vote that is new.

In those of sick sites the one that leads goes on, and is no good leader: it gets no processor, its disk is slow, its carriers lose frames,
or one of the others does not hear it. They fail when what it led is not led by others within 3 to 5 s, when it leads any of that again
before it has been well for 15 s (20 s after a relapse), or when it has not come home in the end. The slow disk, and in sick-answers an HTTP
API that hangs, are trouble that the site makes for itself: serve --rehearse.

busy-machine breaks nothing and lets no site fail: it passes when there was no election at all. Its load is half of what the
machine carries beside the busy processes, measured for 3 s before it begins (64 callers, each waiting for its answers), unless
--rate says otherwise; it says how much that is.

In the drills of payments customers with phones pay merchants, all made through the API. In pay-through-site-cut one merchant uses the
official Alipay SDK for Node, unmodified; an SDK has one address, so a small load balancer stands before the gateways, which gives each call to the
first site whose /readyz says that it takes requests, and never gives one twice. What the gateway does not know (20000) is asked for with query. In the end
every trade is read at every site and compared with every answer that either client was given, and every wallet with what the trades come to. It needs
Node 18 or newer and the SDK: run it in the repository after make sdk, or name the directory with its node_modules in HOLDFAST_NODE_SDK.
Who pays waits from his first attempt to a definite answer, with all that he or his client tries again or asks in between. That may take as long as
a shard may pause, and as long again as calls took before anything was broken (99 of 100, that bound at most); through the SDK 400 ms more, in which the load balancer finds
another site and the merchant asks; and a second more where a payment was half-way from one shard to another when the site was cut, for so long is it left to
that site. What people do takes its share of the cores: beside it there are half as many probes, and 10 orders a second
for each core that is free; with fewer than two of those, people pay more rarely, too. Times in which the machine itself stood still, seen as in the drills of
carriers, are left out of what is judged in all drills of payments, and told: when they are most of the time, the drill fails.
In code-replay one payment code is shown to two sites in the same instant, many times: one payment comes of it, and the other side is told that
the code has been used. In webhook-receiver-down the drill is the receivers as well: every event of every merchant has to arrive, rightly signed, and
those of merchants whose receivers are well promptly.
In bank-down and bank-lies customers bring money to their wallets by transfers at a bank, which is a process of its own (holdfast testbank), and withdraw it.
In bank-down it is killed, and later refuses everybody while the site that leads is cut off: what waits is told how long it takes, has to be paid once within
15 s after the bank is back, and no payment may have to do with it. In bank-lies it loses replies and requests, holds some back, answers twice and late;
some withdrawals are recalled meanwhile. In the end its own book is compared with every order and with every word that a customer was told. Then its days are
ended, its statements say something else than it has done, and the list of differences has to have exactly those, which are worked through.

The faults need their time: --duration takes 5 s or more for busy-machine, 10 s for site-add, site-replace and site-learner, 15 s for site-promote, 12 s for
leader-handover and all-kill, 13 s for those of carriers, 14 s for site-cut, site-kill, those of payments and those of five sites, 18 s for bank-lies, 26 s for bank-down and forecast,
30 s for slot-move, 45 s for those of splits, 40 s for those of sick sites, of which sick-answers takes 48 s and sick-relapse 72 s, as
all does; 20 s for the others.

--progress json tells programs what is going on: an object a line on standard error, with how the drill stands ("now", twice a second), what has begun
("line"), and in the end what was proved ("checks").

--json writes the result of one run as one object, and those of all scenarios as a list of such objects. With --runs or --rounds it writes
{"results": [...], "summaries": [...]}: every run as it would be alone, and for each scenario the numbers of runs and of those
that passed, the first seed, median and worst of their longest pauses, and the sums of failed requests, leader changes and
lost, duplicated and altered payments; for carriers also how many of their faults brought no election and no failed request, how many
rounds passed, and median and worst of how much longer 99 of 100 waited and of the bytes; where sites were lost, median and worst of the
longest pause of a shard that was led from one that stayed. One run that fails makes the exit status 1.`

func newDrillRunOf(f *drillFlags) *cobra.Command {
	f.o = drill.Defaults()
	cmd := &cobra.Command{
		Use:   "run NAME|all",
		Short: "Run a scenario, or all of them",
		Long:  drillRunText,
		Example: `  holdfast drill run site-cut
  holdfast drill run site-kill --seed 7 --rate 500 --json -
  holdfast drill run site-cut --runs 8 --json out/site-cut.json
  holdfast drill run carrier-cut --rounds 100 --json out/carrier-cut.json
  holdfast drill run site-cut --sites 5
  holdfast drill run site-cut --shards 1 --carriers 1
  holdfast drill run carrier-rivals --runs 3 --report out/rivals.html
  holdfast drill run all --json out/drills.json --report out/drills.html --evidence out/evidence.json.gz`,
		Args:              drillName,
		ValidArgsFunction: completeDrill,
		RunE:              func(cmd *cobra.Command, args []string) error { return runDrills(cmd, f, args[0]) },
	}
	flags := cmd.Flags()
	flags.IntVar(&f.runs, "runs", 1, "run each scenario `N` times, with seeds from --seed on, and sum up")
	flags.IntVar(&f.o.Rounds, "rounds", 1, "play the faults of a drill of carriers `N` times under one load, and judge each time by itself")
	flags.Uint64Var(&f.o.Seed, "seed", f.o.Seed, "`N` that chooses ids and the exact moments of the faults")
	flags.IntVar(&f.o.Sites, "sites", f.o.Sites, "`N` sites, 3 or 5; where a scenario needs 5, that many by default")
	flags.IntVar(&f.o.Shards, "shards", f.o.Shards, "`N` shards; where owners move between them, 3 by default, and 1 for busy-machine")
	flags.IntVar(&f.o.Carriers, "carriers", f.o.Carriers, "`N` cables between each two sites; where a scenario breaks one of them, 2 or more")
	flags.IntVar(&f.o.Rate, "rate", f.o.Rate, "`N` payments a second on average, besides the probes; of several shards by default as many as the cores bear")
	flags.DurationVar(&f.o.Load, "duration", 0, "how long the load runs (`D` like 30s); by default as long as the scenario needs")
	flags.DurationVar(&f.o.RTT, "rtt", f.o.RTT, "round trip between each two sites (`D` like 10ms)")
	flags.IntVar(&f.o.Busy, "busy", 0, "`N` processes that never rest beside the sites of busy-machine; by default as many as there are cores")
	flags.BoolVar(&f.o.Keep, "keep", false, "keep data and logs of the sites even when all is well")
	flags.StringVar(&f.report, "report", "", "write a report for people to `FILE` (HTML, one file)")
	evidenceFlag(cmd, f)
	progressFlag(cmd, f)
	jsonFlag(cmd, &f.json)
	return cmd
}

// progressFlag adds --progress.
func progressFlag(cmd *cobra.Command, f *drillFlags) {
	cmd.Flags().StringVar(&f.progress, "progress", "", "how it tells on standard error what is going on: `json`, an object a line, for programs; by default for people")
}

func drillName(cmd *cobra.Command, args []string) error {
	if err := one("scenario")(cmd, args); err != nil || args[0] == "all" || args[0] == drill.ContestName {
		return err
	}
	_, err := drill.Find(args[0])
	return badUsage(cmd, err)
}

func completeDrill(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	names := []string{"all", drill.ContestName + "\t" + drill.ContestStory}
	for _, s := range drill.Scenarios() {
		names = append(names, s.Name+"\t"+s.Story)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func runDrills(cmd *cobra.Command, f *drillFlags, name string) error {
	if f.runs < 1 || f.runs > maxRuns {
		return badUsage(cmd, fmt.Errorf("--runs %d: 1 to %d runs", f.runs, maxRuns))
	}
	if name == drill.ContestName {
		return runContest(cmd, f)
	}
	list := drill.Scenarios()
	if name != "all" {
		s, err := drill.Find(name)
		if err != nil {
			return badUsage(cmd, err)
		}
		list = []drill.Scenario{s}
	}
	f.o.Cores = drill.FreeCores()
	for i := range list {
		o := f.options(cmd, &list[i], name == "all")
		if err := o.Check(&list[i]); err != nil {
			return badUsage(cmd, err)
		}
	}
	if name == "all" && !cmd.Flags().Changed("evidence") {
		f.evidence = evidenceBeside(f.json)
	}
	all, broken := f.runAll(cmd, list, name == "all")
	if broken != nil && len(all) == 0 {
		return broken
	}
	// What was found is worth having even when the last drill could not be done.
	if err := conclude(cmd, all, f); broken == nil || !errors.Is(err, errFailed) {
		return errors.Join(broken, err)
	}
	return broken
}

// evidenceBeside is where the evidence of all drills goes when nobody says: beside the file with their results, or into the current
// directory when there is none.
func evidenceBeside(result string) string {
	if result == "" || result == "-" {
		result = "drills"
	}
	return strings.TrimSuffix(result, ".json") + "-evidence.json.gz"
}

// maxRuns bounds what a report and its reader can take in.
const maxRuns = 1000

// runAll runs every scenario as often as was asked for, and ends with the first drill that could not be done.
func (f *drillFlags) runAll(cmd *cobra.Command, list []drill.Scenario, every bool) (all []*drill.Evidence, err error) {
	for _, s := range list {
		o := f.options(cmd, &s, every)
		for run := range f.runs {
			e, err := f.runDrill(cmd, s, o)
			if err != nil {
				return all, fmt.Errorf("drill %s, seed %d: %w", s.Name, o.Seed, err)
			}
			if f.runs == 1 {
				printEvidence(words(cmd, f.json), e)
			} else {
				printRun(words(cmd, f.json), e, run == 0)
			}
			all = append(all, e)
			o.Seed++
		}
	}
	return all, nil
}

// options are those of one scenario: what was not said has the scenario's own default. Where every scenario is asked for, those that
// need more sites, carriers or shards than was said have them.
func (f *drillFlags) options(cmd *cobra.Command, s *drill.Scenario, every bool) drill.Options {
	o := f.o
	if every {
		if !s.InRounds() {
			o.Rounds = 1
		}
		o.Sites, o.Carriers, o.Shards = max(o.Sites, s.Sites), max(o.Carriers, s.Carriers), max(o.Shards, s.Shards)
	}
	s.Fit(&o, cmd.Flags().Changed)
	return o
}

// runDrill runs one scenario with this very program as the sites, and shows it.
func (f *drillFlags) runDrill(cmd *cobra.Command, s drill.Scenario, o drill.Options) (*drill.Evidence, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, to start it as the sites: %w", err)
	}
	v, err := f.newShower(cmd.ErrOrStderr())
	if err != nil {
		return nil, badUsage(cmd, err)
	}
	defer v.close()
	if f.visit != nil {
		f.visit.view, o.Visitors = v, f.visit.visitors()
	}
	o.Program, o.Version, o.Watch, o.Sign = program, versionOf().Version, v.show, f.evidence != ""
	e, err := f.play(cmd.Context(), s, o)
	v.close()
	if err == nil {
		v.prove(e.Checks)
	}
	return e, err
}

// conclude writes what was asked for and gives the exit status. One drill is one JSON object, several are a list, and several
// runs of each are a list with summaries.
func conclude(cmd *cobra.Command, all []*drill.Evidence, f *drillFlags) error {
	results, ok := []drill.Result{}, true
	for _, e := range all {
		results, ok = append(results, e.Result), ok && e.Result.Passed()
	}
	var result any = results
	switch {
	case f.runs > 1 || f.o.Rounds > 1:
		series := drill.NewSeries(results)
		for _, e := range all {
			series.AddCarriers(e)
			series.AddStays(e)
		}
		printSummaries(words(cmd, f.json), series.Summaries)
		result = series
	case len(results) == 1:
		result = results[0]
	}
	if reportFile := f.report; reportFile != "" {
		page, err := drill.Report(all)
		if err != nil {
			return err
		}
		if err := writeFile(reportFile, page); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "report: %s\n", reportFile)
	}
	if err := writeEvidence(cmd, all, f.evidence); err != nil {
		return err
	}
	return verdict(cmd, f.json, result, ok)
}

func newDemo() *cobra.Command {
	f := drillFlags{o: drill.Defaults(), play: fromElsewhere(drill.Run), runs: 1}
	var show bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See real payments survive cuts and a kill, in about a minute, with the proof",
		Long: `See real payments survive. Three sites are started as three processes, 10 ms apart, joined by two carriers; 8 shards of owners are
led from all three. Recorded orders of a wholesaler are replayed as trades through the native API for half a minute, as many as leave a third
of those cores idle that nobody else uses when it begins: customers pay merchants from their wallets, the platform takes its fee, and what was
sent back is refunded. Most trades go from one shard to another. A few seconds in, one carrier is cut everywhere, and nothing happens: an election
then fails the demo. Then every cable of the site that leads the first shard goes silent; later another site is killed and started again.
Owners whose shard was led from elsewhere should hardly notice. In the end every payment that was acknowledged is looked up at every
site, every trade and refund with its entries in the ledger, and every balance of customers, merchants and fees is compared to the penny with
what the orders say. Then the clocks of the sites are set to the next morning: they settle the day of every merchant and pay it out at a test
bank, to the penny. The verdict tells what was lost: nothing, or the demo fails. A pause of up to 1 s
passes here, and of 400 ms where a shard was led from elsewhere, because the machine does other things too; the same faults as drills
must pass with 500 and 200 ms. With --open it can be watched: the console of the fleet is opened in a browser, with a password that is made up and printed, before
anything is cut; at a terminal the fleet waits for you to sign in, and stays afterwards until you press Enter. With --shards 1 one site leads everybody, and many more orders fit. The load takes 30 s; what the start of the
sites and the proof add to that is the machine's affair.`,
		Example: "  holdfast demo\n  holdfast demo --open\n  holdfast demo --json out/demo.json --report out/demo.html --open",
		Args:    nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s := drill.Demo()
			f.o.Cores = drill.FreeCores()
			s.Fit(&f.o, cmd.Flags().Changed)
			if err := f.o.Check(&s); err != nil {
				return badUsage(cmd, err)
			}
			if show && f.report == "" {
				f.report = "holdfast-demo.html"
			}
			return demo(cmd, &f, show)
		},
	}
	cmd.Flags().Uint64Var(&f.o.Seed, "seed", f.o.Seed, "`N` that chooses ids and the exact moments of the faults")
	cmd.Flags().IntVar(&f.o.Shards, "shards", f.o.Shards, "`N` shards: with several, only owners whose shard was led from the site that fails wait; with 1, more orders are replayed")
	cmd.Flags().DurationVar(&f.o.Load, "duration", 0, "how long the load runs (`D` like 15s, 10s or more), with as many of the orders as fit; by default 30s")
	cmd.Flags().StringVar(&f.report, "report", "", "write a report for people to `FILE` (HTML, one file)")
	evidenceFlag(cmd, &f)
	progressFlag(cmd, &f)
	cmd.Flags().BoolVar(&show, "open", false, "open the console of the fleet in a browser while it is being cut, and the report when it is over")
	jsonFlag(cmd, &f.json)
	return cmd
}

func demo(cmd *cobra.Command, f *drillFlags, show bool) error {
	f.o.Events = drill.AllEvents
	if show {
		f.visit = newVisit(cmd)
		f.visit.print = func(e *drill.Evidence) { printEvidence(words(cmd, f.json), e) }
	}
	e, err := f.runDrill(cmd, drill.Demo(), f.o)
	if err != nil {
		return err
	}
	switch {
	case !show || !f.visit.printed:
		printEvidence(words(cmd, f.json), e)
	case e.Kept != "":
		fmt.Fprintf(words(cmd, f.json), "\n  Data and logs of the sites: %s\n", e.Kept)
	}
	err = conclude(cmd, []*drill.Evidence{e}, f)
	if show && f.report != "" {
		if failed := f.visit.show(cmd.Context(), f.report); failed != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "no browser could be opened (%v): open %s yourself\n", failed, f.report)
		}
	}
	return err
}
