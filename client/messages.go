package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"holdfast"
)

// Messages reads at most limit (1-[MaxPage]) of the messages that wait in the outbox of a shard, with a number above after, in order; of one
// topic, or of all when it is empty. next is the after of the next page, 0 on the last one. Read, do what is to be done, and then
// [Client.Acknowledge]: a message that nobody has acknowledged is read again.
func (c *Client) Messages(ctx context.Context, at holdfast.ShardID, topic string, after uint64, limit int) (list []holdfast.Queued, next uint64, err error) {
	query := url.Values{"shard": {strconv.Itoa(int(at))}, "limit": {strconv.Itoa(limit)}}
	if topic != "" {
		query.Set("topic", topic)
	}
	if after > 0 {
		query.Set("after", strconv.FormatUint(after, 10))
	}
	var w struct {
		Messages []wireMessage `json:"messages"`
		Next     uint64        `json:"next"`
	}
	if err := c.get(ctx, "/v1/messages?"+query.Encode(), &w); err != nil {
		return nil, 0, err
	}
	list = make([]holdfast.Queued, len(w.Messages))
	for i := range w.Messages {
		if list[i], err = w.Messages[i].queued(); err != nil {
			return nil, 0, err
		}
	}
	return list, w.Next, nil
}

type wireMessage struct {
	Seq         uint64           `json:"seq"`
	Transaction holdfast.ID      `json:"transaction"`
	Time        time.Time        `json:"time"`
	To          holdfast.ShardID `json:"to"`
	Topic       string           `json:"topic"`
	Body        string           `json:"body"`
}

func (w *wireMessage) queued() (holdfast.Queued, error) {
	body, err := base64.StdEncoding.DecodeString(w.Body)
	if err != nil {
		return holdfast.Queued{}, fmt.Errorf("the body of message %d cannot be read: %w", w.Seq, err)
	}
	return holdfast.Queued{
		Seq: w.Seq, Txn: w.Transaction, Time: holdfast.TimeOf(w.Time), Message: holdfast.Message{To: w.To, Topic: w.Topic, Body: body},
	}, nil
}

// Acknowledge drops messages from the outbox of a shard, all or none. Those that are gone already are no error, so that it may be repeated.
func (c *Client) Acknowledge(ctx context.Context, at holdfast.ShardID, seqs ...uint64) (holdfast.Outcome, error) {
	id := c.NewID()
	body, err := json.Marshal(struct {
		Shard holdfast.ShardID `json:"shard"`
		Seqs  []uint64         `json:"seqs"`
	}{at, seqs})
	if err != nil {
		return notSent(id), err
	}
	return c.propose(ctx, id, "/v1/messages/acknowledge", body)
}
