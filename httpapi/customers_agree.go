package httpapi

import (
	"context"
	"net/http"

	"holdfast/guard"
	"holdfast/pay"
)

func (a *api) agreementRoutes(r *router) {
	add[agreeIn, jsonOut[agreedBody]](r, operation{
		name: "agree", method: post, path: "/v1/customers/{id}/agreements", tag: tagCustomers, summary: "Note that a customer lets an app know who they are",
		text: "The answer has the code for which the app gets its tokens (alipay.system.oauth.token), within ten minutes and once. Agreeing once more gives " +
			"another code, and adds what is new to what was agreed to.",
		action: guard.ManageCustomers, buyers: true, handle: a.atTill(postAgreement),
	})
	add[listAgreementsIn, jsonOut[agreementsBody]](r, operation{
		name: "list-agreements", method: get, path: "/v1/customers/{id}/agreements", tag: tagCustomers, summary: "Page through the apps that a customer lets know who they are",
		action: guard.ReadMoney, buyers: true, handle: a.atTill(getAgreements),
	})
	add[revokeAgreementIn, jsonOut[revokedBody]](r, operation{
		name: "revoke-agreement", method: post, path: "/v1/customers/{id}/agreements/{app_id}/revoke", tag: tagCustomers, summary: "End an agreement, with all its codes and tokens",
		text: againDone, action: guard.ManageCustomers, buyers: true, handle: a.atTill(postAgreementRevoke),
	})
}

type agreeIn struct {
	NumberIn
	PathOwner
	Body agreeBody
}

type agreeBody struct {
	App    string   `json:"app_id" doc:"16 digits" example:"2021000000010420"`
	Scopes []string `json:"scopes" minItems:"1" maxItems:"2" enum:"auth_base,auth_user" doc:"auth_base: the app learns the customer's number. auth_user: it may ask what is known of them"`
}

var agreeMembers = []string{"app_id", "scopes"}

// AgreementBody is what a customer has agreed to.
type AgreementBody struct {
	App    string   `json:"app_id"`
	Scopes []string `json:"scopes"`
	Since  string   `json:"since" format:"date-time" doc:"When they agreed first"`
}

type agreedBody struct {
	AgreementBody
	Code string `json:"code" doc:"For the app: good for ten minutes, and once. It is shown in this answer only"`
}

type listAgreementsIn struct {
	PathOwner
	PageIn
}

type agreementsBody struct {
	Agreements []AgreementBody `json:"agreements" doc:"In the order of the apps' ids"`
	Next       string          `json:"next,omitempty" doc:"Send it as cursor, for the next page; left out on the last one"`
}

type revokeAgreementIn struct {
	NumberIn
	PathOwner
	App string `path:"app_id" doc:"16 digits"`
}

type revokedBody struct {
	App     string `json:"app_id"`
	Revoked bool   `json:"revoked"`
}

func agreementBodyOf(v *pay.Agreement) AgreementBody {
	return AgreementBody{v.App, append([]string{}, v.Scopes...), timeText(v.Since)}
}

func postAgreement(ctx context.Context, t *till) error {
	o, err := t.x.pathMine("id")
	if err != nil {
		return err
	}
	app, scopes := "", []string(nil)
	err = t.x.object(agreeMembers, func(s *scanner, name string) {
		if name == "app_id" {
			app = s.string(maxName)
			return
		}
		for range s.elements(maxList) {
			scopes = append(scopes, s.string(maxName))
		}
	})
	if err != nil {
		return err
	}
	var random [pay.GrantBytes]byte
	if err := t.fill(random[:]); err != nil {
		return err
	}
	v, code, err := t.Agree(ctx, o, app, scopes, random, t.at)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, agreedBody{agreementBodyOf(&v), code})
}

func getAgreements(ctx context.Context, t *till) error {
	o, err := t.x.pathMine("id")
	if err != nil {
		return err
	}
	limit, err := t.x.query.limit()
	if err != nil {
		return err
	}
	cursor, err := t.x.appCursor()
	if err != nil {
		return err
	}
	if _, err := t.Customer(ctx, o); err != nil {
		return err
	}
	list, err := t.Agreements(ctx, o, cursor, limit+1)
	if err != nil {
		return err
	}
	b := agreementsBody{Agreements: []AgreementBody{}}
	for i := range list[:min(limit, len(list))] {
		b.Agreements = append(b.Agreements, agreementBodyOf(&list[i]))
	}
	if len(list) > limit {
		b.Next = list[limit-1].App
	}
	return t.x.sendJSON(http.StatusOK, b)
}

func postAgreementRevoke(ctx context.Context, t *till) error {
	o, err := t.x.pathMine("id")
	if err != nil {
		return err
	}
	if err := t.x.emptyBody(); err != nil {
		return err
	}
	app := t.x.r.PathValue("app_id")
	if err := t.RevokeAgreement(ctx, o, app, t.at); err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, revokedBody{app, true})
}
