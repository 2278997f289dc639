package sim

import (
	"fmt"
	"slices"

	"holdfast"
	"holdfast/check"
	"holdfast/ledger"
	"holdfast/shard"
)

// views asks a replica, by the questions that callers ask, for everything that the twin knows: look-ups by id and reference,
// balances of the past, statements page by page, holds and records; from memory and, for what a checkpoint took, from the store.
func (o *oracle) views(at holdfast.SiteID, v *shard.View) {
	for _, ask := range []func(*shard.View) error{o.askTxns, o.askHolds, o.askAccounts, o.askStatements, o.askRefs, o.askRecords} {
		if err := ask(v); err != nil {
			o.fail("view", "site %d: %v", at, err)
			return
		}
	}
}

// decided visits every transaction that is remembered, in the order of the log.
func (o *oracle) decided(visit func(*past) error) error {
	for i := range o.log {
		for _, out := range o.log[i].outcomes {
			p := o.twin.ids[out.ID]
			if out.Replay || p == nil || p.leg || p.outcome.Position != out.Position {
				continue
			}
			if err := visit(p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *oracle) askTxns(v *shard.View) error {
	return o.decided(func(p *past) error {
		f, found, err := v.Txn(p.txn.ID)
		if err != nil || !found {
			return fmt.Errorf("transaction %s is not found (%w)", p.txn.ID, err)
		}
		if d := check.Difference(p.txn, f.Txn); d != "" {
			return fmt.Errorf("transaction %s: %s", p.txn.ID, d)
		}
		got, want := f.Outcome, p.outcome
		got.Replay = want.Replay
		if what := differs(&got, &want); what != "" {
			return fmt.Errorf("transaction %s is found as %s", p.txn.ID, what)
		}
		return o.askLegs(v, p)
	})
}

func (o *oracle) askLegs(v *shard.View, p *past) error {
	for i := range p.txn.Transfers {
		id := p.txn.TransferID(i)
		f, found, err := v.Transfer(id)
		if done := p.outcome.Status == holdfast.Done; err != nil || found != done && o.twin.ids[id] == p || done && !found {
			return fmt.Errorf("transfer %s is found: %v (%w), its transaction is %s", id, found, err, p.outcome.Status)
		}
		if found && f.Txn.ID == p.txn.ID && *f.Transfer != p.txn.Transfers[i] {
			return fmt.Errorf("transfer %s is found as %+v, right is %+v", id, *f.Transfer, p.txn.Transfers[i])
		}
	}
	return nil
}

func (o *oracle) askHolds(v *shard.View) error {
	states := map[holdState]ledger.HoldState{
		open: ledger.HoldOpen, posted: ledger.HoldPosted, voided: ledger.HoldVoided, expired: ledger.HoldExpired,
		elsewhere: ledger.HoldMoved,
	}
	for _, id := range o.twin.holdIDs {
		_, state, found, err := v.Hold(id)
		if want := states[o.twin.holds[id].now().state]; err != nil || !found || state != want {
			return fmt.Errorf("hold %s is %s (%v, %w), right is %s", id, state, found, err, want)
		}
	}
	return nil
}

// askAccounts asks for every account as it stood after every seventh entry.
func (o *oracle) askAccounts(v *shard.View) error {
	for i := 0; i < len(o.log); i += 7 {
		t := &o.log[i]
		if t.last == 0 {
			continue
		}
		for _, id := range o.twin.order {
			got, found, err := v.AccountAt(id, t.last)
			want, exists := o.twin.accounts[id].at(t.entry.Index)
			if err != nil || found != exists || got != want {
				return fmt.Errorf("account %s at %s (entry %d) is %+v (%v, %w), right is %+v (%v)", id, t.last, t.entry.Index, got, found, err, want, exists)
			}
		}
	}
	return nil
}

const statementPage = 7

func (o *oracle) askStatements(v *shard.View) error {
	for _, id := range o.twin.order {
		lines, err := statement(v, id)
		if err != nil {
			return fmt.Errorf("statement of %s: %w", id, err)
		}
		if err := o.checkStatement(id, lines); err != nil {
			return err
		}
	}
	return nil
}

func statement(v *shard.View, id holdfast.AccountID) (all []shard.Line, err error) {
	var from shard.Cursor
	for {
		lines, next, err := v.Statement(id, from, statementPage)
		if err != nil {
			return nil, err
		}
		all = append(all, lines...)
		if next == (shard.Cursor{}) {
			return all, nil
		}
		from = next
	}
}

// checkStatement wants the lines newest first, the account after each entry as the twin has it, and no entry left out.
func (o *oracle) checkStatement(id holdfast.AccountID, lines []shard.Line) error {
	versions := o.twin.accounts[id]
	next := len(versions.index) - 1
	for i := range lines {
		r := &lines[i].Row
		if i > 0 && lines[i-1].Index == r.Index {
			continue // within an entry the last line is the one that counts
		}
		for next >= 0 && versions.index[next] > r.Index && o.unchanged(versions, next) {
			next--
		}
		if next < 0 || versions.index[next] != r.Index {
			return fmt.Errorf("statement of %s has a line of entry %d, which the account does not know; or the one before is missing", id, r.Index)
		}
		want := versions.value[next]
		if r.DebitsPosted != want.DebitsPosted || r.CreditsPosted != want.CreditsPosted || r.DebitsPending != want.DebitsPending ||
			r.CreditsPending != want.CreditsPending || r.Flags != want.Flags {
			return fmt.Errorf("statement of %s at entry %d is %+v, right is %+v", id, r.Index, *r, want)
		}
		next--
	}
	for next >= 0 && o.unchanged(versions, next) {
		next--
	}
	if next >= 0 {
		return fmt.Errorf("statement of %s has no line of entry %d", id, versions.index[next])
	}
	return nil
}

// unchanged is a version that is as the one before: freezing what is frozen makes no line.
func (o *oracle) unchanged(l *line[holdfast.Account], i int) bool {
	return i > 0 && l.value[i] == l.value[i-1]
}

func (o *oracle) askRefs(v *shard.View) error {
	want := map[holdfast.Ref][]holdfast.ID{}
	if err := o.decided(func(p *past) error {
		for i := range p.txn.Transfers {
			if ref := p.txn.Transfers[i].Ref; !ref.IsZero() && p.outcome.Status == holdfast.Done {
				want[ref] = append(want[ref], p.txn.TransferID(i))
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for n := range byte(6) {
		ref := holdfast.Ref{15: n}
		if ref.IsZero() {
			continue
		}
		list, _, err := v.ByRef(ref, ledger.Place{}, 1<<20)
		if err != nil {
			return fmt.Errorf("transfers of %s: %w", ref, err)
		}
		var got []holdfast.ID
		for i := range list {
			got = append(got, list[i].Txn.TransferID(int(list[i].Leg)))
		}
		slices.Reverse(got) // newest first
		if !slices.Equal(got, want[ref]) {
			return fmt.Errorf("%d transfers have reference %s: %v; right are %d: %v", len(got), ref, got, len(want[ref]), want[ref])
		}
	}
	return nil
}

func (o *oracle) askRecords(v *shard.View) error {
	for _, key := range o.twin.keys {
		want := o.twin.records[key].now()
		list, err := v.Records("state/"+key, "", 10)
		if err != nil {
			return fmt.Errorf("records with the index key of %s: %w", key, err)
		}
		listed := slices.Contains(want.Index, "state/"+key) // those of the platform itself have no index key
		if len(list) > 1 || (len(list) == 1) != listed || len(list) == 1 && !sameRecord(&list[0], &want) {
			return fmt.Errorf("records with the index key of %s are %+v, right is %+v", key, list, want)
		}
	}
	return nil
}
