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

// What a merchant changes of his app while the platform disables it is changed, and the app stays disabled: whoever began first.
func TestAChangedAppStaysDisabled(t *testing.T) {
	w := newWorld(t)
	a, err := w.cashier.PutApp(w.ctx, w.merchants[0], 3, pay.App{PublicKey: "der", PlatformKey: "key", Permissions: []string{pay.PermitAll}}, w.tick())
	if err != nil {
		t.Fatal(err)
	}
	tries := 0
	changed, err := w.cashier.ChangeApp(w.ctx, a.ID, func(app *pay.App) {
		if tries++; tries == 1 { // the platform is quicker
			if _, err := w.cashier.DisableApp(w.ctx, a.ID, true, w.tick()); err != nil {
				t.Fatal(err)
			}
		}
		app.Notify, app.Disabled, app.PlatformKey, app.Merchant = "https://shop.example/cb", false, "another", w.merchants[1]
	}, w.tick())
	if err != nil || !changed.Disabled || changed.PlatformKey != "key" || changed.Merchant != w.merchants[0] || changed.Notify == "" || tries != 2 {
		t.Errorf("after %d tries: %+v %v", tries, changed, err)
	}
	again, err := w.cashier.PutApp(w.ctx, w.merchants[0], 3, pay.App{PublicKey: "der"}, w.tick())
	if err != nil || !again.Disabled {
		t.Errorf("added once more: %+v %v", again, err)
	}
}
