package pay

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"holdfast"
)

// TestTransitions prints both tables as a page and compares it with the one that was read and agreed to; run with REWRITE=1 to write it.
func TestTransitions(t *testing.T) {
	var b strings.Builder
	fmt.Fprintln(&b, "trade")
	for a := range actions {
		for s := range statuses {
			next, err := s.after(a)
			fmt.Fprintf(&b, "%-14s %-16s %s\n", a, s, cell(next.String(), err))
		}
	}
	fmt.Fprintln(&b, "escrow")
	for i, name := range []string{"ship", "confirm", "lapse", "dispute", "decide", "refund"} {
		for p := range protections {
			next, err := p.after(step(i))
			fmt.Fprintf(&b, "%-14s %-16s %s\n", name, p, cell(next.String(), err))
		}
	}
	const file = "testdata/transitions.txt"
	if os.Getenv("REWRITE") != "" {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != b.String() {
		t.Errorf("the tables read differently (%v):\n%s", err, b.String())
	}
}

func cell(next string, err error) string {
	if err != nil {
		return "refused: " + string(refused(err))
	}
	return "-> " + next
}

// TestPasswordsAreThoseOfTheRFC: the SHA-256 rows of RFC 6238 appendix B, whose secret is 32 bytes and whose steps have 30 seconds.
func TestPasswordsAreThoseOfTheRFC(t *testing.T) {
	secret := []byte("12345678901234567890123456789012")
	for at, want := range map[uint64]uint32{
		59: 46119246, 1111111109: 68084774, 1111111111: 67062674, 1234567890: 91819424, 2000000000: 90698825, 20000000000: 77737706,
	} {
		if got := password(secret, at/30); got != want {
			t.Errorf("at %d: %08d, want %08d", at, got, want)
		}
	}
}

func documents() []document {
	return []document{
		&Customer{}, &aliasOwner{}, &Usage{}, &Receipt{}, &usedCode{}, &Merchant{}, &App{}, &Shop{}, &Event{}, &Trade{}, &pointer{}, &Refund{},
		&SplitAsk{}, &paidShare{}, &Order{}, &Auth{}, &freeze{}, &AuthOperation{}, &Settled{}, &closedDay{}, &carry{},
		&storedAccount{}, &topRef{}, &Deposit{}, &seen{}, &Case{}, &Compared{}, &nextDay{},
		&appKey{}, &Agreement{}, &Mandate{}, &Visit{}, &endpoints{}, &Delivery{}, &Mark{}, &MerchantKey{}, &endedKey{},
	}
}

// TestDocumentsAreReadStrictly: kinds are distinct, what is written is read as it was, and bytes that pack would not have written are refused.
func TestDocumentsAreReadStrictly(t *testing.T) {
	kinds := map[byte]string{}
	for _, d := range documents() {
		n, _ := d.kind()
		if other := kinds[n]; other != "" {
			t.Errorf("%T and %s have one kind", d, other)
		}
		kinds[n] = fmt.Sprintf("%T", d)
	}
	rapid.Check(t, func(t *rapid.T) {
		d := documents()[rapid.IntRange(0, len(documents())-1).Draw(t, "document")]
		fill(t, d)
		body := pack(d)
		back := reflect.New(reflect.TypeOf(d).Elem()).Interface().(document)
		if err := unpack("k", body, back); err != nil || !bytes.Equal(pack(back), body) {
			t.Fatalf("%T: %v\n%x\n%x", d, err, body, pack(back))
		}
		spoilt := bytes.Clone(body)
		switch rapid.IntRange(0, 2).Draw(t, "spoil") {
		case 0:
			spoilt = spoilt[:rapid.IntRange(0, len(spoilt)-1).Draw(t, "cut")]
		case 1:
			spoilt = append(spoilt, 0)
		case 2:
			spoilt[rapid.IntRange(0, len(spoilt)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		}
		err := unpack("k", spoilt, back)
		if err == nil && !bytes.Equal(pack(back), spoilt) {
			t.Fatalf("%T: read %x, which would be written as %x", d, spoilt, pack(back))
		}
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%v is not ErrCorrupt", err)
		}
	})
}

// fill makes a document of random bytes: its layout writes whatever its fields hold.
func fill(t *rapid.T, d document) {
	v := reflect.ValueOf(d).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		if !f.CanSet() {
			continue
		}
		switch f.Kind() {
		case reflect.String:
			f.SetString(rapid.StringN(0, 5, 20).Draw(t, "text"))
		case reflect.Int64, reflect.Int32:
			f.SetInt(int64(rapid.Int32().Draw(t, "number")))
		case reflect.Uint64, reflect.Uint32, reflect.Uint8:
			f.SetUint(uint64(rapid.Uint8().Draw(t, "number")))
		case reflect.Bool:
			f.SetBool(rapid.Bool().Draw(t, "flag"))
		}
	}
}

func TestFees(t *testing.T) {
	for _, c := range []struct {
		plan   FeePlan
		amount holdfast.Amount
		want   holdfast.Amount
	}{
		{FeePlan{60, 0}, 1000, 6},
		{FeePlan{60, 0}, 83, 0}, // 0.498
		{FeePlan{60, 0}, 84, 1}, // 0.504
		{FeePlan{50, 0}, 100, 1},
		{FeePlan{0, 10}, 4, 4},
		{FeePlan{10000, 5}, 7, 7},
		{FeePlan{60, 1}, 0, 0},
		{FeePlan{10000, 0}, MaxAmount, MaxAmount},
	} {
		if got := c.plan.Fee(c.amount); got != c.want {
			t.Errorf("%+v of %d: %d, want %d", c.plan, c.amount, got, c.want)
		}
	}
}

// TestNumbersCannotReachOtherKinds: what merchants choose stays within its part of a key.
func TestNumbersCannotReachOtherKinds(t *testing.T) {
	for _, n := range []string{"", "a/b", "../x", "~cancel", "a b", "a\x00", strings.Repeat("a", 65), "é"} {
		if validNumber(n, "n") == nil {
			t.Errorf("%q was taken", n)
		}
	}
	for _, n := range []string{"A-1", "a.b_c:d", strings.Repeat("9", 64)} {
		if err := validNumber(n, "n"); err != nil {
			t.Errorf("%q: %v", n, err)
		}
	}
}
