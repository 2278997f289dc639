package alipay

import (
	"context"
	"crypto/rsa"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// serveV2 answers a request to /gateway.do. The status is 200 also for errors: SDKs take any other for a failed connection.
func (c *call) serveV2(ctx context.Context, w http.ResponseWriter) Event {
	var err error
	c.p, err = readParams(c.r)
	c.bodyRead()
	if err == nil && c.p.get("service") == "notify_verify" && c.p.get("method") == "" {
		return c.serveNoticeVerify(ctx, w)
	}
	a := newAnswer(make([]byte, 0, 512))
	res, err := c.answerV2(ctx, err, a)
	c.err = err
	if c.m != nil && c.m.page {
		return c.sendPage(w, res, err)
	}
	return c.sendV2(w, a.end(), res, err)
}

// answerV2 carries the checks in their order and then the call out. parsing is what was wrong with the parameters as such.
func (c *call) answerV2(ctx context.Context, parsing error, a *answer) (result, error) {
	if err := c.identify(ctx, parsing); err != nil {
		return result{}, err
	}
	if err := c.public(); err != nil {
		return result{}, err
	}
	if c.app.Key == nil {
		return result{}, refuse("isv.missing-signature-config")
	}
	if !c.signed() {
		return result{}, refuse("isv.invalid-signature")
	}
	if err := c.permit(ctx, NewSecret(c.p.get("app_auth_token"))); err != nil {
		return result{}, err
	}
	c.trusted = true
	f, err := c.content()
	if err != nil {
		return result{}, err
	}
	return c.do(ctx, f, a)
}

// identify finds method and application. A request that could not be read is refused as such, but in their names if they can be found.
func (c *call) identify(ctx context.Context, parsing error) error {
	c.named = c.p.get("method")
	c.m = c.g.index.byName[c.named]
	id := c.p.get("app_id")
	if kind := SignType(c.p.get("sign_type")); kind.valid() {
		c.kind = kind
	}
	if parsing != nil {
		if id != "" {
			_ = c.findApp(ctx, id)
		}
		return parsing
	}
	switch {
	case c.named == "":
		if id != "" {
			_ = c.findApp(ctx, id) // whose key signs the answer
		}
		return refuse("isv.missing-method")
	case id == "":
		return refuse("isv.missing-app-id")
	}
	if err := c.findApp(ctx, id); err != nil {
		return err
	}
	if !c.app.Enabled {
		return refuse("isv.invalid-app-id")
	}
	return nil
}

// public checks the public parameters: first that they are there, then what they are.
func (c *call) public() error {
	for _, need := range []struct{ name, missing string }{
		{"sign_type", "isv.missing-signature-type"},
		{"sign", "isv.missing-signature"},
		{"timestamp", "isv.missing-timestamp"},
		{"version", "isv.missing-version"},
	} {
		if c.p.get(need.name) == "" {
			return refuse(need.missing)
		}
	}
	switch at, err := parseClock(c.p.get("timestamp")); {
	case !SignType(c.p.get("sign_type")).valid():
		return refuse("isv.invalid-signature-type")
	case !strings.EqualFold(c.p.get("charset"), "utf-8"):
		return refuse("isv.invalid-charset")
	case c.p.get("version") != "1.0":
		return refuse("isv.invalid-version")
	case err != nil || at.Sub(c.now).Abs() > c.g.Window:
		return refuse("isv.invalid-timestamp")
	}
	if format := c.p.get("format"); format != "" && !strings.EqualFold(format, "json") {
		return refuse("isv.invalid-format")
	}
	return nil
}

// signed verifies the signature with empty values dropped and, if that fails, once more with them kept: SDKs differ.
func (c *call) signed() bool {
	signature := c.p.get("sign")
	buffer := make([]byte, 0, 1024)
	text := c.p.signedText(buffer, false, "sign")
	if c.kind.verify(c.app.Key, text, signature) {
		return true
	}
	return c.p.hasEmpty() && c.kind.verify(c.app.Key, c.p.signedText(text[:0], true, "sign"), signature)
}

// content parses what the method is asked with.
func (c *call) content() (*fields, error) {
	if c.p.get("encrypt_type") != "" {
		return nil, refuse("isv.decryption-error-unknown")
	}
	back := c.p.get("return_url")
	if back != "" {
		if err := checkReturnURL(back); err != nil {
			return nil, err
		}
	}
	n := node{kind: isObject}
	if c.m.topLevel {
		n = flat(c.p)
	} else if text := c.p.get("biz_content"); text != "" {
		var err error
		if n, err = parseObject([]byte(text)); err != nil {
			return nil, err
		}
	}
	f, err := c.fields(&n, c.p.get("notify_url"))
	if err == nil {
		f.back = back
	}
	return f, err
}

// sendV2 writes the envelope: the inner object and the signature of its very bytes, compact, in this order, because clients cut it
// out by its punctuation.
func (c *call) sendV2(w http.ResponseWriter, body []byte, res result, err error) Event {
	inner, e := c.inner(body, res, err)
	out := make([]byte, 0, len(inner)+512)
	out = append(append(append(out, '{', '"'), c.root(err)...), '"', ':')
	out = append(out, inner...)
	signature, failed := c.stamp(inner)
	if failed != nil {
		// The key does not work: there is no honest signature. The outcome stands; the merchant's query has to tell it.
		c.err = failed
		http.Error(w, "the answer could not be signed: query with the same number", http.StatusInternalServerError)
		return Event{Code: codeUnknown, Sub: subCodeUnknown}
	}
	out = append(append(append(out, `,"sign":"`...), signature...), '"', '}')
	h := w.Header()
	h.Set("Content-Type", "application/json;charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(out)))
	h.Set("Trace_id", c.trace)
	_, _ = w.Write(out)
	return e
}

// stamp signs; what anybody can provoke is remembered instead.
func (c *call) stamp(inner []byte) (string, error) {
	if !c.trusted || c.busy {
		return c.g.stamps.sign(c.key(), c.kind, inner)
	}
	return c.kind.sign(c.key(), inner)
}

// inner puts code and msg before what the method wrote.
func (c *call) inner(body []byte, res result, err error) ([]byte, Event) {
	a := newAnswer(make([]byte, 0, len(body)+256))
	e := Event{Code: codeSuccess}
	switch {
	case err != nil:
		fail := failureOf(err)
		e = Event{Code: fail.code, Sub: fail.subCode}
		a.text("code", fail.code)
		a.text("msg", messages[fail.code])
		a.text("sub_code", fail.subCode)
		a.text("sub_msg", fail.text)
	case c.m.bare:
		return body, e
	default:
		if res.pending {
			e.Code = codePending
		}
		a.text("code", e.Code)
		a.text("msg", messages[e.Code])
	}
	if len(body) > len("{}") {
		a.b = append(a.b, ',')
		return append(a.b, body[1:]...), e
	}
	return a.end(), e
}

// root is the name of the inner object. Real gateways answer failures of the token method, and what has no usable method, by error_response.
func (c *call) root(err error) string {
	if err != nil && (c.m != nil && c.m.bare || !usable(c.named)) {
		return "error_response"
	}
	return strings.ReplaceAll(c.named, ".", "_") + "_response"
}

// usable reports whether a method's name can stand in an answer.
func usable(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_':
		default:
			return false
		}
	}
	return true
}

// noticeLife is how long a notice can be asked about: as long as it may be sent again.
const noticeLife = 25 * time.Hour

// Envelope signs an inner object as the gateway would: for what is made elsewhere, such as the result that an app hands back.
func Envelope(key *rsa.PrivateKey, kind SignType, root string, inner []byte) ([]byte, error) {
	signature, err := kind.sign(key, inner)
	if err != nil {
		return nil, err
	}
	out := append(append(append([]byte{'{', '"'}, root...), '"', ':'), inner...)
	return append(append(append(out, `,"sign":"`...), signature...), '"', '}'), nil
}
