package receipt

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"holdfast"
	"holdfast/link"
)

// KeysFormat is the first field of a list of keys.
const KeysFormat = "holdfast receipt keys 1"

// Keys is a list of keys, as the API publishes it and a file keeps it.
type Keys struct {
	Format string `json:"format"`
	Keys   []Key  `json:"keys"`
}

// ReadKeys reads a list of keys.
func ReadKeys(text []byte) ([]Key, error) {
	var list Keys
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&list); err != nil || list.Format != KeysFormat {
		return nil, fmt.Errorf("this is no list of keys (%q): save what GET /v1/receipt-keys answers", KeysFormat)
	}
	for i := range list.Keys {
		if err := list.Keys[i].check(); err != nil {
			return nil, err
		}
	}
	return list.Keys, nil
}

// Key is the public key with which a site signs, and who says so.
type Key struct {
	Fleet  string          `json:"fleet" doc:"Name of the fleet; left out: a fleet of one"`
	Site   holdfast.SiteID `json:"site"`
	Public []byte          `json:"ed25519" doc:"The public key (RFC 8032), 32 bytes in base64"`
	// Since is when the site certified it; Certificate (DER) that of the site, and Endorsement an ECDSA signature (ASN.1) made with its key. All are empty in
	// a fleet of one, which has no authority.
	Since       *time.Time `json:"since,omitempty" doc:"When the site certified the key"`
	Certificate []byte     `json:"certificate,omitempty" doc:"That of the site, in DER and base64"`
	Endorsement []byte     `json:"endorsement,omitempty" doc:"Signature of the key with that of the certificate: ECDSA with SHA-256, in ASN.1 and base64"`
}

// ID is the fingerprint by which a key is named.
func (k *Key) ID() string {
	sum := sha256.Sum256(k.text())
	return hex.EncodeToString(sum[:16])
}

// text is what a fingerprint and an endorsement are made of.
func (k *Key) text() []byte {
	return fmt.Appendf(nil, "holdfast receipt key 1\n%q\n%d\n%x\n", k.Fleet, k.Site, k.Public)
}

func (k *Key) endorsed() []byte {
	sum := sha256.Sum256(fmt.Appendf(k.text(), "%d\n", k.Since.Unix()))
	return sum[:]
}

func (k *Key) check() error {
	if len(k.Public) != ed25519.PublicKeySize || k.Site == 0 {
		return fmt.Errorf("the key of site %d is not one of %d bytes", k.Site, ed25519.PublicKeySize)
	}
	return nil
}

// same reports the same key of the same site, whoever has certified it.
func (k *Key) same(o *Key) bool {
	return k.Fleet == o.Fleet && k.Site == o.Site && bytes.Equal(k.Public, o.Public)
}

// certifiedBy checks that the certificate of the site was made by an authority, and that its key has signed this one.
func (k *Key) certifiedBy(authority *link.Authority) error {
	if k.Since == nil || len(k.Certificate) == 0 {
		return errors.New("no certificate of the site comes with its key")
	}
	leaf, err := x509.ParseCertificate(k.Certificate)
	if err != nil {
		return fmt.Errorf("the certificate of the site cannot be read: %w", err)
	}
	fleet, site, err := authority.Identify(leaf, *k.Since)
	switch {
	case err != nil:
		return fmt.Errorf("the certificate of the site is not from the authority that you trust: %w", err)
	case fleet != k.Fleet || site != k.Site:
		return fmt.Errorf("the certificate is that of site %d of %q", site, fleet)
	}
	public, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || !ecdsa.VerifyASN1(public, k.endorsed(), k.Endorsement) {
		return errors.New("the key of its certificate has not signed this key")
	}
	return nil
}

// Endorser is the key of a site's certificate; *link.Credentials is one.
type Endorser interface {
	SignDigest(digest []byte) ([]byte, error)
	Certificate() []byte
}

var _ Endorser = (*link.Credentials)(nil)

// Signer signs for a site.
type Signer struct {
	Key
	private ed25519.PrivateKey
}

// NewSigner makes the signer of a site of its key. by certifies it; nil: nobody does.
func NewSigner(private ed25519.PrivateKey, fleet string, site holdfast.SiteID, by Endorser, now time.Time) (*Signer, error) {
	public, ok := private.Public().(ed25519.PublicKey)
	if !ok || len(private) != ed25519.PrivateKeySize {
		return nil, errors.New("this is no Ed25519 key")
	}
	s := &Signer{private: private, Key: Key{Fleet: fleet, Site: site, Public: public}}
	if by == nil {
		return s, nil
	}
	s.Since, s.Certificate = new(now.UTC().Truncate(time.Second)), by.Certificate()
	var err error
	if s.Endorsement, err = by.SignDigest(s.endorsed()); err != nil {
		return nil, fmt.Errorf("certify the key for receipts: %w", err)
	}
	return s, nil
}

// Uses of a signature: one that was made for one of them is none for another.
const (
	useStatement = "holdfast receipt 1 statement\n"
	useSeal      = "holdfast receipt 1 seal\n"
)

func (s *Signer) sign(use string, text []byte) []byte {
	return ed25519.Sign(s.private, append([]byte(use), text...))
}

func (k *Key) signed(use string, text, signature []byte) bool {
	return len(k.Public) == ed25519.PublicKeySize && ed25519.Verify(k.Public, append([]byte(use), text...), signature)
}
