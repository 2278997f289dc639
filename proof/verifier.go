package proof

import (
	"crypto/ecdsa"
	"crypto/x509"
	"sync"
	"time"

	"holdfast/link"
)

// Verifier verifies answers of the sites of one fleet. It remembers the certificates that it has found good: to verify one takes three
// times as long as to verify a signature, and thousands of answers come with the same few. It is safe for concurrent use.
type Verifier struct {
	authority *link.Authority

	mu   sync.Mutex
	good map[shown]signer
}

// shown is a certificate as it was shown with an answer. Whether it was good is asked of the second in which that was signed, and of no other:
// so nothing needs to be known here of what else goes by time in a chain of certificates.
type shown struct {
	certificate string // DER
	at          int64  // seconds since 1970
}

// signer is who may sign with a certificate at a moment.
type signer struct {
	Signatory
	key *ecdsa.PublicKey // nil: it is for another kind of signature
}

// mostGood bounds what is remembered: more than an hour of three sites. Who shows more of them waits longer.
const mostGood = 1 << 14

// NewVerifier makes one for the fleet of an authority, whose certificates are given in PEM.
func NewVerifier(authority []byte) (*Verifier, error) {
	a, err := link.ParseAuthority(authority)
	if err != nil {
		return nil, err
	}
	return &Verifier{authority: a, good: map[shown]signer{}}, nil
}

func (v *Verifier) signer(certificate []byte, at time.Time) (signer, error) {
	asked := shown{string(certificate), at.Unix()}
	v.mu.Lock()
	s, known := v.good[asked]
	v.mu.Unlock()
	if known {
		return s, nil
	}
	leaf, err := x509.ParseCertificate(certificate)
	if err != nil {
		return signer{}, err
	}
	s.At = at
	if s.Cluster, s.Site, err = v.authority.Identify(leaf, at); err != nil {
		return signer{}, err
	}
	s.key, _ = leaf.PublicKey.(*ecdsa.PublicKey)
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.good) < mostGood {
		v.good[asked] = s
	}
	return s, nil
}
