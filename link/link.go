package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"holdfast"
)

// MaxPayload is the largest payload of a frame or call, in bytes.
const MaxPayload = 16 << 20

// MaxMethod is the longest method name, in bytes.
const MaxMethod = 64

var (
	// ErrUnreachable says that the call never left this site: the peer is not connected, or the connection broke before the
	// request was handed to the network. It was not executed.
	ErrUnreachable = errors.New("peer is not reachable; the call was not sent")
	// ErrBusy says that a queue here or the peer's share of concurrent calls was full. It was not executed.
	ErrBusy = errors.New("too many calls at once; the call was not executed")
	// ErrNoAnswer says that the request was handed to the network and no answer came before the deadline, or before the
	// connection broke. It may or may not have been executed, now or a little later.
	ErrNoAnswer = errors.New("no answer; the call may have been executed")
	// ErrTooLarge says that a payload is above MaxPayload, or a method above MaxMethod. Nothing was sent.
	ErrTooLarge = errors.New("payload is too large for the link")
	// ErrClosed says that the link is closed or not started yet. Nothing was sent.
	ErrClosed = errors.New("link is closed")
)

// RemoteError is what the peer's [Handler] returned for a call: it was executed and failed over there.
type RemoteError struct {
	Site   holdfast.SiteID
	Method string
	Code   uint16 // what the error's LinkCode() said, 0 when it has none; never classify by Text
	Text   string
}

// Error implements error.
func (e *RemoteError) Error() string { return fmt.Sprintf("site %d, %s: %s", e.Site, e.Method, e.Text) }

// Coder is implemented by errors of a [Handler] that want to be told apart by the caller, as [RemoteError.Code].
type Coder interface{ LinkCode() uint16 }

// Handler takes what comes from the peers. All methods may be called by several goroutines at once.
type Handler interface {
	// Receive takes a payload for a shard, in the order in which the peer sent those of the shard; some may be missing. The
	// payload belongs to the handler from now on. Receive must return at once (queue, or drop): while it runs, nothing else
	// of that connection is read.
	Receive(from holdfast.SiteID, shard holdfast.ShardID, payload []byte)
	// Serve answers a call, in a goroutine of its own. The context ends with the caller's deadline (as a budget that left
	// with the request, no clocks are compared) and when the link closes. The payload belongs to the handler; the answer is
	// copied before the next use of it. An error travels to the caller as a *RemoteError: no secrets in its text.
	Serve(ctx context.Context, from holdfast.SiteID, method string, payload []byte) ([]byte, error)
}

// Config is what a link has to know. Zero values of the last groups stand for the defaults named there.
type Config struct {
	Site        holdfast.SiteID
	Listen      []string                     // one address per carrier
	Peers       map[holdfast.SiteID][]string // addresses of the other sites, one per carrier, in the same order as Listen
	Credentials *Credentials                 // of this site; they also name the cluster
	Handler     Handler
	Logger      *slog.Logger // nil: nothing is logged
	Version     string       // of the program, shown to the peers

	// Notify, when set, is told that a peer came into reach (the first carrier is up) or went out of it (the last is down).
	// It must return at once.
	Notify func(peer holdfast.SiteID, up bool)

	Timing Timing
	Limits Limits
}

// Timing holds the durations of a link.
type Timing struct {
	Silence    time.Duration // without a sign of life for so long a connection is given up and dialled anew; default 300 ms
	Ping       time.Duration // between pings on a connection; default Silence/6
	RedialMin  time.Duration // first pause before dialling again; default 20 ms
	RedialMax  time.Duration // longest pause; default 300 ms
	CallBudget time.Duration // deadline of calls whose context has none; default 10 s
	Drain      time.Duration // how long Close lets queued frames leave; default 100 ms
}

// Limits holds the bounds of a link.
type Limits struct {
	Control     int   // bytes queued per connection for urgent frames; default 1 MiB
	Interactive int   // bytes queued per connection for small frames; default 8 MiB
	Bulk        int   // bytes queued per connection for large frames; default 64 MiB
	Calls       int   // calls of peers served at once; default 1024
	CallBytes   int64 // bytes of their payloads; default 256 MiB
	Waiting     int   // calls of ours waiting for an answer, per peer; default 65,536
}

// PeerStatus is what the link knows about a peer.
type PeerStatus struct {
	Site        holdfast.SiteID
	Up          bool          // at least one carrier is connected and answers
	Silence     time.Duration // since anything was heard from it, on any carrier; since the start of the link when never
	RTT         time.Duration // smoothed round trip of the best carrier, 0 when not known
	Version     string        // of its program, "" when never met
	Incarnation uint64        // of its process, 0 when never met
	Waiting     int           // calls that wait for its answer
	Duplicates  uint64        // frames that came over more than one carrier
	Carriers    []CarrierStatus
}

// CarrierStatus is what the link knows about one carrier to a peer. Counters grow from the start of the link.
type CarrierStatus struct {
	Address  string
	Up       bool          // our connection over it is established and answers
	Silence  time.Duration // since anything was heard from the peer over this carrier
	RTT      time.Duration // smoothed, 0 when not known
	MinRTT   time.Duration // the smallest seen, 0 when not known
	Queued   int           // bytes that wait to be sent
	Sent     Traffic
	Received Traffic
	Dropped  uint64 // frames given up because a queue was full or the carrier was down
	Dials    uint64 // connections tried
	Breaks   uint64 // connections lost after they had been established
	LastErr  string // why the carrier is down, "" when it is up; nothing secret
}

// Traffic counts frames and bytes, without TLS.
type Traffic struct{ Frames, Bytes uint64 }

// Totals counts what belongs to no peer.
type Totals struct {
	Strangers  uint64 // connections refused: no certificate of this cluster, or not that of the site it should be
	Handshakes uint64 // connections that ended before their handshake was complete
	BadFrames  uint64 // connections given up because of a frame that is malformed or has a wrong checksum
	Refused    uint64 // calls of peers refused because too many were running
	Serving    int    // calls of peers running now
}

// Link connects this site with all others.
type Link struct{}

// New checks the configuration. Nothing listens and nothing is dialled before [Link.Start].
func New(cfg Config) (*Link, error) { panic("unwritten") }

// Start listens on every carrier and begins to dial. On an error nothing is left running.
func (l *Link) Start() error { panic("unwritten") }

// Close drains what is queued for at most Timing.Drain, closes every connection, ends every call (with ErrNoAnswer or
// ErrUnreachable) and waits for all goroutines, those of [Handler.Serve] included.
func (l *Link) Close() error { panic("unwritten") }

// Addrs are the addresses the link listens on, one per carrier; they differ from Config.Listen where that had port 0.
func (l *Link) Addrs() []string { panic("unwritten") }

// Send gives a payload for a shard to a peer, if all goes well: it never blocks, and drops (and counts) when the peer is not
// connected or its queue is full. Payloads of one shard arrive in the order of Send. The payload is copied; the caller may
// use it again.
func (l *Link) Send(to holdfast.SiteID, shard holdfast.ShardID, payload []byte) { panic("unwritten") }

// SendUrgent is Send for small payloads that may overtake everything else, those of their own shard included: heartbeats,
// votes and the answers to them. Payloads above 1 KiB go the way of Send.
func (l *Link) SendUrgent(to holdfast.SiteID, shard holdfast.ShardID, payload []byte) {
	panic("unwritten")
}

// Call runs a method at a peer and returns its answer. Without a deadline in the context, Timing.CallBudget is used. The
// payload is copied; the answer belongs to the caller. The error is nil, or tells what became of the call:
//   - ErrUnreachable, ErrBusy, ErrTooLarge, ErrClosed: not executed.
//   - *RemoteError: executed, and the handler returned an error.
//   - ErrNoAnswer: may have been executed. When the context ended, its error is wrapped as well.
func (l *Link) Call(ctx context.Context, to holdfast.SiteID, method string, payload []byte) ([]byte, error) {
	panic("unwritten")
}

// Peers returns the state of every peer, by site.
func (l *Link) Peers() []PeerStatus { panic("unwritten") }

// Totals returns the counters that belong to no peer.
func (l *Link) Totals() Totals { panic("unwritten") }
