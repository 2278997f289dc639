package proof

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"

	"holdfast"
)

// Headers of a signed answer, and the one that asks for a signature (RFC 9421, section 5.1).
const (
	HeaderAsk         = "Accept-Signature"
	HeaderDigest      = "Content-Digest"
	HeaderInput       = "Signature-Input"
	HeaderSignature   = "Signature"
	HeaderCertificate = "Holdfast-Certificate"
)

// Ask is the value of [HeaderAsk] that a site of Holdfast understands: what it is to cover.
const Ask = label + "=" + covered + `;keyid;alg="` + algorithm + `"`

const (
	label     = "site"
	covered   = `("@method";req "@path";req "@query";req "@status" "content-digest")`
	algorithm = "ecdsa-p256-sha256" // RFC 9421, section 3.3.4: the two halves of 32 bytes, one after the other
	half      = 32
)

// Answer is what a site said, as it came.
type Answer struct {
	Method      string `json:"method"`
	Target      string `json:"target"` // path and query
	Status      int    `json:"status"`
	Body        []byte `json:"body"`
	Input       string `json:"signature_input"`
	Signature   string `json:"signature"`
	Certificate []byte `json:"certificate"` // DER
}

// Signer is who signs: the key of a site.
type Signer interface {
	// SignDigest makes an ASN.1 signature of a SHA-256 digest.
	SignDigest(digest []byte) ([]byte, error)
	// KeyID is holdfast://<cluster>/site/<number>, as it stands in the certificate.
	KeyID() string
	// Certificate is in DER.
	Certificate() []byte
}

// Sign puts the headers of a signed answer into h.
func Sign(s Signer, h http.Header, method, target string, status int, body []byte, now time.Time) error {
	params := fmt.Sprintf(`%s;created=%d;keyid=%q;alg=%q`, covered, now.Unix(), s.KeyID(), algorithm)
	sum := sha256.Sum256(base(method, target, status, body, params))
	asn, err := s.SignDigest(sum[:])
	if err != nil {
		return fmt.Errorf("sign the answer: %w", err)
	}
	raw, err := fixed(asn)
	if err != nil {
		return err
	}
	h.Set(HeaderDigest, digestOf(body))
	h.Set(HeaderInput, label+"="+params)
	h.Set(HeaderSignature, label+"="+octets(raw))
	h.Set(HeaderCertificate, octets(s.Certificate()))
	return nil
}

// Hear takes the signed answer out of a response.
func Hear(method, target string, status int, h http.Header, body []byte) (Answer, error) {
	return Keep(method, target, status, body, h.Get(HeaderInput), h.Get(HeaderSignature), h.Get(HeaderCertificate))
}

// Keep makes an answer of the values of its headers.
func Keep(method, target string, status int, body []byte, input, signature, certificate string) (Answer, error) {
	der, err := fromOctets(certificate)
	if err != nil {
		return Answer{}, fmt.Errorf("%s: %w", HeaderCertificate, err)
	}
	return Answer{Method: method, Target: target, Status: status, Body: bytes.Clone(body), Input: input, Signature: signature, Certificate: der}, nil
}

// Signatory is who has signed, and when by its clock.
type Signatory struct {
	Cluster string
	Site    holdfast.SiteID
	At      time.Time
}

// ErrForged is the start of every error about an answer that was not signed by whom it says, or not as it stands.
var ErrForged = errors.New("the answer is not what a site of this fleet has signed")

// Verify says who has signed the answer. authority holds the certificates of the fleet's authority, in PEM. Who has many answers makes a
// [Verifier].
func (a *Answer) Verify(authority []byte) (Signatory, error) {
	v, err := NewVerifier(authority)
	if err != nil {
		return Signatory{}, fmt.Errorf("%w: %w", ErrForged, err)
	}
	return v.Verify(a)
}

// Verify says who has signed an answer.
func (v *Verifier) Verify(a *Answer) (Signatory, error) {
	params, ok := strings.CutPrefix(a.Input, label+"=")
	if !ok || !strings.HasPrefix(params, covered+";") {
		return Signatory{}, fmt.Errorf("%w: the signature does not cover question, status and content", ErrForged)
	}
	created, err := createdAt(params)
	if err != nil {
		return Signatory{}, fmt.Errorf("%w: %w", ErrForged, err)
	}
	signer, err := v.signer(a.Certificate, created)
	if err != nil {
		return Signatory{}, fmt.Errorf("%w: its certificate: %w", ErrForged, err)
	}
	text, ok := strings.CutPrefix(a.Signature, label+"=")
	raw, err := fromOctets(text)
	if !ok || err != nil || len(raw) != 2*half || signer.key == nil {
		return signer.Signatory, fmt.Errorf("%w: there is no signature", ErrForged)
	}
	sum := sha256.Sum256(base(a.Method, a.Target, a.Status, a.Body, params))
	if !ecdsa.Verify(signer.key, sum[:], new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])) {
		return signer.Signatory, fmt.Errorf("%w: the signature of site %d does not match %s %s", ErrForged, signer.Site, a.Method, a.Target)
	}
	return signer.Signatory, nil
}

// base is the text that is signed (RFC 9421, section 2.5).
func base(method, target string, status int, body []byte, params string) []byte {
	path, query, _ := strings.Cut(target, "?")
	var b bytes.Buffer
	fmt.Fprintf(&b, "\"@method\";req: %s\n\"@path\";req: %s\n\"@query\";req: ?%s\n\"@status\": %d\n\"content-digest\": %s\n\"@signature-params\": %s",
		method, path, query, status, digestOf(body), params)
	return b.Bytes()
}

func digestOf(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha-256=" + octets(sum[:])
}

// octets is a byte sequence of a structured field (RFC 8941, section 3.3.5).
func octets(b []byte) string { return ":" + base64.StdEncoding.EncodeToString(b) + ":" }

func fromOctets(text string) ([]byte, error) {
	inner, begins := strings.CutPrefix(text, ":")
	inner, ends := strings.CutSuffix(inner, ":")
	if !begins || !ends {
		return nil, fmt.Errorf("%.20q is not a byte sequence between colons", text)
	}
	b, err := base64.StdEncoding.DecodeString(inner)
	if err != nil {
		return nil, fmt.Errorf("%.20q is not base64: %w", text, err)
	}
	return b, nil
}

func createdAt(params string) (time.Time, error) {
	_, rest, ok := strings.Cut(params, ";created=")
	number, _, _ := strings.Cut(rest, ";")
	seconds, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil {
		return time.Time{}, errors.New("the signature does not say when it was made")
	}
	return time.Unix(seconds, 0).UTC(), nil
}
