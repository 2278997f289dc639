package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The file is made once, read as it was made, and refused when anybody else could read it or it was damaged; the refusal repeats no key.
func TestPaymentKeys(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "payment-keys.toml")
	made, err := makePaymentKeys(file)
	if err != nil {
		t.Fatal(err)
	}
	read, err := readPaymentKeys(file)
	if err != nil || string(read.alias) != string(made.alias) || string(read.seal) != string(made.seal) || !read.gateway.Equal(made.gateway) {
		t.Fatalf("read back: %v, the same keys: %v", err, string(read.alias) == string(made.alias))
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := makePaymentKeys(file); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("made over a file that was there: %v", err)
	}
	if again, err := os.ReadFile(file); err != nil || string(again) != string(text) {
		t.Errorf("the file changed: %v", err)
	}
	for _, c := range []struct {
		name, text, want string
		mode             os.FileMode
	}{
		{"others may read", string(text), "chmod 600", 0o640},
		{"a short key", strings.Replace(string(text), "aliases = \"", "aliases = \"00", 1), "aliases in", 0o600},
		{"no gateway", string(text[:strings.Index(string(text), "gateway = ")]), "gateway in", 0o600},
		{"another field", string(text) + "more = 1\n", "payment-keys", 0o600},
		{"no TOML", "keys", "payment-keys", 0o600},
	} {
		bad := filepath.Join(t.TempDir(), "bad.toml")
		if err := os.WriteFile(bad, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := readPaymentKeys(bad)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want one with %q", c.name, err, c.want)
		}
	}
	if _, err := readPaymentKeys(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "holdfast payment-keys") {
		t.Errorf("no file: %v", err)
	}
}
