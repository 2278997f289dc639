package portal

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"holdfast/client"
	"holdfast/page"
)

func (p *portal) peopleRoutes(*page.Shell) {
	p.page("GET /portal/people", manage, p.listPeople)
	p.page("POST /portal/people", manage, p.postPerson)
	p.page("GET /portal/people/{person}", manage, p.showPerson)
	p.page("POST /portal/people/{person}", manage, p.changePerson)
	p.page("POST /portal/people/{person}/invite", manage, p.postInvite)
	p.page("POST /portal/people/{person}/end", manage, p.postEnd)
	p.page("POST /portal/people/{person}/remove", manage, p.postRemove)
	p.page("GET /portal/shops", look, p.listShops)
	p.page("POST /portal/shops", manage, p.postShop)
	p.page("GET /portal/shops/{shop}", look, p.showShop)
}

// peopleBody are those who work for the merchant.
type peopleBody struct {
	base
	People  []client.Person
	Me      string
	Rights  []string
	Login   string
	Name    string
	Right   string
	Problem string
}

func (p *portal) peoplePage(ctx context.Context, v *page.View, r *http.Request, body *peopleBody) page.Answer {
	list, err := p.API.People(ctx, v.Owner())
	if err != nil {
		return page.Failed(v, r, err)
	}
	body.People, body.Me, body.Rights = list, v.Who.Person, rights
	a := page.Answer{Template: "portal-people", Body: body}
	if body.Problem != "" {
		a.Status = http.StatusUnprocessableEntity
	}
	return a
}

func (p *portal) listPeople(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	return p.peoplePage(ctx, v, r, &peopleBody{base: b, Right: look})
}

func (p *portal) postPerson(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	body := &peopleBody{base: b, Login: strings.TrimSpace(r.PostFormValue("login")), Name: strings.TrimSpace(r.PostFormValue("name")), Right: r.PostFormValue("right")}
	switch {
	case !strings.Contains(body.Login, "@"):
		body.Problem = v.T("bad-login")
	case !slices.Contains(rights, body.Right):
		body.Problem = v.T("bad-right")
	default:
		person, err := p.API.AddPerson(numbered(ctx, r), v.Owner(), client.NewPerson{Login: body.Login, Name: body.Name, Right: body.Right})
		if err == nil {
			return done(v, "/portal/people/"+person.ID, "person")
		}
		if e := refusal(err); e == nil || e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized {
			return p.failed(v, r, "/portal/people", err)
		}
		body.Problem = page.Refused(v, err)
	}
	return p.peoplePage(ctx, v, r, body)
}

// personBody is one of them.
type personBody struct {
	base
	client.Person
	Me     bool
	Rights []string
	Number string
}

// person finds somebody of the merchant.
func (p *portal) person(ctx context.Context, v *page.View, r *http.Request) (found client.Person, bad page.Answer, ok bool) {
	list, err := p.API.People(ctx, v.Owner())
	if err != nil {
		return found, page.Failed(v, r, err), false
	}
	i := slices.IndexFunc(list, func(x client.Person) bool { return x.ID == r.PathValue("person") })
	if i < 0 {
		return found, page.NotFound(""), false
	}
	return list[i], bad, true
}

func (p *portal) showPerson(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	x, bad, ok := p.person(ctx, v, r)
	if !ok {
		return bad
	}
	return page.Answer{Template: "portal-person", Title: nameOf(&x), Body: &personBody{b, x, x.ID == v.Who.Person, rights, v.Fresh()}}
}

func nameOf(x *client.Person) string {
	if x.Name != "" {
		return x.Name
	}
	return x.Login
}

func personPath(id string) string { return "/portal/people/" + id }

func (p *portal) changePerson(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	id, right := r.PathValue("person"), r.PostFormValue("right")
	if !slices.Contains(rights, right) {
		return page.Answer{Status: http.StatusUnprocessableEntity, Template: "portal-refused", Body: &refused{b, v.T("bad-right"), personPath(id)}}
	}
	if _, err := p.API.SetPerson(numbered(ctx, r), v.Owner(), id, strings.TrimSpace(r.PostFormValue("name")), right); err != nil {
		return p.orRefused(v, r, b, personPath(id), err)
	}
	return done(v, personPath(id), "changed")
}

func (p *portal) postInvite(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	x, bad, ok := p.person(ctx, v, r)
	if !ok {
		return bad
	}
	text, until, err := p.API.InvitePerson(numbered(ctx, r), v.Owner(), x.ID)
	if err != nil {
		return p.orRefused(v, r, b, personPath(x.ID), err)
	}
	return secret(v, b, "invitation", "invitation", text, personPath(x.ID),
		line{v.T("person-name"), nameOf(&x)}, line{v.T("invitation-at"), p.here(r) + "/invitation"}, line{v.T("good-until"), b.At(until)})
}

func (p *portal) postEnd(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	x, bad, ok := p.person(ctx, v, r)
	if !ok {
		return bad
	}
	if !sure(r) {
		return ask(v, r, confirm{base: b, Title: v.T("ask-end"), Lead: v.T("ask-end-lead"), Lines: []line{{v.T("person-name"), nameOf(&x)}}, Button: v.T("do-end"), Back: personPath(x.ID)})
	}
	if err := p.API.SignOutPerson(numbered(ctx, r), v.Owner(), x.ID); err != nil {
		return p.orRefused(v, r, b, personPath(x.ID), err)
	}
	return done(v, personPath(x.ID), "end")
}

func (p *portal) postRemove(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	x, bad, ok := p.person(ctx, v, r)
	if !ok {
		return bad
	}
	if x.ID == v.Who.Person {
		return page.Answer{Status: http.StatusUnprocessableEntity, Template: "portal-refused", Body: &refused{b, v.T("not-yourself"), personPath(x.ID)}}
	}
	if !sure(r) {
		return ask(v, r, confirm{base: b, Title: v.T("ask-person-remove"), Lead: v.T("ask-person-remove-lead"), Lines: []line{{v.T("person-name"), nameOf(&x)}, {v.T("login"), x.Login}}, Button: v.T("remove"), Back: personPath(x.ID)})
	}
	if _, err := p.API.RemovePerson(numbered(ctx, r), v.Owner(), x.ID); err != nil {
		return p.orRefused(v, r, b, personPath(x.ID), err)
	}
	return done(v, "/portal/people", "removed")
}

const shopsOnPage = 50

// shopsBody are the shops.
type shopsBody struct {
	base
	Shops   []client.Shop
	Next    string
	Form    client.Shop
	Tills   string
	Known   bool // the form is about a shop that there is
	Problem string
}

func (p *portal) shopsPage(ctx context.Context, v *page.View, r *http.Request, body *shopsBody) page.Answer {
	var err error
	if body.Shops, body.Next, err = p.API.Shops(ctx, v.Owner(), r.URL.Query().Get("cursor"), shopsOnPage); err != nil {
		return page.Failed(v, r, err)
	}
	a := page.Answer{Template: "portal-shops", Body: body}
	if body.Problem != "" {
		a.Status = http.StatusUnprocessableEntity
	}
	return a
}

func (p *portal) listShops(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	return p.shopsPage(ctx, v, r, &shopsBody{base: b})
}

func (p *portal) showShop(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	shop, err := p.API.Shop(ctx, v.Owner(), r.PathValue("shop"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "portal-shop", Title: v.T("shop") + " " + shop.ID, Body: &shopsBody{base: b, Form: shop, Tills: strings.Join(shop.Tills, ", "), Known: true}}
}

func (p *portal) postShop(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	body := &shopsBody{base: b, Form: client.Shop{ID: strings.TrimSpace(r.PostFormValue("id")), Name: strings.TrimSpace(r.PostFormValue("name"))}, Tills: r.PostFormValue("tills")}
	body.Form.Tills = strings.FieldsFunc(body.Tills, func(c rune) bool { return strings.ContainsRune(", \r\n\t，、;；", c) })
	if !goodNumber(body.Form.ID) {
		body.Problem = v.T("bad-shop")
		return p.shopsPage(ctx, v, r, body)
	}
	_, err := p.API.PutShop(numbered(ctx, r), v.Owner(), body.Form)
	switch e := refusal(err); {
	case err == nil:
		return done(v, b.ShopPath(body.Form.ID), "shop")
	case e == nil || e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized:
		return p.failed(v, r, "/portal/shops", err)
	}
	body.Problem = page.Refused(v, err)
	return p.shopsPage(ctx, v, r, body)
}

// ShopPath is the page of a shop.
func (b base) ShopPath(id string) string { return "/portal/shops/" + url.PathEscape(id) }
