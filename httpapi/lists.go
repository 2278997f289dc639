package httpapi

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"math"
	"net/http"
	"slices"

	"holdfast"
	"holdfast/ledger"
	"holdfast/pay"
	"holdfast/shard"
	"holdfast/site"
)

// Lists that are turned by places in logs: of the open holds of an account, and of the transfers with a reference. A place is the same
// on every replica, so any site can go on where another has stopped.

// mark is how far the list of one shard has been shown: down to a place.
type mark struct {
	shard holdfast.ShardID
	place ledger.Place
}

// newestPlace is above the place of every transfer.
var newestPlace = ledger.Place{Position: holdfast.Position{Index: math.MaxUint64, Ord: math.MaxUint32}, Leg: math.MaxUint16}

const markBytes = 2 + 8 + 4 + 2

// marksText is the cursor, opaque to callers: the marks of the shards that have more.
func marksText(marks []mark) string {
	b := make([]byte, 0, len(marks)*markBytes)
	for _, m := range marks {
		b = binary.BigEndian.AppendUint16(b, uint16(m.shard))
		b = binary.BigEndian.AppendUint64(b, m.place.Index)
		b = binary.BigEndian.AppendUint32(b, m.place.Ord)
		b = binary.BigEndian.AppendUint16(b, uint16(m.place.Leg))
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func readMarks(text string) ([]mark, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b)%markBytes != 0 || len(b) > site.MaxShards*markBytes {
		return nil, badCursor()
	}
	var marks []mark
	for ; len(b) > 0; b = b[markBytes:] {
		m := mark{holdfast.ShardID(binary.BigEndian.Uint16(b)), ledger.Place{
			Position: holdfast.Position{Index: binary.BigEndian.Uint64(b[2:]), Ord: binary.BigEndian.Uint32(b[10:])},
			Leg:      holdfast.Leg(binary.BigEndian.Uint16(b[14:])),
		}}
		if m.place == (ledger.Place{}) || m.shard == 0 || len(marks) > 0 && m.shard <= marks[len(marks)-1].shard {
			return nil, badCursor()
		}
		marks = append(marks, m)
	}
	return marks, nil
}

func badCursor() *Problem {
	return edgeMalformed.field("cursor", "this is no cursor of this list: send the \"next\" of the page before, unchanged")
}

// marked are the parameters of a page.
func (q query) marked() (marks []mark, limit int, mode shard.ReadMode, err error) {
	if mode, err = q.mode(); err != nil {
		return nil, 0, 0, err
	}
	if limit, err = q.limit(); err != nil {
		return nil, 0, 0, err
	}
	marks, err = readMarks(q.get("cursor"))
	return marks, limit, mode, err
}

type transfersBody struct {
	Transfers []MovementBody `json:"transfers" doc:"Newest first"`
	Next      string         `json:"next,omitempty" doc:"Cursor of the next page; left out on the last one"`
}

// refLine is a transfer with a reference; one that is not shown only takes its place.
type refLine struct {
	from  int // number of its mark
	place ledger.Place
	time  holdfast.Time
	body  *MovementBody
}

// ref is the reference that is asked for, or that of a document.
func (q query) ref() (ref holdfast.Ref, err error) {
	if key := q.get("record"); key != "" {
		if holdfast.OwnerOfKey(key) == 0 || q.get("ref") != "" {
			return ref, edgeMalformed.field("record", "name the document by its key, and give no ref: /v1/transfers?record=o/2088000000000000/trade/T-1")
		}
		return pay.RefOf(key), nil
	}
	if err := ref.UnmarshalText([]byte(q.get("ref"))); err != nil || ref.IsZero() {
		return ref, edgeMalformed.field("ref", "name the reference to look for, a UUID: /v1/transfers?ref=...")
	}
	return ref, nil
}

func (a *api) getTransfersByRef(ctx context.Context, x *exchange) error {
	marks, limit, mode, err := x.query.marked()
	if err != nil {
		return err
	}
	ref, err := x.query.ref()
	if err != nil {
		return err
	}
	if len(marks) == 0 {
		for _, id := range a.site.ShardIDs() {
			marks = append(marks, mark{id, newestPlace})
		}
	}
	var all []refLine
	rest := make([]ledger.Place, len(marks)) // from where each shard has more than was read
	for i, m := range marks {
		err := a.site.Read(ctx, m.shard, mode, func(v *shard.View) error {
			lines, next, err := a.byRef(ctx, v, ref, m, i, limit)
			all, rest[i] = append(all, lines...), next
			return err
		})
		if err != nil {
			return a.unanswered(err)
		}
	}
	return x.sendJSON(http.StatusOK, refPage(all, marks, rest, limit))
}

// byRef is what one shard has of a page.
func (a *api) byRef(
	ctx context.Context, v *shard.View, ref holdfast.Ref, m mark, from, limit int,
) (lines []refLine, next ledger.Place, err error) {
	list, next, err := v.ByRef(ref, m.place, limit)
	for i := range list {
		f := &list[i]
		line := refLine{from: from, place: ledger.Place{Position: f.Outcome.Position, Leg: f.Leg}, time: f.Outcome.Time}
		crossed := f.Transfer.ID.IsShadow() && !f.Txn.ID.IsShadow() && !atHome(f) // shown where it landed, if it did
		if !crossed && !ledger.OfMove(f.Txn) {                                    // what a move made anew is no transfer
			body, err := a.movementOf(ctx, v, m.shard, f)
			if err != nil {
				return nil, next, err
			}
			line.body = &body
		}
		lines = append(lines, line)
	}
	return lines, next, err
}

// refPage is the newest of what the shards have, and the cursor of what is left.
func refPage(all []refLine, marks []mark, rest []ledger.Place, limit int) transfersBody {
	slices.SortStableFunc(all, func(p, q refLine) int { return cmp.Compare(q.time, p.time) })
	page := transfersBody{Transfers: []MovementBody{}}
	end := 0
	marks = slices.Clone(marks)
	for ; end < len(all) && len(page.Transfers) < limit; end++ {
		l := &all[end]
		if marks[l.from].place = l.place; l.body != nil {
			page.Transfers = append(page.Transfers, *l.body)
		}
	}
	var left []mark
	for i, m := range marks {
		switch {
		case slices.ContainsFunc(all[end:], func(l refLine) bool { return l.from == i }):
			left = append(left, m)
		case rest[i] != (ledger.Place{}):
			left = append(left, mark{m.shard, rest[i]})
		}
	}
	page.Next = marksText(left)
	return page
}

type holdsBody struct {
	Holds []holdBody `json:"holds" doc:"Newest first"`
	Next  string     `json:"next,omitempty" doc:"Cursor of the next page; left out on the last one"`
}

func (a *api) getAccountHolds(ctx context.Context, x *exchange) error {
	id, err := x.pathAccount()
	if err != nil {
		return err
	}
	marks, limit, mode, err := x.query.marked()
	if err != nil {
		return err
	}
	var list []shownHold
	var next ledger.Place
	err = a.look(ctx, x, id, mode, func(stay site.Stay, v *shard.View) (found bool, err error) {
		from, err := holdsFrom(marks, stay.Shard)
		if err != nil {
			return false, err
		}
		if _, found = v.Account(id); found {
			list, next, err = callersHolds(v, id, from, limit)
		}
		return found, err
	})
	if err != nil {
		return err
	}
	body := holdsBody{Holds: []holdBody{}}
	for i := range list {
		h := &list[i]
		if h.moved {
			before, found, err := a.site.Hold(ctx, site.HoldName{ID: h.ID, Debit: h.Debit, Credit: h.Credit}, shard.Stale)
			if err != nil {
				return a.unanswered(err)
			}
			if found {
				h.Time = before.Time
			}
		}
		body.Holds = append(body.Holds, holdBodyOf(&h.OpenHold, ledger.HoldOpen, x.shard))
	}
	if next != (ledger.Place{}) {
		body.Next = marksText([]mark{{x.shard, next}})
	}
	return x.sendJSON(http.StatusOK, body)
}

// holdsFrom is the place from which the holds of an account go on. In another shard its holds stand at other places.
func holdsFrom(marks []mark, now holdfast.ShardID) (ledger.Place, error) {
	switch {
	case len(marks) == 0:
		return ledger.Place{}, nil
	case len(marks) > 1:
		return ledger.Place{}, badCursor()
	case marks[0].shard != now:
		return ledger.Place{}, edgeMalformed.field("cursor", "the account has moved to shard %d since the page before: begin with the first page", now)
	}
	return marks[0].place, nil
}

// shownHold is an open hold as its caller knows it.
type shownHold struct {
	ledger.OpenHold
	moved bool // it was made anew when one of its owners moved: where it was first stands when it was opened
}

// callersHolds lists open holds of an account, and the place from where there are more.
func callersHolds(
	v *shard.View, id holdfast.AccountID, from ledger.Place, limit int,
) (list []shownHold, next ledger.Place, err error) {
	open, next := v.Holds(id, from, limit)
	for _, h := range open {
		moved := false
		if h.ID.Reserved() {
			name, held, written, err := writtenOf(v, h.ID)
			if err != nil {
				return list, next, err
			}
			if !written || held.ID(name) != h.ID {
				continue // a payment under way to another shard: it is no hold that anybody could post
			}
			moved = !h.ID.IsShadow()
			h.ID, h.Credit = name, held.Payee
		}
		list = append(list, shownHold{h, moved})
	}
	return list, next, nil
}
