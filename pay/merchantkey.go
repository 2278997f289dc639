package pay

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"

	"holdfast"
)

// A merchant's key lets whoever has it ask for what is that merchant's, and for nothing else. It is a text that is shown once:
//
//	hfm_2088000000010420_aaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
//
// the number of the merchant, eight characters that name the key, and 32 characters that carry 160 random bits. Stored is its SHA-256: with so
// many random bits a slow hash would add nothing.

// MerchantKey is a key as the platform stores it.
type MerchantKey struct {
	ID      string // no part of the body
	Name    string // for people: who uses it; nothing personal
	Hash    string // SHA-256 of the whole text
	Created holdfast.Time
}

func (*MerchantKey) kind() (byte, byte) { return 67, 1 }

func (v *MerchantKey) layout(c *coder) {
	text(c, &v.Name)
	text(c, &v.Hash)
	signed(c, &v.Created)
}

// endedKey remembers that a key was revoked, so that the request that had made it does not make it again.
type endedKey struct{ At holdfast.Time }

func (*endedKey) kind() (byte, byte) { return 68, 1 }

func (v *endedKey) layout(c *coder) { signed(c, &v.At) }

// MerchantKeyPrefix begins every key of a merchant.
const MerchantKeyPrefix = "hfm_"

const (
	kindKey         = "key"
	kindEndedKey    = "endedkey"
	keyOwnerDigits  = 16
	keyNameLength   = 8 // 5 bytes in base 32
	keySecretLength = 32
	keyLength       = len(MerchantKeyPrefix) + keyOwnerDigits + 1 + keyNameLength + keySecretLength
	maxKeys         = 10

	// KeyBytes is how many random bytes a key of a merchant is made of.
	KeyBytes = 25
)

// keyText is base 32 in lower case without 0, 1, 8, 9, as in the platform's own keys.
var keyText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// MerchantOfKey takes the text of a key apart; it says nothing about whether there is such a key.
func MerchantOfKey(key string) (o holdfast.Owner, id string, ok bool) {
	rest, ok := strings.CutPrefix(key, MerchantKeyPrefix)
	if !ok || len(key) != keyLength || rest[keyOwnerDigits] != '_' {
		return 0, "", false
	}
	o, err := holdfast.ParseOwner(rest[:keyOwnerDigits])
	id = rest[keyOwnerDigits+1:][:keyNameLength]
	return o, id, err == nil && keyName(id)
}

func keyName(id string) bool {
	return len(id) == keyNameLength && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// IssueKey makes a key of a merchant, at most ten at a time. The text is what its user keeps: it is nowhere stored. The same bytes again are
// the same key, as it was made; once it is revoked they are refused.
func (c *Cashier) IssueKey(ctx context.Context, merchant holdfast.Owner, name string, random [KeyBytes]byte, now holdfast.Time) (v MerchantKey, secret string, err error) {
	if err := validText(name, "name", 128); err != nil {
		return v, "", err
	}
	text := keyText.EncodeToString(random[:])
	secret = fmt.Sprintf("%s%s_%s", MerchantKeyPrefix, merchant, text)
	sum := sha256.Sum256([]byte(secret))
	v = MerchantKey{ID: text[:keyNameLength], Name: name, Hash: string(sum[:]), Created: now}
	err = c.again(ctx, func() error {
		if _, err := c.must(ctx, keyOf(merchant, kindMerchant), &Merchant{}, refuse(MerchantUnknown, "merchant")); err != nil {
			return err
		}
		had, err := c.Keys(ctx, merchant)
		same := slices.IndexFunc(had, func(k MerchantKey) bool { return k.ID == v.ID && k.Hash == v.Hash })
		switch {
		case err != nil:
			return err
		case same >= 0 && had[same].Name != name:
			return refuse(RequestDiffers, "name")
		case same >= 0:
			v = had[same]
			return nil
		}
		ended := keyOf(merchant, kindEndedKey, v.ID)
		if was, err := c.load(ctx, ended, &endedKey{}); err != nil || was > 0 {
			return first(err, refuse(KeyRevoked, "key"))
		}
		if len(had) >= maxKeys {
			return refuse(TooMany, "keys")
		}
		d := draft{at: now}
		d.need(ended, 0)
		d.put(keyOf(merchant, kindKey, v.ID), 0, &v)
		return c.submit(ctx, &d)
	})
	return v, secret, err
}

// Keys lists the keys of a merchant.
func (c *Cashier) Keys(ctx context.Context, merchant holdfast.Owner) (list []MerchantKey, err error) {
	prefix := keyOf(merchant, kindKey, "")
	_, err = c.listed(ctx, prefix, "", 2*maxKeys, func(rest string, body []byte) error { // two sites may issue the last one at once
		v := MerchantKey{ID: rest}
		err := unpack(prefix+rest, body, &v)
		list = append(list, v)
		return err
	})
	return list, err
}

// RevokeKey ends a key. One that is not there, or not any more, is no error.
func (c *Cashier) RevokeKey(ctx context.Context, merchant holdfast.Owner, id string, now holdfast.Time) error {
	if !keyName(id) {
		return refuse(FieldInvalid, "key")
	}
	key := keyOf(merchant, kindKey, id)
	return c.again(ctx, func() error {
		version, err := c.load(ctx, key, &MerchantKey{})
		if err != nil || version == 0 {
			return err
		}
		d := draft{at: now}
		d.Records = append(d.Records, holdfast.RecordChange{Key: key, Expect: version, Delete: true})
		d.put(keyOf(merchant, kindEndedKey, id), 0, &endedKey{now})
		return c.submit(ctx, &d)
	})
}

// CheckKey tells whose a key is; ok is false when nobody has it, or not any more. It costs one read.
func (c *Cashier) CheckKey(ctx context.Context, key string) (o holdfast.Owner, v MerchantKey, ok bool, err error) {
	o, id, ok := MerchantOfKey(key)
	if !ok {
		return 0, v, false, nil
	}
	version, err := c.load(ctx, keyOf(o, kindKey, id), &v)
	if err != nil || version == 0 {
		return 0, v, false, settled(err)
	}
	v.ID = id
	sum := sha256.Sum256([]byte(key))
	return o, v, subtle.ConstantTimeCompare(sum[:], []byte(v.Hash)) == 1, nil
}
