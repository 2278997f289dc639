package page

import (
	"context"
	"net/http"
	"strings"

	"holdfast/client"
)

// invitationForm is what the page of an invitation shows. The invitation is in the form, or after the # of the address, which browsers keep to themselves:
// never in what is asked for, which proxies write down.
type invitationForm struct {
	Invitation string          // "": it is asked for
	For        *client.Invited // nil: not known yet
	Login      string
	Phone      bool
	At         string // the field that is wrong
	Problem    string // why, in the language of the page
}

func (p *pages) showInvitation(_ context.Context, _ *View, r *http.Request) Answer {
	if to := p.overTLS(r); to != "" {
		return Answer{Redirect: to}
	}
	return Answer{Template: "invitation", Body: invitationForm{}}
}

// useInvitation shows whom an invitation is for; with a password, chooses it and signs in.
func (p *pages) useInvitation(ctx context.Context, v *View, r *http.Request) Answer {
	if err := r.ParseForm(); err != nil {
		return Answer{Status: http.StatusBadRequest, Template: "invitation", Body: invitationForm{At: "invitation", Problem: v.T("problem-form")}, Err: err}
	}
	form := invitationForm{
		Invitation: tokenIn(r.PostForm.Get("invitation")), Login: strings.TrimSpace(r.PostForm.Get("login")), Phone: r.PostForm.Get("phone") != "",
	}
	if !strings.HasPrefix(form.Invitation, "hfi_") || len(form.Invitation) > 128 {
		return form.wrong(v, "invitation", v.T("invitation-form"), nil)
	}
	var who client.Invited
	if err := p.readInvitation(ctx, r, form.Invitation, &who); err != nil {
		return form.wrong(v, "invitation", problem(v, err), err)
	}
	form.For = &who
	if r.PostForm.Get("step") != "accept" {
		return Answer{Template: "invitation", Body: form}
	}
	password := r.PostForm.Get("password")
	if says := chosen(v, password, r.PostForm.Get("again")); says != "" {
		return form.wrong(v, "password", says, nil)
	}
	a := client.Acceptance{Invitation: form.Invitation, Login: form.Login, Password: password, How: p.how(r, form.Phone && who.As == asCustomer)}
	in, err := p.enter(ctx, r, "/v1/invitations/accept", a, func() (client.SignedIn, error) { return p.API.AcceptInvitation(ctx, a) })
	if err != nil {
		return form.refused(v, err)
	}
	return p.entered(ctx, v, r, &in, "/")
}

// readInvitation asks the site itself, which bounds how many may be tried from one address, and the others when it can do nothing.
func (p *pages) readInvitation(ctx context.Context, r *http.Request, token string, who *client.Invited) error {
	err := p.Directly(ctx, r, "/v1/invitations/read", map[string]string{"invitation": token}, who)
	if e, ok := asAPI(err); ok && e.Status >= http.StatusInternalServerError {
		*who, err = p.API.Invitation(ctx, token)
	}
	return err
}

// refused is the form again, where what was refused belongs.
func (f invitationForm) refused(v *View, err error) Answer {
	e, _ := asAPI(err)
	switch {
	case e == nil:
	case e.Code == "login-wrong":
		return f.wrong(v, "login", v.T("invitation-login-wrong"), err)
	case e.Code == "invitation-unknown":
		f.For = nil
		return f.wrong(v, "invitation", problem(v, err), err)
	}
	return f.wrong(v, "password", passwordProblem(v, f.For.PasswordShortest, err), err)
}

func (f invitationForm) wrong(v *View, at, problem string, err error) Answer {
	f.At, f.Problem = at, problem
	return Answer{Status: statusOf(err), Template: "invitation", Body: f, Err: err}
}

// tokenIn takes the invitation out of what somebody has pasted: it may be the whole address.
func tokenIn(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '#')+1:]
}

// chosen says what is wrong with a new password before the API is asked; "": nothing.
func chosen(v *View, password, again string) string {
	switch {
	case password == "":
		return v.T("password-missing")
	case password != again:
		return v.T("password-differs")
	}
	return ""
}

// passwordProblem says why a new password was refused; the shortest one is as long as the person's kind wants.
func passwordProblem(v *View, shortest int, err error) string {
	if e, ok := asAPI(err); ok && e.Code == "password-too-short" && shortest > 0 {
		return v.Tf("password-short", shortest)
	}
	return problem(v, err)
}
