package drill

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"holdfast/site"
)

// The second account of the platform at the bank of a drill: customers bring their money there and take it home, in the currency of the bazaar. The
// other one is what merchants of the load are paid from.
const (
	counterAccount = "6222020000000000026"
	counterBank    = "counter"
	counterAsset   = "CNY"
	// What is paid to these comes to nothing: the bank refuses the one at once, and the other when it should be settled.
	refusedAccount = "REFUSED0000001"
	bouncedAccount = "BOUNCED0000001"
	// counterSlow is how long the bank takes for every question. One that answers at once has never kept anybody waiting, and it takes waiting to
	// measure how many orders it takes in a second.
	counterSlow = 400 * time.Millisecond
	counterPoll = time.Second
)

var bankScenarios = []Scenario{
	{
		Name: "bank-down", Story: "Customers withdraw and bring money; the bank is killed, later refuses everybody, and meanwhile the site that leads is cut off. Shops notice nothing.",
		Load: 30 * time.Second, least: 26 * time.Second, bound: failoverBound, stay: demoStay, play: playBankDown, commerce: true, counter: true, opens: openBankDown,
	},
	{
		Name: "bank-lies", Story: "The bank loses replies and requests, holds some back, answers twice and late; the site that leads is cut off; then its statements say something else.",
		Load: 22 * time.Second, least: 18 * time.Second, bound: failoverBound, stay: demoStay, play: playBankLies, commerce: true, counter: true, opens: openBankLies,
	},
}

// openCounter gives the bank of a fleet a second account, and the sites a second bank.
func (f *fleet) openCounter(configs []site.Config) {
	f.bank.proc.args = append(f.bank.proc.args, "--account", counterAccount+":"+counterAsset+":"+bankFloat)
	for i := range configs {
		configs[i].Banks = append(configs[i].Banks, site.Bank{
			Name: counterBank, URL: f.bank.url, Account: counterAccount, Initiator: "Holdfast drill", Asset: counterAsset,
			Late: site.Duration(bankLate), ClockStep: site.Duration(time.Second), Poll: site.Duration(counterPoll),
		})
	}
}

// counterFaults are how the bank of these drills is at its best, and what it is told besides.
func counterFaults(more map[string]any) map[string]any {
	all := map[string]any{
		"slow_ms": counterSlow.Milliseconds(), "reject": map[string]string{refusedAccount: "AC04"}, "bounce": map[string]string{bouncedAccount: "AC06"},
	}
	for name, value := range more {
		all[name] = value
	}
	return all
}

// lying is how the bank of bank-lies is while the load runs.
func lying(seed uint64) map[string]any {
	return counterFaults(map[string]any{
		"seed": seed, "lose_replies": 0.25, "lose_requests": 0.08, "hold": 0.06, "hold_ms": 3000, "twice": 0.3, "settle_ms": 700, "strict": true,
	})
}

// Where the bank is in the list of faults.
const (
	theBank    = "bank"
	bankKill   = "bank-kill"
	bankRefuse = "bank-refuse"
	bankLie    = "bank-lies"
)

// killBank ends the process of the bank, and starts it again when a share of the load has passed.
func (s *stage) killBank(ctx context.Context, share float64) error {
	b := s.fleet.bank
	pid := b.proc.pid()
	i := s.begin(bankKill, theBank)
	s.see(i, nil, func(x *sighting) { x.lives = []life{{name: "the bank", pid: pid}} })
	if err := b.proc.kill(); err != nil {
		return fmt.Errorf("kill the bank: %w", err)
	}
	if err := s.until(ctx, share); err != nil {
		return err
	}
	if err := b.proc.start(); err != nil {
		return fmt.Errorf("start the bank again: %w", err)
	}
	err := b.tell(ctx, http.MethodGet, "/control/state", nil, nil)
	s.healed(i)
	s.see(i, err, func(x *sighting) { x.lives[0].death, x.lives[0].next = b.proc.death(pid).how, b.proc.pid() })
	return nil
}

// misbehaves has the bank do wrong while something else happens. from and to are what it says of the fault before and then: what is seen of it.
func (s *stage) misbehaves(ctx context.Context, kind string, faults map[string]any, meanwhile func(context.Context) error) error {
	b := s.fleet.bank
	was, err := b.mood(ctx)
	if err != nil {
		return err
	}
	i := s.begin(kind, theBank)
	if err := b.misbehave(ctx, faults); err != nil {
		return err
	}
	is, err := b.mood(ctx)
	s.see(i, err, func(x *sighting) { x.was, x.must, x.is = was, "bad", is })
	err = meanwhile(ctx)
	err = errors.Join(err, b.misbehave(ctx, counterFaults(nil)))
	s.healed(i)
	return err
}

// mood is how the bank is to everybody who asks: "bad" when it loses or refuses anything.
func (b *testBank) mood(ctx context.Context) (string, error) {
	var f struct {
		Down        string  `json:"down"`
		LoseReplies float64 `json:"lose_replies"`
	}
	err := b.tell(ctx, http.MethodGet, "/control/faults", nil, &f)
	if f.Down != "" || f.LoseReplies > 0 {
		return "bad", err
	}
	return "good", err
}

func playBankDown(ctx context.Context, s *stage) error {
	if err := s.until(ctx, 0.2); err != nil {
		return err
	}
	if err := s.killBank(ctx, 0.4); err != nil {
		return err
	}
	if err := s.until(ctx, 0.7); err != nil { // until it has been asked again, and has paid what waited
		return err
	}
	return s.misbehaves(ctx, bankRefuse, counterFaults(map[string]any{"down": "refuse"}), func(ctx context.Context) error {
		if err := s.until(ctx, 0.75); err != nil {
			return err
		}
		if err := s.during(ctx, "site-cut", s.leader(ctx), 0.87, s.cut, s.heal); err != nil {
			return err
		}
		return s.until(ctx, 0.92)
	})
}

func playBankLies(ctx context.Context, s *stage) error {
	if err := s.until(ctx, 0.17); err != nil {
		return err
	}
	return s.misbehaves(ctx, bankLie, lying(s.rand.Uint64()>>11), func(ctx context.Context) error {
		if err := s.until(ctx, 0.4); err != nil {
			return err
		}
		if err := s.during(ctx, "site-cut", s.leader(ctx), 0.65, s.cut, s.heal); err != nil {
			return err
		}
		return s.until(ctx, 0.95)
	})
}
