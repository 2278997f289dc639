package httpapi

import (
	"context"
	"net/http"

	"holdfast/signin"
)

func (a *api) passkeyRoutes(r *router) {
	add[sessionChangeIn, jsonOut[ceremonyBody]](r, operation{
		name: "begin-passkey-sign-in", method: post, path: "/v1/sessions/passkey/challenge", tag: tagSigningIn, summary: "Begin to sign in with a passkey",
		text:   "Give the options to navigator.credentials.get, and send its answer with the state within five minutes, to any site.",
		handle: a.atDoor(postPasskeyChallenge),
	})
	add[passkeySignInIn, jsonOut[signedBody]](r, operation{
		name: "sign-in-by-passkey", method: post, path: "/v1/sessions/passkey", tag: tagSigningIn, summary: "Sign in with a passkey",
		text: "The passkey says who it is. Each challenge opens one session.", ok: []int{http.StatusCreated}, handle: a.atDoor(postPasskeySession),
	})
	add[sessionChangeIn, jsonOut[ceremonyBody]](r, operation{
		name: "begin-passkey", method: post, path: "/v1/session/passkeys/challenge", tag: tagSigningIn, summary: "Begin to add a passkey",
		text: "Give the options to navigator.credentials.create, and send its answer with the state within five minutes, to any site. Refused as confirm-first " +
			"when the last sign-in is more than a quarter of an hour ago.",
		session: true, handle: a.atDoor(postPasskeyBegin),
	})
	add[addPasskeyIn, jsonOut[PasskeyBody]](r, operation{
		name: "add-passkey", method: post, path: "/v1/session/passkeys", tag: tagSigningIn, summary: "Add a passkey",
		text: "At most ten. The same answer of the browser again is the same passkey.", session: true, ok: []int{http.StatusCreated}, handle: a.atDoor(postPasskey),
	})
	add[namePasskeyIn, jsonOut[passkeysBody]](r, operation{
		name: "name-passkey", method: post, path: "/v1/session/passkeys/{passkey}/name", tag: tagSigningIn, summary: "Give a passkey another name",
		text: againDone, session: true, handle: a.atDoor(postPasskeyName),
	})
	add[removePasskeyIn, jsonOut[passkeysBody]](r, operation{
		name: "remove-passkey", method: post, path: "/v1/session/passkeys/{passkey}/remove", tag: tagSigningIn, summary: "Take a passkey away",
		text: "The last way to sign in cannot be taken away. Refused as confirm-first when the last sign-in is more than a quarter of an hour ago. " + againDone, session: true, handle: a.atDoor(postPasskeyRemove),
	})
}

type ceremonyBody struct {
	Options string `json:"options" contentMediaType:"application/json" doc:"JSON: the publicKey of the browser's call, as PublicKeyCredential.parseCreationOptionsFromJSON and parseRequestOptionsFromJSON read it"`
	State   string `json:"state" doc:"Send it back with the answer"`
	Until   string `json:"until" format:"date-time" doc:"Afterwards begin again"`
}

type passkeySignInIn struct {
	NumberIn
	Body passkeySignInBody
}

type passkeySignInBody struct {
	State      string `json:"state"`
	Credential string `json:"credential" contentMediaType:"application/json" doc:"JSON: toJSON() of the credential that the browser gave"`
	HowBody
}

var passkeySignInMembers = append([]string{"state", "credential"}, howMembers...)

type addPasskeyIn struct {
	NumberIn
	Body addPasskeyBody
}

type addPasskeyBody struct {
	State      string `json:"state"`
	Credential string `json:"credential" contentMediaType:"application/json" doc:"JSON: toJSON() of the credential that the browser has made"`
	Name       string `json:"name,omitempty" maxLength:"64" doc:"For people: which device it is at"`
}

var addPasskeyMembers = []string{"state", "credential", "name"}

type namePasskeyIn struct {
	NumberIn
	PathPasskey
	Body namePasskeyBody
}

// PathPasskey documents a path that names a passkey.
type PathPasskey struct {
	Passkey string `path:"passkey" maxLength:"32"`
}

type namePasskeyBody struct {
	Name string `json:"name" maxLength:"64"`
}

var namePasskeyMembers = []string{"name"}

type removePasskeyIn struct {
	NumberIn
	PathPasskey
}

// PasskeyBody is a passkey.
type PasskeyBody struct {
	ID     string `json:"id" example:"k3wz2v5qk3wz2v5q"`
	Name   string `json:"name,omitempty"`
	Synced bool   `json:"synced" doc:"It may be at several devices of its person"`
	Added  string `json:"added" format:"date-time"`
	Used   string `json:"used" format:"date-time" doc:"When it was used last"`
}

type passkeysBody struct {
	Passkeys []PasskeyBody `json:"passkeys"`
}

func passkeyBodyOf(k *signin.Passkey) PasskeyBody {
	return PasskeyBody{k.Key(), k.Name, k.Backed == 1, timeText(k.Added), timeText(k.Used)}
}

func passkeyBodiesOf(v *signin.Person) []PasskeyBody {
	list := make([]PasskeyBody, len(v.Passkeys))
	for i := range v.Passkeys {
		list[i] = passkeyBodyOf(&v.Passkeys[i])
	}
	return list
}

// maxCredential is the longest answer of a browser that is read, in bytes.
const maxCredential = 16 << 10

// challenge are fresh random bytes: a challenge is never one that was given before.
func (t *till) challenge() (seed signin.Seed, err error) {
	if err := t.x.emptyBody(); err != nil {
		return seed, err
	}
	return seed, t.fill(seed[:])
}

func (t *till) sendCeremony(c signin.Ceremony, err error) error {
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, ceremonyBody{string(c.Options), c.State, timeText(c.Until)})
}

func postPasskeyChallenge(_ context.Context, t *till) error {
	seed, err := t.challenge()
	if err != nil {
		return err
	}
	return t.sendCeremony(t.Porter.BeginSignIn(seed, t.at))
}

func postPasskeyBegin(ctx context.Context, t *till) error {
	seed, err := t.challenge()
	if err != nil {
		return err
	}
	return t.sendCeremony(t.Porter.BeginPasskey(ctx, *t.x.session, seed, t.at))
}

func postPasskeySession(ctx context.Context, t *till) error {
	var state, credential string
	var how signin.How
	err := t.x.object(passkeySignInMembers, func(s *scanner, name string) {
		switch name {
		case "state":
			state = s.secret()
		case "credential":
			credential = s.string(maxCredential)
		default:
			s.howMember(name, &how)
		}
	})
	if err != nil {
		return err
	}
	seed, err := t.seed("session")
	if err != nil {
		return err
	}
	s, err := t.guess(ctx, func() (signin.Signed, error) {
		return t.Porter.SignInByPasskey(ctx, state, []byte(credential), how, seed, t.at)
	})
	if err != nil {
		return err
	}
	return t.sendSigned(&s)
}

func postPasskey(ctx context.Context, t *till) error {
	var state, credential, name string
	err := t.x.object(addPasskeyMembers, func(s *scanner, member string) {
		switch member {
		case "state":
			state = s.secret()
		case "credential":
			credential = s.string(maxCredential)
		case "name":
			name = s.string(maxAlias)
		}
	})
	if err != nil {
		return err
	}
	k, err := t.Porter.AddPasskey(ctx, *t.x.session, state, name, []byte(credential), t.at)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusCreated, passkeyBodyOf(&k))
}

func postPasskeyName(ctx context.Context, t *till) error {
	name := ""
	if err := t.x.object(namePasskeyMembers, func(s *scanner, _ string) { name = s.string(maxAlias) }); err != nil {
		return err
	}
	if err := t.did(t.Porter.NamePasskey(ctx, *t.x.session, t.x.r.PathValue("passkey"), name, t.at)); err != nil {
		return err
	}
	return t.sendPasskeys(ctx)
}

func postPasskeyRemove(ctx context.Context, t *till) error {
	if err := t.x.emptyBody(); err != nil {
		return err
	}
	if err := t.did(t.Porter.RemovePasskey(ctx, *t.x.session, t.x.r.PathValue("passkey"), t.at)); err != nil {
		return err
	}
	return t.sendPasskeys(ctx)
}

func (t *till) sendPasskeys(ctx context.Context) error {
	v, err := t.Porter.Person(ctx, t.x.session.Who)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, passkeysBody{passkeyBodiesOf(&v)})
}
