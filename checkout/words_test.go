package checkout

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"holdfast"
)

func TestBothLanguagesHaveEveryText(t *testing.T) {
	all := maps.Clone(words)
	for code, s := range stops {
		all["stop-"+string(code)] = s
	}
	maps.Copy(all, troubles)
	for code, s := range refusals {
		all["refusal "+string(code)] = s
	}
	for key, s := range all {
		han := func(text string) bool {
			return strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Han, r) })
		}
		switch {
		case strings.TrimSpace(s.zh) == "" || strings.TrimSpace(s.en) == "":
			t.Errorf("%s lacks a language", key)
		case !han(s.zh) || han(s.en):
			t.Errorf("%s is not in its language: %q, %q", key, s.zh, s.en)
		}
	}
	for key, s := range all { // a problem says what to do, and what became of the money
		if _, ok := words[key]; !ok && !strings.HasPrefix(key, "stop-") && (!strings.Contains(s.zh, "没有扣款") || !strings.Contains(strings.ToLower(s.en), "nothing was taken") || !strings.Contains(s.zh, "请")) {
			t.Errorf("%s: %q, %q", key, s.zh, s.en)
		}
	}
}

func TestTheTemplateUsesEveryTextAndNoOther(t *testing.T) {
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`\.T "([^"]+)"`).FindAllStringSubmatch(pageText, -1) {
		if _, ok := words[m[1]]; !ok {
			t.Errorf("the template asks for %q", m[1])
		}
		used[m[1]] = true
	}
	states := []state{waiting, paid, refunded, closed, expired, unknown, unavailable, foreign}
	for _, s := range states {
		used[string(s)], used["title-"+string(s)] = true, true
	}
	for _, key := range []string{ // asked for by view
		"title-asking", "title-watching", "asking", "late", "watching", "paid-before", "paid-protected", "unit-d", "unit-h", "unit-min", "unit-s",
		"less-than-a-min", "top-up", "limits", "to-wallet",
	} {
		used[key] = true
	}
	for key := range words {
		if !used[key] {
			t.Errorf("nothing uses %q", key)
		}
	}
	if _, err := word(english, "none"); err == nil {
		t.Error("a text that is not there was found")
	}
}

func TestLanguages(t *testing.T) {
	for _, c := range []struct {
		asked, accepted string
		want            language
		chosen          bool
	}{
		{"", "", chinese, false},
		{"", "zh-CN,zh;q=0.9,en;q=0.8", chinese, false},
		{"", "en-US,en;q=0.9,zh;q=0.8", english, false},
		{"", "fr, zh;q=0.3, en;q=0.2", chinese, false},
		{"", "fr, de", english, false},
		{"", "zh;q=0, en;q=0.1", english, false},
		{"", "*", english, false},
		{"", "en;q=x, zh-Hant-TW", chinese, false},
		{"", "zh;q=99, en", english, false},
		{"en", "zh", english, true},
		{"ZH-cn", "en", chinese, true},
		{"fr", "zh", chinese, false},
	} {
		if l, chosen := choose(c.asked, "", c.accepted); l != c.want || chosen != c.chosen {
			t.Errorf("%q, %q: %s %v", c.asked, c.accepted, l, chosen)
		}
	}
}

func TestALanguageThatWasChosenElsewhere(t *testing.T) {
	if l, chosen := choose("", "zh-CN", "en"); l != chinese || chosen {
		t.Errorf("%s %v", l, chosen)
	}
	if l, _ := choose("en", "zh-CN", "zh"); l != english {
		t.Errorf("%s", l)
	}
	if l, _ := choose("", "fr", "en"); l != english {
		t.Errorf("%s", l)
	}
}

func TestMoney(t *testing.T) {
	for want, c := range map[string]struct {
		amount holdfast.Amount
		asset  string
	}{
		"CNY 0.01": {1, "CNY"}, "CNY 12.34": {1234, "CNY"}, "CNY 1,234.50": {123450, "CNY"}, "CNY 100,000,000.00": {pay10, "CNY"},
		"JPY 7": {7, "JPY"}, "JPY 123,456": {123456, "JPY"}, "KWD 0.012": {12, "KWD"}, "KWD 1.234": {1234, "KWD"},
	} {
		if got := money(c.amount, holdfast.MustAsset(c.asset)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

const pay10 holdfast.Amount = 10_000_000_000

func TestTimeLeft(t *testing.T) {
	const min, hour, day = holdfast.Time(60e9), holdfast.Time(3600e9), holdfast.Time(24 * 3600e9)
	for left, want := range map[holdfast.Time][2]string{
		-min: {"不到 1 分钟", "less than a minute"}, 59e9: {"不到 1 分钟", "less than a minute"}, 14*min + 30e9: {"14 分", "14 min"},
		3*hour + 5*min: {"3 小时 5 分", "3 h 5 min"}, 15 * day: {"15 天", "15 d"}, day + hour + min: {"1 天 1 小时", "1 d 1 h"},
	} {
		for i, l := range []language{chinese, english} {
			v := view{Lang: l}
			v.Trade.Until = left
			if got, err := v.Left(); err != nil || got != want[i] {
				t.Errorf("%d: %q, want %q", left, got, want[i])
			}
		}
	}
}

func TestPlainCodes(t *testing.T) {
	for text, want := range map[string]string{
		"28 0000 0003 1234 5678": "28" + "0000000312345678", "２８０-1": "2801", "\u00a028\u3000 1\r\n": "281", "28x": "28x",
	} {
		if got := plainCode(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	for _, bad := range []string{"", "28", "180000000312345678", "2800000003123456789", "28000000031234567x", "２８00000003123456"} {
		if codeLike(bad) {
			t.Errorf("%q is taken for a code", bad)
		}
	}
	if !slices.ContainsFunc([]string{"280000000312345678"}, codeLike) {
		t.Error("a code is not taken for one")
	}
}

// TestTheDrawing draws the path again and compares the three finder patterns and the border, which every reader looks for first.
func TestTheDrawing(t *testing.T) {
	d, err := drawQR("https://pay.example.com/q/0000000100100010203040506070809")
	if err != nil {
		t.Fatal(err)
	}
	dark := map[[2]int]bool{}
	for _, m := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`).FindAllStringSubmatch(d.Path, -1) {
		x, y, n := atoi(m[1]), atoi(m[2]), atoi(m[3])
		if m[3] != m[4] {
			t.Fatalf("an open shape: %s", m[0])
		}
		for i := range n {
			dark[[2]int{x + i, y}] = true
		}
	}
	for _, corner := range [][2]int{{quiet, quiet}, {d.Size - quiet - 7, quiet}, {quiet, d.Size - quiet - 7}} {
		for y := range 7 {
			for x := range 7 {
				ring := x == 0 || y == 0 || x == 6 || y == 6
				core := x > 1 && x < 5 && y > 1 && y < 5
				if dark[[2]int{corner[0] + x, corner[1] + y}] != (ring || core) {
					t.Fatalf("no finder pattern at %v", corner)
				}
			}
		}
	}
	for at := range dark {
		if at[0] < quiet || at[1] < quiet || at[0] >= d.Size-quiet || at[1] >= d.Size-quiet {
			t.Fatalf("the border is not empty at %v", at)
		}
	}
	if _, err := drawQR(strings.Repeat("x", 5000)); err == nil {
		t.Error("a text that fits no code was drawn")
	}
}

func atoi(s string) (n int) {
	for _, c := range s {
		n = 10*n + int(c-'0')
	}
	return n
}

func BenchmarkDrawQR(b *testing.B) {
	for b.Loop() {
		_, _ = drawQR("https://pay.example.com/q/0000000100100010203040506070809")
	}
}
