package httpapi

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/guard"
	"holdfast/pay"
	"holdfast/pay/paytest"
	"holdfast/signin"
	"holdfast/signin/signintest"
)

const goodPassword = "seven rivers of tea"

// seeds are fresh ones.
func (m *market) seed() (s signin.Seed) {
	m.seeds++
	binary.BigEndian.PutUint64(s[:], m.seeds)
	return s
}

// newSession signs a customer in.
func (m *market) newSession(o holdfast.Owner) string {
	token, _, err := m.commerce.Porter.InviteCustomer(context.Background(), o, m.seed(), m.commerce.now())
	if err != nil {
		panic(err)
	}
	return must(m.commerce.Porter.Accept(context.Background(), token, "", goodPassword, signin.How{}, m.seed(), m.commerce.now())).Token
}

// session signs a person in.
func (m *market) session(p signin.Person) string {
	token, _, err := m.commerce.Porter.Invite(context.Background(), p.Who, m.seed(), m.commerce.now())
	if err != nil {
		panic(err)
	}
	return must(m.commerce.Porter.Accept(context.Background(), token, "", goodPassword, signin.How{}, m.seed(), m.commerce.now())).Token
}

func (m *market) staff(o holdfast.Owner, right signin.Right) signin.Person {
	return must(m.commerce.Porter.AddStaff(context.Background(), signin.StaffAsk{
		Merchant: o, Login: fmt.Sprintf("%s.%s@tea.example", right, o), Name: "Li Na", Right: right,
	}, m.commerce.now()))
}

func TestSessionsFromClientToBooks(t *testing.T) {
	s := newStall(t)
	ctx, c, anybody := s.ctx, s.c, newClient(t, s.url, "")
	token, until, err := c.InviteCustomer(ctx, s.alice)
	if s.need(err); until.Sub(marketOpens) < 23*time.Hour {
		t.Errorf("until %v", until)
	}
	who, err := anybody.Invitation(ctx, token)
	if s.need(err); who.As != "customer" || who.Customer != s.alice || who.PasswordShortest != 8 {
		t.Errorf("%+v", who)
	}
	s.refused("password-is-own", only(anybody.AcceptInvitation(ctx, client.Acceptance{Invitation: token, Login: "alice@example.com", Password: "alice@example.com"})))
	s.refused("password-too-common", only(anybody.AcceptInvitation(ctx, client.Acceptance{Invitation: token, Password: "password1"})))
	first, err := anybody.AcceptInvitation(ctx, client.Acceptance{Invitation: token, Login: "alice@example.com", Password: goodPassword})
	if s.need(err); first.As != "customer" || first.Customer != s.alice || !first.Session.Current || first.Device == "" {
		t.Errorf("%+v", first)
	}
	s.refused("invitation-unknown", only(anybody.AcceptInvitation(ctx, client.Acceptance{Invitation: token, Password: goodPassword})))
	in := client.Credentials{As: "customer", Login: "alice@example.com", Password: goodPassword, How: client.How{Label: "Firefox", Phone: true, Device: first.Device}}
	second, err := anybody.SignIn(ctx, in)
	if s.need(err); second.Session.By != "password" || second.Session.Until.Sub(marketOpens) < 29*24*time.Hour || second.Device != first.Device {
		t.Errorf("%+v", second)
	}
	for _, wrong := range []client.Credentials{{As: "customer", Login: "alice@example.com", Password: "x"}, {As: "customer", Login: "nobody@example.com", Password: "x"}, {As: "operator", Login: "root", Password: "x"}} {
		s.refused("login-wrong", only(anybody.SignIn(ctx, wrong)))
	}
	s.refused("malformed", only(anybody.SignIn(ctx, client.Credentials{As: "king", Login: "x", Password: "x"})))
	mine := newClient(t, s.url, second.Token)
	list, err := mine.Sessions(ctx)
	if s.need(err); len(list) != 2 || list[0].Current || !list[1].Current || list[1].Label != "Firefox" {
		t.Errorf("%+v", list)
	}
	me, err := mine.WhoAmI(ctx)
	if s.need(err); me.Customer != s.alice || me.Session.ID != second.Session.ID || me.PasswordSince.IsZero() {
		t.Errorf("%+v", me)
	}
	if w, err := mine.Wallet(ctx, s.alice, cny); err != nil || w.Available != startMoney {
		t.Errorf("%+v %v", w, err)
	}
	s.refused("forbidden", only(mine.Wallet(ctx, s.bob, cny)))
	lost := newClient(t, s.url, first.Token)
	s.need(only(lost.WhoAmI(ctx)))
	s.refused("login-wrong", only(mine.ChangePassword(ctx, "x", "nine mountains of rice")))
	s.need(only(mine.ChangePassword(ctx, goodPassword, "nine mountains of rice")))
	s.refused("not-signed-in", only(lost.WhoAmI(ctx))) // at once at this site
	s.refused("last-way-in", only(mine.RemovePassword(ctx)))

	// A passkey.
	key := &signintest.Authenticator{Origin: "https://pay.example"}
	begun, err := mine.BeginPasskey(ctx)
	s.need(err)
	k, err := mine.AddPasskey(ctx, begun.State, must(key.Create(begun.Options)), "phone")
	if s.need(err); k.Name != "phone" || k.Synced {
		t.Errorf("%+v", k)
	}
	c2, err := anybody.BeginPasskeySignIn(ctx)
	s.need(err)
	third, err := anybody.SignInByPasskey(ctx, c2.State, must(key.Get(c2.Options)), client.How{})
	if s.need(err); third.Customer != s.alice || third.Session.By != "passkey" {
		t.Errorf("%+v", third)
	}
	s.need(only(mine.NamePasskey(ctx, k.ID, "old phone")))
	mine = newClient(t, s.url, third.Token)
	if me, err = mine.RemovePassword(ctx); err != nil || !me.PasswordSince.IsZero() || len(me.Passkeys) != 1 || me.Passkeys[0].Name != "old phone" {
		t.Errorf("%+v %v", me, err)
	}
	s.refused("last-way-in", only(mine.RemovePasskey(ctx, k.ID)))
	s.need(only(mine.ChangePassword(ctx, "", goodPassword)))
	if left, err := mine.RemovePasskey(ctx, k.ID); err != nil || len(left) != 0 {
		t.Errorf("%+v %v", left, err)
	}
	s.need(mine.SignOut(ctx))
	s.refused("not-signed-in", only(mine.WhoAmI(ctx)))
	fourth, err := anybody.SignIn(ctx, in)
	s.need(err)
	s.need(c.SignOutCustomer(ctx, s.alice))
	s.refused("not-signed-in", only(newClient(t, s.url, fourth.Token).WhoAmI(ctx)))
}

func TestPeopleFromClientToBooks(t *testing.T) {
	s := newStall(t)
	ctx, c, anybody := s.ctx, s.c, newClient(t, s.url, "")
	lina, err := c.AddPerson(ctx, s.merchant, client.NewPerson{Login: "lina@tea.example", Name: "Li Na", Right: "manage"})
	if s.need(err); lina.Login != "l***@tea.example" || lina.Right != "manage" || lina.Password {
		t.Errorf("%+v", lina)
	}
	token, _, err := c.InvitePerson(ctx, s.merchant, lina.ID)
	s.need(err)
	s.refused("password-too-short", only(anybody.AcceptInvitation(ctx, client.Acceptance{Invitation: token, Password: "teatime ok"})))
	in, err := anybody.AcceptInvitation(ctx, client.Acceptance{Invitation: token, Password: goodPassword})
	if s.need(err); in.Merchant != s.merchant || in.Right != "manage" || in.Person != lina.ID {
		t.Errorf("%+v", in)
	}
	manager := newClient(t, s.url, in.Token)
	bo, err := manager.AddPerson(ctx, s.merchant, client.NewPerson{Login: "bo@tea.example", Right: "look"})
	s.need(err)
	if _, err := manager.SetPerson(ctx, s.merchant, bo.ID, "Bo", "work"); err != nil {
		t.Error(err)
	}
	list, err := manager.People(ctx, s.merchant)
	if s.need(err); len(list) != 2 {
		t.Errorf("%+v", list)
	}
	token, _, err = manager.InvitePerson(ctx, s.merchant, bo.ID)
	s.need(err)
	worker, err := anybody.AcceptInvitation(ctx, client.Acceptance{Invitation: token, Login: "bo@tea.example", Password: goodPassword})
	s.need(err)
	s.refused("forbidden", only(newClient(t, s.url, worker.Token).People(ctx, s.merchant)))
	s.need(only(newClient(t, s.url, worker.Token).CreateTrade(ctx, s.sale("S-1", 100))))
	s.need(manager.SignOutPerson(ctx, s.merchant, bo.ID))
	s.refused("not-signed-in", only(newClient(t, s.url, worker.Token).WhoAmI(ctx)))
	if list, err = manager.RemovePerson(ctx, s.merchant, bo.ID); err != nil || len(list) != 1 {
		t.Errorf("%+v %v", list, err)
	}

	wei, err := c.AddOperator(ctx, "wei", "operator")
	if s.need(err); wei.ID != "wei" || wei.Role != "operator" {
		t.Errorf("%+v", wei)
	}
	token, _, err = c.InviteOperator(ctx, "wei")
	s.need(err)
	in, err = anybody.AcceptInvitation(ctx, client.Acceptance{Invitation: token, Password: goodPassword})
	s.need(err)
	operator := newClient(t, s.url, in.Token)
	s.need(only(operator.Sites(ctx)))
	s.need(only(operator.Operators(ctx)))
	s.need(only(c.SetOperator(ctx, "wei", "reader")))
	s.refused("not-signed-in", only(operator.WhoAmI(ctx)))
	in, err = anybody.SignIn(ctx, client.Credentials{As: "operator", Login: "wei", Password: goodPassword})
	s.need(err)
	operator = newClient(t, s.url, in.Token)
	s.need(only(operator.Sites(ctx)))
	s.refused("forbidden", only(operator.Operators(ctx)))
	s.need(c.SignOutOperator(ctx, "wei"))
	if list, err = c.RemoveOperator(ctx, "wei"); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
	teller := newClient(t, s.url, tellerKey)
	s.refused("forbidden", only(teller.AddOperator(ctx, "bo", "operator")))
}

// buyersMay are the operations that take the session of a customer, and staffMay those that take one of a person of a merchant, with the right that they
// need. Nothing but what stands here is allowed to them.
var buyersMay = []string{
	"read-customer", "add-device", "remove-device", "list-wallets", "read-wallet", "agree", "list-agreements", "revoke-agreement", "announce-top-up", "read-top-up", "withdraw",
	"read-payout", "recall-payout", "read-sent-transfer", "customer-statement", "read-receipt", "receipt-safety", "pay-trade", "open-code", "authorise", "confirm-escrow", "dispute-escrow", "read-trade",
	"put-customer-bank-account", "list-customer-bank-accounts", "remove-customer-bank-account", "transfer",
	"list-top-ups", "list-withdrawals", "read-merchant-name",
}

var staffMay = map[signin.Right][]string{
	signin.Look: {
		"merchant-apps", "read-app", "read-authorisation", "read-authorisation-operation", "list-merchant-bank-accounts", "read-payout", "read-escrow", "find-events",
		"read-merchant", "read-merchant-balance", "find-refunds", "read-refund", "find-settlements", "read-settlement", "read-statement-file",
		"merchant-shops", "read-shop", "list-mandates", "find-trades", "read-trade", "find-webhooks", "read-webhook", "find-deliveries", "read-delivery",
		"trade-safety", "read-event", "check-signature",
	},
	signin.Work: {
		"open-authorisation", "unfreeze-authorisation", "ship-escrow", "refund", "create-trade", "close-trade", "cancel-trade", "split-trade", "redeliver",
	},
	signin.Manage: {
		"put-app", "put-shop", "create-webhook", "change-webhook", "rotate-webhook-secret", "remove-webhook", "issue-merchant-key", "merchant-keys",
		"revoke-merchant-key", "put-merchant-bank-account", "remove-merchant-bank-account", "give-mandate", "revoke-mandate", "list-people", "add-person",
		"change-person", "invite-person", "end-person-sessions", "remove-person", "disable-app",
	},
}

// forAnybody are about nobody: they do not care whose session it is.
var forAnybody = []string{"open-code", "read-merchant-name"}

// guest of the table: somebody with a session.
type tableGuest struct {
	name  string
	token func(m *market) string
	may   func(op string) bool
	own   bool // the paths and bodies of the table are theirs
}

func tableGuests() (list []tableGuest) {
	buyer := func(op string) bool { return slices.Contains(buyersMay, op) }
	list = append(list,
		tableGuest{"customer", func(m *market) string { return m.newSession(m.alice) }, buyer, true},
		tableGuest{"other customer", func(m *market) string { return m.newSession(m.bob) }, buyer, false})
	for right := signin.Look; right <= signin.Manage; right++ {
		may := func(op string) bool {
			for r := signin.Look; r <= right; r++ {
				if slices.Contains(staffMay[r], op) {
					return true
				}
			}
			return false
		}
		list = append(list,
			tableGuest{"who may " + right.String(), func(m *market) string { return m.session(m.staff(m.merchant, right)) }, may, true},
			tableGuest{"who may " + right.String() + " elsewhere", func(m *market) string { return m.session(m.staff(must(ownerOf(5)), right)) }, may, false})
	}
	return list
}

// TestASessionMayDoWhatIsMarkedAndNothingElse asks every operation of the API with every kind of session.
func TestASessionMayDoWhatIsMarkedAndNothingElse(t *testing.T) {
	m := newMarket()
	must(m.commerce.Cashier.RegisterMerchant(t.Context(), pay.MerchantAsk{Owner: must(ownerOf(5)), Name: "Rice House", Zone: "Asia/Shanghai", Assets: []holdfast.Asset{cny}}, m.commerce.now()))
	m.offer("T-1", 100, pay.Plain)
	must(m.commerce.Cashier.Pay(t.Context(), pay.PayAsk{Merchant: m.merchant, OutTradeNo: "T-1", Payer: m.alice}, m.commerce.now()))
	h := m.api()
	for _, g := range tableGuests() {
		asked, let := 0, 0
		token := g.token(m)
		for _, op := range theDocument().ops {
			open, session := len(op.Security) == 1 && len(op.Security[0]) == 0, len(op.Security) == 1 && op.Security[0]["session"] != nil
			if open || session {
				continue
			}
			asked++
			path := concrete(op.Path) + tableQuery(op.OperationID)
			if op.OperationID == "read-payout" && strings.HasPrefix(g.name, "who") {
				path = strings.Replace(path, m.alice.String(), m.merchant.String(), 1)
			}
			status, _, text := ask(t, h, op.Method, path, token, tableBody(op.OperationID, op.Path), "Idempotency-Key", fmt.Sprintf("%s-%s", g.name, op.OperationID))
			want := g.may(op.OperationID) && (g.own || slices.Contains(forAnybody, op.OperationID))
			refused := (status == http.StatusForbidden || status == http.StatusUnauthorized) && !strings.Contains(text, "There is no such app") // that is said of what is theirs
			if got := !refused; got != want {
				t.Errorf("%s, %s: %d %.200s, want to be let in: %t", g.name, op.OperationID, status, text, want)
			}
			if want {
				let++
			}
		}
		if asked < 100 || g.own && let < 20 {
			t.Errorf("%s: %d operations were asked, %d answered: this proves little", g.name, asked, let)
		}
	}
}

// tableQuery names the merchant where an operation wants it so.
func tableQuery(op string) string {
	switch op {
	case "find-trades", "find-settlements", "find-events", "find-webhooks":
		return "?merchant=" + must(ownerOf(1)).String()
	case "find-refunds":
		return "?merchant=" + must(ownerOf(1)).String() + "&out_trade_no=T-1"
	}
	return ""
}

// tableBody is a good one that says whose it is.
func tableBody(op, path string) string {
	if op == "transfer" {
		return `{"from":"` + must(ownerOf(2)).String() + `","to":"` + must(ownerOf(4)).String() + `","asset":"CNY","amount":1}`
	}
	return bodies[path]
}

func TestASessionActsForItsPersonAlone(t *testing.T) {
	m := newMarket()
	h := m.api()
	alice, bob := m.newSession(m.alice), m.newSession(m.bob)
	for _, row := range []struct {
		name, path, token, body string
		want                    int
	}{
		{"a payment from another wallet", "/v1/transfers", bob, `{"from":"` + m.alice.String() + `","to":"` + m.bob.String() + `","asset":"CNY","amount":1,"number":"n-1"}`, 403},
		{"one between accounts", "/v1/transfers", alice, `{"debit":"` + m.alice.String() + `.wallet.CNY","credit":"` + m.bob.String() + `.wallet.CNY","amount":1}`, 403},
		{"one as a merchant", "/v1/transfers", alice, `{"from":"` + m.alice.String() + `","to":"` + m.bob.String() + `","asset":"CNY","amount":1,"number":"n-1","business":true}`, 403},
		{"her own, without saying who", "/v1/transfers", alice, `{"to":"` + m.bob.String() + `","asset":"CNY","amount":1,"number":"n-1"}`, 200},
		{"a withdrawal of another's", "/v1/payouts", bob, `{"owner":"` + m.alice.String() + `","asset":"CNY","amount":1,"number":"n-2"}`, 403},
		{"a withdrawal without saying whose", "/v1/payouts", bob, `{"asset":"CNY","amount":1,"number":"n-2"}`, 200},
		{"a trade from another wallet", "/v1/trades/" + m.merchant.String() + "/T-9/pay", bob, `{"payer":"` + m.alice.String() + `"}`, 403},
		{"money frozen by another's code", "/v1/authorisations/" + m.merchant.String() + "/A-1/authorise", bob, `{"payment_code":"280000000212345678"}`, 403},
		{"the word of another buyer", "/v1/escrows/" + m.merchant.String() + "/T-9/confirm", bob, `{"by":"` + m.alice.String() + `"}`, 403},
		{"a phone for another's wallet", "/v1/customers/" + m.alice.String() + "/devices", bob, ``, 403},
		{"who is signed in asks with a key", "/v1/session/end", operatorKey, ``, 403},
		{"who is signed in asks with nothing", "/v1/session/end", "", ``, 401},
		{"a session that does not exist", "/v1/session/end", alice[:60] + strings.Repeat("a", 13), ``, 401},
	} {
		status, _, text := ask(t, h, http.MethodPost, row.path, row.token, row.body, "Idempotency-Key", row.name)
		if status != row.want {
			t.Errorf("%s: %d %s, want %d", row.name, status, text, row.want)
		}
	}
	m.offer("T-1", 100, pay.Plain)
	status, _, _ := ask(t, h, http.MethodGet, "/v1/trades/"+m.merchant.String()+"/T-1", bob, "")
	missing, _, _ := ask(t, h, http.MethodGet, "/v1/trades/"+m.merchant.String()+"/T-2", bob, "")
	if status != 403 || missing != 403 {
		t.Errorf("a trade of nobody: %d, one that does not exist: %d: they are told apart", status, missing)
	}
	m.audit(t)
}

func TestSessionsAreRememberedForAMoment(t *testing.T) {
	m := newMarket()
	now := marketOpens
	m.commerce.Now = func() time.Time { return now }
	here, there := m.api(), m.api()
	token := m.newSession(m.alice)
	get := func(h http.Handler, want int) {
		t.Helper()
		if status, _, text := ask(t, h, http.MethodGet, "/v1/customers/"+m.alice.String(), token, ""); status != want {
			t.Errorf("%d %s, want %d", status, text, want)
		}
	}
	get(here, 200)
	get(there, 200)
	if status, _, text := ask(t, here, http.MethodPost, "/v1/session/end", token, ""); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	get(here, 401)
	now = now.Add(10*time.Second - time.Millisecond)
	get(there, 200) // as is said: for ten seconds at most
	now = now.Add(time.Millisecond)
	get(there, 401)

	// While nobody can say whether it stands, it is taken for reading, and for nothing else.
	token = m.newSession(m.alice)
	get(here, 200)
	silent := &silentBooks{Books: m.books}
	cfg := m.commerce.Porter.Config
	cfg.Books = silent
	m.commerce.Porter = must(signin.New(cfg))
	now = now.Add(11 * time.Second)
	get(here, 200)
	if status, _, _ := ask(t, here, http.MethodPost, "/v1/codes/open", token, `{"token":"x"}`); status != 503 {
		t.Errorf("something was done for a session of which nobody knows: %d", status)
	}
	get(there, 503) // never seen there
	now = now.Add(11 * time.Minute)
	get(here, 503)
}

// silentBooks do not answer.
type silentBooks struct{ *paytest.Books }

func (*silentBooks) Record(context.Context, string) (holdfast.Record, bool, error) {
	return holdfast.Record{}, false, context.DeadlineExceeded
}

func TestPagesThatAreOpenKeepNoSessionAlive(t *testing.T) {
	for _, passive := range []bool{false, true} {
		m := newMarket()
		now := marketOpens
		m.commerce.Now = func() time.Time { return now }
		h, token := m.api(), m.session(must(m.commerce.Porter.AddOperator(t.Context(), "wei", guard.Reader, m.commerce.now())))
		var headers []string
		if passive {
			headers = []string{passiveHeader, "1"}
		}
		status := 0
		for range 8 {
			now = now.Add(4 * time.Minute)
			status, _, _ = ask(t, h, http.MethodGet, "/v1/sites", token, "", headers...)
		}
		if want := map[bool]int{false: 200, true: 401}[passive]; status != want {
			t.Errorf("passive: %t: after 32 minutes %d, want %d", passive, status, want)
		}
	}
}

func TestWrongSignInsFromOneAddressHaveABound(t *testing.T) {
	m := newMarket()
	now := marketOpens
	m.commerce.Now = func() time.Time { return now }
	h := m.api()
	in := func(from, login string) (*httptest.ResponseRecorder, Problem) {
		r := httptest.NewRequest(http.MethodPost, "/v1/sessions", strings.NewReader(`{"as":"operator","login":"`+login+`","password":"x"}`))
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var p Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		return w, p
	}
	for i := range sourceTries {
		if w, p := in(fmt.Sprintf("[2001:db8:1:2::%d]:99", i+1), fmt.Sprint("nobody", i)); w.Code != 422 || p.Code != "login-wrong" {
			t.Fatalf("%d: %d %s", i, w.Code, w.Body)
		}
	}
	w, p := in("[2001:db8:1:2::ffff]:99", "nobody")
	if w.Code != 429 || p.Code != "too-many-tries" || p.Outcome != "not-executed" || w.Header().Get("Retry-After") != "5" {
		t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
	}
	if w, _ := in("[2001:db8:1:3::1]:99", "nobody"); w.Code != 422 {
		t.Errorf("from another network: %d", w.Code)
	}
	now = now.Add(5 * time.Second)
	if w, _ := in("[2001:db8:1:2::1]:99", "nobody"); w.Code != 422 {
		t.Errorf("later: %d", w.Code)
	}
}

func TestWrongSignInsTakeAsLong(t *testing.T) {
	m := newMarket()
	m.newSession(m.alice)
	m.commerce.EvenWait = 60 * time.Millisecond
	h := m.api()
	for _, login := range []string{"alice@example.com", "nobody@example.com", "no login at all"} {
		begun := time.Now()
		status, _, text := ask(t, h, http.MethodPost, "/v1/sessions", "", `{"as":"customer","login":"`+login+`","password":"x"}`)
		if took := time.Since(begun); status != 422 || took < m.commerce.EvenWait {
			t.Errorf("%s: %d %s after %v", login, status, text, took)
		}
	}
}

func TestNothingOfASignInIsLogged(t *testing.T) {
	m := newMarket()
	var log bytes.Buffer
	h := New(&fake{}, Options{Keys: testKeys, Payments: m.commerce, Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	token := m.newSession(m.alice)
	ask(t, h, http.MethodPost, "/v1/sessions", "", `{"as":"customer","login":"alice@example.com","password":"`+goodPassword+`","label":"Firefox"}`)
	ask(t, h, http.MethodPost, "/v1/sessions", "", `{"as":"customer","login":"alice@example.com","password":"wrong secret"}`)
	ask(t, h, http.MethodGet, "/v1/session", token, "")
	m.books.Fault = func(*holdfast.Txn) paytest.Fault { return paytest.Gone }
	_, _, text := ask(t, h, http.MethodPost, "/v1/sessions", "", `{"as":"customer","login":"alice@example.com","password":"`+goodPassword+`"}`)
	if !strings.Contains(log.String(), `"key":"customer:`+m.alice.String()) || !strings.Contains(log.String(), "sign-in") {
		t.Errorf("the log says too little: %s", &log)
	}
	for _, secret := range []string{goodPassword, "wrong secret", "alice@", token, token[21:], "Firefox"} {
		if strings.Contains(log.String()+text, secret) {
			t.Errorf("%q is in the log, or in an error", secret)
		}
	}
}
