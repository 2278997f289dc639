package desk

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

func (w *world) agree(n int, scopes ...string) string {
	w.Helper()
	w.random++
	_, code, err := w.cashier.Agree(w.ctx, w.customers[n], w.apps[0], scopes, [pay.GrantBytes]byte{w.random}, w.tick())
	w.must(err)
	return code
}

func TestSignIn(t *testing.T) {
	w := newWorld(t)
	const token, user = "alipay.system.oauth.token", "alipay.user.info.share"
	by := func(code string) map[string]string {
		return map[string]string{"grant_type": "authorization_code", "code": code}
	}
	renew := func(text string) map[string]string {
		return map[string]string{"grant_type": "refresh_token", "refresh_token": text}
	}
	with := func(text string) map[string]string { return map[string]string{"auth_token": text} }
	me := w.customers[0].String()

	code := w.agree(0, pay.ScopeUser)
	w.refused("isv.unmatched-app-id", token, nil, map[string]string{"grant_type": "authorization_code", "code": code, "app_id": w.apps[1]})
	a := w.ask(token, nil, by(code))
	w.is(a, "user_id", me, "expires_in", "1.296e+06", "re_expires_in", "2.592e+06", "code", "")
	w.is(w.ask(token, nil, by(code)), "access_token", a.text("access_token"), "refresh_token", a.text("refresh_token")) // its answer may be lost
	w.now = w.now.Add(pay.LostLife)
	w.refused("isv.code-invalid", token, nil, by(code)) // once
	w.refused("isv.code-invalid", token, nil, by("nonsense"))
	late := w.agree(0, pay.ScopeBase)
	w.now = w.now.Add(pay.CodeLife)
	w.refused("isv.code-invalid", token, nil, by(late))

	access := a.text("access_token")
	w.is(w.done(user, nil, with(access)), "user_id", me, "open_id", a.text("open_id"), "is_certified", "F", "user_type", "2")
	w.refused("aop.invalid-auth-token", user, nil, with("nonsense"))
	w.refused("isv.unmatched-app-id", user, nil, map[string]string{"auth_token": access, "app_id": w.apps[1]})
	base := w.ask(token, nil, by(func() string { // who agreed to less
		_, code, err := w.cashier.Agree(w.ctx, w.customers[1], w.apps[0], []string{pay.ScopeBase}, [pay.GrantBytes]byte{99}, w.tick())
		w.must(err)
		return code
	}()))
	w.refused("isv.insufficient-user-permissions", user, nil, with(base.text("access_token")))

	b := w.ask(token, nil, renew(a.text("refresh_token")))
	w.is(b, "user_id", me, "open_id", a.text("open_id"))
	w.is(w.ask(token, nil, renew(a.text("refresh_token"))), "access_token", b.text("access_token"))
	w.now = w.now.Add(pay.LostLife)
	w.refused("isv.refreshed-token-invalid", token, nil, renew(a.text("refresh_token")))
	w.refused("isv.refresh-token-invalid", token, nil, renew("nonsense"))
	w.refused("aop.invalid-auth-token", user, nil, with(access))
	w.now = w.now.Add(pay.AccessLife)
	w.refused("aop.auth-token-time-out", user, nil, with(b.text("access_token")))
	w.now = w.now.Add(pay.RefreshLife)
	w.refused("isv.refresh-token-time-out", token, nil, renew(b.text("refresh_token")))
}

func TestActingForAnother(t *testing.T) {
	w := newWorld(t)
	give := func(n byte, permissions ...string) string {
		t.Helper()
		_, token, err := w.cashier.GiveMandate(w.ctx, pay.MandateAsk{OwnApp: w.apps[1], App: w.apps[0], Permissions: permissions}, [pay.MandateBytes]byte{n}, w.tick())
		w.must(err)
		return token
	}
	token := give(1)
	acting := map[string]string{"app_auth_token": token}
	ask := w.payment(0, "A", "10.00", "seller_id", w.merchants[1].String())
	w.done("alipay.trade.pay", ask, acting)
	w.is(w.done("alipay.trade.query", map[string]any{"out_trade_no": "A"}, map[string]string{"app_id": w.apps[1]}), "trade_status", "TRADE_SUCCESS")
	w.refused("ACQ.TRADE_NOT_EXIST", "alipay.trade.query", map[string]any{"out_trade_no": "A"})
	events, err := w.cashier.Events(w.ctx, w.merchants[1], "", 10)
	w.must(err)
	_, form, ok, err := w.desk.NoticeOf(w.ctx, &events[0])
	w.must(err)
	if f := checkSigned(t, form, ""); !ok || f.Get("app_id") != w.apps[0] || f.Get("auth_app_id") != w.apps[1] || f.Get("seller_id") != w.merchants[1].String() {
		t.Errorf("%s", form)
	}
	w.refused("aop.invalid-app-auth-token", "alipay.trade.query", map[string]any{"out_trade_no": "A"}, map[string]string{"app_auth_token": "x"})
	w.refused("aop.invalid-app-auth-token", "alipay.trade.query", map[string]any{"out_trade_no": "A"}, map[string]string{"app_auth_token": token, "app_id": w.apps[1]})
	// What the mandate does not name, or the merchant's own app may not do, is refused; the product that is not the method's alone too.
	const denied = "isv.insufficient-isv-permissions"
	for n, permissions := range [][]string{{"bill"}, {"pre-auth"}} {
		acting["app_auth_token"] = give(byte(2+n), permissions...)
		w.refused(denied, "alipay.trade.precreate", ask, acting)
	}
	w.refused(denied, "alipay.fund.account.query", nil, acting)
	w.refused("ACQ.ACCESS_FORBIDDEN", "alipay.trade.pay", ask, acting) // permitted for pre-authorisations, and this is none
	acting["app_auth_token"] = give(4, pay.PermitAll)
	change := func(how func(*pay.App)) {
		t.Helper()
		_, err := w.cashier.ChangeApp(w.ctx, w.apps[1], how, w.tick())
		w.must(err)
		w.now = w.now.Add(appLife)
	}
	w.done("alipay.trade.query", map[string]any{"out_trade_no": "A"}, acting)
	change(func(a *pay.App) { a.Permissions = []string{pay.PermitPayout} })
	w.refused(denied, "alipay.trade.query", map[string]any{"out_trade_no": "A"}, acting)
	change(func(a *pay.App) { a.Permissions = []string{pay.PermitAll} })
	disable := func(disabled bool) {
		t.Helper()
		_, err := w.cashier.DisableApp(w.ctx, w.apps[1], disabled, w.tick())
		w.must(err)
		w.now = w.now.Add(appLife)
	}
	disable(true)
	w.refused("aop.invalid-app-auth-token", "alipay.trade.query", map[string]any{"out_trade_no": "A"}, acting)
	disable(false)
	w.done("alipay.trade.query", map[string]any{"out_trade_no": "A"}, acting)
	w.must(w.cashier.RevokeMandate(w.ctx, w.merchants[1], w.apps[0], w.tick()))
	w.refused("aop.invalid-app-auth-token", "alipay.trade.query", map[string]any{"out_trade_no": "A"}, acting)

	acting["app_auth_token"] = give(5)
	w.now = w.now.Add(pay.MandateLife)
	w.refused("aop.app-auth-token-time-out", "alipay.trade.query", map[string]any{"out_trade_no": "A"}, acting)
}

func TestOpenIDs(t *testing.T) {
	w := newWorld(t)
	n, me := w.desk.names, w.customers[0]
	name := n.of("a", me)
	if o, ok := n.owner("a", name); !ok || o != me || len(name) != 22 || n.of("b", me) == name || n.of("a", w.customers[1]) == name {
		t.Errorf("%s is %v", name, o)
	}
	for _, bad := range []string{n.of("b", me), "", name[:21], name + "A", n.of("a", holdfast.Owner(1))} {
		if o, ok := n.owner("a", bad); ok {
			t.Errorf("%q is %v", bad, o)
		}
	}
}

func TestAppsAreAskedForAgain(t *testing.T) {
	w := newWorld(t)
	query := map[string]any{"out_trade_no": "none"}
	const unknown = "ACQ.TRADE_NOT_EXIST"
	w.refused(unknown, "alipay.trade.query", query)
	w.books.Reads()
	w.refused(unknown, "alipay.trade.query", query)
	if reads := w.books.Reads(); reads != 1 {
		t.Errorf("a query took %d reads", reads)
	}
	before := w.desk.apps.known[w.apps[0]].app
	w.now = w.now.Add(appLife)
	w.refused(unknown, "alipay.trade.query", query)
	if after := w.desk.apps.known[w.apps[0]].app; w.books.Reads() != 2 || after == before || after.Platform != before.Platform {
		t.Error("an old app was not asked for, or its keys were read again")
	}
	_, err := w.cashier.DisableApp(w.ctx, w.apps[0], true, w.tick())
	w.must(err)
	w.now = w.now.Add(appLife)
	w.refused("isv.invalid-app-id", "alipay.trade.query", query)
	w.refused("isv.invalid-app-id", "alipay.trade.query", query, map[string]string{"app_id": pay.AppID(owner(77), 1)})
	w.refused("isv.insufficient-isv-permissions", "alipay.trade.precreate", query, map[string]string{"app_id": w.app(w.merchants[1], "bill", "nonsense")})

	few := apps{known: map[string]*knownApp{}}
	for i := range maxKnown + 100 {
		few.keep(string(rune(i))+"x", &knownApp{asked: w.now}, w.now.Add(time.Second))
	}
	if len(few.known) > maxKnown {
		t.Errorf("%d apps are remembered", len(few.known))
	}
}

func TestKeysOfApps(t *testing.T) {
	w := newWorld(t)
	der, public, err := NewAppKey(w)
	w.must(err)
	spki, err := ReadPublicKey(public)
	w.must(err)
	id := pay.AppID(w.merchants[0], 9)
	ref, err := w.cashier.PutAppKey(w.ctx, id, der, [pay.NonceBytes]byte{1}, w.tick())
	w.must(err)
	_, err = w.cashier.PutApp(w.ctx, w.merchants[0], 9, pay.App{PlatformKey: ref, PublicKey: "nonsense"}, w.tick())
	w.must(err)
	a, found, err := w.desk.App(w.ctx, id)
	if err != nil || !found || a.Key != nil || a.Platform.Validate() != nil || a.Products != 0 {
		t.Fatalf("%+v %v", a, err)
	}
	if _, err := ReadPublicKey("nonsense"); err == nil {
		t.Error("nonsense is a key")
	}
	_, err = w.cashier.PutApp(w.ctx, w.merchants[0], 8, pay.App{PublicKey: spki}, w.tick())
	w.must(err)
	if a, found, err := w.desk.App(w.ctx, pay.AppID(w.merchants[0], 8)); a != nil || found || err == nil {
		t.Errorf("an app without a key of the platform: %v %v", found, err)
	}
}

// dark are books that cannot be read for a while.
type dark struct {
	*paytest.Books
	out atomic.Bool
}

func (b *dark) Record(ctx context.Context, key string) (holdfast.Record, bool, error) {
	if b.out.Load() {
		return holdfast.Record{}, false, paytest.ErrGone
	}
	return b.Books.Record(ctx, key)
}

// TestAppsWhileNothingCanBeRead: an app that was known lately goes on, and then nobody says that there is none.
func TestAppsWhileNothingCanBeRead(t *testing.T) {
	w := newWorld(t)
	cfg := w.cashier.Config
	books := &dark{Books: w.books}
	cfg.Books = books
	cashier, err := pay.New(cfg)
	w.must(err)
	var seconds atomic.Int64
	d, err := New(Config{Cashier: cashier, Public: "https://pay.example", Now: func() time.Time { return w.now.Add(time.Duration(seconds.Load()) * time.Second) }})
	w.must(err)
	var all sync.WaitGroup
	for range 8 { // at once, while it has to be asked for again and again
		all.Go(func() {
			for range 40 {
				seconds.Add(1)
				if a, found, err := d.App(w.ctx, w.apps[0]); err != nil || !found || a.ID != w.apps[0] {
					t.Errorf("%v %v", found, err)
				}
			}
		})
	}
	all.Wait()
	seconds.Add(10)
	_, _, err = d.App(w.ctx, w.apps[0])
	w.must(err)
	books.out.Store(true)
	seconds.Add(29)
	if _, found, err := d.App(w.ctx, w.apps[0]); err != nil || !found {
		t.Errorf("after 29 s: %v %v", found, err)
	}
	if _, found, err := d.App(w.ctx, w.apps[1]); err == nil || found {
		t.Errorf("one that was never known: %v %v", found, err)
	}
	seconds.Add(1)
	if _, found, err := d.App(w.ctx, w.apps[0]); err == nil || found {
		t.Errorf("after 30 s: %v %v", found, err)
	}
	books.out.Store(false)
	if _, found, err := d.App(w.ctx, w.apps[0]); err != nil || !found {
		t.Errorf("when it can be read again: %v %v", found, err)
	}
}
