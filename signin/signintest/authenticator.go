// Package signintest is an authenticator in software, for tests of passkeys: it makes keys (ES256) and signs with them as a phone does, with the options that a
// browser would be given. It is not for production.
package signintest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
)

// Authenticator has one key at most.
type Authenticator struct {
	Origin string // of the page that asks
	Count  uint32 // of its signatures; it counts when it is not 0
	RP     string // that it says it is asked by; "": what the options say

	key    *ecdsa.PrivateKey
	id     []byte
	handle []byte
}

var b64 = base64.RawURLEncoding

// Flags of authenticator data: somebody was present and verified; key data follows.
const (
	presentAndVerified = 0x05
	withKey            = 0x40
)

type object = map[string]any

// Create makes a key, and answers as PublicKeyCredential.toJSON() does.
func (a *Authenticator) Create(options []byte) ([]byte, error) {
	var o struct {
		RP struct {
			ID string `json:"id"`
		} `json:"rp"`
		User struct {
			ID string `json:"id"`
		} `json:"user"`
		Challenge string `json:"challenge"`
	}
	err := json.Unmarshal(options, &o)
	if err == nil {
		a.handle, err = b64.DecodeString(o.User.ID)
	}
	if err != nil {
		return nil, err
	}
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	a.id = make([]byte, 24)
	if _, err := rand.Read(a.id); err != nil {
		return nil, err
	}
	data := append(a.data(o.RP.ID, presentAndVerified|withKey), make([]byte, 16)...) // a model without a name
	data = binary.BigEndian.AppendUint16(data, uint16(len(a.id)))
	data = append(data, a.id...)
	public, err := a.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return nil, err
	}
	data = append(data, cose(public[1:33], public[33:])...)
	return a.answer(object{"clientDataJSON": b64.EncodeToString(a.client("webauthn.create", o.Challenge)), "attestationObject": b64.EncodeToString(attestation(data)), "transports": []string{"internal"}})
}

// Get signs a challenge.
func (a *Authenticator) Get(options []byte) ([]byte, error) {
	var o struct {
		RP        string `json:"rpId"`
		Challenge string `json:"challenge"`
	}
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, err
	}
	if a.key == nil {
		return nil, errors.New("the authenticator has no key")
	}
	if a.Count > 0 {
		a.Count++
	}
	data, client := a.data(o.RP, presentAndVerified), a.client("webauthn.get", o.Challenge)
	said := sha256.Sum256(client)
	sum := sha256.Sum256(append(data[:len(data):len(data)], said[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, sum[:])
	if err != nil {
		return nil, err
	}
	return a.answer(object{
		"clientDataJSON": b64.EncodeToString(client), "authenticatorData": b64.EncodeToString(data), "signature": b64.EncodeToString(signature), "userHandle": b64.EncodeToString(a.handle),
	})
}

func (a *Authenticator) answer(response object) ([]byte, error) {
	id := b64.EncodeToString(a.id)
	return json.Marshal(object{"id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": object{}, "authenticatorAttachment": "platform"})
}

func (a *Authenticator) client(kind, challenge string) []byte {
	text, err := json.Marshal(object{"type": kind, "challenge": challenge, "origin": a.Origin, "crossOrigin": false})
	if err != nil {
		panic(err) // texts
	}
	return text
}

func (a *Authenticator) data(rp string, flags byte) []byte {
	if a.RP != "" {
		rp = a.RP
	}
	sum := sha256.Sum256([]byte(rp))
	return binary.BigEndian.AppendUint32(append(sum[:], flags), a.Count)
}

// cose is a public key of ES256 as CBOR: {1: 2, 3: -7, -1: 1, -2: x, -3: y}.
func cose(x, y []byte) []byte {
	b := append([]byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20}, x...)
	return append(append(b, 0x22, 0x58, 0x20), y...)
}

// attestation says nothing about the model, as CBOR: {"fmt": "none", "attStmt": {}, "authData": data}.
func attestation(data []byte) []byte {
	b := append([]byte{0xa3, 0x63}, "fmt"...)
	b = append(append(b, 0x64), "none"...)
	b = append(append(append(b, 0x67), "attStmt"...), 0xa0, 0x68)
	b = append(append(b, "authData"...), 0x59)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(data))), data...)
}
