package httpapi

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
	"holdfast/signin"
)

var (
	edgeNoSession = edgeCode{"not-signed-in", http.StatusUnauthorized, "Sign in (POST /v1/sessions), and send the session: Authorization: Bearer hfs_..."}
	edgeManyTries = edgeCode{"too-many-tries", http.StatusTooManyRequests, "Not executed: there were too many wrong tries. Try again after Retry-After, from a device that you have signed in from before, with a passkey, or ask for an invitation."}
)

// signinStatuses is the table from the refusals of package signin to HTTP, as payStatuses is of package pay.
var signinStatuses = map[pay.Code]int{
	signin.LoginWrong:        http.StatusUnprocessableEntity,
	signin.LoginTaken:        http.StatusConflict,
	signin.PasswordShort:     http.StatusUnprocessableEntity,
	signin.PasswordLong:      http.StatusUnprocessableEntity,
	signin.PasswordCommon:    http.StatusUnprocessableEntity,
	signin.PasswordOwn:       http.StatusUnprocessableEntity,
	signin.PasswordSame:      http.StatusConflict,
	signin.PersonUnknown:     http.StatusNotFound,
	signin.PersonExists:      http.StatusConflict,
	signin.InvitationUnknown: http.StatusNotFound,
	signin.SessionUnknown:    http.StatusNotFound,
	signin.PasskeysOff:       http.StatusNotFound,
	signin.PasskeyUnknown:    http.StatusNotFound,
	signin.PasskeyWrong:      http.StatusUnprocessableEntity,
	signin.PasskeyTaken:      http.StatusConflict,
	signin.ChallengeOld:      http.StatusConflict,
	signin.LastWay:           http.StatusConflict,
	signin.ConfirmFirst:      http.StatusConflict,
}

// refusalStatus is the HTTP status of a refusal of either package.
func refusalStatus(c pay.Code) (status int, known bool) {
	if status, known = payStatuses[c]; !known {
		status, known = signinStatuses[c]
	}
	return status, known
}

// tooSoon is the problem of a sign-in that was not looked at.
func tooSoon(e *signin.TooSoon) *Problem {
	p := edgeBusy.problem("")
	if e.Tries {
		p = edgeManyTries.problem("")
	}
	p.retryAfter = time.Duration(math.Ceil(e.Wait.Seconds())) * time.Second
	p.Outcome = holdfast.NotExecuted.String()
	return p
}

// guests are the sessions that have been looked up of late, so that a request costs no read for its session. One that was ended is taken for
// guestLife more at the other sites that know it, and at its own not at all.
type guests struct {
	mu    sync.Mutex
	known map[guard.Hash]guest // guarded by mu; at most maxGuests
}

type guest struct {
	session signin.Session
	until   holdfast.Time
}

const (
	guestLife = 10_000_000_000
	// guestGrace is how long a session is taken for reading when nobody can say whether it still stands: whoever has to see what is wrong has to be let in
	// when just that is wrong.
	guestGrace = 600_000_000_000
	maxGuests  = 1 << 16
)

func (g *guests) find(h guard.Hash) (guest, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v, found := g.known[h]
	return v, found
}

func (g *guests) learn(h guard.Hash, v guest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known == nil || len(g.known) >= maxGuests {
		g.known = map[guard.Hash]guest{} // each is one read away
	}
	g.known[h] = v
}

// forget drops the sessions of a person: they may have ended.
func (g *guests) forget(who signin.Who) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for h, v := range g.known {
		if v.session.Who == who {
			delete(g.known, h)
		}
	}
}

// admitSession finds out whose session it is, and whether they may. What the request is about is looked at by its handler: see actsFor.
func (e *endpoint) admitSession(x *exchange, token string) error {
	c := e.api.commerce
	if c == nil || c.Porter == nil {
		return edgeNoSession.field("Authorization", "nobody can sign in here: this site was started without payments")
	}
	s, err := e.api.sessionOf(x, token)
	if err != nil {
		return err
	}
	x.session = s
	switch s.Kind {
	case signin.Customer:
		x.who, x.buyer = guard.Principal{Name: "customer:" + s.Owner.String()}, s.Owner
	case signin.Staff:
		x.who, x.merchant = guard.Principal{Name: "merchant:" + s.Owner.String() + ":" + s.Who.ID}, s.Owner
	case signin.Operator:
		x.who = guard.Principal{Name: "operator:" + s.Who.ID, Role: s.Role}
	}
	return e.admits(x, s)
}

// admits reports why a session does not do for an operation.
func (e *endpoint) admits(x *exchange, s *signin.Session) error {
	switch {
	case e.session, s.Kind == signin.Customer && e.buyers, s.Kind == signin.Staff && e.staff != 0 && s.Right >= e.staff:
		return nil
	case s.Kind == signin.Operator:
		return guard.Authorise(x.who, e.action)
	case s.Kind == signin.Staff && e.staff != 0:
		return edgeForbidden.problem("This needs the right to " + e.staff.String() + ": who manages the merchant's people can give it.")
	}
	return edgeForbidden.problem("This is the session of a " + s.Kind.String() + ", who may not do this.")
}

// sessionOf finds the session of a token.
func (a *api) sessionOf(x *exchange, token string) (*signin.Session, error) {
	c := a.commerce
	now, hash := c.now(), guard.HashOf(token)
	g, known := a.guests.find(hash)
	if known && now < g.until && now < g.session.Ends() {
		return &g.session, nil
	}
	ctx, cancel := context.WithTimeout(a.life, x.patience(a.deadline))
	defer cancel()
	s, ok, err := c.Porter.Check(ctx, token, now)
	if err != nil && x.late {
		if s, ok := a.sessionHere(token, now); ok {
			return &s, nil
		}
	}
	switch {
	case err != nil && known && x.r.Method == http.MethodGet && now < min(g.until+guestGrace, g.session.Ends()):
		return &g.session, nil
	case err != nil:
		return nil, (&till{api: a, Commerce: c, Cashier: c.Cashier, x: x, at: now}).problem(err)
	case !ok:
		return nil, edgeNoSession.field("Authorization", "there is no such session, or not any more: sign in again")
	}
	if x.r.Header.Get(passiveHeader) == "" && c.Porter.Touch(ctx, s, now) == nil {
		s.Seen = max(s.Seen, now)
	}
	a.guests.learn(hash, guest{s, now + guestLife})
	return &s, nil
}

// sessionHere finds a session as this site alone knows it. It is remembered nowhere: it is good for one answer.
func (a *api) sessionHere(token string, now holdfast.Time) (s signin.Session, ok bool) {
	if a.commerce.Here == nil {
		return s, false
	}
	ctx, cancel := context.WithTimeout(a.life, lateSignIn)
	defer cancel()
	s, ok, err := a.commerce.Porter.On(a.commerce.Here).Check(ctx, token, now)
	return s, ok && err == nil
}

// passiveHeader says that nobody is there: the request is made by a page that is open, and keeps no session alive.
const passiveHeader = "X-Passive"

// pathMine is the customer that the path names, or the merchant, whose key or session may be used for it.
func (x *exchange) pathMine(name string) (holdfast.Owner, error) {
	o, err := x.pathOwner(name)
	if err != nil {
		return 0, err
	}
	return o, x.actsFor(o)
}

// buyerOr is the customer that a body names; who has signed in need not say who they are, and cannot say somebody else.
func (x *exchange) buyerOr(named holdfast.Owner, field, advice string) (holdfast.Owner, error) {
	switch {
	case named == 0 && x.buyer != 0:
		return x.buyer, nil
	case named == 0:
		return 0, edgeMalformed.field(field, "%s", advice)
	}
	return named, x.actsFor(named)
}

// Bounds on wrong sign-ins from one address, at one site. There may be a household, an office or a whole carrier behind it.
const (
	sourceTries = 30
	sourceEvery = 5 * time.Second
)

// source is where a request comes from: an address, and of an IPv6 one the network, which is one customer's.
func source(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip, err2 := netip.ParseAddr(host)
	if err != nil || err2 != nil {
		return "source"
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	const network = 64
	prefix, _ := ip.WithZone("").Prefix(network) // an IPv6 address has one
	return prefix.String()
}

// guess makes one try of something that could be guessed, and counts it if it was wrong. A wrong one takes as long whatever was wrong with it.
func (t *till) guess(ctx context.Context, try func() (signin.Signed, error)) (signin.Signed, error) {
	begun, from := time.Now(), source(t.x.r)
	if !t.api.sources.Take(from, t.at) {
		return signin.Signed{}, &signin.TooSoon{Wait: max(t.api.sources.Wait(from, t.at), time.Second), Tries: true}
	}
	s, err := try()
	if !wrong(err) {
		t.api.sources.GiveBack(from, t.at)
		return s, err
	}
	even := t.EvenWait
	if even == 0 {
		even = 300 * time.Millisecond
	}
	wait := time.NewTimer(even - time.Since(begun))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
	return s, err
}

func wrong(err error) bool {
	var r *pay.Refusal
	var soon *signin.TooSoon
	if errors.As(err, &soon) {
		return soon.Tries
	}
	return errors.As(err, &r) && (r.Code == signin.LoginWrong || r.Code == signin.PasskeyWrong || r.Code == signin.InvitationUnknown)
}

// seed is what the secrets of a request are made of. With a number they follow from the platform's key and the request, as a merchant's key does.
func (t *till) seed(purpose string) (seed signin.Seed, err error) {
	if t.key == "" {
		return seed, t.fill(seed[:])
	}
	b, err := hkdf.Key(sha256.New, t.CodeKey, nil, fmt.Sprintf("holdfast %s %s", purpose, t.key), len(seed))
	copy(seed[:], b)
	return seed, err
}

// atDoor makes a handler of what is done with people and their sessions.
func (a *api) atDoor(do func(ctx context.Context, t *till) error) handler {
	return a.atTill(func(ctx context.Context, t *till) error {
		if t.Porter == nil {
			return edgePaymentsOff.problem("")
		}
		return do(ctx, t)
	})
}

func (a *api) sessionRoutes(r *router) {
	add[signInIn, jsonOut[signedBody]](r, operation{
		name: "sign-in", method: post, path: "/v1/sessions", tag: tagSigningIn, summary: "Sign in with a password",
		text: "Who does not exist, and who has another password, are answered alike and after the same time. Wrong tries are bounded for each person and " +
			"each address. With an Idempotency-Key the same request again is the same session.",
		ok: []int{http.StatusCreated}, handle: a.atDoor(postSession),
	})
	add[readSessionIn, jsonOut[whoBody]](r, operation{
		name: "read-session", method: get, path: "/v1/session", tag: tagSigningIn, summary: "Read who has signed in, and how",
		text:    "A request with a header X-Passive, whatever it says, is no use of the session: a page that is left open keeps nobody signed in.",
		session: true, handle: a.atDoor(getSession),
	})
	add[readSessionIn, jsonOut[sessionsBody]](r, operation{
		name: "list-sessions", method: get, path: "/v1/sessions", tag: tagSigningIn, summary: "List one's own sessions, oldest first",
		session: true, handle: a.atDoor(getSessions),
	})
	add[sessionChangeIn, jsonOut[endedBody]](r, operation{
		name: "sign-out", method: post, path: "/v1/session/end", tag: tagSigningIn, summary: "Sign out: end the session that is sent",
		text: "Within seconds no site takes it any more.", session: true, handle: a.atDoor(postSignOut),
	})
	add[sessionChangeIn, jsonOut[sessionsBody]](r, operation{
		name: "end-other-sessions", method: post, path: "/v1/session/end-others", tag: tagSigningIn, summary: "End all of one's sessions but the one that is sent",
		text: againDone, session: true, handle: a.atDoor(postEndOthers),
	})
	add[endSessionIn, jsonOut[sessionsBody]](r, operation{
		name: "end-session", method: post, path: "/v1/sessions/{session}/end", tag: tagSigningIn, summary: "End one of one's own sessions",
		text: againDone, session: true, handle: a.atDoor(postEndSession),
	})
	add[passwordIn, jsonOut[whoBody]](r, operation{
		name: "change-password", method: post, path: "/v1/session/password", tag: tagSigningIn, summary: "Choose another password; it ends one's other sessions",
		text:    "Who has a password has to send it as current, unless they have signed in with a passkey in the last quarter of an hour. " + passwordRules,
		session: true, handle: a.atDoor(postPassword),
	})
	add[sessionChangeIn, jsonOut[whoBody]](r, operation{
		name: "remove-password", method: post, path: "/v1/session/password/remove", tag: tagSigningIn, summary: "Sign in by passkey only from now on",
		text:    "Refused as last-way-in without a passkey, and as confirm-first when the last sign-in is more than a quarter of an hour ago. " + againDone,
		session: true, handle: a.atDoor(postPasswordRemove),
	})
	add[readInvitationIn, jsonOut[invitedBody]](r, operation{
		name: "read-invitation", method: post, path: "/v1/invitations/read", tag: tagSigningIn, summary: "Read whom an invitation is for",
		text: "It changes nothing. It is a POST so that no invitation stands in a URL.", handle: a.atDoor(postInvitationRead),
	})
	add[acceptIn, jsonOut[signedBody]](r, operation{
		name: "accept-invitation", method: post, path: "/v1/invitations/accept", tag: tagSigningIn, summary: "Choose a password by an invitation, and sign in",
		text: "It ends all sessions that the person had. An invitation is good once, within 24 hours. " + passwordRules, ok: []int{http.StatusCreated}, handle: a.atDoor(postAccept),
	})
}

const passwordRules = "At least 8 characters, for people of merchants and operators at least 12; at most 128. No other rules, but it may not be one of the most " +
	"common ones, and not say little more than one's own name, phone number or e-mail address."

type signInIn struct {
	NumberIn
	Body signInBody
}

type signInBody struct {
	As       string `json:"as" enum:"customer,merchant,operator" doc:"What one signs in as"`
	Login    string `json:"login" maxLength:"256" doc:"A customer's phone number or e-mail address, the e-mail address of a merchant's person, or the name of an operator"`
	Password string `json:"password" maxLength:"1024"`
	HowBody
}

// HowBody says how somebody comes in.
type HowBody struct {
	Phone  bool   `json:"phone,omitempty" doc:"Of a customer: it is their own phone, stay signed in"`
	Label  string `json:"label,omitempty" maxLength:"64" doc:"Which device it is, for the list of sessions"`
	Device string `json:"device,omitempty" maxLength:"128" doc:"The device of an earlier answer to this device: its wrong tries are counted by themselves, so that nobody else can use them up"`
}

var (
	howMembers    = []string{"phone", "label", "device"}
	signInMembers = append([]string{"as", "login", "password"}, howMembers...)
)

func (s *scanner) howMember(name string, how *signin.How) {
	switch name {
	case "phone":
		how.Phone = s.boolean()
	case "label":
		how.Label = s.string(maxAlias)
	case "device":
		how.Device = s.string(maxAlias)
	}
}

// secret reads a password or the token of an invitation: like any text, with a bound of its own.
func (s *scanner) secret() string { return s.string(1024) }

// SessionBody is a session, without its token.
type SessionBody struct {
	ID      string `json:"id" example:"k3wz2v5qk3wz2v5q"`
	By      string `json:"by" enum:"password,passkey" doc:"How one has signed in"`
	Label   string `json:"label,omitempty" doc:"Which device it is"`
	Created string `json:"created" format:"date-time"`
	Seen    string `json:"seen" format:"date-time" doc:"When it was used, to about a tenth of the time for which it may be unused"`
	Ends    string `json:"ends" format:"date-time" doc:"When it ends if it is not used"`
	Until   string `json:"until" format:"date-time" doc:"When it ends in any case"`
	Current bool   `json:"current,omitempty" doc:"It is the one that was sent"`
}

// PersonHereBody is who somebody is here.
type PersonHereBody struct {
	As       string `json:"as" enum:"customer,merchant,operator"`
	Customer string `json:"customer,omitempty" doc:"Of a customer: the number"`
	Merchant string `json:"merchant,omitempty" doc:"Of a merchant's person: the merchant"`
	Person   string `json:"person,omitempty" doc:"Of a merchant's person, or an operator: the id"`
	Right    string `json:"right,omitempty" enum:"look,work,manage" doc:"Of a merchant's person. Each has those before it"`
	Role     string `json:"role,omitempty" enum:"reader,teller,operator" doc:"Of an operator"`
}

type signedBody struct {
	PersonHereBody
	Session SessionBody `json:"session"`
	Token   string      `json:"token" doc:"Send it as Authorization: Bearer. It is stored nowhere" example:"hfs_2088000000010420_..."`
	Device  string      `json:"device" doc:"Keep it at this device, and send it when somebody signs in from it again. It lets nobody in"`
}

type whoBody struct {
	PersonHereBody
	Name     string        `json:"name,omitempty"`
	Session  SessionBody   `json:"session"`
	Password string        `json:"password_since,omitempty" format:"date-time" doc:"When the password was chosen; left out: there is none"`
	Shortest int           `json:"password_shortest" doc:"How many characters a new password needs"`
	Passkeys []PasskeyBody `json:"passkeys"`
}

type sessionsBody struct {
	Sessions []SessionBody `json:"sessions"`
}

type endedBody struct {
	Ended bool `json:"ended"`
}

type readSessionIn struct{ DeadlineIn }

type sessionChangeIn struct{ NumberIn }

type endSessionIn struct {
	NumberIn
	Session string `path:"session" maxLength:"32"`
}

type passwordIn struct {
	NumberIn
	Body passwordBody
}

type passwordBody struct {
	Current  string `json:"current,omitempty" maxLength:"1024" doc:"The password so far"`
	Password string `json:"password" maxLength:"1024" doc:"The new one"`
}

var passwordMembers = []string{"current", "password"}

type readInvitationIn struct {
	NumberIn
	Body readInvitationBody
}

type readInvitationBody struct {
	Invitation string `json:"invitation" maxLength:"128" example:"hfi_2088000000010420_..."`
}

var readInvitationMembers = []string{"invitation"}

type invitedBody struct {
	PersonHereBody
	Name     string `json:"name,omitempty"`
	Until    string `json:"until" format:"date-time"`
	Shortest int    `json:"password_shortest" doc:"How many characters the password needs"`
}

type acceptIn struct {
	NumberIn
	Body acceptBody
}

type acceptBody struct {
	Invitation string `json:"invitation" maxLength:"128" example:"hfi_2088000000010420_..."`
	Login      string `json:"login,omitempty" maxLength:"256" doc:"What one signs in with. If it is sent it has to be right, and may not be the password"`
	Password   string `json:"password" maxLength:"1024"`
	HowBody
}

var acceptMembers = append([]string{"invitation", "login", "password"}, howMembers...)

func sessionBodyOf(s *signin.Session, current string) SessionBody {
	return SessionBody{
		ID: s.ID, By: s.By, Label: s.Label, Created: timeText(s.Created), Seen: timeText(s.Seen), Ends: timeText(s.Ends()), Until: timeText(s.Until), Current: s.ID == current,
	}
}

func hereOf(kind signin.Kind, who signin.Who, right signin.Right, role guard.Role) PersonHereBody {
	b := PersonHereBody{As: kind.String()}
	switch kind {
	case signin.Customer:
		b.Customer = who.Owner.String()
	case signin.Staff:
		b.Merchant, b.Person, b.Right = who.Owner.String(), who.ID, right.String()
	case signin.Operator:
		b.Person, b.Role = who.ID, role.String()
	}
	return b
}

func hereOfSession(s *signin.Session) PersonHereBody { return hereOf(s.Kind, s.Who, s.Right, s.Role) }

func (t *till) sendSigned(s *signin.Signed) error {
	t.api.guests.forget(s.Who)
	return t.x.sendJSON(http.StatusCreated, signedBody{hereOfSession(&s.Session), sessionBodyOf(&s.Session, s.ID), s.Token, s.Device})
}

func postSession(ctx context.Context, t *till) error {
	var as, login, password string
	var how signin.How
	err := t.x.object(signInMembers, func(s *scanner, name string) {
		switch name {
		case "as":
			as = s.string(maxName)
		case "login":
			login = s.string(maxAlias)
		case "password":
			password = s.secret()
		default:
			s.howMember(name, &how)
		}
	})
	if err != nil {
		return err
	}
	kind, ok := signin.ParseKind(as)
	if !ok {
		return edgeMalformed.field("as", "say what you sign in as: customer, merchant or operator")
	}
	seed, err := t.seed("session")
	if err != nil {
		return err
	}
	s, err := t.guess(ctx, func() (signin.Signed, error) { return t.Porter.SignIn(ctx, kind, login, password, how, seed, t.at) })
	if err != nil {
		return err
	}
	return t.sendSigned(&s)
}

func getSession(ctx context.Context, t *till) error { return t.sendWho(ctx) }

func (t *till) sendWho(ctx context.Context) error {
	s := t.x.session
	v, err := t.Porter.Person(ctx, s.Who)
	if err != nil {
		return err
	}
	b := whoBody{
		PersonHereBody: hereOfSession(s), Name: v.Name, Session: sessionBodyOf(s, s.ID), Shortest: v.Shortest(), Passkeys: passkeyBodiesOf(&v),
	}
	if v.Hash != "" {
		b.Password = timeText(v.Since)
	}
	return t.x.sendJSON(http.StatusOK, b)
}

func getSessions(ctx context.Context, t *till) error { return t.sendSessions(ctx) }

func (t *till) sendSessions(ctx context.Context) error {
	list, err := t.Porter.Sessions(ctx, t.x.session.Who, t.at)
	if err != nil {
		return err
	}
	b := sessionsBody{Sessions: make([]SessionBody, len(list))}
	for i := range list {
		b.Sessions[i] = sessionBodyOf(&list[i], t.x.session.ID)
	}
	return t.x.sendJSON(http.StatusOK, b)
}

// ended forgets what this site knows of a person's sessions, whatever became of the change.
func (t *till) ended(who signin.Who, err error) error {
	t.api.guests.forget(who)
	return t.did(err)
}

func postSignOut(ctx context.Context, t *till) error {
	if err := t.x.emptyBody(); err != nil {
		return err
	}
	if err := t.ended(t.x.session.Who, t.Porter.End(ctx, t.x.session.Who, t.x.session.ID, t.at)); err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, endedBody{true})
}

func postEndOthers(ctx context.Context, t *till) error {
	if err := t.x.emptyBody(); err != nil {
		return err
	}
	if err := t.ended(t.x.session.Who, t.Porter.EndAll(ctx, t.x.session.Who, t.x.session.ID, t.at)); err != nil {
		return err
	}
	return t.sendSessions(ctx)
}

func postEndSession(ctx context.Context, t *till) error {
	if err := t.x.emptyBody(); err != nil {
		return err
	}
	if err := t.ended(t.x.session.Who, t.Porter.End(ctx, t.x.session.Who, t.x.r.PathValue("session"), t.at)); err != nil {
		return err
	}
	return t.sendSessions(ctx)
}

func postPassword(ctx context.Context, t *till) error {
	var current, password string
	err := t.x.object(passwordMembers, func(s *scanner, name string) {
		if name == "current" {
			current = s.secret()
		} else {
			password = s.secret()
		}
	})
	if err != nil {
		return err
	}
	seed, err := t.seed("password")
	if err != nil {
		return err
	}
	if err := t.ended(t.x.session.Who, t.Porter.SetPassword(ctx, *t.x.session, current, password, nil, seed, t.at)); err != nil {
		return err
	}
	return t.sendWho(ctx)
}

func postPasswordRemove(ctx context.Context, t *till) error {
	if err := t.x.emptyBody(); err != nil {
		return err
	}
	if err := t.ended(t.x.session.Who, t.Porter.RemovePassword(ctx, *t.x.session, t.at)); err != nil {
		return err
	}
	return t.sendWho(ctx)
}

func postInvitationRead(ctx context.Context, t *till) error {
	token := ""
	if err := t.x.object(readInvitationMembers, func(s *scanner, _ string) { token = s.secret() }); err != nil {
		return err
	}
	var v signin.Person
	var i signin.Invitation
	_, err := t.guess(ctx, func() (s signin.Signed, err error) {
		v, i, err = t.Porter.Invited(ctx, token, t.at)
		return s, err
	})
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, invitedBody{hereOf(v.Kind, v.Who, v.Right, v.Role), v.Name, timeText(i.Until), v.Shortest()})
}

func postAccept(ctx context.Context, t *till) error {
	var token, login, password string
	var how signin.How
	err := t.x.object(acceptMembers, func(s *scanner, name string) {
		switch name {
		case "invitation":
			token = s.secret()
		case "login":
			login = s.string(maxAlias)
		case "password":
			password = s.secret()
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
	s, err := t.guess(ctx, func() (signin.Signed, error) { return t.Porter.Accept(ctx, token, login, password, how, seed, t.at) })
	if err != nil {
		return err
	}
	return t.sendSigned(&s)
}
