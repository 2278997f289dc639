package wallet

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// field is one of a form that is sent again as it was.
type field struct{ Name, Value string }

// again is a request of which nobody knows yet whether it was done: what is sent to ask again, and the live part that tells when it is known.
type again struct {
	Action string
	Hidden []field
	Live   string // "": only asking again tells
	now
}

// now is what is known of it: where it is shown; "": nothing.
type now struct{ Go string }

// apiError is the error of the API in err; nil: there is none.
func apiError(err error) *client.Error {
	e, _ := errors.AsType[*client.Error](err)
	return e
}

// code is the code with which the API has refused something; "": it has not.
func code(err error) string {
	if e := apiError(err); e != nil {
		return e.Code
	}
	return ""
}

// unknown reports that nobody can say yet whether something was done.
func unknown(err error) bool {
	return errors.Is(err, client.ErrUnknown) || code(err) == holdfast.CodeUnknown.String()
}

// problem is what was wrong with a form: in words, and which field is at fault.
type problem struct{ Text, Field string }

// At reports whether a field is at fault.
func (p problem) At(name string) bool { return p.Text != "" && p.Field == name }

// refused makes the page of a form that was sent and not done. Unknown is not refused: it is asked for again. Whoever is not let in is asked to sign in;
// and a refusal is the form again, with what to do.
func refused(v *page.View, r *http.Request, err error, ask again, form func(problem) page.Answer) page.Answer {
	if unknown(err) {
		return page.Answer{Status: http.StatusAccepted, Template: "asking", Body: ask, Err: err}
	}
	e := apiError(err)
	switch {
	case e == nil || e.Status >= http.StatusInternalServerError:
		a := form(problem{Text: v.T("not-now")})
		a.Status, a.Err = http.StatusServiceUnavailable, err
		return a
	case e.Status == http.StatusUnauthorized || e.Code == "forbidden":
		return page.Failed(v, r, err)
	}
	a := form(problem{Text: page.Refused(v, err), Field: e.Field})
	a.Status, a.Err = e.Status, err
	return a
}

// wrong is a form again of which something cannot be read.
func wrong(a page.Answer) page.Answer {
	a.Status = http.StatusUnprocessableEntity
	return a
}

// text reads a field of a form, cut to what the API takes at most.
func text(r *http.Request, name string) string {
	s := strings.ToValidUTF8(strings.TrimSpace(r.PostForm.Get(name)), "")
	return s[:min(len(s), 1024)]
}

// posted reads a form; an answer when it cannot be read.
func posted(r *http.Request) (page.Answer, bool) {
	if err := r.ParseForm(); err != nil {
		return page.FormFailed(err), false
	}
	return page.Answer{}, true
}

// query is the parameter of the address of a page that is told how things are.
func query(v *page.View) url.Values {
	u, err := url.Parse(v.Here())
	if err != nil {
		return url.Values{}
	}
	return u.Query()
}

// tellAsking tells whether something of which nobody knew whether it was done is known by now.
func (w *wallet) tellAsking(ctx context.Context, v *page.View) (string, any, error) {
	_, what, _ := strings.Cut(v.Path(), "/asking/")
	q := query(v)
	number, known := q.Get("number"), false
	var err error
	switch what {
	case "sent":
		_, err = w.API.Sent(ctx, v.Owner(), number)
		known = err == nil
	case "top-up":
		_, err = w.API.TopUp(ctx, v.Owner(), number)
		known = err == nil
	case "withdraw":
		_, err = w.API.Payout(ctx, v.Owner(), number)
		known = err == nil
	case "paid":
		known, err = w.hasPaid(ctx, v, q.Get("merchant"), q.Get("trade"))
	default:
		return "asking-now", now{}, nil
	}
	if err != nil && apiError(err) == nil {
		return "", nil, err // nobody could be asked
	}
	if !known {
		return "asking-now", now{}, nil
	}
	pages := map[string]string{"sent": "/wallet/sent", "top-up": "/wallet/top-up/order", "withdraw": "/wallet/withdraw/order", "paid": "/wallet/paid"}
	if what == "paid" {
		return "asking-now", now{v.Link(pages[what], "merchant", q.Get("merchant"), "trade", q.Get("trade"))}, nil
	}
	return "asking-now", now{v.Link(pages[what], "number", number)}, nil
}
