package client

import (
	"context"
	"encoding/json"
	"time"

	"holdfast"
)

// Here is who somebody is at the platform.
type Here struct {
	As       string         `json:"as"`                 // "customer", "merchant" or "operator"
	Customer holdfast.Owner `json:"customer,omitempty"` // of a customer
	Merchant holdfast.Owner `json:"merchant,omitempty"` // of a merchant's person
	Person   string         `json:"person,omitempty"`   // of a merchant's person, or an operator
	Right    string         `json:"right,omitempty"`    // of a merchant's person: "look", "work" or "manage"
	Role     string         `json:"role,omitempty"`     // of an operator: "reader", "teller" or "operator"
}

// Session is a session, without its token.
type Session struct {
	ID      string    `json:"id"`
	By      string    `json:"by"` // "password" or "passkey"
	Label   string    `json:"label,omitempty"`
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen"`  // to about a tenth of the time for which it may be unused
	Ends    time.Time `json:"ends"`  // if it is not used
	Until   time.Time `json:"until"` // in any case
	Current bool      `json:"current,omitempty"`
}

// How says how somebody comes in.
type How struct {
	Phone  bool   `json:"phone,omitempty"`  // of a customer: it is their own phone, stay signed in
	Label  string `json:"label,omitempty"`  // which device it is, for the list of sessions
	Device string `json:"device,omitempty"` // the [SignedIn.Device] that the device got before
}

// SignedIn is what somebody gets who has signed in.
type SignedIn struct {
	Here
	Session Session `json:"session"`
	Token   string  `json:"token"`  // what [Config.Key] takes; it is stored nowhere
	Device  string  `json:"device"` // for the next sign-in from this device; it lets nobody in
}

// Passkey is a passkey of a person.
type Passkey struct {
	ID     string    `json:"id"`
	Name   string    `json:"name,omitempty"`
	Synced bool      `json:"synced"` // it may be at several devices
	Added  time.Time `json:"added"`
	Used   time.Time `json:"used"`
}

// Who is who has signed in, and how they can.
type Who struct {
	Here
	Name             string    `json:"name,omitempty"`
	Session          Session   `json:"session"`
	PasswordSince    time.Time `json:"password_since"` // zero: there is none
	PasswordShortest int       `json:"password_shortest"`
	Passkeys         []Passkey `json:"passkeys"`
}

// Ceremony is what a browser needs to make or use a passkey.
type Ceremony struct {
	Options json.RawMessage // the publicKey of the browser's call
	State   string          // to be sent back with its answer
	Until   time.Time
}

type ceremony struct {
	Options string    `json:"options"`
	State   string    `json:"state"`
	Until   time.Time `json:"until"`
}

func (c *ceremony) out() Ceremony { return Ceremony{json.RawMessage(c.Options), c.State, c.Until} }

// Credentials are a login and a password.
type Credentials struct {
	As       string `json:"as"` // "customer", "merchant" or "operator"
	Login    string `json:"login"`
	Password string `json:"password"`
	How
}

// SignIn opens a session. An [*Error] with the code login-wrong says that login and password do not fit together, too-many-tries that nothing was
// looked at.
func (c *Client) SignIn(ctx context.Context, who Credentials) (v SignedIn, err error) {
	return v, c.order(ctx, "/v1/sessions", who, &v)
}

// BeginPasskeySignIn begins to sign in by passkey.
func (c *Client) BeginPasskeySignIn(ctx context.Context) (Ceremony, error) {
	var v ceremony
	err := c.order(ctx, "/v1/sessions/passkey/challenge", struct{}{}, &v)
	return v.out(), err
}

type passkeyAnswer struct {
	State      string `json:"state"`
	Credential string `json:"credential"`
	Name       string `json:"name,omitempty"`
	How
}

// SignInByPasskey opens a session with the answer of a browser.
func (c *Client) SignInByPasskey(ctx context.Context, state string, credential json.RawMessage, how How) (v SignedIn, err error) {
	return v, c.order(ctx, "/v1/sessions/passkey", passkeyAnswer{State: state, Credential: string(credential), How: how}, &v)
}

// WhoAmI reads who has signed in: the key of the client has to be the token of a session here and below.
func (c *Client) WhoAmI(ctx context.Context) (v Who, err error) {
	return v, c.get(ctx, "/v1/session", &v)
}

// SignOut ends the session.
func (c *Client) SignOut(ctx context.Context) error {
	return c.order(ctx, "/v1/session/end", struct{}{}, new(struct{}))
}

type sessionList struct {
	Sessions []Session `json:"sessions"`
}

// Sessions lists one's own sessions.
func (c *Client) Sessions(ctx context.Context) ([]Session, error) {
	var v sessionList
	err := c.get(ctx, "/v1/sessions", &v)
	return v.Sessions, err
}

// EndSession ends one of one's own sessions. Repeating is done.
func (c *Client) EndSession(ctx context.Context, id string) ([]Session, error) {
	var v sessionList
	err := c.order(ctx, pathOf("/v1/sessions/:session/end", id), struct{}{}, &v)
	return v.Sessions, err
}

// EndOtherSessions ends all sessions but this one. Repeating is done.
func (c *Client) EndOtherSessions(ctx context.Context) ([]Session, error) {
	var v sessionList
	err := c.order(ctx, "/v1/session/end-others", struct{}{}, &v)
	return v.Sessions, err
}

// ChangePassword chooses another password, which ends all other sessions. current may be "" after signing in by passkey.
func (c *Client) ChangePassword(ctx context.Context, current, password string) (v Who, err error) {
	body := struct {
		Current  string `json:"current,omitempty"`
		Password string `json:"password"`
	}{current, password}
	return v, c.order(ctx, "/v1/session/password", body, &v)
}

// RemovePassword leaves passkeys as the only way to sign in.
func (c *Client) RemovePassword(ctx context.Context) (v Who, err error) {
	return v, c.order(ctx, "/v1/session/password/remove", struct{}{}, &v)
}

// BeginPasskey begins to add a passkey.
func (c *Client) BeginPasskey(ctx context.Context) (Ceremony, error) {
	var v ceremony
	err := c.order(ctx, "/v1/session/passkeys/challenge", struct{}{}, &v)
	return v.out(), err
}

// AddPasskey adds the passkey that a browser has made.
func (c *Client) AddPasskey(ctx context.Context, state string, credential json.RawMessage, name string) (v Passkey, err error) {
	return v, c.order(ctx, "/v1/session/passkeys", passkeyAnswer{State: state, Credential: string(credential), Name: name}, &v)
}

type passkeyList struct {
	Passkeys []Passkey `json:"passkeys"`
}

// NamePasskey gives a passkey another name. Repeating is done.
func (c *Client) NamePasskey(ctx context.Context, id, name string) ([]Passkey, error) {
	var v passkeyList
	body := struct {
		Name string `json:"name"`
	}{name}
	err := c.order(ctx, pathOf("/v1/session/passkeys/:passkey/name", id), body, &v)
	return v.Passkeys, err
}

// RemovePasskey takes a passkey away. An [*Error] with the code last-way-in says that it is the last way to sign in. Repeating is done.
func (c *Client) RemovePasskey(ctx context.Context, id string) ([]Passkey, error) {
	var v passkeyList
	err := c.order(ctx, pathOf("/v1/session/passkeys/:passkey/remove", id), struct{}{}, &v)
	return v.Passkeys, err
}

// Invited is whom an invitation is for.
type Invited struct {
	Here
	Name             string    `json:"name,omitempty"`
	Until            time.Time `json:"until"`
	PasswordShortest int       `json:"password_shortest"`
}

type invitationOf struct {
	Invitation string `json:"invitation"`
}

// Invitation reads whom an invitation is for.
func (c *Client) Invitation(ctx context.Context, invitation string) (v Invited, err error) {
	return v, c.order(ctx, "/v1/invitations/read", invitationOf{invitation}, &v)
}

// Acceptance chooses a password by an invitation.
type Acceptance struct {
	Invitation string `json:"invitation"`
	Login      string `json:"login,omitempty"` // what one signs in with; it has to be right if it is given
	Password   string `json:"password"`
	How
}

// AcceptInvitation chooses a password and opens a session.
func (c *Client) AcceptInvitation(ctx context.Context, a Acceptance) (v SignedIn, err error) {
	return v, c.order(ctx, "/v1/invitations/accept", a, &v)
}

// Person is somebody who signs in.
type Person struct {
	ID       string    `json:"person"` // of an operator, the name
	Name     string    `json:"name,omitempty"`
	Login    string    `json:"login,omitempty"` // the first letter and the domain of the e-mail address
	Right    string    `json:"right,omitempty"`
	Role     string    `json:"role,omitempty"`
	Added    time.Time `json:"added"`
	Password bool      `json:"password"` // they have chosen one
	Passkeys int       `json:"passkeys"`
}

type personList struct {
	People []Person `json:"people"`
}

type invitation struct {
	Invitation string    `json:"invitation"`
	Until      time.Time `json:"until"`
}

// InviteCustomer lets a customer choose a password. Hand the invitation to them in a way that nobody else sees.
func (c *Client) InviteCustomer(ctx context.Context, id holdfast.Owner) (token string, until time.Time, err error) {
	return c.invite(ctx, pathOf("/v1/customers/:id", id.String()))
}

func (c *Client) invite(ctx context.Context, path string) (token string, until time.Time, err error) {
	var v invitation
	err = c.order(ctx, path+"/invitation", struct{}{}, &v)
	return v.Invitation, v.Until, err
}

// SignOutCustomer ends all sessions of a customer. Repeating is done.
func (c *Client) SignOutCustomer(ctx context.Context, id holdfast.Owner) error {
	return c.order(ctx, pathOf("/v1/customers/:id/sessions/end", id.String()), struct{}{}, new(struct{}))
}

// NewPerson is a person to be added to a merchant.
type NewPerson struct {
	Login string `json:"login"` // an e-mail address
	Name  string `json:"name,omitempty"`
	Right string `json:"right"` // "look", "work" or "manage"
}

// People lists the people of a merchant.
func (c *Client) People(ctx context.Context, merchant holdfast.Owner) ([]Person, error) {
	var v personList
	err := c.get(ctx, merchantPath(merchant, "/people"), &v)
	return v.People, err
}

// AddPerson adds a person to a merchant. Repeating is done.
func (c *Client) AddPerson(ctx context.Context, merchant holdfast.Owner, p NewPerson) (v Person, err error) {
	return v, c.order(ctx, merchantPath(merchant, "/people"), p, &v)
}

func personPath(merchant holdfast.Owner, id string) string {
	return merchantPath(merchant, pathOf("/people/:person", id))
}

// SetPerson gives a person of a merchant another name or right, which ends their sessions. Repeating is done.
func (c *Client) SetPerson(ctx context.Context, merchant holdfast.Owner, id, name, right string) (v Person, err error) {
	body := struct {
		Name  string `json:"name,omitempty"`
		Right string `json:"right"`
	}{name, right}
	return v, c.order(ctx, personPath(merchant, id), body, &v)
}

// InvitePerson lets a person of a merchant choose a password; see [Client.InviteCustomer].
func (c *Client) InvitePerson(ctx context.Context, merchant holdfast.Owner, id string) (token string, until time.Time, err error) {
	return c.invite(ctx, personPath(merchant, id))
}

// SignOutPerson ends all sessions of a person of a merchant. Repeating is done.
func (c *Client) SignOutPerson(ctx context.Context, merchant holdfast.Owner, id string) error {
	return c.order(ctx, personPath(merchant, id)+"/sessions/end", struct{}{}, new(struct{}))
}

// RemovePerson takes a person away from a merchant. Repeating is done.
func (c *Client) RemovePerson(ctx context.Context, merchant holdfast.Owner, id string) ([]Person, error) {
	var v personList
	err := c.order(ctx, personPath(merchant, id)+"/remove", struct{}{}, &v)
	return v.People, err
}

// Operators lists the operators who can sign in.
func (c *Client) Operators(ctx context.Context) ([]Person, error) {
	var v personList
	err := c.get(ctx, "/v1/operators", &v)
	return v.People, err
}

// AddOperator adds an operator, who signs in with a name. Repeating is done.
func (c *Client) AddOperator(ctx context.Context, name, role string) (v Person, err error) {
	body := struct {
		Name string `json:"name"`
		Role string `json:"role"`
	}{name, role}
	return v, c.order(ctx, "/v1/operators", body, &v)
}

func operatorPath(name string) string { return pathOf("/v1/operators/:person", name) }

// SetOperator gives an operator another role, which ends their sessions. Repeating is done.
func (c *Client) SetOperator(ctx context.Context, name, role string) (v Person, err error) {
	body := struct {
		Role string `json:"role"`
	}{role}
	return v, c.order(ctx, operatorPath(name), body, &v)
}

// InviteOperator lets an operator choose a password; see [Client.InviteCustomer].
func (c *Client) InviteOperator(ctx context.Context, name string) (token string, until time.Time, err error) {
	return c.invite(ctx, operatorPath(name))
}

// SignOutOperator ends all sessions of an operator. Repeating is done.
func (c *Client) SignOutOperator(ctx context.Context, name string) error {
	return c.order(ctx, operatorPath(name)+"/sessions/end", struct{}{}, new(struct{}))
}

// RemoveOperator takes an operator away. Repeating is done.
func (c *Client) RemoveOperator(ctx context.Context, name string) ([]Person, error) {
	var v personList
	err := c.order(ctx, operatorPath(name)+"/remove", struct{}{}, &v)
	return v.People, err
}
