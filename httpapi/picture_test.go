package httpapi

import (
	"net/http"
	"testing"

	"holdfast/scancode"
)

// TestAPaymentCodeIsDrawn: the picture is that of the code, of the kind that was asked for; what is no code is refused in words that say what to send.
func TestAPaymentCodeIsDrawn(t *testing.T) {
	h := newTestAPI(&fake{}) // nothing is looked up: it needs no payments
	const code = "280000000212345678"
	picture := func(draw func(string) (*scancode.Code, error)) string { return string(must(draw(code)).SVG()) }
	for body, want := range map[string]string{
		`{"code":"` + code + `"}`:            picture(scancode.QR),
		`{"code":"` + code + `","as":"qr"}`:  picture(scancode.QR),
		`{"code":"` + code + `","as":"bar"}`: picture(scancode.Bars),
	} {
		status, header, got := ask(t, h, "POST", "/v1/payment-codes/picture", readerKey, body)
		if status != http.StatusOK || header.Get("Content-Type") != "image/svg+xml" || header.Get("Cache-Control") != "no-store" || got != want {
			t.Errorf("%s: %d %v %s", body, status, header, got)
		}
	}
	for body, field := range map[string]string{
		`{}`: "code", `{"code":"180000000212345678"}`: "code", `{"code":"28000000021234567"}`: "code", `{"code":"28000000021234567x"}`: "code",
		`{"code":"` + code + `","as":"png"}`: "as",
	} {
		status, header, text := ask(t, h, "POST", "/v1/payment-codes/picture", readerKey, body)
		if p := problemIn(t, header, text); status != http.StatusBadRequest || p.Field != field {
			t.Errorf("%s: %d %+v", body, status, p)
		}
	}
}
