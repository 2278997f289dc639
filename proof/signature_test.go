package proof

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/link"
)

var noon = time.Date(2026, 5, 27, 12, 0, 0, 0, time.UTC)

// pki is an authority and the credentials of its site 2.
func pki(t *testing.T) (authority []byte, signer *link.Credentials) {
	t.Helper()
	ca, err := link.NewCA("test", noon, 365*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.NewSiteCert(2, noon, 30*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	signer, err = link.NewCredentials(ca.Pair().Cert, pair, noon)
	if err != nil {
		t.Fatal(err)
	}
	return ca.Pair().Cert, signer
}

func signed(t *testing.T, s Signer, target, body string) Answer {
	t.Helper()
	h := http.Header{}
	if err := Sign(s, h, http.MethodGet, target, http.StatusOK, []byte(body), noon); err != nil {
		t.Fatal(err)
	}
	a, err := Hear(http.MethodGet, target, http.StatusOK, h, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAnAnswerIsVerified(t *testing.T) {
	authority, signer := pki(t)
	for _, target := range []string{"/v1/sites", "/v1/accounts/x/statement?limit=1000&cursor=a%3Db"} {
		for range 20 { // the halves of a signature have leading zeros now and then
			a := signed(t, signer, target, `{"a":1}`)
			who, err := a.Verify(authority)
			if err != nil || who.Site != 2 || who.Cluster != "test" || !who.At.Equal(noon) {
				t.Fatalf("%s: %+v, %v", target, who, err)
			}
		}
	}
}

// TestWhatWasChangedIsForged changes each thing that a signature is about.
func TestWhatWasChangedIsForged(t *testing.T) {
	authority, signer := pki(t)
	other, stranger := pki(t) // another fleet of the same name
	for name, forge := range map[string]func(a *Answer){
		"method":         func(a *Answer) { a.Method = "POST" },
		"path":           func(a *Answer) { a.Target = "/v1/shards" },
		"query":          func(a *Answer) { a.Target += "?limit=1" },
		"status":         func(a *Answer) { a.Status = 404 },
		"body":           func(a *Answer) { a.Body[0] = '[' },
		"time":           func(a *Answer) { a.Input = strings.Replace(a.Input, "created=1", "created=2", 1) },
		"cover":          func(a *Answer) { a.Input = strings.Replace(a.Input, ` "content-digest"`, "", 1) },
		"no time":        func(a *Answer) { a.Input = "site=" + covered + ";" },
		"no input":       func(a *Answer) { a.Input = "" },
		"signature":      func(a *Answer) { a.Signature = "site=" + octets(make([]byte, 2*half)) },
		"cut":            func(a *Answer) { a.Signature = a.Signature[:20] },
		"certificate":    func(a *Answer) { a.Certificate = stranger.Certificate() },
		"no certificate": func(a *Answer) { a.Certificate = nil },
	} {
		a := signed(t, signer, "/v1/sites", `{"a":1}`)
		forge(&a)
		if who, err := a.Verify(authority); !errors.Is(err, ErrForged) {
			t.Errorf("%s: taken for an answer of %+v (%v)", name, who, err)
		}
	}
	a := signed(t, signer, "/v1/sites", `{"a":1}`)
	if _, err := a.Verify(other); !errors.Is(err, ErrForged) {
		t.Errorf("believed for another authority: %v", err)
	}
}

// TestACertificateCountsWhenItWasGood: evidence outlives certificates.
func TestACertificateCountsWhenItWasGood(t *testing.T) {
	authority, signer := pki(t)
	h := http.Header{}
	late := noon.Add(31 * 24 * time.Hour)
	if err := Sign(signer, h, http.MethodGet, "/", 200, nil, late); err != nil {
		t.Fatal(err)
	}
	a, err := Hear(http.MethodGet, "/", 200, h, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Verify(authority); !errors.Is(err, ErrForged) {
		t.Errorf("signed with a certificate that had expired, and believed: %v", err)
	}
}

// TestAVerifierRemembersNothingButWhatWasGood: a certificate that it knows counts when it was good, whoever shows it, and for what it has
// signed.
func TestAVerifierRemembersNothingButWhatWasGood(t *testing.T) {
	authority, signer := pki(t)
	v, err := NewVerifier(authority)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(at time.Time) *Answer {
		h := http.Header{}
		if err := Sign(signer, h, http.MethodGet, "/v1/sites", 200, []byte("{}"), at); err != nil {
			t.Fatal(err)
		}
		a, err := Hear(http.MethodGet, "/v1/sites", 200, h, []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		return &a
	}
	good, late, changed := answer(noon), answer(noon.Add(31*24*time.Hour)), answer(noon)
	changed.Body = []byte("[]")
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for range 3 {
				if who, err := v.Verify(good); err != nil || who.Site != 2 || !who.At.Equal(noon) {
					t.Errorf("%+v, %v", who, err)
				}
				for what, a := range map[string]*Answer{"after its certificate had expired": late, "and changed": changed} {
					if _, err := v.Verify(a); !errors.Is(err, ErrForged) {
						t.Errorf("signed %s, and believed: %v", what, err)
					}
				}
			}
		})
	}
	work.Wait()
	if len(v.good) != 1 {
		t.Errorf("%d certificates are remembered, want that of one second", len(v.good))
	}
	if _, err := NewVerifier([]byte("no certificate")); err == nil {
		t.Error("there is no authority, and it is trusted")
	}
}

func TestHearSaysThatNothingWasSigned(t *testing.T) {
	if _, err := Hear(http.MethodGet, "/", 200, http.Header{}, nil); err == nil {
		t.Error("an answer without a signature was taken")
	}
}
