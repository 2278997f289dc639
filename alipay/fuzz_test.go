package alipay

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"holdfast"
)

// FuzzGateway sends anything, unsigned and signed: every answer is a compact signed envelope or a page, and nothing panics.
func FuzzGateway(f *testing.F) {
	v := known()
	for _, one := range []v2Vector{v.Exec, v.PageLink, v.OrderString, v.EmptyValue} {
		f.Add(one.Query, one.Body, "application/x-www-form-urlencoded")
	}
	f.Add("method=alipay.trade.query&app_id=1", "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\ny\r\n--b--", "multipart/form-data; boundary=b")
	g, _ := newGateway(f, nil)
	f.Fuzz(func(t *testing.T, query, body, kind string) {
		r := httptest.NewRequest(http.MethodPost, "/gateway.do", strings.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		switch text := w.Body.String(); {
		case w.Code == http.StatusSeeOther, strings.HasPrefix(text, "<!doctype"), text == "true", text == "false", w.Code == 503:
		default:
			root, _, _ := strings.Cut(strings.TrimPrefix(text, `{"`), `"`)
			checkEnvelope(t, text, root)
		}
	})
}

// render writes a node as JSON again.
func render(n *node) any {
	switch n.kind {
	case isObject:
		m := map[string]any{}
		for i := range n.members {
			m[n.members[i].name] = render(&n.members[i].node)
		}
		return m
	case isArray:
		a := []any{}
		for i := range n.items {
			a = append(a, render(&n.items[i]))
		}
		return a
	case isText:
		return n.text
	case isNumber:
		return json.Number(n.text)
	case isBool:
		return n.text == "true"
	default:
		return nil
	}
}

// FuzzJSON holds our reader to encoding/json: what one takes the other takes, and they read the same. Only what we bound may differ.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{
		benchPay, `{}`, `{ "a" : [ ] , "b":[1,-0.5e+3,true,false,null,"\u4e2d\n\"\\"] }`, `{"a":01}`, `{"a":1.}`, `{"a":"\x"}`, `{"a":1,}`, `{"a"}`, `{"a":-}`,
		`{"a":1}x`, `{"a":"` + "\n" + `"}`, `[1]`, `{"a":tru}`, `{"a":1e}`, `{"a":.5}`, `{"a":[1,]}`, `{"a":"\ud800"}`, `{,}`, `{"a":"b`, `{"a":"b\`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := parseObject([]byte(text))
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var want map[string]any
		wanted := d.Decode(&want)
		if _, end := d.Token(); wanted == nil && (end != io.EOF || want == nil) { //nolint:errorlint // a Decoder gives it as it is
			wanted = errJSON
		}
		if err != nil {
			bounded := !utf8.ValidString(text) || strings.Count(text, ":") > 1 || strings.Count(text, "[") > maxDepth
			if wanted == nil && !bounded {
				t.Fatalf("%q is refused, and encoding/json takes it", text)
			}
			return
		}
		if wanted != nil {
			t.Fatalf("%q is taken, and encoding/json refuses it: %v", text, wanted)
		}
		if diff := cmp.Diff(any(want), render(&n)); diff != "" {
			t.Fatalf("%q\n%s", text, diff)
		}
	})
}

// FuzzBizContent takes any JSON past the signature, to every method.
func FuzzBizContent(f *testing.F) {
	f.Add(0, benchPay)
	f.Add(9, `{"out_request_no":"Q","trade_no":"T","royalty_parameters":[{"trans_in":"2088","amount":1}],"extend_params":"{\"royalty_finish\":true}"}`)
	f.Add(12, `{"out_biz_no":"B","trans_amount":1e9,"payee_info":{"identity":null}}`)
	f.Fuzz(func(t *testing.T, which int, biz string) {
		n, err := parseObject([]byte(biz))
		if err != nil {
			return
		}
		if !json.Valid([]byte(biz)) {
			t.Fatalf("%q was read", biz)
		}
		m := &methods[uint(which)%uint(len(methods))]
		d := newFake()
		a := newAnswer(nil)
		fs := &fields{n: &n, now: testNow, invalid: m.invalid, products: AllProducts}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // nobody waits for the desk
		_, _ = m.run(ctx, d, Caller{App: &d.app, Merchant: merchant, Now: testNow}, fs, a)
		if out := a.end(); !json.Valid(out) || bytes.ContainsAny(out, "\n") {
			t.Fatalf("%q gives %q", biz, out)
		}
	})
}

func FuzzAuthorization(f *testing.F) {
	for _, one := range []v3Vector{known().Post, known().Get, known().Token} {
		f.Add(one.Authorization)
	}
	f.Fuzz(func(t *testing.T, header string) {
		auth, err := parseAuthorization(header)
		if err == nil && scheme+auth.text+",sign="+auth.sign != header {
			t.Fatalf("%q lost something: %+v", header, auth)
		}
	})
}

func TestYuan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fen := holdfast.Amount(rapid.Int64Range(0, 99_999_999_999_999).Draw(t, "fen"))
		if back, err := ParseYuan(Yuan(fen)); err != nil || back != fen {
			t.Fatalf("%d is %s and comes back as %d, %v", fen, Yuan(fen), back, err)
		}
	})
	for text, want := range map[string]holdfast.Amount{"1": 100, "1.5": 150, "0.01": 1, "007": 700, "88.88": 8888} {
		if got, err := ParseYuan(text); err != nil || got != want {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", ".", "1.", ".5", "+1", "-1", "1e2", "1,000", "1.234", "٣", " 1", "1 ", "0x1", "1234567890123456"} {
		if got, err := ParseYuan(text); err == nil {
			t.Errorf("%q was taken as %d", text, got)
		}
	}
	if got := Yuan(-6) + " " + Yuan(-123456); got != "-0.06 -1234.56" {
		t.Error(got)
	}
}

// TestAnswersAreJSON: whatever text is in an answer, a parser reads it back.
func TestAnswersAreJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		var back map[string]string
		a := newAnswer(nil)
		a.text("t", text)
		if err := json.Unmarshal(a.end(), &back); err != nil || back["t"] != text {
			t.Fatalf("%q is %s, %v", text, a.b, err)
		}
	})
}

// TestFormsAreReadAsTheyAreSigned: encoding, decoding and merging leave every value as it was.
func TestFormsAreReadAsTheyAreSigned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.MapOfN(rapid.StringMatching(`[a-z_]{1,8}`), rapid.String(), 1, 12).Draw(t, "parameters")
		v := url.Values{}
		for name, value := range all {
			v.Set(name, value)
		}
		p, err := readParams(post(v.Encode(), v.Encode()))
		if err != nil || len(p) != len(all) {
			t.Fatalf("%v, %v", p, err)
		}
		for name, value := range all {
			if p.get(name) != value {
				t.Fatalf("%s is %q, want %q", name, p.get(name), value)
			}
		}
		if back, err := url.ParseQuery(p.form()); err != nil || back.Encode() != v.Encode() {
			t.Fatalf("%v", back)
		}
	})
}

func TestEndOfTheDay(t *testing.T) {
	n := must(parseObject([]byte(`{"timeout_express":"1c"}`)))
	f := fields{n: &n, now: testNow, invalid: invalidTrade}
	if at, explicit := f.expires(maxWait, "timeout_express"); !explicit || !at.Equal(time.Date(2026, 11, 23, 0, 0, 0, 0, gmt8)) {
		t.Errorf("%v", at)
	}
}
