package httpapi

import (
	"context"
	"net/http"
	"strings"

	"holdfast/guard"
	"holdfast/pay"
)

func (a *api) mandateRoutes(r *router) {
	add[giveMandateIn, jsonOut[givenMandateBody]](r, operation{
		name: "give-mandate", method: post, path: "/v1/merchants/{id}/mandates", tag: tagMerchants, summary: "Let somebody else's app act for a merchant",
		text: "As when a service provider runs the tills. The answer has the app_auth_token that the app sends along at the gateway. It may do what the permissions name and both apps " +
			"may do: its own, and the merchant's for which it acts. Giving it again makes another token, and the one before is no longer good.",
		action: guard.ManageMerchants, sellers: true, ok: []int{http.StatusCreated}, handle: a.atTill(postMandate),
	})
	add[mandatesIn, jsonOut[mandatesBody]](r, operation{
		name: "list-mandates", method: get, path: "/v1/merchants/{id}/mandates", tag: tagMerchants, summary: "Page through the apps of others that act for a merchant",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getMandates),
	})
	add[revokeMandateIn, jsonOut[revokedBody]](r, operation{
		name: "revoke-mandate", method: post, path: "/v1/merchants/{id}/mandates/{app_id}/revoke", tag: tagMerchants, summary: "No longer let an app of somebody else act for a merchant",
		text: "Its token is no longer good, from now on and at every site. " + againDone, action: guard.ManageMerchants, sellers: true, handle: a.atTill(postMandateRevoke),
	})
}

type giveMandateIn struct {
	NumberIn
	PathOwner
	Body giveMandateBody
}

type giveMandateBody struct {
	App         string   `json:"app_id" doc:"Whose app is to act: 16 digits, of another merchant" example:"2021000000010420"`
	OwnApp      string   `json:"own_app_id" doc:"The merchant's own app for which it acts: auth_app_id at the gateway"`
	Permissions []string `json:"permissions,omitempty" maxItems:"64" doc:"What it may do, as of apps; everything but payout if left out"`
	Until       string   `json:"until,omitempty" format:"date-time" doc:"At least an hour and at most 365 days from now, which is what it is if left out"`
}

var giveMandateMembers = []string{"app_id", "own_app_id", "permissions", "until"}

// MandateBody is what a merchant lets somebody else's app do.
type MandateBody struct {
	App         string   `json:"app_id"`
	OwnApp      string   `json:"own_app_id"`
	Permissions []string `json:"permissions" doc:"None: all that both apps may do"`
	Given       string   `json:"given" format:"date-time"`
	Until       string   `json:"until" format:"date-time"`
}

type givenMandateBody struct {
	MandateBody
	Token string `json:"app_auth_token" doc:"For the app. It is shown in this answer only"`
}

type mandatesIn struct {
	PathOwner
	PageIn
}

type mandatesBody struct {
	Mandates []MandateBody `json:"mandates" doc:"In the order of the apps' ids, with those that are over"`
	Next     string        `json:"next,omitempty" doc:"Send it as cursor, for the next page; left out on the last one"`
}

type revokeMandateIn struct {
	NumberIn
	PathOwner
	App string `path:"app_id" doc:"16 digits"`
}

func mandateBodyOf(v *pay.Mandate) MandateBody {
	return MandateBody{v.App, v.OwnApp, append([]string{}, v.Permissions...), timeText(v.Given), timeText(v.Until)}
}

func (x *exchange) readMandate() (ask pay.MandateAsk, err error) {
	err = x.object(giveMandateMembers, func(s *scanner, name string) {
		switch name {
		case "app_id":
			ask.App = s.string(maxName)
		case "own_app_id":
			ask.OwnApp = s.string(maxName)
		case "permissions":
			ask.Permissions = []string{}
			for range s.elements(maxList) {
				ask.Permissions = append(ask.Permissions, s.words())
			}
		case "until":
			ask.Until = s.moment()
		}
	})
	return ask, err
}

func postMandate(ctx context.Context, t *till) error {
	o, err := t.pathMerchant("id")
	if err != nil {
		return err
	}
	ask, err := t.x.readMandate()
	if err != nil {
		return err
	}
	if of, ok := pay.AppOwner(ask.OwnApp); !ok || of != o {
		return &pay.Refusal{Code: pay.AppUnknown, Field: "own_app_id", Text: pay.AppUnknown.Text()}
	}
	var random [pay.MandateBytes]byte
	if err := t.fill(random[:]); err != nil {
		return err
	}
	v, token, err := t.GiveMandate(ctx, ask, random, t.at)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusCreated, givenMandateBody{mandateBodyOf(&v), token})
}

func getMandates(ctx context.Context, t *till) error {
	o, err := t.pathMerchant("id")
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
	if _, err := t.Merchant(ctx, o); err != nil {
		return err
	}
	list, err := t.Mandates(ctx, o, cursor, limit+1)
	if err != nil {
		return err
	}
	b := mandatesBody{Mandates: []MandateBody{}}
	for i := range list[:min(limit, len(list))] {
		b.Mandates = append(b.Mandates, mandateBodyOf(&list[i]))
	}
	if len(list) > limit {
		b.Next = list[limit-1].App
	}
	return t.x.sendJSON(http.StatusOK, b)
}

// appCursor is the cursor of a list that is in the order of apps' ids.
func (x *exchange) appCursor() (string, error) {
	cursor := x.query.get("cursor")
	if strings.Trim(cursor, "0123456789") != "" || len(cursor) > maxName {
		return "", edgeMalformed.field("cursor", "the cursor is not one of this list: send the next of the page before")
	}
	return cursor, nil
}

func postMandateRevoke(ctx context.Context, t *till) error {
	o, err := t.pathMerchant("id")
	if err != nil {
		return err
	}
	if err := t.x.emptyBody(); err != nil {
		return err
	}
	app := t.x.r.PathValue("app_id")
	if err := t.RevokeMandate(ctx, o, app, t.at); err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, revokedBody{app, true})
}
