package client

import (
	"context"
	"iter"
	"time"

	"holdfast"
)

// Config says where the sites are and how long to wait for them.
type Config struct {
	// Sites are base URLs ("http://127.0.0.1:8081"), nearest first. At least one.
	Sites []string
	// Key is the API key, sent as "Authorization: Bearer". Empty: none is sent.
	Key string
	// Hedge is how long an attempt may stay without an answer before the next site is asked too. 0 means 50 ms; negative
	// means never.
	Hedge time.Duration
	// Timeout is the deadline of a call, unless its context has an earlier one. 0 means 2 s.
	Timeout time.Duration
	// Idle is how many unused connections to a site are kept. 0 means 256.
	Idle int
}

// Client talks to the sites of one fleet. It may be used by many goroutines at once.
type Client struct{}

// New makes a client. The error names the site whose URL cannot be used. Nothing is sent yet.
func New(cfg Config) (*Client, error) { panic("unwritten") }

// Close drops the idle connections. Calls that are under way are not disturbed.
func (c *Client) Close() { panic("unwritten") }

// NewID makes a UUIDv7.
func (c *Client) NewID() holdfast.ID { panic("unwritten") }

// Stats returns the counters.
func (c *Client) Stats() Stats { panic("unwritten") }

// Submit proposes one transaction; a zero ID is replaced by a new one. The outcome's Status is the answer. The error is nil
// when the transaction was done or refused; otherwise it says why there is no decision, and Outcome has the ID to ask again
// with: NotExecuted with an [*Error] or a network error, or Unknown at the deadline.
func (c *Client) Submit(ctx context.Context, t holdfast.Txn) (holdfast.Outcome, error) {
	panic("unwritten")
}

// SubmitMany proposes up to holdfast.MaxLegs transactions, each with an ID of its own, each decided by itself. Outcomes are in
// the order of the transactions. It goes to the bulk queue, which never stands before single payments. The error is as that
// of Submit; then every outcome has the status that can honestly be given.
func (c *Client) SubmitMany(ctx context.Context, txns []holdfast.Txn) ([]holdfast.Outcome, error) {
	panic("unwritten")
}

// Pay proposes a transaction of one transfer, of any kind, through the shortest path. Results are those of Submit.
func (c *Client) Pay(ctx context.Context, t holdfast.Transfer) (holdfast.Outcome, error) {
	panic("unwritten")
}

// IssueOwner makes a fresh owner number.
func (c *Client) IssueOwner(ctx context.Context) (holdfast.Owner, error) { panic("unwritten") }

// OpenAccount opens one account; Op need not be set. Opening the same once more is done.
func (c *Client) OpenAccount(ctx context.Context, a holdfast.AccountChange) (holdfast.Outcome, error) {
	panic("unwritten")
}

// Freeze stops new transfers of an account. Repeating is done.
func (c *Client) Freeze(ctx context.Context, id holdfast.AccountID) (holdfast.Outcome, error) {
	panic("unwritten")
}

// Thaw ends a freeze. Repeating is done.
func (c *Client) Thaw(ctx context.Context, id holdfast.AccountID) (holdfast.Outcome, error) {
	panic("unwritten")
}

// CloseAccount closes an empty account for ever.
func (c *Client) CloseAccount(ctx context.Context, id holdfast.AccountID) (holdfast.Outcome, error) {
	panic("unwritten")
}

// Hold reserves an amount: a transfer of kind Hold; Kind need not be set. The transfer's ID is the hold's.
func (c *Client) Hold(ctx context.Context, t holdfast.Transfer) (holdfast.Outcome, error) {
	panic("unwritten")
}

// Post turns a hold into a movement, under an id of its own (zero: a new one). Amount 0 is the whole hold.
func (c *Client) Post(ctx context.Context, id, hold holdfast.ID, amount holdfast.Amount) (holdfast.Outcome, error) {
	panic("unwritten")
}

// Void releases a hold, under an id of its own (zero: a new one).
func (c *Client) Void(ctx context.Context, id, hold holdfast.ID) (holdfast.Outcome, error) {
	panic("unwritten")
}

// Account reads an account as it is now, linearizably.
func (c *Client) Account(ctx context.Context, id holdfast.AccountID) (holdfast.Account, error) {
	panic("unwritten")
}

// StaleAccount reads an account from whatever site answers first, possibly a moment behind.
func (c *Client) StaleAccount(ctx context.Context, id holdfast.AccountID) (holdfast.Account, error) {
	panic("unwritten")
}

// BalanceAt reads an account as it was at a past moment.
func (c *Client) BalanceAt(ctx context.Context, id holdfast.AccountID, at time.Time) (holdfast.Account, error) {
	panic("unwritten")
}

// StatementPage reads one page of at most limit lines, newest first, from a cursor ("" for the newest).
func (c *Client) StatementPage(ctx context.Context, id holdfast.AccountID, cursor string, limit int) (Page, error) {
	panic("unwritten")
}

// Statement yields all lines of an account, newest first, page by page. It ends after the first error.
func (c *Client) Statement(ctx context.Context, id holdfast.AccountID) iter.Seq2[Line, error] {
	panic("unwritten")
}

// Holds lists the open holds of an account.
func (c *Client) Holds(ctx context.Context, id holdfast.AccountID) ([]Hold, error) {
	panic("unwritten")
}

// HoldByID reads one hold, open or not.
func (c *Client) HoldByID(ctx context.Context, id holdfast.ID) (Hold, error) { panic("unwritten") }

// Txn reads what became of a transaction. [IsNotFound] tells that the id was never decided (up to the moment of asking).
func (c *Client) Txn(ctx context.Context, id holdfast.ID) (Txn, error) { panic("unwritten") }

// Transfer reads one transfer by its id.
func (c *Client) Transfer(ctx context.Context, id holdfast.ID) (Movement, error) {
	panic("unwritten")
}

// TransfersByRef lists transfers with a reference, newest first.
func (c *Client) TransfersByRef(ctx context.Context, ref holdfast.Ref) ([]Movement, error) {
	panic("unwritten")
}

// Record reads one business document.
func (c *Client) Record(ctx context.Context, key string) (holdfast.Record, error) {
	panic("unwritten")
}

// Sites lists the sites of the fleet as the answering site sees them.
func (c *Client) Sites(ctx context.Context) ([]Site, error) { panic("unwritten") }

// Shards lists the shards as the answering site sees them.
func (c *Client) Shards(ctx context.Context) ([]Shard, error) { panic("unwritten") }

// HandOver asks for the leadership of a shard to move to a site, and returns when it has.
func (c *Client) HandOver(ctx context.Context, shard holdfast.ShardID, to holdfast.SiteID) error {
	panic("unwritten")
}

// Audit asks a site to check its books. For every site, make one client per site.
func (c *Client) Audit(ctx context.Context) (Audit, error) { panic("unwritten") }

// Ready reports whether a site is ready to take payments; the error says why not.
func (c *Client) Ready(ctx context.Context) error { panic("unwritten") }

// IsNotFound reports whether an error says that the thing asked for does not exist.
func IsNotFound(err error) bool { panic("unwritten") }
