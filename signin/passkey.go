package signin

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"holdfast"
	"holdfast/pay"
)

// Passkeys say who is asked for passkeys (WebAuthn level 3).
type Passkeys struct {
	RP      string   // the domain for which they are good; "": passkeys are off
	Name    string   // what the browser calls us
	Origins []string // of the pages: scheme, host and port
}

// Passkey is a passkey of a person.
type Passkey struct {
	ID     string // what the authenticator calls it
	Public string // its public key, COSE
	Name   string // for people
	Count  uint32 // of its signatures, if it counts
	Backed uint8  // 1: it may be at several devices, as the first signature said
	AAGUID string // of the model of the authenticator
	Added  holdfast.Time
	Used   holdfast.Time
}

func (k *Passkey) layout(c *coder) {
	text(c, &k.ID)
	text(c, &k.Public)
	text(c, &k.Name)
	number(c, &k.Count)
	number(c, &k.Backed)
	text(c, &k.AAGUID)
	number(c, &k.Added)
	number(c, &k.Used)
}

// Key names a passkey in the API: what the authenticator calls it may be long.
func (k *Passkey) Key() string {
	sum := sha256.Sum256([]byte(k.ID))
	return plainText.EncodeToString(sum[:idOfHash])
}

const (
	challengeBytes = 32
	challengeLife  = 5 * time.Minute
	maxSpent       = 16
	maxAnswer      = 16 << 10
	maxKeyID       = 1023 // of WebAuthn
)

// ceremonies are what begins and ends with a browser. What has to be known of the beginning at the end is sealed and goes by way of the browser: so any site can end
// what another one has begun.
type ceremonies struct {
	lib    *webauthn.WebAuthn // nil: passkeys are off
	sealer cipher.AEAD
	handle []byte // key of user handles
}

func newCeremonies(cfg Passkeys, key []byte) (*ceremonies, error) {
	if cfg.RP == "" {
		return &ceremonies{}, nil
	}
	resident := true
	lib, err := webauthn.New(&webauthn.Config{
		RPID: cfg.RP, RPDisplayName: cfg.Name, RPOrigins: cfg.Origins, AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: &resident, ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("signin: passkeys: %w", err)
	}
	block, err := aes.NewCipher(derived(key, "challenges"))
	if err != nil {
		return nil, fmt.Errorf("signin: %w", err)
	}
	sealer, err := cipher.NewGCM(block)
	return &ceremonies{lib, sealer, derived(key, "user handles")}, err
}

// begun is what has to be known at the end.
type begun struct {
	Challenge string
	Until     holdfast.Time
	Owner     holdfast.Owner // who adds a passkey; 0: somebody signs in
	Person    string
}

func (*begun) kind() (byte, byte) { return 85, 1 }

func (v *begun) layout(c *coder) {
	text(c, &v.Challenge)
	number(c, &v.Until)
	number(c, &v.Owner)
	text(c, &v.Person)
}

var sealedFor = []byte("holdfast passkey challenge")

func (c *ceremonies) seal(v *begun, seed Seed) string {
	nonce := seed.bytes(c.sealer.NonceSize(), "nonce", v.Challenge, v.Person, fmt.Sprint(v.Owner, v.Until))
	return plainText.EncodeToString(c.sealer.Seal(nonce, nonce, pack(v), sealedFor))
}

func (c *ceremonies) unseal(state string, who Who, now holdfast.Time) (v begun, err error) {
	b, err := plainText.DecodeString(state)
	if n := c.sealer.NonceSize(); err == nil && len(b) > n {
		b, err = c.sealer.Open(nil, b[:n], b[n:], sealedFor)
		if err == nil {
			err = unpack("challenge", b, &v)
		}
	} else {
		err = pay.ErrCorrupt
	}
	if err != nil || v.Until <= now || v.Owner != who.Owner || v.Person != who.ID {
		return v, refuse(ChallengeOld, "state")
	}
	return v, nil
}

// userHandle is what a passkey keeps of a person, so that it can say whose it is: their number and id, sealed in such a way that the same person
// is always the same bytes (a synthetic nonce), and nobody reads who it is.
func (c *ceremonies) userHandle(who Who) []byte {
	plain := append(binary.BigEndian.AppendUint64(nil, uint64(who.Owner)), who.ID...)
	tag := c.mac("tag", plain)[:16]
	return append(tag, c.mask(tag, plain)...)
}

func (c *ceremonies) mac(purpose string, b []byte) []byte {
	h := hmac.New(sha256.New, c.handle)
	texted(h, purpose)
	h.Write(b)
	return h.Sum(nil)
}

func (c *ceremonies) mask(tag, b []byte) []byte {
	stream := append(c.mac("1", tag), c.mac("2", tag)...)
	out := make([]byte, len(b))
	for i := range out {
		out[i] = b[i] ^ stream[i]
	}
	return out
}

func (c *ceremonies) whose(handle []byte) (Who, bool) {
	if len(handle) < 16+8+1 || len(handle) > 16+8+maxOperatorName {
		return Who{}, false
	}
	plain := c.mask(handle[:16], handle[16:])
	if !hmac.Equal(handle[:16], c.mac("tag", plain)[:16]) {
		return Who{}, false
	}
	return Who{holdfast.Owner(binary.BigEndian.Uint64(plain)), string(plain[8:])}, true
}

// account is a person as the library sees them.
type account struct {
	handle []byte
	person *Person
}

func (a account) WebAuthnID() []byte          { return a.handle }
func (a account) WebAuthnName() string        { return a.shown() }
func (a account) WebAuthnDisplayName() string { return a.shown() }

// shown is what the browser calls the account: nothing that could not stand on a screen that others see.
func (a account) shown() string {
	switch {
	case a.person.Name != "":
		return a.person.Name
	case a.person.Hint != "":
		return a.person.Hint
	}
	return a.person.Owner.String()
}

func (a account) WebAuthnCredentials() (list []webauthn.Credential) {
	for i := range a.person.Passkeys {
		k := &a.person.Passkeys[i]
		list = append(list, webauthn.Credential{
			ID: []byte(k.ID), PublicKey: []byte(k.Public), Flags: webauthn.CredentialFlags{BackupEligible: k.Backed == 1, UserVerified: true},
			Authenticator: webauthn.Authenticator{AAGUID: []byte(k.AAGUID), SignCount: k.Count},
		})
	}
	return list
}

// Ceremony is what a browser is given: the options of the call, in JSON, and what it has to send back with the answer.
type Ceremony struct {
	Options []byte
	State   string
	Until   holdfast.Time
}

// registration is the beginning of adding a passkey with a challenge; it comes out the same at the end.
func (c *ceremonies) registration(v *Person, challenge []byte) (*protocol.CredentialCreation, *webauthn.SessionData, account, error) {
	a := account{c.userHandle(v.Who), v}
	var had []protocol.CredentialDescriptor
	for _, k := range a.WebAuthnCredentials() {
		had = append(had, k.Descriptor())
	}
	creation, session, err := c.lib.BeginRegistration(a, webauthn.WithExclusions(had), func(o *protocol.PublicKeyCredentialCreationOptions) error {
		o.Challenge = challenge
		return nil
	})
	return creation, session, a, err
}

// BeginPasskey begins to add a passkey to the person of a session.
func (p *Porter) BeginPasskey(ctx context.Context, s Session, seed Seed, now holdfast.Time) (Ceremony, error) {
	v, err := p.mayAddPasskey(ctx, s, now)
	if err != nil {
		return Ceremony{}, err
	}
	b := begun{Challenge: string(seed.bytes(challengeBytes, "challenge")), Until: now + holdfast.Time(challengeLife), Owner: v.Owner, Person: v.ID}
	creation, _, _, err := p.ceremon.registration(&v, []byte(b.Challenge))
	if err != nil {
		return Ceremony{}, fmt.Errorf("begin to add a passkey: %w", err)
	}
	return p.ceremon.begin(creation.Response, &b, seed)
}

func (c *ceremonies) begin(options any, b *begun, seed Seed) (Ceremony, error) {
	text, err := json.Marshal(options)
	if err != nil {
		return Ceremony{}, fmt.Errorf("options of a passkey: %w", err)
	}
	return Ceremony{text, c.seal(b, seed), b.Until}, nil
}

func (p *Porter) mayAddPasskey(ctx context.Context, s Session, now holdfast.Time) (Person, error) {
	if p.ceremon.lib == nil {
		return Person{}, refuse(PasskeysOff, "")
	}
	if err := fresh(s, now); err != nil {
		return Person{}, err
	}
	return p.Person(ctx, s.Who)
}

// AddPasskey adds the passkey that a browser has made. The same answer again is the same passkey.
func (p *Porter) AddPasskey(ctx context.Context, s Session, state, name string, answer []byte, now holdfast.Time) (Passkey, error) {
	v, err := p.mayAddPasskey(ctx, s, now)
	if err != nil {
		return Passkey{}, err
	}
	if err := validName(name); err != nil {
		return Passkey{}, err
	}
	b, err := p.ceremon.unseal(state, s.Who, now)
	if err != nil {
		return Passkey{}, err
	}
	made, err := p.ceremon.added(&v, []byte(b.Challenge), answer)
	if err != nil {
		return Passkey{}, err
	}
	k := Passkey{
		ID: string(made.ID), Public: string(made.PublicKey), Name: name, Count: made.Authenticator.SignCount, AAGUID: string(made.Authenticator.AAGUID), Added: now, Used: now,
	}
	if made.Flags.BackupEligible {
		k.Backed = 1
	}
	_, err = p.change(ctx, s.Who, now, func(v *Person, _ *draft) error {
		i := slices.IndexFunc(v.Passkeys, func(had Passkey) bool { return had.ID == k.ID })
		switch {
		case i >= 0 && v.Passkeys[i].Public == k.Public && v.spent(b.Challenge):
			k = v.Passkeys[i] // an answer was lost, and the request came again
			return nil
		case i >= 0:
			return refuse(PasskeyTaken, "credential")
		case len(v.Passkeys) >= maxPasskeys:
			return refuse(pay.TooMany, "passkeys")
		}
		v.Passkeys = append(v.Passkeys, k)
		return v.spend(b, now)
	})
	return k, err
}

func (c *ceremonies) added(v *Person, challenge, answer []byte) (*webauthn.Credential, error) {
	wrong := refuse(PasskeyWrong, "credential")
	if len(answer) > maxAnswer {
		return nil, wrong
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil || len(parsed.RawID) > maxKeyID {
		return nil, wrong
	}
	_, session, a, err := c.registration(v, challenge)
	if err != nil {
		return nil, fmt.Errorf("end of adding a passkey: %w", err)
	}
	made, err := c.lib.CreateCredential(a, *session, parsed)
	if err != nil {
		return nil, wrong
	}
	return made, nil
}

// spent reports whether a challenge was used.
func (v *Person) spent(challenge string) bool {
	return slices.ContainsFunc(v.Spent, func(s spent) bool { return s.Challenge == challenge })
}

// spend notes that a challenge was used, and forgets those that are too old to be used again.
func (v *Person) spend(b begun, now holdfast.Time) error {
	if v.spent(b.Challenge) {
		return refuse(ChallengeOld, "state")
	}
	v.Spent = slices.DeleteFunc(v.Spent, func(s spent) bool { return s.Until <= now })
	if len(v.Spent) >= maxSpent {
		return &TooSoon{Wait: challengeLife, Tries: true} // so many sign-ins within five minutes are no person's
	}
	v.Spent = append(v.Spent, spent{b.Challenge, b.Until})
	return nil
}

// BeginSignIn begins to sign in by passkey. It does not say who: the authenticator shows whose passkeys it has.
func (p *Porter) BeginSignIn(seed Seed, now holdfast.Time) (Ceremony, error) {
	if p.ceremon.lib == nil {
		return Ceremony{}, refuse(PasskeysOff, "")
	}
	b := begun{Challenge: string(seed.bytes(challengeBytes, "challenge")), Until: now + holdfast.Time(challengeLife)}
	assertion, _, err := p.ceremon.lib.BeginDiscoverableLogin(webauthn.WithChallenge([]byte(b.Challenge)))
	if err != nil {
		return Ceremony{}, fmt.Errorf("begin to sign in: %w", err)
	}
	return p.ceremon.begin(assertion.Response, &b, seed)
}

// SignInByPasskey opens a session for whoever has a passkey of a person. Each challenge opens one session.
func (p *Porter) SignInByPasskey(ctx context.Context, state string, answer []byte, how How, seed Seed, now holdfast.Time) (Signed, error) {
	if p.ceremon.lib == nil {
		return Signed{}, refuse(PasskeysOff, "")
	}
	if err := how.check(); err != nil {
		return Signed{}, err
	}
	b, err := p.ceremon.unseal(state, Who{}, now)
	if err != nil {
		return Signed{}, err
	}
	v, used, err := p.proved(ctx, []byte(b.Challenge), answer)
	if err != nil {
		return Signed{}, err
	}
	var s Signed
	_, err = p.change(ctx, v.Who, now, func(v *Person, d *draft) error {
		if v.spent(b.Challenge) {
			before := *v
			if had, found, err := p.opened(ctx, &before, how, seed, now); err != nil || found {
				s = had
				return err
			}
		}
		if err := v.used(used, now); err != nil {
			return err
		}
		if err := v.spend(b, now); err != nil {
			return err
		}
		s, err = p.open(ctx, v, d, how, "passkey", seed, now)
		return err
	})
	return s, err
}

// used notes that a passkey has signed. One that counts its signatures and has counted no further is one of two that have the same key: a copy.
func (v *Person) used(c *webauthn.Credential, now holdfast.Time) error {
	i := slices.IndexFunc(v.Passkeys, func(k Passkey) bool { return k.ID == string(c.ID) })
	if i < 0 || c.Authenticator.CloneWarning || c.Authenticator.SignCount < v.Passkeys[i].Count {
		return refuse(PasskeyWrong, "credential")
	}
	v.Passkeys[i].Count, v.Passkeys[i].Used = c.Authenticator.SignCount, now
	return nil
}

// proved checks the signature of a passkey, and tells whose it is.
func (p *Porter) proved(ctx context.Context, challenge, answer []byte) (v Person, used *webauthn.Credential, err error) {
	wrong := refuse(PasskeyWrong, "credential")
	if len(answer) > maxAnswer {
		return v, nil, wrong
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return v, nil, wrong
	}
	who, ok := p.ceremon.whose(parsed.Response.UserHandle)
	if !ok {
		return v, nil, wrong
	}
	v, err = p.Person(ctx, who)
	if isRefusal(err, PersonUnknown) {
		return v, nil, wrong
	}
	if err != nil {
		return v, nil, err
	}
	_, session, err := p.ceremon.lib.BeginDiscoverableLogin(webauthn.WithChallenge(challenge))
	if err != nil {
		return v, nil, fmt.Errorf("end of signing in: %w", err)
	}
	a := account{p.ceremon.userHandle(who), &v}
	_, used, err = p.ceremon.lib.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
		if !bytes.Equal(handle, a.handle) {
			return nil, wrong
		}
		return a, nil
	}, *session, parsed)
	if err != nil {
		return v, nil, wrong
	}
	return v, used, nil
}

// NamePasskey gives a passkey of the person of a session another name.
func (p *Porter) NamePasskey(ctx context.Context, s Session, key, name string, now holdfast.Time) error {
	if err := validName(name); err != nil {
		return err
	}
	_, err := p.change(ctx, s.Who, now, func(v *Person, _ *draft) error {
		i := slices.IndexFunc(v.Passkeys, func(k Passkey) bool { return k.Key() == key })
		if i < 0 {
			return refuse(PasskeyUnknown, "passkey")
		}
		v.Passkeys[i].Name = name
		return nil
	})
	return err
}

// RemovePasskey takes a passkey away, unless it is the last way to sign in. One that is not there, or not any more, is no error.
func (p *Porter) RemovePasskey(ctx context.Context, s Session, key string, now holdfast.Time) error {
	if err := fresh(s, now); err != nil {
		return err
	}
	_, err := p.change(ctx, s.Who, now, func(v *Person, _ *draft) error {
		kept := slices.DeleteFunc(slices.Clone(v.Passkeys), func(k Passkey) bool { return k.Key() == key })
		if len(kept) == 0 && len(v.Passkeys) > 0 && v.Hash == "" {
			return refuse(LastWay, "passkey")
		}
		v.Passkeys = kept
		return nil
	})
	return err
}
