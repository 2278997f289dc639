package httpapi

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"net/http"

	"holdfast/guard"
	"holdfast/signin"
)

func (a *api) signatureRoutes(r *router) {
	add[checkSignatureIn, jsonOut[signatureCheckBody]](r, operation{
		name: "check-signature", method: post, path: "/v1/merchants/{id}/apps/{app}/check-signature", tag: tagMerchants, summary: "Say whether a signature fits the key of an app, and what is wrong if not",
		text: "For who writes the merchant's software and has been told isv.invalid-signature. Send what was signed and the signature, or the parameters of the whole request. What is in the " +
			"signature is looked at with the public key: so it is certain whether the key pair is the right one, and which hash was signed; then the usual mistakes are tried one by one. Nothing is " +
			"executed, stored or logged, and nothing secret is needed: never send a private key.",
		action: guard.ReadMoney, sellers: true, staff: signin.Look, handle: a.atTill(postCheckSignature),
	})
}

type checkSignatureIn struct {
	NumberIn
	PathApp
	Body checkSignatureBody
}

type checkSignatureBody struct {
	Text      string `json:"text" maxLength:"65536" doc:"What was signed; or the parameters of the request, as its address, query or form body has them, with or without sign"`
	Signature string `json:"signature,omitempty" maxLength:"4096" doc:"The signature; may be left out where the parameters have it as sign"`
	SignType  string `json:"sign_type,omitempty" enum:"RSA2,RSA" doc:"What the parameters say if left out, or else RSA2"`
}

var checkSignatureMembers = []string{"text", "signature", "sign_type"}

const (
	maxSignedText = 64 << 10
	maxSignature  = 4 << 10
)

type signatureCheckBody struct {
	Fits     bool                   `json:"fits" doc:"The gateway would take it"`
	Signed   string                 `json:"signed" doc:"The text that the gateway verifies a signature of"`
	SignType string                 `json:"sign_type" enum:"RSA2,RSA"`
	Findings []SignatureFindingBody `json:"findings" doc:"What was seen, what is most likely wrong first"`
}

// SignatureFindingBody is something about a signature.
type SignatureFindingBody struct {
	Code   string `json:"code" doc:"For programs; more may come" example:"key-pair"`
	Detail string `json:"detail" doc:"The same for people"`
	About  string `json:"about,omitempty" doc:"The app, hash or parameter that it is about"`
}

func postCheckSignature(ctx context.Context, t *till) error {
	var ask signatureAsk
	err := t.x.object(checkSignatureMembers, func(s *scanner, name string) {
		switch name {
		case "text":
			ask.text = s.string(maxSignedText)
		case "signature":
			ask.signature = s.string(maxSignature)
		case "sign_type":
			ask.signType = s.string(maxName)
		}
	})
	switch {
	case err != nil:
		return err
	case ask.text == "":
		return edgeMalformed.field("text", "send what was signed, or the parameters of the request")
	case ask.signType != "" && hashOf(ask.signType) == 0:
		return edgeMalformed.field("sign_type", "%s is not one of RSA2, RSA", printable(ask.signType))
	}
	id, err := t.pathApp()
	if err != nil {
		return err
	}
	keys, err := t.signatureKeys(ctx, id)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, checkSignature(&ask, keys))
}

// signatureKeys are the public keys that a signature of an app may have been meant for.
func (t *till) signatureKeys(ctx context.Context, id string) (keys signatureKeys, err error) {
	app, err := t.App(ctx, id)
	if err != nil {
		return keys, renamed(err, "app_id", "app")
	}
	keys.id, keys.own = id, publicRSA(app.PublicKey)
	if app.PlatformKey != "" {
		private, err := t.AppKey(ctx, id, app.PlatformKey)
		if err != nil {
			return keys, err
		}
		if key, err := x509.ParsePKCS8PrivateKey(private); err == nil {
			if rsaKey, ok := key.(*rsa.PrivateKey); ok {
				keys.platform = &rsaKey.PublicKey
			}
		}
	}
	list, err := t.Apps(ctx, app.Merchant)
	for i := range list {
		if list[i].ID != id {
			keys.others = append(keys.others, appPublic{list[i].ID, publicRSA(list[i].PublicKey)})
		}
	}
	return keys, err
}

// publicRSA reads the key of an app; nil: it has none.
func publicRSA(der string) *rsa.PublicKey {
	key, err := x509.ParsePKIXPublicKey([]byte(der))
	if err != nil {
		return nil
	}
	public, _ := key.(*rsa.PublicKey)
	return public
}

// signatureKeys are those of one app, of the platform for it, and of the merchant's other apps.
type signatureKeys struct {
	id            string
	own, platform *rsa.PublicKey // nil: there is none
	others        []appPublic
}

type appPublic struct {
	id  string
	key *rsa.PublicKey
}
