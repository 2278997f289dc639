package client

import (
	"context"
	"encoding/json"
	"time"

	"holdfast"
)

// Verdicts of a [Safety].
const (
	// SafetySafe: the entry of the log in which the money moved is committed: it was on the disks of a majority of the voters before anybody called
	// it done. That stays so, whichever minority of the sites is lost.
	SafetySafe = "safe"
	// SafetyHeld: the entry is in the log of sites that have answered, and none of them knows yet whether a majority has it.
	SafetyHeld = "held"
	// SafetyUnderWay: the money is held for a payment to another shard, and it is not known yet whether it has arrived; it arrives or comes back. Or it is
	// reserved by a hold that is still open.
	SafetyUnderWay = "under-way"
	// SafetyNotExecuted: it was decided that nothing moves, and that stays so.
	SafetyNotExecuted = "not-executed"
	// SafetyUnknown: nobody who can be asked just now can tell. It is no "no": ask again.
	SafetyUnknown = "unknown"
)

// Safety answers the question whether a payment is safe, as the site that was asked knows it and as the others it could reach have said.
type Safety struct {
	Verdict string `json:"verdict"` // safe, held, under-way, not-executed, unknown
	// Reason is why, in a word: committed; in-log; on-its-way, reserved; refused, taken-back, released, closed; not-paid, not-here, no-majority, sites-differ.
	Reason string `json:"reason"`
	Text   string `json:"text"` // the same for people
	// AskAgainMS is when it is of use to ask again, in milliseconds; 0: it will not become other than it is.
	AskAgainMS int64           `json:"ask_again_ms"`
	Contents   *SafetyContents `json:"contents"` // nil: not known here
	Entry      *SafetyEntry    `json:"entry"`    // that the verdict is about; nil: none is known
	Sites      []SafetySite    `json:"sites"`    // all of the fleet, in the order of their numbers
	Voters     int             `json:"voters"`   // of the shard of the entry
	Majority   int             `json:"majority"` // how many of them that is
	Holding    int             `json:"holding"`  // voters who say that the entry is on their disk
	Site       holdfast.SiteID `json:"site"`     // that was asked
	SiteName   string          `json:"site_name"`
	At         time.Time       `json:"at"` // by its clock
	// Signed is the receipt that `holdfast check` verifies without the fleet: a JSON document. Keep its bytes as they are. nil: there is nothing that
	// could be signed, or the site has no key.
	Signed json.RawMessage `json:"signed"`
}

// SafetyContents is what the payment was, as its log entry says. What does not apply is empty.
type SafetyContents struct {
	Subject     string           `json:"subject"`  // receipt, trade, transaction
	Customer    holdfast.Owner   `json:"customer"` // whose receipt it is
	Receipt     string           `json:"receipt"`  // its name
	Kind        string           `json:"kind"`     // of the receipt, see [Receipt]
	Merchant    holdfast.Owner   `json:"merchant"`
	OutTradeNo  string           `json:"out_trade_no"`
	TradeNo     string           `json:"trade_no"`
	Time        time.Time        `json:"time"`
	Asset       holdfast.Asset   `json:"asset"`
	Amount      holdfast.Amount  `json:"amount"` // minor units; of a receipt above 0: came into the wallet, below: left it
	Other       holdfast.Owner   `json:"other"`  // who it came from or went to; 0: a bank
	Number      string           `json:"number"` // of the trade, refund, transfer or order
	Text        string           `json:"text"`
	Transaction string           `json:"transaction"` // id
	Transfers   []SafetyTransfer `json:"transfers"`   // of a transaction that was asked for by its id
}

// SafetyTransfer is a transfer of a transaction.
type SafetyTransfer struct {
	Debit  string          `json:"debit"`
	Credit string          `json:"credit"`
	Amount holdfast.Amount `json:"amount"`
}

// SafetyEntry is the place in a log that decides.
type SafetyEntry struct {
	Role  string           `json:"role"` // paid; between shards landed, settled or departed; closed
	Shard holdfast.ShardID `json:"shard"`
	Index uint64           `json:"index"`
	Ord   uint32           `json:"ord"` // number of the transaction within the entry
	Term  uint64           `json:"term"`
	Hash  string           `json:"sha256"` // of the entry, in hexadecimal
	Time  time.Time        `json:"time"`
}

// SafetySite is what one site says of the entry.
type SafetySite struct {
	Site     holdfast.SiteID `json:"site"`
	Name     string          `json:"name"`
	Voter    bool            `json:"voter"`
	Answered bool            `json:"answered"`
	State    string          `json:"state"`  // applied: on its disk, and known to be committed; logged: on its disk; missing; "": it did not answer
	UpTo     uint64          `json:"up_to"`  // the last entry of that shard that it has applied
	Signed   bool            `json:"signed"` // its own signature is in the receipt
}

// Safety answers whether the payment of a receipt is safe, within a second, from any site that is there.
func (c *Client) Safety(ctx context.Context, customer holdfast.Owner, receipt string) (v Safety, err error) {
	return v, c.get(ctx, pathOf("/v1/customers/:id/receipts/:receipt/safety", customer.String(), receipt), &v)
}

// TradeSafety is [Client.Safety] of the payment of a trade, for its merchant.
func (c *Client) TradeSafety(ctx context.Context, merchant holdfast.Owner, outTradeNo string) (v Safety, err error) {
	return v, c.get(ctx, pathOf("/v1/trades/:merchant/:out_trade_no/safety", merchant.String(), outTradeNo), &v)
}

// TxnSafety is [Client.Safety] of a transaction by its id.
func (c *Client) TxnSafety(ctx context.Context, id holdfast.ID) (v Safety, err error) {
	return v, c.get(ctx, pathOf("/v1/transactions/:id/safety", id.String()), &v)
}

// ReceiptKeys reads the keys with which the sites sign receipts, as a document for `holdfast check --keys`.
func (c *Client) ReceiptKeys(ctx context.Context) (v json.RawMessage, err error) {
	return v, c.get(ctx, "/v1/receipt-keys", &v)
}
