package street

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/retail"
)

// Config is what [Open] needs.
type Config struct {
	API  *client.Client // with an operator's key
	File string         // where the street keeps what it has made
	// Credit lets money come into the platform's account at the bank, with a text. The same key again is the same money.
	Credit func(ctx context.Context, key, text string, amount holdfast.Amount) error
	// Hook is an address of this machine where the merchants are told of events; "": they are told nowhere.
	Hook string
	// First is a merchant who is there already, and has the first place in the street.
	First holdfast.Owner
	// Regular is a customer who is there already, and buys on the days before: see [Street.Day]. 0: nobody.
	Regular holdfast.Owner
	// Now is the clock of the payments.
	Now func() time.Time
	// Customers is how many there are; 0: 24.
	Customers int
	// Fast is how many times faster than usual orders come, for tests; 0: once.
	Fast float64
}

// state is what the file says.
type state struct {
	Merchants []merchant `json:"merchants"`
	Customers []customer `json:"customers"`
	Next      int        `json:"next"` // the recorded event that is replayed next
}

type merchant struct {
	ID   holdfast.Owner `json:"id"`
	Hook string         `json:"hook,omitempty"` // id of the endpoint where they are told
}

type customer struct {
	ID     holdfast.Owner `json:"id"`
	Secret []byte         `json:"secret"` // of the phone
}

// Street is a street. [Street.Day] and [Street.Run] may not run at once.
type Street struct {
	cfg    Config
	trade  *retail.Trade
	state  state
	people []*person
	later  []errand
}

// person is a customer while the street is open.
type person struct {
	customer
	money  holdfast.Amount // about
	minute int64           // of the last code that was shown
}

// errand is something that is done when a later order comes.
type errand struct {
	at int // of the recorded events
	do func(context.Context) error
}

var yuan = holdfast.MustAsset("CNY")

// shops are the merchants of the street. The first is there already.
var shops = []struct {
	name, shop, till string
	account, holder  string // at the bank
	fee              client.Fee
	goods            []string
	share            int // of a hundred orders
}{
	{
		"", "lakeside", "till-1", "6222020000000000101", "West Lake Tea",
		client.Fee{},
		[]string{"龙井茶 Longjing, 50 g", "一壶茶 A pot of tea", "茉莉龙珠 Jasmine pearls, 100 g", "茶叶蛋 Tea eggs, six", "紫砂壶 A clay teapot"},
		40,
	},
	{
		"断桥书店 Broken Bridge Books", "bridge", "desk", "6222020000000000102", "Broken Bridge Books",
		client.Fee{BasisPoints: 60},
		[]string{"小说 A novel", "西湖明信片 Postcards of the lake", "杭州地图 A map of Hangzhou", "练习本 An exercise book"},
		20,
	},
	{
		"河坊街面馆 Hefang Street Noodles", "hefang", "counter", "6222020000000000103", "Hefang Street Noodles",
		client.Fee{BasisPoints: 38},
		[]string{"片儿川 Pian'erchuan noodles", "小笼包 Xiaolong buns", "藕粉 Lotus root starch"},
		20,
	},
	{
		"丝绸城围巾店 Silk Town Scarves", "silk-town", "till-1", "6222020000000000104", "Silk Town Scarves",
		client.Fee{BasisPoints: 60},
		[]string{"真丝围巾 A silk scarf", "折扇 A fan", "领带 A silk tie"},
		12,
	},
	{
		"钱塘自行车行 Qiantang Bicycles", "river", "till-1", "6222020000000000105", "Qiantang Bicycles",
		client.Fee{BasisPoints: 25, Fixed: 10},
		[]string{"租车一天 A day's hire", "换轮胎 A new tyre", "车铃 A bell"},
		8,
	},
}

const (
	usualCustomers = 24
	firstMoney     = 300_000 // fen, that each customer brings at first, and moreMoney when little is left
	moreMoney      = 200_000
	zone           = "Asia/Shanghai"
)

// Open makes the merchants and customers, unless an earlier start has. It waits for the bank, until the context ends.
func Open(ctx context.Context, cfg Config) (*Street, error) {
	if cfg.Customers == 0 {
		cfg.Customers = usualCustomers
	}
	if cfg.Fast == 0 {
		cfg.Fast = 1
	}
	s := &Street{cfg: cfg}
	text, err := os.ReadFile(cfg.File)
	if err == nil {
		err = json.Unmarshal(text, &s.state)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read what the street has made: %w", err)
	}
	if s.trade, err = retail.Load(); err != nil {
		return nil, err
	}
	if len(s.state.Merchants) == 0 || s.state.Merchants[0].ID != cfg.First {
		s.state = state{}
		if err := s.build(ctx); err != nil {
			return nil, err
		}
	}
	for _, c := range s.state.Customers {
		s.people = append(s.people, &person{customer: c})
	}
	if err := s.hang(ctx); err != nil {
		return nil, err
	}
	if err := s.purses(ctx); err != nil {
		return nil, err
	}
	return s, s.save()
}

// save writes the file as a whole: it has the secrets of phones.
func (s *Street) save() error {
	text, err := json.Marshal(&s.state)
	if err == nil {
		err = os.WriteFile(s.cfg.File+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(s.cfg.File+".new", s.cfg.File)
	}
	if err != nil {
		return fmt.Errorf("write what the street has made: %w", err)
	}
	return nil
}

// atOnce does something n times, a few at a time.
func atOnce(n int, do func(i int) error) error {
	const hands = 8
	errs := make([]error, n)
	var wg sync.WaitGroup
	for hand := range hands {
		wg.Go(func() {
			for i := hand; i < n; i += hands {
				errs[i] = do(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (s *Street) build(ctx context.Context) error {
	s.state.Merchants, s.state.Customers = make([]merchant, len(shops)), make([]customer, s.cfg.Customers)
	if err := atOnce(len(shops), func(i int) error { return s.settleIn(ctx, i) }); err != nil {
		return fmt.Errorf("register merchants: %w", err)
	}
	if err := atOnce(s.cfg.Customers, func(i int) error { return s.welcome(ctx, i) }); err != nil {
		return fmt.Errorf("register customers: %w", err)
	}
	return s.save()
}

func (s *Street) settleIn(ctx context.Context, i int) (err error) {
	c, shop, id := s.cfg.API, &shops[i], s.cfg.First
	if i > 0 {
		if id, err = c.IssueOwner(ctx); err != nil {
			return err
		}
		_, err = c.RegisterMerchant(ctx, client.NewMerchant{ID: id, Name: shop.name, Zone: zone, Assets: []holdfast.Asset{yuan}, Fee: shop.fee})
		if err != nil {
			return err
		}
		if _, err = c.PutShop(ctx, id, client.Shop{ID: shop.shop, Name: shop.name, Tills: []string{shop.till}}); err != nil {
			return err
		}
	}
	s.state.Merchants[i].ID = id
	_, err = c.PutBankAccount(ctx, client.OfMerchant, id, "", client.BankAccount{Number: shop.account, Holder: shop.holder})
	return err
}

// welcome registers a customer, unless one has the phone number already.
func (s *Street) welcome(ctx context.Context, i int) error {
	c, alias := s.cfg.API, fmt.Sprintf("+86 138 0000 1%03d", i)
	o, err := c.FindAlias(ctx, alias)
	if none, ok := errors.AsType[*client.Error](err); ok && none.Code == "alias-unknown" {
		if o, err = c.IssueOwner(ctx); err == nil {
			_, err = c.RegisterCustomer(ctx, client.NewCustomer{ID: o, Aliases: []string{alias}, Assets: []holdfast.Asset{yuan}})
		}
	}
	if err != nil {
		return err
	}
	v, err := c.Customer(ctx, o)
	for _, d := range v.Devices { // of a start whose file is gone
		if err == nil {
			_, err = c.RemoveDevice(ctx, o, d.Number)
		}
	}
	s.state.Customers[i].ID = o
	if err == nil {
		_, s.state.Customers[i].Secret, err = c.AddDevice(ctx, o)
	}
	return err
}

// hang lets the merchants be told at the address of this start.
func (s *Street) hang(ctx context.Context) error {
	if s.cfg.Hook == "" {
		return nil
	}
	for i := range s.state.Merchants {
		m := &s.state.Merchants[i]
		address := fmt.Sprintf("%s/%d", s.cfg.Hook, i)
		if m.Hook != "" {
			on := false
			_, err := s.cfg.API.ChangeWebhook(ctx, m.ID, m.Hook, client.WebhookChange{URL: &address, Disabled: &on})
			if err == nil {
				continue
			}
			if !client.IsNotFound(err) { // somebody may have taken it away
				return err
			}
		}
		v, _, err := s.cfg.API.CreateWebhook(ctx, m.ID, address)
		if err != nil {
			return fmt.Errorf("register a webhook: %w", err)
		}
		m.Hook = v.ID
	}
	return nil
}

// purses reads what everybody has, and lets those who have nothing bring money.
func (s *Street) purses(ctx context.Context) error {
	return atOnce(len(s.people), func(i int) error {
		p := s.people[i]
		w, err := s.cfg.API.Wallet(ctx, p.ID, yuan)
		if err != nil {
			return err
		}
		p.money = w.Available
		return s.bring(ctx, p, firstMoney/4, firstMoney, fmt.Sprintf("open-%d", s.state.Next))
	})
}

// bring lets a customer bring money from the bank when there is less than least, and waits until it is there.
func (s *Street) bring(ctx context.Context, p *person, least, amount holdfast.Amount, number string) error {
	if p.money >= least {
		return nil
	}
	t, err := s.cfg.API.AnnounceTopUp(ctx, p.ID, client.Money{Number: number, Asset: yuan, Amount: amount})
	if err == nil && t.Status != "done" {
		err = s.cfg.Credit(ctx, "street-"+t.Reference, t.Reference, amount)
	}
	for err == nil && t.Status != "done" {
		if err = rest(ctx, 50*time.Millisecond); err == nil {
			t, err = s.cfg.API.TopUp(ctx, p.ID, number)
		}
	}
	if err != nil {
		return fmt.Errorf("bring money: %w", err)
	}
	p.money += amount
	return nil
}

// rest waits, unless the context ends before.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
