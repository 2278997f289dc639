package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"holdfast"
	"holdfast/pay"
)

// market is a fleet's trade: merchants and customers whose owners are in all shards, what they ask the domain for at any site, and what has
// been answered. The domain is package pay as it is.
type market struct {
	f       *fleet
	bank    holdfast.Owner
	stalls  []stall
	buyers  []holdfast.Owner
	owners  map[uint32]holdfast.Owner // by sequence
	secret  [pay.SecretBytes]byte     // of everybody's phone
	sales   []*sale
	deals   []*deal
	patrons []*patron
	calls   []*call // that have not ended
	unready int     // owners who are not registered yet
	last    bool    // the books of all days are being closed
	numbers int
	codes   []*codeUse
	gifts   []gift
	drawn   []pay.TopUpAsk
	frozen  []pay.AuthAsk
	splits  []*pay.SplitAsk
	shares  map[string][]pay.Share  // what was said of them, by number of the split
	barred  map[holdfast.Owner]bool // frozen, or about to be
	days    map[string]*dayPaid
	legal   map[string]*pay.Trade // as last seen in the logs, by key
	stats   MarketStats
}

// stall is a merchant. His first day ends within the run.
type stall struct {
	owner    holdfast.Owner
	zone     string
	midnight time.Duration
}

// MarketStats counts what happened in a market.
type MarketStats struct {
	Calls, Asked                                          int
	Done, Refused, Pending, Unavailable, Silent           int // answers of calls; calls without one
	SentOn                                                int // reads that followed an owner who had moved
	Waited, TakenBack                                     int // for records of a payment under way; payments refused by the payee's shard
	Paid, Repaid, Cancelled, Closed                       int // acknowledged deals
	Escrows, Disputes, Splits, Frozen, Sent, Drawn, Shown int
	CodesTwice, CodesRefused, Settled, Judged, NeverDone  int
	Barred, GoneOn, ShareBack                             int
}

// sale is a trade, and what everybody must see of it by now.
type sale struct {
	stall   *stall
	no      string
	amount  holdfast.Amount
	mode    pay.Mode
	auth    string // out_order_no of the authorisation it is paid from
	seen    facts
	refunds map[string]holdfast.Amount // asked for, by number
	whole   bool                       // something gives back what is left, or a part that nobody has counted
	shares  map[string]*pay.SplitAsk
	buyer   holdfast.Owner // who pays it, if only one does
}

// facts were acknowledged: whoever asks later must see them.
type facts struct {
	there, closed bool
	payer         holdfast.Owner
	back          holdfast.Amount
}

// codeUse is one payment code that was shown in two shops in the same instant.
type codeUse struct {
	payer holdfast.Owner
	sales [2]*sale
}

// dayPaid is what a merchant's day was settled with.
type dayPaid struct {
	stall *stall
	day   string
	told  []pay.Settled
}

const (
	firstTrader = 700 // sequence of the first owner of a market
	startMoney  = 20_000
	officeEarly = 1500 * time.Millisecond // how far ahead the clock is by which days are settled
	firstDay    = "2025-12-31"            // of every merchant, until his midnight
	secondDay   = "2026-01-01"
)

// yuan is the currency of a market, which is that of the rest of the fleet.
var yuan = assets[0]

func newMarket(f *fleet) *market {
	m := &market{
		f: f, owners: map[uint32]holdfast.Owner{}, days: map[string]*dayPaid{}, legal: map[string]*pay.Trade{},
		barred: map[holdfast.Owner]bool{}, shares: map[string][]pay.Share{},
		secret: [pay.SecretBytes]byte{1, 2, 3},
	}
	m.bank = m.owner(0)
	for i := range 3 {
		midnight := f.e.between(3*time.Second, 11*time.Second).Truncate(time.Second)
		m.stalls = append(m.stalls, stall{m.owner(1 + i), fmt.Sprintf("midnight/%d", midnight/time.Second), midnight})
	}
	for i := range 4 {
		m.buyers = append(m.buyers, m.owner(5+i))
	}
	for i := range 6 + f.e.rng.IntN(8) {
		m.patrons = append(m.patrons, &patron{market: m, n: i + 1})
	}
	for _, o := range f.shards {
		o.twin.watched = true
		after := o.after
		o.after = func() {
			after()
			m.watch(o)
		}
	}
	return m
}

// owner makes owner number i, in one shard after the other. Where slots move, every second lives in one of those.
func (m *market) owner(i int) holdfast.Owner {
	slot := holdfast.Slot(100 + i)
	if n := m.f.nomads; n != nil && i%2 == 1 {
		slot = n.slots[i/2%len(n.slots)]
	}
	o := must(holdfast.NewOwner(uint32(firstTrader+i), slot))
	m.owners[o.Sequence()] = o
	return o
}

func (m *market) ownerOf(sequence uint32) (holdfast.Owner, error) {
	o, ok := m.owners[sequence]
	if !ok {
		return 0, errors.New("nobody has this number")
	}
	return o, nil
}

// zoneOf is a zone in which the first of January begins some seconds after the run.
func zoneOf(name string) (*time.Location, error) {
	rest, ok := strings.CutPrefix(name, "midnight/")
	seconds, err := strconv.Atoi(rest)
	if !ok || err != nil {
		return nil, errors.New("no such zone")
	}
	return time.FixedZone(name, -seconds), nil
}

// cashier is the domain on some books.
func (m *market) cashier(books pay.Books) *pay.Cashier {
	config := pay.Config{
		Books: books, AliasKey: make([]byte, 32), CodeKey: make([]byte, 32), Bank: m.bank, OwnerOf: m.ownerOf, Day: time.UTC, Zone: zoneOf,
	}
	if c, ok := books.(*call); ok {
		config.Wait = c.wait
	}
	return must(pay.New(config))
}

func (m *market) start() {
	m.unready = 1 + len(m.stalls) + len(m.buyers)
	open := func(what string, do func(*till) error) {
		d := &deal{market: m, what: what, do: do, stubborn: true, end: func() { m.unready-- }}
		m.f.e.after(m.f.e.between(250*time.Millisecond, 500*time.Millisecond), d.begin)
	}
	open("the bank is opened", func(t *till) error { return t.OpenBank(t.ctx, t.now, yuan) })
	for i := range m.stalls {
		s := &m.stalls[i]
		open("a merchant is registered", func(t *till) error { return m.registerStall(t, s) })
	}
	for i, o := range m.buyers {
		open("a customer is registered", func(t *till) error { return m.registerBuyer(t, o, i) })
	}
	for _, p := range m.patrons {
		m.f.e.after(m.f.e.between(500*time.Millisecond, 900*time.Millisecond), p.next)
	}
}

func (m *market) registerStall(t *till, s *stall) error {
	_, err := t.RegisterMerchant(t.ctx, pay.MerchantAsk{
		Owner: s.owner, Name: "stall", Zone: s.zone, Assets: []holdfast.Asset{yuan}, Fee: pay.FeePlan{BasisPoints: 100, Fixed: 1},
	}, t.now)
	return err
}

func (m *market) registerBuyer(t *till, o holdfast.Owner, i int) error {
	ask := pay.CustomerAsk{Owner: o, Aliases: []string{aliasOf(i)}, Assets: []holdfast.Asset{yuan}}
	if _, err := t.RegisterCustomer(t.ctx, ask, t.now); err != nil {
		return err
	}
	if _, err := t.TopUp(t.ctx, pay.TopUpAsk{Owner: o, Number: "start", Asset: yuan, Amount: startMoney}, t.now); err != nil {
		return err
	}
	if _, err := t.ToppedUp(t.ctx, o, "start", "bank", t.now); err != nil {
		return err
	}
	_, err := t.AddDevice(t.ctx, o, m.secret, [pay.NonceBytes]byte{byte(i)}, t.now)
	return err
}

func aliasOf(i int) string { return fmt.Sprintf("+86 139 0000 000%d", i) }

// ready reports that everybody is registered.
func (m *market) ready() bool { return m.unready == 0 }

// now is the true time.
func (m *market) now() holdfast.Time { return holdfast.Time(epoch + m.f.e.now) }

func (m *market) number(prefix string) string {
	m.numbers++
	return fmt.Sprintf("%s%d", prefix, m.numbers)
}

// close ends what is still under way when a run is over.
func (m *market) close() {
	if m == nil {
		return
	}
	for _, c := range m.calls {
		c.end()
	}
}

// deal is something that somebody wants, asked for at one site after the other with the same numbers until the answer is definite.
type deal struct {
	*market
	what     string
	do       func(*till) error
	told     func()                    // the first time that it is answered done; nil: nothing follows
	happened func(*pay.Cashier) bool   // whether it is in the books; nil: others may have done the same
	missing  func(*pay.Cashier) string // what of it is not in the books when it was answered done; nil: nothing to look for
	end      func()                    // when nobody asks any more
	stubborn bool
	attempt  int
	asked    int  // calls that have not been answered
	maybe    bool // one of the calls may have done it
	done     bool
	over     bool
}

// begin asks for the first time.
func (d *deal) begin() {
	d.deals = append(d.deals, d)
	d.market.stats.Asked++
	d.send()
}

// send makes one attempt at a site drawn anew, and sometimes another one elsewhere at the same time.
func (d *deal) send() {
	d.attempt++
	attempt := d.attempt
	d.ask(attempt, d.f.anySite())
	if d.f.e.chance(0.1) {
		d.ask(attempt, d.f.anySite())
	}
	if !d.stubborn && d.f.e.chance(0.03) {
		d.f.e.logf("nobody waits for: %s", d.what)
		d.finish()
		return
	}
	d.f.e.after(d.f.e.between(800*time.Millisecond, 3500*time.Millisecond), func() {
		if d.attempt == attempt && !d.over {
			d.market.stats.Silent++
			d.send()
		}
	})
}

func (d *deal) ask(attempt int, site *process) {
	d.asked++
	d.f.e.logf("at site %d: %s", site.site, d.what)
	d.f.net.rpc(0, site.site, func() {
		site.trade(d.do, func(err error) {
			d.judge(site, err) // at the site: what it answers must be true, whether or not anybody hears it
			d.f.net.rpc(site.site, 0, func() { d.heard(attempt, err) })
		})
	})
}

// judge takes an answer where it is given.
func (d *deal) judge(site *process, err error) {
	var refusal *pay.Refusal
	var pending *pay.Pending
	d.asked--
	d.f.e.logf("site %d answers %v to: %s", site.site, err, d.what)
	s := &d.market.stats
	switch {
	case err == nil:
		s.Done++
		if !d.done && d.told != nil {
			d.told()
		}
		d.done = true
	case errors.As(err, &refusal):
		s.Refused++
		if refusal.Code == pay.LedgerRefused {
			d.fail("refusal", "%s: %v", d.what, err)
		}
	case errors.As(err, &pending):
		s.Pending++
		d.maybe = true
	default:
		s.Unavailable++
	}
}

func (m *market) fail(invariant, format string, args ...any) { m.f.e.fail(invariant, format, args...) }

// heard takes an answer where it was asked for.
func (d *deal) heard(attempt int, err error) {
	var refusal *pay.Refusal
	d.f.e.note(uint64(len(d.what)), uint64(attempt))
	if d.over || d.attempt != attempt {
		return
	}
	if err == nil || errors.As(err, &refusal) && !d.stubborn {
		d.finish()
		return
	}
	d.attempt++
	again := d.attempt
	d.f.e.after(d.f.e.between(20*time.Millisecond, 300*time.Millisecond), func() {
		if d.attempt == again && !d.over {
			d.send()
		}
	})
}

func (d *deal) finish() {
	d.over = true
	if d.end != nil {
		d.end()
	}
}

// patron does one thing after the other, for anybody.
type patron struct {
	*market
	n    int
	busy int // deals that are not over
}

func (p *patron) next() {
	if p.f.closing && p.ready() {
		return
	}
	p.f.e.after(p.f.e.between(0, p.f.think), func() {
		if !p.ready() {
			p.next()
			return
		}
		if p.f.closing {
			return
		}
		if list := p.draw(); len(list) > 0 {
			p.start(list)
			return
		}
		p.next()
	})
}

// start begins some deals in the same instant.
func (p *patron) start(list []*deal) {
	p.busy = len(list)
	for _, d := range list {
		d.market, d.end = p.market, func() {
			if p.busy--; p.busy == 0 {
				p.next()
			}
		}
		d.begin()
	}
}

// unsettled says what has not come to its end yet. When nothing else is under way the days are settled, the last of all.
func (m *market) unsettled() string {
	if m == nil {
		return ""
	}
	for _, d := range m.deals {
		if !d.over {
			return "somebody waits for an answer: " + d.what
		}
	}
	if len(m.calls) > 0 {
		for _, c := range m.calls {
			if c.p.up && c.p.life == c.life {
				return fmt.Sprintf("%d calls are under way", len(m.calls))
			}
		}
	}
	if !m.ready() {
		return "the market has not opened"
	}
	if m.last {
		return ""
	}
	m.last = true
	for i := range m.stalls {
		for _, day := range []string{firstDay, secondDay} {
			d := m.settle(&m.stalls[i], day, m.now()+holdfast.Time(48*time.Hour))
			d.market, d.stubborn = m, true
			d.begin()
		}
	}
	return "the days are settled"
}

// random is some bytes for what has to be.
func (m *market) random() (b [pay.TokenBytes]byte) {
	binary.LittleEndian.PutUint64(b[:], m.f.e.rng.Uint64())
	return b
}

var background = context.Background()
