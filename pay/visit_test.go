package pay_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

// app registers an app of the first merchant.
func (w *world) app(n uint8) string {
	w.t.Helper()
	a, err := w.cashier.PutApp(w.ctx, w.merchants[0], n, pay.App{}, w.tick())
	w.must(err)
	return a.ID
}

func TestAVisitHasOneTokenForEver(t *testing.T) {
	w := newWorld(t)
	ask := w.offer(0, "V", 1000, pay.Plain)
	visit := pay.Visit{Entry: pay.EntryPage, App: "a", AuthApp: "b", Return: "https://shop.example/back?x=1", Quit: "https://shop.example/"}
	made, v, err := w.cashier.Enter(w.ctx, ask, visit, w.tick())
	w.must(err)
	again, same, err := w.cashier.Enter(w.ctx, ask, visit, w.tick())
	w.must(err)
	if v != same || again != made || len(v.Token) != 31 {
		t.Fatalf("%+v\n%+v", v, same)
	}
	visit.Return = "https://shop.example/elsewhere"
	_, other, err := w.cashier.Enter(w.ctx, ask, visit, w.tick())
	w.must(err)
	if other.Token == v.Token {
		t.Error("another visit has the same token")
	}
	back, err := w.cashier.Visit(w.ctx, v.Token)
	w.must(err)
	if back != v {
		t.Errorf("%+v, want %+v", back, v)
	}
	if _, err := w.cashier.Visit(w.ctx, strings.Repeat("0", 31)); refusal(err) != pay.TokenUnknown {
		t.Errorf("unknown: %v", err)
	}
	seen, err := w.cashier.Open(w.ctx, v.Token, made.Until+holdfast.Time(time.Minute))
	w.must(err)
	if seen.OutTradeNo != "V" || seen.ByCode {
		t.Errorf("opened: %+v", seen)
	}
	ask.Amount++
	_, _, err = w.cashier.Enter(w.ctx, ask, visit, w.tick())
	w.refused(pay.TradeDiffers, err)
}

func TestACodeThatIsShownLaterIsTheSame(t *testing.T) {
	w := newWorld(t)
	ask := w.offer(0, "Q", 1000, pay.Plain)
	until := w.now + holdfast.Time(time.Hour)
	made, token, err := w.cashier.PrecreateUntil(w.ctx, ask, until, w.tick())
	w.must(err)
	if !made.ByCode || made.Opened {
		t.Errorf("made %+v", made)
	}
	_, err = w.cashier.Open(w.ctx, token, until)
	w.refused(pay.TokenUnknown, err)
	_, again, err := w.cashier.PrecreateUntil(w.ctx, ask, until+holdfast.Time(time.Hour), w.tick())
	w.must(err)
	v, err := w.cashier.Open(w.ctx, token, until)
	if w.must(err); again != token || !v.Opened {
		t.Errorf("%s, then %s; %+v", token, again, v)
	}
	visit, err := w.cashier.Visit(w.ctx, token)
	if w.must(err); visit.Entry != pay.EntryCode || visit.OutTradeNo != "Q" || visit.Merchant != w.merchants[0] {
		t.Errorf("%+v", visit)
	}
}

func TestAppKeysAreSealed(t *testing.T) {
	w := newWorld(t)
	id, der := w.app(1), []byte("a private key")
	ref, err := w.cashier.PutAppKey(w.ctx, id, der, [pay.NonceBytes]byte{1}, w.tick())
	w.must(err)
	again, err := w.cashier.PutAppKey(w.ctx, id, der, [pay.NonceBytes]byte{2}, w.tick())
	w.must(err)
	back, err := w.cashier.AppKey(w.ctx, id, ref)
	if w.must(err); !bytes.Equal(back, der) || ref != again || len(ref) != 32 {
		t.Fatalf("%q, %s, %s", back, ref, again)
	}
	records, err := w.books.Records(w.ctx, "o/"+w.merchants[0].String()+"/appkey/", "", 10)
	if w.must(err); len(records) != 1 || bytes.Contains(records[0].Body, der) {
		t.Errorf("stored: %d, %q", len(records), records[0].Body)
	}
	_, err = w.cashier.AppKey(w.ctx, w.app(2), ref)
	w.refused(pay.AppUnknown, err)
	_, err = w.cashier.PutAppKey(w.ctx, id, nil, [pay.NonceBytes]byte{3}, w.tick())
	w.refused(pay.FieldInvalid, err)
}

func TestAgreements(t *testing.T) {
	w := newWorld(t)
	app, me := w.app(1), w.customers[0]
	agree := func(n byte, scopes ...string) string {
		t.Helper()
		_, code, err := w.cashier.Agree(w.ctx, me, app, scopes, [pay.GrantBytes]byte{n}, w.tick())
		w.must(err)
		return code
	}
	tokens, err := w.cashier.Exchange(w.ctx, app, agree(1, pay.ScopeUser, pay.ScopeBase), w.tick())
	w.must(err)
	if tokens.Customer != me || len(tokens.Access) > 64 || len(tokens.Refresh) > 64 {
		t.Errorf("%+v", tokens)
	}
	w.books.Reads()
	v, err := w.cashier.CheckAccess(w.ctx, app, tokens.Access, w.tick())
	if w.must(err); w.books.Reads() != 1 || v.Customer != me || !slices.Equal(v.Scopes, []string{pay.ScopeBase, pay.ScopeUser}) {
		t.Errorf("%+v", v)
	}
	_, err = w.cashier.CheckAccess(w.ctx, app, tokens.Access, w.now+holdfast.Time(pay.AccessLife))
	w.refused(pay.GrantExpired, err)
	_, err = w.cashier.CheckAccess(w.ctx, app, "R"+tokens.Access[1:], w.now)
	w.refused(pay.GrantUnknown, err)
	_, err = w.cashier.CheckAccess(w.ctx, w.app(2), tokens.Access, w.now)
	w.refused(pay.GrantOfOther, err)

	renewed, err := w.cashier.Renew(w.ctx, app, tokens.Refresh, w.tick())
	w.must(err)
	again, err := w.cashier.Renew(w.ctx, app, tokens.Refresh, w.tick())
	if w.must(err); again != renewed {
		t.Errorf("renewed again: %+v instead of %+v", again, renewed)
	}
	w.now += holdfast.Time(pay.LostLife)
	_, err = w.cashier.Renew(w.ctx, app, tokens.Refresh, w.tick())
	w.refused(pay.GrantReplaced, err)
	_, err = w.cashier.CheckAccess(w.ctx, app, tokens.Access, w.now)
	w.refused(pay.GrantUnknown, err)
	_, err = w.cashier.Renew(w.ctx, app, renewed.Refresh, w.now+holdfast.Time(pay.RefreshLife))
	w.refused(pay.GrantExpired, err)

	for n := range byte(8) { // the first one falls out
		agree(10+n, pay.ScopeBase)
	}
	_, err = w.cashier.CheckAccess(w.ctx, app, renewed.Access, w.now)
	w.refused(pay.GrantUnknown, err)
	list, err := w.cashier.Agreements(w.ctx, me, "", 10)
	if w.must(err); len(list) != 1 || list[0].App != app || len(list[0].Grants) != 8 {
		t.Errorf("%+v", list)
	}
	code := agree(30, pay.ScopeBase)
	w.must(w.cashier.RevokeAgreement(w.ctx, me, app, w.tick()))
	w.must(w.cashier.RevokeAgreement(w.ctx, me, app, w.tick()))
	_, err = w.cashier.Exchange(w.ctx, app, code, w.tick())
	w.refused(pay.GrantUnknown, err)
	_, _, err = w.cashier.Agree(w.ctx, me, app, []string{"everything"}, [pay.GrantBytes]byte{}, w.tick())
	w.refused(pay.FieldInvalid, err)
	_, _, err = w.cashier.Agree(w.ctx, owner(77), app, []string{pay.ScopeBase}, [pay.GrantBytes]byte{}, w.tick())
	w.refused(pay.CustomerUnknown, err)
}

// TestACodeIsExchangedOnce: also when the answer was lost; for a minute it is given once more, and not when the tokens have been renewed.
func TestACodeIsExchangedOnce(t *testing.T) {
	w := newWorld(t)
	app := w.app(1)
	_, code, err := w.cashier.Agree(w.ctx, w.customers[0], app, []string{pay.ScopeBase}, [pay.GrantBytes]byte{1}, w.tick())
	w.must(err)
	fault := paytest.NotProposed
	w.books.Fault = func(*holdfast.Txn) paytest.Fault { return fault }
	if _, err = w.cashier.Exchange(w.ctx, app, code, w.tick()); refusal(err) == "" || !strings.Contains(err.Error(), "outcome-unknown") {
		t.Fatalf("%v", err)
	}
	fault = paytest.AnswerLost
	lost, err := w.cashier.Exchange(w.ctx, app, code, w.tick())
	if err == nil {
		t.Fatal("the answer was not lost")
	}
	fault = paytest.NoFault
	found, err := w.cashier.Exchange(w.ctx, app, code, w.tick())
	if w.must(err); found.Access != lost.Access || found.Refresh != lost.Refresh || found.Since == 0 {
		t.Errorf("asked again: %+v instead of %+v", found, lost)
	}
	_, err = w.cashier.Exchange(w.ctx, w.app(2), code, w.tick())
	w.refused(pay.GrantReplaced, err)
	_, err = w.cashier.CheckAccess(w.ctx, app, lost.Access, w.tick())
	w.must(err)
	w.must(only(w.cashier.Renew(w.ctx, app, found.Refresh, w.tick())))
	_, err = w.cashier.Exchange(w.ctx, app, code, w.tick())
	w.refused(pay.GrantReplaced, err)
}

func TestMandates(t *testing.T) {
	w := newWorld(t)
	provider := w.app(1)
	theirs, err := w.cashier.PutApp(w.ctx, w.merchants[1], 4, pay.App{}, w.tick())
	w.must(err)
	give := func(n byte) string {
		t.Helper()
		_, token, err := w.cashier.GiveMandate(w.ctx, pay.MandateAsk{OwnApp: theirs.ID, App: provider}, [pay.MandateBytes]byte{n}, w.tick())
		w.must(err)
		return token
	}
	first, token := give(1), give(2)
	v, err := w.cashier.CheckMandate(w.ctx, provider, token, w.tick())
	if w.must(err); v.Merchant != w.merchants[1] || v.OwnApp != theirs.ID || len(token) != 40 {
		t.Errorf("%+v %d", v, len(token))
	}
	_, err = w.cashier.CheckMandate(w.ctx, provider, first, w.now)
	w.refused(pay.GrantUnknown, err)
	_, err = w.cashier.CheckMandate(w.ctx, w.app(2), token, w.now)
	w.refused(pay.GrantOfOther, err)
	_, err = w.cashier.CheckMandate(w.ctx, provider, token, w.now+holdfast.Time(pay.MandateLife))
	w.refused(pay.GrantExpired, err)
	for name, ask := range map[string]pay.MandateAsk{
		"app_id": {OwnApp: provider, App: provider}, "permissions": {OwnApp: theirs.ID, App: provider, Permissions: []string{"everything"}},
		"until": {OwnApp: theirs.ID, App: provider, Until: w.now + holdfast.Time(pay.MandateLife) + 1},
	} {
		_, _, err = w.cashier.GiveMandate(w.ctx, ask, [pay.MandateBytes]byte{}, w.now)
		if w.refused(pay.FieldInvalid, err); !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, _, err = w.cashier.GiveMandate(w.ctx, pay.MandateAsk{OwnApp: theirs.ID, App: "2021000000010999"}, [pay.MandateBytes]byte{}, w.now)
	w.refused(pay.AppUnknown, err)
	if list, err := w.cashier.Mandates(w.ctx, w.merchants[1], "", 10); err != nil || len(list) != 1 || list[0].App != provider || slices.Contains(list[0].Permissions, pay.PermitPayout) {
		t.Errorf("%+v %v", list, err)
	}
	w.must(w.cashier.RevokeMandate(w.ctx, w.merchants[1], provider, w.tick()))
	_, err = w.cashier.CheckMandate(w.ctx, provider, token, w.now)
	w.refused(pay.GrantUnknown, err)
}

// TestNumbersSayWhatTheyAre: an auth_no is no trade_no, though both stand in one place and the merchant gave both the same number.
func TestNumbersSayWhatTheyAre(t *testing.T) {
	w := newWorld(t)
	m := w.merchants[0]
	w.auth("X", 500)
	auth, err := w.cashier.QueryAuth(w.ctx, m, "X", w.now)
	w.must(err)
	w.waiting("X")
	trade, err := w.cashier.Query(w.ctx, m, "X", w.now)
	w.must(err)
	n, err := w.cashier.OwnTrade(w.ctx, m, trade.TradeNo)
	if w.must(err); n != "X" {
		t.Errorf("trade %q", n)
	}
	n, err = w.cashier.OwnAuth(w.ctx, m, auth.AuthNo)
	if w.must(err); n != "X" {
		t.Errorf("authorisation %q", n)
	}
	w.refused(pay.TradeUnknown, only(w.cashier.OwnTrade(w.ctx, m, auth.AuthNo)))
	w.refused(pay.AuthUnknown, only(w.cashier.OwnAuth(w.ctx, m, trade.TradeNo)))
	w.refused(pay.TradeUnknown, only(w.cashier.OwnTrade(w.ctx, w.merchants[1], trade.TradeNo)))

	w.plain("P", pay.Plain)
	order, err := w.cashier.Transfer(w.ctx, pay.TransferAsk{From: m, Number: "B", To: w.customers[0], Asset: cny, Amount: 5, Business: true}, w.tick())
	w.must(err)
	no := pay.TransferNo(m, "B", order.At)
	from, n, err := w.cashier.FindTransfer(w.ctx, no)
	if w.must(err); from != m || n != "B" || len(no) != 32 {
		t.Errorf("%v %s %s", from, n, no)
	}
	for _, no := range []string{no[:31] + "x", no[:28], no[:27] + "00000"} {
		w.refused(pay.OrderUnknown, two(w.cashier.FindTransfer(w.ctx, no)))
	}
	w.refused(pay.TradeUnknown, two(w.cashier.FindTrade(w.ctx, auth.AuthNo)))
	w.refused(pay.AuthUnknown, two(w.cashier.FindAuth(w.ctx, trade.TradeNo)))
	w.audit()
}

// TestANumberThatIsTakenIsTakenOnce: two numbers of trades can come to the same digits, so those of one trade differ by the moment.
func TestANumberThatIsTakenIsTakenOnce(t *testing.T) {
	var numbers []string
	for range 2 {
		w := newWorld(t)
		w.now += holdfast.Time(len(numbers))
		made, err := w.cashier.Create(w.ctx, w.offer(0, "A", 1, pay.Plain), w.now)
		w.must(err)
		numbers = append(numbers, made.TradeNo)
	}
	if numbers[0] == numbers[1] || numbers[0][:19] != numbers[1][:19] {
		t.Errorf("%s, %s", numbers[0], numbers[1])
	}
}

// TestKindsOfDocumentsAreDifferent: the number says of what kind a body is, for ever.
func TestKindsOfDocumentsAreDifferent(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`func \((?:\w+ )?\*(\w+)\) kind\(\) \(byte, byte\) \{ return (\d+), \d+ \}`)
	whose := map[string]string{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			if whose[m[2]] != "" {
				t.Errorf("%s and %s both have number %s", whose[m[2]], m[1], m[2])
			}
			whose[m[2]] = m[1]
		}
	}
	if len(whose) < 20 {
		t.Errorf("only %d kinds were found: is the pattern right?", len(whose))
	}
}
