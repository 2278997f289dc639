package pay_test

import (
	"testing"

	"holdfast/pay"
)

// Two attempts of one request to add an app, at two sites, each make a key: whoever is answered last is told the one that signs.
func TestAnAppKeepsTheFirstKeyOfThePlatform(t *testing.T) {
	w := newWorld(t)
	for _, made := range []string{"key-1", "key-2"} {
		a, err := w.cashier.PutApp(w.ctx, w.merchants[0], 3, pay.App{PublicKey: "der", PlatformKey: made}, w.tick())
		if err != nil || a.PlatformKey != "key-1" {
			t.Errorf("with %s the key is %q: %v", made, a.PlatformKey, err)
		}
		if a, err = w.cashier.App(w.ctx, a.ID); err != nil || a.PlatformKey != "key-1" {
			t.Errorf("with %s the key that signs is %q: %v", made, a.PlatformKey, err)
		}
	}
}
