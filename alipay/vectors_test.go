package alipay

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// post is a request to /gateway.do as an SDK sends it.
func post(query, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/gateway.do?"+query, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")
	return r
}

func TestVectorsOfRequests(t *testing.T) {
	v := known()
	for name, one := range map[string]v2Vector{"exec": v.Exec, "page link": v.PageLink, "order string": v.OrderString, "empty value": v.EmptyValue} {
		t.Run(name, func(t *testing.T) {
			p, err := readParams(post(one.Query, one.Body))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(p.signedText(nil, true, "sign")); got != one.StringToSign {
				t.Errorf("signed text\n%s\nwant\n%s", got, one.StringToSign)
			}
			if p.get("sign") != one.Sign {
				t.Errorf("sign %s", p.get("sign"))
			}
			c := call{g: &Gateway{}, p: p, kind: RSA2, app: &newFake().app}
			if !c.signed() {
				t.Error("the signature of the SDK does not pass")
			}
			// Any parameter that is changed breaks it, also one that nobody knows.
			for i := range p {
				changed := slices.Clone(p)
				if changed[i].value += "x"; changed[i].name == "sign" {
					continue
				}
				if c.p = changed; c.signed() {
					t.Errorf("passes with %s changed", p[i].name)
				}
			}
			if c.p, _ = append(slices.Clone(p), param{"zz", "1"}).merge(); c.signed() {
				t.Error("passes with a parameter more")
			}
			if signature, err := RSA2.sign(appKey(), []byte(one.StringToSign)); err != nil || signature != one.Sign {
				t.Errorf("we sign %s, %v", signature, err)
			}
		})
	}
}

// TestVectorsThroughTheGateway: the recorded requests get an answer as they stand.
func TestVectorsThroughTheGateway(t *testing.T) {
	g, d := newGateway(t, nil)
	v := known()
	w := httptest.NewRecorder()
	g.ServeHTTP(w, post(v.Exec.Query, v.Exec.Body))
	checkEnvelope(t, w.Body.String(), "alipay_trade_query_response", `"code":"10000"`)
	if d.last != (TradeRef{OutTradeNo: "V_1"}) || d.who.AuthApp != "2021000000000009" {
		t.Errorf("the desk got %+v of %s", d.last, d.who.AuthApp)
	}
	w = httptest.NewRecorder()
	g.ServeHTTP(w, post(v.EmptyValue.Query, ""))
	checkEnvelope(t, w.Body.String(), "alipay_trade_query_response", `"code":"10000"`)
	// The link was made without product_code, which page.pay needs: the buyer sees why.
	w = httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/gateway.do?"+v.PageLink.Query, nil))
	if w.Code != 200 || !strings.Contains(w.Body.String(), "product_code is missing") || !strings.Contains(w.Body.String(), "ACQ.INVALID_PARAMETER") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/gateway.do?"+v.OrderString.Query, nil))
	checkEnvelope(t, w.Body.String(), "alipay_trade_app_pay_response", `"cashier_url":"https://pay.example/c/1"`)
}

func TestVectorOfAResponse(t *testing.T) {
	v := known().Response
	a := newAnswer(nil)
	a.text("code", "10000")
	a.text("msg", "Success")
	a.text("out_trade_no", "V_1")
	a.text("trade_status", "TRADE_SUCCESS")
	a.text("buyer_logon_id", "138****0001")
	a.text("subject", `茶 & "点心" {x}`)
	inner := a.end()
	if string(inner) != v.SignedText {
		t.Errorf("inner object\n%s\nwant\n%s", inner, v.SignedText)
	}
	out, err := Envelope(platformKey(), RSA2, "alipay_trade_query_response", inner)
	if err != nil || string(out) != v.Body {
		t.Errorf("%s, %v\nwant\n%s", out, err, v.Body)
	}
}

func TestVectorOfANotice(t *testing.T) {
	v := known().Notify
	var p params
	for _, name := range slices.Sorted(maps.Keys(v.Fields)) {
		p = append(p, param{name, v.Fields[name]})
	}
	if got := string(p.signedText(nil, false, "sign", "sign_type")); got != v.SignedText {
		t.Errorf("signed text %s\nwant %s", got, v.SignedText)
	}
	form, err := signedForm(platformKey(), RSA2, p)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := url.ParseQuery(form)
	want, _ := url.ParseQuery(v.Form)
	if !maps.EqualFunc(got, want, slices.Equal) || got.Get("sign") != v.Sign {
		t.Errorf("%s\nwant\n%s", form, v.Form)
	}
}

func (v v3Vector) request() *http.Request {
	r := httptest.NewRequest(v.Method, v.Path, strings.NewReader(v.Body))
	r.Header.Set("Authorization", v.Authorization)
	r.Header.Set("Content-Type", "application/json")
	return r
}

func TestVectorsOfV3(t *testing.T) {
	v := known()
	for name, one := range map[string]v3Vector{"post": v.Post, "get": v.Get, "token": v.Token} {
		t.Run(name, func(t *testing.T) {
			auth, err := parseAuthorization(one.Authorization)
			if err != nil {
				t.Fatal(err)
			}
			token := ""
			if name == "token" {
				token = "TOK"
			}
			if got := string(signedV3(auth.text, one.Method, one.Path, []byte(one.Body), token)); got != one.SignedText {
				t.Errorf("signed text\n%s\nwant\n%s", got, one.SignedText)
			}
			ms, _ := strconv.ParseInt(auth.at, 10, 64)
			g, d := newGateway(t, func(c *Config) { c.Now = func() time.Time { return time.UnixMilli(ms) } })
			r := one.request()
			if token != "" {
				r.Header.Set("alipay-app-auth-token", token)
			}
			w := httptest.NewRecorder()
			g.ServeHTTP(w, r)
			if name == "get" { // the signature passes; the account type "A B+" does not
				if w.Code != 400 || !strings.Contains(w.Body.String(), "INVALID_PARAMETER") || !strings.Contains(w.Body.String(), "account_type") {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
			} else if w.Code != 200 || d.last != (TradeRef{OutTradeNo: "V_1"}) {
				t.Fatalf("%d %s, and the desk got %+v", w.Code, w.Body, d.last)
			}
			h := w.Header()
			text := signedAnswerV3(h.Get("alipay-timestamp"), h.Get("alipay-nonce"), w.Body.Bytes())
			if !RSA2.verify(&platformKey().PublicKey, text, h.Get("alipay-signature")) {
				t.Error("the answer is not signed")
			}
			// The same nonce again is refused, and so is another body.
			again := httptest.NewRecorder()
			if r = one.request(); token != "" {
				r.Header.Set("alipay-app-auth-token", token)
			}
			if g.ServeHTTP(again, r); again.Code != 400 || !strings.Contains(again.Body.String(), `"code":"invalid-nonce"`) {
				t.Errorf("the same request again: %d %s", again.Code, again.Body)
			}
		})
	}
}

func TestVectorOfAV3Response(t *testing.T) {
	v := known().ResponseV3
	text := signedAnswerV3(v.Headers["alipay-timestamp"], v.Headers["alipay-nonce"], []byte(v.Body))
	if string(text) != v.SignedText {
		t.Errorf("signed text %q", text)
	}
	if signature, err := RSA2.sign(platformKey(), text); err != nil || signature != v.Headers["alipay-signature"] {
		t.Errorf("%s, %v", signature, err)
	}
}
