package alipay

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"
)

const benchPay = `{"out_trade_no":"A1","total_amount":"9.90","subject":"茶","auth_code":"281234567890123456","scene":"bar_code","store_id":"s1",` +
	`"goods_detail":[{"goods_id":"g","goods_name":"tea","quantity":2,"price":"4.95"}]}`

// sink is a response writer that costs nothing.
type sink struct {
	header http.Header
	size   int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(int)             {}
func (s *sink) Write(b []byte) (int, error) { s.size += len(b); return len(b), nil }

// BenchmarkGateway is a trade.pay through the whole gateway, without net/http and the desk. At least 90 % of what BenchmarkSign does.
func BenchmarkGateway(b *testing.B) {
	g, _ := newGateway(b, nil)
	body := signedQuery("alipay.trade.pay", benchPay, func(v url.Values) { v.Set("notify_url", "https://shop.example/cb") }).Encode()
	w := &sink{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		w.size = 0
		g.ServeHTTP(w, post("", body))
	}
	if w.size < 600 {
		b.Fatal(w.size)
	}
}

// BenchmarkSign is one signature of RSA-2048: the least that an answer costs.
func BenchmarkSign(b *testing.B) {
	text := []byte(benchPay)
	key := platformKey()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := RSA2.sign(key, text); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify is what proving the merchant's signature costs.
func BenchmarkVerify(b *testing.B) {
	text := []byte(benchPay)
	signature := must(RSA2.sign(appKey(), text))
	b.ReportAllocs()
	for b.Loop() {
		if !RSA2.verify(&appKey().PublicKey, text, signature) {
			b.Fatal("does not fit")
		}
	}
}

// BenchmarkReadAndWrite is everything but the two signatures.
func BenchmarkReadAndWrite(b *testing.B) {
	g, d := newGateway(b, nil)
	body := signedQuery("alipay.trade.pay", benchPay, nil).Encode()
	b.ReportAllocs()
	for b.Loop() {
		r := post("", body)
		p, err := readParams(r)
		if err != nil {
			b.Fatal(err)
		}
		c := &call{g: g, r: r, p: p, now: testNow, app: &d.app, m: g.index.byName["alipay.trade.pay"], named: "alipay.trade.pay", trace: g.token()}
		f, err := c.content()
		if err != nil {
			b.Fatal(err)
		}
		a := newAnswer(nil)
		res, err := c.do(b.Context(), f, a)
		if inner, _ := c.inner(a.end(), res, err); len(inner) < 100 || err != nil {
			b.Fatal(string(inner), err)
		}
	}
}

// BenchmarkStranger is what a request without a right signature costs.
func BenchmarkStranger(b *testing.B) {
	g, _ := newGateway(b, nil)
	body := signedQuery("alipay.trade.pay", benchPay, func(v url.Values) { v.Set("sign", known().Exec.Sign) }).Encode()
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		w.Body.Reset()
		g.ServeHTTP(w, post("", body))
	}
}

// BenchmarkShare does one call and one signature in turn and compares the quickest of each, which other programs on the machine
// disturb least: how much of plain signing the gateway reaches, in percent.
func BenchmarkShare(b *testing.B) {
	g, _ := newGateway(b, nil)
	body := signedQuery("alipay.trade.pay", benchPay, nil).Encode()
	w := &sink{header: http.Header{}}
	text, key := []byte(benchPay), platformKey()
	call, sign := time.Hour, time.Hour
	for b.Loop() {
		began := time.Now()
		g.ServeHTTP(w, post("", body))
		between := time.Now()
		if _, err := RSA2.sign(key, text); err != nil {
			b.Fatal(err)
		}
		call, sign = min(call, between.Sub(began)), min(sign, time.Since(between))
	}
	b.ReportMetric(100*float64(sign)/float64(call), "%-of-signing")
	b.ReportMetric(float64(call.Microseconds()), "us/call")
	b.ReportMetric(float64(sign.Microseconds()), "us/signature")
}
