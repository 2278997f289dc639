package check

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"holdfast"
)

// judge is a history with all names resolved to slots of one flat state per group.
type judge struct {
	history  *History
	calls    []*call
	parent   map[holdfast.AccountID]holdfast.AccountID // union-find: accounts that payments connect
	accounts map[holdfast.AccountID]int                // slot within the group
	holds    map[holdfast.ID]int
	txns     map[holdfast.ID]int
	groups   []*cluster
	groupOf  map[holdfast.AccountID]int         // by root
	holders  map[holdfast.ID]holdfast.AccountID // debit account by hold; filled when first asked for
}

// cluster is one group of accounts: a history of its own.
type cluster struct {
	initial  []int64
	calls    []*call
	accounts []holdfast.AccountID
}

func newJudge(h *History) *judge {
	j := &judge{
		history: h, parent: map[holdfast.AccountID]holdfast.AccountID{}, accounts: map[holdfast.AccountID]int{},
		holds: map[holdfast.ID]int{}, txns: map[holdfast.ID]int{}, groupOf: map[holdfast.AccountID]int{},
	}
	j.connect()
	for i := range h.Start {
		j.start(&h.Start[i])
	}
	for i := range h.Ops {
		j.add(&h.Ops[i])
	}
	j.lookUps()
	return j
}

// connect joins the accounts that one transaction, or two with the same id, or a hold and its end have in common.
func (j *judge) connect() {
	byID := map[holdfast.ID]holdfast.AccountID{}
	link := func(id holdfast.ID, a holdfast.AccountID) {
		if a == (holdfast.AccountID{}) || id.IsZero() {
			return
		}
		if b, ok := byID[id]; ok {
			j.union(a, b)
			return
		}
		byID[id] = a
	}
	// Twice, because the end of a hold may be listed before the hold that names its accounts.
	for range 2 {
		for i := range j.history.Ops {
			connectTxn(j.history.Ops[i].Txn, byID, link)
		}
	}
}

func connectTxn(t *holdfast.Txn, byID map[holdfast.ID]holdfast.AccountID, link func(holdfast.ID, holdfast.AccountID)) {
	if t == nil {
		return
	}
	for i := range t.Accounts {
		link(t.ID, t.Accounts[i].ID)
	}
	for i := range t.Transfers {
		l := &t.Transfers[i]
		link(t.ID, l.Debit)
		link(t.ID, l.Credit)
		if l.Kind == holdfast.Hold {
			link(t.TransferID(i), l.Debit)
		}
		if a, ok := byID[l.Hold]; ok && l.Kind >= holdfast.Post {
			link(t.ID, a)
		}
	}
}

func (j *judge) root(a holdfast.AccountID) holdfast.AccountID {
	for {
		p, ok := j.parent[a]
		if !ok || p == a {
			return a
		}
		j.parent[a] = j.rootOnce(p)
		a = p
	}
}

func (j *judge) rootOnce(a holdfast.AccountID) holdfast.AccountID {
	if p, ok := j.parent[a]; ok {
		return p
	}
	return a
}

func (j *judge) union(a, b holdfast.AccountID) {
	if a, b = j.root(a), j.root(b); a != b {
		j.parent[a] = b
	}
}

func (j *judge) group(a holdfast.AccountID) (int, *cluster) {
	r := j.root(a)
	n, ok := j.groupOf[r]
	if !ok {
		n = len(j.groups)
		j.groupOf[r] = n
		j.groups = append(j.groups, &cluster{})
	}
	return n, j.groups[n]
}

// slot gives the place of an account in the state of its group; a new one starts as not open.
func (j *judge) slot(a holdfast.AccountID) int {
	if s, ok := j.accounts[a]; ok {
		return s
	}
	_, g := j.group(a)
	s := g.grow(accountSlots)
	g.accounts = append(g.accounts, a)
	j.accounts[a] = s
	return s
}

func (g *cluster) grow(n int) int {
	at := len(g.initial)
	g.initial = append(g.initial, make([]int64, n)...)
	return at
}

func (g *cluster) slotOf(slots map[holdfast.ID]int, id holdfast.ID, n int) int {
	s, ok := slots[id]
	if !ok {
		s = g.grow(n)
		slots[id] = s
	}
	return s
}

func (j *judge) start(a *holdfast.Account) {
	s := j.slot(a.ID)
	_, g := j.group(a.ID)
	g.initial[s] = 1 + int64(a.Limit)
	g.initial[s+debitsPosted], g.initial[s+creditsPosted] = int64(a.DebitsPosted), int64(a.CreditsPosted)
	g.initial[s+debitsPending], g.initial[s+creditsPending] = int64(a.DebitsPending), int64(a.CreditsPending)
}

// add resolves one operation. Those that did nothing by their own account, or speak of no account, are left out.
func (j *judge) add(op *Op) {
	if op.Read != nil && !op.Read.Txn.IsZero() {
		return // see lookUps
	}
	if op.Read != nil {
		n, g := j.group(op.Read.Account.ID)
		g.calls = append(g.calls, &call{op: op, group: n, read: j.slot(op.Read.Account.ID)})
		j.calls = append(j.calls, g.calls[len(g.calls)-1])
		return
	}
	anchor, ok := j.anchor(op.Txn)
	unheard := op.Outcome.Status == holdfast.Unknown
	if !ok || !unheard && !remembered(&op.Outcome) {
		return
	}
	n, g := j.group(anchor)
	c := &call{op: op, group: n, read: -1, txn: g.slotOf(j.txns, op.Txn.ID, 1)}
	for i := range op.Txn.Accounts {
		if ch := &op.Txn.Accounts[i]; ch.Op == holdfast.OpenAccount {
			c.opens = append(c.opens, open{j.slot(ch.ID), ch.Limit})
		}
	}
	for i := range op.Txn.Transfers {
		c.legs = append(c.legs, j.leg(g, op.Txn, i))
	}
	g.calls = append(g.calls, c)
	j.calls = append(j.calls, c)
}

// lookUps adds the reads of transactions, when all transactions have their slots. One of a transaction that the history has, and that
// is left out of it, is left out too. One of an id that nobody sent anything with is a group of its own, in which nothing is done.
func (j *judge) lookUps() {
	at, known := map[holdfast.ID]int{}, map[holdfast.ID]bool{}
	for _, c := range j.calls {
		if c.op.Read == nil {
			at[c.op.Txn.ID] = c.group
		}
	}
	for i := range j.history.Ops {
		if t := j.history.Ops[i].Txn; t != nil {
			known[t.ID] = true
		}
	}
	for i := range j.history.Ops {
		op := &j.history.Ops[i]
		if op.Read == nil || op.Read.Txn.IsZero() {
			continue
		}
		id := op.Read.Txn
		n, ok := at[id]
		switch {
		case !ok && known[id]:
			continue
		case !ok:
			n = len(j.groups)
			j.groups = append(j.groups, &cluster{})
			at[id] = n
		}
		g := j.groups[n]
		g.calls = append(g.calls, &call{op: op, group: n, read: g.slotOf(j.txns, id, 1)})
		j.calls = append(j.calls, g.calls[len(g.calls)-1])
	}
}

// anchor gives an account by which to find the transaction's group: its own, or that of the hold it ends.
func (j *judge) anchor(t *holdfast.Txn) (holdfast.AccountID, bool) {
	if len(t.Accounts) > 0 {
		return t.Accounts[0].ID, true
	}
	for i := range t.Transfers {
		l := &t.Transfers[i]
		if l.Kind <= holdfast.Hold {
			return l.Debit, true
		}
		if a, ok := j.holder(l.Hold); ok {
			return a, true
		}
	}
	return holdfast.AccountID{}, false
}

// holder finds the debit account of a hold by the transaction that makes it.
func (j *judge) holder(hold holdfast.ID) (holdfast.AccountID, bool) {
	if j.holders == nil {
		j.holders = map[holdfast.ID]holdfast.AccountID{}
		for i := range j.history.Ops {
			if t := j.history.Ops[i].Txn; t != nil {
				for k := range t.Transfers {
					if t.Transfers[k].Kind == holdfast.Hold {
						j.holders[t.TransferID(k)] = t.Transfers[k].Debit
					}
				}
			}
		}
	}
	a, ok := j.holders[hold]
	return a, ok
}

func (j *judge) leg(g *cluster, t *holdfast.Txn, i int) leg {
	l := &t.Transfers[i]
	out := leg{kind: l.Kind, debit: -1, credit: -1, amount: int64(l.Amount)}
	switch l.Kind {
	case holdfast.Immediate, holdfast.Hold:
		out.debit, out.credit = j.slot(l.Debit), j.slot(l.Credit)
		if l.Kind == holdfast.Hold {
			out.hold = g.slotOf(j.holds, t.TransferID(i), holdSlots)
		}
	default:
		out.hold = g.slotOf(j.holds, l.Hold, holdSlots)
	}
	return out
}

// search lets Porcupine look for any order, group by group, within one common deadline.
func (j *judge) search(timeout time.Duration) Verdict {
	deadline := time.Now().Add(timeout)
	verdict := Verdict{OK: true, Explanation: fmt.Sprintf("an order was found by search, in %d groups of accounts", len(j.groups))}
	for _, g := range j.groups {
		switch g.search(time.Until(deadline)) {
		case porcupine.Illegal:
			return Verdict{Explanation: g.explain()}
		case porcupine.Unknown:
			verdict = Verdict{Undecided: true, Explanation: fmt.Sprintf(
				"not decided within %s: %d operations on %d accounts; give fewer operations or more time", timeout, len(g.calls), len(g.accounts))}
		}
	}
	return verdict
}

func (g *cluster) search(timeout time.Duration) porcupine.CheckResult {
	if timeout <= 0 {
		return porcupine.Unknown
	}
	ops := make([]porcupine.Operation, 0, len(g.calls))
	for _, c := range g.calls {
		ret := c.op.Return
		if c.op.Read == nil && c.op.Outcome.Status == holdfast.Unknown {
			ret = math.MaxInt64
		}
		ops = append(ops, porcupine.Operation{ClientId: c.op.Client, Input: c, Call: c.op.Call, Return: ret})
	}
	return porcupine.CheckOperationsTimeout(g.model(), ops, timeout)
}

func (g *cluster) model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return g.initial },
		StepContext: func(_ context.Context, state, input, _ any) (bool, any) {
			ok, next := input.(*call).step(state.([]int64))
			return ok, next
		},
		Equal: func(a, b any) bool { return slices.Equal(a.([]int64), b.([]int64)) },
		Hash: func(state any) uint64 {
			h := uint64(14695981039346656037) // FNV-1a, by words: it is asked for every step
			for _, n := range state.([]int64) {
				h = (h ^ uint64(n)) * 1099511628211
				h ^= h >> 29
			}
			return h
		},
	}
}

// explain cuts the history down to the shortest beginning that has no order: the last operation to return in it is the one
// that contradicts the others.
func (g *cluster) explain() string {
	calls := slices.Clone(g.calls)
	slices.SortStableFunc(calls, func(a, b *call) int { return int(min(max(a.op.Return-b.op.Return, -1), 1)) })
	low, high := 0, len(calls)
	for low < high {
		mid := (low + high) / 2
		part := cluster{initial: g.initial, calls: beginning(calls, mid)}
		if part.search(time.Second) == porcupine.Illegal {
			high = mid
		} else {
			low = mid + 1
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "no order explains these answers (%d operations on %d accounts):", len(g.calls), len(g.accounts))
	from := max(0, min(low, len(calls))-12)
	for _, c := range calls[from:min(low, len(calls))] {
		b.WriteString("\n  " + c.describe())
	}
	return b.String()
}

// beginning is the history as it was known when the n-th answer came: later answers are not known yet, reads without an
// answer did nothing.
func beginning(calls []*call, n int) []*call {
	if n == 0 {
		return nil
	}
	part := slices.Clone(calls[:n])
	end := calls[n-1].op.Return
	for _, c := range calls[n:] {
		if c.op.Read != nil || c.op.Call > end {
			continue
		}
		open, pending := *c, *c.op
		pending.Outcome = holdfast.Outcome{Status: holdfast.Unknown}
		open.op = &pending
		part = append(part, &open)
	}
	return part
}
