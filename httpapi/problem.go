package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"holdfast"
	"holdfast/guard"
)

// Problem is a problem document (RFC 9457). It is the only form in which the API reports that something was not done.
type Problem struct {
	Type   string `json:"type" doc:"Where the problem is explained, relative to this site" example:"/docs#exceeds-credits"`
	Title  string `json:"title" doc:"The code in words"`
	Status int    `json:"status" doc:"The HTTP status"`
	Code   string `json:"code" doc:"Stable name of what went wrong: branch on this" example:"exceeds-credits"`
	Detail string `json:"detail" doc:"What to do"`
	Field  string `json:"field,omitempty" doc:"The member or parameter at fault" example:"transfers[0].amount"`

	Outcome string `json:"outcome,omitempty" enum:"refused,not-executed,unknown" doc:"Given where a transaction was asked for: what became of it. Of an operator's order: unknown if it may have been carried out"`
	ID      string `json:"id,omitempty" doc:"Id of the transaction: ask again with the same one"`
	Leg     *int   `json:"leg,omitempty" doc:"The first transfer, from 0, that the code speaks of"`
	Replay  bool   `json:"replay,omitempty" doc:"The transaction had been decided before"`
	Time    string `json:"time,omitempty" format:"date-time" doc:"When it was decided"`
	Shard   uint16 `json:"shard,omitempty" doc:"Shard whose log holds the decision"`
	Index   uint64 `json:"index,omitempty" doc:"Place of the decision in the log of the shard"`

	retryAfter time.Duration
	allow      string // the methods of a 405
	cause      error  // for the event of the request, never for the caller
}

// Error gives code and detail, and the field if there is one.
func (p *Problem) Error() string {
	if p.Field != "" {
		return p.Code + ": " + p.Field + ": " + p.Detail
	}
	return p.Code + ": " + p.Detail
}

// Unwrap returns the cause that the caller is not shown.
func (p *Problem) Unwrap() error { return p.cause }

// statuses is the one table from outcome codes to HTTP. Every code has a row.
//
//	400  malformed: found before the log
//	409  refused: it contradicts something that is there and may change
//	422  refused: it asks for something that is not there, or for too much
//	429, 503, 507  not executed: the same id may be sent again, after Retry-After or to another site
//	504  unknown: ask again with the same id
var statuses = map[holdfast.Code]int{
	holdfast.CodeOK: http.StatusCreated, // 200 for a replay, see statusOf

	holdfast.CodeTxnEmpty:       http.StatusBadRequest,
	holdfast.CodeTxnTooLarge:    http.StatusBadRequest,
	holdfast.CodeIDMissing:      http.StatusBadRequest,
	holdfast.CodeIDRepeated:     http.StatusBadRequest,
	holdfast.CodeKindInvalid:    http.StatusBadRequest,
	holdfast.CodeAccountInvalid: http.StatusBadRequest,
	holdfast.CodeAmountInvalid:  http.StatusBadRequest,
	holdfast.CodeSameAccount:    http.StatusBadRequest,
	holdfast.CodeAssetMismatch:  http.StatusBadRequest,
	holdfast.CodeHoldInvalid:    http.StatusBadRequest,
	holdfast.CodeTimeoutInvalid: http.StatusBadRequest,
	holdfast.CodeLimitInvalid:   http.StatusBadRequest,
	holdfast.CodeRecordInvalid:  http.StatusBadRequest,
	holdfast.CodeMessageInvalid: http.StatusBadRequest,
	holdfast.CodeShardMismatch:  http.StatusBadRequest,
	holdfast.CodeExpireReserved: http.StatusBadRequest,
	holdfast.CodeIDReserved:     http.StatusBadRequest,
	holdfast.CodeRecordReserved: http.StatusBadRequest,
	holdfast.CodeHoldAmbiguous:  http.StatusBadRequest,

	holdfast.CodeIDTaken:               http.StatusConflict,
	holdfast.CodeTransferIDTaken:       http.StatusConflict,
	holdfast.CodeRecordExists:          http.StatusConflict,
	holdfast.CodeRecordMissing:         http.StatusUnprocessableEntity,
	holdfast.CodeRecordVersionMismatch: http.StatusConflict,

	holdfast.CodeAccountExists:   http.StatusConflict,
	holdfast.CodeAccountMissing:  http.StatusUnprocessableEntity,
	holdfast.CodeAccountClosed:   http.StatusConflict,
	holdfast.CodeAccountNotEmpty: http.StatusConflict,

	holdfast.CodeHoldMissing:    http.StatusUnprocessableEntity,
	holdfast.CodeNotAHold:       http.StatusUnprocessableEntity,
	holdfast.CodeHoldPosted:     http.StatusConflict,
	holdfast.CodeHoldVoided:     http.StatusConflict,
	holdfast.CodeHoldExpired:    http.StatusConflict,
	holdfast.CodeHoldMismatch:   http.StatusUnprocessableEntity,
	holdfast.CodeHoldExceeded:   http.StatusUnprocessableEntity,
	holdfast.CodeHoldNotDue:     http.StatusConflict,
	holdfast.CodeDebitMissing:   http.StatusUnprocessableEntity,
	holdfast.CodeCreditMissing:  http.StatusUnprocessableEntity,
	holdfast.CodeDebitClosed:    http.StatusConflict,
	holdfast.CodeCreditClosed:   http.StatusConflict,
	holdfast.CodeDebitFrozen:    http.StatusConflict,
	holdfast.CodeCreditFrozen:   http.StatusConflict,
	holdfast.CodeOverflow:       http.StatusUnprocessableEntity,
	holdfast.CodeExceedsCredits: http.StatusUnprocessableEntity,
	holdfast.CodeExceedsDebits:  http.StatusUnprocessableEntity,

	holdfast.CodeNoQuorum:      http.StatusServiceUnavailable,
	holdfast.CodeOverloaded:    http.StatusTooManyRequests,
	holdfast.CodeDiskFull:      http.StatusInsufficientStorage,
	holdfast.CodeNoLeader:      http.StatusServiceUnavailable,
	holdfast.CodeOutOfService:  http.StatusServiceUnavailable,
	holdfast.CodeStopping:      http.StatusServiceUnavailable,
	holdfast.CodeDeadline:      http.StatusServiceUnavailable,
	holdfast.CodeMoved:         http.StatusServiceUnavailable,
	holdfast.CodeStarting:      http.StatusServiceUnavailable,
	holdfast.CodeOutboxFull:    http.StatusTooManyRequests,
	holdfast.CodeRecordPending: http.StatusServiceUnavailable,

	holdfast.CodeUnknown: http.StatusGatewayTimeout,
}

// statusOf is the HTTP status of an outcome.
func statusOf(o *holdfast.Outcome) int {
	if o.Status == holdfast.Done && o.Replay {
		return http.StatusOK
	}
	if status, ok := statuses[o.Code]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// edgeCode names what goes wrong before or beside the ledger. They are as stable as the ledger's own.
type edgeCode struct {
	name   string
	status int
	advice string
}

var (
	edgeMalformed   = edgeCode{"malformed", http.StatusBadRequest, "The request cannot be read: correct the named field."}
	edgeIDMismatch  = edgeCode{"id-mismatch", http.StatusBadRequest, "The Idempotency-Key header and the id in the body differ: send one of them, or the same UUID in both."}
	edgeNoKey       = edgeCode{"unauthenticated", http.StatusUnauthorized, "Send an API key: Authorization: Bearer hf_..."}
	edgeForbidden   = edgeCode{"forbidden", http.StatusForbidden, "The role of this API key does not allow it."}
	edgeNotFound    = edgeCode{"not-found", http.StatusNotFound, "There is nothing of this name: check it in the request."}
	edgeMethod      = edgeCode{"method-not-allowed", http.StatusMethodNotAllowed, "The path exists, but not with this method: see the Allow header."}
	edgeTooLarge    = edgeCode{"body-too-large", http.StatusRequestEntityTooLarge, "The body is above 4 MiB: send less at once."}
	edgeBodyBroken  = edgeCode{"body-broken", http.StatusBadRequest, "The body ended before its announced length: send the request again."}
	edgeBusy        = edgeCode{"overloaded", http.StatusTooManyRequests, "Not executed: this site has too many requests at once. Send the same id again after Retry-After."}
	edgeNotNow      = edgeCode{"not-now", http.StatusConflict, "It cannot be done just now: the detail says why."}
	edgeNotFinal    = edgeCode{"not-final", http.StatusConflict, "What had happened by that moment can still change for this site: leave out consistency=stale, or ask for an earlier moment."}
	edgePlanStale   = edgeCode{"plan-stale", http.StatusConflict, "Nothing was done: the fleet has changed since the plan was made, or the request is another one. Make a new plan and look at it."}
	edgeNotReady    = edgeCode{"not-ready", http.StatusServiceUnavailable, "This site does not take requests now: ask another one."}
	edgeUnavailable = edgeCode{"unavailable", http.StatusServiceUnavailable, "The question could not be answered within the deadline. Ask again, or ask another site."}
	edgeInternal    = edgeCode{"internal", http.StatusInternalServerError, "This site failed to answer. Ask again with the same id, and tell its operator the time."}
)

// edgeCodes lists them all, for the documentation.
var edgeCodes = []edgeCode{
	edgeMalformed, edgeIDMismatch, edgeNoKey, edgeForbidden, edgeNotFound, edgeMethod, edgeTooLarge, edgeBodyBroken, edgeBusy,
	edgeNotNow, edgeNotFinal, edgePlanStale, edgeNotReady, edgeUnavailable, edgeInternal,
	edgePaymentsOff, edgeTooBusy, edgeNoSession, edgeManyTries, edgeManyAliases,
	edgeDrillsOff, edgeDrillBusy,
}

// problem makes a problem document; an empty detail is the code's own advice.
func (c edgeCode) problem(detail string) *Problem {
	if detail == "" {
		detail = c.advice
	}
	p := &Problem{Type: docsOf(c.name), Title: inWords(c.name), Status: c.status, Code: c.name, Detail: detail}
	p.retryAfter = retryAfter(c.status)
	return p
}

// field is a problem with a named member or parameter.
func (c edgeCode) field(field, format string, args ...any) *Problem {
	p := c.problem(fmt.Sprintf(format, args...))
	p.Field = field
	return p
}

func docsOf(code string) string  { return "/docs#" + code }
func inWords(code string) string { return strings.ReplaceAll(code, "-", " ") }

// retryAfter is how long a caller should leave this site alone. The header counts whole seconds (RFC 9110 section 10.2.3);
// an election is over sooner, and another site can be asked at once.
func retryAfter(status int) time.Duration {
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return time.Second
	case http.StatusInsufficientStorage:
		return 30 * time.Second
	}
	return 0
}

// problemOfCode is the problem of a ledger's code, without an outcome.
func problemOfCode(code holdfast.Code) *Problem {
	status, ok := statuses[code]
	if !ok {
		status = http.StatusInternalServerError
	}
	name := code.String()
	return &Problem{
		Type: docsOf(name), Title: inWords(name), Status: status, Code: name, Detail: code.Advice(), retryAfter: retryAfter(status),
	}
}

// problemOfOutcome is the problem of a transaction that was not done.
func problemOfOutcome(o *holdfast.Outcome) *Problem {
	p := problemOfCode(o.Code)
	p.Outcome, p.ID, p.Field, p.Replay = o.Status.String(), o.ID.String(), o.Field, o.Replay
	if o.Leg != holdfast.NoLeg {
		leg := int(o.Leg)
		p.Leg = &leg
	}
	if o.Status == holdfast.Refused {
		p.Time, p.Shard, p.Index = o.Time.String(), uint16(o.Shard), o.Index
	}
	return p
}

// problemOf turns any error of a handler into what the caller is told. What is not known here stays inside.
func problemOf(err error) *Problem {
	var p *Problem
	var denied *guard.Denied
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &denied):
		return edgeForbidden.problem(denied.Error())
	case errors.As(err, &large):
		return edgeTooLarge.problem("")
	}
	p = edgeInternal.problem("")
	p.cause = err
	return p
}

// write sends the document.
func (p *Problem) write(w http.ResponseWriter) error {
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode problem %s: %w", p.Code, err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(p.retryAfter/time.Second)))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="holdfast"`)
	}
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	w.WriteHeader(p.Status)
	_, err = w.Write(body)
	return err
}
