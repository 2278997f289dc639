package bench

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/pay"
)

const (
	gatewayBits   = 2048
	gatewayApps   = 10
	gatewayPhones = 4 // of a customer: as many as he may have
	// gatewayShare of what the machine can sign is as many requests as are prepared; a faster gateway uses them up before the time is over.
	gatewayShare = 0.7
	// gatewayMost is how long a measurement may take: payment codes are good for a minute at least, and signing takes its time too.
	gatewayMost = 20 * time.Second
	payMethod   = "alipay.trade.pay"
	payAnswer   = "alipay_trade_pay_response"
	paidCode    = `"code":"10000"`
	goodCodes   = 2 // of each phone at any time, for a minute: that of the minute, and that of the next one
)

// beijing is the zone of all times of the protocol.
var beijing = time.FixedZone("GMT+8", 8*60*60)

// tills are what signs and sends requests of merchants to the gateway, and the phones of customers who show them codes.
type tills struct {
	*market
	key    *rsa.PrivateKey // of all apps
	apps   []client.App
	phones []phone
	turn   int // the phone that shows the next code
	http   *http.Client
	urls   []string

	mu      sync.Mutex
	answers []answered // a sample, to check the signatures of

	drawing sync.Mutex // a code
}

// phone shows codes; next is the first step of time that it has shown none of yet.
type phone struct {
	owner  holdfast.Owner
	secret []byte
	next   int64
}

// signedCall is a request as it goes out.
type signedCall struct {
	app   *client.App
	trade client.NewTrade
	form  string
}

// answered is an answer of the gateway to an app.
type answered struct {
	app  *client.App
	body []byte
}

// payGateway measures alipay.trade.pay with payment codes, each request signed beforehand, and how often this machine can sign.
func payGateway(ctx context.Context, o *Options) (r Result, err error) {
	t := &tills{}
	if t.key, err = rsa.GenerateKey(rand.Reader, gatewayBits); err != nil {
		return r, err
	}
	length := min(o.Length, gatewayMost)
	before, err := signingRate(t.key, length/5)
	if err != nil {
		return r, err
	}
	// As many phones as there are requests, in all three measurements, divided by the codes of each.
	calls := int(math.Ceil(gatewayShare * before * length.Seconds()))
	phones := 2 * calls / goodCodes
	customers := max(cmp.Or(o.Customers, phones/gatewayPhones+1), 2)
	m, stop, err := openMarket(ctx, o, cmp.Or(o.Merchants, gatewayApps), customers)
	t.market = m
	defer func() { err = errors.Join(err, stop()) }()
	if err == nil {
		err = t.open(ctx)
	}
	if err != nil {
		return r, err
	}
	defer t.http.CloseIdleConnections()
	r, err = t.measure(ctx, o, length, min(calls, goodCodes*len(t.phones)))
	if err != nil {
		return r, err
	}
	after, err := signingRate(t.key, length/5)
	if err != nil {
		return r, err
	}
	r.limit(before, after)
	if err := t.genuine(&r); err != nil {
		return r, err
	}
	return r, t.look(ctx, &r)
}

// limit compares payments with what the machine can sign. Whoever pays through the gateway has two signatures made: the merchant his of the request,
// the platform its of the answer. When the merchants are on the machine as well, it can do half as many payments as signatures and no more; that is the
// limit for requests that are signed as they are sent. When they were signed before, the limit is one signature for each payment.
func (r *Result) limit(before, after float64) {
	signs := (before + after) / 2
	share := func(rate, most float64) float64 { return math.Round(1000*rate/most) / 1000 }
	both, _ := r.Config["signing_per_s"].(float64)
	r.Config["rsa_2048_per_s"], r.Config["rsa_2048_per_s_before"], r.Config["rsa_2048_per_s_after"] = math.Round(signs), math.Round(before), math.Round(after)
	r.Config["limit"] = "rsa_2048_per_s: signatures a second that all cores make when they do nothing else, before and after. per_s: requests signed " +
		"beforehand, one signature (the platform's) for each payment, rsa_share is per_s / rsa_2048_per_s. signing_per_s: the load generator signs each request as it sends " +
		"it, two signatures for each payment, signing_share is signing_per_s / (rsa_2048_per_s / 2)"
	r.Config["rsa_share"], r.Config["signing_limit_per_s"], r.Config["signing_share"] = share(r.PerS, signs), math.Round(signs/2), share(both, signs/2)
}

// signingRate is how often all cores of the machine together sign with RSA-2048 in a second, and do nothing else.
func signingRate(key *rsa.PrivateKey, length time.Duration) (float64, error) {
	var group sync.WaitGroup
	var n atomic.Int64
	var failed atomic.Value
	began := time.Now()
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for time.Since(began) < length {
				if _, err := sign(key, "a text"); err != nil {
					failed.Store(err)
					return
				}
				n.Add(1)
			}
		})
	}
	group.Wait()
	err, _ := failed.Load().(error)
	return float64(n.Load()) / time.Since(began).Seconds(), err
}

// signers are those that sign at this moment: as many as can run at once, so that those who wait for an answer get it when it comes.
var signers = make(chan struct{}, runtime.GOMAXPROCS(0))

// sign is RSA2 of the protocol: RSASSA-PKCS1-v1_5 with SHA-256, in Base64.
func sign(key *rsa.PrivateKey, text string) (string, error) {
	sum := sha256.Sum256([]byte(text))
	signers <- struct{}{}
	defer func() { <-signers }()
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign with RSA-%d: %w", key.N.BitLen(), err)
	}
	return base64.StdEncoding.EncodeToString(signature), nil
}

// open gives some merchants an app, and every customer phones.
func (t *tills) open(ctx context.Context) error {
	public, err := x509.MarshalPKIXPublicKey(&t.key.PublicKey)
	if err != nil {
		return err
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	t.apps = make([]client.App, min(gatewayApps, len(t.merchants)))
	for i := range t.apps {
		if t.apps[i], err = t.at(i).PutApp(ctx, t.merchants[i], client.AppChange{PublicKey: text}); err != nil {
			return fmt.Errorf("make an app: %w", err)
		}
	}
	t.phones = make([]phone, gatewayPhones*len(t.customers))
	err = each(ctx, len(t.customers), settlers, func(ctx context.Context, i int) error {
		for k := range gatewayPhones {
			p := &t.phones[k*len(t.customers)+i] // one of every customer, before the second of any
			p.owner = t.customers[i]
			_, secret, err := t.at(i).AddDevice(ctx, p.owner)
			if err != nil {
				return fmt.Errorf("give a customer a phone: %w", err)
			}
			p.secret = secret
		}
		return nil
	})
	t.http = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}}
	for _, base := range t.fleet.URLs(0) {
		t.urls = append(t.urls, base+"/gateway.do")
	}
	return err
}

// code is one that nobody has shown yet and that is good for a minute at least; "": there is none.
func (t *tills) code(now time.Time) (code string, o holdfast.Owner) {
	for range t.phones {
		p := &t.phones[t.turn]
		t.turn = (t.turn + 1) % len(t.phones)
		step := max(p.next, now.Unix()/60)
		if step < now.Unix()/60+goodCodes {
			p.next = step + 1
			return pay.PaymentCode(p.owner, p.secret, holdfast.TimeOf(time.Unix(step*60, 0))), p.owner
		}
	}
	return "", 0
}

// next makes up request number i; false: there is no code left.
func (t *tills) next(i int, now time.Time) (c signedCall, content map[string]string, ok bool) {
	t.drawing.Lock()
	code, payer := t.code(now)
	t.drawing.Unlock()
	if code == "" {
		return c, nil, false
	}
	app := &t.apps[i%len(t.apps)]
	c = signedCall{app: app, trade: client.NewTrade{
		Merchant: app.Merchant, OutTradeNo: fmt.Sprintf("G%010d", t.number.Add(1)), Amount: payAmount, Payer: payer,
	}}
	return c, map[string]string{
		"out_trade_no": c.trade.OutTradeNo, "scene": "bar_code", "auth_code": code, "subject": "a pot of tea", "total_amount": "1.00",
		"product_code": "FACE_TO_FACE_PAYMENT",
	}, true
}

// sign makes the body of a request.
func (t *tills) sign(c *signedCall, content map[string]string, now time.Time) error {
	text, err := json.Marshal(content)
	if err != nil {
		return err
	}
	c.form, err = t.form(c.app, string(text), now)
	return err
}

// prepare signs requests, as many as there are codes for.
func (t *tills) prepare(ctx context.Context, n int) ([]signedCall, error) {
	now := time.Now()
	var list []signedCall
	contents := make([]map[string]string, 0, n)
	for i := range n {
		c, content, ok := t.next(i, now)
		if !ok {
			break
		}
		list, contents = append(list, c), append(contents, content)
	}
	return list, each(ctx, len(list), runtime.GOMAXPROCS(0), func(_ context.Context, i int) error { return t.sign(&list[i], contents[i], now) })
}

// form is the body of a request: its parameters, and the signature of all of them.
func (t *tills) form(app *client.App, content string, now time.Time) (string, error) {
	parameters := map[string]string{
		"app_id": app.ID, "method": payMethod, "charset": "utf-8", "sign_type": "RSA2", "version": "1.0",
		"timestamp": now.In(beijing).Format(time.DateTime), "biz_content": content,
	}
	var parts []string
	values := url.Values{}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		parts = append(parts, name+"="+parameters[name])
		values.Set(name, parameters[name])
	}
	signature, err := sign(t.key, strings.Join(parts, "&"))
	values.Set("sign", signature)
	return values.Encode(), err
}

// send sends a request to a site and waits for its answer. One that is not a payment is an error.
func (t *tills) send(ctx context.Context, i int, c *signedCall) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.urls[i%len(t.urls)], strings.NewReader(c.form))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded;charset=utf-8")
	resp, err := t.http.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	const most = 64 << 10
	body, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return err
	}
	if !bytes.Contains(body, []byte(paidCode)) {
		return fmt.Errorf("trade %s was not paid: %s: %.600s", c.trade.OutTradeNo, resp.Status, body)
	}
	t.mu.Lock()
	if len(t.answers) < lookAtMost {
		t.answers = append(t.answers, answered{c.app, body})
	}
	t.mu.Unlock()
	return t.remember(c.trade, tradePaid)
}

// measure pays as often as it goes with requests that were signed before, and then at half of that.
func (t *tills) measure(ctx context.Context, o *Options, length time.Duration, calls int) (r Result, err error) {
	o.Say(fmt.Sprintf("signing %d requests", calls))
	list, err := t.prepare(ctx, calls)
	if err != nil {
		return r, err
	}
	callers := min(o.Callers, 128)
	var next atomic.Int64
	work := workOf(t.fleet)
	full, waits, err := closedLoop(ctx, callers, length, func(i int) call {
		return func(ctx context.Context) error {
			n := next.Add(1) - 1
			if n >= int64(len(list)) {
				return errSpent
			}
			return t.send(ctx, i, &list[n])
		}
	})
	if err != nil {
		return r, err
	}
	used := work.per(len(waits))
	o.Say(fmt.Sprintf("%.0f payments a second through the gateway; now with each request signed as it is sent", full))
	work = workOf(t.fleet)
	signing, signed, err := closedLoop(ctx, callers, length, func(i int) call {
		return func(ctx context.Context) error {
			now := time.Now()
			c, content, ok := t.next(i, now)
			if !ok {
				return errSpent
			}
			if err := t.sign(&c, content, now); err != nil {
				return err
			}
			return t.send(ctx, i, &c)
		}
	})
	if err != nil {
		return r, err
	}
	usedSigning := work.per(len(signed))
	half := full / 2
	o.Say(fmt.Sprintf("%.0f of those; now %.0f that were signed before", signing, half))
	second, err := t.prepare(ctx, int(half*length.Seconds()))
	if err != nil {
		return r, err
	}
	within := min(length, time.Duration(float64(len(second))/max(1, half)*float64(time.Second)))
	slow, failed, err := openLoop(ctx, half, within, func(n int) call {
		return func(ctx context.Context) error { return t.send(ctx, n, &second[min(n, len(second)-1)]) }
	})
	p50, p99 := slow.quantiles()
	return Result{PerS: full, P50: p50, P99: p99, Seconds: seconds(length), Config: t.config(map[string]any{
		"callers": callers, "method": payMethod, "apps": len(t.apps), "phones": len(t.phones), "payments": len(waits), "half_load_per_s": half,
		"half_load_payments": len(slow), "half_load_failed": failed, "signing_per_s": signing, "signing_payments": len(signed),
		"cpu_us_each": used, "signing_cpu_us_each": usedSigning, "load_average": others(),
		"latency_of": "a payment at half of per_s, open-loop, from when it was due; requests signed beforehand, answers checked afterwards",
	})}, err
}

// genuine checks the platform's signature of the answers in the sample.
func (t *tills) genuine(r *Result) error {
	for _, a := range t.answers {
		if err := a.genuine(); err != nil {
			return err
		}
	}
	r.Config["signatures_checked"] = len(t.answers)
	return nil
}

func (a *answered) genuine() error {
	var answer map[string]json.RawMessage
	var text string
	if err := errors.Join(json.Unmarshal(a.body, &answer), json.Unmarshal(answer["sign"], &text)); err != nil {
		return fmt.Errorf("an answer of the gateway has no sign: %w: %.300s", err, a.body)
	}
	block, _ := pem.Decode([]byte(a.app.PlatformPublicKey))
	if block == nil {
		return fmt.Errorf("app %s has no public key of the platform", a.app.ID)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return err
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("the platform's key for app %s is none of RSA", a.app.ID)
	}
	signature, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(answer[payAnswer])
	if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature); err != nil {
		return fmt.Errorf("the platform's signature does not fit an answer: %w: %.300s", err, a.body)
	}
	return nil
}
