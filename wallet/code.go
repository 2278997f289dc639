package wallet

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
	"holdfast/scancode"
)

// codeCookie keeps the secret of a browser that runs no scripts, and in nothing but that browser: a site that makes the picture of a code reads it
// from there, and forgets it.
const (
	codeCookie = "holdfast_codes"
	codePath   = "/wallet/code"
	codeYear   = 365 * 24 * time.Hour
	codeWait   = 1500 * time.Millisecond
	codeStep   = 60 // seconds that a code is shown; see client.PaymentCode
)

// codePage is what the page of the payment code shows.
type codePage struct {
	Owner    string
	Sequence string // the eight digits of the customer in each code
	Devices  string // numbers of the phones whose codes count, with commas; "?": that cannot be read just now
	Blind    bool   // nor what was paid last
	Now      int64  // milliseconds since 1970: browsers whose clock is wrong make codes for ours
	Number   string // for the request that makes the browser a phone
	Shown    *shownCode
	paid
	problem
}

// shownCode is a code that the site has drawn for a browser that runs no scripts.
type shownCode struct {
	Device   uint8
	Digits   string
	QR, Bars *scancode.Code
	Until    time.Time
}

// paid is the last payment that was made since the page was opened.
type paid struct {
	Since string // the receipt that was the last one when the page was opened
	Line  *line
	New   bool
}

// Groups is a code as people read it aloud.
func groups(digits string) string {
	var b strings.Builder
	for i := 0; i < len(digits); i += 4 {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(digits[i:min(i+4, len(digits))])
	}
	return b.String()
}

func (w *wallet) showCode(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	return w.codePage(ctx, v, r, problem{})
}

func (w *wallet) codePage(ctx context.Context, v *page.View, r *http.Request, p problem) page.Answer {
	b := codePage{
		Owner: v.Owner().String(), Sequence: fmt.Sprintf("%08d", v.Owner().Sequence()), Now: v.Now.UnixMilli(), Number: v.Fresh(), problem: p,
	}
	devices, latest, err := w.codeReads(ctx, v)
	switch e := apiError(err); {
	case err != nil && e != nil && e.Status < http.StatusInternalServerError:
		return page.Failed(v, r, err)
	case err != nil: // the codes need none of it: a bad hour is when they are wanted
		b.Devices, b.Blind = "?", true
	default:
		b.Devices = numbers(devices)
	}
	if b.Shown, err = drawn(v, r, devices, b.Blind); err != nil {
		return page.Answer{Status: http.StatusInternalServerError, Template: "sorry", Err: err}
	}
	if b.Since = "none"; len(latest) > 0 {
		b.Since = latest[0].Receipt
		if recent(v, &latest[0]) {
			w.learnNames(ctx, v, latest)
			l := w.lineOf(v, &latest[0])
			b.Line = &l
		}
	}
	return page.Answer{Template: "code", Body: b}
}

// codeReads reads which phones the customer has, and what was paid last. It does not wait long.
func (w *wallet) codeReads(ctx context.Context, v *page.View) ([]client.Device, []client.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, codeWait)
	defer cancel()
	c, err := w.API.Customer(ctx, v.Owner())
	if err != nil {
		return nil, nil, err
	}
	latest, _, err := w.API.Receipts(ctx, v.Owner(), "", 1)
	return c.Devices, latest, err
}

func numbers(devices []client.Device) string {
	list := make([]string, len(devices))
	for i, d := range devices {
		list[i] = strconv.Itoa(int(d.Number))
	}
	return strings.Join(list, ",")
}

// recent reports whether a receipt is of a payment that somebody who shows a code waits for.
func recent(v *page.View, r *client.Receipt) bool {
	return r.Amount < 0 && (r.Kind == "paid" || r.Kind == "frozen") && v.Now.Sub(r.Time) < 3*time.Minute
}

// drawn is the code of a browser that keeps its secret in a cookie; nil: this one does not, or it may show codes no more. blind: which phones there are is not known.
func drawn(v *page.View, r *http.Request, devices []client.Device, blind bool) (*shownCode, error) {
	owner, device, secret, ok := kept(r)
	if !ok || owner != v.Owner() || !blind && !has(devices, device) {
		return nil, nil
	}
	s := &shownCode{Device: device, Until: v.Now.Truncate(codeStep * time.Second).Add(codeStep * time.Second)}
	digits := client.PaymentCode(owner, secret, v.Now)
	var err error
	if s.QR, err = scancode.QR(digits); err != nil {
		return nil, err
	}
	if s.Bars, err = scancode.Bars(digits); err != nil {
		return nil, err
	}
	s.Digits = groups(digits)
	return s, nil
}

func has(devices []client.Device, number uint8) bool {
	for _, d := range devices {
		if d.Number == number {
			return true
		}
	}
	return false
}

// kept reads whose phone a browser is, and its secret.
func kept(r *http.Request) (owner holdfast.Owner, device uint8, secret []byte, ok bool) {
	c, err := r.Cookie(codeCookie)
	if err != nil {
		return 0, 0, nil, false
	}
	parts := strings.Split(c.Value, ".")
	if len(parts) != 3 {
		return 0, 0, nil, false
	}
	owner, err = holdfast.ParseOwner(parts[0])
	n, bad := strconv.ParseUint(parts[1], 10, 8)
	secret, worse := base64.RawURLEncoding.DecodeString(parts[2])
	return owner, uint8(n), secret, err == nil && bad == nil && worse == nil && len(secret) > 0
}

// made is what a script is told that makes the browser a phone. It keeps the secret where it can use it and never read it again.
type made struct {
	Device uint8  `json:"device"`
	Secret []byte `json:"secret"`
}

// enableCode makes the browser a phone that shows payment codes.
func (w *wallet) enableCode(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	if bad, ok := posted(r); !ok {
		return bad
	}
	number := text(r, "number")
	if _, err := holdfast.ParseID(number); err != nil {
		number = v.Fresh()
	}
	script := strings.HasPrefix(r.Header.Get("Accept"), "application/json")
	device, secret, err := w.API.AddDeviceAs(ctx, v.Owner(), number)
	switch {
	case err != nil && script:
		told := v.T("not-now")
		if e := apiError(err); e != nil && e.Status < http.StatusInternalServerError && !unknown(err) {
			told = page.Refused(v, err)
		}
		return page.Answer{Status: http.StatusConflict, JSON: map[string]string{"problem": told}, Err: err}
	case err != nil:
		return refused(v, r, err, again{Action: codePath, Hidden: []field{{"number", number}}}, func(p problem) page.Answer { return w.codePage(ctx, v, r, p) })
	case script:
		return page.Answer{JSON: made{device, secret}}
	}
	w.setCode(v, r, fmt.Sprintf("%s.%d.%s", v.Owner(), device, base64.RawURLEncoding.EncodeToString(secret)), codeYear)
	return page.Answer{Redirect: v.Link(codePath, "done", "code-on")}
}

// setCode changes the cookie; a life below 0 takes it away.
func (w *wallet) setCode(v *page.View, r *http.Request, value string, life time.Duration) {
	w.SetCookie(v, r, http.Cookie{Name: codeCookie, Value: value, Path: codePath, MaxAge: int(life / time.Second), SameSite: http.SameSiteStrictMode})
}

// disableCode has the codes of this browser refused from now on.
func (w *wallet) disableCode(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	if bad, ok := posted(r); !ok {
		return bad
	}
	return w.dropDevice(ctx, v, r, codePath+"/off", v.Link(codePath, "done", "code-off"))
}

// dropDevice removes the phone that a form names.
func (w *wallet) dropDevice(ctx context.Context, v *page.View, r *http.Request, here, to string) page.Answer {
	n, err := strconv.ParseUint(text(r, "device"), 10, 8)
	if err != nil || n == 0 {
		return page.FormFailed(err)
	}
	if _, err := w.API.RemoveDevice(ctx, v.Owner(), uint8(n)); err != nil {
		ask := again{Action: here, Hidden: []field{{"device", strconv.FormatUint(n, 10)}}}
		return refused(v, r, err, ask, func(problem) page.Answer { return page.Failed(v, r, err) })
	}
	if _, device, _, ok := kept(r); ok && device == uint8(n) && here == codePath+"/off" {
		w.setCode(v, r, "", -time.Second)
	}
	return page.Answer{Redirect: to}
}

// tellCode tells of the payment that was made since the page was opened.
func (w *wallet) tellCode(ctx context.Context, v *page.View) (string, any, error) {
	p := paid{Since: query(v).Get("since")}
	latest, _, err := w.API.Receipts(ctx, v.Owner(), "", 1)
	if err != nil {
		return "", nil, err
	}
	if len(latest) > 0 && recent(v, &latest[0]) {
		w.learnNames(ctx, v, latest)
		l := w.lineOf(v, &latest[0])
		p.Line, p.New = &l, latest[0].Receipt != p.Since
	}
	return "code-paid", p, nil
}
