package httpapi

import (
	"context"
	"errors"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast"
	"holdfast/client"
	"holdfast/site"
)

// newMovingBank is a bank of two shards in which a slot may move on as soon as that is ever possible.
func newMovingBank(t *testing.T) (b *bank, far holdfast.AccountID) {
	cfg := site.Embedded(t.TempDir(), "127.0.0.1:0")
	cfg.Shards, cfg.Timing.Request = 2, site.Duration(500*time.Millisecond)
	s, err := site.Open(cfg, site.Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(asDocumented(t, New(s, Options{Keys: testKeys, Version: "test", Deadline: 10 * time.Second})))
	t.Cleanup(func() {
		server.Close()
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	b = &bank{T: t, Client: newClient(t, server.URL, operatorKey), url: server.URL}
	b.cash, b.alice, b.shop = account(2088000000010000, "bank"), account(2088000000020108, "wallet"), account(2088000000030206, "wallet")
	far = account(must(holdfast.NewOwner(9, 900)), "wallet")
	for id, limit := range map[holdfast.AccountID]holdfast.Limit{
		b.cash: holdfast.LimitNone, b.alice: holdfast.LimitDebits, b.shop: holdfast.LimitDebits, far: holdfast.LimitDebits,
	} {
		b.done(b.OpenAccount(t.Context(), holdfast.AccountChange{ID: id, Limit: limit, Code: 7}))
	}
	b.done(b.Pay(t.Context(), b.transfer(b.cash, b.alice, 10000)))
	b.done(b.Pay(t.Context(), b.transfer(b.cash, b.shop, 1000)))
	return b, far
}

// move moves a slot by plan and apply, and waits until it is there and nothing of the move is left to do.
func (b *bank) move(slot holdfast.Slot, to holdfast.ShardID) {
	b.Helper()
	q := client.SlotRequest{Slots: []client.SlotRange{{From: slot, To: slot}}, To: to}
	plan := ""
	b.until("a slot that has come may go on", func() bool { // and whoever does not know whether that was ordered orders it again
		if plan == "" {
			p, err := b.PlanSlots(b.T.Context(), q)
			if plan = p.Plan; err != nil {
				plan = ""
				b.mayPass(err)
				return false
			}
		}
		err := b.ApplySlots(b.T.Context(), q, plan)
		b.mayPass(err)
		return err == nil
	})
	b.until("the slot is there", func() bool {
		m, err := b.ShardMap(b.T.Context())
		if err != nil {
			b.mayPass(err)
			return false
		}
		return len(m.Moves) == 0 && slices.ContainsFunc(m.Shards[to-1].Slots, func(r client.SlotRange) bool { return r.From <= slot && slot <= r.To })
	})
}

// mayPass insists that an error is one that a later answer may differ from.
func (b *bank) mayPass(err error) {
	b.Helper()
	var e *client.Error
	if err != nil && errors.As(err, &e) && e.Code != "not-now" && e.Status < 500 {
		b.Fatal(err)
	}
}

func (b *bank) until(what string, ok func() bool) {
	b.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for late := time.After(2 * time.Minute); !ok(); {
		select {
		case <-ticker.C:
		case <-late:
			b.Fatalf("after two minutes still not: %s", what)
		}
	}
}

func (b *bank) statement(id holdfast.AccountID, page int) (lines []client.Line) {
	b.Helper()
	for cursor, first := "", true; first || cursor != ""; first = false {
		p, err := b.StatementPage(b.T.Context(), id, cursor, page)
		if err != nil || len(p.Lines) > page {
			b.Fatalf("%d lines, %v", len(p.Lines), err)
		}
		lines, cursor = append(lines, p.Lines...), p.Next
	}
	return lines
}

// seen is everything that can be read about an account.
type seen struct {
	account holdfast.Account
	lines   []client.Line
	holds   []client.Hold
	past    []holdfast.Account
}

func (b *bank) look(id holdfast.AccountID, moments []time.Time) (s seen) {
	b.Helper()
	var err error
	if s.account, err = b.Account(b.T.Context(), id); err != nil {
		b.Fatal(err)
	}
	if s.holds, err = b.Holds(b.T.Context(), id); err != nil {
		b.Fatal(err)
	}
	s.holds = slices.DeleteFunc(s.holds, func(h client.Hold) bool { return h.Debit != id }) // payees do not see those of payers elsewhere
	slices.SortFunc(s.holds, func(p, q client.Hold) int { return p.Opened.Compare(q.Opened) })
	s.lines = b.statement(id, 1000)
	for _, at := range moments {
		a, err := b.BalanceAt(b.T.Context(), id, at)
		if err != nil {
			b.Fatalf("the balance of %s at %s: %v", id, at, err)
		}
		s.past = append(s.past, a)
	}
	return s
}

// same compares what is seen of an account before a move and after it. Sums count from the arrival on; balances do not. A hold with a
// time-out may have got a little more time.
func (b *bank) same(what string, before, after seen) {
	b.Helper()
	if before.account.Balance() != after.account.Balance() || before.account.Available() != after.account.Available() ||
		before.account.Opened != after.account.Opened || before.account.Code != after.account.Code {
		b.Errorf("%s: the account was %+v, and is %+v", what, before.account, after.account)
	}
	if diff := cmp.Diff(before.past, after.past); diff != "" {
		b.Errorf("%s: balances of past moments: %s", what, diff)
	}
	if diff := cmp.Diff(before.lines, after.lines); diff != "" {
		b.Errorf("%s: the statement: %s", what, diff)
	}
	for i := range after.holds {
		if i < len(before.holds) && after.holds[i].Expires.Sub(before.holds[i].Expires) < time.Minute {
			after.holds[i].Expires = before.holds[i].Expires
		}
	}
	if diff := cmp.Diff(before.holds, after.holds); diff != "" {
		b.Errorf("%s: the open holds: %s", what, diff)
	}
}

// TestReadersFollowAnOwnerWhoMoves: whatever could be read about an owner before a move can be read after it, as it was: statement,
// balances of past moments, open holds, each hold by its id; there, and when the owner has come back.
func TestReadersFollowAnOwnerWhoMoves(t *testing.T) {
	t.Parallel()
	b, far := newMovingBank(t)
	ctx := t.Context()
	var moments []time.Time
	pay := func(from, to holdfast.AccountID, amount holdfast.Amount) {
		t.Helper()
		o := b.done(b.Pay(ctx, b.transfer(from, to, amount)))
		moments = append(moments, o.Time.Std())
	}
	for range 5 {
		pay(b.alice, b.shop, 10)
		pay(b.shop, b.alice, 3)
	}
	pay(b.alice, far, 40)
	near, across, back := b.transfer(b.alice, b.shop, 500), b.transfer(b.alice, far, 300), b.transfer(b.shop, b.alice, 200)
	near.Timeout, near.Ref = time.Hour, holdfast.Ref{9}
	over := b.transfer(b.alice, b.shop, 70)
	for _, h := range []holdfast.Transfer{near, across, back, over} {
		b.done(b.Hold(ctx, h))
	}
	b.done(b.Post(ctx, b.NewID(), client.HoldName{ID: over.ID}, 60))
	b.settleTo(500 + 300)
	first := b.look(b.alice, moments)
	if len(first.holds) != 2 || len(first.lines) < 16 || len(first.past) != 11 {
		t.Fatalf("%d holds, %d lines, %d moments", len(first.holds), len(first.lines), len(first.past))
	}
	shop := b.look(b.shop, nil)

	_, turned, err := b.HoldsPage(ctx, b.alice, "", 1)
	if err != nil || turned == "" {
		t.Errorf("the first of alice's holds: next %q, %v", turned, err)
	}
	b.move(10, 2)
	var e *client.Error
	if _, _, err := b.HoldsPage(ctx, b.alice, turned, 1); !errors.As(err, &e) || e.Field != "cursor" || !strings.Contains(e.Detail, "has moved") {
		t.Errorf("a page that was begun before the move: %v", err)
	}
	b.same("alice has moved", first, b.look(b.alice, moments))
	b.same("the shop stayed", shop, b.look(b.shop, nil))
	b.holdIs(near, "open")
	b.holdIs(across, "open")
	b.holdIs(back, "open")
	b.holdIs(over, "posted")
	if list, err := b.TransfersByRef(ctx, near.Ref); err != nil || len(list) != 1 || list[0].ID != near.ID {
		t.Errorf("by its reference: %+v, %v", list, err)
	}
	pay(b.alice, far, 15)
	pay(b.alice, b.shop, 25)
	pay(far, b.alice, 5)
	post := b.NewID()
	b.done(b.Post(ctx, post, client.HoldOf(near), 400))
	b.done(b.Void(ctx, b.NewID(), client.HoldName{ID: across.ID}))
	b.settleTo(0)
	b.holdIs(across, "voided")
	b.holdIs(near, "posted") // made anew where she went, and posted across shards there
	if m, err := b.Transfer(ctx, post); err != nil || m.Hold != near.ID || m.Debit != b.alice || m.Credit != b.shop || m.Amount != 400 {
		t.Errorf("the post of a hold that has moved: %+v, %v", m, err)
	}
	away := b.look(b.alice, moments)
	older := away.lines[len(away.lines)-len(first.lines):]
	if diff := cmp.Diff(first.lines, older); diff != "" {
		t.Errorf("what was on the statement before the move: %s", diff)
	}
	if n := len(away.lines) - len(first.lines); n < 6 {
		t.Errorf("%d lines more", n)
	}
	for i := 1; i < len(away.lines); i++ {
		if away.lines[i].Time.After(away.lines[i-1].Time) {
			t.Errorf("line %d is younger than the one before", i)
		}
	}
	for page := range 7 {
		if !reflect.DeepEqual(b.statement(b.alice, page+1), away.lines) {
			t.Errorf("the statement in pages of %d is another one", page+1)
		}
	}

	b.move(10, 1)
	b.same("alice has come back", away, b.look(b.alice, moments))
	b.holdIs(across, "voided")
	b.holdIs(near, "posted")
	b.holdIs(over, "posted")
	pay(b.alice, b.shop, 1)
	last := b.look(b.alice, moments)
	if diff := cmp.Diff(away.lines, last.lines[1:]); diff != "" {
		t.Errorf("what was on the statement before she came back: %s", diff)
	}
	if _, err := b.BalanceAt(ctx, b.alice, time.Unix(1e9, 0)); !client.IsNotFound(err) || !strings.Contains(err.Error(), "was opened at") {
		t.Errorf("before it was opened: %v", err)
	}
	if a, err := b.StaleAccount(ctx, b.alice); err != nil || a.Balance() != last.account.Balance() {
		t.Errorf("stale: %+v, %v", a, err)
	}
	if a, err := b.Audit(ctx); err != nil || !a.OK {
		t.Errorf("%+v, %v", a, err)
	}
}

// settleTo waits until of alice nothing is under way, and so much held.
func (b *bank) settleTo(held holdfast.Amount) {
	b.Helper()
	b.until("alice's payments are settled", func() bool {
		a, err := b.Account(b.T.Context(), b.alice)
		return err == nil && a.DebitsPending == held
	})
}

func (b *bank) holdIs(h holdfast.Transfer, state string) {
	b.Helper()
	got, err := b.HoldByID(b.T.Context(), client.HoldOf(h))
	if err != nil || got.ID != h.ID || got.Debit != h.Debit || got.Credit != h.Credit || got.Amount != h.Amount || got.State != state {
		b.Errorf("hold %s: %+v, %v; want it %s", h.ID, got, err, state)
	}
}
