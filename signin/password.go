package signin

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"holdfast/pay"
)

// Bounds on passwords, in characters. NIST SP 800-63B asks for at least 8, for more where a password is all there is to protect the money of others, and
// for at least 64 to be allowed.
const (
	shortestOfCustomer = 8
	shortestOfStaff    = 12
	longestPassword    = 128
)

// Hashing is what a hash costs: Argon2id (RFC 9106).
type Hashing struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
}

// DefaultHashing is the first choice of OWASP's cheat sheet for passwords: 19 MiB, two passes.
var DefaultHashing = Hashing{Memory: 19 << 10, Passes: 2, Threads: 1}

const (
	saltBytes     = 16
	sumBytes      = 32
	defaultAtOnce = 4
	maxMemory     = 1 << 20 // KiB: so that no stored hash can ask for more
)

func (h Hashing) check() error {
	if h.Memory < 8*uint32(max(h.Threads, 1)) || h.Memory > maxMemory || h.Passes < 1 || h.Passes > 64 || h.Threads < 1 {
		return fmt.Errorf("signin: %d KiB, %d passes and %d threads are no cost of Argon2id", h.Memory, h.Passes, h.Threads)
	}
	return nil
}

// keys are those under which passwords are hashed and devices are known.
type keys struct{ password, device []byte }

func newKeys(key []byte) *keys {
	return &keys{derived(key, "passwords"), derived(key, "devices")}
}

// hash is the hash of a password as a PHC string. The password goes in under a key of the platform: what is in the log of the ledger stays there for ever, and
// without the key nobody can try passwords on it.
func (k *keys) hash(h Hashing, password string, salt []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.Memory, h.Passes, h.Threads, b64.EncodeToString(salt), b64.EncodeToString(k.sum(h, password, salt)))
}

func (k *keys) sum(h Hashing, password string, salt []byte) []byte {
	m := hmac.New(sha256.New, k.password)
	m.Write([]byte(norm.NFC.String(password)))
	return argon2.IDKey(m.Sum(nil), salt, h.Passes, h.Memory, h.Threads, sumBytes)
}

// verify tells whether a password is that of a hash, and whether the hash costs what new ones cost.
func (k *keys) verify(now Hashing, phc, password string) (right, current bool) {
	h, salt, sum, ok := parsePHC(phc)
	if !ok {
		return false, false
	}
	return subtle.ConstantTimeCompare(k.sum(h, password, salt), sum) == 1, h == now
}

func parsePHC(phc string) (h Hashing, salt, sum []byte, ok bool) {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, nil, nil, false
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.Memory, &h.Passes, &h.Threads); n != 3 || err != nil || h.check() != nil {
		return h, nil, nil, false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	sum, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	return h, salt, sum, err1 == nil && err2 == nil && len(sum) == sumBytes
}

// hashes bounds how many are computed at once: each takes memory and a processor.
type hashes struct {
	slots   chan struct{}
	waiting atomic.Int64
}

func newHashes(atOnce int) *hashes { return &hashes{slots: make(chan struct{}, atOnce)} }

// enter waits for a turn until ctx ends; the error says that there are too many.
func (h *hashes) enter(ctx context.Context) error {
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) <= int64(8*cap(h.slots)) {
		select {
		case h.slots <- struct{}{}:
			return nil
		case <-ctx.Done():
		}
	}
	return &TooSoon{Wait: time.Second}
}

func (h *hashes) leave() { <-h.slots }

// hash makes the hash of a new password.
func (p *Porter) hash(ctx context.Context, password string, salt []byte) (string, error) {
	if err := p.hashes.enter(ctx); err != nil {
		return "", err
	}
	defer p.hashes.leave()
	return p.keys.hash(p.Hashing, password, salt), nil
}

// right tells whether a password is that of a hash; with no hash it takes as long to say no.
func (p *Porter) right(ctx context.Context, phc, password string) (right, current bool, err error) {
	if err := p.hashes.enter(ctx); err != nil {
		return false, false, err
	}
	defer p.hashes.leave()
	if phc == "" {
		p.keys.verify(p.Hashing, p.nobody, password)
		return false, false, nil
	}
	right, current = p.keys.verify(p.Hashing, phc, password)
	return right, current, nil
}

//go:embed passwords/common.txt.gz
var commonPacked []byte

// common are the most common passwords of 8 characters and more, sorted; see passwords/ATTRIBUTION.md.
var common = sync.OnceValue(func() []string {
	r, err := gzip.NewReader(bytes.NewReader(commonPacked))
	if err != nil {
		panic("signin: the list of common passwords: " + err.Error())
	}
	list, err := io.ReadAll(r)
	if err != nil {
		panic("signin: the list of common passwords: " + err.Error())
	}
	return strings.Split(strings.TrimSuffix(string(list), "\n"), "\n")
})

func isCommon(password string) bool {
	list, plain := common(), strings.ToLower(password)
	i := sort.SearchStrings(list, plain)
	return i < len(list) && list[i] == plain
}

// service is what the service is called: guessed first.
var service = []string{"holdfast", "alipay", "zhifubao", "支付宝"}

// choosable reports why a password may not be chosen. words are what is known of the person in plain text; own tells whether a text is theirs by its hash.
func choosable(password string, shortest int, words []string, own func(string) bool) error {
	password = norm.NFC.String(password)
	n := utf8.RuneCountInString(password)
	switch {
	case !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl):
		return refuse(pay.FieldInvalid, "password")
	case n < shortest:
		return refuse(PasswordShort, "password")
	case n > longestPassword:
		return refuse(PasswordLong, "password")
	case isCommon(password) || isRow(password):
		return refuse(PasswordCommon, "password")
	case isOwn(password, words, own):
		return refuse(PasswordOwn, "password")
	}
	return nil
}

// isRow reports whether each character follows the one before in the same step of -1, 0 or 1: aaaaaaaa, 23456789.
func isRow(s string) bool {
	runes := []rune(s)
	step := runes[1] - runes[0]
	for i := 1; i < len(runes); i++ {
		if runes[i]-runes[i-1] != step {
			return false
		}
	}
	return step >= -1 && step <= 1
}

// fewOthers is how many characters beside a person's own words are too few.
const fewOthers = 4

// isOwn reports whether a password says little more than what others know of its person.
func isOwn(password string, words []string, own func(string) bool) bool {
	plain := folded(password)
	for _, w := range append(ownForms(words), service...) {
		if w = folded(w); utf8.RuneCountInString(w) >= fewOthers && strings.Contains(plain, w) &&
			utf8.RuneCountInString(strings.ReplaceAll(plain, w, "")) < fewOthers {
			return true
		}
	}
	for _, text := range append(numbersIn(password), strings.TrimSpace(password)) {
		if own(text) {
			return utf8.RuneCountInString(plain)-utf8.RuneCountInString(folded(text)) < fewOthers
		}
	}
	return false
}

// folded is what of a text counts when it is compared: letters and digits, without case.
func folded(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// ownForms are the words of a person, with the name of an e-mail address, and a phone number without the code of China.
func ownForms(words []string) (list []string) {
	for _, w := range words {
		list = append(list, w)
		if name, _, mail := strings.Cut(w, "@"); mail {
			list = append(list, name)
		}
		if inside, china := strings.CutPrefix(folded(w), "86"); china && len(inside) == 11 {
			list = append(list, inside)
		}
	}
	return list
}

// numbersIn are the stretches of a text that may be phone numbers.
func numbersIn(s string) []string {
	list := strings.FieldsFunc(s, func(r rune) bool { return r != '+' && (r < '0' || r > '9') })
	kept := list[:0]
	for _, f := range list {
		if len(f) >= 8 && len(f) <= 16 {
			kept = append(kept, f)
		}
	}
	return kept[:min(len(kept), 4)]
}
