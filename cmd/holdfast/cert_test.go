package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/link"
)

// The usual life of a certificate gives way to the end of the authority, and says so; one that was asked for does not.
func TestCertOfAnAuthorityNearItsEnd(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	ca, err := link.NewCA("prod", now, 100*day+time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := link.WritePair(file("ca.crt"), file("ca.key"), ca.Pair()); err != nil {
		t.Fatal(err)
	}
	cert := func(status int, says string, more ...string) {
		t.Helper()
		var out, errs strings.Builder
		if got := run(append([]string{"cert", "site", "--dir", dir}, more...), &out, &errs); got != status || !strings.Contains(errs.String(), says) {
			t.Errorf("cert site %v: status %d, want %d and %q:\n%s%s", more, got, status, says, &out, &errs)
		}
	}
	end := ca.Expires().UTC().Format(time.DateOnly)
	cert(exitGood, "The authority ends "+end+", and the certificate with it, after 100 days instead of 730", "--site", "1")
	cert(exitUsage, "the authority ends "+end+", and no certificate outlives it: give 100 or fewer", "--site", "2", "--days", "101")
	if _, err := os.Stat(file("site-2.key")); err == nil {
		t.Error("a key was written for a certificate that was refused")
	}
	cert(exitGood, "", "--site", "2", "--days", "100")
	for name, want := range map[string]time.Time{"site-1": ca.Expires(), "site-2": now.Add(100 * day)} {
		c, err := link.LoadCredentials(file("ca.crt"), file(name+".crt"), file(name+".key"), now)
		if err != nil {
			t.Fatal(err)
		}
		if off := c.Expires().Sub(want).Abs(); off > time.Minute {
			t.Errorf("%s is good until %v, want %v", name, c.Expires(), want)
		}
	}
}
