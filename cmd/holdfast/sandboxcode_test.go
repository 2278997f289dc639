package main

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestACodeIsDrawn: both pictures, no line wider than the terminal, and none where there is no room. That they can be read is tested where they are drawn.
func TestACodeIsDrawn(t *testing.T) {
	for _, row := range []struct {
		columns  int
		pictures int
		too      int // wide
	}{{80, 2, 0}, {60, 1, 1}, {20, 0, 2}} {
		var b strings.Builder
		if err := drawCode(&b, "280000000212345678", row.columns, false); err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(strings.Trim(b.String(), "\n"), "\n\n")
		pictures := 0
		for _, part := range parts {
			if !strings.HasPrefix(part, "█") {
				continue
			}
			pictures++
			for line := range strings.SplitSeq(part, "\n") {
				if n := utf8.RuneCountInString(line); n > row.columns {
					t.Errorf("%d columns in a terminal of %d", n, row.columns)
				}
			}
		}
		if too := strings.Count(b.String(), "does not fit"); pictures != row.pictures || too != row.too {
			t.Errorf("in %d columns there are %d pictures, and %d do not fit:\n%s", row.columns, pictures, too, b.String())
		}
	}
	var b strings.Builder
	if err := drawCode(&b, "280000000212345678", 80, true); err != nil || strings.Count(b.String(), "\x1b[97;40m") != strings.Count(b.String(), "\x1b[0m") {
		t.Errorf("in colours: %v\n%s", err, b.String())
	}
}
