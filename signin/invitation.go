package signin

import (
	"cmp"
	"context"
	"crypto/subtle"
	"time"

	"holdfast"
)

// An invitation lets whoever has its token choose a password for a person, once and within a day. So nobody ever knows a password of somebody else:
//
//	hfi_2088000000010420_<52 characters of 32 random bytes>

// InvitationPrefix begins the token of every invitation.
const InvitationPrefix = "hfi_"

// InvitationLife is how long an invitation is good.
const InvitationLife = 24 * time.Hour

// Invitation is an invitation as it is stored.
type Invitation struct {
	Person string
	Hash   string // SHA-256 of the token
	Until  holdfast.Time
	Used   string // id of the session that it has opened; "": it was not used
}

func (*Invitation) kind() (byte, byte) { return 82, 1 }

func (v *Invitation) layout(c *coder) {
	text(c, &v.Person)
	text(c, &v.Hash)
	number(c, &v.Until)
	text(c, &v.Used)
}

// InviteCustomer invites a customer, who comes to be a person by that.
func (p *Porter) InviteCustomer(ctx context.Context, o holdfast.Owner, seed Seed, now holdfast.Time) (token string, v Invitation, err error) {
	if _, err := p.Payments.Customer(ctx, o); err != nil {
		return "", v, err
	}
	who := CustomerPerson(o)
	if _, err := p.add(ctx, Person{Who: who, Kind: Customer, Added: now}, now); err != nil {
		return "", v, err
	}
	return p.Invite(ctx, who, seed, now)
}

// Invite invites a person. Earlier invitations of theirs are worth nothing any more; their password and their sessions stay as they are until they choose
// another one. The same seed again is the same invitation.
func (p *Porter) Invite(ctx context.Context, who Who, seed Seed, now holdfast.Time) (token string, v Invitation, err error) {
	token, id, hash := secretOf(InvitationPrefix, who.Owner, seed.bytes(secretBytes, "invitation", who.Owner.String(), who.ID))
	_, err = p.change(ctx, who, now, func(person *Person, d *draft) error {
		key := keyOf(who.Owner, kindInvitation, id)
		v = Invitation{}
		version, err := p.load(ctx, key, &v)
		if err != nil || version > 0 && person.Invitation == id && v.Until > now {
			return err
		}
		if person.Invitation != id {
			if err := p.dropInvitation(ctx, person, d); err != nil {
				return err
			}
		}
		person.Invitation, v = id, Invitation{Person: who.ID, Hash: hash, Until: now + holdfast.Time(InvitationLife)}
		d.put(key, version, &v)
		return nil
	})
	return token, v, err
}

func (p *Porter) dropInvitation(ctx context.Context, v *Person, d *draft) error {
	if v.Invitation == "" {
		return nil
	}
	key := keyOf(v.Owner, kindInvitation, v.Invitation)
	version, err := p.load(ctx, key, &Invitation{})
	d.drop(key, version)
	v.Invitation = ""
	return err
}

// Invited tells whom an invitation is for that can be used.
func (p *Porter) Invited(ctx context.Context, token string, now holdfast.Time) (Person, Invitation, error) {
	person, v, err := p.invited(ctx, token, now)
	if err == nil && v.Used != "" {
		err = refuse(InvitationUnknown, "invitation")
	}
	return person, v, err
}

// invited also finds one that was used, as long as it is not too old.
func (p *Porter) invited(ctx context.Context, token string, now holdfast.Time) (person Person, v Invitation, err error) {
	none := refuse(InvitationUnknown, "invitation")
	o, ok := ownerOf(InvitationPrefix, token)
	if !ok {
		return person, v, none
	}
	id, hash := hashOf(token)
	version, err := p.load(ctx, keyOf(o, kindInvitation, id), &v)
	if err != nil {
		return person, v, err
	}
	if version == 0 || v.Until <= now || subtle.ConstantTimeCompare([]byte(hash), []byte(v.Hash)) != 1 {
		return person, v, none
	}
	person, err = p.Person(ctx, Who{o, v.Person})
	if err == nil && person.Invitation != id || isRefusal(err, PersonUnknown) {
		return person, v, none
	}
	return person, v, err
}

// Accept chooses a password by an invitation, ends all sessions that the person had, and opens one. login is what they sign in with: it has to be theirs, and may
// not be their password; "" leaves that to the hashes that are stored. The same seed again is the same session.
func (p *Porter) Accept(ctx context.Context, token, login, password string, how How, seed Seed, now holdfast.Time) (Signed, error) {
	if err := how.check(); err != nil {
		return Signed{}, err
	}
	v, invitation, err := p.invited(ctx, token, now)
	if err != nil {
		return Signed{}, err
	}
	if invitation.Used != "" {
		return p.accepted(ctx, v, &invitation, how, seed, now)
	}
	if err := p.theirs(ctx, &v, login); err != nil {
		return Signed{}, err
	}
	hash, err := p.chosen(ctx, &v, password, []string{login}, seed)
	if err != nil {
		return Signed{}, err
	}
	var s Signed
	_, err = p.change(ctx, v.Who, now, func(v *Person, d *draft) error {
		key := keyOf(v.Owner, kindInvitation, v.Invitation)
		var used Invitation
		version, err := p.load(ctx, key, &used)
		if id, _ := hashOf(token); err != nil || v.Invitation != id || used.Used != "" {
			return cmp.Or(err, refuse(InvitationUnknown, "invitation"))
		}
		v.Hash, v.Since = hash, now
		if err := p.endSessions(ctx, v, d, ""); err != nil {
			return err
		}
		if err := p.clearTries(ctx, v.Who, false, d); err != nil {
			return err
		}
		if s, err = p.open(ctx, v, d, how, "password", seed, now); err != nil {
			return err
		}
		used.Used = s.ID
		d.put(key, version, &used)
		return nil
	})
	return s, err
}

// accepted is the session that an invitation has opened, for whoever asks for it again.
func (p *Porter) accepted(ctx context.Context, v Person, i *Invitation, how How, seed Seed, now holdfast.Time) (Signed, error) {
	s, found, err := p.opened(ctx, &v, how, seed, now)
	if err == nil && (!found || s.ID != i.Used) {
		err = refuse(InvitationUnknown, "invitation")
	}
	if err != nil {
		return Signed{}, err
	}
	return s, nil
}

// theirs refuses a login that is not the person's.
func (p *Porter) theirs(ctx context.Context, v *Person, login string) error {
	if login == "" {
		return nil
	}
	who, found, err := p.find(ctx, v.Kind, login)
	if err == nil && (!found || who != v.Who) {
		err = refuse(LoginWrong, "login")
	}
	return err
}
