package signin

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
)

// Kind is what somebody is here as.
type Kind uint8

// Kinds. The numbers are in records.
const (
	Customer Kind = iota + 1
	Staff         // of a merchant
	Operator
)

var kindNames = map[Kind]string{Customer: "customer", Staff: "merchant", Operator: "operator"}

// String names the kind as the API does.
func (k Kind) String() string { return kindNames[k] }

// ParseKind reads "customer", "merchant" or "operator".
func ParseKind(text string) (Kind, bool) {
	for k, name := range kindNames {
		if name == text {
			return k, true
		}
	}
	return 0, false
}

// Right is what a person of a merchant may do; each has those before it.
type Right uint8

// Rights. The numbers are in records.
const (
	NoRight Right = iota
	Look          // sees
	Work          // trades, refunds, ships, delivers again
	Manage        // keys, apps, people, bank accounts
)

var rightNames = [...]string{"none", "look", "work", "manage"}

// String names the right.
func (r Right) String() string { return rightNames[min(int(r), len(rightNames)-1)] }

// ParseRight reads "look", "work" or "manage".
func ParseRight(text string) (Right, bool) {
	i := slices.Index(rightNames[1:], text)
	return Right(i + 1), i >= 0
}

// Who names a person: the owner they belong to, and their id there.
type Who struct {
	Owner holdfast.Owner
	ID    string
}

// Person is somebody who signs in.
type Person struct {
	Who        // no part of the body
	Kind       Kind
	Name       string        // for people
	Login      string        // of a merchant's: the hash of the e-mail address
	Hint       string        // of that address, for people: the first letter and the domain
	Right      Right         // of a merchant's
	Role       guard.Role    // of an operator
	Hash       string        // of the password, PHC; "": there is none
	Since      holdfast.Time // of the password
	Added      holdfast.Time
	Passkeys   []Passkey
	Sessions   []string // ids, oldest first
	Invitation string   // id of the one that counts; "": none
	Spent      []spent  // challenges that were used
}

// spent is a challenge that must not be used again until it is too old anyway.
type spent struct {
	Challenge string
	Until     holdfast.Time
}

const (
	maxPasskeys = 10
	maxSessions = 16
	maxPeople   = 200
	maxName     = 64
	self        = "self" // the id of a customer
	idLength    = 8      // of a merchant's person
)

func (*Person) kind() (byte, byte) { return 80, 1 }

func (v *Person) layout(c *coder) {
	number(c, &v.Kind)
	text(c, &v.Name)
	text(c, &v.Login)
	text(c, &v.Hint)
	number(c, &v.Right)
	number(c, &v.Role)
	text(c, &v.Hash)
	number(c, &v.Since)
	number(c, &v.Added)
	list(c, &v.Passkeys, maxPasskeys, func(k *Passkey) { k.layout(c) })
	list(c, &v.Sessions, maxSessions, func(s *string) { text(c, s) })
	text(c, &v.Invitation)
	list(c, &v.Spent, maxSpent, func(s *spent) {
		text(c, &s.Challenge)
		number(c, &s.Until)
	})
}

// login is a record of a registrar: who signs in with an e-mail address. Nobody, when the owner is 0.
type login struct {
	Owner  holdfast.Owner
	Person string
}

func (*login) kind() (byte, byte) { return 83, 1 }

func (v *login) layout(c *coder) {
	number(c, &v.Owner)
	text(c, &v.Person)
}

// Shortest is the length of the shortest password that a person may have, in characters.
func (v *Person) Shortest() int {
	if v.Kind == Customer {
		return shortestOfCustomer
	}
	return shortestOfStaff
}

// strict reports whether the sessions of a person end soon when they are not used.
func (v *Person) strict() bool { return v.Kind == Operator || v.Right == Manage }

func (p *Porter) person(ctx context.Context, who Who) (v Person, version uint64, err error) {
	if !plainID(who.ID) {
		return v, 0, refuse(PersonUnknown, "person")
	}
	version, err = p.load(ctx, keyOf(who.Owner, kindPerson, who.ID), &v)
	if err == nil && version == 0 {
		err = refuse(PersonUnknown, "person")
	}
	v.Who = who
	return v, version, err
}

// plainID reports whether a text can be the id of a person: nothing in it ends the part of a key.
func plainID(id string) bool { return guard.CheckName(id) == nil && len(id) <= maxOperatorName }

// maxOperatorName is below guard's bound, so that what a passkey keeps of a person fits.
const maxOperatorName = 32

// Person returns a person.
func (p *Porter) Person(ctx context.Context, who Who) (Person, error) {
	v, _, err := p.person(ctx, who)
	return v, err
}

// CustomerPerson is who a customer is here, whether they have signed in or not.
func CustomerPerson(o holdfast.Owner) Who { return Who{o, self} }

// OperatorPerson is an operator of that name.
func (p *Porter) OperatorPerson(name string) Who { return Who{p.Platform, name} }

// People lists those of a merchant, or with the owner [Config.Platform] the operators, by id.
func (p *Porter) People(ctx context.Context, o holdfast.Owner) (all []Person, err error) {
	prefix := keyOf(o, kindPerson, "")
	found, err := p.Books.Records(ctx, prefix, "", 2*maxPeople)
	if err != nil {
		return nil, &pay.Unavailable{Err: err}
	}
	for _, r := range found {
		v := Person{Who: Who{o, r.Key[len(prefix):]}}
		if err := unpack(r.Key, r.Body, &v); err != nil {
			return nil, &pay.Unavailable{Err: err}
		}
		all = append(all, v)
	}
	return all, nil
}

// StaffAsk is a person to be added to a merchant.
type StaffAsk struct {
	Merchant holdfast.Owner
	Login    string // an e-mail address
	Name     string
	Right    Right
}

// AddStaff adds a person to a merchant. The address is claimed first, by a record that only one transaction can create: of two merchants who add one
// address at once exactly one wins. Adding the same once more is done. They cannot sign in until they have been invited.
func (p *Porter) AddStaff(ctx context.Context, ask StaffAsk, now holdfast.Time) (Person, error) {
	if !strings.Contains(ask.Login, "@") {
		return Person{}, refuse(pay.AliasInvalid, "login")
	}
	hash, err := p.Payments.Alias(ask.Login)
	switch {
	case err != nil:
		return Person{}, refuse(pay.AliasInvalid, "login")
	case ask.Right < Look || ask.Right > Manage:
		return Person{}, refuse(pay.FieldInvalid, "right")
	}
	if err := validName(ask.Name); err != nil {
		return Person{}, err
	}
	if _, err := p.Payments.Merchant(ctx, ask.Merchant); err != nil {
		return Person{}, err
	}
	v := Person{
		Who: Who{ask.Merchant, staffID(ask.Merchant, hash)}, Kind: Staff, Name: ask.Name, Login: hash, Hint: hintOf(ask.Login), Right: ask.Right, Added: now,
	}
	if err := p.claim(ctx, hash, v.Who, now); err != nil {
		return Person{}, err
	}
	return p.add(ctx, v, now)
}

// staffID follows from the address, so that adding somebody again is adding the same person.
func staffID(o holdfast.Owner, login string) string {
	seed := Seed{}
	return plainText.EncodeToString(seed.bytes(5, o.String(), login))[:idLength]
}

func hintOf(address string) string {
	address = strings.TrimSpace(address)
	name, domain, _ := strings.Cut(address, "@")
	_, n := utf8.DecodeRuneInString(name)
	return name[:n] + "***@" + domain
}

func validName(name string) error {
	if utf8.RuneCountInString(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return refuse(pay.FieldInvalid, "name")
	}
	return nil
}

// claim gives an address to a person of a merchant.
func (p *Porter) claim(ctx context.Context, hash string, who Who, now holdfast.Time) error {
	key := keyOf(registrar(hash), kindLogin, hash)
	return again(func() error {
		var had login
		version, err := p.load(ctx, key, &had)
		switch {
		case err != nil || had == login{who.Owner, who.ID}:
			return err
		case had.Owner != 0:
			return refuse(LoginTaken, "login")
		}
		d := draft{at: now}
		d.put(key, version, &login{who.Owner, who.ID})
		return p.submit(ctx, &d)
	})
}

// AddOperator adds an operator, who signs in with a name.
func (p *Porter) AddOperator(ctx context.Context, name string, role guard.Role, now holdfast.Time) (Person, error) {
	if !plainID(name) {
		return Person{}, refuse(pay.FieldInvalid, "name")
	}
	if role < guard.Reader || role > guard.Operator {
		return Person{}, refuse(pay.FieldInvalid, "role")
	}
	return p.add(ctx, Person{Who: p.OperatorPerson(name), Kind: Operator, Name: name, Role: role, Added: now}, now)
}

// add makes a person, unless they are there.
func (p *Porter) add(ctx context.Context, v Person, now holdfast.Time) (Person, error) {
	made := v
	err := again(func() error {
		var had Person
		key := keyOf(v.Owner, kindPerson, v.ID)
		version, err := p.load(ctx, key, &had)
		switch {
		case err != nil:
			return err
		case version > 0 && (had.Name != v.Name || had.Right != v.Right || had.Role != v.Role):
			return refuse(PersonExists, "")
		case version > 0:
			made, made.Who = had, v.Who
			return nil
		}
		all, err := p.People(ctx, v.Owner)
		if err == nil && len(all) >= maxPeople {
			err = refuse(pay.TooMany, "people")
		}
		if err != nil {
			return err
		}
		d := draft{at: now}
		d.put(key, 0, &v)
		return p.submit(ctx, &d)
	})
	return made, err
}

// change changes a person's record, together with other records of the same owner.
func (p *Porter) change(ctx context.Context, who Who, now holdfast.Time, how func(v *Person, d *draft) error) (Person, error) {
	var out Person
	err := again(func() error {
		v, version, err := p.person(ctx, who)
		if err != nil {
			return err
		}
		d := draft{at: now}
		before := pack(&v)
		if err := how(&v, &d); err != nil {
			return err
		}
		out = v
		if len(d.Records) == 0 && string(pack(&v)) == string(before) {
			return nil
		}
		d.put(keyOf(who.Owner, kindPerson, who.ID), version, &v)
		return p.submit(ctx, &d)
	})
	return out, err
}

// SetStaff changes the name and right of a merchant's person. Another right ends their sessions.
func (p *Porter) SetStaff(ctx context.Context, who Who, name string, right Right, now holdfast.Time) (Person, error) {
	if right < Look || right > Manage {
		return Person{}, refuse(pay.FieldInvalid, "right")
	}
	if err := validName(name); err != nil {
		return Person{}, err
	}
	return p.change(ctx, who, now, func(v *Person, d *draft) error {
		if v.Kind != Staff {
			return refuse(PersonUnknown, "person")
		}
		other := v.Right != right
		v.Name, v.Right = name, right
		if !other {
			return nil
		}
		return p.endSessions(ctx, v, d, "")
	})
}

// SetOperator changes the role of an operator, which ends their sessions.
func (p *Porter) SetOperator(ctx context.Context, name string, role guard.Role, now holdfast.Time) (Person, error) {
	if role < guard.Reader || role > guard.Operator {
		return Person{}, refuse(pay.FieldInvalid, "role")
	}
	return p.change(ctx, p.OperatorPerson(name), now, func(v *Person, d *draft) error {
		if v.Role == role {
			return nil
		}
		v.Role = role
		return p.endSessions(ctx, v, d, "")
	})
}

// Remove takes a person away, with sessions and invitation. One who is not there, or not any more, is no error.
func (p *Porter) Remove(ctx context.Context, who Who, now holdfast.Time) error {
	v, err := p.Person(ctx, who)
	if isRefusal(err, PersonUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := p.release(ctx, &v, now); err != nil {
		return err
	}
	return again(func() error {
		v, version, err := p.person(ctx, who)
		if isRefusal(err, PersonUnknown) {
			return nil
		}
		if err != nil {
			return err
		}
		d := draft{at: now}
		if err := p.endSessions(ctx, &v, &d, ""); err != nil {
			return err
		}
		if err := p.dropInvitation(ctx, &v, &d); err != nil {
			return err
		}
		d.drop(keyOf(who.Owner, kindPerson, who.ID), version)
		return p.submit(ctx, &d)
	})
}

// release gives up the address of a person, before they go: what is left half-way is done by removing once more.
func (p *Porter) release(ctx context.Context, v *Person, now holdfast.Time) error {
	if v.Login == "" {
		return nil
	}
	key := keyOf(registrar(v.Login), kindLogin, v.Login)
	return again(func() error {
		var had login
		version, err := p.load(ctx, key, &had)
		if err != nil || had != (login{v.Owner, v.ID}) {
			return err
		}
		d := draft{at: now}
		d.put(key, version, &login{})
		return p.submit(ctx, &d)
	})
}

// find tells who signs in with a login; found is false when nobody does.
func (p *Porter) find(ctx context.Context, kind Kind, name string) (who Who, found bool, err error) {
	name = strings.TrimSpace(name)
	switch kind {
	case Customer:
		o, err := p.Payments.FindAlias(ctx, name)
		if isRefusal(err, pay.AliasUnknown) || isRefusal(err, pay.AliasInvalid) {
			return who, false, nil
		}
		return CustomerPerson(o), err == nil, err
	case Staff:
		hash, err := p.Payments.Alias(name)
		if err != nil {
			return who, false, nil
		}
		var had login
		if _, err := p.load(ctx, keyOf(registrar(hash), kindLogin, hash), &had); err != nil {
			return who, false, err
		}
		return Who{had.Owner, had.Person}, had.Owner != 0, nil
	case Operator:
		name = strings.ToLower(name)
		return p.OperatorPerson(name), plainID(name), nil
	}
	return who, false, refuse(pay.FieldInvalid, "as")
}

// loginHash is a login as it may be kept in memory to count tries: nothing that could be read.
func (p *Porter) loginHash(kind Kind, name string) string {
	return hex.EncodeToString(derived(p.keys.device, kind.String()+" "+strings.ToLower(strings.TrimSpace(name)))[:16])
}

// own tells by its hash whether a text is an alias of a person.
func (p *Porter) own(ctx context.Context, v *Person) (func(string) bool, error) {
	var hashes []string
	switch v.Kind {
	case Customer:
		c, err := p.Payments.Customer(ctx, v.Owner)
		if err != nil {
			return nil, err
		}
		hashes = c.Aliases
	case Staff:
		hashes = []string{v.Login}
	}
	return func(text string) bool {
		hash, err := p.Payments.Alias(text)
		return err == nil && slices.Contains(hashes, hash)
	}, nil
}

// confirmed is how long ago somebody may have proved who they are, to change how they sign in.
const confirmed = 15 * time.Minute
