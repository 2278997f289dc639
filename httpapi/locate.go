package httpapi

import (
	"context"
	"encoding/hex"
	"slices"

	"holdfast"
	"holdfast/ledger"
	"holdfast/pay"
	"holdfast/receipt"
	"holdfast/shard"
	"holdfast/site"
	"holdfast/transit"
)

// Where a payment stands in the logs at this site. Everything here is read from its own replicas.

// located is what this site's logs have of a payment.
type located struct {
	testimony
	contents receipt.Contents
}

// written is a transaction in the log of a shard.
type written struct {
	txn   *holdfast.Txn
	shard holdfast.ShardID
	entry receipt.Entry
	voter []holdfast.SiteID
	upTo  uint64
}

func (a *api) locate(ctx context.Context, q *question) (located, error) {
	switch q.About {
	case aboutReceipt:
		return a.locateReceipt(ctx, q)
	case aboutTrade:
		return a.locateTrade(ctx, q)
	}
	return a.locateTxn(ctx, q)
}

func notHere(q *question) located {
	return located{testimony{State: receipt.Missing, Verdict: receipt.Unknown, Reason: reasonNotHere}, q.contents()}
}

// at takes over where a transaction stands.
func (l *located) at(w *written, state, verdict, reason string) {
	l.State, l.Verdict, l.Reason, l.Entry, l.Voters, l.UpTo = state, verdict, reason, w.entry, w.voter, w.upTo
}

// writtenAs is a transaction of a shard with the place where it stands.
func writtenAs(v *shard.View, at holdfast.ShardID, t *holdfast.Txn, p holdfast.Position, when holdfast.Time, role string) (w written, err error) {
	e, err := v.Logged(p.Index)
	if err != nil {
		return w, err
	}
	w = written{txn: t, shard: at, voter: v.Voters(), entry: receipt.Entry{
		Role: role, Shard: at, Index: p.Index, Ord: p.Ord, Term: e.Term, Hash: hex.EncodeToString(e.Hash[:]), Time: when.Std(),
	}}
	w.upTo, _ = v.Applied()
	return w, nil
}

// roleOf is what a transaction is to the payment that it belongs to.
func roleOf(t *holdfast.Txn) (role string, p transit.Payment, err error) {
	if t.ID.Reserved() {
		return receipt.RoleLanded, transit.Payment{Txn: t}, nil
	}
	p, err = transit.Original(t)
	if err == nil && p.Crosses() {
		return receipt.RoleDeparted, p, nil
	}
	return receipt.RolePaid, p, err
}

// uncommitted looks for a transaction at the end of the log that nobody has applied here.
func uncommitted(v *shard.View, at holdfast.ShardID, is func(*holdfast.Txn) bool) (w written, found bool) {
	v.Unapplied(func(t *holdfast.Txn, when holdfast.Time, p holdfast.Position) bool {
		if !is(t) {
			return true
		}
		role, _, err := roleOf(t)
		if err == nil {
			w, err = writtenAs(v, at, t, p, when, role)
		}
		found = err == nil
		return false
	})
	return w, found
}

// bodyOfChange is what a transaction writes under a key; nil: nothing.
func bodyOfChange(t *holdfast.Txn, key string) []byte {
	for i := range t.Records {
		if r := &t.Records[i]; r.Key == key && !r.Delete && len(r.Body) > 0 {
			return r.Body
		}
	}
	return nil
}

func (a *api) locateReceipt(ctx context.Context, q *question) (l located, err error) {
	key := pay.ReceiptKey(q.Owner, q.Name)
	var w written
	var changed holdfast.Time
	var stay site.Stay
	err = a.site.ReadOwner(ctx, q.Owner, shard.Stale, func(now site.Stay, v *shard.View) error {
		l, w, stay, changed = notHere(q), written{}, now, 0
		r, there, err := v.Record(key)
		switch {
		case err != nil:
			return err
		case there:
			changed = r.Changed
			if err := l.receipt(key, r.Body); err != nil {
				return err
			}
			w, err = writtenAtTime(v, now.Shard, changed, key)
			return err
		}
		tail, found := uncommitted(v, now.Shard, func(t *holdfast.Txn) bool { return bodyOfChange(t, key) != nil })
		if !found {
			return nil
		}
		l.at(&tail, receipt.Logged, receipt.Held, reasonInLog)
		return l.receipt(key, bodyOfChange(tail.txn, key))
	})
	if err == nil && changed != 0 && w.txn == nil {
		w, err = a.writtenBefore(ctx, stay, changed, key)
	}
	if err != nil || w.txn == nil {
		return l, err
	}
	return l, a.decide(ctx, &l, &w)
}

// receipt takes over what a receipt says.
func (l *located) receipt(key string, body []byte) error {
	v, err := pay.ReadReceipt(key, body)
	if err != nil {
		return err
	}
	c := &l.contents
	c.Kind, c.Time, c.Asset, c.Amount, c.Other, c.Number, c.Text = v.Kind.String(), new(v.Time.Std()), v.Asset, v.Amount, v.Other, v.Number, v.Text
	return nil
}

// writtenAtTime is the transaction of a shard that was given a time, if it writes a key; without a transaction: it is not there.
func writtenAtTime(v *shard.View, at holdfast.ShardID, when holdfast.Time, key string) (w written, err error) {
	t, p, found, err := v.WrittenAt(when)
	if err != nil || !found || bodyOfChange(t, key) == nil {
		return w, err
	}
	role, _, err := roleOf(t)
	if err != nil {
		return w, err
	}
	return writtenAs(v, at, t, p, when, role)
}

// writtenBefore looks for it in the shards where the owner has been.
func (a *api) writtenBefore(ctx context.Context, stay site.Stay, when holdfast.Time, key string) (w written, err error) {
	for _, o := range before(stay) {
		err := a.site.ReadOrigin(ctx, o, func(v *shard.View) (err error) {
			w, err = writtenAtTime(v, o.Shard, when, key)
			return err
		})
		if err != nil || w.txn != nil {
			return w, err
		}
	}
	return w, nil
}

// decide says what a transaction that was applied here comes to. Of one that has departed to another shard that one decides.
func (a *api) decide(ctx context.Context, l *located, w *written) error {
	role, p, err := roleOf(w.txn)
	if err != nil {
		return err
	}
	if role != receipt.RoleDeparted {
		l.at(w, receipt.Applied, receipt.Safe, reasonCommitted)
		return nil
	}
	l.at(w, receipt.Applied, receipt.UnderWay, reasonOnItsWay)
	if err := a.settledAt(ctx, l, &p); err != nil || l.Verdict == receipt.NotExecuted {
		return err
	}
	at, land, err := a.site.LandedHere(ctx, &p)
	if err != nil || at == 0 {
		return nil // what is known at home is told
	}
	var landed written
	err = a.site.Read(ctx, at, shard.Stale, func(v *shard.View) (err error) {
		landed, err = writtenAs(v, at, nil, land.Position, land.Time, receipt.RoleLanded)
		return err
	})
	if err != nil {
		return nil
	}
	switch land.Status {
	case holdfast.Done:
		l.at(&landed, receipt.Applied, receipt.Safe, reasonCommitted)
	case holdfast.Refused:
		l.at(&landed, receipt.Applied, receipt.NotExecuted, reasonRefused)
	}
	return nil
}

// settledAt takes over how a payment was settled at home, if it was: that follows from how it landed.
func (a *api) settledAt(ctx context.Context, l *located, p *transit.Payment) error {
	return a.site.Read(ctx, p.Home, shard.Stale, func(v *shard.View) error {
		f, found, err := v.Txn(p.SettleID())
		if err != nil || !found || f.Outcome.Status != holdfast.Done {
			return err
		}
		w, err := writtenAs(v, p.Home, f.Txn, f.Outcome.Position, f.Outcome.Time, receipt.RoleSettled)
		switch {
		case err != nil:
			return err
		case transit.Voids(f.Txn):
			l.at(&w, receipt.Applied, receipt.NotExecuted, reasonTakenBack)
		default:
			l.at(&w, receipt.Applied, receipt.Safe, reasonCommitted)
		}
		return nil
	})
}

func (a *api) locateTrade(ctx context.Context, q *question) (l located, err error) {
	key := pay.TradeKey(q.Owner, q.Name)
	var w written
	var had pay.Trade
	var changed holdfast.Time
	var stay site.Stay
	err = a.site.ReadOwner(ctx, q.Owner, shard.Stale, func(now site.Stay, v *shard.View) error {
		l, w, stay, changed, had = notHere(q), written{}, now, 0, pay.Trade{}
		r, there, err := v.Record(key)
		if err != nil {
			return err
		}
		if there {
			changed, l.Reason = r.Changed, reasonNotPaid
			if had, err = pay.ReadTrade(key, r.Body); err != nil {
				return err
			}
			l.trade(&had)
		}
		if had.Payer != 0 {
			w, err = paidBy(v, now.Shard, q, key, had.Paid)
			return err
		}
		tail, found := uncommitted(v, now.Shard, func(t *holdfast.Txn) bool { return pays(t, key) })
		if found {
			l.at(&tail, receipt.Logged, receipt.Held, reasonInLog)
			paid, err := pay.ReadTrade(key, bodyOfChange(tail.txn, key))
			l.trade(&paid)
			return err
		}
		if had.Status == pay.StatusClosed {
			w, err = writtenAtTime(v, now.Shard, changed, key)
		}
		return err
	})
	closed := had.Payer == 0 && had.Status == pay.StatusClosed
	switch {
	case err != nil || had.Payer == 0 && !closed || l.State == receipt.Logged:
		return l, err
	case w.txn == nil && closed:
		w, err = a.writtenBefore(ctx, stay, changed, key)
	case w.txn == nil:
		w, err = a.paidBefore(ctx, stay, q, key, had.Paid)
	}
	switch {
	case err != nil || w.txn == nil:
		l.Reason = reasonNotHere // it was paid, and where that stands is not on this disk
		return l, err
	case closed:
		w.entry.Role = receipt.RoleClosed
		l.at(&w, receipt.Applied, receipt.NotExecuted, reasonClosed)
		return l, nil
	}
	paid, err := pay.ReadTrade(key, bodyOfChange(w.txn, key))
	if err != nil {
		return l, err
	}
	l.trade(&paid)
	l.at(&w, receipt.Applied, receipt.Safe, reasonCommitted)
	return l, nil
}

// trade takes over what a trade says, as long as that does not change once it is paid.
func (l *located) trade(v *pay.Trade) {
	c := &l.contents
	c.TradeNo, c.Asset, c.Amount, c.Other, c.Text = v.TradeNo, v.Asset, v.Amount, v.Payer, v.Subject
	if v.Paid != 0 {
		c.Time = new(v.Paid.Std())
	}
}

// pays reports a transaction that pays the trade of a key.
func pays(t *holdfast.Txn, key string) bool {
	body := bodyOfChange(t, key)
	if body == nil || !slices.ContainsFunc(t.Transfers, func(m holdfast.Transfer) bool { return m.Code == pay.PaidCode }) {
		return false
	}
	v, err := pay.ReadTrade(key, body)
	return err == nil && v.Payer != 0
}

// paidBy is the transaction of a shard that has paid a trade.
func paidBy(v *shard.View, at holdfast.ShardID, q *question, key string, paid holdfast.Time) (w written, err error) {
	const some = 64
	ref := pay.TradeRef(q.Owner, q.Name)
	list, next, err := v.ByRef(ref, ledger.Place{}, some)
	for {
		for i := range list {
			f := &list[i]
			if !pays(f.Txn, key) {
				continue
			}
			if had, err := pay.ReadTrade(key, bodyOfChange(f.Txn, key)); err != nil || had.Paid != paid {
				continue
			}
			role, _, err := roleOf(f.Txn)
			if err != nil {
				return w, err
			}
			return writtenAs(v, at, f.Txn, f.Outcome.Position, f.Outcome.Time, role)
		}
		if err != nil || next == (ledger.Place{}) {
			return w, err
		}
		list, next, err = v.ByRef(ref, next, some)
	}
}

func (a *api) paidBefore(ctx context.Context, stay site.Stay, q *question, key string, paid holdfast.Time) (w written, err error) {
	for _, o := range before(stay) {
		err := a.site.ReadOrigin(ctx, o, func(v *shard.View) (err error) {
			w, err = paidBy(v, o.Shard, q, key, paid)
			return err
		})
		if err != nil || w.txn != nil {
			return w, err
		}
	}
	return w, nil
}

func (a *api) locateTxn(ctx context.Context, q *question) (l located, err error) {
	l = notHere(q)
	var unread error
	for _, at := range a.site.ShardIDs() {
		var w written
		var refused, tail bool
		err := a.site.Read(ctx, at, shard.Stale, func(v *shard.View) error {
			f, found, err := v.Txn(q.ID)
			if err != nil {
				return err
			}
			if !found {
				w, tail = uncommitted(v, at, func(t *holdfast.Txn) bool { return t.ID == q.ID })
				return nil
			}
			role, _, err := roleOf(f.Txn)
			if err == nil {
				w, err = writtenAs(v, at, f.Txn, f.Outcome.Position, f.Outcome.Time, role)
			}
			refused = f.Outcome.Status == holdfast.Refused
			return err
		})
		if err != nil {
			unread = err
			continue
		}
		if w.txn == nil {
			continue
		}
		if err := l.transfers(w.txn); err != nil {
			return l, err
		}
		switch {
		case tail:
			l.at(&w, receipt.Logged, receipt.Held, reasonInLog)
		case refused:
			l.at(&w, receipt.Applied, receipt.NotExecuted, reasonRefused)
			return l, nil
		default:
			if err := a.decide(ctx, &l, &w); err != nil || l.Verdict != receipt.Safe {
				return l, err
			}
			return l, a.reserved(ctx, &l, w.txn)
		}
	}
	if l.State == receipt.Missing {
		return l, unread
	}
	return l, nil
}

// reserved sees to it that a hold is not taken for a payment: the money moves when it is posted.
func (a *api) reserved(ctx context.Context, l *located, t *holdfast.Txn) error {
	p, err := transit.Original(t)
	if err != nil {
		return err
	}
	open, ended, moved := false, false, false
	for i := range p.Txn.Transfers {
		m := p.Shown(holdfast.Leg(i))
		if m.Kind != holdfast.Hold {
			moved = true
			continue
		}
		h, found, err := a.site.Hold(ctx, site.HoldName{ID: m.ID, Debit: m.Debit, Credit: m.Credit}, shard.Stale)
		switch {
		case err != nil || !found || h.State == ledger.HoldOpen:
			open = true
		case h.State == ledger.HoldPosted:
			moved = true
		default:
			ended = true
		}
	}
	switch {
	case open:
		l.Verdict, l.Reason = receipt.UnderWay, reasonReserved
	case ended && !moved:
		l.Verdict, l.Reason = receipt.NotExecuted, reasonReleased
	}
	return nil
}

// transfers takes over what a caller has asked for.
func (l *located) transfers(t *holdfast.Txn) error {
	p, err := transit.Original(t)
	if err != nil {
		return err
	}
	for i := range p.Txn.Transfers {
		m := p.Shown(holdfast.Leg(i))
		l.contents.Transfers = append(l.contents.Transfers, receipt.ContentsOfMove{Debit: accountText(m.Debit), Credit: accountText(m.Credit), Amount: m.Amount})
	}
	return nil
}
