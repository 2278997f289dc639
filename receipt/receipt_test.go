package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/link"
)

var noon = time.Date(2026, 5, 27, 12, 0, 0, 123456789, time.UTC)

// fleet is an authority, and the signers of its sites 1 to 3.
type fleet struct {
	authority []byte
	signers   []*Signer
}

func newFleet(t *testing.T, seed byte) *fleet {
	t.Helper()
	ca, err := link.NewCA("test", noon, 365*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{authority: ca.Pair().Cert}
	for n := range holdfast.SiteID(3) {
		pair, err := ca.NewSiteCert(n+1, noon, 30*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		credentials, err := link.NewCredentials(f.authority, pair, noon)
		if err != nil {
			t.Fatal(err)
		}
		private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed + byte(n)}, ed25519.SeedSize))
		s, err := NewSigner(private, "test", n+1, credentials, noon)
		if err != nil {
			t.Fatal(err)
		}
		f.signers = append(f.signers, s)
	}
	return f
}

func (f *fleet) keys() (list []Key) {
	for _, s := range f.signers {
		list = append(list, s.Key)
	}
	return list
}

// told is what a site has signed, before it does.
type told struct {
	state, verdict string
}

func lunch() Contents {
	paid := holdfast.TimeOf(noon)
	name := strings.Repeat("0", 16) + "-00000000000000ff"
	name = hex16(^uint64(paid)) + name[16:]
	return Contents{
		Subject: "receipt", Customer: 2088000000020108, Receipt: name, Kind: "paid", Time: new(paid.Std()), Asset: holdfast.MustAsset("CNY"), Amount: -1250,
		Other: 2088000000030206, Number: "order-4711", Text: "noodles",
	}
}

func hex16(n uint64) string {
	b := make([]byte, 16)
	for i := range b {
		b[i] = "0123456789abcdef"[n>>(60-4*i)&15]
	}
	return string(b)
}

var entry = Entry{Role: RolePaid, Shard: 2, Index: 4711, Ord: 3, Term: 7, Hash: strings.Repeat("ab", 32), Time: noon}

// body is a receipt before it is sealed, by what each site says; a site that says nothing has not answered.
func (f *fleet) body(t *testing.T, verdict string, says map[int]told) *Body {
	t.Helper()
	c := lunch()
	contents, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	b := &Body{Made: noon, Verdict: verdict, Reason: "committed", Contents: contents, Entry: entry, Voters: []holdfast.SiteID{1, 2, 3}}
	for n, s := range f.signers {
		said, answered := says[n]
		b.Sites = append(b.Sites, Said{Site: s.Site, Name: []string{"hangzhou", "shanghai", "beijing"}[n], Voter: true, Answered: answered, State: said.state, Signed: answered})
		if answered {
			b.sign(t, s, c.Name(), said)
		}
	}
	return b
}

func (b *Body) sign(t *testing.T, s *Signer, subject string, said told) {
	t.Helper()
	signed, err := s.Sign(&Statement{
		Subject: subject, Contents: HashOf(b.Contents), Verdict: said.verdict, Reason: b.Reason, State: said.state, Entry: b.Entry, Voters: b.Voters, UpTo: 4720, At: noon,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Statements, b.Keys = append(b.Statements, signed), append(b.Keys, s.Key)
}

func seal(t *testing.T, s *Signer, b *Body) []byte {
	t.Helper()
	text, err := s.Seal(b)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

var (
	applied = told{Applied, Safe}
	logged  = told{Logged, Held}
	all     = map[int]told{0: applied, 1: applied, 2: applied}
)

// TestWhatAReceiptProves says for each mixture of sites what it comes to.
func TestWhatAReceiptProves(t *testing.T) {
	f := newFleet(t, 1)
	trust := Trust{Authority: f.authority}
	for name, row := range map[string]struct {
		verdict string
		says    map[int]told
		trust   Trust
		genuine bool
		proved  bool
		shows   string
		leaves  string
	}{
		"all three":                   {Safe, all, trust, true, true, "3 of the 3 sites that vote have signed themselves", ""},
		"all three, by keys":          {Safe, all, Trust{Keys: f.keys()}, true, true, "3 of the 3", ""},
		"two of three":                {Safe, map[int]told{0: applied, 1: applied}, trust, true, true, "2 of the 3", ""},
		"one knows, another has it":   {Safe, map[int]told{0: applied, 2: logged}, trust, true, true, "Site 1 (hangzhou) has signed that the payment was made", ""},
		"one alone":                   {Safe, map[int]told{0: applied}, trust, true, false, "Site 1 (hangzhou) has signed", "1 of the 3 sites that vote have signed, and 2 would be one"},
		"nobody's keys":               {Safe, all, Trust{}, true, false, "3 of the 3", "Who made it"},
		"keys of one of them":         {Safe, all, Trust{Keys: f.keys()[:1]}, true, false, "Site 1 (hangzhou) has signed", "its key is not one that you trust"},
		"in the log of all":           {Held, map[int]told{0: logged, 1: logged, 2: logged}, trust, true, false, "had the payment in the log", "none of them knew then"},
		"on its way":                  {UnderWay, map[int]told{0: {Applied, UnderWay}, 1: {Applied, UnderWay}}, trust, true, false, "held for the payee", "Whether it has arrived"},
		"refused":                     {NotExecuted, map[int]told{0: {Applied, NotExecuted}, 1: {Applied, NotExecuted}}, trust, true, true, "the payment was not made", ""},
		"safe, and nobody knows":      {Safe, map[int]told{0: logged, 1: logged, 2: logged}, trust, false, false, "", ""},
		"safe, and one says refused":  {Safe, map[int]told{0: applied, 1: {Applied, NotExecuted}}, trust, false, false, "", ""},
		"safe, and one says on a way": {Safe, map[int]told{0: applied, 1: {Applied, UnderWay}}, trust, false, false, "", ""},
		"a verdict that is none":      {"certain", all, trust, false, false, "", ""},
		"unknown":                     {Unknown, all, trust, false, false, "", ""},
		"nobody has signed":           {Safe, nil, trust, false, false, "", ""},
	} {
		b := f.body(t, row.verdict, row.says)
		if len(row.says) == 0 {
			b.Keys = append(b.Keys, f.signers[0].Key)
		}
		got := Check(seal(t, f.signers[0], b), row.trust)
		if got.Genuine != row.genuine || got.Proved != row.proved {
			t.Errorf("%s: genuine %t, proved %t, want %t, %t: %q %q %q", name, got.Genuine, got.Proved, row.genuine, row.proved, got.Shown, got.Open, got.Broken)
		}
		if !strings.Contains(strings.Join(got.Shown, " "), row.shows) || !strings.Contains(strings.Join(got.Open, " "), row.leaves) {
			t.Errorf("%s: shows %q, leaves open %q", name, got.Shown, got.Open)
		}
		if row.genuine == (len(got.Broken) > 0) {
			t.Errorf("%s: broken %q", name, got.Broken)
		}
	}
}

// TestEveryLieIsCaught plants each lie in a receipt that is proved. Those in the text are told by whoever has the file, those of the
// sealer by a site that was asked and has its own key; neither has the keys of the others.
func TestEveryLieIsCaught(t *testing.T) {
	f, stranger := newFleet(t, 1), newFleet(t, 100)
	for _, trust := range []Trust{{Authority: f.authority}, {Keys: f.keys()}} {
		if got := Check(seal(t, f.signers[0], f.body(t, Safe, all)), trust); !got.Proved {
			t.Fatalf("the truth is not proved: %q %q", got.Open, got.Broken)
		}
		for name, lie := range map[string]func(text string) string{
			"another amount":   func(text string) string { return strings.ReplaceAll(text, `"amount":-1250`, `"amount":-1251`) },
			"another payee":    func(text string) string { return strings.ReplaceAll(text, "2088000000030206", "2088000000020108") },
			"another text":     func(text string) string { return strings.ReplaceAll(text, "noodles", "poodles") },
			"another customer": func(text string) string { return strings.ReplaceAll(text, "2088000000020108", "2088000000030206") },
			"another number":   func(text string) string { return strings.ReplaceAll(text, "order-4711", "order-4712") },
			"another receipt":  func(text string) string { return strings.ReplaceAll(text, "-00000000000000ff", "-00000000000000fe") },
			"another time":     func(text string) string { return strings.ReplaceAll(text, "12:00:00.123456789", "12:00:01.123456789") },
			"another currency": func(text string) string { return strings.ReplaceAll(text, `"CNY"`, `"KRW"`) },
			"another index":    func(text string) string { return strings.ReplaceAll(text, `"index":4711`, `"index":4712`) },
			"another shard":    func(text string) string { return strings.ReplaceAll(text, `"shard":2`, `"shard":1`) },
			"another term":     func(text string) string { return strings.ReplaceAll(text, `"term":7`, `"term":8`) },
			"another entry":    func(text string) string { return strings.ReplaceAll(text, "abab", "cdcd") },
			"another site":     func(text string) string { return strings.ReplaceAll(text, `"site":3`, `"site":4`) },
			"two sites change places": func(text string) string {
				return strings.NewReplacer(`"site":2`, `"site":3`, `"site":3`, `"site":2`).Replace(text)
			},
			"another fleet": func(text string) string { return strings.ReplaceAll(text, `"fleet":"test"`, `"fleet":"prod"`) },
			"another verdict": func(text string) string {
				return strings.ReplaceAll(text, `"verdict":"safe"`, `"verdict":"not-executed"`)
			},
			"voters left out":           func(text string) string { return strings.ReplaceAll(text, `"voters":[1,2,3]`, `"voters":[1]`) },
			"a site said not to answer": func(text string) string { return strings.Replace(text, `"answered":true`, `"answered":false`, 1) },
			"another name of a site":    func(text string) string { return strings.ReplaceAll(text, "hangzhou", "chongqing") },
			"made at another time":      func(text string) string { return strings.Replace(text, `"made":"2026`, `"made":"2027`, 1) },
			"another format":            func(text string) string { return strings.ReplaceAll(text, Format, "holdfast receipt 2") },
			"a member more":             func(text string) string { return strings.Replace(text, `"made":`, `"void":true,"made":`, 1) },
			"a member more, not sealed": func(text string) string { return strings.Replace(text, `{"format"`, `{"void":true,"format"`, 1) },
			"cut off":                   func(text string) string { return text[:len(text)-40] },
			"cut off in the middle":     func(text string) string { return text[:len(text)/2] },
			"something behind it":       func(text string) string { return text + "{}" },
			"empty":                     func(string) string { return "{}" },
			"nothing":                   func(string) string { return "" },
			"the seal of another":       func(text string) string { return strings.Replace(text, lastKey(text), f.signers[1].ID(), 1) },
			"another key of a site": func(text string) string {
				return strings.ReplaceAll(text, based(f.signers[2].Public), based(stranger.signers[2].Public))
			},
			"other signatures, in order": func(text string) string { return swapped(t, text, 0, 1, true) },
		} {
			text := string(seal(t, f.signers[0], f.body(t, Safe, all)))
			told := lie(text)
			if told == text {
				t.Errorf("%s: the lie was not told", name)
			}
			if got := Check([]byte(told), trust); got.Genuine || got.Proved || len(got.Broken) == 0 {
				t.Errorf("%s: believed: %q %q", name, got.Shown, got.Open)
			}
		}
		for name, lie := range map[string]func(b *Body){
			"another amount":     func(b *Body) { b.Contents = bytes.Replace(b.Contents, []byte("-1250"), []byte("-1251"), 1) },
			"another index":      func(b *Body) { b.Entry.Index++ },
			"another role":       func(b *Body) { b.Entry.Role = RoleLanded },
			"voters left out":    func(b *Body) { b.Voters = b.Voters[:1] },
			"a voter more":       func(b *Body) { b.Voters = append(slices.Clone(b.Voters), 4) },
			"a list that is cut": func(b *Body) { b.Statements = b.Statements[:1] },
			"a statement twice":  func(b *Body) { b.Statements[2] = b.Statements[1] },
			"a site twice":       func(b *Body) { b.Statements = append(b.Statements, b.Statements[1]) },
			"a statement that is changed": func(b *Body) {
				b.Statements[1].Statement = bytes.Replace(b.Statements[1].Statement, []byte(Applied), []byte(Logged), 1)
			},
			"a statement of another payment": func(b *Body) {
				b.Statements = b.Statements[:1]
				b.sign(t, f.signers[1], "receipt 2088000000020108/other", applied)
				b.sign(t, f.signers[2], "receipt 2088000000020108/other", applied)
				b.Keys = b.Keys[:3]
			},
			"a site that has signed held": func(b *Body) { b.Sites[1].State = Logged },
			"a site that has not signed":  func(b *Body) { b.Statements, b.Keys = b.Statements[:2], b.Keys[:2] },
			"a site that is no voter":     func(b *Body) { b.Sites[1].Voter = false },
			"two keys of one site":        func(b *Body) { b.Keys = append(b.Keys, stranger.signers[1].Key) },
			"not executed after all":      func(b *Body) { b.Verdict = NotExecuted },
			"a number of another time": func(b *Body) {
				b.Contents = bytes.Replace(b.Contents, []byte(`"receipt":"`), []byte(`"receipt":"0`), 1)
			},
		} {
			b := f.body(t, Safe, all)
			lie(b)
			if got := Check(seal(t, f.signers[0], b), trust); got.Genuine || got.Proved || len(got.Broken) == 0 {
				t.Errorf("of the site that was asked, %s: believed: %q %q", name, got.Shown, got.Open)
			}
		}
		// Whoever has no key of the fleet makes all of it: nothing counts. A site that invents what the others have signed has its own word.
		if got := Check(seal(t, stranger.signers[0], stranger.body(t, Safe, all)), trust); got.Genuine || got.Proved {
			t.Errorf("a receipt of strangers was believed: %q", got.Shown)
		}
		b := f.body(t, Safe, map[int]told{0: applied})
		for n := 1; n < 3; n++ {
			b.sign(t, stranger.signers[n], "receipt "+lunchName(), applied)
			b.Sites[n].Answered, b.Sites[n].Signed, b.Sites[n].State = true, true, Applied
		}
		if got := Check(seal(t, f.signers[0], b), trust); got.Proved || len(got.Open) < 3 {
			t.Errorf("forged keys were counted: %q %q %q", got.Shown, got.Open, got.Broken)
		}
	}
}

func lunchName() string {
	c := lunch()
	return c.Customer.String() + "/" + c.Receipt
}

func based(b []byte) string {
	text, _ := json.Marshal(b)
	return strings.Trim(string(text), `"`)
}

func lastKey(text string) string {
	at := strings.LastIndex(text, `"key":"`) + len(`"key":"`)
	return text[at : at+32]
}

// swapped lets two statements change places, or their signatures.
func swapped(t *testing.T, text string, i, j int, signatures bool) string {
	t.Helper()
	var d Document
	var b Body
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(d.Receipt, &b); err != nil {
		t.Fatal(err)
	}
	b.Statements[i], b.Statements[j] = b.Statements[j], b.Statements[i]
	if signatures {
		b.Statements[i].Statement, b.Statements[j].Statement = b.Statements[j].Statement, b.Statements[i].Statement
	}
	var err error
	if d.Receipt, err = json.Marshal(b); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestAReceiptIsTheSameIndented: people look at files with programs that put lines into them.
func TestAReceiptIsTheSameIndented(t *testing.T) {
	f := newFleet(t, 1)
	var b bytes.Buffer
	if err := json.Indent(&b, seal(t, f.signers[0], f.body(t, Safe, all)), "", "  "); err != nil {
		t.Fatal(err)
	}
	if got := Check(b.Bytes(), Trust{Authority: f.authority}); !got.Proved {
		t.Errorf("%q", got.Broken)
	}
	if !Is(b.Bytes()) || Is([]byte(`{"format":"holdfast evidence 2"}`)) || Is([]byte("x")) {
		t.Error("a receipt is not told from something else")
	}
}

// TestAKeyIsThatOfASite: neither time nor key, site or fleet of a key can be changed once the site has certified it.
func TestAKeyIsThatOfASite(t *testing.T) {
	f, stranger := newFleet(t, 1), newFleet(t, 100)
	authority, err := link.ParseAuthority(f.authority)
	if err != nil {
		t.Fatal(err)
	}
	good := f.signers[1].Key
	if err := good.certifiedBy(authority); err != nil {
		t.Fatal(err)
	}
	late := noon.Add(40 * 24 * time.Hour)
	for name, lie := range map[string]func(k *Key){
		"site":        func(k *Key) { k.Site = 3 },
		"fleet":       func(k *Key) { k.Fleet = "prod" },
		"key":         func(k *Key) { k.Public = f.signers[0].Public },
		"time":        func(k *Key) { k.Since = new(noon.Add(time.Hour)) },
		"too late":    func(k *Key) { k.Since = &late },
		"no time":     func(k *Key) { k.Since = nil },
		"certificate": func(k *Key) { k.Certificate = f.signers[0].Certificate },
		"authority":   func(k *Key) { *k = stranger.signers[1].Key },
		"endorsement": func(k *Key) { k.Endorsement = f.signers[0].Endorsement },
		"none":        func(k *Key) { k.Certificate = nil },
	} {
		k := good
		lie(&k)
		if err := k.certifiedBy(authority); err == nil {
			t.Errorf("%s: believed", name)
		}
	}
	list, err := json.Marshal(Keys{KeysFormat, f.keys()})
	if err != nil {
		t.Fatal(err)
	}
	if back, err := ReadKeys(list); err != nil || len(back) != 3 || !back[2].same(&f.signers[2].Key) {
		t.Errorf("%v %v", back, err)
	}
	for _, bad := range []string{"", "{}", `{"format":"` + KeysFormat + `","keys":[{"fleet":"test","site":1,"ed25519":"AAAA"}]}`} {
		if _, err := ReadKeys([]byte(bad)); err == nil {
			t.Errorf("%q was taken for keys", bad)
		}
	}
}
