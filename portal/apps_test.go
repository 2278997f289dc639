package portal

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"

	"holdfast/page/pagetest"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestWhatIsPastedAsAKey: what people paste, and what they are told.
func TestWhatIsPastedAsAKey(t *testing.T) {
	t.Parallel()
	private := must(rsa.GenerateKey(rand.Reader, 2048))
	block, _ := pem.Decode([]byte(public))
	bare := base64.StdEncoding.EncodeToString(block.Bytes)
	der := must(x509.MarshalPKCS8PrivateKey(private))
	short := must(x509.ParsePKIXPublicKey(block.Bytes)).(*rsa.PublicKey)
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(short)}))
	curve := must(x509.MarshalPKIXPublicKey(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)).Public()))
	for _, row := range []struct{ text, want string }{
		{public, ""},
		{"  \ufeff" + public + "\n", ""},
		{bare, ""},
		{bare[:64] + "\n" + bare[64:], ""},
		{strings.TrimRight(bare, "="), ""},
		{strings.ReplaceAll(public, "\n", " "), ""},
		{strings.ReplaceAll(public, "\n", "\r\n"), ""},
		{pkcs1, ""},
		{"", "key-empty"},
		{strings.Repeat("A", 9000), "key-long"},
		{"ssh-rsa AAAA me@shop", "key-ssh"},
		{"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "key-certificate"},
		{public[:200], "key-cut"},
		{bare[:100], "key-cut"},
		{"my key is 12*34", "key-base64"},
		{base64.StdEncoding.EncodeToString(curve), "key-kind"},
		{string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "key-private"},
		{"-----BEGIN RSA PRIVATE KEY-----\ncut off", "key-private"},
		{base64.StdEncoding.EncodeToString(der), "key-private"},
		{base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(private)), "key-private"},
	} {
		plain, bad := readPasted(row.text)
		if bad != row.want || bad == "" && plain != public {
			t.Errorf("%.60q: %q, want %q", row.text, bad, row.want)
		}
	}
}

func TestApps(t *testing.T) {
	t.Parallel()
	f := newPlatform(t)
	d := desk(t, f, manage)
	path := "/portal/apps/" + appID
	d.Page("/portal/apps", appID, "face to face", "<code>novelty</code>", "!disable")
	d.Page(path, "/gateway.do", "BEGIN PUBLIC KEY", "https://shop.example/cb", "Put another key")
	w := d.Get(path + "/platform-key.pem")
	if w.Code != http.StatusOK || w.Body.String() != public || !strings.Contains(w.Header().Get("Content-Disposition"), "platform-key-"+appID+".pem") {
		t.Errorf("platform key: %d %v %s", w.Code, w.Header(), w.Body)
	}
	secret := "-----BEGIN PRIVATE KEY-----\nMIIsecretsecret\n-----END PRIVATE KEY-----"
	for _, form := range [][]string{{path + "/key", "key"}, {path + "/signature", "text"}, {path + "/signature", "signature"}} {
		w := d.Post(form[0], form[1], secret, "text2", "x")
		if w.Code != http.StatusUnprocessableEntity || f.count() != 0 || strings.Contains(w.Body.String(), "MIIsecret") || !strings.Contains(w.Body.String(), "This is a private key!") {
			t.Errorf("a private key as %s: %d, asked %+v", form[1], w.Code, f.last())
		}
	}
	w = d.Post(path+"/key", "key", "half a key *")
	pagetest.Says(t, w.Body.String(), "not Base64", "half a key *")
	w = d.Post(path+"/key", "key", public)
	pagetest.Says(t, w.Body.String(), "Put this key?", fingerprint(public))
	if f.count() != 0 {
		t.Error("the key was put before that was confirmed")
	}
	leads(t, d.Post(path+"/key", "key", public, "sure", "yes"), path+"?done=key")
	if a := f.last(); a.body["public_key"] != public || a.body["notify"] != nil {
		t.Errorf("put: %+v", a)
	}
	leads(t, d.Post(path+"/notify", "notify", "https://shop.example/2"), path+"?done=notify")
	if a := f.last(); a.body["notify"] != "https://shop.example/2" || a.body["public_key"] != nil {
		t.Errorf("notify: %+v", a)
	}
	if w := d.Post(path+"/notify", "notify", "nowhere"); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("a bad address: %d", w.Code)
	}
	w = d.Post(path + "/disable")
	leads(t, d.Post(path+"/disable", append(hidden(w.Body.String()), "sure", "yes")...), path+"?done=disable")
	if a := f.last(); a.body["disabled"] != true {
		t.Errorf("stopped: %+v", a)
	}
}

func TestSignatureBox(t *testing.T) {
	t.Parallel()
	f := newPlatform(t)
	d := desk(t, f, look)
	path := "/portal/apps/" + appID + "/signature"
	w := d.Post(path, "text", "b=2\r\na=1", "signature", "abc", "sign_type", "RSA2")
	pagetest.Says(t, w.Body.String(), "It does not fit", "were not sorted", "app_id=1&amp;method=x", "Something new.")
	if a := f.last(); a.body["text"] != "b=2\na=1" || a.body["signature"] != "abc" || a.body["sign_type"] != "RSA2" {
		t.Errorf("asked: %+v", a)
	}
	f.say("POST /v1/merchants/"+shopOwner.String()+"/apps/{app}/check-signature", `{"fits":true,"signed":"a=1","sign_type":"RSA2","findings":[{"code":"fits","detail":"x"}]}`)
	d.In("zh-CN")
	pagetest.Says(t, d.Post(path, "text", "a=1").Body.String(), "签名正确", "网关会接受")
	if w := d.Post(path, "text", " "); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("nothing: %d", w.Code)
	}
}
