package signin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
)

// A session lets whoever has its token act as a person. The token is shown once:
//
//	hfs_2088000000010420_<52 characters of 32 random bytes>
//
// The number is that of the owner whom the person belongs to; operators belong to the platform. Stored is its SHA-256.

// SessionPrefix begins the token of every session.
const SessionPrefix = "hfs_"

const (
	ownerDigits  = 16
	secretBytes  = 32
	secretLength = 52
	idOfHash     = 10 // bytes of the hash that name a session or an invitation
)

// Session is a session as it is stored.
type Session struct {
	ID      string // no part of the body
	Who            // the owner is no part of the body
	Kind    Kind
	Right   Right
	Role    guard.Role
	Hash    string // SHA-256 of the token
	By      string // "password" or "passkey": how they signed in
	Label   string // for people: which device
	Created holdfast.Time
	Proved  holdfast.Time // when they last proved who they are
	Seen    holdfast.Time // when it was used, to about a tenth of Idle
	Idle    holdfast.Time // how long it may be unused
	Until   holdfast.Time // its end in any case
}

func (*Session) kind() (byte, byte) { return 81, 1 }

func (v *Session) layout(c *coder) {
	text(c, &v.Who.ID)
	number(c, &v.Kind)
	number(c, &v.Right)
	number(c, &v.Role)
	text(c, &v.Hash)
	text(c, &v.By)
	text(c, &v.Label)
	for _, t := range []*holdfast.Time{&v.Created, &v.Proved, &v.Seen, &v.Idle, &v.Until} {
		number(c, t)
	}
}

// Ends is when the session ends if it is not used.
func (v *Session) Ends() holdfast.Time { return min(v.Seen+v.Idle, v.Until) }

// Signed is what somebody gets who has signed in.
type Signed struct {
	Session
	Token  string // the session's; stored nowhere
	Device string // by which this device is known again; it lets nobody in
}

// How says how somebody comes in, beside who they are.
type How struct {
	Phone  bool   // it is the customer's own phone: stay signed in
	Label  string // which device, for people
	Device string // what the device got when somebody signed in from it before
}

const maxLabel = 64

func (h *How) check() error {
	if validName(h.Label) != nil || len(h.Label) > 4*maxLabel {
		return refuse(pay.FieldInvalid, "label")
	}
	return nil
}

// secretOf makes a token and what is stored of it.
func secretOf(prefix string, o holdfast.Owner, random []byte) (token, id, hash string) {
	token = fmt.Sprintf("%s%s_%s", prefix, o, plainText.EncodeToString(random))
	id, hash = hashOf(token)
	return token, id, hash
}

func hashOf(token string) (id, hash string) {
	sum := sha256.Sum256([]byte(token))
	return plainText.EncodeToString(sum[:idOfHash]), string(sum[:])
}

// ownerOf takes a token apart; it says nothing about whether there is such a one.
func ownerOf(prefix, token string) (holdfast.Owner, bool) {
	rest, ok := strings.CutPrefix(token, prefix)
	if !ok || len(rest) != ownerDigits+1+secretLength || rest[ownerDigits] != '_' {
		return 0, false
	}
	o, err := holdfast.ParseOwner(rest[:ownerDigits])
	return o, err == nil && strings.Trim(rest[ownerDigits+1:], letters) == ""
}

// SignIn opens a session for whoever knows the password of a person. Who does not exist is answered as who has another password, and takes as long.
func (p *Porter) SignIn(ctx context.Context, kind Kind, name, password string, how How, seed Seed, now holdfast.Time) (Signed, error) {
	if err := how.check(); err != nil {
		return Signed{}, err
	}
	who, found, err := p.find(ctx, kind, name)
	if err != nil {
		return Signed{}, err
	}
	var v Person
	if found {
		v, _, err = p.person(ctx, who)
		if found = err == nil; err != nil && !isRefusal(err, PersonUnknown) {
			return Signed{}, err
		}
	}
	if !found || v.Hash == "" {
		return Signed{}, p.nobodyHere(ctx, kind, name, password, now)
	}
	return p.byPassword(ctx, v, password, how, seed, now)
}

// nobodyHere answers for somebody who does not exist as for somebody who does.
func (p *Porter) nobodyHere(ctx context.Context, kind Kind, name, password string, now holdfast.Time) error {
	if p.Strangers != nil {
		if login := p.loginHash(kind, name); !p.Strangers.Take(login, now) {
			return &TooSoon{Wait: p.Strangers.Wait(login, now), Tries: true}
		}
	}
	if _, _, err := p.right(ctx, "", password); err != nil {
		return err
	}
	return refuse(LoginWrong, "")
}

func (p *Porter) byPassword(ctx context.Context, v Person, password string, how How, seed Seed, now holdfast.Time) (Signed, error) {
	known := p.knownDevice(v.Who, how.Device)
	if err := p.takeTry(ctx, v.Who, known, p.mark(password, seed), now); err != nil {
		return Signed{}, err
	}
	hash, rehashed := v.Hash, ""
	right, current, err := p.right(ctx, hash, password)
	switch {
	case err != nil:
		return Signed{}, err
	case !right:
		return Signed{}, refuse(LoginWrong, "")
	case !current:
		if rehashed, err = p.hash(ctx, password, seed.bytes(saltBytes, "salt")); err != nil {
			return Signed{}, err
		}
	}
	var s Signed
	_, err = p.change(ctx, v.Who, now, func(v *Person, d *draft) error {
		if v.Hash != hash {
			return refuse(LoginWrong, "") // it was changed meanwhile
		}
		if rehashed != "" {
			v.Hash = rehashed
		}
		if err := p.clearTries(ctx, v.Who, known, d); err != nil {
			return err
		}
		s, err = p.open(ctx, v, d, how, "password", seed, now)
		return err
	})
	return s, err
}

// open adds a session to a draft that changes its person. The same seed again is the same session.
func (p *Porter) open(ctx context.Context, v *Person, d *draft, how How, by string, seed Seed, now holdfast.Time) (s Signed, err error) {
	s.Token, s.ID, s.Hash = secretOf(SessionPrefix, v.Owner, seed.bytes(secretBytes, "session", v.Owner.String(), v.Who.ID))
	if s.Device = how.Device; !p.knownDevice(v.Who, how.Device) {
		s.Device = p.newDevice(v.Who, seed.bytes(deviceBytes, "device", v.Owner.String(), v.Who.ID))
	}
	key := keyOf(v.Owner, kindSession, s.ID)
	version, err := p.load(ctx, key, &s.Session)
	if s.Who = v.Who; err != nil || version > 0 && s.Ends() > now {
		return s, err // asked for before
	}
	s.Kind, s.Right, s.Role, s.By, s.Label = v.Kind, v.Right, v.Role, by, how.Label
	s.Created, s.Proved, s.Seen = now, now, now
	s.Idle, s.Until = holdfast.Time(p.Lives.Idle), now+holdfast.Time(p.Lives.Most)
	switch {
	case v.strict():
		s.Idle = holdfast.Time(p.Lives.Strict)
	case v.Kind == Customer && how.Phone:
		s.Idle, s.Until = holdfast.Time(p.Lives.PhoneIdle), now+holdfast.Time(p.Lives.Phone)
	}
	d.put(key, version, &s.Session)
	v.Sessions = append(slices.DeleteFunc(v.Sessions, func(id string) bool { return id == s.ID }), s.ID)
	for len(v.Sessions) > maxSessions {
		if err := p.dropSession(ctx, v.Owner, v.Sessions[0], d); err != nil {
			return s, err
		}
		v.Sessions = v.Sessions[1:]
	}
	return s, nil
}

// opened is the session that the same seed has opened before.
func (p *Porter) opened(ctx context.Context, v *Person, how How, seed Seed, now holdfast.Time) (s Signed, found bool, err error) {
	s, err = p.open(ctx, v, &draft{}, how, "", seed, now)
	return s, err == nil && s.Created < now, err
}

func (p *Porter) dropSession(ctx context.Context, o holdfast.Owner, id string, d *draft) error {
	key := keyOf(o, kindSession, id)
	version, err := p.load(ctx, key, &Session{})
	d.drop(key, version)
	return err
}

// endSessions ends all sessions of a person but one.
func (p *Porter) endSessions(ctx context.Context, v *Person, d *draft, but string) error {
	kept := []string(nil)
	for _, id := range v.Sessions {
		if id == but {
			kept = append(kept, id)
			continue
		}
		if err := p.dropSession(ctx, v.Owner, id, d); err != nil {
			return err
		}
	}
	v.Sessions = kept
	return nil
}

// SessionOwner takes the token of a session apart; it says nothing about whether there is such a session.
func SessionOwner(token string) (holdfast.Owner, bool) { return ownerOf(SessionPrefix, token) }

// Check finds the session of a token; ok is false when there is none, or not any more. It costs one read.
func (p *Porter) Check(ctx context.Context, token string, now holdfast.Time) (s Session, ok bool, err error) {
	o, ok := SessionOwner(token)
	if !ok {
		return s, false, nil
	}
	id, hash := hashOf(token)
	s, _, err = p.session(ctx, o, id, now)
	if isRefusal(err, SessionUnknown) {
		return s, false, nil
	}
	return s, err == nil && subtle.ConstantTimeCompare([]byte(hash), []byte(s.Hash)) == 1, err
}

// session reads one that has not ended.
func (p *Porter) session(ctx context.Context, o holdfast.Owner, id string, now holdfast.Time) (s Session, version uint64, err error) {
	if strings.Trim(id, letters) != "" || len(id) != idOfHash*8/5 {
		return s, 0, refuse(SessionUnknown, "session")
	}
	version, err = p.load(ctx, keyOf(o, kindSession, id), &s)
	s.ID, s.Owner = id, o
	if err == nil && (version == 0 || s.Ends() <= now) {
		err = refuse(SessionUnknown, "session")
	}
	return s, version, err
}

// Touch notes that a session is used, if that was last noted long enough ago; it is not an error when the session has ended meanwhile.
func (p *Porter) Touch(ctx context.Context, s Session, now holdfast.Time) error {
	if now-s.Seen < s.Idle/10 {
		return nil
	}
	now1, version, err := p.session(ctx, s.Owner, s.ID, now)
	if err != nil || now-now1.Seen < now1.Idle/10 {
		return ignored(err)
	}
	now1.Seen = now
	d := draft{at: now}
	d.put(keyOf(s.Owner, kindSession, s.ID), version, &now1)
	return ignored(p.submit(ctx, &d))
}

// ignored is nil for what does not matter to who notes that a session is used: another one was faster, or it has ended.
func ignored(err error) error {
	if errors.Is(err, errAgain) || isRefusal(err, SessionUnknown) {
		return nil
	}
	return err
}

// Sessions lists the sessions of a person that have not ended, oldest first.
func (p *Porter) Sessions(ctx context.Context, who Who, now holdfast.Time) (all []Session, err error) {
	v, err := p.Person(ctx, who)
	if err != nil {
		return nil, err
	}
	for _, id := range v.Sessions {
		s, _, err := p.session(ctx, who.Owner, id, now)
		if isRefusal(err, SessionUnknown) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// End ends a session of a person. One that is not there, or not any more, is no error.
func (p *Porter) End(ctx context.Context, who Who, id string, now holdfast.Time) error {
	_, err := p.change(ctx, who, now, func(v *Person, d *draft) error {
		if !slices.Contains(v.Sessions, id) {
			return nil
		}
		v.Sessions = slices.DeleteFunc(v.Sessions, func(s string) bool { return s == id })
		return p.dropSession(ctx, v.Owner, id, d)
	})
	return err
}

// EndAll ends all sessions of a person but one; but is "" for none.
func (p *Porter) EndAll(ctx context.Context, who Who, but string, now holdfast.Time) error {
	_, err := p.change(ctx, who, now, func(v *Person, d *draft) error { return p.endSessions(ctx, v, d, but) })
	return err
}

// fresh refuses what only somebody may do who has just proved who they are.
func fresh(s Session, now holdfast.Time) error {
	if now-s.Proved > holdfast.Time(confirmed) {
		return refuse(ConfirmFirst, "")
	}
	return nil
}

// SetPassword gives the person of a session another password, and ends all their other sessions. Who has one has to know it, unless they have just
// signed in with a passkey. words are what is known of them in plain text.
func (p *Porter) SetPassword(ctx context.Context, s Session, had, password string, words []string, seed Seed, now holdfast.Time) error {
	v, err := p.Person(ctx, s.Who)
	if err != nil {
		return err
	}
	if err := p.mayChange(ctx, &v, s, had, seed, now); err != nil {
		if p.changed(ctx, &v, password, err) {
			return nil
		}
		return err
	}
	fresh, err := p.another(ctx, &v, had, password, words, seed)
	if err != nil {
		_ = p.forgive(ctx, s.Who, had, now) // if not, it counts: what is refused is refused either way
		return err
	}
	_, err = p.change(ctx, s.Who, now, func(now1 *Person, d *draft) error {
		if now1.Hash != v.Hash {
			return refuse(LoginWrong, "current")
		}
		now1.Hash, now1.Since = fresh, now
		if err := p.dropInvitation(ctx, now1, d); err != nil {
			return err
		}
		if err := p.clearTries(ctx, s.Who, true, d); err != nil {
			return err
		}
		return p.endSessions(ctx, now1, d, s.ID)
	})
	return err
}

// another is the hash of a new password that is not the one so far.
func (p *Porter) another(ctx context.Context, v *Person, had, password string, words []string, seed Seed) (string, error) {
	if v.Hash != "" && had == password {
		return "", refuse(PasswordSame, "password")
	}
	return p.chosen(ctx, v, password, words, seed)
}

// mayChange checks that it is the person, and not somebody who has come by their session.
func (p *Porter) mayChange(ctx context.Context, v *Person, s Session, had string, seed Seed, now holdfast.Time) error {
	if v.Hash == "" || had == "" && s.By == "passkey" {
		return fresh(s, now)
	}
	if err := p.takeTry(ctx, s.Who, true, p.mark(had, seed), now); err != nil {
		return err
	}
	right, _, err := p.right(ctx, v.Hash, had)
	if err == nil && !right {
		err = refuse(LoginWrong, "current")
	}
	return err
}

// changed reports whether a password is what the person has already: an answer was lost, and the request came again.
func (p *Porter) changed(ctx context.Context, v *Person, password string, why error) bool {
	if !isRefusal(why, LoginWrong) {
		return false
	}
	right, _, err := p.right(ctx, v.Hash, password)
	return err == nil && right
}

// chosen is the hash of a new password, if it may be chosen.
func (p *Porter) chosen(ctx context.Context, v *Person, password string, words []string, seed Seed) (string, error) {
	own, err := p.own(ctx, v)
	if err != nil {
		return "", err
	}
	if err := choosable(password, v.Shortest(), append(words, v.Name), own); err != nil {
		return "", err
	}
	return p.hash(ctx, password, seed.bytes(saltBytes, "salt"))
}

// RemovePassword lets a person sign in by passkey only.
func (p *Porter) RemovePassword(ctx context.Context, s Session, now holdfast.Time) error {
	if err := fresh(s, now); err != nil {
		return err
	}
	_, err := p.change(ctx, s.Who, now, func(v *Person, d *draft) error {
		if len(v.Passkeys) == 0 {
			return refuse(LastWay, "password")
		}
		if v.Hash == "" {
			return nil
		}
		v.Hash, v.Since = "", 0
		return p.endSessions(ctx, v, d, s.ID)
	})
	return err
}

func isRefusal(err error, code pay.Code) bool {
	r, ok := errors.AsType[*pay.Refusal](err)
	return ok && r.Code == code
}
