package backoffice

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast"
	"holdfast/bank"
	"holdfast/bank/clerk"
	"holdfast/pay"
)

// BankConfig is one bank. Zero durations mean what stands behind the colon.
type BankConfig struct {
	Name      string // 1-32 letters and digits; it stands in records, for ever
	Connector bank.Connector
	Deposits  bank.Deposits // nil: the bank does not tell what has come in
	// Statement fetches the camt.053 of a day, as package bank/wire has it; nil: nothing is reconciled.
	Statement func(ctx context.Context, account bank.Account, day time.Time) (io.ReadCloser, error)
	// Accounts are the platform's at this bank. An order goes to the first bank that has an account in its currency, and stays with it once it has
	// been sent: a bank has to stay configured until all of its orders have ended.
	Accounts map[holdfast.Asset]bank.Account
	Zone     *time.Location // of the bank's days; nil: UTC
	Resolver bank.Config    // Terms are taken from the connector
	Timeout  time.Duration  // of one question: 15 s
	Rescan   time.Duration  // how often open orders are listed: 30 s
	Poll     time.Duration  // how often the bank is asked what has come in: 10 s
	Lag      time.Duration  // how long after the end of a day its statement is fetched: 1 h
	Retry    time.Duration  // until it is fetched again when something went wrong: 10 min
}

func (c *BankConfig) check() error {
	switch {
	case c.Name == "" || len(c.Name) > 32:
		return fmt.Errorf("the name %.40q has to have 1 to 32 characters", c.Name)
	case c.Connector == nil:
		return fmt.Errorf("%s: the connector is not given", c.Name)
	case len(c.Accounts) == 0:
		return fmt.Errorf("%s: the platform has no account there", c.Name)
	}
	for i := range len(c.Name) {
		if b := c.Name[i]; (b < '0' || b > '9') && (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') {
			return fmt.Errorf("the name %q has to consist of letters and digits", c.Name)
		}
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	c.Timeout = cmp.Or(c.Timeout, 15*time.Second)
	c.Poll = cmp.Or(c.Poll, 10*time.Second)
	c.Lag = cmp.Or(c.Lag, time.Hour)
	c.Retry = cmp.Or(c.Retry, 10*time.Minute)
	return nil
}

// assets are the currencies of a bank, always in the same order.
func (c *BankConfig) assets() (list []holdfast.Asset) {
	for a := range c.Accounts {
		list = append(list, a)
	}
	slices.Sort(list)
	return list
}

// banks is the work with all banks. The site that leads the shard of the platform does it.
type banks struct {
	office *Office
	list   []*desk
	news   chan struct{} // there are orders that the site with the clerks has to hear of
}

// desk is the work with one bank.
type desk struct {
	office *Office
	cfg    BankConfig
	log    *slog.Logger

	metrics *bankMetrics
	mu      sync.Mutex
	clerk   *clerk.Clerk // while it runs here
}

func openBanks(o *Office) (part, error) {
	if len(o.cfg.Banks) == 0 {
		return nil, nil
	}
	b, metrics := &banks{office: o, news: make(chan struct{}, 1)}, newBankMetrics(o)
	taken, names := map[holdfast.Asset]bool{}, map[string]bool{}
	for _, cfg := range o.cfg.Banks {
		if err := cfg.check(); err != nil {
			return nil, err
		}
		if names[cfg.Name] {
			return nil, fmt.Errorf("two banks are called %s", cfg.Name)
		}
		names[cfg.Name] = true
		d := &desk{office: o, cfg: cfg, log: o.cfg.Logger.With("bank", cfg.Name), metrics: metrics}
		d.measure()
		if _, err := d.newClerk(taken); err != nil {
			return nil, err
		}
		b.list = append(b.list, d)
	}
	metrics.banks = b
	o.banks = b
	return b, o.register(metrics.all()...)
}

// newClerk makes a clerk. taken are the currencies whose new orders go to banks that stand before this one; the bank's own are added.
func (d *desk) newClerk(taken map[holdfast.Asset]bool) (*clerk.Clerk, error) {
	q := &queue{desk: d, takes: map[holdfast.Asset]bool{}}
	for _, a := range d.cfg.assets() {
		q.takes[a] = !taken[a]
		taken[a] = true
	}
	random := d.office.cfg.Random
	return clerk.New(clerk.Config{
		Bank: d.cfg.Name, Connector: d.cfg.Connector, Orders: q, Resolver: d.cfg.Resolver, Timeout: d.cfg.Timeout, Rescan: d.cfg.Rescan,
		Random: func() uint64 { return uint64(random() * (1 << 53)) }, Log: d.office.cfg.Logger,
	})
}

// followEvery is how often a site looks whether it leads the platform's shard.
const followEvery = time.Second

// run works while this site leads the platform's shard. Two sites at once, for a moment, do no harm.
func (b *banks) run(ctx context.Context) {
	var stop context.CancelFunc
	var news, under sync.WaitGroup
	defer news.Wait()
	defer under.Wait()
	news.Go(func() { b.tellNews(ctx) }) // whoever leads
	for {
		switch leads := b.office.cfg.Books.Leads(b.office.cfg.Cashier.Bank); {
		case leads && stop == nil:
			var work context.Context
			work, stop = context.WithCancel(ctx)
			under.Go(func() { b.work(work) })
		case !leads && stop != nil:
			stop()
			under.Wait()
			stop = nil
		}
		if !pause(ctx, followEvery) {
			if stop != nil {
				stop()
			}
			return
		}
	}
}

// pause reports whether the time has passed; false: the context has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (b *banks) work(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	taken := map[holdfast.Asset]bool{}
	all.Go(func() { b.hearNews(ctx) })
	for _, d := range b.list {
		c, err := d.newClerk(taken)
		if err != nil {
			d.log.Error("the bank's clerk cannot be made", "error", err) // it could when the office was opened
			continue
		}
		d.remember(ctx, c)
		d.set(c)
		all.Go(func() {
			c.Run(ctx)
			d.set(nil)
		})
		all.Go(func() { d.publish(ctx, c) })
		if d.cfg.Deposits != nil {
			for _, asset := range d.cfg.assets() {
				all.Go(func() { d.readDeposits(ctx, asset) })
			}
		}
		if d.cfg.Statement != nil {
			all.Go(func() { d.reconcile(ctx) })
		}
	}
}

func (d *desk) set(c *clerk.Clerk) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clerk = c
}

func (d *desk) running() *clerk.Clerk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clerk
}

// queue is bank.Orders on the payments domain.
type queue struct {
	desk  *desk
	takes map[holdfast.Asset]bool // currencies whose orders go to this bank when they have not been sent anywhere
}

// Keys of orders in the queue: the time at which they were made, in 16 hexadecimal digits, a dash, and the key of the record. Pages come in the
// order of records; what is known to a clerk it takes in the order of time.
const keyHead = 17

func queueKey(o *pay.OpenOrder) string { return fmt.Sprintf("%016x-%s", uint64(o.Order.At), o.Key()) }

// Open implements bank.Orders.
func (q *queue) Open(ctx context.Context, after string, most int) (list []bank.Order, err error) {
	if len(after) > keyHead {
		after = after[keyHead:]
	}
	for {
		page, next, err := q.desk.office.cfg.Cashier.OpenOrders(ctx, after, most)
		if err != nil {
			return nil, err
		}
		for i := range page {
			if o, mine := q.order(&page[i]); mine {
				if list = append(list, o); len(list) == most {
					return list, nil
				}
			}
		}
		if after = next; after == "" {
			return list, nil
		}
	}
}

// order is an order as the resolver knows it; mine is false when it is another bank's.
func (q *queue) order(o *pay.OpenOrder) (b bank.Order, mine bool) {
	d := q.desk
	from, has := d.cfg.Accounts[o.Order.Asset]
	switch {
	case o.Order.Via != "" && o.Order.Via != d.cfg.Name, o.Order.Via == "" && !q.takes[o.Order.Asset]:
		return b, false
	case !has:
		d.log.Error("an order was sent from an account that is not configured any more", "order", o.EndToEnd(), "asset", o.Order.Asset.String())
		return b, false
	}
	to, err := bank.ParseAccount(o.Payee.Number)
	if err != nil {
		d.log.Error("an order cannot be sent", "order", o.EndToEnd(), "error", err)
		return b, false
	}
	text := "withdrawal " + o.Number
	if o.Payout {
		text = "settlement " + o.Number
	}
	return bank.Order{
		Instruction: bank.Instruction{
			ID: o.EndToEnd(), Amount: o.Order.Amount, Asset: o.Order.Asset, From: from, To: to, Name: o.Payee.Name, Text: text, Sent: o.Order.Sent,
		},
		Key: queueKey(o), Version: o.Version, Recalled: o.Order.Recalled, Accepted: o.Order.Accepted, Doubtful: o.Order.Doubtful,
	}, true
}

// Record implements bank.Orders.
func (q *queue) Record(ctx context.Context, c bank.Change) (bank.Order, error) {
	b, ok := pay.BankOrderOf(c.Key[min(keyHead, len(c.Key)):])
	if !ok {
		return bank.Order{}, fmt.Errorf("%.80q is the key of no order", c.Key)
	}
	open, err := q.desk.office.cfg.Cashier.RecordBank(ctx, b, pay.BankChange{
		Version: c.Version, Step: pay.BankStep(c.Kind), Via: q.desk.cfg.Name, At: c.At, Ref: clip(c.Ref), Reason: clip(c.Reason),
	}, q.desk.office.now())
	changed := errors.Is(err, pay.ErrOrderChanged)
	if err != nil && !changed {
		return bank.Order{}, err
	}
	if !changed && c.Kind.Ends() {
		q.desk.metrics.ended(q.desk, &c, open.Order.At)
	}
	o, mine := bank.Order{}, false
	if open.Owner != 0 && open.Order.Status < pay.OrderDone {
		o, mine = q.order(&open)
	}
	if changed {
		err = bank.ErrChanged
	}
	if !mine {
		o = bank.Order{} // it has ended, or is another bank's
	}
	return o, err
}

// clip keeps what a bank says within what records take, which is 128 bytes.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 128)], "") }

// Estimate says when the bank will have taken an order, or one that would be made now, of which the Asset is known. At a site that does not run the
// clerk it rests on what that site has said within the last minute, and takes all that wait to be before this one. A recalled order is told when its
// money is free at the latest that the bank's terms allow.
func (o *Office) Estimate(ctx context.Context, b pay.BankOrder, order pay.Order) (e Estimate, err error) {
	d := o.deskFor(&order)
	if d == nil {
		return e, nil
	}
	e.Bank, e.At = d.cfg.Name, o.now()
	stands := bank.Order{
		Instruction: bank.Instruction{Sent: order.Sent}, Key: "\xff", Recalled: order.Recalled, Accepted: order.Accepted, Doubtful: order.Doubtful,
	}
	if b.Owner != 0 {
		stands.ID, stands.Key = b.EndToEnd(), queueKey(&pay.OpenOrder{BankOrder: b, Order: order})
	}
	if c := d.running(); c != nil {
		e.Estimate = c.EstimateFor(&stands)
		return e, nil
	}
	told, err := d.heard(ctx)
	if err != nil {
		return e, err
	}
	var queue bank.Estimate
	if told.idle() || told.at != 0 && e.At-told.at <= holdfast.Time(estimateStale) {
		queue = bank.EstimateOf(e.At, told.ahead, told.rate, told.since, told.ramp)
	}
	e.Estimate = queue.For(e.At, &stands, d.cfg.Connector.Terms())
	return e, nil
}

// deskFor is the bank that an order is with, or will be.
func (o *Office) deskFor(order *pay.Order) *desk {
	if o.banks == nil {
		return nil
	}
	for _, d := range o.banks.list {
		_, has := d.cfg.Accounts[order.Asset]
		if order.Via == d.cfg.Name || order.Via == "" && has {
			return d
		}
	}
	return nil
}
