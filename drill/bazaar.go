package drill

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"holdfast"
	"holdfast/client"
)

// yuan is the currency of the drills of payments: the gateway knows no other, and the recorded orders are in pounds, so that each can be
// counted by itself.
var yuan = holdfast.MustAsset("CNY")

// business is what people do in a drill of payments, beside the load.
type business interface {
	// trade goes on until the context until ends, and returns when what it has begun has been answered.
	trade(ctx, until context.Context)
	// prove adds what it has found to the checks and findings of p. The error says that something could not be asked.
	prove(ctx context.Context, p *prover) error
	close() error
}

// bazaar is who buys and sells in a drill of payments: made through the API, as any operator would.
type bazaar struct {
	fleet   *fleet
	world   *world
	clock   func() time.Duration
	client  *client.Client // whose nearest site is the first
	sellers []*vendor
	buyers  []*shopper
	deeds   *deedBook
	faults  func() []Fault
	stalls  func() []Stall
	bound   time.Duration // the longest pause of a shard that passes
	length  time.Duration // of the load
	ease    float64       // how many times rarer everything is done than on a machine with usualCores to give

	mu   sync.Mutex
	next int // the buyer whose code is shown next
}

type vendor struct {
	owner    holdfast.Owner
	app      string // "": he has none
	key      string // of the app, PEM
	platform string // the key that answers are verified with, PEM
}

type shopper struct {
	owner   holdfast.Owner
	brought holdfast.Amount
	phones  []*phone
}

// phone shows codes. Each is good for one payment.
type phone struct {
	owner  holdfast.Owner
	secret []byte
	minute int64 // of the last code that was shown
}

// stall is how many of whom a bazaar has.
type stalls struct {
	sellers, apps, buyers, phones int
	money                         holdfast.Amount // of each buyer but the last, who has a penny
}

// words are who that is.
func (s *stalls) words() string {
	out := fmt.Sprintf("%s and %s", plural(s.sellers, "merchant"), plural(s.buyers, "customer"))
	if s.phones > 0 {
		out += " with their phones"
	}
	return out
}

const (
	// fee of every seller: 0.6 %.
	bazaarFee = 60
	// bazaarHands is how many calls make a bazaar at once.
	bazaarHands = 12
	bazaarTime  = time.Minute
	appKeyBits  = 2048
)

// newBazaar registers sellers, apps, buyers and phones, and gives every buyer money.
func newBazaar(ctx context.Context, r *run, s stalls) (_ *bazaar, err error) {
	ctx, cancel := context.WithTimeout(ctx, bazaarTime)
	defer cancel()
	c, err := r.fleet.connectFrom(0) // its own, because a client waits for a site for some times as long as its calls usually take
	if err != nil {
		return nil, err
	}
	m := &bazaar{fleet: r.fleet, world: r.world, clock: r.clock, client: c, deeds: &deedBook{}, faults: r.stage.history}
	m.stalls, m.bound, m.length, m.ease = r.metronome.stalls, r.scenario.Bound(r.o.RTT), r.o.Load, max(1, usualCores/r.o.Cores)
	for range s.sellers {
		m.sellers = append(m.sellers, &vendor{})
	}
	for i := range s.buyers {
		b := &shopper{brought: s.money}
		if i == s.buyers-1 {
			b.brought = 1
		}
		m.buyers = append(m.buyers, b)
	}
	r.view.say("registering " + s.words())
	if err := atOnce(len(m.sellers), func(i int) error { return m.register(ctx, m.sellers[i], i < s.apps) }); err != nil {
		return nil, fmt.Errorf("register merchants: %w", err)
	}
	if err := atOnce(len(m.buyers), func(i int) error { return m.welcome(ctx, m.buyers[i], s.phones) }); err != nil {
		return nil, fmt.Errorf("register customers: %w", err)
	}
	if err := m.fund(ctx); err != nil {
		return nil, fmt.Errorf("give customers money: %w", err)
	}
	return m, nil
}

// atOnce does something n times, some at a time.
func atOnce(n int, do func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for hand := range bazaarHands {
		wg.Go(func() {
			for i := hand; i < n; i += bazaarHands {
				errs[i] = do(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// pace is the distance between two things that people do, stretched where the machine has fewer cores to give.
func (m *bazaar) pace(every time.Duration) time.Duration {
	return time.Duration(m.ease * float64(every))
}

func (m *bazaar) issue(ctx context.Context) (o holdfast.Owner, err error) {
	return o, tillAnswered(ctx, func(ctx context.Context) (err error) { o, err = m.client.IssueOwner(ctx); return err })
}

func (m *bazaar) register(ctx context.Context, s *vendor, app bool) (err error) {
	if s.owner, err = m.issue(ctx); err != nil {
		return err
	}
	n := client.NewMerchant{
		ID: s.owner, Name: "Shop " + s.owner.String(), Zone: "Asia/Shanghai", Assets: []holdfast.Asset{yuan}, Fee: client.Fee{BasisPoints: bazaarFee},
	}
	if err = tillAnswered(ctx, func(ctx context.Context) error { _, err := m.client.RegisterMerchant(ctx, n); return err }); err != nil || !app {
		return err
	}
	key, err := rsa.GenerateKey(rand.Reader, appKeyBits)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	var made client.App
	err = tillAnswered(ctx, func(ctx context.Context) (err error) {
		made, err = m.client.PutApp(ctx, s.owner, client.AppChange{PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))})
		return err
	})
	if err != nil {
		return err
	}
	s.app, s.platform = made.ID, made.PlatformPublicKey
	s.key = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	return nil
}

func (m *bazaar) welcome(ctx context.Context, b *shopper, phones int) (err error) {
	if b.owner, err = m.issue(ctx); err != nil {
		return err
	}
	n := client.NewCustomer{ID: b.owner, Assets: []holdfast.Asset{yuan}}
	if err = tillAnswered(ctx, func(ctx context.Context) error { _, err := m.client.RegisterCustomer(ctx, n); return err }); err != nil {
		return err
	}
	for range phones {
		var secret []byte
		err := tillAnswered(ctx, func(ctx context.Context) (err error) { // one whose secret was never told is nobody's phone
			_, secret, err = m.client.AddDevice(ctx, b.owner)
			return err
		})
		if err != nil {
			return err
		}
		b.phones = append(b.phones, &phone{owner: b.owner, secret: secret})
	}
	return nil
}

// fund moves money into the wallets from an account of the drill in the shard of each.
func (m *bazaar) fund(ctx context.Context) error {
	mint := func(c *shardCast) holdfast.AccountID {
		return holdfast.AccountID{Owner: c.bank.Owner, Purpose: bank, Asset: yuan}
	}
	parts := map[*shardCast]*holdfast.Txn{}
	for _, b := range m.buyers {
		to := holdfast.AccountID{Owner: b.owner, Purpose: wallet, Asset: yuan}
		c := m.world.cast(to)
		t := parts[c]
		if t == nil {
			t = &holdfast.Txn{ID: m.client.NewID(), Accounts: []holdfast.AccountChange{open(mint(c), holdfast.LimitNone)}}
			parts[c] = t
		}
		t.Transfers = append(t.Transfers, holdfast.Transfer{
			ID: m.client.NewID(), Kind: holdfast.Immediate, Debit: mint(c), Credit: to, Amount: b.brought, Code: codeFunding,
		})
	}
	for _, t := range parts {
		out, err := m.client.Submit(ctx, *t)
		for undecided(out) && rest(ctx, pollPause) == nil {
			out, err = m.client.Submit(ctx, *t)
		}
		if out.Status != holdfast.Done {
			return errors.Join(fmt.Errorf("%s (%s)", out.Status, out.Code), err)
		}
	}
	return nil
}

// code is a fresh payment code of the next buyer whose phone has one, and whose it is: of this minute, or of the next one, which is taken
// as well. ok is false when every phone has shown both.
func (m *bazaar) code(now time.Time) (code string, of *shopper, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	minute := now.Unix() / 60
	for ahead := range int64(2) {
		for range m.buyers {
			b := m.buyers[m.next%len(m.buyers)]
			m.next++
			i := slices.IndexFunc(b.phones, func(p *phone) bool { return p.minute < minute+ahead })
			if i < 0 || b.brought == 1 {
				continue
			}
			p := b.phones[i]
			p.minute = max(minute, p.minute+1)
			return client.PaymentCode(b.owner, p.secret, time.Unix(p.minute*60, 0)), b, true
		}
	}
	return "", nil, false
}

// anyone is the n-th buyer who has money.
func (m *bazaar) anyone(n int) *shopper { return m.buyers[n%(len(m.buyers)-1)] }

// poor is the one who has none.
func (m *bazaar) poor() *shopper { return m.buyers[len(m.buyers)-1] }
