package httpapi

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"

	"holdfast"
	"holdfast/shard"
	"holdfast/site"
)

// Messages that callers put into a transaction wait in the outbox of its shard until they are acknowledged.

type queuedBody struct {
	Seq         uint64 `json:"seq" doc:"Its number within the shard: acknowledge it by this"`
	Transaction string `json:"transaction" format:"uuid" doc:"The transaction it was part of"`
	Time        string `json:"time" format:"date-time"`
	MessageBody
}

type messagesBody struct {
	Shard    uint16       `json:"shard"`
	Messages []queuedBody `json:"messages" doc:"In the order of their numbers"`
	Next     uint64       `json:"next,omitempty" doc:"Send it as after, for the next page; left out on the last one"`
}

type messagesIn struct {
	Shard uint16 `query:"shard" required:"true" doc:"Shard whose outbox is read: that of the outcome of the transaction; see /v1/shards"`
	Topic string `query:"topic" maxLength:"200" doc:"Only those of this topic; all if left out"`
	After uint64 `query:"after" doc:"The next of the page before; left out for the oldest ones"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" doc:"Messages on a page; 100 if left out"`
	ModeIn
}

type acknowledgeBody struct {
	Shard uint16   `json:"shard" doc:"Shard of the messages"`
	Seqs  []uint64 `json:"seqs" minItems:"1" maxItems:"8000" doc:"Their numbers. Those that are acknowledged already are no error"`
}

type acknowledgeIn struct {
	KeyIn
	Body acknowledgeBody
}

// shardIn is a shard that a caller names.
func (a *api) shardIn(n int64, field string) (holdfast.ShardID, error) {
	id := holdfast.ShardID(n)
	if n < 1 || n > math.MaxUint16 || !slices.Contains(a.site.ShardIDs(), id) {
		return 0, edgeMalformed.field(field, "name a shard of this fleet: see /v1/shards")
	}
	return id, nil
}

func (a *api) getMessages(ctx context.Context, x *exchange) error {
	q := x.query
	mode, err := q.mode()
	if err != nil {
		return err
	}
	limit, err := q.limit()
	if err != nil {
		return err
	}
	n, _ := strconv.ParseInt(q.get("shard"), 10, 32) // what is no number is no shard
	if x.shard, err = a.shardIn(n, "shard"); err != nil {
		return err
	}
	var after uint64
	if text := q.get("after"); text != "" {
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return edgeMalformed.field("after", "the number of a message is a whole number: send the \"next\" of the page before")
		}
	}
	var list []holdfast.Queued
	err = a.site.Read(ctx, x.shard, mode, func(v *shard.View) error {
		list = v.Messages(q.get("topic"), after, limit+1)
		return nil
	})
	if err != nil {
		return a.unanswered(err)
	}
	return x.sendJSON(http.StatusOK, messagesPage(x.shard, list, limit))
}

func messagesPage(at holdfast.ShardID, list []holdfast.Queued, limit int) messagesBody {
	body := messagesBody{Shard: uint16(at), Messages: []queuedBody{}}
	for i := range list[:min(limit, len(list))] {
		m := &list[i]
		body.Messages = append(body.Messages, queuedBody{
			Seq: m.Seq, Transaction: m.Txn.String(), Time: m.Time.String(),
			MessageBody: MessageBody{uint16(m.To), m.Topic, base64Text(m.Body)},
		})
	}
	if len(list) > limit {
		body.Next = list[limit-1].Seq
	}
	return body
}

// postAcknowledge takes messages out of an outbox. Repeating it does no harm, so the key may be left out.
func (a *api) postAcknowledge(ctx context.Context, x *exchange) error {
	text, err := x.body()
	if err != nil {
		return err
	}
	at, seqs, err := a.readAcknowledge(text)
	if err != nil {
		return err
	}
	x.shard, x.id, x.count = at, newID(), 1
	if x.r.Header.Get(idempotencyHeader) != "" {
		if x.id, err = x.requestID(holdfast.ID{}); err != nil {
			return err
		}
	}
	o, err := a.site.Acknowledge(ctx, at, x.id, seqs)
	switch {
	case errors.Is(err, site.ErrNoMessage):
		return edgeNotFound.field("seqs", "%s: acknowledge what GET /v1/messages has shown", err)
	case err != nil:
		return a.unanswered(err)
	}
	x.code, x.index = o.Code.String(), o.Index
	if o.Status != holdfast.Done {
		return problemOfOutcome(&o)
	}
	x.out = appendOutcome(x.out[:0], &o)
	return x.sendRaw(statusOf(&o), jsonType)
}

var acknowledgeMembers = []string{"shard", "seqs"}

func (a *api) readAcknowledge(text string) (at holdfast.ShardID, seqs []uint64, err error) {
	s := newScanner(text)
	n := int64(0)
	for name := range s.members(acknowledgeMembers) {
		switch name {
		case "shard":
			n = s.integer(0, math.MaxUint16)
		case "seqs":
			for range s.elements(maxList) {
				seqs = append(seqs, uint64(s.integer(1, math.MaxInt64)))
			}
		}
	}
	if err := s.end(); err != nil {
		return 0, nil, err
	}
	if at, err = a.shardIn(n, "shard"); err != nil {
		return 0, nil, err
	}
	slices.Sort(seqs)
	if len(seqs) == 0 || len(slices.Compact(slices.Clone(seqs))) < len(seqs) {
		return 0, nil, edgeMalformed.field("seqs", "name the messages to acknowledge, each once")
	}
	return at, seqs, nil
}
