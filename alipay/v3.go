package alipay

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const scheme = "ALIPAY-SHA256withRSA "

// clockSkew is how far a v3 timestamp may be from now.
const clockSkew = 10 * time.Minute

// authorization is the header of a v3 request.
type authorization struct {
	text  string // what is signed: as it was sent, in the order it was sent in
	app   string
	nonce string
	at    string // Unix milliseconds
	sign  string
}

// parseAuthorization takes the header apart. Other clients send more members, and in another order: the text stays as it is.
func parseAuthorization(header string) (authorization, error) {
	rest, found := strings.CutPrefix(header, scheme)
	if !found || len(header) > 4<<10 {
		return authorization{}, refuse("isv.missing-timestamp")
	}
	at := strings.LastIndex(rest, ",sign=")
	if at < 0 {
		return authorization{}, refuse("isv.missing-signature")
	}
	auth := authorization{text: rest[:at], sign: rest[at+len(",sign="):]}
	for part := range strings.SplitSeq(auth.text, ",") {
		switch name, value, _ := strings.Cut(part, "="); name {
		case "app_id":
			auth.app = value
		case "nonce":
			auth.nonce = value
		case "timestamp":
			auth.at = value
		}
	}
	return auth, nil
}

// serveV3 answers a request to /v3/. A success is the flat object of the method; a failure has a status of its own.
func (c *call) serveV3(ctx context.Context, w http.ResponseWriter) Event {
	c.v3 = true
	a := newAnswer(make([]byte, 0, 512))
	res, err := c.answerV3(ctx, a)
	c.err = err
	status, e := http.StatusOK, Event{Code: codeSuccess}
	body := a.end()
	switch {
	case err != nil:
		fail := failureOf(err)
		status, e = fail.v3Status(), Event{Code: fail.code, Sub: fail.subCode}
		problem := newAnswer(nil)
		problem.text("code", fail.v3Code())
		problem.text("message", fail.text)
		problem.name("links")
		problem.b = append(problem.b, "[]"...)
		body = problem.end()
	case res.pending:
		// Not yet done: the same request may be repeated, and the trade queried.
		status, e.Code = http.StatusAccepted, codePending
	}
	return c.sendV3(w, status, body, e)
}

func (c *call) answerV3(ctx context.Context, a *answer) (result, error) {
	auth, body, err := c.authenticate(ctx)
	c.bodyRead()
	if err != nil {
		return result{}, err
	}
	if m := c.g.index.byPath[c.r.URL.Path]; m != nil && m.v3 == c.r.Method {
		c.m = m
	}
	token := NewSecret(c.r.Header.Get("alipay-app-auth-token"))
	if err := c.permit(ctx, token); err != nil {
		return result{}, err
	}
	if !c.g.nonces.take(auth.app+" "+auth.nonce, c.now) {
		return result{}, refuse("isv.invalid-nonce")
	}
	f, err := c.contentV3(body)
	if err != nil {
		return result{}, err
	}
	return c.do(ctx, f, a)
}

// authenticate checks who sent the request, and when, and returns its body.
func (c *call) authenticate(ctx context.Context) (authorization, []byte, error) {
	auth, err := parseAuthorization(c.r.Header.Get("Authorization"))
	if err != nil {
		return auth, nil, err
	}
	if err := c.findApp(ctx, auth.app); err != nil {
		return auth, nil, err
	}
	if !c.app.Enabled {
		return auth, nil, refuse("isv.invalid-app-id")
	}
	if auth.at == "" {
		return auth, nil, refuse("isv.missing-timestamp")
	}
	ms, err := strconv.ParseInt(auth.at, 10, 64)
	if err != nil || time.UnixMilli(ms).Sub(c.now).Abs() > clockSkew {
		return auth, nil, refuse("isv.illegal-timestamp")
	}
	if auth.nonce == "" || len(auth.nonce) > 64 {
		return auth, nil, refuse("isv.invalid-nonce")
	}
	if c.app.Key == nil {
		return auth, nil, refuse("isv.missing-signature-config")
	}
	body, err := readBody(c.r)
	if err != nil {
		return auth, nil, err
	}
	text := signedV3(auth.text, c.r.Method, requestURI(c.r), body, c.r.Header.Get("alipay-app-auth-token"))
	if !RSA2.verify(c.app.Key, text, auth.sign) {
		return auth, nil, refuse("isv.invalid-signature")
	}
	c.trusted = true
	return auth, body, nil
}

// requestURI is the path with the query as they were sent.
func requestURI(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// signedV3 is what the signature of a v3 request covers.
func signedV3(auth, method, uri string, body []byte, token string) []byte {
	text := make([]byte, 0, len(auth)+len(uri)+len(body)+len(token)+16)
	text = append(append(text, auth...), '\n')
	text = append(append(text, method...), '\n')
	text = append(append(text, uri...), '\n')
	text = append(append(text, body...), '\n')
	if token != "" {
		text = append(append(text, token...), '\n')
	}
	return text
}

// contentV3 joins the object of the body and the parameters of the query. notify_url is a member like the others.
func (c *call) contentV3(body []byte) (*fields, error) {
	if c.r.Header.Get("alipay-encrypt-type") != "" {
		return nil, refuse("isv.decryption-error-unknown")
	}
	n := node{kind: isObject}
	if len(body) > 0 {
		var err error
		if n, err = parseObject(body); err != nil {
			return nil, err
		}
	}
	query, err := params{}.urlencoded(c.r.URL.RawQuery)
	if err == nil {
		query, err = query.merge()
	}
	if err != nil {
		return nil, err
	}
	for _, one := range flat(query).members {
		if _, given := n.find(one.name); !given {
			n.members = append(n.members, one)
		}
	}
	notify := ""
	if at, ok := n.find("notify_url"); ok {
		notify = at.text
	}
	return c.fields(&n, notify)
}

// sendV3 writes the answer. What the merchant caused is signed for him; what anybody could is not, since each such signature costs
// a thousand times what the request did, and clients check successes alone.
func (c *call) sendV3(w http.ResponseWriter, status int, body []byte, e Event) Event {
	h := w.Header()
	at, nonce := strconv.FormatInt(c.g.Now().UnixMilli(), 10), c.g.token()
	if c.trusted && !c.busy {
		signature, err := RSA2.sign(c.key(), signedAnswerV3(at, nonce, body))
		if err != nil {
			c.err = err
			status, e = http.StatusInternalServerError, Event{Code: codeUnknown, Sub: subCodeUnknown}
			body = []byte(`{"code":"unknow-error","message":"the answer could not be signed: query with the same number","links":[]}`)
		}
		h.Set("Alipay-Signature", signature)
	}
	h.Set("Alipay-Timestamp", at)
	h.Set("Alipay-Nonce", nonce)
	h.Set("Alipay-Trace-Id", c.trace)
	h.Set("Content-Type", "application/json;charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
	return e
}

// signedAnswerV3 is what the signature of a v3 answer covers.
func signedAnswerV3(at, nonce string, body []byte) []byte {
	text := make([]byte, 0, len(at)+len(nonce)+len(body)+3)
	text = append(append(text, at...), '\n')
	text = append(append(text, nonce...), '\n')
	return append(append(text, body...), '\n')
}

// V3Paths lists the paths that the gateway serves beside /gateway.do, sorted, each with its HTTP method before it.
func V3Paths() []string {
	all := newIndex().byPath
	paths := make([]string, 0, len(all))
	for _, path := range slices.Sorted(maps.Keys(all)) {
		paths = append(paths, all[path].v3+" "+path)
	}
	return paths
}
