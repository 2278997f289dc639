package httpapi

import (
	"bytes"
	"crypto"
	"crypto/md5" //nolint:gosec // to say that it was used where it may not be
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // sign_type RSA is SHA-1 by definition
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// What is wrong with a signature. An RSA signature can be opened with the public key: a padded digest with the name of its hash comes out if the key
// pair is the right one, and noise if not. So key, hash and text are told apart with certainty; which other text was signed is found by trying
// the usual mistakes.

type signatureAsk struct{ text, signature, signType string }

// signatureFindings say in words what a code means.
var signatureFindings = map[string]string{
	"fits":                 "The signature fits the key of this app, and the gateway takes it.",
	"no-key":               "The app has no public key yet: put one first.",
	"signature-missing":    "There is no signature: send it, or parameters that have sign.",
	"signature-base64":     "The signature is not Base64: something was cut off or added when it was copied.",
	"signature-url-base64": "The signature is in the Base64 of URLs (- and _): the standard one (+ and /) is needed.",
	"signature-hex":        "The signature is hexadecimal: it has to be Base64.",
	"signature-spaces":     "The signature has spaces where + has to be: the parameter was sent without being percent-encoded, or decoded twice.",
	"signature-encoded":    "The signature is still percent-encoded (%2B, %2F, %3D): decode it once, or do not encode it twice.",
	"signature-length":     "The signature is not as long as one of this app's key: it was made with a key of another size, or cut off.",
	"key-pair":             "The signature was not made with the private key that belongs to this app's public key: put the public key of the pair that your program signs with, or sign with the other one. A PKCS#1 key in a program that expects PKCS#8 (or the other way round) is the same pair; a new pair is not.",
	"other-app":            "The signature was made with the key of another app of yours: app_id and private key do not belong together.",
	"from-platform":        "This is a signature of the platform: check it with the platform's public key, not with yours.",
	"pss":                  "The signature has PSS padding: PKCS#1 v1.5 is needed (SHA256withRSA).",
	"hash":                 "The digest was made with another hash: RSA2 is SHA256withRSA, RSA is SHA1withRSA.",
	"order":                "The parameters were not sorted before signing: sort them by name, byte by byte.",
	"sign-type-left-out":   "sign_type was left out of what was signed. It belongs into requests; only the check of a notice leaves it out.",
	"encoded":              "The values were percent-encoded before signing: sign them as they are, and encode them only in the address or the form.",
	"plus":                 "A + of a value has become a space: it was not percent-encoded as %2B when it was sent.",
	"line-break":           "There is an end of line in what was signed that is not in the parameters, or of another kind (CR LF).",
	"charset":              "The text was signed as GBK: sign its UTF-8 bytes, and send charset=utf-8.",
	"biz-content":          "biz_content was written differently when it was signed: write the JSON once, and sign and send that very text.",
	"quotes":               "The values were signed in quotation marks: sign name=value without them.",
	"mark":                 "The text begins with a byte order mark: leave it out.",
	"text":                 "The key pair is the right one, but another text was signed than the gateway verifies. Compare what your program signs with the text below, byte by byte.",
	"app-id":               "app_id is not the id of this app.",
	"charset-parameter":    "charset has to be utf-8.",
}

func finding(code, about string) SignatureFindingBody {
	return SignatureFindingBody{code, signatureFindings[code], about}
}

// checkSignature says whether a signature fits, and what is most likely wrong if not.
func checkSignature(ask *signatureAsk, keys signatureKeys) (out signatureCheckBody) {
	out.Findings = []SignatureFindingBody{}
	note := func(code, about string) { out.Findings = append(out.Findings, finding(code, about)) }
	req := readSigned(ask.text)
	out.SignType = firstOf(ask.signType, req.kind(), "RSA2")
	out.Signed = req.canonical(false)
	for _, f := range req.oddities(keys.id) {
		note(f[0], f[1])
	}
	if keys.own == nil {
		note("no-key", "")
		return out
	}
	raw, repaired := readSignature(firstOf(ask.signature, req.get("sign")), keys.own.Size())
	if repaired != "" {
		note(repaired, "")
	}
	if raw == nil {
		return out
	}
	opened := openSignature(keys.own, raw)
	if opened.digest == nil {
		out.Findings = append(out.Findings, keys.whose(raw, opened.pss))
		return out
	}
	if opened.hash != hashOf(out.SignType) {
		note("hash", hashNames[opened.hash])
	}
	switch found := req.signedAs(&opened); found {
	case "fits":
		if len(out.Findings) == 0 {
			out.Fits = true
			note("fits", "")
		}
	default:
		out.Findings = slices.Insert(out.Findings, 0, finding(found, ""))
	}
	return out
}

func firstOf(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

// whose says whose signature it is, when it is not one of the app.
func (k *signatureKeys) whose(raw []byte, pss bool) SignatureFindingBody {
	if pss {
		return finding("pss", "")
	}
	for _, other := range k.others {
		if other.key != nil && openSignature(other.key, raw).digest != nil {
			return finding("other-app", other.id)
		}
	}
	if k.platform != nil && openSignature(k.platform, raw).digest != nil {
		return finding("from-platform", "")
	}
	return finding("key-pair", "")
}

var hashNames = map[crypto.Hash]string{
	crypto.SHA1: "SHA1withRSA", crypto.SHA256: "SHA256withRSA", crypto.MD5: "MD5withRSA", crypto.SHA384: "SHA384withRSA", crypto.SHA512: "SHA512withRSA",
}

// hashOf is the hash of a sign_type; 0: there is no such.
func hashOf(signType string) crypto.Hash {
	switch signType {
	case "RSA2":
		return crypto.SHA256
	case "RSA":
		return crypto.SHA1
	}
	return 0
}

// digestOf is the digest of a text by one of hashNames.
func digestOf(h crypto.Hash, text []byte) []byte {
	switch h {
	case crypto.SHA1:
		sum := sha1.Sum(text) //nolint:gosec // see above
		return sum[:]
	case crypto.MD5:
		sum := md5.Sum(text) //nolint:gosec // see above
		return sum[:]
	case crypto.SHA384:
		sum := sha512.Sum384(text)
		return sum[:]
	case crypto.SHA512:
		sum := sha512.Sum512(text)
		return sum[:]
	}
	sum := sha256.Sum256(text)
	return sum[:]
}

// opened is what a signature says that was opened with a public key.
type opened struct {
	hash   crypto.Hash
	digest []byte // nil: it is not one of this key
	pss    bool   // it looks as if it had PSS padding
}

// digestNames are the DER beginnings of DigestInfo (RFC 8017, section 9.2, note 1).
var digestNames = map[crypto.Hash]string{
	crypto.MD5: "3020300c06082a864886f70d020505000410", crypto.SHA1: "3021300906052b0e03021a05000414",
	crypto.SHA256: "3031300d060960864801650304020105000420", crypto.SHA384: "3041300d060960864801650304020205000430",
	crypto.SHA512: "3051300d060960864801650304020305000440",
}

// openSignature applies the public key to a signature (RFC 8017, section 8.2.2): EMSA-PKCS1-v1_5 comes out, or noise.
func openSignature(key *rsa.PublicKey, raw []byte) (o opened) {
	s := new(big.Int).SetBytes(raw)
	if len(raw) != key.Size() || s.Cmp(key.N) >= 0 {
		return o
	}
	em := s.Exp(s, big.NewInt(int64(key.E)), key.N).FillBytes(make([]byte, key.Size()))
	for hash, name := range digestNames {
		head, err := hex.DecodeString(name)
		size := len(em) - len(head) - hash.Size()
		if err != nil || size < 11 {
			continue
		}
		want := append([]byte{0, 1}, bytes.Repeat([]byte{0xff}, size-3)...)
		want = append(append(want, 0), head...)
		if bytes.HasPrefix(em, want) {
			return opened{hash: hash, digest: em[len(want):]}
		}
	}
	return opened{pss: em[len(em)-1] == 0xbc && verifiesPSS(key, em)}
}

// verifiesPSS reports whether what came out has the shape of EMSA-PSS with SHA-256 and some salt, whatever was signed: the masked zeroes and the one before
// the salt come out when the mask is taken off.
func verifiesPSS(key *rsa.PublicKey, em []byte) bool {
	if bits := key.N.BitLen() - 1; bits%8 == 0 {
		em = em[1:]
	}
	const size = sha256.Size
	if len(em) < size+2 {
		return false
	}
	masked, h := em[:len(em)-size-1], em[len(em)-size-1:len(em)-1]
	db := make([]byte, 0, len(masked)+size)
	for i := byte(0); len(db) < len(masked); i++ {
		sum := sha256.Sum256(append(bytes.Clone(h), 0, 0, 0, i))
		db = append(db, sum[:]...)
	}
	db = db[:len(masked)]
	for i := range db {
		db[i] ^= masked[i]
	}
	db[0] &= 0xff >> (8*len(em) - (key.N.BitLen() - 1))
	rest := bytes.TrimLeft(db, "\x00")
	return len(rest) > 0 && rest[0] == 1
}

// readSignature reads a signature of this many bytes. repaired names what is wrong with how it is written; raw is nil when it cannot be read at all.
func readSignature(text string, size int) (raw []byte, repaired string) {
	text = strings.NewReplacer("\r", "", "\n", "", "\t", "").Replace(strings.TrimSpace(text))
	if text == "" {
		return nil, "signature-missing"
	}
	if raw, err := base64.StdEncoding.DecodeString(text); err == nil && len(raw) == size {
		return raw, ""
	}
	if strings.Contains(text, "%") {
		if plain, err := url.PathUnescape(text); err == nil {
			if raw, err := base64.StdEncoding.DecodeString(plain); err == nil && len(raw) == size {
				return raw, "signature-encoded"
			}
		}
	}
	for _, way := range []struct {
		code string
		read func() ([]byte, error)
	}{
		{"signature-spaces", func() ([]byte, error) { return base64.StdEncoding.DecodeString(strings.ReplaceAll(text, " ", "+")) }},
		{"signature-url-base64", func() ([]byte, error) { return base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "=")) }},
		{"signature-hex", func() ([]byte, error) { return hex.DecodeString(text) }},
	} {
		if raw, err := way.read(); err == nil && len(raw) == size {
			return raw, way.code
		}
	}
	if _, err := base64.StdEncoding.DecodeString(text); err == nil {
		return nil, "signature-length"
	}
	return nil, "signature-base64"
}

// signedRequest is the text of an ask as a list of parameters, in the order in which they were sent.
type signedRequest struct {
	text    string
	list    [][2]string // nil: it is no list of parameters, and signed as it stands
	escaped bool        // as sent
}

// parameterBegins is where a parameter begins in a list that is not percent-encoded: values may have & and = of their own.
var parameterBegins = regexp.MustCompile(`&[a-z_]+=`)

// readSigned reads what may be an address, a query, a form body, or the text that was signed.
func readSigned(text string) (r signedRequest) {
	r.text = text
	list := strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	if scheme, rest, found := strings.Cut(list, "://"); found && (scheme == "http" || scheme == "https") {
		if _, query, found := strings.Cut(rest, "?"); found {
			list = query
		}
	}
	if !regexp.MustCompile(`^[a-z_]+=`).MatchString(list) || strings.HasPrefix(list, "app_id=") && regexp.MustCompile(`^app_id=[^&\n]*,`).MatchString(list) {
		return r
	}
	r.escaped = !strings.ContainsAny(list, "{}\" \n") && regexp.MustCompile(`%[0-9A-Fa-f]{2}`).MatchString(list)
	for begin := 0; begin < len(list); {
		end := len(list)
		if at := parameterBegins.FindStringIndex(list[begin:]); at != nil {
			end = begin + at[0]
		}
		name, value, _ := strings.Cut(list[begin:end], "=")
		if r.escaped {
			if plain, err := url.QueryUnescape(value); err == nil {
				value = plain
			}
		}
		r.list = append(r.list, [2]string{name, value})
		begin = end + 1
	}
	return r
}

func (r *signedRequest) get(name string) string {
	for _, p := range r.list {
		if p[0] == name {
			return p[1]
		}
	}
	return ""
}

// kind is the sign_type that the parameters say, if it is one.
func (r *signedRequest) kind() string {
	if kind := r.get("sign_type"); hashOf(kind) != 0 {
		return kind
	}
	return ""
}

// oddities are parameters that the gateway refuses whatever the signature is.
func (r *signedRequest) oddities(app string) (list [][2]string) {
	if id := r.get("app_id"); id != "" && id != app {
		list = append(list, [2]string{"app-id", "app_id"})
	}
	if charset := r.get("charset"); charset != "" && !strings.EqualFold(charset, "utf-8") {
		list = append(list, [2]string{"charset-parameter", "charset"})
	}
	return list
}

// write puts parameters together as they are signed.
func (r *signedRequest) write(sorted, empty bool, value func(name, value string) (text string, keep bool)) string {
	list := slices.Clone(r.list)
	if sorted {
		slices.SortStableFunc(list, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	}
	var b strings.Builder
	for _, p := range list {
		text, keep := value(p[0], p[1])
		if p[0] == "sign" || !keep || text == "" && !empty {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p[0] + "=" + text)
	}
	return b.String()
}

func asItIs(_, value string) (string, bool) { return value, true }

// canonical is what the gateway verifies: sorted, without sign, and without parameters that are empty.
func (r *signedRequest) canonical(empty bool) string {
	if r.list == nil {
		return strings.ReplaceAll(r.text, "\r\n", "\n")
	}
	return r.write(true, empty, asItIs)
}

// signedAs names how the text was made whose digest was signed: "fits" as the gateway makes it; "text" if nobody knows.
func (r *signedRequest) signedAs(o *opened) string {
	for _, c := range r.candidates() {
		for _, text := range c.texts {
			if bytes.Equal(digestOf(o.hash, []byte(text)), o.digest) {
				return c.code
			}
		}
	}
	return "text"
}

type candidate struct {
	code  string
	texts []string
}

// candidates are the texts that may have been signed, the right one first.
func (r *signedRequest) candidates() []candidate {
	right := r.canonical(false)
	if r.list == nil {
		ended := strings.TrimRight(right, "\n") + "\n"
		return append([]candidate{{"fits", []string{right, ended}}}, variants(ended)...)
	}
	mapped := func(change func(name, value string) (string, bool)) string { return r.write(true, false, change) }
	each := func(change func(string) string) string {
		return mapped(func(_, value string) (string, bool) { return change(value), true })
	}
	list := []candidate{
		{"fits", []string{right, r.canonical(true)}},
		{"order", []string{r.write(false, false, asItIs), r.write(false, true, asItIs), r.text}},
		{"sign-type-left-out", []string{mapped(func(name, value string) (string, bool) { return value, name != "sign_type" })}},
		{"encoded", []string{each(url.QueryEscape), each(url.PathEscape), each(percent)}},
		{"plus", []string{each(func(v string) string { return strings.ReplaceAll(v, " ", "+") })}},
		{"quotes", []string{each(func(v string) string { return `"` + v + `"` })}},
	}
	if biz := r.get("biz_content"); biz != "" {
		c := candidate{code: "biz-content"}
		for _, text := range rewritten(biz) {
			c.texts = append(c.texts, mapped(func(name, value string) (string, bool) {
				if name == "biz_content" {
					return text, true
				}
				return value, true
			}))
		}
		list = append(list, c)
	}
	return append(list, variants(right)...)
}

// percent is how encodeURIComponent of browsers and Node writes a value.
func percent(v string) string {
	return strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(url.QueryEscape(v))
}

// variants are a text with other bytes for the same.
func variants(text string) []candidate {
	unix := strings.ReplaceAll(text, "\r\n", "\n")
	list := []candidate{
		{"line-break", []string{text + "\n", text + "\r\n", strings.ReplaceAll(unix, "\n", "\r\n"), strings.TrimRight(text, "\r\n"), unix}},
		{"mark", []string{"\ufeff" + text}},
	}
	if gbk, err := simplifiedchinese.GB18030.NewEncoder().String(text); err == nil && gbk != text && utf8.ValidString(text) {
		list = append(list, candidate{"charset", []string{gbk}})
	}
	return list
}

// rewritten is a JSON text as libraries write the same by default: compact, with spaces behind : and ,, with \u escapes, and indented.
func rewritten(text string) (list []string) {
	var compact bytes.Buffer
	if json.Compact(&compact, []byte(text)) != nil {
		return nil
	}
	tight := compact.String()
	spaced := spacedJSON(tight)
	list = []string{tight, spaced, escapedJSON(tight), escapedJSON(spaced), strings.ReplaceAll(tight, "/", `\/`)}
	for _, indent := range []string{"  ", "    ", "\t"} {
		var b bytes.Buffer
		if json.Indent(&b, []byte(text), "", indent) == nil {
			list = append(list, b.String())
		}
	}
	return list
}

// spacedJSON puts a space behind each colon and comma that is not within a string.
func spacedJSON(tight string) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(tight); i++ {
		c := tight[i]
		b.WriteByte(c)
		switch {
		case quoted && c == '\\' && i+1 < len(tight):
			i++
			b.WriteByte(tight[i])
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ':' || c == ','):
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// escapedJSON writes what is not ASCII as \u escapes.
func escapedJSON(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			b.WriteString(escapedUnit(0xd800+r>>10) + escapedUnit(0xdc00+r&0x3ff))
		default:
			b.WriteString(escapedUnit(r))
		}
	}
	return b.String()
}

func escapedUnit(r rune) string {
	const digits = "0123456789abcdef"
	return `\u` + string([]byte{digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15]})
}
