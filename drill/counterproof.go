package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"holdfast"
	"holdfast/client"
)

const (
	// backTime is how long everything that waited may take when the bank is back: as long as the outage was, until it is asked again, and what it takes
	// to pay it all.
	backTime = 15 * time.Second
	// lieTime is how long it may take when the bank is well again after it has lied: what nobody knows anything of rests for up to half a minute, and
	// what is recalled waits until the bank would not take it any more.
	lieTime = 75 * time.Second
	// compareTime is how long the sites may take to compare the statements of some days.
	compareTime = 45 * time.Second
	// bankDays are ended at the bank: that of the load, and two more, since what the ledger has may come on the bank's next day.
	bankDays = 3
)

// settledAll waits until every withdrawal has ended; those of which nobody knew whether they were ordered are ordered again, with the same number.
func (x *counter) settledAll(ctx context.Context) error {
	for _, w := range x.orders {
		if w.told == toldDone || w.told == toldRefused {
			continue
		}
		err := insist(ctx, func() error {
			v, err := x.client.Withdraw(ctx, w.of.owner, w.order())
			if w.told, _ = toldBy(err); w.told == toldDone {
				w.hear(time.Now(), v)
			}
			if w.told == toldRefused {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	for {
		list := x.waiting()
		if len(list) == 0 || rest(ctx, 30*pollPause) != nil {
			return nil // what is open is a finding
		}
		_ = atOnce(len(list), func(i int) error { x.ask(ctx, list[i]); return nil })
	}
}

func (x *counter) prove(ctx context.Context, p *prover) error {
	bound := backTime
	if x.wild {
		bound = lieTime
	}
	wait, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	if err := errors.Join(x.settledAll(wait), x.credited(wait)); err != nil {
		return fmt.Errorf("wait until the bank has paid everything: %w", err)
	}
	if err := errors.Join(errors.Join(x.errs...), x.proveBook(ctx, p, bound), x.proveWallets(ctx, p)); err != nil {
		return err
	}
	if x.wild {
		if err := x.proveTold(ctx, p); err != nil {
			return err
		}
	} else {
		x.proveEstimates(p)
	}
	x.proveShops(p)
	return x.proveDeeds(ctx, p)
}

// proveBook compares the bank's own book with what was ordered, at every site.
func (x *counter) proveBook(ctx context.Context, p *prover, bound time.Duration) error {
	book, err := x.book(ctx, counterAccount, "")
	if err != nil {
		return err
	}
	wrong, sites := 0, x.fleet.final().sites
	var first passbook
	for i, site := range sites {
		list, err := x.asSeenAt(ctx, site.own)
		if err != nil {
			return fmt.Errorf("%s: read the withdrawals: %w", site.name, err)
		}
		found := judgeWithdrawals(list, book)
		if wrong += found.wrong(); i == 0 {
			first = found
		}
		for _, what := range found.findings() {
			p.findings = append(p.findings, site.name+": "+what)
		}
	}
	if first.paid == 0 || x.wild && first.back == 0 {
		p.findings = append(p.findings, fmt.Sprintf("%d withdrawals were paid and %d given back: that proves nothing", first.paid, first.back))
	}
	p.add("The bank has paid every withdrawal exactly once", wrong == 0, "%s × %d sites, item by item with the bank's own book: %d paid (CNY %s), %d given back, the last %.1f s after the bank was well (%v at most): %d missing, %d doubled, %d altered, %d unasked, %d told otherwise, %d open",
		plural(len(x.orders), "withdrawal"), len(sites), first.paid, inPounds(first.sum), first.back, x.lastEnd().Seconds(), bound,
		len(first.missing), len(first.doubled), len(first.altered), len(first.unasked), len(first.untrue), len(first.open))
	return nil
}

// lastEnd is how long after the bank was well the last withdrawal came to its end.
func (x *counter) lastEnd() (last time.Duration) {
	zero, well := time.Now().Add(-x.clock()), time.Duration(0)
	for _, f := range x.faults() {
		if f.Target == theBank {
			well = max(well, f.Healed)
		}
	}
	for _, w := range x.orders {
		last = max(last, w.stands.Since.Sub(zero.Add(well)))
	}
	return last
}

// asSeenAt is every withdrawal as one site has it in the end.
func (x *counter) asSeenAt(ctx context.Context, at *client.Client) ([]*withdrawal, error) {
	list := make([]*withdrawal, len(x.orders))
	return list, atOnce(len(list), func(i int) (err error) {
		w := *x.orders[i]
		list[i] = &w
		if w.told == toldRefused {
			return nil
		}
		w.stands, err = retried(ctx, func(ctx context.Context) (client.Payout, error) { return at.Payout(ctx, w.of.owner, w.number) })
		return err
	})
}

// proveWallets compares what patrons have with what they brought and took home.
func (x *counter) proveWallets(ctx context.Context, p *prover) error {
	want := map[holdfast.Owner]holdfast.Amount{}
	brought, waiting := holdfast.Amount(0), 0
	for _, d := range x.tops {
		want[d.of.owner] += d.amount
		if brought += d.amount; d.stands.Status != paidOut {
			waiting++
		}
	}
	for _, w := range x.orders {
		if w.stands.Status == paidOut {
			want[w.of.owner] -= w.amount
		}
	}
	differ, sites := 0, x.fleet.final().sites
	for _, site := range sites {
		has := make([]client.Wallet, len(x.patrons))
		err := atOnce(len(has), func(i int) (err error) {
			has[i], err = retried(ctx, func(ctx context.Context) (client.Wallet, error) {
				return site.own.Wallet(ctx, x.patrons[i].owner, yuan)
			})
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: read the wallets of those who have to do with the bank: %w", site.name, err)
		}
		for i, v := range has {
			if o := x.patrons[i].owner; v.Available != want[o] {
				differ++
				p.findings = append(p.findings, fmt.Sprintf("%s: the wallet of %s has %d fen, and what was brought less what was paid is %d", site.name, o, v.Available, want[o]))
			}
		}
	}
	if waiting > 0 {
		p.findings = append(p.findings, fmt.Sprintf("%d top-ups have not arrived", waiting))
	}
	p.add("What customers brought is theirs, once", differ+waiting == 0, "%s of CNY %s by transfers at the bank; %d wallets × %d sites, to the penny: %d differ, %d have not arrived",
		plural(len(x.tops), "top-up"), inPounds(brought), len(x.patrons), len(sites), differ, waiting)
	return nil
}

// outages are the stretches in which the bank was down.
func (x *counter) outages() (list []outage) {
	zero := time.Now().Add(-x.clock())
	for _, f := range x.faults() {
		if f.Kind == bankKill || f.Kind == bankRefuse {
			list = append(list, outage{zero.Add(f.At), zero.Add(f.Healed)})
		}
	}
	return list
}

func (x *counter) proveEstimates(p *prover) {
	var changes []time.Time
	zero := time.Now().Add(-x.clock())
	for _, f := range x.faults() {
		if f.Kind == "site-cut" {
			changes = append(changes, zero.Add(f.At))
		}
	}
	r := judgeEstimates(x.orders, x.outages(), changes)
	p.findings = append(p.findings, r.broken[:min(len(r.broken), 5)]...)
	switch {
	case r.queued == 0 || r.timed == 0 || r.likely == 0:
		p.findings = append(p.findings, fmt.Sprintf("%d withdrawals waited, of %d estimates %d named a time and %d could be held to it: that proves nothing", r.queued, r.told, r.timed, r.likely))
	case r.last > backTime:
		p.findings = append(p.findings, fmt.Sprintf("the last of what waited was paid %.1f s after the bank was back, %v at most", r.last.Seconds(), backTime))
	}
	p.add("What waited is paid when the bank is back", r.queued > 0 && r.last <= backTime, "%s waited; the bank was asked again %.1f s after it was back, and the last was paid %.1f s after (%v at most)",
		plural(r.queued, "withdrawal"), r.recovery.Seconds(), r.last.Seconds(), backTime)
	p.add("Customers were told honestly how long it takes", len(r.broken) == 0 && r.timed > 0, "%s told while the bank was down, %d with a time: up to %.0f s at the soonest were told from when it answers again, and all took %.1f s at most; %d had to hold as likely, the others were told before the outage was half over: %d broken",
		plural(r.told, "estimate"), r.timed, r.soonest.Seconds(), r.took.Seconds(), r.likely, len(r.broken))
}

// proveTold wants that the bank did lie, and that nobody was told that the money is back of what was paid: judgeWithdrawals has looked at every word.
func (x *counter) proveTold(ctx context.Context, p *prover) error {
	all, nothing, err := x.questions(ctx)
	if err != nil {
		return err
	}
	words, recalled := 0, 0
	for _, w := range x.orders {
		words += len(w.words)
		if w.recalled {
			recalled++
		}
	}
	ok := nothing > len(x.orders)/10
	if !ok {
		p.findings = append(p.findings, fmt.Sprintf("of %d questions to the bank %d were not answered: that proves nothing", all, nothing))
	}
	p.add("Unknown was never taken for failed", ok, "of %d questions to the bank %d had no answer; %d times customers were told how far %d withdrawals are, %d of them recalled, and never of one that is paid that the money is back",
		all, nothing, words, len(x.orders), recalled)
	return nil
}

// proveShops compares payments while the bank was down, or lied, with those before: they have nothing to do with it.
func (x *counter) proveShops(p *prover) {
	faults := x.faults()
	if len(faults) == 0 {
		return
	}
	deeds := x.deeds.all()
	failed := noAnswer(deeds)
	samples, _ := p.book.samples(0)
	from, until := faults[0].At, faults[0].Healed
	if len(faults) > 1 {
		until = min(until, faults[1].At)
	}
	before, during := payTimes(samples, time.Second, from), payTimes(samples, from, until)
	lost := failures(samples, from, until)
	// Twice as long is what the machine does to itself between one moment and the next, and what an election takes is what one hiccup of it may.
	longer := during.p99 > max(2*before.p99, stayBound) || during.max > max(2*before.max, failoverBound)
	ok := len(failed)+lost == 0 && !longer
	p.findings = append(p.findings, failed[:min(len(failed), 5)]...)
	if lost > 0 || longer {
		p.findings = append(p.findings, fmt.Sprintf("payments had to do with the bank: %d failed, and 99 of 100 took up to %.0f ms, the longest %.0f ms, while it was not well; %.0f and %.0f ms before",
			lost, millis(during.p99), millis(during.max), millis(before.p99), millis(before.max)))
	}
	n, p50, p99 := callWaits(deeds)
	p.add("Payments have nothing to do with the bank", ok, "99 of 100 within %.1f ms before, %.1f ms while only the bank was not well, the longest %.0f and %.0f ms; in shops %d calls, half within %d ms, 99 of 100 within %d: %d failed",
		millis(before.p99), millis(during.p99), millis(before.max), millis(during.max), n, p50.Milliseconds(), p99.Milliseconds(), len(failed)+lost)
}

// payTimes are the latencies of payments that were due in a stretch.
func payTimes(samples []Sample, from, until time.Duration) quantiles {
	return latencies(samples, func(s *Sample) bool { return s.Due >= from && s.Ended < until })
}

// proveLate has the bank end its days, and say something else in its statements than it has done; then the sites have to find exactly that.
func (x *counter) proveLate(ctx context.Context, p *prover) error {
	if !x.wild {
		return nil
	}
	days, want, err := x.disagree(ctx)
	if err != nil {
		return err
	}
	if err := x.dayAfter(ctx, p, days[len(days)-1]); err != nil {
		return err
	}
	found, err := x.listed(ctx, p, want)
	if err != nil {
		return err
	}
	missing, unasked := judgeCases(want, found)
	for _, list := range [][]string{missing, unasked} {
		p.findings = append(p.findings, list[:min(len(list), 5)]...)
	}
	p.add("Where the bank disagrees, that is on a list, and nothing else", len(missing)+len(unasked) == 0 && len(want) > 0, "%d days of 2 accounts compared, item by item: %s planted (%s): %d not found, %d found besides",
		len(days), plural(len(want), "difference"), kindsOf(want), len(missing), len(unasked))
	return x.workThrough(ctx, p, found)
}

// disagree ends the days of the bank, and plants differences in its statements, at least one of each kind.
func (x *counter) disagree(ctx context.Context) (days []string, want []planted, err error) {
	first := time.Now().Add(-x.clock()).UTC()
	last := time.Now().UTC().AddDate(0, 0, bankDays-1)
	for d := first; !d.After(last) || d.Format(time.DateOnly) == last.Format(time.DateOnly); d = d.AddDate(0, 0, 1) {
		days = append(days, d.Format(time.DateOnly))
	}
	for range bankDays {
		if err := x.bank.tell(ctx, http.MethodPost, "/control/day", nil, nil); err != nil {
			return nil, nil, err
		}
	}
	for seed := range 50 {
		lie := counterFaults(map[string]any{"seed": seed + 1, "omit": 0.06, "alter": 0.06, "double": 0.06, "invent": 1})
		if err := x.bank.misbehave(ctx, lie); err != nil {
			return nil, nil, err
		}
		if want, err = x.lies(ctx, days); err != nil {
			return nil, nil, err
		}
		kinds := map[string]bool{}
		for _, w := range want {
			kinds[w.kind] = true
		}
		if len(kinds) == len(caseKinds) {
			return days, want, nil
		}
	}
	return nil, nil, errors.New("no seed has the bank lie in every way")
}

// lies are what the bank's statements say wrong, of both accounts.
func (x *counter) lies(ctx context.Context, days []string) (want []planted, err error) {
	for _, account := range []string{bankAccount, counterAccount} {
		book := map[string][]bankEntry{}
		for _, day := range days {
			if book[day], err = x.book(ctx, account, day); err != nil {
				return nil, err
			}
		}
		want = append(want, lies(days, book)...)
	}
	return want, nil
}

// dayAfter sets the clocks of the sites to when the statement of a day is compared, and has another site take over the work with the banks, which
// begins with that.
func (x *counter) dayAfter(ctx context.Context, p *prover, day string) error {
	over, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return err
	}
	const lag = time.Hour + time.Minute // after the end of the day
	ahead := time.Until(over.AddDate(0, 0, 1).Add(lag)).Truncate(time.Second)
	for _, m := range p.home.sites {
		if err := p.home.trouble(m, fmt.Sprintf("clock_ahead = %q\n", ahead)); err != nil {
			return err
		}
	}
	if err := rest(ctx, time.Second); err != nil { // until all have read it
		return err
	}
	return x.moveDesk(ctx, p)
}

// moveDesk hands the first shard, and with it the work with the banks, to another site.
func (x *counter) moveDesk(ctx context.Context, p *prover) error {
	return insist(ctx, func() error {
		shards, err := p.home.sites[0].own.Shards(ctx)
		if err != nil {
			return err
		}
		for i := range shards {
			if s := &shards[i]; s.Shard == 1 && s.Leader != 0 {
				to := p.home.sites[int(s.Leader)%len(p.home.sites)]
				return p.home.site(s.Leader).own.HandOver(ctx, 1, to.id)
			}
		}
		return errNoLeader
	})
}

// listed waits until the list of differences is as it has to be, or the time is over.
func (x *counter) listed(ctx context.Context, p *prover, want []planted) (found []client.Case, err error) {
	wait, cancel := context.WithTimeout(ctx, compareTime)
	defer cancel()
	for {
		found, err = paged(ctx, func(ctx context.Context, cursor string) ([]client.Case, string, error) {
			return p.home.sites[0].own.Cases(ctx, cursor, client.MaxPage)
		})
		missing, unasked := judgeCases(want, found)
		if err == nil && len(missing)+len(unasked) == 0 || rest(wait, 20*pollPause) != nil {
			return found, cmp.Or(ctx.Err(), err)
		}
	}
}

// workThrough does with every difference what somebody does who works: one is explained, the others are closed.
func (x *counter) workThrough(ctx context.Context, p *prover, found []client.Case) error {
	for i := range found {
		work := x.client.CloseCase
		if i == 0 {
			work = x.client.ExplainCase
		}
		if err := insist(ctx, func() error { _, err := work(ctx, found[i].ID, "the bank has been asked"); return err }); err != nil {
			return fmt.Errorf("work on the difference %s: %w", found[i].ID, err)
		}
	}
	left, _, err := x.client.Cases(ctx, "", 0)
	if err != nil {
		return err
	}
	ok := len(left) == min(len(found), 1) && (len(left) == 0 || left[0].Progress == "explained")
	mute := slices.IndexFunc(found, func(v client.Case) bool { return v.Name == "" || v.ToDo == "" })
	if ok = ok && mute < 0; mute >= 0 {
		p.findings = append(p.findings, fmt.Sprintf("the list does not say what to do about %s: %s", found[mute].Key, kindOf(&found[mute])))
	}
	if len(left) > 1 {
		p.findings = append(p.findings, fmt.Sprintf("%d differences are left on the list when all but one were closed and that explained", len(left)))
	}
	p.add("The list of differences is worked through", ok, "%d, each by its name and with what to do about it: 1 explained, %d closed, %d left", len(found), len(found)-1, len(left))
	return nil
}

// noAnswer are the calls of shops that had no definite answer at their deadline.
func noAnswer(deeds []deed) (out []string) {
	for i := range deeds {
		if d := &deeds[i]; d.maybe() {
			out = append(out, fmt.Sprintf("%s: %s failed after %d ms: %s", d.Trade, d.Do, d.Ended-d.Began, d.Code))
		}
	}
	return out
}

// callWaits are how long the calls of shops took.
func callWaits(deeds []deed) (n int, p50, p99 time.Duration) {
	var all []time.Duration
	for i := range deeds {
		all = append(all, time.Duration(deeds[i].Ended-deeds[i].Began)*time.Millisecond)
	}
	slices.Sort(all)
	return len(all), Quantile(all, 0.5), Quantile(all, 0.99)
}
