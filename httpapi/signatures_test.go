package httpapi

import (
	"crypto"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"holdfast/client"
	"holdfast/pay"
	"holdfast/signin"
)

func signedBy(key *rsa.PrivateKey, hash crypto.Hash, text string) string {
	var sum []byte
	switch hash {
	case crypto.MD5:
		v := md5.Sum([]byte(text))
		sum = v[:]
	case crypto.SHA1:
		v := sha1.Sum([]byte(text))
		sum = v[:]
	default:
		v := sha256.Sum256([]byte(text))
		sum = v[:]
	}
	return base64.StdEncoding.EncodeToString(must(rsa.SignPKCS1v15(nil, key, hash, sum)))
}

// TestWhatIsWrongWithASignature makes the mistakes that people make, one by one, and wants each named.
func TestWhatIsWrongWithASignature(t *testing.T) {
	key, stranger := rsaKey(), must(rsa.GenerateKey(rand.Reader, 2048))
	keys := signatureKeys{id: "2021000000010018", own: &key.PublicKey}
	const biz = `{"out_trade_no":"t-1","subject":"龙井 & tea/+","total_amount":"8.88"}`
	params := [][2]string{
		{"method", "alipay.trade.pay"},
		{"app_id", keys.id},
		{"charset", "utf-8"},
		{"sign_type", "RSA2"},
		{"biz_content", biz},
		{"notify_url", ""},
		{"timestamp", "2026-11-27 10:00:00"},
		{"version", "1.0"},
	}
	text := func(sorted bool, drop string, value func(string) string) string {
		list := slices.Clone(params)
		if sorted {
			slices.SortFunc(list, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
		}
		var parts []string
		for _, p := range list {
			if p[0] != drop && p[1] != "" {
				parts = append(parts, p[0]+"="+value(p[1]))
			}
		}
		return strings.Join(parts, "&")
	}
	same := func(v string) string { return v }
	right := text(true, "", same)
	request := func(signature string) string {
		q := url.Values{"sign": {signature}}
		for _, p := range params {
			q.Set(p[0], p[1])
		}
		return q.Encode()
	}
	good := signedBy(key, crypto.SHA256, right)
	v3 := "app_id=" + keys.id + ",nonce=n,timestamp=1\nPOST\n/v3/alipay/trade/pay\n{}\n"
	pss := must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, digestOf(crypto.SHA256, []byte(right)), nil))
	with := func(change func(string) string) string {
		return signedBy(key, crypto.SHA256, change(right))
	}
	for _, row := range []struct{ want, text, signature, signType string }{
		{"fits", right, good, ""},
		{"fits", request(good), "", ""},
		{"fits", "https://pay.example/gateway.do?" + request(good), "", ""},
		{"fits", text(false, "", same), good, ""}, // as it is sent: the gateway sorts
		{"fits", right, good[:100] + "\n" + good[100:], ""},
		{"fits", v3, signedBy(key, crypto.SHA256, v3), ""},
		{"fits", strings.TrimSpace(v3), signedBy(key, crypto.SHA256, v3), ""},
		{"fits", "old=1", signedBy(key, crypto.SHA1, "old=1"), "RSA"},
		{"hash", right, signedBy(key, crypto.SHA1, right), ""},
		{"hash", right, signedBy(key, crypto.MD5, right), ""},
		{"order", text(false, "", same), signedBy(key, crypto.SHA256, text(false, "", same)), ""},
		{"sign-type-left-out", request(signedBy(key, crypto.SHA256, text(true, "sign_type", same))), "", ""},
		{"encoded", request(signedBy(key, crypto.SHA256, text(true, "", url.QueryEscape))), "", ""},
		{"encoded", request(signedBy(key, crypto.SHA256, text(true, "", percent))), "", ""},
		{"plus", strings.ReplaceAll(right, "+", " "), signedBy(key, crypto.SHA256, strings.ReplaceAll(right, " ", "+")), ""},
		{"quotes", right, signedBy(key, crypto.SHA256, text(true, "", func(v string) string { return `"` + v + `"` })), ""},
		{"line-break", right, with(func(s string) string { return s + "\n" }), ""},
		{"line-break", v3, with(func(string) string { return strings.ReplaceAll(v3, "\n", "\r\n") }), ""},
		{"mark", right, with(func(s string) string { return "\ufeff" + s }), ""},
		{"charset", right, with(func(s string) string { return must(simplifiedchinese.GBK.NewEncoder().String(s)) }), ""},
		{"biz-content", right, with(func(s string) string { return strings.Replace(s, biz, spacedJSON(biz), 1) }), ""},
		{"biz-content", right, with(func(s string) string { return strings.Replace(s, biz, escapedJSON(biz), 1) }), ""},
		{"text", right, with(func(s string) string { return s + "!" }), ""},
		{"key-pair", right, signedBy(stranger, crypto.SHA256, right), ""},
		{"pss", right, base64.StdEncoding.EncodeToString(pss), ""},
		{"signature-missing", right, "", ""},
		{"signature-length", right, good[:200], ""},
		{"signature-base64", right, good[:len(good)-3] + "*==", ""},
		{"signature-encoded", right, url.QueryEscape(good), ""},
		{"signature-spaces", right, strings.ReplaceAll(good, "+", " "), ""},
		{"signature-url-base64", right, base64.RawURLEncoding.EncodeToString(must(base64.StdEncoding.DecodeString(good))), ""},
		{"signature-hex", right, hex.EncodeToString(must(base64.StdEncoding.DecodeString(good))), ""},
		{"app-id", strings.Replace(right, keys.id, "2021000000099999", 1), with(func(s string) string { return strings.Replace(s, keys.id, "2021000000099999", 1) }), ""},
		{"charset-parameter", strings.Replace(right, "utf-8", "GBK", 1), with(func(s string) string { return strings.Replace(s, "utf-8", "GBK", 1) }), ""},
	} {
		got := checkSignature(&signatureAsk{row.text, row.signature, row.signType}, keys)
		if len(got.Findings) == 0 || got.Findings[0].Code != row.want || got.Fits != (row.want == "fits") || got.Findings[0].Detail == "" {
			t.Errorf("%s: fits %t, %+v", row.want, got.Fits, got.Findings)
		}
		if row.want == "order" && got.Signed != right {
			t.Errorf("the gateway verifies\n%s\nwant\n%s", got.Signed, right)
		}
	}
	others := keys
	others.own, others.others, others.platform = &stranger.PublicKey, []appPublic{{"2021000000010027", &key.PublicKey}}, nil
	if got := checkSignature(&signatureAsk{text: right, signature: good}, others); got.Findings[0] != finding("other-app", "2021000000010027") {
		t.Errorf("with the key of another app: %+v", got)
	}
	others.others, others.platform = nil, &key.PublicKey
	if got := checkSignature(&signatureAsk{text: right, signature: good}, others); got.Findings[0].Code != "from-platform" {
		t.Errorf("a signature of the platform: %+v", got)
	}
	if got := checkSignature(&signatureAsk{text: right, signature: good}, signatureKeys{id: keys.id}); got.Findings[0].Code != "no-key" || got.Fits {
		t.Errorf("an app without a key: %+v", got)
	}
}

// Whatever is sent, nothing fits that was not signed with the key, and nothing panics.
func FuzzCheckSignature(f *testing.F) {
	f.Add("app_id=1&biz_content={}&sign=abc", "", "RSA2")
	f.Add("https://x/?a=%zz&b=+", "%%%", "RSA")
	f.Add("app_id=1,x\nPOST\n", strings.Repeat("A", 344), "")
	key := rsaKey()
	f.Fuzz(func(t *testing.T, text, signature, kind string) {
		if got := checkSignature(&signatureAsk{text, signature, kind}, signatureKeys{id: "1", own: &key.PublicKey}); got.Fits || len(got.Findings) == 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestSignaturesFromClientToBooks(t *testing.T) {
	s := newStall(t)
	good := base64.StdEncoding.EncodeToString(publicDER())
	app, err := s.c.PutApp(s.ctx, s.merchant, client.AppChange{Number: 1, PublicKey: good})
	s.need(err)
	text := "app_id=" + app.ID + "&method=alipay.trade.query"
	for token, may := range map[string]bool{
		s.session(s.staff(s.merchant, signin.Look)): true, s.newSession(s.alice): false,
	} {
		v, err := newClient(t, s.url, token).CheckSignature(s.ctx, s.merchant, app.ID, text, signedBy(rsaKey(), crypto.SHA256, text), "")
		if (err == nil) != may || may && (!v.Fits || v.Signed != text || v.SignType != "RSA2" || v.Findings[0].Code != "fits") {
			t.Errorf("may look: %t, %+v %v", may, v, err)
		}
	}
	s.refused("app-unknown", only(s.c.CheckSignature(s.ctx, s.merchant, pay.AppID(s.merchant, 7), text, "x", "")))
	if _, err := s.c.CheckSignature(s.ctx, s.merchant, app.ID, text, "x", "RSA3"); field(err) != "sign_type" {
		t.Errorf("another sign_type: %v", err)
	}
	if _, err := s.c.CheckSignature(s.ctx, s.merchant, app.ID, "", "x", ""); field(err) != "text" {
		t.Errorf("no text: %v", err)
	}
}

// TestAnAppIsStoppedByWhoManages: who manages a merchant stops an app at once, and only the platform lets it in again.
func TestAnAppIsStoppedByWhoManages(t *testing.T) {
	s := newStall(t)
	app, err := s.c.PutApp(s.ctx, s.merchant, client.AppChange{PublicKey: base64.StdEncoding.EncodeToString(publicDER())})
	s.need(err)
	boss, clerk := newClient(t, s.url, s.session(s.staff(s.merchant, signin.Manage))), newClient(t, s.url, s.session(s.staff(s.merchant, signin.Work)))
	s.refused("forbidden", only(clerk.DisableApp(s.ctx, s.merchant, app.ID, true)))
	if v, err := boss.DisableApp(s.ctx, s.merchant, app.ID, true); err != nil || !v.Disabled {
		t.Errorf("stopped: %+v %v", v, err)
	}
	_, err = boss.DisableApp(s.ctx, s.merchant, app.ID, false)
	if s.refused("forbidden", err); field(err) != "disabled" {
		t.Errorf("let in again: %v", err)
	}
	if v, err := s.c.DisableApp(s.ctx, s.merchant, app.ID, false); err != nil || v.Disabled {
		t.Errorf("the platform lets it in: %+v %v", v, err)
	}
}
