package holdfast

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAmountArithmeticIsChecked(t *testing.T) {
	for _, c := range []struct {
		a, b     Amount
		sum      bool
		sub      bool
		wantSum  Amount
		wantDiff Amount
	}{
		{1, 2, true, true, 3, -1},
		{math.MaxInt64, 1, false, true, 0, math.MaxInt64 - 1},
		{math.MinInt64, -1, false, true, 0, math.MinInt64 + 1},
		{math.MinInt64, 1, true, false, math.MinInt64 + 1, 0},
		{math.MaxInt64, -1, true, false, math.MaxInt64 - 1, 0},
		{0, math.MinInt64, true, false, math.MinInt64, 0},
		{5, 0, true, true, 5, 5},
	} {
		sum, ok := c.a.Add(c.b)
		if ok != c.sum || ok && sum != c.wantSum {
			t.Errorf("%d + %d = %d, %v; want %d, %v", c.a, c.b, sum, ok, c.wantSum, c.sum)
		}
		diff, ok := c.a.Sub(c.b)
		if ok != c.sub || ok && diff != c.wantDiff {
			t.Errorf("%d - %d = %d, %v; want %d, %v", c.a, c.b, diff, ok, c.wantDiff, c.sub)
		}
	}
}

func TestOwnerNumbers(t *testing.T) {
	o, err := NewOwner(1, 42)
	if err != nil || len(o.String()) != 16 || o.Slot() != 42 || o.Sequence() != 1 {
		t.Fatalf("NewOwner(1, 42) = %v (slot %d, sequence %d), %v", o, o.Slot(), o.Sequence(), err)
	}
	rapid.Check(t, func(t *rapid.T) {
		o, err := NewOwner(rapid.Uint32Range(0, MaxOwnerSequence).Draw(t, "sequence"), Slot(rapid.Uint16Range(0, Slots-1).Draw(t, "slot")))
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseOwner(o.String()); err != nil || back != o {
			t.Fatalf("ParseOwner(%s) = %v, %v", o, back, err)
		}
		// Luhn finds every single wrong digit after the prefix.
		digits := []byte(o.String())
		at := rapid.IntRange(4, 15).Draw(t, "at")
		digits[at] = '0' + (digits[at]-'0'+byte(rapid.IntRange(1, 9).Draw(t, "by")))%10
		if _, err := ParseOwner(string(digits)); err == nil {
			t.Fatalf("%s passes with digit %d of %s changed", digits, at, o)
		}
	})
}

func TestOwnerRefusesBadNumbers(t *testing.T) {
	for _, text := range []string{"", "1", "2088000000010421", "1088000000010420", "20880000000104200", "208800000001042x", "-208800000001042"} {
		if o, err := ParseOwner(text); err == nil {
			t.Errorf("ParseOwner(%q) = %v, want an error", text, o)
		}
	}
	if _, err := NewOwner(MaxOwnerSequence+1, 0); err == nil {
		t.Error("a sequence of nine digits was taken")
	}
	if _, err := NewOwner(0, Slots); err == nil {
		t.Error("slot 1000 was taken")
	}
}

func TestPackedNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		asset := rapid.StringMatching(`[A-Z][A-Z0-9]{0,5}`).Draw(t, "asset")
		if a, err := ParseAsset(asset); err != nil || a.String() != asset || !a.Valid() {
			t.Fatalf("asset %q came back as %q, %v", asset, a, err)
		}
		one := rapid.StringMatching(`[a-z][a-z0-9-]{0,11}`).Draw(t, "purpose")
		two := rapid.StringMatching(`[a-z][a-z0-9-]{0,11}`).Draw(t, "other")
		p, err := ParsePurpose(one)
		if err != nil || p.String() != one || !p.Valid() {
			t.Fatalf("purpose %q came back as %q, %v", one, p, err)
		}
		if (p == MustPurpose(two)) != (one == two) {
			t.Fatalf("%q and %q are packed alike", one, two)
		}
	})
	for _, bad := range []string{"", "cny", "1CNY", "TOOLONG", "C Y", "C-Y"} {
		if _, err := ParseAsset(bad); err == nil {
			t.Errorf("asset %q was taken", bad)
		}
	}
	for _, bad := range []string{"", "Wallet", "1wallet", "-wallet", "averylongpurpose", "wal let"} {
		if _, err := ParsePurpose(bad); err == nil {
			t.Errorf("purpose %q was taken", bad)
		}
	}
	if Asset(0).Valid() || Purpose(0).Valid() || Asset(math.MaxUint32).Valid() || Purpose(math.MaxUint64).Valid() {
		t.Error("a number that no name packs into counts as valid")
	}
}

func TestAccountIDForms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		owner, _ := NewOwner(rapid.Uint32Range(0, MaxOwnerSequence).Draw(t, "sequence"), Slot(rapid.Uint16Range(0, Slots-1).Draw(t, "slot")))
		id := AccountID{
			owner, MustPurpose(rapid.StringMatching(`[a-z][a-z0-9-]{0,11}`).Draw(t, "purpose")),
			MustAsset(rapid.StringMatching(`[A-Z][A-Z0-9]{0,5}`).Draw(t, "asset")),
		}
		if back, err := ParseAccountID(id.String()); err != nil || back != id {
			t.Fatalf("text: %v came back as %v, %v", id, back, err)
		}
		binary := id.Append(nil)
		if len(binary) != AccountIDBytes || AccountIDOf(binary) != id {
			t.Fatalf("binary: %v came back as %v", id, AccountIDOf(binary))
		}
		if err := id.Check(); err != nil {
			t.Fatal(err)
		}
	})
	for _, bad := range []string{"", "2088000000010420", "2088000000010420.wallet", "2088000000010420.wallet.CNY.x", "2088000000010429.wallet.CNY"} {
		if _, err := ParseAccountID(bad); err == nil {
			t.Errorf("account %q was taken", bad)
		}
	}
}

func TestIDs(t *testing.T) {
	id := NewID(1_700_000_000_123_000_000, [10]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	text := id.String()
	if text[14] != '7' || !strings.ContainsRune("89ab", rune(text[19])) {
		t.Errorf("%s is not a UUIDv7", text)
	}
	if later := NewID(1_700_000_000_124_000_000, [10]byte{}); later.String() <= text {
		t.Errorf("%s was made later than %s and sorts before it", later, text)
	}
	if back, err := ParseID(strings.ToUpper(text)); err != nil || back != id {
		t.Errorf("ParseID(%s) = %v, %v", text, back, err)
	}
	if hi, lo := id.Words(); IDOf(hi, lo) != id {
		t.Errorf("IDOf(Words) = %v, want %v", IDOf(hi, lo), id)
	}
	for _, bad := range []string{"", "00000000-0000-0000-0000-000000000000", text[1:], text + "0", strings.Replace(text, "-", "_", 1), "zz" + text[2:]} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("id %q was taken", bad)
		}
	}
}

func TestEveryCodeHasANameAndAdvice(t *testing.T) {
	seen := map[string]Code{}
	for _, c := range Codes() {
		if c.Advice() == "" || !strings.HasSuffix(c.Advice(), ".") {
			t.Errorf("%v has no sentence of advice: %q", c, c.Advice())
		}
		if other, ok := seen[c.String()]; ok {
			t.Errorf("%d and %d share the name %v", c, other, c)
		}
		seen[c.String()] = c
		if back, err := ParseCode(c.String()); err != nil || back != c {
			t.Errorf("ParseCode(%v) = %v, %v", c, back, err)
		}
	}
	if Unknown != 0 {
		t.Error("the zero Status has to be Unknown: nothing is refused by default")
	}
}

// TestValidAgreesWithText: a packed name is valid when its text packs to the same number.
func TestValidAgreesWithText(t *testing.T) {
	try := func(n uint64) {
		p, a := Purpose(n), Asset(n)
		byText, err := ParsePurpose(p.String())
		if want := err == nil && byText == p; p.Valid() != want {
			t.Errorf("purpose %d, %q: valid is %v", n, p, p.Valid())
		}
		asset, err := ParseAsset(a.String())
		if want := err == nil && asset == a; a.Valid() != want {
			t.Errorf("asset %d, %q: valid is %v", uint32(n), a, a.Valid())
		}
	}
	for i := range uint64(100_000) {
		try(i * 0x9e3779b97f4a7c15) // all over the range
		try(i * packBase)
		try(uint64(MustPurpose("wallet")) + i)
		try(uint64(MustAsset("CNY")) + i*packBase*packBase)
	}
}
