package alipay

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // sign_type RSA is SHA-1 by definition
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
)

// SignType is how a signature is made: RSA PKCS#1 v1.5 over a hash.
type SignType string

const (
	RSA2 SignType = "RSA2" // SHA-256
	RSA  SignType = "RSA"  // SHA-1, for merchants who have never changed
)

func (t SignType) valid() bool { return t == RSA2 || t == RSA }

func (t SignType) digest(text []byte) (crypto.Hash, []byte) {
	if t == RSA {
		sum := sha1.Sum(text) //nolint:gosec // see above
		return crypto.SHA1, sum[:]
	}
	sum := sha256.Sum256(text)
	return crypto.SHA256, sum[:]
}

// signers are those that sign at this moment: as many as can run at once. A signature takes a processor for a millisecond, and the scheduler of Go serves
// who can run in turn: with a hundred signing at once what tells the other sites that this one is alive would wait a tenth of a second for its
// turn, and they would take it to be dead. Who waits here is not in that line.
var signers = make(chan struct{}, runtime.GOMAXPROCS(0))

// sign returns the signature of the text in Base64.
func (t SignType) sign(key *rsa.PrivateKey, text []byte) (string, error) {
	hash, sum := t.digest(text)
	signers <- struct{}{}
	defer func() { <-signers }()
	signature, err := rsa.SignPKCS1v15(nil, key, hash, sum)
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", t, err)
	}
	return base64.StdEncoding.EncodeToString(signature), nil
}

// verify reports whether the signature, in Base64, is that of the text.
func (t SignType) verify(key *rsa.PublicKey, text []byte, signature string) bool {
	raw, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return false
	}
	hash, sum := t.digest(text)
	return rsa.VerifyPKCS1v15(key, hash, sum, raw) == nil
}

// minKeyBits is the shortest key that is taken. Alipay gives out 2048; longer ones work too, up to what a signature of 4096 costs.
const (
	minKeyBits = 2048
	maxKeyBits = 4096
)

// ParsePublicKey reads the public key that a merchant uploads: X.509 SubjectPublicKeyInfo as PEM or as bare Base64, RSA of 2048 to
// 4096 bits.
func ParsePublicKey(text string) (*rsa.PublicKey, error) {
	if len(text) > 4<<10 {
		return nil, errors.New("the public key is longer than 4 KiB: give the RSA public key of the application, and nothing else")
	}
	der, err := bare(text, "PUBLIC KEY")
	if err != nil {
		return nil, err
	}
	any, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("this is no public key (X.509 SubjectPublicKeyInfo, BEGIN PUBLIC KEY): %w", err)
	}
	key, ok := any.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("the public key is of another kind (%T): an RSA key of 2048 bits is needed", any)
	}
	if bits := key.N.BitLen(); bits < minKeyBits || bits > maxKeyBits {
		return nil, fmt.Errorf("the public key has %d bits: make one of 2048", bits)
	}
	return key, nil
}

// bare decodes PEM of this type, or Base64 without its header, whatever white space is in it.
func bare(text, kind string) ([]byte, error) {
	if strings.Contains(text, "-----BEGIN") {
		block, _ := pem.Decode([]byte(strings.TrimSpace(text)))
		if block == nil {
			return nil, errors.New("the PEM text of the key is damaged: copy all of it, with both of its ----- lines")
		}
		if block.Type != kind {
			return nil, fmt.Errorf("this is a %.40s: a %s is needed", block.Type, kind)
		}
		return block.Bytes, nil
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, fmt.Errorf("the key is neither PEM nor Base64: %w", err)
	}
	return der, nil
}

// FormatPublicKey is the PEM text that a merchant puts into his SDK as the public key of the platform.
func FormatPublicKey(key *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("public key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

// stamps remembers the signatures of refusals that anybody can provoke without a signature of his own. They have few texts, so that
// a flood of them costs a hundredth of what signing each would.
type stamps struct {
	mu    sync.Mutex
	known map[stampKey]string
}

type stampKey struct {
	key  *rsa.PrivateKey
	kind SignType
	text string
}

// maxStamps bounds the memory: 4,096 of about 700 bytes. When it is reached all are forgotten.
const maxStamps = 4096

func (s *stamps) sign(key *rsa.PrivateKey, kind SignType, text []byte) (string, error) {
	at := stampKey{key, kind, string(text)}
	s.mu.Lock()
	signature, ok := s.known[at]
	s.mu.Unlock()
	if ok {
		return signature, nil
	}
	signature, err := kind.sign(key, text)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxStamps {
		s.known = map[stampKey]string{}
	}
	s.known[at] = signature
	return signature, nil
}
