package httpapi

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/fault"
	"holdfast/link"
	"holdfast/pay"
	"holdfast/proof"
	"holdfast/receipt"
	"holdfast/shard"
	"holdfast/signin"
	"holdfast/site"
)

// trio is three sites with two shards, people who pay, and the API of each site; their cables can be cut.
type trio struct {
	*testing.T
	net       *fault.Net
	authority []byte
	sites     []*site.Site
	commerce  []*Commerce
	urls      []string
	market    market // for signing in, through the first site

	alice, bob, shop holdfast.Owner // alice and bob are in the first shard, the shop is in the second
	seed             uint64
}

func newTrio(t *testing.T) *trio {
	t.Helper()
	f := &trio{T: t, net: fault.NewNet(time.Millisecond), alice: ownerIn(1, 1), bob: ownerIn(1, 2), shop: ownerIn(2, 1)}
	dir := t.TempDir()
	ca, err := link.NewCA("test", time.Now(), 72*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	f.authority = ca.Pair().Cert
	file := func(name string, n int) string { return filepath.Join(dir, fmt.Sprint(name, n)) }
	if err := os.WriteFile(file("ca", 0), f.authority, 0o600); err != nil {
		t.Fatal(err)
	}
	configs := make([]site.Config, 3)
	for i := range configs {
		n := i + 1
		pair, err := ca.NewSiteCert(holdfast.SiteID(n), time.Now(), 48*time.Hour)
		if err == nil {
			err = link.WritePair(file("cert", n), file("key", n), pair)
		}
		if err != nil {
			t.Fatal(err)
		}
		c := site.Embedded(file("data", n), "127.0.0.1:8080")
		c.Site, c.Name, c.Cluster, c.Shards = holdfast.SiteID(n), fmt.Sprint("site-", n), "test", 2
		c.Store.CacheBytes, c.Store.ReserveBytes = 8<<20, 1<<20
		c.Link = site.Link{Listen: []string{freeLoopback(t)}, CA: file("ca", 0), Cert: file("cert", n), Key: file("key", n)}
		configs[i] = c
	}
	for i := range configs {
		for j := range configs {
			if i == j {
				continue
			}
			address, err := f.net.Lay(fault.Route{From: configs[i].Site, To: configs[j].Site}, "", configs[j].Link.Listen[0])
			if err != nil {
				t.Fatal(err)
			}
			configs[i].Peers = append(configs[i].Peers, site.Peer{Site: configs[j].Site, Name: configs[j].Name, Addresses: []string{address}})
		}
	}
	t.Cleanup(func() {
		f.net.HealAll()
		for _, s := range f.sites {
			if err := s.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		}
		if err := f.net.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, c := range configs {
		f.open(c)
	}
	for i, s := range f.sites {
		f.until(fmt.Sprint("site ", i+1, " is ready"), func() bool { return s.Ready() == nil })
	}
	f.people()
	return f
}

// ownerIn is the nth owner number of a shard, of two.
func ownerIn(id holdfast.ShardID, n int) holdfast.Owner {
	for sequence := uint32(1); ; sequence++ {
		o := must(site.OwnerOf(sequence))
		if (o.Slot() >= holdfast.Slots/2) == (id == 2) {
			if n--; n == 0 {
				return o
			}
		}
	}
}

func freeLoopback(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (f *trio) open(c site.Config) {
	f.Helper()
	s, err := site.Open(c, site.Options{Version: "test", OnFatal: func(err error) { f.Errorf("site %d: %v", c.Site, err) }})
	if err == nil {
		err = s.Start(f.Context())
	}
	if err != nil {
		f.Fatal(err)
	}
	cashier := must(pay.New(pay.Config{
		Books: s.Books(), AliasKey: make([]byte, 32), CodeKey: make([]byte, 32), Bank: must(site.OwnerOf(0)), OwnerOf: site.OwnerOf, Day: time.UTC, Zone: time.LoadLocation,
		Wait: func(context.Context, int) error { time.Sleep(5 * time.Millisecond); return nil },
	}))
	commerce := &Commerce{Cashier: cashier, Here: s.BooksHere(), EvenWait: time.Microsecond}
	commerce.Porter = must(signin.New(signin.Config{
		Books: s.Books(), Payments: cashier, Platform: must(site.OwnerOf(0)), Key: cashier.DerivedKey("signing in"),
		Hashing: signin.Hashing{Memory: 8, Passes: 1, Threads: 1}, Strangers: pay.NewTries(maphash.MakeSeed(), signin.PersonTries, signin.PersonEvery),
	}))
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	signer := must(receipt.NewSigner(private, "test", c.Site, s.Signer(), time.Now()))
	server := httptest.NewServer(asDocumented(f.T, New(s, Options{
		Keys: testKeys, Payments: commerce, Signer: func() proof.Signer { return s.Signer() }, Receipts: func() *receipt.Signer { return signer },
	})))
	f.Cleanup(server.Close)
	f.sites, f.commerce, f.urls = append(f.sites, s), append(f.commerce, commerce), append(f.urls, server.URL)
}

func (f *trio) until(what string, ok func() bool) {
	f.Helper()
	for late := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(late) {
			f.Fatalf("after a minute still not: %s", what)
		}
	}
}

func (f *trio) people() {
	ctx, c := f.Context(), f.commerce[0].Cashier
	now := f.commerce[0].now
	if err := c.OpenBank(ctx, now(), cny); err != nil {
		f.Fatal(err)
	}
	must(c.RegisterMerchant(ctx, pay.MerchantAsk{Owner: f.shop, Name: "Tea House", Zone: "UTC", Assets: []holdfast.Asset{cny}}, now()))
	for _, o := range []holdfast.Owner{f.alice, f.bob} {
		must(c.RegisterCustomer(ctx, pay.CustomerAsk{Owner: o, Assets: []holdfast.Asset{cny}}, now()))
		must(c.TopUp(ctx, pay.TopUpAsk{Owner: o, Number: "start", Asset: cny, Amount: startMoney}, now()))
		must(c.ToppedUp(ctx, o, "start", "bank-start", now()))
	}
	f.market.commerce = f.commerce[0]
}

// at is a client of one site.
func (f *trio) at(n int, key string) *client.Client {
	f.Helper()
	return newClient(f.T, f.urls[n], key)
}

// buy has alice buy tea: the payment crosses to the second shard.
func (f *trio) buy(ctx context.Context, at int, number string) error {
	c := f.commerce[at]
	_, err := c.Cashier.PayNew(ctx, pay.TradeAsk{
		Merchant: f.shop, OutTradeNo: number, TradeOffer: pay.TradeOffer{Amount: 1250, Asset: cny, Mode: pay.Plain, Subject: "tea"},
	}, f.alice, c.now())
	return err
}

// receiptOf is the receipt of a customer with a number, as a site knows it; "": it knows none.
func (f *trio) receiptOf(at int, o holdfast.Owner, number string) string {
	list, _, err := f.commerce[at].Cashier.On(f.sites[at].BooksHere()).Lines(f.Context(), o, "", 100)
	if err != nil {
		return ""
	}
	for i := range list {
		if list[i].Number == number {
			return list[i].Name
		}
	}
	return ""
}

func (f *trio) leader(id holdfast.ShardID) (n int) {
	f.until("a leader that all agree on", func() bool {
		votes := map[holdfast.SiteID]int{}
		for _, s := range f.sites {
			for _, st := range s.Shards(f.Context()) {
				if st.Shard == id {
					votes[st.Leader]++
				}
			}
		}
		for who, count := range votes {
			if n = int(who) - 1; who != 0 && count == len(f.sites) {
				return true
			}
		}
		return false
	})
	return n
}

// quick asks within a second. A machine that is busy with something else is asked once more.
func (f *trio) quick(ask func() (client.Safety, error)) (v client.Safety) {
	f.Helper()
	var took time.Duration
	for range 3 {
		began := time.Now()
		var err error
		if v, err = ask(); err != nil {
			f.Fatal(err)
		}
		if took = time.Since(began); took < time.Second {
			return v
		}
	}
	f.Errorf("the answer took %v", took)
	return v
}

// says checks what a receipt proves to somebody who trusts the authority of the fleet.
func (f *trio) says(v *client.Safety) receipt.Finding {
	f.Helper()
	if v.Signed == nil {
		f.Errorf("no receipt comes with %+v", v)
		return receipt.Finding{}
	}
	got := receipt.Check(v.Signed, receipt.Trust{Authority: f.authority})
	if !got.Genuine || got.Verdict != v.Verdict {
		f.Errorf("the receipt says %q, and is broken: %q", got.Verdict, got.Broken)
	}
	return got
}

// TestAPaymentIsSafe asks every site of a fleet, when all is well and when little is.
func TestAPaymentIsSafe(t *testing.T) {
	t.Parallel()
	f := newTrio(t)
	ctx := t.Context()
	c := f.commerce[0]
	if err := f.buy(ctx, 0, "T-1"); err != nil {
		t.Fatal(err)
	}
	must(c.Cashier.Transfer(ctx, pay.TransferAsk{From: f.alice, Number: "n-1", To: f.bob, Asset: cny, Amount: 300, Text: "lunch"}, c.now()))
	must(c.Cashier.Create(ctx, pay.TradeAsk{Merchant: f.shop, OutTradeNo: "T-2", TradeOffer: pay.TradeOffer{Amount: 5, Asset: cny, Mode: pay.Plain, Subject: "cup"}}, c.now()))
	must(c.Cashier.Create(ctx, pay.TradeAsk{Merchant: f.shop, OutTradeNo: "T-3", TradeOffer: pay.TradeOffer{Amount: 5, Asset: cny, Mode: pay.Plain, Subject: "cup"}}, c.now()))
	must(c.Cashier.Close(ctx, f.shop, "T-3", c.now()))
	tea, lunch, got := f.receiptOf(0, f.alice, "T-1"), f.receiptOf(0, f.alice, "n-1"), f.receiptOf(0, f.bob, "n-1")
	token, other := f.market.newSession(f.alice), f.market.newSession(f.bob)

	f.everywhere(tea, lunch, got)
	f.nobodyElse(tea, other)
	f.undecided()
	f.alone(tea, token)
}

// everywhere asks every site while all is well.
func (f *trio) everywhere(tea, lunch, got string) {
	for n := range f.sites {
		c := f.at(n, operatorKey)
		for _, row := range []struct {
			what   string
			ask    func() (client.Safety, error)
			role   string
			shard  holdfast.ShardID
			amount holdfast.Amount
		}{
			{"tea, of the buyer", func() (client.Safety, error) { return c.Safety(f.Context(), f.alice, tea) }, receipt.RoleLanded, 2, -1250},
			{"tea, of the shop", func() (client.Safety, error) { return c.TradeSafety(f.Context(), f.shop, "T-1") }, receipt.RoleLanded, 2, 1250},
			{"lunch, of the payer", func() (client.Safety, error) { return c.Safety(f.Context(), f.alice, lunch) }, receipt.RolePaid, 1, -300},
			{"lunch, of the payee", func() (client.Safety, error) { return c.Safety(f.Context(), f.bob, got) }, receipt.RolePaid, 1, 300},
		} {
			var v client.Safety
			f.until("all sites have "+row.what, func() bool {
				v = f.quick(row.ask)
				return v.Holding == 3
			})
			if v.Verdict != client.SafetySafe || v.Contents.Amount != row.amount || v.Entry.Role != row.role || v.Entry.Shard != row.shard || v.Voters != 3 || int(v.Site) != n+1 || v.AskAgainMS != 0 {
				f.Errorf("%s, at site %d: %+v %+v %+v", row.what, n+1, v, v.Contents, v.Entry)
			}
			if proof := f.says(&v); !proof.Proved || len(proof.Keys) != 3 {
				f.Errorf("%s, at site %d: the receipt does not prove it: %q %q", row.what, n+1, proof.Shown, proof.Open)
			}
		}
		if v := f.known(func() (client.Safety, error) { return c.TradeSafety(f.Context(), f.shop, "T-2") }); v.Verdict != client.SafetyUnknown || v.Reason != reasonNotPaid || v.Signed != nil || v.AskAgainMS == 0 {
			f.Errorf("a trade that nobody has paid: %+v", v)
		}
		if v := f.known(func() (client.Safety, error) { return c.TradeSafety(f.Context(), f.shop, "T-3") }); v.Verdict != client.SafetyNotExecuted || v.Reason != reasonClosed || !f.says(&v).Proved {
			f.Errorf("a trade that was closed: %+v", v)
		}
		for _, ask := range []func() (client.Safety, error){
			func() (client.Safety, error) {
				return c.Safety(f.Context(), f.alice, "0000000000000000-0000000000000000")
			},
			func() (client.Safety, error) { return c.Safety(f.Context(), f.alice, "x") },
			func() (client.Safety, error) { return c.TradeSafety(f.Context(), f.shop, "T-9") },
			func() (client.Safety, error) { return c.TxnSafety(f.Context(), c.NewID()) },
		} {
			if _, err := again(ask); !client.IsNotFound(err) {
				f.Errorf("what was never there: %v", err)
			}
		}
		f.keysAt(n)
	}
}

// again asks until a majority has been heard: a machine with much to do does not bring it together in time.
func again(ask func() (client.Safety, error)) (v client.Safety, err error) {
	for range 50 {
		if v, err = ask(); err != nil || v.Reason != reasonNoMajority {
			return v, err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return v, err
}

// known is again for what has an answer.
func (f *trio) known(ask func() (client.Safety, error)) (v client.Safety) {
	f.Helper()
	f.until("a majority is heard in time", func() bool {
		v = f.quick(ask)
		return v.Reason != reasonNoMajority
	})
	return v
}

// keysAt takes the keys from a site, and a receipt from another.
func (f *trio) keysAt(n int) {
	text, err := f.at(n, "").ReceiptKeys(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	keys, err := receipt.ReadKeys(text)
	v := must(f.at((n+1)%3, operatorKey).TradeSafety(f.Context(), f.shop, "T-1"))
	if err != nil || len(keys) != 3 || !receipt.Check(v.Signed, receipt.Trust{Keys: keys}).Proved {
		f.Errorf("the keys that site %d knows: %s, %v", n+1, text, err)
	}
}

// nobodyElse asks about what is somebody else's.
func (f *trio) nobodyElse(tea, other string) {
	for _, err := range []error{
		only(f.at(0, other).Safety(f.Context(), f.alice, tea)), only(f.at(0, other).TradeSafety(f.Context(), f.shop, "T-1")),
		only(f.at(0, other).TxnSafety(f.Context(), holdfast.ID{1})), only(f.at(0, "hfm_x").Safety(f.Context(), f.alice, tea)),
	} {
		if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != 403 && e.Status != 401 {
			f.Errorf("somebody else was answered: %v", err)
		}
	}
	if v, err := f.at(0, other).Safety(f.Context(), f.bob, tea); !client.IsNotFound(err) {
		f.Errorf("alice's receipt under bob's name: %+v %v", v, err)
	}
}

// undecided asks while a payment is held for the other shard, which has no leader at this moment; and about one that is in the log of a leader
// who is cut off. Neither may be called safe, or failed.
func (f *trio) undecided() {
	seen := map[string]bool{}
	for round := 0; round < 5 && !(seen[client.SafetyUnderWay] && seen[client.SafetyHeld]); round++ {
		home, away := f.leader(1), f.leader(2)
		if home == away {
			if err := f.sites[away].MoveLeader(f.Context(), 2, holdfast.SiteID((away+1)%3+1)); err != nil {
				f.Fatal(err)
			}
			f.until("the second shard is led elsewhere", func() bool { away = f.leader(2); return away != home })
		}
		number := fmt.Sprint("U-", round)
		f.net.CutSite(holdfast.SiteID(away + 1))

		// In the log of the leader that is cut off, and nowhere else.
		lost := f.transfer(2)
		go func() { _, _ = f.sites[away].Submit(f.Context(), []holdfast.Txn{lost}, false) }()
		tries := 0
		f.until("the leader that is cut off has it in its log, or has taken nothing", func() bool {
			v, err := f.at(away, operatorKey).TxnSafety(f.Context(), lost.ID)
			if err != nil || v.Verdict == client.SafetySafe || v.Verdict == client.SafetyNotExecuted {
				f.Errorf("of what is in one log alone: %+v %v", v, err)
				return true
			}
			seen[v.Verdict] = true
			if v.Verdict == client.SafetyHeld && (v.Holding != 1 || f.says(&v).Proved) {
				f.Errorf("of what is in one log alone: %+v", v)
			}
			tries++
			return v.Verdict == client.SafetyHeld || tries == 4
		})

		// Departed, while the other shard has no leader.
		paid := make(chan error, 1)
		go func() { paid <- f.buy(f.Context(), home, number) }()
		name := ""
		f.until("the payment has departed", func() bool { name = f.receiptOf(home, f.alice, number); return name != "" })
		f.until("the payment has arrived", func() bool {
			v, err := f.at(home, operatorKey).Safety(f.Context(), f.alice, name)
			if err != nil || v.Verdict != client.SafetySafe && v.Verdict != client.SafetyUnderWay {
				f.Errorf("of a payment under way: %+v %v", v, err)
				return true
			}
			if seen[v.Verdict] = true; v.Verdict == client.SafetyUnderWay && (v.Entry.Role != receipt.RoleDeparted || f.says(&v).Proved) {
				f.Errorf("of a payment under way: %+v", v)
			}
			return v.Verdict == client.SafetySafe
		})
		if err := <-paid; err != nil {
			f.Errorf("the payment was made, and its caller was told %v", err)
		}
		// The site that is cut off does not know of it, and says so.
		if v := f.quick(func() (client.Safety, error) { return f.at(away, operatorKey).Safety(f.Context(), f.alice, name) }); v.Verdict == client.SafetySafe || v.Verdict == client.SafetyNotExecuted || v.AskAgainMS == 0 {
			f.Errorf("of a payment that it has not heard of: %+v", v)
		}
		f.net.HealAll()
		f.until("all are ready", func() bool {
			return !slices.ContainsFunc(f.sites, func(s *site.Site) bool { return s.Ready() != nil })
		})
	}
	if !seen[client.SafetyUnderWay] || !seen[client.SafetyHeld] {
		f.Errorf("of undecided payments only %v was seen", seen)
	}
}

// transfer is a payment within a shard, from the bank's account there.
func (f *trio) transfer(id holdfast.ShardID) holdfast.Txn {
	f.seed++
	id16 := holdfast.NewID(holdfast.TimeOf(time.Now()), [10]byte{byte(id), byte(f.seed)})
	return holdfast.Txn{ID: id16, Accounts: []holdfast.AccountChange{{
		Op: holdfast.OpenAccount, ID: holdfast.AccountID{Owner: must(holdfast.NewOwner(uint32(100+f.seed), 900)), Purpose: holdfast.MustPurpose("wallet"), Asset: cny},
	}}}
}

// alone stops two of the sites: the third answers with what it knows.
func (f *trio) alone(tea, token string) {
	left := 2
	f.until("the last site has everything", func() bool {
		for id := range holdfast.ShardID(2) {
			var here, there uint64
			for n, at := range map[int]*uint64{left: &here, f.leader(id + 1): &there} {
				if err := f.sites[n].Read(f.Context(), id+1, shard.Stale, func(v *shard.View) error { *at, _ = v.Applied(); return nil }); err != nil {
					f.Fatal(err)
				}
			}
			if here < there {
				return false
			}
		}
		return true
	})
	f.net.CutSite(holdfast.SiteID(left + 1)) // from here on there are two sites that say nothing
	for range 2 {                            // before it has noticed, and after
		v := f.quick(func() (client.Safety, error) { return f.at(left, token).Safety(f.Context(), f.alice, tea) })
		if v.Verdict != client.SafetySafe || v.Holding != 1 || v.Sites[0].Answered || !v.Sites[left].Signed {
			f.Errorf("alone: %+v", v)
		}
		if got := f.says(&v); got.Proved || len(got.Open) == 0 {
			f.Errorf("one signature of three was taken for a proof: %q", got.Shown)
		}
		if v := f.quick(func() (client.Safety, error) {
			return f.at(left, operatorKey).Safety(f.Context(), f.alice, "0000000000000000-0000000000000000")
		}); v.Verdict != client.SafetyUnknown || v.Reason != reasonNoMajority || v.AskAgainMS == 0 || v.Signed != nil {
			f.Errorf("of what nobody here knows, alone: %+v", v)
		}
		if v := f.quick(func() (client.Safety, error) { return f.at(left, operatorKey).TradeSafety(f.Context(), f.shop, "T-2") }); v.Verdict != client.SafetyUnknown {
			f.Errorf("a trade that nobody has paid, alone: %+v", v)
		}
		f.until("it has noticed", func() bool { return f.sites[left].Ready() != nil })
	}
	if _, err := f.at(left, "hfs_nobody").Safety(f.Context(), f.alice, tea); err == nil {
		f.Error("a session that is none was answered")
	}
}

// TestSitesThatContradictEachOther: two final words about one payment are told as what they are.
func TestSitesThatContradictEachOther(t *testing.T) {
	contents := json.RawMessage(`{}`)
	of := func(site holdfast.SiteID, state, verdict, reason string, index uint64) testimony {
		return testimony{
			Site: site, State: state, Verdict: verdict, Reason: reason, Contents: contents, Entry: receipt.Entry{Shard: 1, Index: index}, Voters: []holdfast.SiteID{1, 2, 3},
		}
	}
	missing := testimony{State: receipt.Missing, Verdict: receipt.Unknown, Reason: reasonNotHere}
	for name, row := range map[string]struct {
		heard   []testimony
		verdict string
		reason  string
		holding int
	}{
		"nobody":                     {nil, receipt.Unknown, reasonNotHere, 0},
		"nobody knows":               {[]testimony{missing}, receipt.Unknown, reasonNotHere, 0},
		"one is behind":              {[]testimony{of(1, receipt.Applied, receipt.UnderWay, reasonOnItsWay, 5), of(2, receipt.Applied, receipt.Safe, reasonCommitted, 7)}, receipt.Safe, reasonCommitted, 1},
		"on many disks, not known":   {[]testimony{of(1, receipt.Logged, receipt.Held, reasonInLog, 5), of(2, receipt.Logged, receipt.Held, reasonInLog, 5), of(3, receipt.Logged, receipt.Held, reasonInLog, 5)}, receipt.Held, reasonInLog, 3},
		"one knows, one has it":      {[]testimony{of(1, receipt.Logged, receipt.Held, reasonInLog, 5), of(2, receipt.Applied, receipt.Safe, reasonCommitted, 5)}, receipt.Safe, reasonCommitted, 2},
		"another entry is no copy":   {[]testimony{of(1, receipt.Logged, receipt.Held, reasonInLog, 6), of(2, receipt.Applied, receipt.Safe, reasonCommitted, 5)}, receipt.Safe, reasonCommitted, 1},
		"safe and refused":           {[]testimony{of(1, receipt.Applied, receipt.Safe, reasonCommitted, 5), of(2, receipt.Applied, receipt.NotExecuted, reasonRefused, 6)}, receipt.Unknown, reasonDiffer, 0},
		"who cannot look":            {[]testimony{{Site: 1, Failed: "x", State: receipt.Applied, Verdict: receipt.Safe}}, receipt.Unknown, reasonNotHere, 0},
		"a trade that waits":         {[]testimony{{Site: 1, State: receipt.Missing, Verdict: receipt.Unknown, Reason: reasonNotPaid}, missing}, receipt.Unknown, reasonNotPaid, 0},
		"of two entries, the fuller": {[]testimony{of(1, receipt.Applied, receipt.Safe, reasonCommitted, 4), of(2, receipt.Applied, receipt.Safe, reasonCommitted, 5), of(3, receipt.Applied, receipt.Safe, reasonCommitted, 5)}, receipt.Safe, reasonCommitted, 2},
	} {
		c := &council{}
		for _, h := range row.heard {
			c.add(h, false)
		}
		c.judge()
		if c.best.Verdict != row.verdict || c.best.Reason != row.reason || c.holding(&c.best) != row.holding {
			t.Errorf("%s: %s, %s, %d", name, c.best.Verdict, c.best.Reason, c.holding(&c.best))
		}
	}
}
