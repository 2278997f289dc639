// Package httpapi is the native REST API of one site: accounts, transactions, transfers, holds, the fleet and the audit.
//
// It is the edge. It authenticates, decodes strictly, turns the caller's idempotency key into the id of the transaction,
// detaches the work from the caller's connection, gives it a deadline of its own, and hands it to the site. A caller that
// leaves stops waiting; the work goes on.
//
// The document of the API (OpenAPI 3.1) is made from the types by huma. Payments do not pass through huma's reflection: the
// bodies of all POSTs are read by the strict scanner of this package, and outcomes are written by hand.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast"
	"holdfast/guard"
)

// Site is what the API needs of a site.
type Site interface {
	// Submit proposes transactions that have ids, and returns one outcome for each, in order. bulk puts them behind single
	// payments. An error says that nothing was proposed, because the site is not able to; everything else is in the outcomes.
	// It returns when ctx ends at the latest.
	Submit(ctx context.Context, txns []holdfast.Txn, bulk bool) ([]holdfast.Outcome, error)
}

// Options are the parts of the API that are not the site's. The zero value of each field but Keys is usable.
type Options struct {
	Keys     []guard.Key          // who may come in; none: nobody
	Logger   *slog.Logger         // one event per request at debug level; nil: none
	Registry *prometheus.Registry // gathered at /metrics, and given the API's own metrics; nil: a new one
	Version  string               // of the program, shown in the document
	Deadline time.Duration        // of a request that does not choose; 0: 2 s. At most MaxDeadline
	Limit    int                  // requests at once; 0: 4096. More are refused with 429
}

// MaxDeadline is the longest deadline a request can ask for with the X-Deadline-Ms header.
const MaxDeadline = 10 * time.Second

// New makes the handler of the API.
func New(site Site, o Options) http.Handler { panic("unwritten") }

// NewServer wraps a handler into a server with bounds: time to read a header, size of the header, idle connections.
func NewServer(h http.Handler, logger *slog.Logger) *http.Server { panic("unwritten") }
