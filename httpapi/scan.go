package httpapi

import (
	"encoding/base64"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"holdfast"
)

// scanner reads one JSON text (RFC 8259) strictly: every member is known and occurs once, strings are UTF-8 without lone
// surrogates, numbers are whole and fit into 64 bits, and nothing follows the value. There is no reflection and no tree.
//
// Only the first fault counts. After it every read returns a zero value and every loop ends, so that callers check once, at
// the end.
//
// It scans a string, not bytes: substrings cost nothing.
type scanner struct {
	text  string
	at    int
	path  [maxDepth]step
	depth int
	fault *Problem
}

// step is one part of the path to a member: a name, or a place in an array.
type step struct {
	name  string
	index int
}

const maxDepth = 8

func newScanner(text string) *scanner {
	s := &scanner{text: text}
	if !utf8.ValidString(text) {
		s.at = invalidUTF8(text)
		s.failAt("the body is not UTF-8 (byte %d): send UTF-8", s.at)
	}
	return s
}

func invalidUTF8(text string) int {
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD") {
			return i
		}
	}
	return len(text)
}

// end returns the first fault; text behind the value is one.
func (s *scanner) end() error {
	if s.skipSpace(); s.fault == nil && s.at < len(s.text) {
		s.failAt("there is more behind the end of the JSON value (byte %d): send one value", s.at)
	}
	if s.fault != nil {
		return s.fault
	}
	return nil
}

// fail records what is wrong with the member that is being read, unless something was wrong before.
func (s *scanner) fail(format string, args ...any) { s.failCode(edgeMalformed, format, args...) }

func (s *scanner) failCode(code edgeCode, format string, args ...any) {
	if s.fault == nil {
		s.fault = code.problem(fmt.Sprintf(format, args...))
		s.fault.Field = s.where()
	}
}

// failAt is fail for faults that are no member's.
func (s *scanner) failAt(format string, args ...any) {
	s.depth = 0
	s.fail(format, args...)
}

// failWord records a fault that the ledger has a word for.
func (s *scanner) failWord(code holdfast.Code) {
	if s.fault == nil {
		s.fault = problemOfCode(code)
		s.fault.Outcome = holdfast.NotExecuted.String()
		s.fault.Field = s.where()
	}
}

// where is the path of the member that is being read, for example "transfers[3].amount".
func (s *scanner) where() string {
	var b strings.Builder
	for _, p := range s.path[:s.depth] {
		if p.name == "" {
			fmt.Fprintf(&b, "[%d]", p.index)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(p.name)
	}
	return b.String()
}

func (s *scanner) skipSpace() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// next skips space and returns the byte that follows; 0 at the end or after a fault.
func (s *scanner) next() byte {
	if s.skipSpace(); s.fault != nil || s.at >= len(s.text) {
		return 0
	}
	return s.text[s.at]
}

// take skips space and reads the byte c, or records that it is missing.
func (s *scanner) take(c byte) bool {
	got := s.next()
	if got == c {
		s.at++
		return true
	}
	if s.at >= len(s.text) {
		s.fail("the JSON ends too early: %q is missing", c)
	} else {
		s.fail("%q is expected at byte %d, not %q", c, s.at, got)
	}
	return false
}

// members yields the name of each member of an object, positioned before its value. It records unknown and repeated members.
// The wrapper is small so that it is inlined, and the loop body stays off the heap.
func (s *scanner) members(known []string) iter.Seq[string] {
	return func(yield func(string) bool) { s.eachMember(known, yield) }
}

func (s *scanner) eachMember(known []string, yield func(string) bool) {
	if !s.enter('{', "an object") {
		return
	}
	var seen uint64
	for first := true; s.more(first, '}'); first = false {
		name := s.memberName(known, &seen)
		if s.fault != nil || !yield(name) {
			return
		}
	}
	s.depth--
}

// elements yields the index of each element of an array, positioned before it. More than limit are a fault.
func (s *scanner) elements(limit int) iter.Seq[int] {
	return func(yield func(int) bool) { s.eachElement(limit, yield) }
}

func (s *scanner) eachElement(limit int, yield func(int) bool) {
	if !s.enter('[', "an array") {
		return
	}
	for i := 0; s.more(i == 0, ']'); i++ {
		s.path[s.depth-1] = step{index: i}
		if i >= limit {
			s.failWord(holdfast.CodeTxnTooLarge)
			return
		}
		if !yield(i) || s.fault != nil {
			return
		}
	}
	s.depth--
}

// enter reads the opening bracket of a composite value.
func (s *scanner) enter(open byte, what string) bool {
	if c := s.next(); c != open {
		s.wrongType(what)
		return false
	}
	s.at++
	s.path[s.depth] = step{}
	s.depth++ // the shapes read here are known, and none is deeper than maxDepth
	return true
}

// more reports whether another member or element follows, and reads the comma or the closing bracket.
func (s *scanner) more(first bool, closing byte) bool {
	c := s.next()
	switch {
	case s.fault != nil:
		return false
	case c == closing:
		s.at++
		return false
	case first:
		return true
	}
	return s.take(',')
}

func (s *scanner) memberName(known []string, seen *uint64) string {
	s.depth-- // until the name is read, a fault is the object's
	if s.next() != '"' {
		s.fail("a member name in double quotes is expected at byte %d", s.at)
		return ""
	}
	name := s.quoted()
	if s.fault != nil {
		return ""
	}
	i := slices.Index(known, name)
	if s.depth++; i < 0 {
		s.path[s.depth-1] = step{name: printable(name)}
		s.fail("there is no such member here: known are %s", strings.Join(known, ", "))
		return ""
	}
	s.path[s.depth-1] = step{name: known[i]}
	if *seen&(1<<i) != 0 {
		s.fail("the member is given twice: send it once")
	}
	*seen |= 1 << i
	s.take(':')
	return known[i]
}

// printable shortens what a caller sent, for an error text.
func printable(text string) string {
	quoted := fmt.Sprintf("%.40q", text)
	return quoted[1 : len(quoted)-1]
}

// wrongType records that the value is not of the type wanted.
func (s *scanner) wrongType(want string) {
	switch c := s.next(); {
	case s.fault != nil:
	case s.at >= len(s.text):
		s.fail("the JSON ends too early: %s is missing", want)
	case strings.HasPrefix(s.text[s.at:], "null"):
		s.fail("null is no value here: leave the member out, or give %s", want)
	default:
		s.fail("%s is expected, not %s", want, typeName(c))
	}
}

func typeName(c byte) string {
	switch {
	case c == '"':
		return "a string"
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == 't' || c == 'f':
		return "a boolean"
	case c == '-' || c >= '0' && c <= '9':
		return "a number"
	}
	return fmt.Sprintf("the byte %q", c)
}

// string reads a string of at most limit bytes.
func (s *scanner) string(limit int) string {
	if s.next() != '"' {
		s.wrongType("a string")
		return ""
	}
	v := s.quoted()
	if len(v) > limit {
		s.fail("the text has %d bytes: at most %d are allowed", len(v), limit)
		return ""
	}
	return v
}

// quoted reads a string; the next byte is its quote.
func (s *scanner) quoted() string {
	start := s.at + 1
	for i := start; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			s.at = i + 1
			return s.text[start:i]
		case c == '\\':
			return s.escaped(start, i)
		case c < ' ':
			s.at = i
			s.fail("a string holds the control character %#02x at byte %d: escape it", c, i)
			return ""
		}
	}
	s.at = len(s.text)
	s.fail("the JSON ends within a string")
	return ""
}

// escaped reads a string on from its first backslash.
func (s *scanner) escaped(start, backslash int) string {
	b := []byte(s.text[start:backslash])
	for s.at = backslash; s.at < len(s.text); {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return string(b)
		case c == '\\':
			if b = s.escape(b); s.fault != nil {
				return ""
			}
		case c < ' ':
			s.fail("a string holds the control character %#02x at byte %d: escape it", c, s.at)
			return ""
		default:
			b = append(b, c)
			s.at++
		}
	}
	s.fail("the JSON ends within a string")
	return ""
}

const (
	escapeLetters = `"\/bfnrt`
	escapeValues  = "\"\\/\b\f\n\r\t"
)

func (s *scanner) escape(b []byte) []byte {
	if s.at+1 < len(s.text) {
		if i := strings.IndexByte(escapeLetters, s.text[s.at+1]); i >= 0 {
			s.at += 2
			return append(b, escapeValues[i])
		}
	}
	r := s.hexRune(s.at)
	if r < 0 {
		s.fail("a string holds a bad escape at byte %d", s.at)
		return b
	}
	s.at += 6
	if utf16.IsSurrogate(r) {
		if r = utf16.DecodeRune(r, s.hexRune(s.at)); r == utf8.RuneError {
			s.fail("a string holds half of a surrogate pair before byte %d", s.at)
			return b
		}
		s.at += 6
	}
	return utf8.AppendRune(b, r)
}

// hexRune reads \uXXXX at byte i; negative if it is not there.
func (s *scanner) hexRune(i int) rune {
	if i+6 > len(s.text) || s.text[i:i+2] != `\u` {
		return -1
	}
	n, err := strconv.ParseUint(s.text[i+2:i+6], 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}

// integer reads a whole number within [low, high].
func (s *scanner) integer(low, high int64) int64 {
	if c := s.next(); c != '-' && (c < '0' || c > '9') {
		s.wrongType("a whole number")
		return 0
	}
	start := s.at
	for s.at < len(s.text) && strings.IndexByte("+-.0123456789Ee", s.text[s.at]) >= 0 {
		s.at++
	}
	digits := s.text[start:s.at]
	if strings.ContainsAny(digits, ".eE") {
		s.fail("%s is not written as a whole number: send digits only (money is in minor units: 1250 for 12.50)", printable(digits))
		return 0
	}
	if plain := strings.TrimPrefix(digits, "-"); len(plain) > 1 && plain[0] == '0' || strings.ContainsAny(plain, "+-") {
		s.fail("%s is no JSON number", printable(digits))
		return 0
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < low || n > high {
		s.fail("%s is not within %d and %d", printable(digits), low, high)
		return 0
	}
	return n
}

// id reads a UUID.
func (s *scanner) id() holdfast.ID { return parsed(s, holdfast.ParseID) }

// account reads an account's name. A bad one is a fault the ledger has a word for, with the reason as the advice.
func (s *scanner) account() holdfast.AccountID {
	text := s.string(maxName)
	if s.fault != nil {
		return holdfast.AccountID{}
	}
	id, err := holdfast.ParseAccountID(text)
	if err != nil {
		s.failWord(holdfast.CodeAccountInvalid)
		s.fault.Detail = err.Error()
	}
	return id
}

// ref reads a UUID that may be "".
func (s *scanner) ref() holdfast.Ref {
	return parsed(s, func(text string) (r holdfast.Ref, err error) {
		err = r.UnmarshalText([]byte(text))
		return r, err
	})
}

// maxName bounds texts that are parsed further: ids, accounts, words of a closed list.
const maxName = 64

func parsed[T any](s *scanner, parse func(string) (T, error)) (v T) {
	text := s.string(maxName)
	if s.fault != nil {
		return v
	}
	v, err := parse(text)
	if err != nil {
		s.fail("%v", err)
	}
	return v
}

// base64 reads a base64 string of at most limit decoded bytes.
func (s *scanner) base64(limit int) []byte {
	text := s.string(base64.StdEncoding.EncodedLen(limit))
	if s.fault != nil || text == "" {
		return nil
	}
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		s.fail("the text is not base64 with padding (RFC 4648 section 4): %v", err)
	}
	return b
}

func (s *scanner) boolean() bool {
	s.next()
	for text, v := range map[string]bool{"true": true, "false": false} {
		if strings.HasPrefix(s.text[s.at:], text) {
			s.at += len(text)
			return v
		}
	}
	s.wrongType("true or false")
	return false
}
