package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"holdfast"
	"holdfast/shard"
)

type recordBody struct {
	Key     string   `json:"key"`
	Version uint64   `json:"version" doc:"Counts its changes from 1. A record that was deleted and is written again starts at version 1 again"`
	Index   []string `json:"index" doc:"Keys under which it can be found"`
	Body    string   `json:"body" contentEncoding:"base64"`
	Changed string   `json:"changed" format:"date-time"`
}

func newRecordBody(r *holdfast.Record) recordBody {
	return recordBody{r.Key, r.Version, append([]string{}, r.Index...), base64Text(r.Body), r.Changed.String()}
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
	var r holdfast.Record
	err := a.lookUp(ctx, x, func(v *shard.View) (found bool, err error) {
		r, found, err = v.Record(key)
		return found, err
	})
	if err != nil {
		return err
	}
	return x.sendJSON(http.StatusOK, newRecordBody(&r))
}

type recordsBody struct {
	Records []recordBody `json:"records" doc:"In the order of their keys"`
	Next    string       `json:"next,omitempty" doc:"Send it as after, for the next page; left out on the last one"`
}

// getRecords lists the records of all shards that carry an index key. Each shard is asked for one more than fits, so that a page
// that is full to the last record is known to be the last.
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
	index, after := q.get("index"), q.get("after")
	if err := recordKey("index", index); err != nil {
		return err
	}
	var all []holdfast.Record
	for _, id := range a.site.ShardIDs() {
		err := a.site.Read(ctx, id, mode, func(v *shard.View) error {
			list, err := v.Records(index, after, limit+1)
			all = append(all, list...)
			return err
		})
		if err != nil {
			return a.unanswered(err)
		}
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
