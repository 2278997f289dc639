package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"holdfast/client"
	"holdfast/page"
)

// peopleBody is the operators, and the form that adds one.
type peopleBody struct {
	People  []client.Person
	Roles   []string
	Self    string // who looks
	Name    string // in the form
	Role    string
	Problem *refusal
}

func (p *pages) showPeople(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	return p.people(ctx, v, r, peopleBody{Role: "reader"}, http.StatusOK)
}

func (p *pages) people(ctx context.Context, v *page.View, r *http.Request, b peopleBody, status int) page.Answer {
	list, err := p.API.Operators(ctx)
	if err != nil {
		return page.Failed(v, r, err)
	}
	slices.SortFunc(list, func(a, c client.Person) int { return strings.Compare(a.ID, c.ID) })
	b.People, b.Roles = list, roles
	if v.Who != nil {
		b.Self = v.Who.Person
	}
	return page.Answer{Status: status, Template: "people", Body: b}
}

// addOperator adds somebody who may sign in, once they are invited.
func (p *pages) addOperator(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	q, err := form(r)
	if err != nil {
		return page.FormFailed(err)
	}
	b := peopleBody{Name: strings.TrimSpace(q.Get("name")), Role: q.Get("role")}
	if b.Name == "" || !slices.Contains(roles, b.Role) {
		b.Problem = &refusal{Text: v.T("operator-form")}
		return p.people(ctx, v, r, b, http.StatusUnprocessableEntity)
	}
	if _, err := p.API.AddOperator(ctx, b.Name, b.Role); err != nil {
		why, status := notDone(v, err)
		if why == nil {
			return page.Failed(v, r, err)
		}
		b.Problem = why
		a := p.people(ctx, v, r, b, status)
		a.Err = err
		return a
	}
	return page.Answer{Redirect: v.Link("/console/people", "done", "operator-added")}
}

// personAct is something that is done to an operator after a question.
type personAct struct {
	ask, done string
	do        func(ctx context.Context, api *client.Client, name string, q url.Values) error
}

var personActs = map[string]personAct{
	"role": {"operator-role", "operator-role", func(ctx context.Context, api *client.Client, name string, q url.Values) error {
		_, err := api.SetOperator(ctx, name, q.Get("role"))
		return err
	}},
	"end-sessions": {"operator-sessions", "sessions-ended", func(ctx context.Context, api *client.Client, name string, _ url.Values) error {
		return api.SignOutOperator(ctx, name)
	}},
	"remove": {"operator-remove", "operator-removed", func(ctx context.Context, api *client.Client, name string, _ url.Values) error {
		_, err := api.RemoveOperator(ctx, name)
		return err
	}},
}

func (p *pages) askPerson(_ context.Context, v *page.View, r *http.Request) page.Answer {
	act, ok := personActs[r.PathValue("act")]
	if !ok {
		return page.NotFound("")
	}
	return personQuestion(v, r.PathValue("person"), act, r.URL.Query(), nil, http.StatusOK)
}

func personQuestion(v *page.View, name string, act personAct, q url.Values, why *refusal, status int) page.Answer {
	b := question{
		Ask: act.ask, Back: "/console/people", May: may(v, asOperator), Problem: why, Facts: []fact{{Name: "person", Value: name, Code: true}},
	}
	if v.Who != nil && v.Who.Person == name {
		b.Facts = append(b.Facts, fact{Name: "careful", Value: v.T("that-is-you"), Big: true})
	}
	if act.ask == "operator-role" {
		role := q.Get("role")
		if !slices.Contains(roles, role) {
			return page.NotFound("")
		}
		b.Fields = []field{{"role", role}}
		b.Facts = append(b.Facts, fact{Name: "role", Value: v.T("role-" + role)})
	}
	return b.answer(v, status)
}

func (p *pages) actOnPerson(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	q, err := form(r)
	if err != nil {
		return page.FormFailed(err)
	}
	act, ok := personActs[r.PathValue("act")]
	if !ok {
		return page.NotFound("")
	}
	name := r.PathValue("person")
	if err := act.do(ctx, p.API, name, q); err != nil {
		why, status := notDone(v, err)
		if why == nil {
			return page.Failed(v, r, err)
		}
		a := personQuestion(v, name, act, q, why, status)
		a.Err = err
		return a
	}
	return page.Answer{Redirect: v.Link("/console/people", "done", act.done)}
}

// invitePerson invites an operator. The answer is the page itself: an invitation has to stand in no address.
func (p *pages) invitePerson(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	name := r.PathValue("person")
	token, until, err := p.API.InviteOperator(ctx, name)
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "invited", Body: invitedBody{name, token, until, "/console/people"}}
}
