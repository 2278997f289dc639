package drill

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"holdfast"
	"holdfast/check"
	"holdfast/client"
)

// Check is one promise and whether it was kept.
type Check struct {
	Name   string
	Detail string // with numbers
	OK     bool
}

// proven is everything that was found when the faults were over. What was not come to is not proved: false.
type proven struct {
	lost, duplicated, altered, phantom map[holdfast.ID]string
	moved                              holdfast.Amount                  // by all that is known to be done
	settled                            map[holdfast.ID]holdfast.Outcome // what was unknown at its deadline, and is in the books
	penniesRight                       bool
	booksBalanced                      bool
	replicasAgree                      bool
	linearizable                       bool
	trades                             *Trades // nil: there were none
	checks                             []Check
	findings                           []string // what has no field of its own in a result
	told                               []string // what people did beside the orders
	cut                                bool     // a question was not answered: what comes after it is not proved
}

// prover asks the sites for everything that is in the book. All of them survive in the end: what was killed is back.
type prover struct {
	home   *fleet // asked without signatures
	bank   *testBank
	fleet  *fleet
	buyers []holdfast.Owner // registered with the platform
	sales  map[tradeKey]*sale
	world  *world
	load   *load
	book   *book
	say    func(phase string)

	sign     bool     // fleet signs what it answers
	business business // nil: nobody buys anything
	proven
}

const (
	// askersPerSite is how many questions to one site are under way at once.
	askersPerSite = 24
	// sampleByID is about how many payments are asked for one by one at each site, besides those on no statement.
	sampleByID = 2000
	// proofTime bounds the whole reconciliation, and proofTimeEach adds to it for every page of the book.
	proofTime     = 3 * time.Minute
	proofTimeEach = 500 * time.Microsecond
	// livenessTime is how long the fleet may take to be whole again after the last fault.
	livenessTime = 20 * time.Second
	// orderTime bounds the search for an order of all answers, where the one that the answers themselves claim is not one. The
	// search takes memory as well as time.
	orderTime = 10 * time.Second
	// maxOrdered is how many payments and reads of a long load are put into one order; those of the beginning.
	maxOrdered = 200_000
)

// prove is the list of everything that is checked. An error means that a question was not answered: then nothing is proved.
func (p *prover) prove(ctx context.Context, id func() holdfast.ID) error {
	ctx, cancel := context.WithTimeout(ctx, proofTime+time.Duration(p.book.size())*proofTimeEach)
	defer cancel()
	p.lost, p.duplicated = map[holdfast.ID]string{}, map[holdfast.ID]string{}
	p.altered, p.phantom = map[holdfast.ID]string{}, map[holdfast.ID]string{}
	for _, step := range []struct {
		name   string
		do     func(context.Context) error
		wanted bool // whether the drill has what it asks for
	}{
		{"waiting until every site takes payments again", func(ctx context.Context) error { return p.liveness(ctx, id) }, true},
		{"asking for every trade of which nothing is known", p.resolve, p.world.market != nil},
		{"waiting until every payment between shards has arrived", p.arrival, true},
		{"comparing the replicas", p.agreement, true},
		{"reading every trade and refund back from every site", p.tradesBack, p.world.market != nil},
		{"reading every payment back from every site", p.reconcile, true},
		{"auditing the books", p.audit, true},
		{"putting all answers into one order", p.order, true},
		{"comparing what buyers and sellers were told with what is in the books", p.proveBusiness, p.business != nil}, // before the settlement, which empties the accounts of merchants
		{"setting the clocks ahead, so that the day of the merchants is over, and waiting for their settlement", p.settlement, p.world.market != nil},
		{"ending the days of the bank, and comparing its statements with the ledger", p.proveLate, p.late() != nil},
		{"having the sites sign what merchants were paid", p.signTrades, p.world.market != nil && p.sign},
	} {
		if !step.wanted {
			continue
		}
		p.say(step.name)
		if err := step.do(ctx); err != nil {
			p.cut = true
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// lateBusiness has something to prove when the clocks have been set ahead.
type lateBusiness interface {
	proveLate(ctx context.Context, p *prover) error
}

// late is the business if it is such a one, or nil.
func (p *prover) late() lateBusiness {
	late, _ := p.business.(lateBusiness)
	return late
}

func (p *prover) proveLate(ctx context.Context) error { return p.late().proveLate(ctx, p) }

func (p *prover) proveBusiness(ctx context.Context) error { return p.business.prove(ctx, p) }

func (p *prover) add(name string, ok bool, format string, args ...any) {
	p.checks = append(p.checks, Check{name, fmt.Sprintf(format, args...), ok})
}

// liveness has every site take one payment in every shard.
func (p *prover) liveness(ctx context.Context, id func() holdfast.ID) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, livenessTime)
	defer cancel()
	if err := p.fleet.ready(ctx); err != nil {
		return err
	}
	for _, m := range p.fleet.sites {
		for i := range p.world.shards {
			if err := p.payAt(ctx, m, &p.world.shards[i], id()); err != nil {
				return fmt.Errorf("%s took no payment for shard %d: %w", m.name, i+1, err)
			}
		}
	}
	p.add("Every site takes payments again", true, "%d sites, %d ms after the end of the load", len(p.fleet.sites), time.Since(began).Milliseconds())
	return nil
}

// arrival waits until no payment is under way from one shard to another: what was left half-way has to be finished by itself.
func (p *prover) arrival(ctx context.Context) error {
	if p.book.crosses == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, livenessTime)
	defer cancel()
	for {
		a, err := p.fleet.sites[0].own.Audit(ctx)
		var landed, held holdfast.Amount
		for i := range a.Transit {
			landed, held = landed+a.Transit[i].Landed, held+a.Transit[i].Held
		}
		if err == nil && held == 0 {
			p.add("Every payment between shards has arrived", true, "£%s between %d shards, none of it under way", inPounds(landed), len(p.world.shards))
			return nil
		}
		if gone := rest(ctx, pollPause); gone != nil {
			p.add("Every payment between shards has arrived", false, "£%s are still under way after %v", inPounds(held), livenessTime)
			p.findings = append(p.findings, fmt.Sprintf("%d pence are still under way between shards", held))
			return err
		}
	}
}

func (p *prover) payAt(ctx context.Context, m *member, c *shardCast, id holdfast.ID) error {
	t := holdfast.Transfer{ID: id, Kind: holdfast.Immediate, Debit: c.payers[0], Credit: c.till, Amount: 1, Code: codeProbe}
	for {
		s := Sample{Shard: c.id, Kind: Prepared, Due: p.load.clock()}
		if p.load.pay(ctx, m.own, &t, s) == holdfast.Done {
			return nil
		}
		if err := rest(ctx, pollPause); err != nil {
			return err
		}
	}
}

// agreement compares the digests of all replicas of each shard at one index. Entries that the leader proposes by itself may
// be under way, so it asks until all are at the same index.
func (p *prover) agreement(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, livenessTime)
	defer cancel()
	for {
		digests, same, err := p.digests(ctx)
		if err == nil && same {
			found := check.Agree(digests)
			p.replicasAgree = len(found) == 0
			p.note(found)
			p.add("The replicas agree", p.replicasAgree, "%d replicas, digest %016x at index %d", len(digests), digests[0].Digest, digests[0].Index)
			return nil
		}
		if gone := rest(ctx, pollPause); gone != nil {
			p.add("The replicas agree", false, "they were not at one index within %v: %s", livenessTime, indexes(digests))
			p.findings = append(p.findings, "the replicas did not come to one index: "+indexes(digests))
			return err
		}
	}
}

func indexes(digests []check.Digest) string {
	var all []string
	for _, d := range digests {
		all = append(all, fmt.Sprintf("%s shard %d at %d", SiteName(d.Site), d.Shard, d.Index))
	}
	return strings.Join(all, ", ")
}

func (p *prover) digests(ctx context.Context) (all []check.Digest, same bool, err error) {
	at := map[holdfast.ShardID]uint64{}
	same = true
	for _, m := range p.fleet.sites {
		shards, err := m.own.Shards(ctx)
		if err != nil {
			return all, false, fmt.Errorf("ask %s: %w", m.name, err)
		}
		for i := range shards {
			s := &shards[i]
			digest, err := strconv.ParseUint(s.Digest, 16, 64)
			if err != nil {
				return all, false, fmt.Errorf("%s, shard %d: digest %q: %w", m.name, s.Shard, s.Digest, err)
			}
			all = append(all, check.Digest{Site: m.id, Shard: s.Shard, Index: s.Applied, Digest: digest})
			if index, seen := at[s.Shard]; seen && index != s.Applied {
				same = false
			}
			at[s.Shard] = s.Applied
		}
	}
	return all, same && len(all) > 0, nil
}

func (p *prover) note(found []check.Finding) {
	for _, f := range found[:min(len(found), 5)] {
		p.findings = append(p.findings, f.String())
	}
}

// reconcile asks every site for every payment and every account.
func (p *prover) reconcile(ctx context.Context) error {
	sites := make([]*reading, len(p.fleet.sites))
	errs := make([]error, len(p.fleet.sites))
	balances := make([][]check.Finding, len(p.fleet.sites))
	var wg sync.WaitGroup
	for i, m := range p.fleet.sites {
		sites[i] = newReading(p.book, m.own, p.world.paid())
		wg.Go(func() {
			if errs[i] = sites[i].all(ctx); errs[i] == nil {
				p.addSales(&sites[i].totals)
				balances[i], errs[i] = p.balancesAt(ctx, m, sites[i].totals.accounts)
			}
			if errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w", m.name, errs[i])
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	reports := make([]check.Report, len(sites))
	for i := range sites {
		reports[i] = sites[i].report
	}
	p.collect(reports)
	p.settled, p.moved = sites[0].settled, sites[0].totals.moved
	wrong := 0
	for _, found := range balances {
		wrong += len(found)
		p.note(found)
	}
	p.penniesRight = wrong == 0
	whose := ""
	if p.world.market != nil {
		whose = ", those of every customer, merchant and fee among them,"
	}
	p.add("Every balance is right to the penny", wrong == 0, "%s accounts%s × %d sites recomputed from the data: %d differ",
		thousands(int64(len(p.accounts()))), whose, len(p.fleet.sites), wrong)
	return nil
}

// collect joins what the sites answered: a payment is lost when any of them has lost it.
func (p *prover) collect(reports []check.Report) {
	for i := range reports {
		gather(p.lost, reports[i].Lost)
		gather(p.duplicated, reports[i].Duplicated)
		gather(p.altered, reports[i].Altered)
		gather(p.phantom, reports[i].Phantom)
		p.note(reports[i].Findings())
	}
	r := &reports[0]
	bad := len(p.lost) + len(p.duplicated) + len(p.altered)
	p.add("Every acknowledged payment is there, once, unaltered", bad == 0, "%s payments × %d sites read back from the journal: %d lost, %d duplicated, %d altered",
		thousands(int64(r.Acknowledged)), len(reports), len(p.lost), len(p.duplicated), len(p.altered))
	p.add("What was refused moved nothing", len(p.phantom) == 0, "%d refused or not executed, %d of them found done",
		r.Refused+r.NotExecuted, len(p.phantom))
	if r.Unknown > 0 {
		p.add("Unknown outcomes are settled", true, "%d unknown at their deadline: %d were done, %d were not", r.Unknown, r.SettledDone, r.Unknown-r.SettledDone)
	}
}

func gather(into map[holdfast.ID]string, found []check.Finding) {
	for _, f := range found {
		into[f.ID] = f.What
	}
}

func verdictWord(ok bool) string {
	if ok {
		return "linearizable"
	}
	return "no order was found"
}

type answer struct {
	found check.Found
	ok    bool
	err   error
}

// outcomeOf is the outcome of a payment as its line tells it. A line does not tell the place within the log entry, but its
// time is that of no other payment: with the acknowledged time, the place is the acknowledged one.
func outcomeOf(line *client.Line, acked holdfast.Outcome) holdfast.Outcome {
	o := holdfast.Outcome{ID: line.Txn, Status: holdfast.Done, Leg: holdfast.NoLeg, Time: holdfast.TimeOf(line.Time)}
	o.Index, o.Ord = line.Index, ^uint32(0)
	if acked.Status != holdfast.Done || o.Time == acked.Time {
		o.Ord = acked.Ord
	}
	return o
}

func lookUp(ctx context.Context, c *client.Client, id holdfast.ID) answer {
	t, err := retried(ctx, func(ctx context.Context) (client.Txn, error) { return c.Txn(ctx, id) })
	if client.IsNotFound(err) {
		return answer{}
	}
	if err != nil {
		return answer{err: err}
	}
	return answer{found: check.Found{Txn: content(&t), Outcome: t.Outcome}, ok: true}
}

// retried asks until there is an answer, for as long as settleTime: the machine is busy with tens of thousands of questions, and with what others do
// on it, and one that is not answered proves nothing.
func retried[T any](ctx context.Context, ask func(context.Context) (T, error)) (v T, err error) {
	for began := time.Now(); ; {
		v, err = ask(ctx)
		if status, _ := answered(err); status == holdfast.Done || status == holdfast.Refused || time.Since(began) > settleTime || rest(ctx, pollPause) != nil {
			return v, err
		}
	}
}

// askAll asks for every item, some at a time, and returns the answers in the same order.
func askAll[Q, A any](items []Q, ask func(Q) A) []A {
	out := make([]A, len(items))
	var wg sync.WaitGroup
	for worker := range askersPerSite {
		wg.Go(func() {
			for i := worker; i < len(items); i += askersPerSite {
				out[i] = ask(items[i])
			}
		})
	}
	wg.Wait()
	return out
}

// accounts are all that anybody in the load has, in a fixed order.
func (p *prover) accounts() (all []holdfast.AccountID) {
	for i := range p.world.shards {
		c := &p.world.shards[i]
		all = append(append(all, c.bank, c.merchant, c.till), c.payers...)
	}
	for _, name := range p.world.trade.Customers {
		all = append(all, p.world.customers[name])
	}
	if p.world.market != nil {
		all = append(all, p.world.marketAccounts(p.buyers)...)
	}
	if n := p.world.nomads; n != nil {
		all = append(append(all, n.savers...), n.payers...)
	}
	return all
}

// balancesAt compares what every account must hold, as worked out from what was sent, with what one site says.
func (p *prover) balancesAt(ctx context.Context, m *member, wanted map[holdfast.AccountID]*holdfast.Account) ([]check.Finding, error) {
	type reply struct {
		account holdfast.Account
		err     error
	}
	all := p.accounts()
	replies := askAll(all, func(id holdfast.AccountID) reply {
		a, err := retried(ctx, func(ctx context.Context) (holdfast.Account, error) { return m.own.Account(ctx, id) })
		return reply{a, err}
	})
	at := make(map[holdfast.AccountID]int, len(all))
	for i, id := range all {
		at[id] = i
	}
	var start []holdfast.Account
	shown := func(a holdfast.Account) holdfast.Account {
		if p.world.nomads.has(a.ID) {
			return netted(a)
		}
		return a
	}
	for _, a := range wanted {
		start = append(start, shown(*a))
	}
	return check.Balances(start, nil, nil, all, func(id holdfast.AccountID) (holdfast.Account, bool, error) {
		r := replies[at[id]]
		if client.IsNotFound(r.err) {
			return r.account, false, nil
		}
		return shown(r.account), true, r.err
	})
}

// audit asks every site for its own audit: debits equal credits, recounted, and digests compared. What moved in all must be
// what the load knows to be done, to the penny: nothing happened that nobody asked for.
func (p *prover) audit(ctx context.Context) error {
	ok, accounts := true, 0
	for _, m := range p.fleet.sites {
		a, err := retried(ctx, m.own.Audit)
		if err != nil {
			return fmt.Errorf("ask %s: %w", m.name, err)
		}
		moved := holdfast.Amount(0)
		accounts = 0
		var shards []holdfast.ShardID
		for i := range a.Shards {
			shards = append(shards, a.Shards[i].Shard)
			accounts += a.Shards[i].Accounts
			moved += turnover(a.Shards[i].Assets)
		}
		// What crosses moves twice, at either end; and balances of owners who move are no payments.
		for i := range a.Transit {
			if a.Transit[i].Asset == pounds.String() {
				moved -= a.Transit[i].Landed
			}
		}
		carried, err := p.carried(ctx, m, shards)
		if err != nil {
			return err
		}
		moved -= carried
		for _, problem := range a.Problems {
			p.findings = append(p.findings, fmt.Sprintf("audit of %s: %s", m.name, problem))
		}
		if moved != p.moved {
			p.findings = append(p.findings, fmt.Sprintf("audit of %s: %d pence moved in all, %d are known to the load", m.name, moved, p.moved))
		}
		ok = ok && a.OK && a.Balanced && moved == p.moved
	}
	p.booksBalanced = ok && p.penniesRight
	p.add("The books balance", ok, "debits equal credits at %d sites, recounted over %d accounts; £%s moved, no penny of it unasked",
		len(p.fleet.sites), accounts, inPounds(p.moved))
	return nil
}

// carried is what balances of owners who moved have added to the turnover of the shards, as one site knows.
func (p *prover) carried(ctx context.Context, m *member, shards []holdfast.ShardID) (sum holdfast.Amount, err error) {
	if p.world.nomads == nil {
		return 0, nil
	}
	for _, at := range shards {
		for _, other := range shards {
			id := holdfast.Moving(at, other, pounds)
			a, err := retried(ctx, func(ctx context.Context) (holdfast.Account, error) { return m.own.Account(ctx, id) })
			if err != nil && !client.IsNotFound(err) {
				return 0, fmt.Errorf("ask %s for %s: %w", m.name, id, err)
			}
			sum += a.DebitsPosted + a.CreditsPosted
		}
	}
	return sum, nil
}

// turnover is the sum of all debits ever posted in pounds, the currency of the load, if it equals that of all credits, as it has to in every
// currency; else it is no sum that could be right.
func turnover(assets []client.AssetTotal) (sum holdfast.Amount) {
	for i := range assets {
		if assets[i].DebitsPosted != assets[i].CreditsPosted || assets[i].DebitsPending != assets[i].CreditsPending {
			return -1
		}
		if assets[i].Asset == pounds.String() {
			sum += assets[i].DebitsPosted
		}
	}
	return sum
}

// inPounds writes pence as pounds, with commas.
func inPounds(pence holdfast.Amount) string {
	return fmt.Sprintf("%s.%02d", thousands(int64(pence)/100), int64(pence)%100)
}

// thousands writes a number with a comma after every third digit.
func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// order has check decide whether everything that callers saw could have happened in one order.
func (p *prover) order(context.Context) error {
	var shards []holdfast.ShardID
	for i := range p.world.shards {
		shards = append(shards, p.world.shards[i].id)
	}
	p.linearizable = true
	ops := 0
	whole := p.load.clock()
	histories, until := p.book.histories(shards, p.settled, whole, maxOrdered)
	for i, h := range histories {
		ops += len(h.Ops)
		v := h.Linearizable(orderTime)
		if !v.OK {
			p.linearizable = false
			p.findings = append(p.findings, fmt.Sprintf("shard %d: %s", shards[i], v.Explanation))
		}
	}
	what := ""
	if until < whole {
		what = fmt.Sprintf(" of the first %.0f s", until.Seconds())
	}
	p.add("The answers fit one order", p.linearizable, "%s payments and reads%s: %s", thousands(int64(ops)), what, verdictWord(p.linearizable))
	return nil
}
