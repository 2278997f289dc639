package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"holdfast/client"
	"holdfast/page"
)

// roles are those of operators, each with the rights of those before it.
var roles = []string{"reader", "teller", "operator"}

const (
	asTeller   = "teller"
	asOperator = "operator"
)

// may reports whether somebody has a role or a higher one, for pages that show no buttons in vain. Of an API key it is not known. Whatever is
// sent is decided by the API.
func may(v *page.View, role string) bool {
	return v.Who == nil || slices.Index(roles, v.Who.Role) >= slices.Index(roles, role)
}

// refusal is why something was not done: in the language of the page, and what the API says itself, in English.
type refusal struct{ Text, Detail string }

// fact is something that is said of a thing: the key of its name, and the value.
type fact struct {
	Name  string
	Value string
	Link  string // where one learns more; "": nowhere
	Code  bool   // it is a number of the platform or of somebody else
	Big   bool
	Alien bool // it is in English, or in the words of somebody else
}

// field is a hidden one of a form.
type field struct{ Name, Value string }

// question is a page that says what will be done, and lets it be done.
type question struct {
	Ask     string // key: "ask-" + Ask is the title, "ask-" + Ask + "-is" what it means, "ask-" + Ask + "-do" the button
	Facts   []fact
	Fields  []field
	Back    string
	Problem *refusal
	May     bool
}

func (v question) answer(w *page.View, status int) page.Answer {
	return page.Answer{Status: status, Template: "ask", Body: v, Title: w.T("ask-" + v.Ask)}
}

// sayable is why something was refused, to be said beside what was asked, and the status of the page. nil: [page.Failed] knows what to say.
func sayable(v *page.View, err error) (why *refusal, status int) {
	e, ok := errors.AsType[*client.Error](err)
	if !ok || errors.Is(err, client.ErrUnknown) {
		return nil, 0
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests:
	default:
		return nil, 0
	}
	why = &refusal{page.Refused(v, err), e.Detail}
	if why.Text == e.Detail {
		why.Text = v.T("refused-because")
	}
	return why, e.Status
}

// notDone is [sayable] for something that was to be done: where nobody knows whether it was, it says so. All that these pages do is done at most
// once when it is sent again.
func notDone(v *page.View, err error) (why *refusal, status int) {
	if why, status = sayable(v, err); why != nil {
		return why, status
	}
	if e, ok := errors.AsType[*client.Error](err); ok && e.Status < http.StatusInternalServerError && !errors.Is(err, client.ErrUnknown) {
		return nil, 0
	}
	return &refusal{Text: v.T("unknown-again")}, http.StatusGatewayTimeout
}

// act gives what is to be done a part of the time that a page has: what came of it has to be said in the rest.
func (p *pages) act(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.Deadline*3/5)
	defer cancel()
	return do(ctx)
}

// form reads a form that was sent.
func form(r *http.Request) (url.Values, error) {
	err := r.ParseForm()
	return r.PostForm, err
}
