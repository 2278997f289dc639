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
	// As many phones as there are requests, in both measurements, divided by the codes of each.
	calls := int(math.Ceil(gatewayShare * before * length.Seconds()))
	phones := (calls + calls/2) / goodCodes
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
	signs := math.Round((before + after) / 2)
	r.Config["rsa_2048_per_s"], r.Config["rsa_share"] = signs, math.Round(1000*r.PerS/signs)/1000
	r.Config["rsa_2048_per_s_before"], r.Config["rsa_2048_per_s_after"] = math.Round(before), math.Round(after)
	if err := t.genuine(&r); err != nil {
		return r, err
	}
	return r, t.look(ctx, &r)
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

// sign is RSA2 of the protocol: RSASSA-PKCS1-v1_5 with SHA-256, in Base64.
func sign(key *rsa.PrivateKey, text string) (string, error) {
	sum := sha256.Sum256([]byte(text))
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

// prepare signs requests, as many as there are codes for.
func (t *tills) prepare(ctx context.Context, n int) ([]signedCall, error) {
	now := time.Now()
	var list []signedCall
	contents := make([]map[string]string, 0, n)
	for i := range n {
		code, payer := t.code(now)
		if code == "" {
			break
		}
		app := &t.apps[i%len(t.apps)]
		trade := client.NewTrade{
			Merchant: app.Merchant, OutTradeNo: fmt.Sprintf("G%010d", t.number.Add(1)), Amount: payAmount, Payer: payer,
		}
		list = append(list, signedCall{app: app, trade: trade})
		contents = append(contents, map[string]string{
			"out_trade_no": trade.OutTradeNo, "scene": "bar_code", "auth_code": code, "subject": "a pot of tea", "total_amount": "1.00",
			"product_code": "FACE_TO_FACE_PAYMENT",
		})
	}
	return list, each(ctx, len(list), runtime.GOMAXPROCS(0), func(_ context.Context, i int) error {
		content, err := json.Marshal(contents[i])
		if err != nil {
			return err
		}
		list[i].form, err = t.form(list[i].app, string(content), now)
		return err
	})
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
	half := full / 2
	o.Say(fmt.Sprintf("%.0f payments a second through the gateway; now at %.0f", full, half))
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
		"half_load_payments": len(slow), "half_load_failed": failed,
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
