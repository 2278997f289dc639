package evidence

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"holdfast"
	"holdfast/check"
	"holdfast/client"
	"holdfast/proof"
)

// Verdict is what a run proves.
type Verdict struct {
	Scenario string   `json:"scenario"`
	OK       bool     `json:"ok"`
	Proved   []string `json:"proved"` // in words, with numbers
	Broken   []string `json:"broken"` // what is not as it should be
}

// mostBroken is how many things of one kind are told.
const mostBroken = 20

// Check judges a run by nothing but the file. authority is the certificate that the reader trusts, in PEM; nil takes that of the file.
func (r *Run) Check(authority []byte) Verdict {
	j := &judge{run: r, authority: authority, sites: map[holdfast.SiteID]*testimony{}, sold: r.sold()}
	if authority == nil {
		j.authority = []byte(r.Authority)
	}
	for _, step := range []func(){j.signatures, j.statements, j.receipts, j.trades, j.agreement, j.audits, j.quorums} {
		step()
	}
	return Verdict{Scenario: r.Scenario, OK: len(j.broken) == 0, Proved: j.proved, Broken: j.broken}
}

type judge struct {
	run       *Run
	authority []byte
	cluster   string
	sites     map[holdfast.SiteID]*testimony
	sold      map[holdfast.AccountID]bool // whose statements are held against trades
	proved    []string
	broken    []string
	kinds     map[string]int
}

// testimony is what one site has signed.
type testimony struct {
	pages  map[holdfast.AccountID][]page // of statements, by the account
	audits []client.Audit                // in order of time

	lines map[holdfast.AccountID][]client.Line // newest first
	found map[holdfast.ID]*client.Line         // of payments, by the transaction
	byID  map[holdfast.ID]*client.Txn          // asked for one by one

	settled map[holdfast.Owner]map[string]client.Settlement // of merchants, by day and asset

	departed map[holdfast.ID]bool // payments that were held for another shard, on the statements of those who pay
}

type page struct {
	cursor string // that was asked for; "" for the newest
	client.Page
}

func (j *judge) prove(format string, args ...any) {
	j.proved = append(j.proved, fmt.Sprintf(format, args...))
}

// breaks notes what is wrong; of each kind only so many.
func (j *judge) breaks(kind, format string, args ...any) {
	if j.kinds == nil {
		j.kinds = map[string]int{}
	}
	if j.kinds[kind]++; j.kinds[kind] <= mostBroken {
		j.broken = append(j.broken, fmt.Sprintf(format, args...))
	}
}

// signatures sorts the answers by who has signed them. An answer that nobody has signed is evidence of nothing, and breaks the file.
func (j *judge) signatures() {
	for _, id := range j.run.Sites {
		j.sites[id] = &testimony{pages: map[holdfast.AccountID][]page{}, found: map[holdfast.ID]*client.Line{}, byID: map[holdfast.ID]*client.Txn{}, departed: map[holdfast.ID]bool{}}
		j.sites[id].settled = map[holdfast.Owner]map[string]client.Settlement{}
	}
	for _, h := range j.verified() {
		t := j.sites[h.who.Site]
		if t == nil || h.who.Cluster != j.cluster {
			j.breaks("stranger", "answer %d is signed by site %d of %q, which is none of the sites of this run", h.at+1, h.who.Site, h.who.Cluster)
			continue
		}
		if h.unread != nil {
			j.breaks("unread", "answer %d of site %d (%s): %v", h.at+1, h.who.Site, h.target, h.unread)
			continue
		}
		t.take(&h)
	}
	for _, t := range j.sites {
		slices.SortStableFunc(t.audits, func(a, b client.Audit) int { return a.At.Compare(b.At) })
	}
	j.prove("%d answers are signed by the sites %v of fleet %q", len(j.run.Answers), j.run.Sites, j.cluster)
}

// verified are the answers that were signed, in the order in which they were: what a site said last is not for the writer of the file to
// choose.
func (j *judge) verified() (list []heard) {
	verifier, err := proof.NewVerifier(j.authority)
	if err != nil {
		j.breaks("forged", "none of the answers can be verified: %v", err)
		return nil
	}
	all := make([]heard, len(j.run.Answers))
	onAllCores(len(all), func(i int) { all[i] = hear(verifier, &j.run.Answers[i], i) })
	for i := range all {
		h := &all[i]
		if h.forged != nil {
			j.breaks("forged", "answer %d (%s): %v", i+1, h.target, h.forged)
			continue
		}
		if j.cluster == "" {
			j.cluster = h.who.Cluster
		}
		list = append(list, *h)
	}
	slices.SortStableFunc(list, func(a, b heard) int { return a.who.At.Compare(b.who.At) })
	return list
}

// onAllCores calls do for 0 to n-1, in any order, on as many cores as there are, and returns when all is done.
func onAllCores(n int, do func(i int)) {
	var next atomic.Int64
	var work sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		work.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	work.Wait()
}

// heard is an answer that was looked at by itself: who has signed it, and what it says.
type heard struct {
	at     int // in the file
	target string
	who    proof.Signatory
	forged error // nobody has signed it
	unread error // it is signed, and does not say what such an answer says

	// What it is an answer to, by the question; nothing of it: of no use here.
	audit   *client.Audit
	id      holdfast.ID
	txn     *client.Txn // with the id
	account holdfast.AccountID
	page    *page // of the statement of the account

	merchant holdfast.Owner
	settled  []client.Settlement // of the merchant
}

// hear verifies an answer and takes it for what it is by the question it was given to.
func hear(v *proof.Verifier, a *proof.Answer, at int) heard {
	h := heard{at: at, target: a.Target}
	if h.who, h.forged = v.Verify(a); h.forged == nil {
		h.unread = h.read(a)
	}
	return h
}

func (h *heard) read(a *proof.Answer) error {
	target, err := url.ParseRequestURI(a.Target)
	if err != nil || a.Method != http.MethodGet || a.Status != http.StatusOK {
		return nil // signed, and of no use here
	}
	if target.Path == "/v1/audit" {
		h.audit = new(client.Audit)
		if err := json.Unmarshal(a.Body, h.audit); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		return nil
	}
	if target.Path == "/v1/settlements" {
		return h.readSettlements(target.Query(), a.Body)
	}
	if text, ok := strings.CutPrefix(target.Path, "/v1/transactions/"); ok {
		return h.readTxn(text, a.Body)
	}
	name, ok := strings.CutSuffix(strings.TrimPrefix(target.Path, "/v1/accounts/"), "/statement")
	if !ok {
		return nil
	}
	if h.account, err = holdfast.ParseAccountID(name); err != nil {
		return err
	}
	p, err := client.DecodePage(a.Body)
	h.page = &page{target.Query().Get("cursor"), p}
	return err
}

// readTxn reads an answer to a question for one id: for payments that are on no statement that was read.
func (h *heard) readTxn(text string, body []byte) (err error) {
	if h.id, err = holdfast.ParseID(text); err != nil {
		return err
	}
	x, err := client.DecodeTxn(h.id, body)
	h.txn = &x
	return err
}

// take adds an answer to what the site has signed.
func (t *testimony) take(h *heard) {
	switch {
	case h.audit != nil:
		t.audits = append(t.audits, *h.audit)
	case h.txn != nil:
		t.byID[h.id] = h.txn
	case h.page != nil:
		t.pages[h.account] = append(t.pages[h.account], *h.page)
	case h.merchant != 0:
		days := t.settled[h.merchant]
		if days == nil {
			days = map[string]client.Settlement{}
			t.settled[h.merchant] = days
		}
		for _, d := range h.settled {
			days[d.Day+" "+d.Asset.String()] = d
		}
	}
}

// statements puts the pages of each statement together, and checks that none is missing and that the lines add up.
func (j *judge) statements() {
	lines := 0
	for _, id := range slices.Sorted(maps.Keys(j.sites)) {
		t := j.sites[id]
		t.lines = map[holdfast.AccountID][]client.Line{}
		if len(t.pages) == 0 {
			j.breaks("silent", "site %d has signed no statement", id)
		}
		for account, pages := range t.pages {
			whole, err := join(pages)
			if err == nil {
				err = addsUp(account, whole)
			}
			if err != nil {
				j.breaks("statement", "site %d, statement of %s: %v", id, account, err)
			}
			t.lines[account] = whole
			lines += len(whole)
		}
		j.once(id, t)
	}
	j.prove("%d lines on whole statements, each adding up to the balance it shows", lines)
}

// join follows the cursors from the newest page to the oldest.
func join(pages []page) (lines []client.Line, err error) {
	by := map[string]*page{}
	for i := range pages {
		by[pages[i].cursor] = &pages[i]
	}
	for cursor, seen := "", 0; ; seen++ {
		p := by[cursor]
		if p == nil || seen > len(pages) {
			return lines, fmt.Errorf("the page after %d lines is missing", len(lines))
		}
		lines = append(lines, p.Lines...)
		if cursor = p.Next; cursor == "" {
			return lines, nil
		}
	}
}

// addsUp checks that each line changes the sums by its amount, from nothing to what the newest shows.
func addsUp(account holdfast.AccountID, lines []client.Line) error {
	var debits, credits holdfast.Amount
	for i := len(lines) - 1; i >= 0; i-- {
		l := &lines[i]
		if departs(account, lines, i) {
			// The sums are those before it; they change with the line that posts it.
		} else if l.Kind == holdfast.Immediate {
			switch account {
			case l.Debit:
				debits += l.Amount
			case l.Credit:
				credits += l.Amount
			default:
				return fmt.Errorf("%s is on it and is none of its payments", l.Txn)
			}
		} else {
			debits, credits = l.DebitsPosted, l.CreditsPosted // opening, or the parts of a hold: its sums are taken as they are
		}
		if i+1 < len(lines) && lines[i+1].Shard != l.Shard && l.Balance() == credits-debits {
			debits, credits = l.DebitsPosted, l.CreditsPosted // the owner has moved to another shard: the balance went along, the sums begin anew
		}
		if l.DebitsPosted != debits || l.CreditsPosted != credits {
			return fmt.Errorf("at %s it shows %d debits and %d credits; its lines come to %d and %d", l.Txn, l.DebitsPosted, l.CreditsPosted, debits, credits)
		}
	}
	return nil
}

// departs reports a line of a payment to another shard on the statement of its payer: the amount is held there until the payment has
// landed, and posted with a line of its own. It happened when it landed, and stands for good on the statement of the payee.
func departs(account holdfast.AccountID, lines []client.Line, i int) bool {
	l, before := &lines[i], client.Line{}
	if i+1 < len(lines) {
		before = lines[i+1]
	}
	return l.Kind == holdfast.Immediate && l.Debit == account && l.DebitsPosted == before.DebitsPosted && l.DebitsPending == before.DebitsPending+l.Amount
}

// once looks for payments that stand on one statement twice, and indexes them.
func (j *judge) once(id holdfast.SiteID, t *testimony) {
	for account, lines := range t.lines {
		if j.sold[account] {
			continue // see trades
		}
		here := map[holdfast.ID]bool{}
		for i := range lines {
			l := &lines[i]
			if l.Kind != holdfast.Immediate {
				continue
			}
			if here[l.Txn] {
				j.breaks("doubled", "doubled: %s is on the statement of %s twice at site %d", l.Txn, account, id)
			}
			here[l.Txn] = true
			if departs(account, lines, i) {
				t.departed[l.Txn] = true
			} else {
				t.found[l.Txn] = l
			}
		}
	}
}

// receipts holds what callers were told against what each site has on its statements.
func (j *judge) receipts() {
	if len(j.run.Receipts)+len(j.run.Deals) == 0 {
		j.breaks("receipts", "the run has no receipt: there is nothing that it could prove")
	}
	acks := make([]check.Ack, 0, len(j.run.Receipts))
	asked := map[holdfast.ID]bool{}
	done := 0
	for i := range j.run.Receipts {
		r := &j.run.Receipts[i]
		asked[r.ID] = true
		if r.Outcome == holdfast.Done.String() {
			done++
		}
		acks = append(acks, r.ack())
	}
	for _, id := range slices.Sorted(maps.Keys(j.sites)) {
		t := j.sites[id]
		report, err := check.Reconcile(acks, t.lookup)
		if err != nil {
			j.breaks("receipts", "site %d: %v", id, err)
		}
		for kind, found := range map[string][]check.Finding{"lost": report.Lost, "doubled": report.Duplicated, "altered": report.Altered, "phantom": report.Phantom} {
			for _, f := range found {
				j.breaks(kind, "%s at site %d: %s", kind, id, f)
			}
		}
		for txn := range t.found {
			j.unasked(id, txn, asked)
		}
		for txn := range t.departed {
			j.unasked(id, txn, asked)
		}
	}
	j.prove("%d receipts of payments that were acknowledged, %d receipts in all, held against %d sites", done, len(acks), len(j.sites))
}

func (j *judge) unasked(id holdfast.SiteID, txn holdfast.ID, asked map[holdfast.ID]bool) {
	if !asked[txn] {
		j.breaks("unasked", "site %d has %s on a statement, and no receipt asks for it", id, txn)
	}
}

func (r *Receipt) ack() check.Ack {
	status := holdfast.Unknown
	for _, s := range []holdfast.Status{holdfast.Done, holdfast.Refused, holdfast.NotExecuted} {
		if r.Outcome == s.String() {
			status = s
		}
	}
	return check.Ack{ID: r.ID, Txn: r.txn(), Outcome: holdfast.Outcome{ID: r.ID, Status: status, Leg: holdfast.NoLeg, Time: r.Time}}
}

func (r *Receipt) txn() *holdfast.Txn {
	return &holdfast.Txn{ID: r.ID, Transfers: []holdfast.Transfer{{ID: r.ID, Kind: holdfast.Immediate, Debit: r.Debit, Credit: r.Credit, Amount: r.Amount}}}
}

// lookup finds a payment on the statements of the site, or in an answer to a question for its id. Receipts have no code and no
// reference, so neither is compared.
func (t *testimony) lookup(id holdfast.ID) (check.Found, bool, error) {
	found := func(status holdfast.Status, m *client.Movement) (check.Found, bool, error) {
		o := holdfast.Outcome{ID: id, Status: status, Leg: holdfast.NoLeg}
		if m == nil {
			return check.Found{Outcome: o}, true, nil
		}
		o.Time = holdfast.TimeOf(m.Time)
		r := Receipt{ID: id, Debit: m.Debit, Credit: m.Credit, Amount: m.Amount}
		return check.Found{Txn: r.txn(), Outcome: o}, true, nil
	}
	l, x := t.found[id], t.byID[id]
	switch {
	case l != nil:
		return found(holdfast.Done, &l.Movement)
	case x == nil:
		return check.Found{}, false, nil
	case len(x.Transfers) == 1:
		f, ok, err := found(x.Outcome.Status, &x.Transfers[0])
		if x.Outcome.Time != 0 {
			f.Outcome.Time = x.Outcome.Time // of a payment to another shard it is when it landed
		}
		return f, ok, err
	}
	return found(x.Outcome.Status, nil)
}

// agreement compares the statements of all sites with those of the first.
func (j *judge) agreement() {
	ids := slices.Sorted(maps.Keys(j.sites))
	for _, id := range ids[min(1, len(ids)):] {
		a, b := j.sites[ids[0]].lines, j.sites[id].lines
		if len(a) != len(b) {
			j.breaks("differ", "site %d has signed %d statements, and site %d has signed %d", ids[0], len(a), id, len(b))
		}
		for account := range a {
			if n := firstDifference(a[account], b[account]); n >= 0 {
				j.breaks("differ", "the statements of %s differ at sites %d and %d from the %dth line on", account, ids[0], id, n+1)
			}
		}
	}
	j.prove("%d sites have signed the same statements", len(ids))
}

func firstDifference(a, b []client.Line) int {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return i
		}
	}
	return -1
}

// audits takes the last audit of each site, and compares all digests of one index.
func (j *judge) audits() {
	c := comparison{first: map[place]signedDigest{}, shards: map[holdfast.ShardID]bool{}}
	for _, id := range slices.Sorted(maps.Keys(j.sites)) {
		t := j.sites[id]
		last := t.last()
		if last == nil {
			j.breaks("audit", "site %d has signed no audit", id)
			continue
		}
		if !last.OK || !last.Balanced || last.Site != id {
			j.breaks("audit", "the last audit of site %d (by site %d) is not good: %s", id, last.Site, strings.Join(last.Problems, "; "))
		}
		j.whole(id, last)
		for i := range t.audits {
			for k := range t.audits[i].Shards {
				j.compare(&c, id, &t.audits[i].Shards[k])
			}
		}
	}
	for _, shard := range j.shards() {
		if !c.shards[shard] && len(j.members(shard)) > 1 {
			j.breaks("compared", "no two sites have compared their digests of shard %d", shard)
		}
	}
	j.prove("every site has audited its books in %d shards and found them right; %d digests were compared", len(j.shards()), c.digests)
}

// last is the last audit that a site has signed; nil: none.
func (t *testimony) last() *client.Audit {
	if len(t.audits) == 0 {
		return nil
	}
	return &t.audits[len(t.audits)-1]
}

// place is where in the log of a shard a digest is of.
type place struct {
	shard holdfast.ShardID
	index uint64
}

type signedDigest struct {
	by     holdfast.SiteID
	digest string
}

// comparison is of the digests that the sites have signed.
type comparison struct {
	first   map[place]signedDigest
	digests int                       // that were compared with one of another site
	shards  map[holdfast.ShardID]bool // of them
}

// compare holds what a site has signed of a shard against what others have: the digest where its replica was, and those where it has met
// other sites, with what they told it there.
func (j *judge) compare(c *comparison, id holdfast.SiteID, s *client.ShardAudit) {
	j.digest(c, id, place{s.Shard, s.Index}, s.Digest)
	for _, d := range s.Digests {
		if d.Error != "" || d.Site == id {
			continue
		}
		j.digest(c, id, place{s.Shard, d.Index}, d.Ours)
		j.digest(c, d.Site, place{s.Shard, d.Index}, d.Digest)
	}
}

func (j *judge) digest(c *comparison, of holdfast.SiteID, at place, digest string) {
	was, ok := c.first[at]
	switch {
	case !ok:
		c.first[at] = signedDigest{of, digest}
	case was.digest != digest:
		j.breaks("digest", "site %d has another state than others: shard %d at entry %d has the digests %s and %s", of, at.shard, at.index, was.digest, digest)
	case was.by != of: // a site that says a thing twice has compared nothing
		c.digests++
		c.shards[at.shard] = true
	}
}

// quorums holds who has answered against who should have. The file says which sites were there, and nobody has signed that; but every audit
// names the sites that have a replica of each shard. What fewer than a majority of them say proves nothing: the others may have gone
// on without them.
func (j *judge) quorums() {
	if len(j.run.Sites) == 0 {
		j.breaks("silent", "the run names no site, and none has said anything")
	}
	silent := map[holdfast.SiteID]bool{}
	for _, shard := range j.shards() {
		members, spoke := j.members(shard), 0
		for id := range members {
			if t := j.sites[id]; t != nil && len(t.pages) > 0 && t.last() != nil {
				spoke++
			} else {
				silent[id] = true
			}
		}
		if 2*spoke <= len(members) {
			j.breaks("quorum", "shard %d is at the sites %v, as the audits say, and only %d of them have signed statements and an audit: no majority",
				shard, slices.Sorted(maps.Keys(members)), spoke)
		}
	}
	if len(silent) > 0 {
		j.prove("the sites %v, which have a replica too, have said nothing", slices.Sorted(maps.Keys(silent)))
	}
}

// members are the sites that have a replica of a shard, as the last audit of each site says.
func (j *judge) members(shard holdfast.ShardID) map[holdfast.SiteID]bool {
	members := map[holdfast.SiteID]bool{}
	for id, t := range j.sites {
		last := t.last()
		if last == nil {
			continue
		}
		i := slices.IndexFunc(last.Shards, func(s client.ShardAudit) bool { return s.Shard == shard })
		if i < 0 {
			continue
		}
		members[id] = true
		for _, d := range last.Shards[i].Digests {
			members[d.Site] = true
		}
	}
	return members
}

// whole checks that an audit is of all shards: of those that other sites have audited, and of those that are on any statement. A book
// that nobody has recounted would be missed by nobody.
func (j *judge) whole(id holdfast.SiteID, a *client.Audit) {
	audited := map[holdfast.ShardID]bool{}
	for _, s := range a.Shards {
		audited[s.Shard] = true
	}
	for _, shard := range j.shards() {
		if !audited[shard] {
			j.breaks("audit", "the last audit of site %d leaves shard %d out", id, shard)
		}
	}
}

// shards are those that anything signed is about, in order.
func (j *judge) shards() []holdfast.ShardID {
	all := map[holdfast.ShardID]bool{}
	for _, t := range j.sites {
		for i := range t.audits {
			for _, s := range t.audits[i].Shards {
				all[s.Shard] = true
			}
		}
		for _, lines := range t.lines {
			for i := range lines {
				all[lines[i].Shard] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}
