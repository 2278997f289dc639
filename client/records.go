package client

import (
	"context"
	"encoding/base64"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"time"

	"holdfast"
)

type wireRecord struct {
	Key     string    `json:"key"`
	Version uint64    `json:"version"`
	Index   []string  `json:"index"`
	Body    string    `json:"body"`
	Changed time.Time `json:"changed"`
	Pending string    `json:"pending"`
}

func (w *wireRecord) record() (holdfast.Record, error) {
	body, err := base64.StdEncoding.DecodeString(w.Body)
	if err != nil {
		return holdfast.Record{}, fmt.Errorf("the body of the record %q cannot be read: %w", w.Key, err)
	}
	r := holdfast.Record{Key: w.Key, Version: w.Version, Index: w.Index, Body: body, Changed: holdfast.TimeOf(w.Changed)}
	if w.Pending != "" {
		payment, err := holdfast.ParseID(w.Pending)
		if err != nil {
			return holdfast.Record{}, fmt.Errorf("the payment that has written the record %q cannot be read: %w", w.Key, err)
		}
		r.Pending = &holdfast.PendingChange{Payment: payment}
	}
	return r, nil
}

// Record reads one business document. Of one that is Pending it is not told what it was before.
func (c *Client) Record(ctx context.Context, key string) (holdfast.Record, error) {
	var w wireRecord
	if err := c.get(ctx, "/v1/records/"+url.PathEscape(key), &w); err != nil {
		return holdfast.Record{}, err
	}
	return w.record()
}

// RecordsPage reads at most limit (1-[MaxPage]) of the records that carry an index key, with a key above after, in the order of
// their keys; a few more when several shards have one of the last key. next is the after of the next page, "" on the last one.
func (c *Client) RecordsPage(ctx context.Context, index, after string, limit int) (list []holdfast.Record, next string, err error) {
	return c.recordsPage(ctx, "index", index, after, limit)
}

// RecordsByPrefixPage is RecordsPage for the records of one owner whose keys begin with prefix: "o/", his number, a slash, and anything.
func (c *Client) RecordsByPrefixPage(ctx context.Context, prefix, after string, limit int) (list []holdfast.Record, next string, err error) {
	return c.recordsPage(ctx, "prefix", prefix, after, limit)
}

func (c *Client) recordsPage(ctx context.Context, by, what, after string, limit int) (list []holdfast.Record, next string, err error) {
	query := url.Values{by: {what}, "limit": {strconv.Itoa(limit)}}
	if after != "" {
		query.Set("after", after)
	}
	var w struct {
		Records []wireRecord `json:"records"`
		Next    string       `json:"next"`
	}
	if err := c.get(ctx, "/v1/records?"+query.Encode(), &w); err != nil {
		return nil, "", err
	}
	list = make([]holdfast.Record, len(w.Records))
	for i := range w.Records {
		if list[i], err = w.Records[i].record(); err != nil {
			return nil, "", err
		}
	}
	return list, w.Next, nil
}

// Records yields all records that carry an index key, in the order of their keys, page by page. It ends after the first error.
func (c *Client) Records(ctx context.Context, index string) iter.Seq2[holdfast.Record, error] {
	return c.allRecords(ctx, "index", index)
}

// RecordsByPrefix is Records for those of [Client.RecordsByPrefixPage].
func (c *Client) RecordsByPrefix(ctx context.Context, prefix string) iter.Seq2[holdfast.Record, error] {
	return c.allRecords(ctx, "prefix", prefix)
}

func (c *Client) allRecords(ctx context.Context, by, what string) iter.Seq2[holdfast.Record, error] {
	return func(yield func(holdfast.Record, error) bool) {
		for after, first := "", true; first || after != ""; first = false {
			page, next, err := c.recordsPage(ctx, by, what, after, MaxPage)
			if err != nil {
				yield(holdfast.Record{}, err)
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
			after = next
		}
	}
}
