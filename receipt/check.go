package receipt

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast"
	"holdfast/link"
)

// Trust is whom the reader of a receipt believes to be the sites of the fleet. Without either the keys in the receipt itself are taken, which shows
// that nothing was changed since it was made, and not by whom.
type Trust struct {
	Authority []byte // certificates of the fleet's authority, in PEM
	Keys      []Key  // that were published, given to the reader on another way than the receipt
}

func (t *Trust) none() bool { return len(t.Authority) == 0 && len(t.Keys) == 0 }

// Finding is what a receipt proves.
type Finding struct {
	// Genuine: nothing in it was changed since it was made. By whom it was made is only shown if it is Trusted as well.
	Genuine bool `json:"genuine"`
	// Trusted: the reader has named keys or an authority, and the site that made it is one of theirs.
	Trusted bool `json:"trusted"`
	// Proved: a majority of the voters have signed themselves that they have the entry on their disks, and that it is committed. So the payment is safe
	// whatever any one site says, and whichever minority is lost.
	Proved   bool      `json:"proved"`
	Verdict  string    `json:"verdict"`  // of the receipt; only of use when it is genuine
	Contents *Contents `json:"contents"` // nil: they cannot be read
	Entry    *Entry    `json:"entry"`
	Site     string    `json:"site"` // that made it
	Made     time.Time `json:"made"`
	Keys     []Used    `json:"keys"`   // that it was checked with
	Shown    []string  `json:"shown"`  // what it shows, in words
	Open     []string  `json:"open"`   // what it does not show
	Broken   []string  `json:"broken"` // what is not as it should be
}

// Used is a key that a signature was checked with.
type Used struct {
	Site holdfast.SiteID `json:"site"`
	ID   string          `json:"id"`
	By   string          `json:"by"` // who says that it is that of the site: authority, keys, receipt; nobody: what it has signed does not count
}

// Is reports whether a text is meant to be a receipt, and not something else that can be checked.
func Is(text []byte) bool {
	var d struct {
		Format string `json:"format"`
	}
	return json.Unmarshal(text, &d) == nil && strings.HasPrefix(d.Format, "holdfast receipt ")
}

// Check judges a receipt by nothing but itself and whom the reader trusts.
func Check(text []byte, t Trust) Finding {
	c := checker{trust: t, keys: map[string]*Key{}, vain: map[string]bool{}}
	c.all(text)
	f := &c.found
	if f.Genuine, f.Trusted = len(f.Broken) == 0, !t.none(); !f.Genuine {
		f.Proved, f.Trusted, f.Shown = false, false, nil
	}
	f.Proved = f.Proved && f.Trusted
	return *f
}

type checker struct {
	trust  Trust
	body   Body
	keys   map[string]*Key // of the receipt that are trusted, by their ID
	vain   map[string]bool // those that are not
	signed []Statement
	found  Finding
}

func (c *checker) breaks(format string, args ...any) {
	c.found.Broken = append(c.found.Broken, fmt.Sprintf(format, args...))
}

func (c *checker) shows(format string, args ...any) {
	c.found.Shown = append(c.found.Shown, fmt.Sprintf(format, args...))
}

func (c *checker) leaves(format string, args ...any) {
	c.found.Open = append(c.found.Open, fmt.Sprintf(format, args...))
}

// all goes on for as long as what follows can mean something.
func (c *checker) all(text []byte) {
	var d Document
	if err := strict(text, &d); err != nil {
		c.breaks("This is no receipt, or a damaged one: %v.", err)
		return
	}
	if d.Format != Format {
		c.breaks("The receipt has the format %.40q; this program reads %q.", d.Format, Format)
		return
	}
	if err := strict(d.Receipt, &c.body); err != nil {
		c.breaks("What was sealed is no receipt: %v.", err)
		return
	}
	b := &c.body
	c.found.Verdict, c.found.Made = b.Verdict, b.Made
	c.trusted()
	c.seal(&d)
	c.contents()
	c.statements()
	c.sites()
	c.verdict()
}

// trusted takes the keys of the receipt that are the sites' own.
func (c *checker) trusted() {
	var authority *link.Authority
	if len(c.trust.Authority) > 0 {
		var err error
		if authority, err = link.ParseAuthority(c.trust.Authority); err != nil {
			c.breaks("The certificate of the authority that you named cannot be used: %v.", err)
			return
		}
	}
	seen := map[holdfast.SiteID]bool{}
	for i := range c.body.Keys {
		k := &c.body.Keys[i]
		switch {
		case k.check() != nil:
			c.breaks("The key of site %d is none: %v.", k.Site, k.check())
			continue
		case k.Fleet != c.body.Fleet:
			c.breaks("The key of site %d is one of another fleet, %q.", k.Site, k.Fleet)
			continue
		case seen[k.Site]:
			c.breaks("There are two keys of site %d.", k.Site)
			continue
		}
		seen[k.Site] = true
		by, err := c.vouches(k, authority)
		if err != nil {
			by, c.vain[k.ID()] = "nobody", true
			c.leaves("What site %d has signed: its key is not one that you trust (%v). It is not counted.", k.Site, err)
		} else {
			c.keys[k.ID()] = k
		}
		c.found.Keys = append(c.found.Keys, Used{k.Site, k.ID(), by})
	}
}

// vouches says who says that a key is that of its site.
func (c *checker) vouches(k *Key, authority *link.Authority) (string, error) {
	if slices.ContainsFunc(c.trust.Keys, func(o Key) bool { return k.same(&o) }) {
		return "keys", nil
	}
	switch {
	case authority != nil:
		return "authority", k.certifiedBy(authority)
	case len(c.trust.Keys) > 0:
		return "", errors.New("it is not among the keys that you named")
	}
	return "receipt", nil
}

func (c *checker) seal(d *Document) {
	k := c.keys[d.Key]
	switch {
	case k == nil:
		c.breaks("The receipt is sealed with a key that is not one of the fleet that you trust.")
	case k.Site != c.body.Site:
		c.breaks("The receipt says that site %d made it, and site %d has sealed it.", c.body.Site, k.Site)
	case !k.signed(useSeal, compact(d.Receipt), d.Signature):
		c.breaks("The seal of site %d does not fit: something in the receipt was changed, added or left out after it was made.", k.Site)
	}
}

// contents reads what was paid, and holds it against the number of the receipt.
func (c *checker) contents() {
	v := new(Contents)
	if err := strict(c.body.Contents, v); err != nil {
		c.breaks("What was paid cannot be read: %v.", err)
		return
	}
	c.found.Contents, c.found.Entry = v, &c.body.Entry
	if v.Subject != "receipt" {
		return
	}
	n, err := strconv.ParseUint(v.Receipt[:min(16, len(v.Receipt))], 16, 64)
	if err != nil || v.Time == nil || !holdfast.Time(^n).Std().Equal(*v.Time) {
		c.breaks("The number of the receipt does not fit its contents: the number names another time.")
	}
}

// statements takes those that a site has signed.
func (c *checker) statements() {
	subject := ""
	if v := c.found.Contents; v != nil {
		subject = v.Name()
	}
	hash := HashOf(c.body.Contents)
	for i := range c.body.Statements {
		s := &c.body.Statements[i]
		v, err := s.Read()
		if err != nil {
			c.breaks("Statement %d: %v.", i+1, err)
			continue
		}
		k := c.keys[s.Key]
		switch {
		case c.vain[s.Key]:
		case k == nil:
			c.breaks("The statement of site %d is signed with a key that is not in the receipt.", v.Site)
		case !k.signed(useStatement, compact(s.Statement), s.Signature):
			c.breaks("The signature of site %d does not fit its statement: it was changed.", k.Site)
		case k.Site != v.Site || v.Fleet != c.body.Fleet:
			c.breaks("The statement says that it is of site %d of %q, and site %d of %q has signed it.", v.Site, v.Fleet, k.Site, c.body.Fleet)
		case v.Subject != subject:
			c.breaks("Site %d has signed something about another payment: %s.", v.Site, v.Subject)
		case v.Contents != hash:
			c.breaks("Site %d has signed other contents than those that stand here.", v.Site)
		case !v.Entry.Same(&c.body.Entry):
			c.breaks("Site %d has signed another place in the log than the one that stands here.", v.Site)
		case !slices.Equal(v.Voters, c.body.Voters):
			c.breaks("Site %d names other voters than those that stand here.", v.Site)
		case slices.ContainsFunc(c.signed, func(o Statement) bool { return o.Site == v.Site }):
			c.breaks("Site %d is counted twice.", v.Site)
		default:
			c.signed = append(c.signed, v)
		}
	}
}

// sites holds what is said of the sites against what they have signed.
func (c *checker) sites() {
	signers := 0
	for i := range c.body.Sites {
		s := &c.body.Sites[i]
		if s.Site == c.body.Site {
			c.found.Site = s.Name
		}
		if !s.Signed {
			continue
		}
		signers++
		at := slices.IndexFunc(c.signed, func(v Statement) bool { return v.Site == s.Site })
		switch {
		case slices.ContainsFunc(c.found.Keys, func(k Used) bool { return k.Site == s.Site && k.By == "nobody" }):
		case at < 0:
			c.breaks("Site %d is said to have signed, and there is no signature of it.", s.Site)
		case c.signed[at].State != s.State:
			c.breaks("Site %d is said to have the entry as %s, and has signed %s.", s.Site, s.State, c.signed[at].State)
		case s.Voter != slices.Contains(c.body.Voters, s.Site):
			c.breaks("Site %d is counted as a voter or not, and the voters are others.", s.Site)
		}
	}
	if signers != len(c.body.Statements) {
		c.breaks("%d sites are said to have signed, and there are %d signatures.", signers, len(c.body.Statements))
	}
}

// verdict says what it comes to.
func (c *checker) verdict() {
	b := &c.body
	var voters, know []holdfast.SiteID // who have it on their disks and count; who know it to be decided
	for i := range c.signed {
		v := &c.signed[i]
		if slices.Contains(b.Voters, v.Site) {
			voters = append(voters, v.Site)
		}
		if v.State != Applied {
			continue
		}
		know = append(know, v.Site)
		if v.Verdict != b.Verdict {
			c.breaks("Site %d has signed the verdict %q, and the receipt says %q.", v.Site, v.Verdict, b.Verdict)
		}
	}
	slices.Sort(voters)
	need := Majority(len(b.Voters))
	enough := len(b.Voters) > 0 && len(voters) >= need
	if c.trust.none() {
		c.leaves("Who made it: the keys are taken from the receipt itself, and anybody can make some. Name the fleet's keys (--keys) or its authority (--ca), given to you on another way.")
	}
	if len(c.signed) == 0 {
		c.breaks("No site that counts has signed anything about the payment.")
		return
	}
	switch b.Verdict {
	case Safe, NotExecuted:
		c.final(know, voters, enough, need)
	case Held:
		c.shows("%s had the payment in the log at %s.", c.named(voters), b.Made.UTC().Format(time.DateTime))
		c.leaves("Whether the payment counts: none of them knew then whether a majority of the %d sites that vote has it. Ask again.", len(b.Voters))
	case UnderWay:
		c.underWay()
	default:
		c.breaks("The verdict %.20q is none that a receipt can have.", b.Verdict)
	}
}

func (c *checker) final(know, voters []holdfast.SiteID, enough bool, need int) {
	b := &c.body
	if len(know) == 0 {
		c.breaks("The receipt says %q, and no site has signed that.", b.Verdict)
		return
	}
	c.found.Proved = enough
	what := "the payment was made"
	if b.Verdict == NotExecuted {
		what = "the payment was not made, and no money was moved by it"
	}
	c.shows("%s has signed that %s: entry %d of the log of shard %d says so, and a majority of the sites that vote had it on their disks before it counted.",
		c.named(know), what, b.Entry.Index, b.Entry.Shard)
	if enough {
		c.shows("%d of the %d sites that vote have signed themselves that this entry is on their own disks; %s a majority. So it stays, whichever minority of the sites is lost, and none of them can deny it.",
			len(voters), len(b.Voters), areOne(need))
		return
	}
	c.leaves("A majority's own word: %d of the %d sites that vote have signed, and %d would be one. It is the word of those who signed: they cannot deny it later, and you take their word that the others have it. Ask again when more sites are there.",
		len(voters), len(b.Voters), need)
}

func areOne(need int) string {
	if need == 1 {
		return "1 is"
	}
	return fmt.Sprint(need, " are")
}

// underWay tells of money that is held.
func (c *checker) underWay() {
	if c.body.Reason == "reserved" {
		c.shows("The amount was reserved with the payer, and is safe there.")
		c.leaves("That it was paid: it was not. It moves when the hold is posted, or is released.")
		return
	}
	c.shows("The money was taken from the payer and held for the payee, who is in another part of the fleet.")
	c.leaves("Whether it has arrived: that was not known yet. It arrives or comes back to the payer. Ask again.")
}

// named names sites.
func (c *checker) named(list []holdfast.SiteID) string {
	slices.Sort(list)
	names := make([]string, len(list))
	for i, id := range list {
		names[i] = fmt.Sprintf("site %d", id)
		for _, s := range c.body.Sites {
			if s.Site == id && s.Name != "" {
				names[i] = fmt.Sprintf("site %d (%s)", id, s.Name)
			}
		}
	}
	switch n := len(names); n {
	case 0:
		return "No site"
	case 1:
		return strings.ToUpper(names[0][:1]) + names[0][1:]
	default:
		return "Each of " + strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}
