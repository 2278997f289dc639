package receipt

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"holdfast"
)

// Format is the first field of every receipt.
const Format = "holdfast receipt 1"

// Verdicts about a payment.
const (
	Safe        = "safe"         // committed: a majority of the voters had it on their disks
	Held        = "held"         // in the log of some sites, none of which knows whether a majority has it
	UnderWay    = "under-way"    // held for another shard; it arrives or comes back
	NotExecuted = "not-executed" // decided: nothing moves
	Unknown     = "unknown"      // nobody who can be asked can tell
)

// States of an entry at a site.
const (
	Applied = "applied" // on its disk, and committed
	Logged  = "logged"  // on its disk, and not known to be committed
	Missing = "missing" // not there
)

// Roles of an entry.
const (
	RolePaid     = "paid"     // the payment, within one shard
	RoleDeparted = "departed" // the payer's side of a payment between shards
	RoleLanded   = "landed"   // the payee's side of one: with it the payment has happened, or was refused
	RoleSettled  = "settled"  // the end of one at the payer's side, which follows from how it landed
	RoleClosed   = "closed"   // a trade that was closed before anybody paid
)

// Entry is a place in a log.
type Entry struct {
	Role  string           `json:"role" enum:"paid,departed,landed,settled,closed" doc:"paid: the payment. Between shards: landed in that of the payee, which decides; settled at the payer's afterwards; departed from there before. closed: a trade that nobody had paid was closed"`
	Shard holdfast.ShardID `json:"shard"`
	Index uint64           `json:"index" doc:"Place in the log of the shard"`
	Ord   uint32           `json:"ord" doc:"Number of the transaction within the entry, from 0"`
	Term  uint64           `json:"term"`
	Hash  string           `json:"sha256" doc:"Of the entry, in hexadecimal: the same at every site that has it"`
	Time  time.Time        `json:"time" doc:"That the log gave the transaction"`
}

// Contents is what the payment was. What does not apply is left out.
type Contents struct {
	Subject     string           `json:"subject" enum:"receipt,trade,transaction"`
	Customer    holdfast.Owner   `json:"customer,omitempty" doc:"Whose receipt it is"`
	Receipt     string           `json:"receipt,omitempty" doc:"Its name"`
	Kind        string           `json:"kind,omitempty" doc:"As the receipt has it"`
	Merchant    holdfast.Owner   `json:"merchant,omitempty"`
	OutTradeNo  string           `json:"out_trade_no,omitempty"`
	TradeNo     string           `json:"trade_no,omitempty"`
	Time        *time.Time       `json:"time,omitempty"`
	Asset       holdfast.Asset   `json:"asset,omitempty"`
	Amount      holdfast.Amount  `json:"amount,omitempty" doc:"In minor units. Of a receipt above 0: came into the wallet; below: left it"`
	Other       holdfast.Owner   `json:"other,omitempty" doc:"Who it came from or went to; left out: a bank"`
	Number      string           `json:"number,omitempty" doc:"Of the trade, refund, transfer or order"`
	Text        string           `json:"text,omitempty" doc:"What it was for"`
	Transaction string           `json:"transaction,omitempty" format:"uuid"`
	Transfers   []ContentsOfMove `json:"transfers,omitempty" doc:"Of a transaction that was asked for by its id"`
}

// ContentsOfMove is a transfer of a transaction.
type ContentsOfMove struct {
	Debit  string          `json:"debit"`
	Credit string          `json:"credit"`
	Amount holdfast.Amount `json:"amount"`
}

// Name is what is asked about, in a line.
func (c *Contents) Name() string {
	switch c.Subject {
	case "receipt":
		return "receipt " + c.Customer.String() + "/" + c.Receipt
	case "trade":
		return "trade " + c.Merchant.String() + "/" + c.OutTradeNo
	}
	return c.Subject + " " + c.Transaction
}

// Statement is what a site swears about its own log.
type Statement struct {
	Fleet    string            `json:"fleet"`
	Site     holdfast.SiteID   `json:"site"`
	Subject  string            `json:"subject"`         // [Contents.Name]
	Contents string            `json:"contents_sha256"` // of the contents, as its log has them
	Verdict  string            `json:"verdict"`         // by its log alone
	Reason   string            `json:"reason"`
	State    string            `json:"state"`
	Entry    Entry             `json:"entry"`
	Voters   []holdfast.SiteID `json:"voters"` // of the shard
	UpTo     uint64            `json:"up_to"`  // the last entry that it has applied
	At       time.Time         `json:"at"`
}

// SignedStatement is a statement and its signature.
type SignedStatement struct {
	Statement json.RawMessage `json:"statement"`
	Key       string          `json:"key"` // [Key.ID]
	Signature []byte          `json:"signature"`
}

// SignedBy reads the statement if it is what the site of a key has signed.
func (s *SignedStatement) SignedBy(k *Key) (v Statement, ok bool) {
	v, err := s.Read()
	ok = err == nil && s.Key == k.ID() && v.Site == k.Site && v.Fleet == k.Fleet && k.signed(useStatement, compact(s.Statement), s.Signature)
	return v, ok
}

// Read reads the statement. It is as good as its signature.
func (s *SignedStatement) Read() (v Statement, err error) { return v, strict(s.Statement, &v) }

// Sign signs a statement of the signer's site.
func (s *Signer) Sign(v *Statement) (SignedStatement, error) {
	v.Fleet, v.Site = s.Fleet, s.Site
	text, err := json.Marshal(v)
	return SignedStatement{text, s.ID(), s.sign(useStatement, text)}, err
}

// Said is what is known of a site's part.
type Said struct {
	Site     holdfast.SiteID `json:"site"`
	Name     string          `json:"name"`
	Voter    bool            `json:"voter" doc:"Its disk counts for the majority"`
	Answered bool            `json:"answered"`
	State    string          `json:"state,omitempty" enum:"applied,logged,missing" doc:"applied: it has the entry on its disk and knows it to be committed. logged: on its disk, and it does not know. missing: not there. Left out: it did not answer"`
	UpTo     uint64          `json:"up_to,omitempty" doc:"The last entry of that shard that it has applied"`
	Signed   bool            `json:"signed" doc:"It has signed that itself: the receipt has its signature"`
}

// Body is what a receipt says.
type Body struct {
	Format     string            `json:"format"`
	Fleet      string            `json:"fleet"`
	Site       holdfast.SiteID   `json:"site"` // that was asked, and seals it
	Made       time.Time         `json:"made"`
	Verdict    string            `json:"verdict"`
	Reason     string            `json:"reason"`
	Contents   json.RawMessage   `json:"contents"`
	Entry      Entry             `json:"entry"`
	Voters     []holdfast.SiteID `json:"voters"`
	Sites      []Said            `json:"sites"`
	Statements []SignedStatement `json:"statements"`
	Keys       []Key             `json:"keys"`
}

// Document is a receipt. Its text may be indented; everything else about it is as it was sealed.
type Document struct {
	Format    string          `json:"format"`
	Receipt   json.RawMessage `json:"receipt"` // a [Body]
	Key       string          `json:"key"`
	Signature []byte          `json:"signature"`
}

// Seal makes the receipt of a body.
func (s *Signer) Seal(b *Body) ([]byte, error) {
	b.Format, b.Fleet, b.Site = Format, s.Fleet, s.Site
	text, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	return json.Marshal(Document{Format, text, s.ID(), s.sign(useSeal, text)})
}

// HashOf is the hash of contents by which statements name them.
func HashOf(contents []byte) string {
	sum := sha256.Sum256(compact(contents))
	return hex.EncodeToString(sum[:])
}

// compact is a JSON text without white space; one that is none stays as it is, and will not be read.
func compact(text []byte) []byte {
	var b bytes.Buffer
	if json.Compact(&b, text) != nil {
		return text
	}
	return b.Bytes()
}

// strict reads a JSON text whose members are all known.
func strict(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("it cannot be read: %w", err)
	}
	if d.Decode(new(any)) != io.EOF {
		return errors.New("something stands behind its end")
	}
	return nil
}

// Majority is how many of so many voters make one.
func Majority(voters int) int { return voters/2 + 1 }

// Same reports that two statements are about the same entry, with the same contents.
func (s *Statement) Same(o *Statement) bool {
	return s.Subject == o.Subject && s.Contents == o.Contents && s.Entry.Same(&o.Entry)
}

// Same reports the same entry.
func (e *Entry) Same(o *Entry) bool {
	return e.Role == o.Role && e.Shard == o.Shard && e.Index == o.Index && e.Ord == o.Ord && e.Term == o.Term && e.Hash == o.Hash && e.Time.Equal(o.Time)
}
