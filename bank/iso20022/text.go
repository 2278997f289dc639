package iso20022

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Lengths of texts, in characters.
const (
	MaxID   = 35  // Max35Text: every id and reference
	MaxText = 140 // Max140Text: names and remittance information
)

// CheckID reports what is wrong with an id: it has 1-35 characters of the set that every bank takes (letters and digits of ASCII, and
// / - ? : ( ) . , ' + and blank), does not begin or end with a blank or a slash, and has no two slashes in a row.
func CheckID(id string) error {
	switch {
	case id == "":
		return errors.New("the id is empty")
	case len(id) > MaxID:
		return fmt.Errorf("id %.40q has %d characters, and %d is the limit", id, len(id), MaxID)
	case strings.Contains(id, "//"), strings.Trim(id, " /") != id:
		return fmt.Errorf("id %q begins or ends with a blank or a slash, or has two slashes in a row: some banks refuse or alter that", id)
	}
	for _, c := range []byte(id) {
		if !isAlnum(c) && strings.IndexByte("/-?:().,'+ ", c) < 0 {
			return fmt.Errorf("id %q has the character %q: use letters, digits and / - ? : ( ) . , ' +", id, c)
		}
	}
	return nil
}

// CheckText reports what is wrong with a name or a text for people: 1 to max characters, none of them a control character, no blank
// in front or behind. The error does not show the text, which may be a person's name.
func CheckText(text string, max int) error {
	switch n := utf8.RuneCountInString(text); {
	case !utf8.ValidString(text):
		return errors.New("the text is not UTF-8")
	case n == 0 || n > max:
		return fmt.Errorf("the text has %d characters, want 1 to %d", n, max)
	case strings.TrimSpace(text) != text:
		return errors.New("the text begins or ends with a blank")
	}
	for i, c := range text {
		if unicode.IsControl(c) || c == utf8.RuneError || c == '\ufffe' || c == '\uffff' {
			return fmt.Errorf("the text has a control character at byte %d", i)
		}
	}
	return nil
}

func isAlnum(c byte) bool { return c >= '0' && c <= '9' || isUpper(c) || c >= 'a' && c <= 'z' }

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

const (
	timeForm = "2006-01-02T15:04:05.000Z07:00"
	dayForm  = time.DateOnly
)

// TimeText writes a moment as an ISODateTime in UTC, to the millisecond, cut off and not rounded.
func TimeText(t time.Time) string { return t.UTC().Truncate(time.Millisecond).Format(timeForm) }

// ParseTime reads an ISODateTime. One without a zone is an error: nobody can tell which moment it is.
func ParseTime(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("time %.40q is not an ISO 8601 date and time with a zone, for example 2026-11-27T09:30:00.000Z", text)
	}
	return t, nil
}

// DayText writes the ISODate of a moment in its own zone.
func DayText(t time.Time) string { return t.Format(dayForm) }

// ParseDay reads an ISODate, as the beginning of that day in UTC.
func ParseDay(text string) (time.Time, error) {
	t, err := time.Parse(dayForm, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("day %.20q is not an ISO 8601 date, for example 2026-11-27", text)
	}
	return t, nil
}
