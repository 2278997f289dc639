package link

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const year = 365 * 24 * time.Hour

var testNow = time.Now()

func newCA(t testing.TB, cluster string) *CA {
	t.Helper()
	ca, err := NewCA(cluster, testNow, 10*year)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestCertsThroughFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := WritePair(file("ca.pem"), file("ca.key"), newCA(t, "demo").Pair()); err != nil {
		t.Fatal(err)
	}
	ca, err := LoadCA(file("ca.pem"), file("ca.key"), testNow)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.NewSiteCert(7, testNow, year)
	if err != nil {
		t.Fatal(err)
	}
	if err := WritePair(file("site.pem"), file("site.key"), pair); err != nil {
		t.Fatal(err)
	}
	c, err := LoadCredentials(file("ca.pem"), file("site.pem"), file("site.key"), testNow)
	if err != nil {
		t.Fatal(err)
	}
	if c.Cluster != "demo" || c.Site != 7 || c.Expires().Sub(testNow.Add(year)).Abs() > time.Second {
		t.Errorf("got cluster %q, site %d, expires %v", c.Cluster, c.Site, c.Expires())
	}
	for _, key := range []string{"ca.key", "site.key"} {
		if info, err := os.Stat(file(key)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", key, info.Mode(), err)
		}
	}
	if err := WritePair(file("site.pem"), file("site.key"), pair); err == nil || !strings.Contains(err.Error(), "never overwritten") {
		t.Errorf("overwriting: %v", err)
	}
	if err := os.Chmod(file("site.key"), 0o640); err != nil {
		t.Fatal(err)
	}
	_, err = LoadCredentials(file("ca.pem"), file("site.pem"), file("site.key"), testNow)
	wantError(t, "key open to others", err, "chmod 600")
}

// A pair is written whole or not at all: a new key beside an old certificate is of no use, and looks as if it were.
func TestPairIsWrittenWholeOrNotAtAll(t *testing.T) {
	pair, err := newCA(t, "demo").NewSiteCert(7, testNow, year)
	if err != nil {
		t.Fatal(err)
	}
	for _, there := range []string{"site.crt", "site.key"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, there), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := WritePair(filepath.Join(dir, "site.crt"), filepath.Join(dir, "site.key"), pair)
		wantError(t, "with "+there, err, filepath.Join(dir, there)+" exists already")
		files, err := os.ReadDir(dir)
		if err != nil || len(files) != 1 || files[0].Name() != there {
			t.Errorf("with %s there is now %v, %v", there, files, err)
		}
		if text, err := os.ReadFile(filepath.Join(dir, there)); err != nil || string(text) != "old" {
			t.Errorf("%s was overwritten: %q, %v", there, text, err)
		}
	}
	dir := t.TempDir()
	err = WritePair(filepath.Join(dir, "nowhere", "site.crt"), filepath.Join(dir, "site.key"), pair)
	if files, _ := os.ReadDir(dir); err == nil || len(files) != 0 {
		t.Errorf("a certificate that could not be written: %v, and there is %v", err, files)
	}
}

func TestCertErrorsSayWhatToDo(t *testing.T) {
	ca, other := newCA(t, "demo"), newCA(t, "demo")
	pair, err := ca.NewSiteCert(1, testNow, year)
	if err != nil {
		t.Fatal(err)
	}
	second, err := ca.NewSiteCert(2, testNow, year)
	if err != nil {
		t.Fatal(err)
	}
	check := func(name, want string, caPEM []byte, p Pair, now time.Time) {
		_, err := NewCredentials(caPEM, p, now)
		wantError(t, name, err, want)
	}
	root := ca.Pair().Cert
	check("expired", "expired on", root, pair, testNow.Add(2*year))
	check("clock behind", "set the clock", root, pair, testNow.Add(-2*year))
	check("other authority", "not made by this authority", other.Pair().Cert, pair, testNow)
	check("an authority as a site", "is not that of a site", root, ca.Pair(), testNow)
	check("key of another", "do not belong together", root, Pair{Cert: pair.Cert, Key: second.Key}, testNow)
	check("no certificate", "no PEM certificate", nil, pair, testNow)
	check("key where certificates belong", "only certificates belong", ca.Pair().Key, pair, testNow)

	_, err = ca.NewSiteCert(1, testNow, 11*year)
	wantError(t, "longer than the authority", err, "outlive")
	_, err = ca.NewSiteCert(0, testNow, year)
	wantError(t, "site 0", err, "from 1")
	_, err = NewCA("Demo!", testNow, year)
	wantError(t, "cluster name", err, "for example demo")
	_, err = NewCA("demo", testNow, time.Minute)
	wantError(t, "short life", err, "too short")
	if _, err := NewCredentials(append(other.Pair().Cert, root...), pair, testNow); err != nil {
		t.Errorf("two authorities in one file: %v", err)
	}
}

func wantError(t *testing.T, name string, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: error %v, want one with %q", name, err, want)
	}
}
