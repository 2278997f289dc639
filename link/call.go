package link

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"holdfast"
)

// call is a request of ours that waits for its answer. It is in the calls of its peer until somebody, by taking it out of
// there under the peer's lock, gets the right to finish it.
type call struct {
	id     uint64
	method string
	stage  atomic.Int32
	done   chan result // capacity 1
}

// A call is queued until the first connection takes it for writing; the one change from queued decides whether it was sent.
const (
	stageQueued int32 = iota
	stageSent
	stageWithdrawn
)

type result struct {
	payload []byte
	err     error
}

// depart reports whether the request may be written; from then on it may be executed.
func (c *call) depart() bool {
	return c.stage.CompareAndSwap(stageQueued, stageSent) || c.stage.Load() == stageSent
}

// giveUp says what is known about a call that nobody waits for any more. A call that is still queued is withdrawn.
func (c *call) giveUp(notSent error) error {
	if c.stage.CompareAndSwap(stageQueued, stageWithdrawn) {
		return notSent
	}
	return ErrNoAnswer
}

// Call runs a method at a peer and returns its answer. Without a deadline in the context, Timing.CallBudget is used. The
// payload is copied; the answer belongs to the caller. The error is nil, or tells what became of the call:
//   - ErrUnreachable, ErrBusy, ErrTooLarge, ErrClosed: not executed.
//   - *RemoteError: executed, and the handler returned an error.
//   - ErrNoAnswer: may have been executed. When the context ended, its error is wrapped as well.
func (l *Link) Call(ctx context.Context, to holdfast.SiteID, method string, payload []byte) ([]byte, error) {
	p := l.peer(to)
	if p == nil {
		return nil, fmt.Errorf("call %s at site %d, which is not configured: %w", method, to, ErrUnreachable)
	}
	if len(payload) > MaxPayload || len(method) > MaxMethod {
		return nil, fmt.Errorf("call %.*q at site %d with %d bytes: %w", MaxMethod, method, to, len(payload), ErrTooLarge)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.timing.CallBudget)
		defer cancel()
	}
	answer, err := p.call(ctx, method, payload)
	var remote *RemoteError
	if err != nil && !errors.As(err, &remote) {
		err = fmt.Errorf("call %s at site %d: %w", method, to, err)
	}
	return answer, err
}

func (p *peer) call(ctx context.Context, method string, payload []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(ErrUnreachable, err)
	}
	c := &call{method: method, done: make(chan result, 1)}
	if err := p.submit(c, budget(ctx), payload); err != nil {
		return nil, err
	}
	select {
	case r := <-c.done:
		return r.payload, r.err
	case <-ctx.Done():
	}
	if p.forget(c) {
		return nil, fmt.Errorf("%w: %w", c.giveUp(ErrUnreachable), context.Cause(ctx))
	}
	r := <-c.done // somebody was faster
	return r.payload, r.err
}

// budget is what is left for the call, in microseconds, at least one.
func budget(ctx context.Context) uint32 {
	deadline, ok := ctx.Deadline()
	if !ok {
		return math.MaxUint32
	}
	return uint32(min(max(time.Until(deadline)/time.Microsecond, 1), math.MaxUint32))
}

// submit makes the call known, so that its answer cannot come too early, and queues the request. A request that no
// connection takes ends the call.
func (p *peer) submit(c *call, budget uint32, payload []byte) error {
	if err := p.register(c); err != nil {
		return err
	}
	var head [maxCallHead]byte
	m := message{kind: kindCall, body: payload, call: c}
	m.head = callHead{id: c.id, budget: budget, method: c.method}.append(head[:0])
	if err := p.queue(&m); err != nil && p.forget(c) {
		return c.giveUp(err)
	}
	return nil
}

// register gives the call its id and enters it.
func (p *peer) register(c *call) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return ErrClosed
	case !p.up(): // without a receiver no answer could come
		return ErrUnreachable
	case len(p.calls) >= p.link.limits.Waiting:
		return ErrBusy
	}
	p.lastCall++
	c.id = p.lastCall
	p.calls[c.id] = c
	return nil
}

// forget takes a call back; false means that somebody else is finishing it.
func (p *peer) forget(c *call) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	mine := p.calls[c.id] == c
	delete(p.calls, c.id)
	return mine
}

// answered finishes the call that a reply belongs to. Replies nobody waits for are dropped. The payload is the caller's.
func (p *peer) answered(payload []byte) error {
	id, v, rest, err := parseReply(payload)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.calls[id]
	if c == nil {
		return nil
	}
	delete(p.calls, id)
	switch v {
	case verdictAnswered:
		c.done <- result{payload: rest}
	case verdictBusy:
		c.done <- result{err: ErrBusy}
	case verdictFailed:
		c.done <- result{err: &RemoteError{Site: p.site, Method: c.method, Code: binary.BigEndian.Uint16(rest), Text: string(rest[2:])}}
	}
	return nil
}

// serve runs a call of the peer in a goroutine of its own, or refuses it.
func (p *peer) serve(payload []byte) error {
	head, body, err := parseCall(payload)
	if err != nil {
		return err
	}
	l := p.link
	if !l.admit(len(body)) {
		l.refused.Add(1)
		p.reply(head.id, verdictBusy, nil)
		return nil
	}
	l.goroutines.Go(func() {
		defer l.release(len(body))
		p.run(head, body)
	})
	return nil
}

// run serves one call and sends the reply.
func (p *peer) run(head callHead, body []byte) {
	ctx, cancel := context.WithTimeout(p.link.serveCtx, time.Duration(head.budget)*time.Microsecond)
	defer cancel()
	answer, err := p.link.handler.Serve(ctx, p.site, head.method, body)
	if err == nil && len(answer) > MaxPayload {
		err = fmt.Errorf("an answer of %d bytes: %w", len(answer), ErrTooLarge)
	}
	v := verdictAnswered
	if err != nil {
		v, answer = verdictFailed, errorBody(err)
	}
	if !p.awaitSender(ctx) {
		return // whoever called learns that there is no answer
	}
	p.reply(head.id, v, answer)
}

func (p *peer) reply(id uint64, v verdict, body []byte) {
	var head [replyFixed]byte
	binary.BigEndian.PutUint64(head[:], id)
	head[replyFixed-1] = byte(v)
	p.send(&message{kind: kindReply, head: head[:], body: body})
}

// errorBody encodes an error of a handler.
func errorBody(err error) []byte {
	var code uint16
	var coder Coder
	if errors.As(err, &coder) {
		code = coder.LinkCode()
	}
	text := err.Error()
	return append(binary.BigEndian.AppendUint16(nil, code), text[:min(len(text), maxErrorText)]...)
}

// admit takes a place for serving a call of a peer, if there is one and the link is not closing.
func (l *Link) admit(bytes int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	crowded := l.serving >= l.limits.Calls || l.servingBytes > 0 && l.servingBytes+int64(bytes) > l.limits.CallBytes
	if l.state != stateRunning || crowded {
		return false
	}
	l.handlers.Add(1)
	l.serving++
	l.servingBytes += int64(bytes)
	return true
}

func (l *Link) release(bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handlers.Done()
	l.serving--
	l.servingBytes -= int64(bytes)
}
