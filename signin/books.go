package signin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"holdfast"
	"holdfast/pay"
)

// Books is where the domain reads and writes, linearizably; pay.Books says more. Any number of goroutines may call it at once.
type Books interface {
	Record(ctx context.Context, key string) (r holdfast.Record, found bool, err error)
	Records(ctx context.Context, prefix, after string, max int) ([]holdfast.Record, error)
	Submit(ctx context.Context, t *holdfast.Txn) (holdfast.Outcome, error)
}

// Payments tells of customers and merchants; *pay.Cashier is one.
type Payments interface {
	// Alias is the hash of a phone number or e-mail address; FindAlias whose it is.
	Alias(alias string) (hash string, err error)
	FindAlias(ctx context.Context, alias string) (holdfast.Owner, error)
	Customer(ctx context.Context, o holdfast.Owner) (pay.Customer, error)
	Merchant(ctx context.Context, o holdfast.Owner) (pay.Merchant, error)
}

// Lives say how long sessions last.
type Lives struct {
	Strict time.Duration // unused, of operators and of people who manage a merchant
	Idle   time.Duration // unused, of others
	Most   time.Duration // in all, of everybody
	Phone  time.Duration // in all, of a customer's own phone, and PhoneIdle unused
	// PhoneIdle is how long a phone's session may be unused.
	PhoneIdle time.Duration
}

// DefaultLives follow NIST SP 800-63B for operators (30 minutes), and what a wallet on a phone needs.
var DefaultLives = Lives{Strict: 30 * time.Minute, Idle: 12 * time.Hour, Most: 24 * time.Hour, Phone: 30 * 24 * time.Hour, PhoneIdle: 7 * 24 * time.Hour}

// Config is what a [Porter] needs.
type Config struct {
	Books    Books
	Payments Payments
	// Platform is the owner to whom operators belong.
	Platform holdfast.Owner
	// Key (32 bytes) is the same at every site. From it come the keys under which passwords are hashed and challenges are sealed.
	Key []byte
	// Hashing is what a new hash of a password costs.
	Hashing Hashing
	// AtOnce bounds how many hashes are computed at once, 0: 4. So many times eight wait for their turn; more are turned away.
	AtOnce int
	Lives  Lives // zero: DefaultLives
	// Strangers bound the wrong tries of logins that nobody has as those of people are bounded, so that the bound does not tell who there is; nil: they are not. By
	// site: nothing is stored of who does not exist.
	Strangers *pay.Tries
	// Passkeys are off when the name of the relying party is "".
	Passkeys Passkeys
}

// Porter does everything that this package offers. But for the bound on hashes at once it has no state: any number of them, at any site, may do the
// same at once.
type Porter struct {
	Config
	hashes  *hashes
	keys    *keys
	nobody  string // the hash of a password that nobody has
	ceremon *ceremonies
}

// New checks the configuration.
func New(cfg Config) (*Porter, error) {
	if cfg.Books == nil || cfg.Payments == nil || len(cfg.Key) != keyBytes {
		return nil, errors.New("signin: Books, Payments and a Key of 32 bytes must be given")
	}
	if err := cfg.Platform.Check(); err != nil {
		return nil, errors.Join(errors.New("signin: Platform"), err)
	}
	if cfg.Lives == (Lives{}) {
		cfg.Lives = DefaultLives
	}
	if cfg.AtOnce == 0 {
		cfg.AtOnce = defaultAtOnce
	}
	if err := cfg.Hashing.check(); err != nil {
		return nil, err
	}
	p := &Porter{Config: cfg, hashes: newHashes(cfg.AtOnce), keys: newKeys(cfg.Key)}
	p.nobody = p.keys.hash(cfg.Hashing, "", make([]byte, saltBytes))
	var err error
	p.ceremon, err = newCeremonies(cfg.Passkeys, cfg.Key)
	return p, err
}

const keyBytes = 32

// derived is a key for one purpose.
func derived(key []byte, purpose string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("holdfast signin: " + purpose))
	return h.Sum(nil)
}

// Seed is what all random bytes of one request are made of. The same seed again gives the same ones: a request that is made twice makes one session.
type Seed [32]byte

// bytes are the n random bytes of a seed for one purpose, at most 32.
func (s *Seed) bytes(n int, purpose ...string) []byte {
	h := hmac.New(sha256.New, s[:])
	for _, part := range purpose {
		texted(h, part)
	}
	return h.Sum(nil)[:n]
}

// plainText is base 32 in lower case without 0, 1, 8, 9, as in all keys of the platform.
var plainText = base32.NewEncoding(letters).WithPadding(base32.NoPadding)

const letters = "abcdefghijklmnopqrstuvwxyz234567"

// Keys of records, after "o/<owner>/":
//
//	person/<id>      who it is, how they sign in, and which sessions they have; the id of a customer is self, that of an operator their name
//	session/<id>     a session
//	invitation/<id>  a first password may be chosen
//	tries/<id>       how many wrong passwords were tried lately
//	login/<hash>     of a registrar: which person of which merchant signs in with an e-mail address
const (
	kindPerson     = "person"
	kindSession    = "session"
	kindInvitation = "invitation"
	kindTries      = "tries"
	kindLogin      = "login"
)

func keyOf(o holdfast.Owner, parts ...string) string {
	return holdfast.OwnedKey(o, strings.Join(parts, "/"))
}

// registrar keeps a login, as that of package pay keeps an alias: any site knows where to look, and logins are spread over all shards.
func registrar(hash string) holdfast.Owner {
	b, err := hex.DecodeString(hash[:8])
	if err != nil {
		panic("signin: the hash of a login is not hexadecimal")
	}
	o, err := holdfast.NewOwner(holdfast.MaxOwnerSequence, holdfast.Slot(binary.BigEndian.Uint32(b)%holdfast.Slots))
	if err != nil {
		panic("signin: " + err.Error())
	}
	return o
}

// errAgain says that a record is not as it was read: read and decide again.
var errAgain = errors.New("a record has changed")

const maxTries = 8

// again does something until nobody has changed what it read.
func again(do func() error) error {
	for range maxTries {
		if err := do(); !errors.Is(err, errAgain) {
			return err
		}
	}
	return &pay.Unavailable{Err: pay.ErrBusy}
}

// load reads a document. version is 0 when there is none, and d is as it was.
func (p *Porter) load(ctx context.Context, key string, d document) (version uint64, err error) {
	r, found, err := p.Books.Record(ctx, key)
	switch {
	case err != nil:
		return 0, &pay.Unavailable{Err: err}
	case !found:
		return 0, nil
	}
	if err := unpack(key, r.Body, d); err != nil {
		return 0, &pay.Unavailable{Err: err}
	}
	return r.Version, nil
}

// draft is a transaction being built.
type draft struct {
	holdfast.Txn
	at holdfast.Time
}

func (d *draft) put(key string, version uint64, doc document) {
	d.Records = append(d.Records, holdfast.RecordChange{Key: key, Expect: version, Body: pack(doc)})
}

func (d *draft) drop(key string, version uint64) {
	if version > 0 {
		d.Records = append(d.Records, holdfast.RecordChange{Key: key, Expect: version, Delete: true})
	}
}

// submit proposes the draft under an id that is made of its content. nil: done. The errors are errAgain and those of package pay.
func (p *Porter) submit(ctx context.Context, d *draft) error {
	if len(d.Records) == 0 {
		return nil
	}
	d.identify()
	o, err := p.Books.Submit(ctx, &d.Txn)
	switch {
	case err != nil:
		return &pay.Unavailable{Code: o.Code, Err: err}
	case o.Status == holdfast.Done:
		return nil
	case o.Status == holdfast.Unknown:
		return &pay.Pending{ID: d.ID}
	case o.Status == holdfast.NotExecuted:
		return &pay.Unavailable{Code: o.Code}
	}
	switch o.Code {
	case holdfast.CodeRecordExists, holdfast.CodeRecordMissing, holdfast.CodeRecordVersionMismatch:
		return errAgain
	}
	return refuse(pay.LedgerRefused, o.Code.String())
}

// identify makes an id of version 8 (RFC 9562): milliseconds, then a hash of the content.
func (d *draft) identify() {
	h := sha256.New()
	var b [8]byte
	word := func(v uint64) { h.Write(binary.BigEndian.AppendUint64(b[:0], v)) }
	word(uint64(d.at))
	for i := range d.Records {
		r := &d.Records[i]
		texted(h, r.Key)
		texted(h, string(r.Body))
		word(r.Expect)
	}
	copy(d.ID[:], h.Sum(nil))
	ms := binary.BigEndian.AppendUint64(b[:0], uint64(d.at)/1e6)
	copy(d.ID[:6], ms[2:])
	d.ID[6] = d.ID[6]&0x0f | 0x80
	d.ID[8] = d.ID[8]&0x3f | 0x80
}

// texted writes a text with its length before it.
func texted(h interface{ Write(b []byte) (int, error) }, s string) {
	var b [8]byte
	_, _ = h.Write(binary.BigEndian.AppendUint64(b[:0], uint64(len(s)))) // a hash takes everything
	_, _ = h.Write([]byte(s))
}
