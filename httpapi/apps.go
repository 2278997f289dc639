package httpapi

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"strings"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
	"holdfast/signin"
)

func (a *api) appRoutes(r *router) {
	add[putAppIn, jsonOut[AppBody]](r, operation{
		name: "put-app", method: post, path: "/v1/merchants/{id}/apps", tag: tagMerchants, summary: "Add an app of a merchant, or change it",
		text: "An app is what the merchant's SDK calls itself at the gateway: it signs with its own key, and checks the platform's answers with " +
			"platform_public_key, which is made with the app and stays the same. What is left out of a change stays as it is. With the key of the merchant only an app that " +
			"there is can be changed, and not its permissions. " + againDone,
		action: guard.ManageMerchants, sellers: true, ok: created, handle: a.atTill(postApp),
	})
	add[appsIn, jsonOut[appsBody]](r, operation{
		name: "merchant-apps", method: get, path: "/v1/merchants/{id}/apps", tag: tagMerchants, summary: "List the apps of a merchant",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getApps),
	})
	add[appIn, jsonOut[AppBody]](r, operation{
		name: "read-app", method: get, path: "/v1/merchants/{id}/apps/{app}", tag: tagMerchants, summary: "Read an app",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getApp),
	})
	add[disableAppIn, jsonOut[AppBody]](r, operation{
		name: "disable-app", method: post, path: "/v1/merchants/{id}/apps/{app}/disable", tag: tagMerchants, summary: "Say whether the requests of an app are refused",
		text:   "Who manages the merchant can stop an app at once, whose key somebody else may have; only the platform lets it in again. " + againDone,
		action: guard.ManageMerchants, staff: signin.Manage, handle: a.atTill(postAppDisable),
	})
	a.signatureRoutes(r)
}

type putAppIn struct {
	NumberIn
	PathOwner
	Body putAppBody
}

type putAppBody struct {
	Number      uint8    `json:"number,omitempty" format:"int64" maximum:"9" doc:"Which of the ten apps that a merchant can have; 0 if left out"`
	PublicKey   string   `json:"public_key,omitempty" doc:"The merchant's RSA key of 2048 to 4096 bits: PEM, or the base64 of its DER. Needed for a new app"`
	Permissions []string `json:"permissions,omitempty" maxItems:"64" doc:"What the app may ask for at the gateway; everything but payout if left out: whoever has the key of an app that may pay out can empty the account. See pay.Permissions: all, face-to-face, order, web-pay, wap-pay, app-pay, royalty, payout, account, pre-auth, bill, sign-in, notice-closed, notice-refund"`
	Notify      string   `json:"notify,omitempty" doc:"Where its notices go when a trade names no address; at most 256 bytes"`
}

var (
	putAppMembers  = []string{"number", "public_key", "permissions", "notify"}
	disableMembers = []string{"disabled"}
)

type appsIn struct {
	PathOwner
	DeadlineIn
}

// PathApp documents a path that names an app.
type PathApp struct {
	PathOwner
	App string `path:"app" doc:"Id of the app: 16 digits" example:"2021000000010420"`
}

type appIn struct {
	PathApp
	DeadlineIn
}

type disableAppIn struct {
	NumberIn
	PathApp
	Body disableAppBody
}

type disableAppBody struct {
	Disabled bool `json:"disabled"`
}

// AppBody is an app of a merchant.
type AppBody struct {
	ID                string   `json:"id" doc:"The app_id of the gateway: 16 digits" example:"2021000000010420"`
	Merchant          string   `json:"merchant" doc:"16 digits"`
	Number            uint8    `json:"number" format:"int64" doc:"Which of the merchant's ten apps it is: to change it"`
	PublicKey         string   `json:"public_key" doc:"The merchant's, PEM"`
	PlatformPublicKey string   `json:"platform_public_key,omitempty" doc:"With which the merchant checks what the platform says, PEM; left out in lists"`
	Permissions       []string `json:"permissions"`
	Notify            string   `json:"notify,omitempty"`
	Disabled          bool     `json:"disabled"`
}

type appsBody struct {
	Apps []AppBody `json:"apps"`
}

func appBodyOf(v *pay.App) AppBody {
	return AppBody{
		ID: v.ID, Merchant: v.Merchant.String(), Number: pay.AppNumber(v.ID), PublicKey: publicKeyText(v.PublicKey), Permissions: append([]string{}, v.Permissions...),
		Notify: v.Notify, Disabled: v.Disabled,
	}
}

// putApp is what is to be changed of an app; nil and "" stay as they are.
type putApp struct {
	number      uint8
	publicKey   string
	permissions []string
	notify      string
}

func (x *exchange) readApp() (p putApp, err error) {
	err = x.object(putAppMembers, func(s *scanner, name string) {
		switch name {
		case "number":
			p.number = uint8(s.integer(0, 9))
		case "public_key":
			p.publicKey = s.words()
		case "permissions":
			p.permissions = []string{}
			for range s.elements(maxList) {
				p.permissions = append(p.permissions, s.words())
			}
		case "notify":
			p.notify = s.words()
		}
	})
	if err == nil && p.publicKey != "" {
		der, bad := readPublicKey(p.publicKey)
		if bad != nil {
			return p, edgeMalformed.field("public_key", "%v", bad)
		}
		p.publicKey = string(der)
	}
	for _, name := range p.permissions {
		if err == nil && !slices.Contains(pay.Permissions(), name) {
			err = edgeMalformed.field("permissions", "%s is not one of %s", printable(name), strings.Join(pay.Permissions(), ", "))
		}
	}
	return p, err
}

func postApp(ctx context.Context, t *till) error {
	p, err := t.x.readApp()
	if err != nil {
		return err
	}
	o, err := t.pathMerchant("id")
	if err != nil {
		return err
	}
	if err := t.x.platformOnly("permissions", p.permissions != nil); err != nil {
		return err
	}
	if err := t.checkAddress("notify", p.notify); err != nil {
		return err
	}
	status := http.StatusOK
	app, err := t.ChangeApp(ctx, pay.AppID(o, p.number), p.change, t.at)
	if isRefusal(err, pay.AppUnknown) {
		status = http.StatusCreated
		if app, err = t.newApp(ctx, o, &p); err != nil {
			return err
		}
		p.change(&app)
		app, err = t.PutApp(ctx, o, p.number, app, t.at)
	}
	if t.did(err) != nil {
		return err
	}
	return t.sendApp(ctx, status, &app)
}

// change does to an app what was asked for.
func (p *putApp) change(app *pay.App) {
	if p.publicKey != "" {
		app.PublicKey = p.publicKey
	}
	if p.permissions != nil {
		app.Permissions = p.permissions
	}
	if p.notify != "" {
		app.Notify = p.notify
	}
}

func isRefusal(err error, code pay.Code) bool {
	var r *pay.Refusal
	return errors.As(err, &r) && r.Code == code
}

// newApp makes an app that there is not yet, with the platform's key pair for it.
func (t *till) newApp(ctx context.Context, o holdfast.Owner, p *putApp) (app pay.App, err error) {
	switch {
	case t.x.merchant != 0:
		return app, edgeForbidden.problem("There is no such app, and the key of a merchant can only change those that there are: ask the platform for a new one.")
	case p.publicKey == "":
		return app, edgeMalformed.field("public_key", "%v", errNoPublicKey)
	case t.Commerce.NewAppKey == nil:
		return app, edgeNotNow.problem("This site was started without the gateway: ask one that has it to add the app.")
	}
	app = pay.App{Permissions: pay.UsualPermissions()}
	private, _, err := t.Commerce.NewAppKey(t.source())
	if err != nil {
		return app, err
	}
	var nonce [pay.NonceBytes]byte
	if err := t.fill(nonce[:]); err != nil {
		return app, err
	}
	app.PlatformKey, err = t.PutAppKey(ctx, pay.AppID(o, p.number), private, nonce, t.at)
	return app, err
}

// sendApp answers with an app and the platform's public key for it.
func (t *till) sendApp(ctx context.Context, status int, app *pay.App) error {
	body := appBodyOf(app)
	if app.PlatformKey != "" {
		der, err := t.AppKey(ctx, app.ID, app.PlatformKey)
		if err != nil {
			return err
		}
		if body.PlatformPublicKey, err = publicOf(der); err != nil {
			return err
		}
	}
	return t.x.sendJSON(status, body)
}

// publicOf is the public half of a private key, as PEM.
func publicOf(private []byte) (string, error) {
	key, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return "", err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return "", errNoPublicKey
	}
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return "", err
	}
	return publicKeyText(string(der)), nil
}

func getApps(ctx context.Context, t *till) error {
	o, err := t.pathMerchant("id")
	if err != nil {
		return err
	}
	list, err := t.Apps(ctx, o)
	if err != nil {
		return err
	}
	body := appsBody{Apps: []AppBody{}}
	for i := range list {
		body.Apps = append(body.Apps, appBodyOf(&list[i]))
	}
	return t.x.sendJSON(http.StatusOK, body)
}

// pathApp is the id of an app of the merchant that the path names.
func (t *till) pathApp() (string, error) {
	o, err := t.pathMerchant("id")
	if err != nil {
		return "", err
	}
	id := t.x.r.PathValue("app")
	if of, ok := pay.AppOwner(id); !ok || of != o {
		return "", &pay.Refusal{Code: pay.AppUnknown, Field: "app", Text: pay.AppUnknown.Text()}
	}
	return id, nil
}

func getApp(ctx context.Context, t *till) error {
	id, err := t.pathApp()
	if err != nil {
		return err
	}
	app, err := t.App(ctx, id)
	if err != nil {
		return renamed(err, "app_id", "app")
	}
	return t.sendApp(ctx, http.StatusOK, &app)
}

func postAppDisable(ctx context.Context, t *till) error {
	disabled, given := false, false
	err := t.x.object(disableMembers, func(s *scanner, _ string) { given, disabled = true, s.boolean() })
	if err != nil {
		return err
	}
	if !given {
		return edgeMalformed.field("disabled", "say true or false")
	}
	if err := t.x.platformOnly("disabled", !disabled); err != nil {
		return err
	}
	id, err := t.pathApp()
	if err != nil {
		return err
	}
	app, err := t.DisableApp(ctx, id, disabled, t.at)
	if t.did(err) != nil {
		return renamed(err, "app_id", "app")
	}
	return t.sendApp(ctx, http.StatusOK, &app)
}
