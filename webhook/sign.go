package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// The headers of a delivery, as Standard Webhooks names them (version 1.0.0 of its specification).
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// Tolerance is how far the time of a delivery may be from the receiver's clock, either way.
const Tolerance = 5 * time.Minute

const (
	secretPrefix           = "whsec_"
	scheme                 = "v1"
	minSecret, maxSecret   = 24, 64 // bytes
	newSecret              = 32     // bytes
	maxSignaturesInAHeader = 16
)

// Secret is a key that a receiver shares with us. Its text is "whsec_" and the base64 of 24 to 64 bytes. Printing one by accident prints
// no key: [Secret.Text] does.
type Secret struct{ key []byte }

// NewSecret makes a secret of 32 bytes of r, which must be fit for keys.
func NewSecret(r io.Reader) (Secret, error) {
	key := make([]byte, newSecret)
	if _, err := io.ReadFull(r, key); err != nil {
		return Secret{}, fmt.Errorf("making a secret: %w", err)
	}
	return Secret{key}, nil
}

// ParseSecret reads the text of a secret. The error does not repeat it.
func ParseSecret(text string) (Secret, error) {
	coded, ok := strings.CutPrefix(text, secretPrefix)
	if !ok {
		return Secret{}, errors.New(`a secret begins with "whsec_"`)
	}
	key, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		return Secret{}, errors.New(`a secret is "whsec_" and base64 with padding: was a part of it lost in copying?`)
	}
	if len(key) < minSecret || len(key) > maxSecret {
		return Secret{}, fmt.Errorf("a secret has %d to %d bytes, and this one has %d", minSecret, maxSecret, len(key))
	}
	return Secret{key}, nil
}

// Text is what the receiver configures: "whsec_...".
func (s Secret) Text() string { return secretPrefix + base64.StdEncoding.EncodeToString(s.key) }

// String hides the key.
func (s Secret) String() string { return secretPrefix + "..." }

// GoString hides the key.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the key as well: a structure that is written somewhere as a whole does not take it along.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Secret) sum(id string, at time.Time, body []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	io.WriteString(h, id)
	io.WriteString(h, "."+strconv.FormatInt(at.Unix(), 10)+".")
	h.Write(body)
	return h.Sum(nil)
}

// Sign is the value of the signature header for a delivery: one signature of each secret, so that a receiver may have the old one or the new one
// while he changes it.
func Sign(secrets []Secret, id string, at time.Time, body []byte) string {
	var b strings.Builder
	for i, s := range secrets {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(scheme + "," + base64.StdEncoding.EncodeToString(s.sum(id, at, body)))
	}
	return b.String()
}

// What Verify says of a delivery that is not to be believed.
var (
	ErrSignature = errors.New("no signature of the delivery is by this secret: is it the secret of this endpoint, and the body as it came, byte by byte?")
	ErrTooOld    = errors.New("the delivery was signed more than five minutes ago: it may be an old one that somebody sends again")
	ErrTooNew    = errors.New("the delivery is from more than five minutes in the future: check the clock of this machine")
	ErrHeaders   = errors.New("the delivery lacks one of the headers webhook-id, webhook-timestamp and webhook-signature, or it is malformed")
)

// Verify is what a receiver does: it checks that a delivery with these three headers and this body was signed with the secret, and within
// [Tolerance] of now.
func Verify(secret Secret, id, timestamp, signatures string, body []byte, now time.Time) error {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || id == "" || signatures == "" {
		return ErrHeaders
	}
	at := time.Unix(seconds, 0)
	switch {
	case at.Before(now.Add(-Tolerance)):
		return ErrTooOld
	case at.After(now.Add(Tolerance)):
		return ErrTooNew
	}
	want := secret.sum(id, at, body)
	list := strings.Fields(signatures)
	for _, one := range list[:min(len(list), maxSignaturesInAHeader)] {
		version, coded, _ := strings.Cut(one, ",")
		if version != scheme {
			continue // of a scheme to come, or an asymmetric one
		}
		if got, err := base64.StdEncoding.DecodeString(coded); err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return ErrSignature
}
