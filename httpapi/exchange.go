package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
	"holdfast/proof"
	"holdfast/signin"
)

// MaxBody is the longest request body, in bytes.
const MaxBody = 4 << 20

// exchange is one request on its way through the edge, and the answer to it. A handler either sends an answer or returns an
// error; the edge writes the error. It is reused: nothing of it may be kept when the handler has returned.
type exchange struct {
	w   http.ResponseWriter
	r   *http.Request
	who guard.Principal
	// merchant is whose key it is, if it is one of a merchant: it may ask for what is his and for nothing else; 0: a key of the platform.
	merchant holdfast.Owner
	// buyer is the customer whose session it is, who may ask for what is theirs and for nothing else; 0: nobody's.
	buyer   holdfast.Owner
	session *signin.Session // of whoever signed in; nil: it was a key
	in      []byte          // the body as read
	out     []byte          // the answer as written
	sig     proof.Signer    // of the answer; nil: the caller has not asked

	query query // the parameters of the URL
	late  bool  // see endpoint

	// Parts of the event of the request.
	status int
	id     holdfast.ID
	code   string
	shard  holdfast.ShardID
	index  uint64
	count  int // transactions
}

// handler answers one request. The context has the deadline of the request and does not end when the caller leaves.
type handler func(ctx context.Context, x *exchange) error

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// patience is how long who asks is looked up.
func (x *exchange) patience(usual time.Duration) time.Duration {
	if x.late {
		return min(usual, lateSignIn)
	}
	return usual
}

// keepBuffer is the largest buffer that is kept for the next request.
const keepBuffer = 64 << 10

func takeExchange(w http.ResponseWriter, r *http.Request) *exchange {
	x := exchanges.Get().(*exchange)
	x.w, x.r = w, r
	return x
}

func (x *exchange) release() {
	in, out := x.in[:0], x.out[:0]
	*x = exchange{}
	if cap(in) <= keepBuffer && cap(out) <= keepBuffer {
		x.in, x.out = in, out
	}
	exchanges.Put(x)
}

// endpoint is one operation with its handler: what the router finds.
type endpoint struct {
	api     *api
	name    string       // operation id of the document, for metrics and events
	action  guard.Action // what its caller must be allowed to; 0: open to everybody
	sellers bool         // keys of merchants are taken as well; the handler sees to it that it is about what is theirs
	buyers  bool         // sessions of customers are taken as well; the handler sees to it that it is about what is theirs
	staff   signin.Right // sessions of people of merchants with this right are taken as well, likewise; 0: none
	session bool         // sessions are taken, whoever's, and nothing else
	free    bool         // not counted against the limit of requests at once
	late    bool         // who asks is let in as this site alone knows them, when nobody else can be asked
	params  []string     // that its URL may have
	txn     bool         // it asks for a transaction: whatever is refused tells the outcome
	handle  handler
	metrics *endpointMetrics
}

// ServeHTTP is the edge: the one place where requests are bounded, authenticated, given a deadline, answered and recorded.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	x := takeExchange(w, r)
	defer x.release()
	if r.Method == http.MethodGet && len(r.Header[proof.HeaderAsk]) > 0 && e.api.signer != nil {
		x.sig = e.api.signer()
	}
	err := e.guarded(x, start)
	if err != nil {
		err = x.refuse(err, e.txn)
	}
	e.record(x, time.Since(start), err)
}

// guarded answers the request or returns why not. A panic of a handler becomes an error: one bad request ends alone.
func (e *endpoint) guarded(x *exchange, start time.Time) (err error) {
	defer func() {
		if v := recover(); v != nil {
			e.api.log.Error("a handler panicked", "operation", e.name, "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic in %s: %v", e.name, v)
		}
	}()
	if !e.free {
		if e.api.inflight.Add(1) > int64(e.api.limit) {
			e.api.inflight.Add(-1)
			p := edgeBusy.problem("")
			p.Outcome = holdfast.NotExecuted.String()
			return p
		}
		defer e.api.inflight.Add(-1)
	}
	if err := e.admit(x); err != nil {
		return err
	}
	if err := givenOnce(x.r.Header); err != nil {
		return err
	}
	wait, err := e.api.deadlineOf(x.r)
	if err != nil {
		return err
	}
	if x.query, err = e.query(x.r); err != nil {
		return err
	}
	// Not the request's context: a caller that leaves stops waiting, not work.
	ctx, cancel := context.WithDeadline(e.api.life, start.Add(wait))
	defer cancel()
	return e.handle(ctx, x)
}

// admit finds out who is asking, and whether they may.
func (e *endpoint) admit(x *exchange) error {
	x.late = e.late
	if e.action == 0 && !e.session {
		return nil
	}
	switch h := x.r.Header.Get("Authorization"); {
	case strings.HasPrefix(h, bearer+signin.SessionPrefix):
		return e.admitSession(x, h[len(bearer):])
	case e.session && h != "":
		return edgeForbidden.problem("This is for whoever has signed in: send the session. Keys are not taken.")
	case e.session:
		return edgeNoSession.field("Authorization", "%s", edgeNoSession.advice)
	case strings.HasPrefix(h, bearer+pay.MerchantKeyPrefix):
		return e.admitMerchant(x, h[len(bearer):])
	}
	who, err := e.api.principal(x.r)
	if err != nil {
		return err
	}
	x.who = who
	return guard.Authorise(who, e.action)
}

const bearer = "Bearer "

func (a *api) principal(r *http.Request) (guard.Principal, error) {
	h := r.Header.Get("Authorization")
	if len(h) <= len(bearer) || h[:len(bearer)] != bearer {
		return guard.Principal{}, edgeNoKey.field("Authorization", "%s", edgeNoKey.advice)
	}
	who, err := guard.Authenticate(a.keys, h[len(bearer):])
	if err != nil {
		return guard.Principal{}, edgeNoKey.field("Authorization", "%s", err.Error())
	}
	return who, nil
}

// givenOnce refuses headers of which only one could be heard.
func givenOnce(h http.Header) error {
	for _, name := range [...]string{idempotencyHeader, deadlineHeader} {
		if len(h[name]) > 1 {
			return edgeMalformed.field(name, "the header is given twice: send it once")
		}
	}
	return nil
}

// deadlineHeader lets a caller choose the deadline of a request, in milliseconds.
const deadlineHeader = "X-Deadline-Ms"

func (a *api) deadlineOf(r *http.Request) (time.Duration, error) {
	text := r.Header.Get(deadlineHeader)
	if text == "" {
		return a.deadline, nil
	}
	ms, err := strconv.Atoi(text)
	if err != nil || ms < 1 || ms > int(MaxDeadline/time.Millisecond) {
		return 0, edgeMalformed.field(deadlineHeader, "the deadline is a whole number of milliseconds from 1 to %d", MaxDeadline/time.Millisecond)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// body reads the whole body as text.
func (x *exchange) body() (string, error) {
	if x.r.ContentLength > MaxBody {
		return "", edgeTooLarge.problem("")
	}
	b := x.in[:0]
	if n := int(x.r.ContentLength) + 1; n > cap(b) { // one more, so that the end is seen without growing
		b = make([]byte, 0, n)
	}
	src := io.LimitReader(x.r.Body, MaxBody+1)
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := src.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			p := edgeBodyBroken.problem("")
			p.cause = err
			return "", p
		}
	}
	if x.in = b; len(b) > MaxBody {
		return "", edgeTooLarge.problem("")
	}
	return string(b), nil
}

// idempotencyHeader carries the id of what is asked for.
const idempotencyHeader = "Idempotency-Key"

// requestID is the id of the transaction: that of the header, or that of the body, or both if they agree.
func (x *exchange) requestID(inBody holdfast.ID) (holdfast.ID, error) {
	key := x.r.Header.Get(idempotencyHeader)
	if key == "" {
		if inBody.IsZero() {
			p := problemOfCode(holdfast.CodeIDMissing)
			p.Field, p.Outcome = idempotencyHeader, holdfast.NotExecuted.String()
			p.Detail = "Send an Idempotency-Key header: a fresh UUID for each thing you want done, the same one when you ask again."
			return holdfast.ID{}, p
		}
		return inBody, nil
	}
	id, err := guard.RequestID(x.who, key)
	if err != nil {
		return holdfast.ID{}, edgeMalformed.field(idempotencyHeader, "%s", err.Error())
	}
	if !inBody.IsZero() && inBody != id {
		return holdfast.ID{}, edgeIDMismatch.field(idempotencyHeader, "%s", edgeIDMismatch.advice)
	}
	return id, nil
}

// sendJSON sends a document that was written into x.out.
func (x *exchange) sendRaw(status int, contentType string) error {
	h := x.w.Header()
	h["Content-Type"] = []string{contentType}
	h["Content-Length"] = []string{strconv.Itoa(len(x.out))}
	if x.sig != nil {
		if err := proof.Sign(x.sig, h, x.r.Method, x.r.URL.RequestURI(), status, x.out, time.Now()); err != nil {
			return err
		}
	}
	x.status = status
	x.w.WriteHeader(status)
	if _, err := x.w.Write(x.out); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

const jsonType = "application/json"

// sendJSON sends v. It is for everything but payments, whose answers are written by hand.
func (x *exchange) sendJSON(status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	x.out = append(x.out[:0], b...)
	return x.sendRaw(status, jsonType)
}

// refuse writes the problem that an error means; a caller who is gone gets nothing. It returns the error for the record.
// Where a transaction was asked for it says what became of it: only a fault of this site can leave that open.
func (x *exchange) refuse(err error, txn bool) error {
	if x.status != 0 {
		return err // the answer has begun
	}
	p := problemOf(err)
	switch {
	case !txn || p.Outcome != "":
	case p.Status == http.StatusInternalServerError:
		p.Outcome = holdfast.Unknown.String()
	default:
		p.Outcome = holdfast.NotExecuted.String()
	}
	x.status, x.code = p.Status, p.Code
	if err := p.write(x.w); err != nil {
		return err
	}
	if p.cause != nil {
		return p.cause
	}
	return nil
}

// record writes the one wide event of the request: what happened, nothing personal. err is what the caller was not told.
func (e *endpoint) record(x *exchange, took time.Duration, err error) {
	e.metrics.observe(x.status, took)
	level := slog.LevelDebug
	if err != nil && x.status == http.StatusInternalServerError { // "not now" (503, 504, 507) is counted, and comes in thousands
		level = slog.LevelError
	}
	if !e.api.log.Enabled(context.Background(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("operation", e.name), slog.Int("status", x.status), slog.Duration("took", took), slog.String("key", x.who.Name),
	}
	if x.count > 0 {
		attrs = append(attrs, slog.Int("transactions", x.count), slog.String("id", idText(x.id)), slog.String("code", x.code),
			slog.Int("shard", int(x.shard)), slog.Uint64("index", x.index))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	e.api.log.LogAttrs(context.Background(), level, "request", attrs...)
}
