package portal

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
)

// What people paste as the public key of their program, and what is wrong with it. A private key is never sent on, nor shown again.

// maxPasted is the longest text that may be a key.
const maxPasted = 8 << 10

// readPasted reads a public RSA key: PEM, or the Base64 of its DER alone, as key tools write it. It returns PEM, or the key of the words that say what is wrong.
func readPasted(text string) (plain, bad string) {
	text = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), "\ufeff"))
	switch {
	case text == "":
		return "", "key-empty"
	case looksPrivate(text):
		return "", "key-private"
	case len(text) > maxPasted:
		return "", "key-long"
	case strings.HasPrefix(text, "ssh-") || strings.HasPrefix(text, "ecdsa-"):
		return "", "key-ssh"
	case strings.Contains(text, "BEGIN CERTIFICATE"):
		return "", "key-certificate"
	}
	der, bad := pastedDER(text)
	if bad != "" {
		return "", bad
	}
	if privateDER(der) {
		return "", "key-private"
	}
	if _, err := x509.ParseCertificate(der); err == nil {
		return "", "key-certificate"
	}
	any, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		if any, err = x509.ParsePKCS1PublicKey(der); err != nil {
			return "", "key-cut"
		}
	}
	key, ok := any.(*rsa.PublicKey)
	switch {
	case !ok:
		return "", "key-kind"
	case key.N.BitLen() < 2048:
		return "", "key-short"
	case key.N.BitLen() > 4096:
		return "", "key-big"
	}
	if der, err = x509.MarshalPKIXPublicKey(key); err != nil {
		return "", "key-cut"
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), ""
}

// pastedDER is what stands between the lines of PEM, or the text itself.
func pastedDER(text string) (der []byte, bad string) {
	if strings.Contains(text, "-----") {
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			// Copied from a page or a chat, all of it may stand on one line.
			parts := strings.Split(text, "-----")
			if len(parts) != 5 {
				return nil, "key-cut"
			}
			text = parts[2]
		} else {
			return block.Bytes, ""
		}
	}
	text = strings.Join(strings.Fields(text), "")
	if der, err := base64.StdEncoding.DecodeString(text); err == nil {
		return der, ""
	}
	if der, err := base64.RawStdEncoding.DecodeString(text); err == nil {
		return der, ""
	}
	return nil, "key-base64"
}

// looksPrivate reports whether a text has a private key in it, whatever else.
func looksPrivate(text string) bool {
	if strings.Contains(text, "PRIVATE KEY") {
		return true
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	return err == nil && privateDER(der)
}

func privateDER(der []byte) bool {
	if _, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return true
	}
	if _, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return true
	}
	_, err := x509.ParseECPrivateKey(der)
	return err == nil
}

// private reports whether what was pasted must not be shown again.
func private(bad string) bool { return bad == "key-private" }
