package holdfast

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestMinorUnits(t *testing.T) {
	for _, row := range []struct {
		n     Amount
		asset string
		want  string
	}{
		{0, "CNY", "0.00"},
		{5, "CNY", "0.05"},
		{-123456789, "CNY", "−1,234,567.89"},
		{1234, "JPY", "1,234"},
		{1234, "KWD", "1.234"},
		{12345, "SEAT", "12,345"},
		{-1 << 63, "USD", "−92,233,720,368,547,758.08"},
	} {
		if got := FormatMinor(row.n, MustAsset(row.asset)); got != row.want {
			t.Errorf("%d %s: %s", row.n, row.asset, got)
		}
	}
	for _, row := range []struct {
		text, asset string
		want        Amount
	}{
		{"12", "CNY", 1200},
		{" 12.3 ", "CNY", 1230},
		{"0.05", "CNY", 5},
		{"1,234.50", "CNY", 123450},
		{"¥8.88", "CNY", 888},
		{"１２．５０", "CNY", 1250},
		{"1234", "JPY", 1234},
		{"1.234", "KWD", 1234},
		{"92233720368547758.07", "CNY", 1<<63 - 1},
		{"", "CNY", -1},
		{".", "CNY", -1},
		{"1.", "CNY", -1},
		{".5", "CNY", -1},
		{"1.234", "CNY", -1},
		{"1.2", "JPY", -1},
		{"-1", "CNY", -1},
		{"+1", "CNY", -1},
		{"1e3", "CNY", -1},
		{"1,23", "CNY", -1},
		{",123", "CNY", -1},
		{"1.2.3", "CNY", -1},
		{"92233720368547758.08", "CNY", -1},
		{"١", "CNY", -1},
	} {
		got, err := ParseMinor(row.text, MustAsset(row.asset))
		if row.want == -1 {
			if !errors.Is(err, ErrAmountText) {
				t.Errorf("%q %s: %d, %v", row.text, row.asset, got, err)
			}
		} else if got != row.want || err != nil {
			t.Errorf("%q %s: %d, %v", row.text, row.asset, got, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := Amount(rapid.Int64Min(0).Draw(t, "n"))
		asset := MustAsset(rapid.SampledFrom([]string{"CNY", "JPY", "KWD", "SEAT"}).Draw(t, "asset"))
		if back, err := ParseMinor(FormatMinor(n, asset), asset); back != n || err != nil {
			t.Fatalf("%s: %d, %v", FormatMinor(n, asset), back, err)
		}
	})
}
