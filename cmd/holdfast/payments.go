package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast"
	"holdfast/alipay"
	"holdfast/backoffice"
	"holdfast/bank"
	"holdfast/bank/exchange"
	"holdfast/bank/wire"
	"holdfast/checkout"
	"holdfast/desk"
	"holdfast/httpapi"
	"holdfast/pay"
	"holdfast/signin"
	"holdfast/site"
	"holdfast/webhook"
)

// payments is everything of a site that people pay with: the domain, and what faces merchants, buyers and banks. A nil one is none.
type payments struct {
	cashier *pay.Cashier
	desk    *desk.Desk
	gateway http.Handler // of Alipay's SDKs
	pages   http.Handler // on which buyers pay
	oneTap  *oneTap      // by one tap, when they have signed in
	bills   http.Handler
	porter  *signin.Porter
	api     *httpapi.Commerce
	office  *backoffice.Office

	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// newPayments makes the parts, or nil without [payments] keys. now is the clock of all of them: the time that the site believes, so that one whose clock is
// far ahead closes no merchant's day early. Nothing is started.
func newPayments(cfg *site.Config, s *site.Site, log *slog.Logger, now func() time.Time) (*payments, error) {
	if cfg.Payments.Keys == "" {
		return nil, nil
	}
	keys, err := readPaymentKeys(cfg.Payments.Keys)
	if err != nil {
		return nil, err
	}
	addresses, err := noticeAddresses(&cfg.Payments)
	if err != nil {
		return nil, err
	}
	p := &payments{}
	if p.cashier, err = newCashier(cfg, s, &keys, func(e *pay.Event) { p.office.Told(e) }); err != nil {
		return nil, err
	}
	s.OnReturned(func(ctx context.Context, t *holdfast.Txn) error {
		return p.cashier.Returned(ctx, t, holdfast.TimeOf(now()))
	})
	if p.desk, err = desk.New(desk.Config{Cashier: p.cashier, Public: publicAddress(cfg), Logger: log, Now: now}); err != nil {
		return nil, err
	}
	if p.gateway, err = alipay.New(alipay.Config{
		Desk: p.desk, Apps: p.desk, Key: keys.gateway, Now: now, Window: cfg.Payments.TimestampWindow.Std(), Observe: observer(s.Registry(), log),
	}); err != nil {
		return nil, err
	}
	p.bills = p.desk.BillHandler()
	if p.oneTap, err = newOneTap(cfg); err != nil {
		return nil, err
	}
	if p.pages, err = checkout.New(checkout.Config{
		Cashier: p.cashier, Return: p.desk.Return, Zone: p.cashier.Zone, Logger: log, Public: publicAddress(cfg), Now: now,
		Customers: p.oneTap, Origins: func() []string { return originsOf(cfg, s) },
	}); err != nil {
		return nil, err
	}
	if p.office, err = newOffice(cfg, s, p, addresses, log, now); err != nil {
		return nil, err
	}
	if p.porter, err = newPorter(cfg, s, p.cashier); err != nil {
		return nil, err
	}
	p.api = &httpapi.Commerce{
		Cashier: p.cashier, Porter: p.porter, Now: now, Endpoint: checkEndpoint(addresses), NewAppKey: desk.NewAppKey, Pages: publicAddress(cfg),
		Estimate: p.estimate, TopUpTo: topUpTo(cfg.Banks), Ordered: p.office.WakeBanks, Banks: p.banks, Difference: backoffice.DescribeCase,
		Audited: auditBooks{s.BooksHere()}, Here: s.BooksHere(),
	}
	return p, nil
}

// observer counts what the gateway answers, and logs why an outcome is not known: no caller is told.
func observer(registry prometheus.Registerer, log *slog.Logger) func(alipay.Event) {
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "holdfast_gateway_seconds", Help: "How long requests at the merchants' gateway took, by method and code of the answer.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	}, []string{"method", "code"})
	registry.MustRegister(took)
	return func(e alipay.Event) {
		took.WithLabelValues(e.Method, e.Code).Observe(e.Took.Seconds())
		level := slog.LevelDebug
		if e.Err != nil {
			level = slog.LevelWarn
		}
		if !log.Enabled(context.Background(), level) {
			return
		}
		log.Log(context.Background(), level, "gateway", "method", e.Method, "app", e.AppID, "v3", e.V3, "code", e.Code, "sub_code", e.Sub, "took", e.Took, "trace", e.Trace, "error", e.Err)
	}
}

// publicAddress is where browsers and merchants reach the fleet, without a slash at the end.
func publicAddress(cfg *site.Config) string {
	if cfg.Payments.Public != "" {
		return strings.TrimSuffix(cfg.Payments.Public, "/")
	}
	return localURL(cfg.HTTP.Listen)
}

// localURL is where this machine reaches an address that is listened on.
func localURL(listen string) string {
	host, port, _ := net.SplitHostPort(listen) // it is listened on
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // every address is none that could be in a link
	}
	return "http://" + net.JoinHostPort(host, port)
}

// platformOwner is the platform itself: the owner of its accounts at banks. Nobody else can get this number.
func platformOwner() holdfast.Owner {
	o, err := site.OwnerOf(0)
	if err != nil {
		panic(err) // a constant
	}
	return o
}

func newCashier(cfg *site.Config, s *site.Site, keys *paymentKeys, told func(*pay.Event)) (*pay.Cashier, error) {
	day, err := time.LoadLocation(cfg.Payments.Zone)
	if err != nil {
		return nil, fmt.Errorf("payments.zone: %w", err)
	}
	return pay.New(pay.Config{
		Books: s.Books(), AliasKey: keys.alias, CodeKey: keys.seal, Bank: platformOwner(), OwnerOf: site.OwnerOf, Day: day,
		Zone: zones(), Wait: waitForPending, Codes: pay.NewCodeTries(maphash.MakeSeed()), Told: told, Aside: aside(),
		ShipWithin: cfg.Payments.ShipWithin.Std(), FreezeFor: cfg.Payments.FreezeFor.Std(), LeastProtection: cfg.Payments.LeastProtection.Std(),
		TopUpWithin: cfg.Payments.TopUpWithin.Std(),
	})
}

// newPorter lets people in. Its keys come from those of payments: whoever has these has everything that people have.
func newPorter(cfg *site.Config, s *site.Site, cashier *pay.Cashier) (*signin.Porter, error) {
	c := &cfg.SignIn
	return signin.New(signin.Config{
		Books: s.Books(), Payments: cashier, Platform: platformOwner(), Key: cashier.DerivedKey("signing in"),
		Hashing: signin.Hashing{Memory: c.HashMemory, Passes: c.HashPasses, Threads: 1}, AtOnce: c.HashesAtOnce,
		Lives:     signin.Lives{Strict: c.StrictIdle.Std(), Idle: c.Idle.Std(), Most: c.Longest.Std(), Phone: c.PhoneLongest.Std(), PhoneIdle: c.PhoneIdle.Std()},
		Strangers: pay.NewTries(maphash.MakeSeed(), signin.PersonTries, signin.PersonEvery),
		Passkeys:  signin.Passkeys{RP: c.PasskeyDomain, Name: c.Name, Origins: c.Origins},
	})
}

// zones finds time zones and remembers them: reading one takes a file.
func zones() func(name string) (*time.Location, error) {
	var known sync.Map
	return func(name string) (*time.Location, error) {
		if z, ok := known.Load(name); ok {
			return z.(*time.Location), nil
		}
		z, err := time.LoadLocation(name)
		if err == nil {
			known.Store(name, z)
		}
		return z, err
	}
}

// asideMost is how many things are done aside at once; what would be one more is left. asideFor is how long each may take.
const (
	asideMost = 256
	asideFor  = 2 * time.Second
)

// aside does things beside the requests that they came from.
func aside() func(func(context.Context)) {
	running := make(chan struct{}, asideMost)
	return func(do func(context.Context)) {
		select {
		case running <- struct{}{}:
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), asideFor)
				defer func() { cancel(); <-running }()
				do(ctx)
			}()
		default:
		}
	}
}

// waitForPending passes a moment after try number n at a record that a payment under way has written. Such a payment takes a few round trips. Those
// who wait for one record come back at different moments.
func waitForPending(ctx context.Context, n int) error {
	const step = 5 * time.Millisecond
	pause := time.Duration(min(n, 8)) * step
	t := time.NewTimer(pause/2 + mathrand.N(pause))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// noticeAddresses says where notices and events may be posted to.
func noticeAddresses(p *site.Payments) (a webhook.Addresses, err error) {
	a.Plain = p.NotifyPlain
	for _, text := range p.NotifyNetworks {
		n, err := netip.ParsePrefix(text)
		if err != nil {
			return a, fmt.Errorf("payments.notify_networks: %w", err)
		}
		a.Allow = append(a.Allow, n)
	}
	return a, nil
}

func checkEndpoint(a webhook.Addresses) func(string) error {
	return func(text string) error {
		_, err := a.CheckURL(text)
		return err
	}
}

// noticeTimeout is how long a receiver of a notice or an event may take.
const noticeTimeout = 10 * time.Second

func newOffice(cfg *site.Config, s *site.Site, p *payments, addresses webhook.Addresses, log *slog.Logger, now func() time.Time) (*backoffice.Office, error) {
	c := backoffice.Config{
		Cashier: p.cashier, Books: s.Books(), Logger: log, Registry: s.Registry(), Now: now, Random: mathrand.Float64,
		Deliver: &backoffice.DeliverConfig{
			Poster: webhook.NewPoster(addresses, noticeTimeout, nil, time.Now), Pool: webhook.PoolConfig{Within: noticeTimeout},
			Notices: p.desk, Accepted: alipay.NoticeAccepted, Wait: alipay.NoticeWait,
		},
		Settle: &backoffice.SettleConfig{},
		Due:    &backoffice.DueConfig{},
		Audit:  &backoffice.AuditConfig{Books: auditBooks{s.BooksHere()}},
	}
	for i := range cfg.Banks {
		name := cfg.Banks[i].Name
		b, err := bankOf(&cfg.Banks[i], p.cashier, now, func(file, why string) { s.BankFileAside(name, file, why) })
		if err != nil {
			return nil, fmt.Errorf("bank %s: %w", name, err)
		}
		c.Banks = append(c.Banks, b)
	}
	return backoffice.New(c)
}

// topUpTo finds the account to which customers bring money: that of the first bank that has one in a currency.
func topUpTo(banks []site.Bank) func(holdfast.Asset) *httpapi.BankDetails {
	return func(asset holdfast.Asset) *httpapi.BankDetails {
		for i := range banks {
			if b := &banks[i]; b.Asset == asset.String() {
				return &httpapi.BankDetails{Bank: b.Name, Number: b.Account, Holder: b.Initiator}
			}
		}
		return nil
	}
}

// bankOf is a bank as it is configured. aside is told of files of the bank that cannot be taken.
func bankOf(c *site.Bank, cashier *pay.Cashier, now func() time.Time, aside func(file, why string)) (b backoffice.BankConfig, err error) {
	account, err := bank.ParseAccount(c.Account)
	if err != nil {
		return b, err
	}
	asset, err := holdfast.ParseAsset(c.Asset)
	if err != nil {
		return b, err
	}
	zone, err := cashier.Zone(c.Zone)
	if err != nil {
		return b, err
	}
	b = backoffice.BankConfig{
		Name: c.Name, Accounts: map[holdfast.Asset]bank.Account{asset: account}, Zone: zone, Poll: c.Poll.Std(), Rescan: c.Rescan.Std(),
	}
	terms := bank.Terms{Late: c.Late.Std(), Step: c.ClockStep.Std()}
	if c.Exchange != "" {
		files, err := exchange.New(exchange.Config{
			Dir: c.Exchange, Outbox: c.Outbox, Inbox: c.Inbox, Accounts: []bank.Account{account}, Initiator: c.Initiator, BIC: c.BIC, Terms: terms,
			Claim: claim(cashier, c.Name, now), Aside: aside,
		})
		if err != nil {
			return b, err
		}
		b.Connector, b.Deposits, b.Statement = files, files, files.Statement
	}
	if c.URL == "" {
		return b, nil
	}
	https, err := wire.Client(c.CA, c.Cert, c.Key)
	if err != nil {
		return b, err
	}
	online, err := wire.New(wire.Config{URL: c.URL, Client: https, Initiator: c.Initiator, BIC: c.BIC, Terms: terms})
	if err != nil {
		return b, err
	}
	b.Connector, b.Deposits = online, online
	if c.Exchange == "" {
		b.Statement = online.Statement
	}
	return b, nil
}

// claim makes sure that all sites exchange files with a bank in the same directory: the platform remembers its number when it first uses it.
func claim(cashier *pay.Cashier, name string, now func() time.Time) func(context.Context, int64) error {
	return func(ctx context.Context, number int64) error {
		for {
			m, err := cashier.Mark(ctx, "exchange-"+name)
			switch {
			case err != nil:
				return err
			case m.Version > 0 && len(m.Numbers) == 1 && m.Numbers[0] == number:
				return nil
			case m.Version > 0:
				return errors.New("this is not the directory in which this platform exchanges files with the bank: mount the same one at every site, " +
					"or an order could be handed over twice")
			}
			m.Numbers = []int64{number}
			if _, err := cashier.SetMark(ctx, &m, holdfast.TimeOf(now())); err != nil {
				return err
			}
		}
	}
}

// estimate says when a bank will have taken an order, as the back office sees it.
func (p *payments) estimate(ctx context.Context, b pay.BankOrder, o pay.Order) (out httpapi.PayoutEstimate, err error) {
	e, err := p.office.Estimate(ctx, b, o)
	if err != nil {
		return out, err
	}
	return httpapi.PayoutEstimate{
		Bank: e.Bank, Ahead: e.Ahead, Down: e.Down, Since: e.Since, Soonest: e.Soonest, Likely: e.Likely, Known: e.Known,
	}, nil
}

// banks says how the work with each bank is doing, as the back office sees it.
func (p *payments) banks(ctx context.Context) (list []httpapi.BankState, err error) {
	states, err := p.office.Banks(ctx)
	for i := range states {
		list = append(list, httpapi.BankState(states[i]))
	}
	return list, err
}

// over puts what people pay with beside the native API.
func (p *payments) over(api http.Handler) http.Handler {
	if p == nil {
		return api
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == "/gateway.do" || strings.HasPrefix(path, "/v3/"):
			p.gateway.ServeHTTP(w, r)
		case strings.HasPrefix(path, "/cashier/"), strings.HasPrefix(path, "/q/"):
			p.pages.ServeHTTP(w, r)
		case strings.HasPrefix(path, "/bills/"):
			p.bills.ServeHTTP(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	})
}

// start begins the work in the background, once the site takes requests.
func (p *payments) start() {
	if p == nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	p.stopped.Go(func() { p.office.Run(ctx) })
}

// closePages closes what the pages ask with, when no request is under way any more.
func (p *payments) closePages() {
	if p != nil {
		p.oneTap.close()
	}
}

// close ends the work in the background and waits for it.
func (p *payments) close() {
	if p == nil || p.stop == nil {
		return
	}
	p.stop()
	p.stopped.Wait()
}
