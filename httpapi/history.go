package httpapi

import (
	"cmp"
	"context"
	"slices"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/site"
	"holdfast/transit"
)

// What happened to an account that has moved from shard to shard stands in the logs of all of them. Here it is put together again, in
// the order of time; what the moves themselves did is left out.

// accountOf is an account as it stands, or, past, as it stood at a moment.
func (a *api) accountOf(
	ctx context.Context, x *exchange, id holdfast.AccountID, mode shard.ReadMode, at time.Time, past bool,
) (account holdfast.Account, err error) {
	moment, latest := holdfast.TimeOf(at), holdfast.Time(0) // latest is when what account shows was written
	var stay site.Stay
	err = a.look(ctx, x, id, mode, func(now site.Stay, v *shard.View) (found bool, err error) {
		if past {
			err = v.Final(moment)
		}
		switch stay = now; {
		case err != nil:
			return false, err
		case !past:
			account, found = v.Account(id)
		case len(stay.Origins) == 0:
			account, found, err = v.AccountAt(id, moment)
			if now, open := v.Account(id); err == nil && !found && open {
				err = notOpenYet(now.Opened)
			}
		default:
			account, latest, found, err = asOf(v, id, moment)
		}
		return found, err
	})
	if err != nil {
		return account, err
	}
	for _, o := range before(stay) {
		err := a.site.ReadOrigin(ctx, o, func(v *shard.View) error {
			was, when, found, err := asOf(v, id, moment)
			if !found || err != nil {
				return err
			}
			opened := min(account.Opened, was.Opened)
			if past && when > latest {
				account, latest = was, when
			}
			account.Opened = opened
			return nil
		})
		if err != nil {
			return account, a.unanswered(err)
		}
	}
	if past && len(stay.Origins) > 0 && latest == 0 {
		return account, notOpenYet(account.Opened)
	}
	return account, nil
}

// before are the other shards where an account has been, latest first.
func before(stay site.Stay) (list []transit.Origin) {
	for _, o := range slices.Backward(stay.Origins) {
		if o.Shard != stay.Shard {
			list = append(list, o)
		}
	}
	return list
}

// asOf is an account as one shard has it, with the sums that it had there at a moment, moves apart, and when those were written; 0: it
// had none by then.
func asOf(v *shard.View, id holdfast.AccountID, moment holdfast.Time) (account holdfast.Account, at holdfast.Time, found bool, err error) {
	if account, found = v.Account(id); !found {
		return account, 0, false, nil
	}
	const few = 16
	from := shard.Cursor{Time: moment}
	for first := true; first || from != (shard.Cursor{}); first = false {
		var lines []shard.Line
		if lines, from, err = v.Statement(id, from, few); err != nil {
			return account, 0, true, err
		}
		for i := range lines {
			if l := &lines[i]; !ledger.OfMove(l.Txn) {
				account.Flags = l.Flags
				account.DebitsPosted, account.CreditsPosted = l.DebitsPosted, l.CreditsPosted
				account.DebitsPending, account.CreditsPending = l.DebitsPending, l.CreditsPending
				return account, l.Time, true, nil
			}
		}
	}
	return account, 0, true, nil
}

// dated is a line of a statement and when it was written.
type dated struct {
	time holdfast.Time
	body lineBody
}

// statementOf is a page of the statement of an account, over all shards where it has been.
func (a *api) statementOf(
	ctx context.Context, x *exchange, id holdfast.AccountID, mode shard.ReadMode, from shard.Cursor, limit int,
) (lines []lineBody, next shard.Cursor, err error) {
	var stay site.Stay
	var all []dated
	err = a.look(ctx, x, id, mode, func(now site.Stay, v *shard.View) (found bool, err error) {
		if _, found = v.Account(id); !found {
			return false, nil
		}
		if err := v.Final(from.Time); err != nil {
			return false, err // the page before came from a site that knew more: lines between could be missing
		}
		if stay = now; len(stay.Origins) == 0 {
			all, next, err = a.page(ctx, v, stay.Shard, id, from, limit)
			return true, err
		}
		all, err = a.stretch(ctx, v, stay.Shard, id, from, limit)
		return true, err
	})
	if err != nil {
		return nil, next, err
	}
	for _, o := range before(stay) {
		err := a.site.ReadOrigin(ctx, o, func(v *shard.View) error {
			part, err := a.stretch(ctx, v, o.Shard, id, from, limit)
			all = append(all, part...)
			return err
		})
		if err != nil {
			return nil, next, a.unanswered(err)
		}
	}
	if len(stay.Origins) > 0 {
		all, next = merged(all, from, limit)
	}
	lines = make([]lineBody, len(all))
	for i := range all {
		lines[i] = all[i].body
	}
	return lines, next, nil
}

// page is that of an account which has always been where it is.
func (a *api) page(
	ctx context.Context, v *shard.View, at holdfast.ShardID, id holdfast.AccountID, from shard.Cursor, limit int,
) (list []dated, next shard.Cursor, err error) {
	lines, next, err := v.Statement(id, from, limit)
	if err == nil {
		list, err = a.dated(ctx, v, at, lines)
	}
	return list, next, err
}

// stretch is what one shard has of a page: as many lines as could be needed, from the time of the cursor on.
func (a *api) stretch(
	ctx context.Context, v *shard.View, at holdfast.ShardID, id holdfast.AccountID, from shard.Cursor, limit int,
) (list []dated, err error) {
	want := limit + int(from.Skip) + 1
	from.Skip = 0
	for first := true; len(list) < want && (first || from != shard.Cursor{}); first = false {
		var lines []shard.Line
		if lines, from, err = v.Statement(id, from, min(want-len(list), shard.MaxLines)); err != nil {
			return nil, err
		}
		part, err := a.dated(ctx, v, at, lines)
		if err != nil {
			return nil, err
		}
		list = append(list, part...)
	}
	return list, nil
}

// dated writes lines down, without those of moves.
func (a *api) dated(ctx context.Context, v *shard.View, at holdfast.ShardID, lines []shard.Line) (list []dated, err error) {
	for i := range lines {
		if ledger.OfMove(lines[i].Txn) {
			continue
		}
		body, err := a.lineOf(ctx, v, at, &lines[i])
		if err != nil {
			return nil, err
		}
		list = append(list, dated{lines[i].Time, body})
	}
	return list, nil
}

// merged is a page of lines of several shards, newest first. The clocks of their leaders may differ by a little; all lines of one
// time are of one shard, or told apart by the order of the shards, which is that of the stays.
func merged(all []dated, from shard.Cursor, limit int) ([]dated, shard.Cursor) {
	slices.SortStableFunc(all, func(p, q dated) int { return cmp.Compare(q.time, p.time) })
	seen := 0
	for seen < len(all) && seen < int(from.Skip) && all[seen].time == from.Time {
		seen++
	}
	all = all[seen:]
	if len(all) <= limit {
		return all, shard.Cursor{}
	}
	all = all[:limit]
	next := shard.Cursor{Time: all[limit-1].time}
	for i := limit - 1; i >= 0 && all[i].time == next.Time; i-- {
		next.Skip++
	}
	if next.Time == from.Time {
		next.Skip += from.Skip
	}
	return all, next
}
