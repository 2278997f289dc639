package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"holdfast"
	"holdfast/shard"
	"holdfast/site"
)

type recordBody struct {
	Key     string   `json:"key"`
	Version uint64   `json:"version" doc:"Counts its changes from 1. A record that was deleted and is written again starts at version 1 again"`
	Index   []string `json:"index" doc:"Keys under which it can be found"`
	Body    string   `json:"body" contentEncoding:"base64"`
	Changed string   `json:"changed" format:"date-time"`
	Pending string   `json:"pending,omitempty" format:"uuid" doc:"The payment to another shard that wrote this and is under way: it may yet be taken back, as a new version"`
}

func newRecordBody(r *holdfast.Record) recordBody {
	b := recordBody{Key: r.Key, Version: r.Version, Index: append([]string{}, r.Index...), Body: base64Text(r.Body), Changed: r.Changed.String()}
	if r.Pending != nil {
		b.Pending = r.Pending.Payment.String()
	}
	return b
}

// recordKey refuses what no record can have as its key, or as one of its index keys.
func recordKey(field, key string) error {
	if key == "" || len(key) > holdfast.MaxRecordKey {
		return edgeMalformed.field(field, "the key of a record has 1 to %d bytes", holdfast.MaxRecordKey)
	}
	return nil
}

func (a *api) getRecord(ctx context.Context, x *exchange) error {
	key := x.r.PathValue("key")
	if err := recordKey("key", key); err != nil {
		return err
	}
	owner, err := holdfast.RecordOwner(key)
	if err != nil {
		return edgeMalformed.field("key", "%v", err)
	}
	var r holdfast.Record
	look := func(v *shard.View) (found bool, err error) {
		r, found, err = v.Record(key)
		return found, err
	}
	if owner != 0 {
		err = a.lookAtOwner(ctx, x, owner, look)
	} else {
		err = a.lookUp(ctx, x, look)
	}
	if err != nil {
		return err
	}
	return x.sendJSON(http.StatusOK, newRecordBody(&r))
}

type recordsBody struct {
	Records []recordBody `json:"records" doc:"In the order of their keys"`
	Next    string       `json:"next,omitempty" doc:"Send it as after, for the next page; left out on the last one"`
}

// lookAtOwner is lookUp for what belongs to an owner.
func (a *api) lookAtOwner(ctx context.Context, x *exchange, owner holdfast.Owner, fn func(*shard.View) (bool, error)) error {
	mode, err := x.query.mode()
	if err != nil {
		return err
	}
	found := false
	err = a.site.ReadOwner(ctx, owner, mode, func(stay site.Stay, v *shard.View) (err error) {
		x.shard = stay.Shard
		found, err = fn(v)
		return err
	})
	switch {
	case err != nil:
		return a.unanswered(err)
	case !found:
		return nothingFound()
	}
	return nil
}

// getRecords lists the records of all shards that carry an index key, or those of an owner whose keys begin with a prefix. One more is asked
// for than fits, so that a page that is full to the last record is known to be the last.
func (a *api) getRecords(ctx context.Context, x *exchange) error {
	q := x.query
	mode, err := q.mode()
	if err != nil {
		return err
	}
	limit, err := q.limit()
	if err != nil {
		return err
	}
	index, prefix, after := q.get("index"), q.get("prefix"), q.get("after")
	if prefix != "" {
		if index != "" {
			return edgeMalformed.field("prefix", "ask for an index key or for a prefix, not for both")
		}
		return a.getRecordsOf(ctx, x, prefix, after, limit)
	}
	if err := recordKey("index", index); err != nil {
		return err
	}
	all, err := a.site.Records(ctx, index, after, limit+1, mode)
	if err != nil {
		return a.unanswered(err)
	}
	return x.sendJSON(http.StatusOK, recordPage(all, limit))
}

func (a *api) getRecordsOf(ctx context.Context, x *exchange, prefix, after string, limit int) error {
	owner, err := holdfast.OwnerOfPrefix(prefix)
	if err != nil {
		return edgeMalformed.field("prefix", "%v", err)
	}
	var all []holdfast.Record
	err = a.lookAtOwner(ctx, x, owner, func(v *shard.View) (_ bool, err error) {
		all, err = v.Listed(prefix, after, limit+1)
		return true, err
	})
	if err != nil {
		return err
	}
	return x.sendJSON(http.StatusOK, recordPage(all, limit))
}

// recordPage sorts by key and keeps one page. Records of one key in several shards stay together, on a page that is longer for it:
// the next one begins after a key.
func recordPage(all []holdfast.Record, limit int) recordsBody {
	slices.SortStableFunc(all, func(p, q holdfast.Record) int { return cmp.Compare(p.Key, q.Key) })
	end := min(limit, len(all))
	for end < len(all) && all[end].Key == all[end-1].Key {
		end++
	}
	body := recordsBody{Records: make([]recordBody, end)}
	for i := range body.Records {
		body.Records[i] = newRecordBody(&all[i])
	}
	if end < len(all) {
		body.Next = all[end-1].Key
	}
	return body
}
