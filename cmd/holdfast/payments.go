package main

import (
	"context"
	"crypto/rand"
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
	bills   http.Handler
	porter  *signin.Porter
	api     *httpapi.Commerce
	office  *backoffice.Office

	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// newPayments makes the parts, or nil without [payments] keys. now is the clock of all of them. Nothing is started.
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
	if p.desk, err = desk.New(desk.Config{Cashier: p.cashier, Public: publicAddress(cfg), Logger: log, Random: rand.Reader, Now: now}); err != nil {
		return nil, err
	}
	if p.gateway, err = alipay.New(alipay.Config{
		Desk: p.desk, Apps: p.desk, Key: keys.gateway, Now: now, Window: cfg.Payments.TimestampWindow.Std(), Observe: observer(s.Registry(), log),
	}); err != nil {
		return nil, err
	}
	p.bills = p.desk.BillHandler()
	if p.pages, err = checkout.New(checkout.Config{
		Cashier: p.cashier, Return: p.desk.Return, Zone: p.cashier.Zone, Logger: log, Public: publicAddress(cfg), Now: now,
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
		Estimate: p.estimate,
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
		log.Log(context.Background(), level, "gateway", "method", e.Method, "app", e.AppID, "v3", e.V3, "code", e.Code, "sub_code", e.Sub, "took", e.Took, "trace", e.Trace, "error", e.Err)
	}
}

// publicAddress is where browsers and merchants reach the fleet, without a slash at the end.
func publicAddress(cfg *site.Config) string {
	if cfg.Payments.Public != "" {
		return strings.TrimSuffix(cfg.Payments.Public, "/")
	}
	host, port, _ := net.SplitHostPort(cfg.HTTP.Listen) // it is listened on
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
		Zone: zones(), Wait: waitForPending, Told: told,
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

// waitForPending passes a moment before try number n at a record that a payment under way has written. Such a payment takes a few round trips.
func waitForPending(ctx context.Context, n int) error {
	const step = 5 * time.Millisecond
	t := time.NewTimer(time.Duration(n) * step)
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
	}
	for i := range cfg.Banks {
		b, err := bankOf(&cfg.Banks[i], p.cashier)
		if err != nil {
			return nil, fmt.Errorf("bank %s: %w", cfg.Banks[i].Name, err)
		}
		c.Banks = append(c.Banks, b)
	}
	return backoffice.New(c)
}

// bankOf is a bank as it is configured.
func bankOf(c *site.Bank, cashier *pay.Cashier) (b backoffice.BankConfig, err error) {
	https, err := wire.Client(c.CA, c.Cert, c.Key)
	if err != nil {
		return b, err
	}
	connector, err := wire.New(wire.Config{
		URL: c.URL, Client: https, Initiator: c.Initiator, BIC: c.BIC, Terms: bank.Terms{Late: c.Late.Std(), Step: c.ClockStep.Std()},
	})
	if err != nil {
		return b, err
	}
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
	return backoffice.BankConfig{
		Name: c.Name, Connector: connector, Deposits: connector, Statement: connector.Statement,
		Accounts: map[holdfast.Asset]bank.Account{asset: account}, Zone: zone, Poll: c.Poll.Std(), Rescan: c.Rescan.Std(),
	}, nil
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

// close ends the work in the background and waits for it.
func (p *payments) close() {
	if p == nil || p.stop == nil {
		return
	}
	p.stop()
	p.stopped.Wait()
}
