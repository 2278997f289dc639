package guard

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Principal is who makes a request.
type Principal struct {
	Name string // of the key, from the configuration; safe to log
	Role Role
}

// Key is an API key as the platform stores it.
type Key struct {
	Name string // who uses it; unique within a site, the same at every site
	Role Role
	Hash Hash
}

// Hash is the SHA-256 of the text of an API key.
type Hash [sha256.Size]byte

// MarshalText gives 64 hexadecimal digits.
func (h Hash) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h[:])), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) {
		return fmt.Errorf("sha256 of a key has %d characters: want 64 hexadecimal digits", len(text))
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return fmt.Errorf("sha256 of a key: want 64 hexadecimal digits: %w", err)
	}
	return nil
}

// Secret is the text of an API key: hf_<id>_<secret>. It never shows itself in logs or formatted text; [Secret.Reveal] is
// the one way to the text, for the one time it is shown.
type Secret struct{ text string }

// Reveal gives the text of the key.
func (s Secret) Reveal() string { return s.text }

// String hides the secret.
func (s Secret) String() string { return "hf_" + s.id() + "_(secret)" }

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the secret from encoders and structured logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Secret) id() string {
	if len(s.text) == keyLength {
		return s.text[len(keyPrefix) : len(keyPrefix)+keyIDLength]
	}
	return "?"
}

// KeyEntropy is how many random bytes an API key is made of.
const KeyEntropy = 25

const (
	keyPrefix    = "hf_"
	keyIDLength  = 8  // 5 bytes in base 32: tells keys apart when people speak about them
	secretLength = 32 // 20 bytes in base 32
	keyLength    = len(keyPrefix) + keyIDLength + 1 + secretLength
	maxName      = 64
)

// base32 lower case without 0, 1, 8, 9: a key can be read out over the telephone.
var keyText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewKey makes an API key of random bytes: what the platform stores, and the text that is shown once and kept by its user.
func NewKey(name string, role Role, random [KeyEntropy]byte) (Key, Secret, error) {
	if err := CheckName(name); err != nil {
		return Key{}, Secret{}, err
	}
	if role < Reader || role > Operator {
		return Key{}, Secret{}, fmt.Errorf("key %q: %s is no role for a key", name, role)
	}
	text := keyText.EncodeToString(random[:])
	secret := Secret{keyPrefix + text[:keyIDLength] + "_" + text[keyIDLength:]}
	return Key{name, role, HashOf(secret.text)}, secret, nil
}

// HashOf is what the platform stores of a key.
func HashOf(text string) Hash { return sha256.Sum256([]byte(text)) }

// CheckName reports whether the name of a key is 1-64 characters a-z, 0-9, "-", "." and "_".
func CheckName(name string) error {
	if len(name) == 0 || len(name) > maxName {
		return fmt.Errorf("the name of a key has 1-%d characters, not %d", maxName, len(name))
	}
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._", c) >= 0) {
			return fmt.Errorf("the name %q of a key has other characters than a-z, 0-9, \"-\", \".\" and \"_\"", name)
		}
	}
	return nil
}

// ErrNotAKey is the error of a text that does not have the form of an API key, for example one that was cut while copying.
var ErrNotAKey = errors.New("this is no API key: the form is hf_<8 characters>_<32 characters>")

// ErrUnknownKey is the error of a key that nobody has (any more).
var ErrUnknownKey = errors.New("this API key is not known here: it may have been revoked, or belong to another fleet")

// Authenticate finds whose key the text is. It compares with every key in constant time, so that the time taken tells
// nothing about any of them.
func Authenticate(keys []Key, text string) (Principal, error) {
	if len(text) != keyLength || !strings.HasPrefix(text, keyPrefix) || text[len(keyPrefix)+keyIDLength] != '_' {
		return Principal{}, ErrNotAKey
	}
	hash := HashOf(text)
	found := -1
	for i := range keys {
		if subtle.ConstantTimeCompare(hash[:], keys[i].Hash[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return Principal{}, ErrUnknownKey
	}
	return Principal{keys[found].Name, keys[found].Role}, nil
}
