package desk

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/maphash"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/alipay"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

// world is a gateway with its desk on books of five shards: a merchant, who has a shop, a second one, and three customers with money.
type world struct {
	*testing.T
	ctx       context.Context
	books     *paytest.Books
	cashier   *pay.Cashier
	desk      *Desk
	gateway   *alipay.Gateway
	now       time.Time
	merchants [2]holdfast.Owner
	apps      [2]string
	customers [3]holdfast.Owner
	secret    [pay.SecretBytes]byte
	random    byte
	err       error // why the last outcome was not known
}

// keys are those of the vectors: to make one takes longer than all tests.
var keys = sync.OnceValue(func() map[string]*rsa.PrivateKey {
	var v map[string]any
	text, err := os.ReadFile("../alipay/testdata/vectors.json")
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	all := map[string]*rsa.PrivateKey{}
	for _, name := range []string{"app_private_key", "platform_private_key"} {
		if err == nil {
			block, _ := pem.Decode([]byte(v[name].(string)))
			all[name], err = x509.ParsePKCS1PrivateKey(block.Bytes)
		}
	}
	if err != nil {
		panic(err)
	}
	return all
})

func appKey() *rsa.PrivateKey      { return keys()["app_private_key"] }
func platformKey() *rsa.PrivateKey { return keys()["platform_private_key"] }

func owner(n uint32) holdfast.Owner {
	o, err := holdfast.NewOwner(n, holdfast.Slot(n%holdfast.Slots))
	if err != nil {
		panic(err)
	}
	return o
}

const startMoney = 100_000

func newWorld(t *testing.T) *world {
	w := &world{
		T: t, ctx: t.Context(), books: paytest.New(5), secret: [pay.SecretBytes]byte{1, 2, 3},
		now: time.Date(2026, 11, 27, 9, 0, 0, 0, gmt8),
	}
	var err error
	w.cashier, err = pay.New(pay.Config{
		Books: w.books, AliasKey: make([]byte, 32), CodeKey: []byte("a key of thirty-two bytes, fixed"), Bank: owner(100), Day: gmt8,
		OwnerOf: func(n uint32) (holdfast.Owner, error) { return owner(n), nil },
		Zone:    func(string) (*time.Location, error) { return gmt8, nil },
		Wait:    func(context.Context, int) error { return nil },
		Codes:   pay.NewCodeTries(maphash.MakeSeed()),
	})
	w.must(err)
	w.desk, err = New(Config{Cashier: w.cashier, Public: "https://pay.example/", Now: func() time.Time { return w.now }})
	w.must(err)
	w.gateway, err = alipay.New(alipay.Config{
		Desk: w.desk, Apps: w.desk, Key: platformKey(), Now: func() time.Time { return w.now },
		Observe: func(e alipay.Event) { w.err = e.Err },
	})
	w.must(err)
	w.must(w.cashier.OpenBank(w.ctx, w.tick(), cny))
	for i := range w.merchants {
		m := owner(uint32(1 + i))
		w.merchants[i] = m
		_, err := w.cashier.RegisterMerchant(w.ctx, pay.MerchantAsk{
			Owner: m, Name: "shop", Zone: "Asia/Shanghai", Assets: []holdfast.Asset{cny}, Fee: pay.FeePlan{BasisPoints: 60},
		}, w.tick())
		w.must(err)
		w.apps[i] = w.app(m, "all")
	}
	w.must(w.cashier.PutShop(w.ctx, w.merchants[0], pay.Shop{ID: "s1", Name: "茶馆"}, w.tick()))
	for i, n := range []uint32{3, 4, 6} { // the last one in the shard of the first merchant
		w.customers[i] = owner(n)
		w.register(w.customers[i], fmt.Sprintf("+861390000000%d", i))
	}
	return w
}

// Read makes "random" bytes that never repeat.
func (w *world) Read(b []byte) (int, error) {
	w.random++
	for i := range b {
		b[i] = w.random
	}
	return len(b), nil
}

func (w *world) app(m holdfast.Owner, permissions ...string) string {
	w.Helper()
	id := pay.AppID(m, w.random%10)
	w.random++
	der, err := x509.MarshalPKCS8PrivateKey(platformKey())
	w.must(err)
	ref, err := w.cashier.PutAppKey(w.ctx, id, der, [pay.NonceBytes]byte{w.random}, w.tick())
	w.must(err)
	public, err := x509.MarshalPKIXPublicKey(&appKey().PublicKey)
	w.must(err)
	a, err := w.cashier.PutApp(w.ctx, m, w.random-1, pay.App{
		PublicKey: string(public), PlatformKey: ref, Permissions: permissions, Notify: "https://shop.example/notify",
	}, w.tick())
	w.must(err)
	return a.ID
}

func (w *world) register(o holdfast.Owner, alias string) {
	w.Helper()
	_, err := w.cashier.RegisterCustomer(w.ctx, pay.CustomerAsk{Owner: o, Aliases: []string{alias}, Assets: []holdfast.Asset{cny}}, w.tick())
	w.must(err)
	_, err = w.cashier.TopUp(w.ctx, pay.TopUpAsk{Owner: o, Number: "start", Asset: cny, Amount: startMoney}, w.tick())
	w.must(err)
	_, err = w.cashier.ToppedUp(w.ctx, o, "start", "bank-1", w.tick())
	w.must(err)
	_, err = w.cashier.AddDevice(w.ctx, o, w.secret, [pay.NonceBytes]byte{byte(o)}, w.tick())
	w.must(err)
}

func (w *world) tick() holdfast.Time {
	w.now = w.now.Add(time.Millisecond)
	return holdfast.TimeOf(w.now)
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("unexpected: %v", err)
	}
}

// code is what a customer's phone shows now. It works once, so a minute passes first.
func (w *world) code(n int) string {
	w.now = w.now.Add(time.Minute)
	return pay.PaymentCode(w.customers[n], w.secret[:], w.tick())
}

func (w *world) balance(o holdfast.Owner) pay.Balance {
	w.Helper()
	b, err := w.cashier.Balance(w.ctx, o, cny)
	w.must(err)
	return b
}

// audit checks that no money has come from nowhere, and that all is where the documents say.
func (w *world) audit() {
	w.Helper()
	w.books.Deliver()
	if sum := w.books.Money(cny); sum != 0 {
		w.Errorf("%d minor units have come from nowhere", sum)
	}
	for _, m := range w.merchants {
		list, err := w.cashier.AuditMerchant(w.ctx, m, cny)
		w.must(err)
		for _, d := range list {
			w.Errorf("merchant: %v", d)
		}
	}
	for _, o := range w.customers {
		list, err := w.cashier.AuditCustomer(w.ctx, o, cny)
		w.must(err)
		for _, d := range list {
			w.Errorf("customer: %v", d)
		}
	}
}

// request are the parameters of a call, signed as SDKs do it: beside biz_content if they are named so.
func (w *world) request(method string, biz map[string]any, top map[string]string) url.Values {
	w.Helper()
	w.tick()
	text, err := json.Marshal(biz)
	w.must(err)
	v := url.Values{
		"method": {method}, "app_id": {w.apps[0]}, "charset": {"utf-8"}, "version": {"1.0"}, "sign_type": {"RSA2"},
		"timestamp": {w.now.Format("2006-01-02 15:04:05")}, "biz_content": {string(text)},
	}
	for name, value := range top {
		v.Set(name, value)
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(v)) {
		parts = append(parts, name+"="+v.Get(name))
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "&")))
	sign, err := rsa.SignPKCS1v15(nil, appKey(), crypto.SHA256, sum[:])
	w.must(err)
	v.Set("sign", base64.StdEncoding.EncodeToString(sign))
	return v
}

func (w *world) post(v url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/gateway.do", strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	w.gateway.ServeHTTP(rec, r)
	return rec
}

// answer is the inner object of a signed answer.
type answer map[string]any

// text is a member as it is written; "" when it is not there.
func (a answer) text(name string) string {
	if a[name] == nil {
		return ""
	}
	return fmt.Sprint(a[name])
}

// ask calls a method and checks the signature of the answer.
func (w *world) ask(method string, biz map[string]any, top ...map[string]string) answer {
	w.Helper()
	var more map[string]string
	if len(top) > 0 {
		more = top[0]
	}
	rec := w.post(w.request(method, biz, more))
	var outer map[string]json.RawMessage
	if err := json.Unmarshal(rec.Body.Bytes(), &outer); err != nil {
		w.Fatalf("%s: %s", method, rec.Body)
	}
	var sign string
	w.must(json.Unmarshal(outer["sign"], &sign))
	for name, inner := range outer {
		if name == "sign" {
			continue
		}
		signature, _ := base64.StdEncoding.DecodeString(sign)
		sum := sha256.Sum256(inner)
		w.must(rsa.VerifyPKCS1v15(&platformKey().PublicKey, crypto.SHA256, sum[:], signature))
		var a answer
		w.must(json.Unmarshal(inner, &a))
		return a
	}
	w.Fatalf("%s: no answer in %s", method, rec.Body)
	return nil
}

// done is ask for what has to succeed.
func (w *world) done(method string, biz map[string]any, top ...map[string]string) answer {
	w.Helper()
	a := w.ask(method, biz, top...)
	if a.text("code") != "10000" {
		w.Fatalf("%s %v: %v (%v)", method, biz, a, w.err)
	}
	return a
}

// refused is ask for what has to be refused.
func (w *world) refused(sub, method string, biz map[string]any, top ...map[string]string) answer {
	w.Helper()
	a := w.ask(method, biz, top...)
	if a.text("sub_code") != sub || a.text("sub_msg") == "" || a.text("code") == "20000" {
		w.Fatalf("%s %v: %v, want %s (%v)", method, biz, a, sub, w.err)
	}
	return a
}

// unknown is ask for what has an outcome that nobody knows.
func (w *world) unknown(method string, biz map[string]any, top ...map[string]string) answer {
	w.Helper()
	a := w.ask(method, biz, top...)
	if a.text("code") != "20000" {
		w.Fatalf("%s %v: %v, want 20000", method, biz, a)
	}
	return a
}

// is compares members of an answer; "" means that it is not there.
func (w *world) is(a answer, pairs ...string) {
	w.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if got := a.text(pairs[i]); got != pairs[i+1] {
			w.Errorf("%s is %q, want %q in %v", pairs[i], got, pairs[i+1], a)
		}
	}
}

// faulty has the next Submit go wrong.
func (w *world) faulty(f paytest.Fault) {
	w.books.Fault = func(*holdfast.Txn) paytest.Fault {
		w.books.Fault = nil
		return f
	}
}

// with is a request with more members.
func with(biz map[string]any, pairs ...any) map[string]any {
	c := maps.Clone(biz)
	for i := 0; i < len(pairs); i += 2 {
		if c[pairs[i].(string)] = pairs[i+1]; pairs[i+1] == nil {
			delete(c, pairs[i].(string))
		}
	}
	return c
}

// payment is a trade.pay by a customer.
func (w *world) payment(n int, number, amount string, more ...any) map[string]any {
	return with(map[string]any{"out_trade_no": number, "total_amount": amount, "subject": "茶", "auth_code": w.code(n)}, more...)
}
