package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
	"holdfast/receipt"
	"holdfast/shard"
	"holdfast/site"
)

// Whether a payment is safe is asked when things are bad: the leader cut off, a majority lost, the site that is asked behind. So it is answered by
// what the replicas at this site know, and by what the other sites say of theirs within a moment, and it says how much that is. Nothing is
// waited for but to find that there is nothing.
//
// A payment is safe when the entry that decides about it was applied by any replica: then it was on the disks of a majority before, and every
// later leader has it. That an entry is on many disks is not enough: as long as nobody has applied it, it may yet be replaced.

// How long each part of an answer takes at most; all of them together less than a second.
const (
	lateSignIn   = 200 * time.Millisecond // until who asks is looked up at this site alone
	askWitnesses = 350 * time.Millisecond // for the logs here and at the other sites
	askMajority  = 300 * time.Millisecond // for being sure that there is nothing
)

// safetyAtOnce bounds questions that are being answered, of callers and of other sites.
const safetyAtOnce = 64

func (a *api) safetyRoutes(r *router) {
	const text = "Answered within a second by any site that is there, whoever leads, also when the leader is cut off or a majority is lost: by what the logs at " +
		"this site say, and those of the other sites that answer in time. So it may be of a moment ago; safe and not-executed stay as they are for ever. unknown " +
		"is no \"no\": ask again. signed is a receipt for holdfast check, which needs no fleet: keep it as it is. With a session, also one that " +
		"only this site can vouch for at the moment."
	add[safetyOfReceiptIn, jsonOut[SafetyBody]](r, operation{
		name: "receipt-safety", method: get, path: "/v1/customers/{id}/receipts/{receipt}/safety", tag: tagCustomers, summary: "Is this payment safe? With a signed receipt",
		text: text, action: guard.ReadMoney, buyers: true, late: true, handle: a.atTill(getReceiptSafety),
	})
	add[safetyOfTradeIn, jsonOut[SafetyBody]](r, operation{
		name: "trade-safety", method: get, path: "/v1/trades/{merchant}/{out_trade_no}/safety", tag: tagTrades, summary: "Is the payment of this trade safe? With a signed receipt",
		text: text, action: guard.ReadMoney, sellers: true, late: true, handle: a.atTill(getTradeSafety),
	})
	add[safetyOfTxnIn, jsonOut[SafetyBody]](r, operation{
		name: "transaction-safety", method: get, path: "/v1/transactions/{id}/safety", tag: tagPayments, summary: "Is this transaction safe? With a signed receipt",
		text: text, action: guard.ReadMoney, late: true, handle: a.getTxnSafety,
	})
	add[DeadlineIn, jsonOut[receipt.Keys]](r, operation{
		name: "receipt-keys", method: get, path: "/v1/receipt-keys", tag: tagFleet, summary: "The keys with which the sites sign receipts",
		text: "Save it before you need it: holdfast check --keys takes it. It has the keys of the sites that this one has heard from.", handle: a.getReceiptKeys,
	})
}

type safetyOfReceiptIn struct {
	PathOwner
	Receipt string `path:"receipt" maxLength:"33" doc:"The receipt of a line of the statement"`
	DeadlineIn
}

type safetyOfTradeIn struct {
	PathTrade
	DeadlineIn
}

type safetyOfTxnIn struct {
	ID string `path:"id" format:"uuid" doc:"The id of the transaction"`
	DeadlineIn
}

// SafetyBody says whether a payment is safe, and what that rests on.
type SafetyBody struct {
	Verdict    string            `json:"verdict" enum:"safe,held,under-way,not-executed,unknown" doc:"safe: committed, a majority of the voters had it on their disks; that stays so. held: in the log of sites that have answered, none of which knows yet whether it counts. under-way: held for a payee in another shard; it arrives or comes back. not-executed: decided, nothing moves; that stays so. unknown: nobody who can be asked just now can tell"`
	Reason     string            `json:"reason" enum:"committed,in-log,on-its-way,reserved,released,refused,taken-back,closed,not-paid,not-here,no-majority,sites-differ" doc:"Why, in a word"`
	Text       string            `json:"text" doc:"The same for people"`
	AskAgainMS int64             `json:"ask_again_ms,omitempty" doc:"When it is of use to ask again. Left out: it stays as it is"`
	Contents   *receipt.Contents `json:"contents,omitempty" doc:"What the payment is. Left out: it is not known here"`
	Entry      *receipt.Entry    `json:"entry,omitempty" doc:"The entry of a log that the verdict rests on"`
	Sites      []receipt.Said    `json:"sites" doc:"All of the fleet"`
	Voters     int               `json:"voters" doc:"Sites whose disks count in the shard of the entry"`
	Majority   int               `json:"majority" doc:"How many of them are one"`
	Holding    int               `json:"holding" doc:"Voters that say that the entry is on their disk"`
	Site       holdfast.SiteID   `json:"site" doc:"That has answered"`
	SiteName   string            `json:"site_name"`
	At         string            `json:"at" format:"date-time" doc:"By its clock"`
	Signed     *SealedBody       `json:"signed,omitempty" doc:"The receipt, for holdfast check: keep it as it is. Left out: there is no entry, or this site has no key"`
}

// SealedBody is a receipt.
type SealedBody struct {
	Format    string `json:"format"`
	Receipt   any    `json:"receipt" doc:"What is sealed: contents, log position, sites, their statements and keys"`
	Key       string `json:"key" doc:"Fingerprint of the key it is sealed with"`
	Signature []byte `json:"signature" doc:"Ed25519, in base64"`
}

func getReceiptSafety(ctx context.Context, t *till) error {
	o, err := t.x.pathMine("id")
	if err != nil {
		return err
	}
	name := t.x.r.PathValue("receipt")
	if !pay.LineName(name) {
		return noReceipt()
	}
	return t.api.sendSafety(ctx, t.x, &question{About: aboutReceipt, Owner: o, Name: name}, noReceipt)
}

func noReceipt() error {
	return edgeNotFound.field("receipt", "This customer has no such receipt. If it was there before, the payment was taken back, and the money is in the wallet.")
}

func getTradeSafety(ctx context.Context, t *till) error {
	merchant, no, err := t.ownTrade()
	if err != nil {
		return err
	}
	if !pay.ValidTradeNumber(no) {
		return noTrade()
	}
	return t.api.sendSafety(ctx, t.x, &question{About: aboutTrade, Owner: merchant, Name: no}, noTrade)
}

func noTrade() error {
	return edgeNotFound.field("out_trade_no", "This merchant has no trade of this number.")
}

func (a *api) getTxnSafety(ctx context.Context, x *exchange) error {
	id, err := x.pathID()
	if err != nil {
		return err
	}
	return a.sendSafety(ctx, x, &question{About: aboutTxn, ID: id}, nothingFound)
}

// sendSafety answers the question; none is the answer when there is certainly nothing of that name.
func (a *api) sendSafety(ctx context.Context, x *exchange, q *question, none func() error) error {
	free, err := a.asking.enter()
	if err != nil {
		return err
	}
	defer free()
	c := a.askAll(ctx, q)
	if !c.best.tells() {
		ctx, cancel := context.WithTimeout(ctx, askMajority)
		defer cancel()
		if a.uptodate(ctx, q) == nil {
			c.add(a.testify(ctx, q), true)
			if c.judge(); c.best.Reason == reasonNotHere {
				return none()
			}
		} else {
			c.best.Reason = reasonNoMajority
		}
	}
	body, err := c.body(a)
	if err != nil {
		return err
	}
	return x.sendJSON(http.StatusOK, body)
}

// asking bounds how many questions are being answered.
type asking chan struct{}

func (s asking) enter() (free func(), err error) {
	select {
	case s <- struct{}{}:
		return func() { <-s }, nil
	default:
		return nil, edgeBusy.problem("")
	}
}

// askAll asks this site and all others at once.
func (a *api) askAll(ctx context.Context, q *question) *council {
	ctx, cancel := context.WithTimeout(ctx, askWitnesses)
	defer cancel()
	c := &council{q: q, at: time.Now()}
	for _, s := range a.site.Sites(ctx) {
		c.sites = append(c.sites, receipt.Said{Site: s.Site, Name: s.Name})
		if s.Self {
			c.self = s.Site
		}
	}
	own := make(chan testimony, 1)
	go func() { own <- a.testify(ctx, q) }()
	for _, h := range a.site.AskSites(ctx, q.encode()) {
		var t testimony
		err := h.Err
		if err == nil {
			err = json.Unmarshal(h.Answer, &t)
		}
		if err != nil {
			a.log.Debug("a site has not said what its log has", "of", h.Site, "err", err)
			continue
		}
		t.Site = h.Site // who it is the link knows
		c.add(t, false)
	}
	select {
	case t := <-own:
		c.add(t, true)
	case <-ctx.Done(): // its replicas are being compared, or its disk hangs
	}
	c.judge()
	return c
}

// uptodate waits until the replicas here have all that was decided before, and fails when that cannot be had in time.
func (a *api) uptodate(ctx context.Context, q *question) error {
	if q.About != aboutTxn {
		return a.site.ReadOwner(ctx, q.Owner, shard.Linearizable, nobodyLooks)
	}
	for _, id := range a.site.ShardIDs() {
		if err := a.site.Read(ctx, id, shard.Linearizable, func(*shard.View) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

func nobodyLooks(site.Stay, *shard.View) error { return nil }

// Reasons of verdicts.
const (
	reasonCommitted  = "committed"
	reasonInLog      = "in-log"
	reasonOnItsWay   = "on-its-way"
	reasonReserved   = "reserved"
	reasonReleased   = "released"
	reasonRefused    = "refused"
	reasonTakenBack  = "taken-back"
	reasonClosed     = "closed"
	reasonNotPaid    = "not-paid"
	reasonNotHere    = "not-here"
	reasonNoMajority = "no-majority"
	reasonDiffer     = "sites-differ"
)

// reasons are what people are told, and when it is of use to ask again.
var reasons = map[string]struct {
	text  string
	again time.Duration
}{
	reasonCommitted:  {"The payment is safe. It is in the log, and a majority of the sites that vote had it on their disks before anybody called it done. That stays so, whichever minority of the sites is lost.", 0},
	reasonInLog:      {"The payment is in the log of the sites named here. It is not known yet whether it counts: ask again in a moment, and do not pay again meanwhile.", 500 * time.Millisecond},
	reasonOnItsWay:   {"The money has left the payer and is held for the payee. It is not known yet whether it has arrived; it arrives, or it comes back. Ask again in a moment, and do not pay again meanwhile.", 300 * time.Millisecond},
	reasonReserved:   {"The amount is reserved with the payer, and that is safe in the log. It has not been paid: it moves when the hold is posted, or is released.", 5 * time.Second},
	reasonReleased:   {"The amount was reserved and has been released: nothing was paid.", 0},
	reasonRefused:    {"The payment was refused. No money was moved by it, and none will be.", 0},
	reasonTakenBack:  {"The payment was refused where the payee is, and what was held for it is back with the payer.", 0},
	reasonClosed:     {"The trade was closed before anybody paid. It cannot be paid any more.", 0},
	reasonNotPaid:    {"Nobody has paid this trade so far. If somebody is paying at this moment, ask again.", time.Second},
	reasonNotHere:    {"The sites that can be reached do not know of this payment yet, which is no proof that there is none. Ask again.", time.Second},
	reasonNoMajority: {"This cannot be told just now: the sites that can be reached do not know of this payment, and there are too few of them to be sure. Ask again, and do not pay again meanwhile.", time.Second},
	reasonDiffer:     {"The sites contradict each other about this payment. The people who run them have to look into it: holdfast audit.", 5 * time.Second},
}

// council is what was heard of all sites, and what it comes to.
type council struct {
	q     *question
	self  holdfast.SiteID
	at    time.Time
	sites []receipt.Said
	heard []testimony // one per site
	best  testimony   // that the verdict rests on
}

// add takes what a site has said, in the stead of what it has said before.
func (c *council) add(t testimony, own bool) {
	if own {
		t.Site = c.self
	}
	c.heard = slices.DeleteFunc(c.heard, func(o testimony) bool { return o.Site == t.Site })
	if t.Failed == "" {
		c.heard = append(c.heard, t)
	}
}

// judge finds what is known best. What is decided stays so, and so goes before what was not decided where somebody is behind.
func (c *council) judge() {
	c.best = testimony{State: receipt.Missing, Verdict: receipt.Unknown, Reason: reasonNotHere}
	made, denied := false, false
	for i := range c.heard {
		t := &c.heard[i]
		if t.State == receipt.Applied {
			made, denied = made || t.Verdict == receipt.Safe, denied || t.Verdict == receipt.NotExecuted
		}
		if r, best := t.rank(), c.best.rank(); r > best || r == best && c.holding(t) > c.holding(&c.best) {
			c.best = *t
		}
	}
	if made && denied {
		c.best = testimony{State: receipt.Missing, Verdict: receipt.Unknown, Reason: reasonDiffer}
	}
}

// holding counts the voters that have the entry of a testimony.
func (c *council) holding(t *testimony) (n int) {
	if t.State == receipt.Missing {
		return 0
	}
	for i := range c.heard {
		if o := &c.heard[i]; o.State != receipt.Missing && o.Entry.Same(&t.Entry) && slices.Contains(t.Voters, o.Site) {
			n++
		}
	}
	return n
}

// body is the answer.
func (c *council) body(a *api) (b SafetyBody, err error) {
	t := &c.best
	b = SafetyBody{
		Verdict: t.Verdict, Reason: t.Reason, Text: reasons[t.Reason].text, AskAgainMS: reasons[t.Reason].again.Milliseconds(),
		Sites: c.sites, Site: c.self, At: momentText(c.at),
	}
	if len(t.Contents) > 0 {
		b.Contents = new(receipt.Contents)
		if err := json.Unmarshal(t.Contents, b.Contents); err != nil {
			return b, err
		}
		if b.Verdict == receipt.Safe && b.Contents.Kind == pay.ReceiptWithdrawn.String() {
			b.Text += " It is the order to the bank that is safe: what the bank has done with it, the withdrawal says."
		}
	}
	r := receipt.Body{Made: c.at.UTC(), Verdict: t.Verdict, Reason: t.Reason, Contents: t.Contents, Entry: t.Entry, Voters: t.Voters}
	for i := range c.sites {
		c.tell(&c.sites[i], &r)
		if c.sites[i].Site == c.self {
			b.SiteName = c.sites[i].Name
		}
	}
	if t.State == receipt.Missing {
		return b, nil
	}
	b.Entry, b.Voters, b.Majority, b.Holding = &t.Entry, len(t.Voters), receipt.Majority(len(t.Voters)), c.holding(t)
	signer := a.receiptSigner()
	if signer == nil || len(r.Statements) == 0 {
		return b, nil
	}
	if !slices.ContainsFunc(r.Keys, func(k receipt.Key) bool { return k.ID() == signer.ID() }) { // it is behind, and has only the others' word
		r.Keys = append(r.Keys, signer.Key)
	}
	r.Sites = c.sites
	text, err := signer.Seal(&r)
	if err != nil {
		return b, err
	}
	var d receipt.Document
	if err := json.Unmarshal(text, &d); err != nil {
		return b, err
	}
	b.Signed = &SealedBody{d.Format, d.Receipt, d.Key, d.Signature}
	return b, nil
}

// tell says what a site has said about the entry that counts, and adds its statement to the receipt.
func (c *council) tell(s *receipt.Said, r *receipt.Body) {
	t := &c.best
	s.Voter = slices.Contains(t.Voters, s.Site)
	at := slices.IndexFunc(c.heard, func(o testimony) bool { return o.Site == s.Site })
	if at < 0 {
		return
	}
	o := &c.heard[at]
	if s.Answered = true; t.State == receipt.Missing {
		return
	}
	s.State = receipt.Missing
	if o.Entry.Shard == t.Entry.Shard {
		s.UpTo = o.UpTo
	}
	if o.State == receipt.Missing || !o.Entry.Same(&t.Entry) {
		return
	}
	s.State = o.State
	if o.Signed == nil || o.Key == nil || o.Key.Site != s.Site {
		return
	}
	v, good := o.Signed.SignedBy(o.Key)
	if good && v.Subject == c.q.subject() && v.Contents == receipt.HashOf(t.Contents) && v.Entry.Same(&t.Entry) && slices.Equal(v.Voters, t.Voters) && v.State == o.State {
		s.Signed = true
		r.Statements, r.Keys = append(r.Statements, *o.Signed), append(r.Keys, *o.Key)
	}
}

func (a *api) receiptSigner() *receipt.Signer {
	if a.receipts == nil {
		return nil
	}
	return a.receipts()
}

// keyring is what is known of the keys of the other sites.
type keyring struct {
	sync.Mutex
	known map[holdfast.SiteID]receipt.Key // guarded by Mutex, as is asked
	asked time.Time
}

// keyAge is how old what is known of the keys of the other sites may be before they are asked again.
const keyAge = 5 * time.Second

func (a *api) getReceiptKeys(ctx context.Context, x *exchange) error {
	a.keyring.Lock()
	if now := time.Now(); now.Sub(a.keyring.asked) > keyAge {
		a.keyring.asked = now
		a.keyring.Unlock()
		a.learnKeys(ctx)
		a.keyring.Lock()
	}
	list := receipt.Keys{Format: receipt.KeysFormat, Keys: []receipt.Key{}}
	for _, k := range a.keyring.known {
		list.Keys = append(list.Keys, k)
	}
	a.keyring.Unlock()
	if s := a.receiptSigner(); s != nil {
		list.Keys = append(list.Keys, s.Key)
	}
	slices.SortFunc(list.Keys, func(p, q receipt.Key) int { return int(p.Site) - int(q.Site) })
	return x.sendJSON(http.StatusOK, list)
}

func (a *api) learnKeys(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askWitnesses)
	defer cancel()
	q := question{About: aboutKeys}
	for _, h := range a.site.AskSites(ctx, q.encode()) {
		var t testimony
		if h.Err != nil || json.Unmarshal(h.Answer, &t) != nil || t.Key == nil || t.Key.Site != h.Site {
			continue
		}
		a.keyring.Lock()
		if a.keyring.known == nil {
			a.keyring.known = map[holdfast.SiteID]receipt.Key{}
		}
		a.keyring.known[h.Site] = *t.Key
		a.keyring.Unlock()
	}
}

// What can be asked about.
const (
	aboutReceipt = "receipt"
	aboutTrade   = "trade"
	aboutTxn     = "transaction"
	aboutKeys    = "keys"
)

// question is what one site asks another.
type question struct {
	About string         `json:"about"`
	Owner holdfast.Owner `json:"owner,omitempty"`
	Name  string         `json:"name,omitempty"`
	ID    holdfast.ID    `json:"id,omitzero"`
}

func (q *question) encode() []byte {
	text, err := json.Marshal(q)
	if err != nil {
		panic(err) // texts and numbers
	}
	return text
}

// contents are those that the question names already.
func (q *question) contents() receipt.Contents {
	switch q.About {
	case aboutReceipt:
		return receipt.Contents{Subject: aboutReceipt, Customer: q.Owner, Receipt: q.Name}
	case aboutTrade:
		return receipt.Contents{Subject: aboutTrade, Merchant: q.Owner, OutTradeNo: q.Name}
	}
	return receipt.Contents{Subject: aboutTxn, Transaction: q.ID.String()}
}

func (q *question) subject() string {
	c := q.contents()
	return c.Name()
}

var errQuestion = errors.New("the question of another site is not known here: is that site of a newer release?")

// answerSite answers what another site asks; see [site.Site.OnAsked].
func (a *api) answerSite(ctx context.Context, text []byte) ([]byte, error) {
	free, err := a.asked.enter()
	if err != nil {
		return nil, err
	}
	defer free()
	var q question
	if err := json.Unmarshal(text, &q); err != nil {
		return nil, errQuestion
	}
	switch {
	case q.About == aboutKeys:
		t := testimony{State: receipt.Missing}
		if s := a.receiptSigner(); s != nil {
			t.Key = &s.Key
		}
		return json.Marshal(t)
	case q.About == aboutReceipt && pay.LineName(q.Name), q.About == aboutTrade && pay.ValidTradeNumber(q.Name), q.About == aboutTxn:
		return json.Marshal(a.testify(ctx, &q))
	}
	return nil, errQuestion
}

// testify says what the log of this site has of a payment, and signs it.
func (a *api) testify(ctx context.Context, q *question) testimony {
	f, err := a.locate(ctx, q)
	if err != nil {
		return testimony{Failed: "the log here cannot be read: " + strconv.Quote(err.Error())}
	}
	t := f.testimony
	if t.State == receipt.Missing {
		return t
	}
	if t.Contents, err = json.Marshal(f.contents); err != nil {
		return testimony{Failed: err.Error()}
	}
	s := a.receiptSigner()
	if s == nil {
		return t
	}
	signed, err := s.Sign(&receipt.Statement{
		Subject: q.subject(), Contents: receipt.HashOf(t.Contents), Verdict: t.Verdict, Reason: t.Reason, State: t.State, Entry: t.Entry,
		Voters: t.Voters, UpTo: t.UpTo, At: time.Now().UTC(),
	})
	if err == nil {
		t.Signed, t.Key = &signed, &s.Key
	}
	return t
}

// testimony is what a site says of its own log.
type testimony struct {
	Site     holdfast.SiteID          `json:"-"`
	Failed   string                   `json:"failed,omitempty"` // it could not look
	State    string                   `json:"state"`
	Verdict  string                   `json:"verdict"` // by its log alone
	Reason   string                   `json:"reason"`
	Contents json.RawMessage          `json:"contents,omitempty"`
	Entry    receipt.Entry            `json:"entry"`
	Voters   []holdfast.SiteID        `json:"voters"`
	UpTo     uint64                   `json:"up_to"`
	Signed   *receipt.SignedStatement `json:"signed,omitempty"`
	Key      *receipt.Key             `json:"key,omitempty"`
}

// tells reports that it says something that need not be made sure of.
func (t *testimony) tells() bool { return t.State != receipt.Missing || t.Reason == reasonDiffer }

// rank is how much a testimony tells.
func (t *testimony) rank() int {
	switch {
	case t.State == receipt.Applied && (t.Verdict == receipt.Safe || t.Verdict == receipt.NotExecuted):
		return 4
	case t.State == receipt.Applied:
		return 3
	case t.State == receipt.Logged:
		return 2
	case t.Reason == reasonNotPaid:
		return 1
	}
	return 0
}
