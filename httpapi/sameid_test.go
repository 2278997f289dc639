package httpapi

import (
	"net/http"
	"testing"

	"holdfast"
)

// sharedBank is a bank of three shards: alice and the shop are in the first one, mid in the second, far and its friend in the third.
func sharedBank(t *testing.T) (b *bank, mid, far, friend holdfast.AccountID) {
	b = newBank(t, 3)
	mid, far = account(must(holdfast.NewOwner(9, 500)), "wallet"), account(must(holdfast.NewOwner(9, 900)), "wallet")
	friend = account(must(holdfast.NewOwner(10, 901)), "wallet")
	for _, id := range []holdfast.AccountID{mid, far, friend} {
		b.done(b.OpenAccount(t.Context(), holdfast.AccountChange{ID: id, Limit: holdfast.LimitDebits}))
	}
	b.done(b.Pay(t.Context(), b.transfer(b.cash, mid, 1000)))
	b.done(b.Pay(t.Context(), b.transfer(b.cash, far, 1000)))
	return b, mid, far, friend
}

// names is a body that names accounts.
func names(debit, credit holdfast.AccountID) string {
	text := `{"debit":"` + debit.String() + `"`
	if credit != (holdfast.AccountID{}) {
		text += `,"credit":"` + credit.String() + `"`
	}
	return text + `}`
}

// hold makes a hold as its caller does, under an id that may not be his alone.
func (b *bank) hold(id holdfast.ID, debit, credit holdfast.AccountID, amount holdfast.Amount) {
	b.Helper()
	t := b.transfer(debit, credit, amount)
	t.ID = id
	b.done(b.Hold(b.Context(), t))
}

// holdLeg makes a hold that is one of two transfers: its id is not that of the transaction.
func (b *bank) holdLeg(id holdfast.ID, debit, credit holdfast.AccountID, amount holdfast.Amount) {
	b.Helper()
	t, more := b.transfer(debit, credit, amount), b.transfer(debit, b.cash, 1)
	t.ID, t.Kind = id, holdfast.Hold
	b.done(b.Submit(b.Context(), holdfast.Txn{ID: b.NewID(), Transfers: []holdfast.Transfer{t, more}}))
}

func (b *bank) says(a said, status int, code, field string) {
	b.Helper()
	if a.HTTP != status || a.Code != code || a.Field != field {
		b.Errorf("%+v, want %d %s %s", a, status, code, field)
	}
}

var anybody = holdfast.AccountID{}

// TestTwoPayersWithOneHoldID: an id should be used once. When it was used for holds of two payers each of them can still be ended, by
// whoever names the account that pays; whoever names none is refused, and takes nobody's money.
func TestTwoPayersWithOneHoldID(t *testing.T) {
	b, _, far, friend := sharedBank(t)
	id := b.NewID()
	b.hold(id, b.alice, b.shop, 70)
	b.hold(id, far, friend, 300)
	path := "/v1/holds/" + id.String()
	b.says(b.ask(path, "", ""), http.StatusBadRequest, "hold-ambiguous", "debit")
	for debit, want := range map[holdfast.AccountID]said{b.alice: {Shard: 1, Amount: 70}, far: {Shard: 3, Amount: 300}} {
		for _, query := range []string{"?debit=" + debit.String(), "?consistency=stale&debit=" + debit.String()} {
			if h := b.ask(path+query, "", ""); h.Shard != want.Shard || h.Amount != want.Amount || h.Debit != debit.String() || h.State != "open" {
				t.Errorf("%s: %+v", query, h)
			}
		}
	}
	b.says(b.ask(path+"?debit="+b.cash.String(), "", ""), http.StatusNotFound, "not-found", "")
	post := b.NewID().String()
	b.says(b.ask(path+"/post", post, `{}`), http.StatusBadRequest, "hold-ambiguous", "debit")
	b.says(b.ask(path+"/void", b.NewID().String(), `{}`), http.StatusBadRequest, "hold-ambiguous", "debit")
	b.says(b.ask("/v1/transactions", b.NewID().String(), `{"transfers":[{"kind":"void","hold":"`+id.String()+`"}]}`),
		http.StatusBadRequest, "hold-ambiguous", "transfers[0].debit")
	b.holds(b.alice, 10000, 9930)
	b.holds(far, 1000, 700)

	if a := b.ask(path+"/void", b.NewID().String(), names(far, anybody)); a.HTTP != http.StatusCreated || a.Shard != 3 {
		t.Errorf("the void of far's: %+v", a)
	}
	b.says(b.ask(path+"/post", post, `{}`), http.StatusBadRequest, "hold-ambiguous", "debit") // it could mean the one that has ended
	if a := b.ask(path+"/post", post, names(b.alice, b.shop)); a.HTTP != http.StatusCreated || a.Shard != 1 {
		t.Errorf("the post of alice's: %+v", a)
	}
	b.holds(b.alice, 9930, 9930)
	b.holds(far, 1000, 1000)
}

// TestAPostIsRepeatedAlthoughItsHoldHasANamesake: what was done stays done, and is not refused because somebody else has come.
func TestAPostIsRepeatedAlthoughItsHoldHasANamesake(t *testing.T) {
	b, _, far, friend := sharedBank(t)
	id, post := b.NewID(), b.NewID().String()
	path := "/v1/holds/" + id.String() + "/post"
	b.hold(id, b.alice, b.shop, 70)
	first := b.ask(path, post, `{}`)
	b.hold(id, far, friend, 300)
	for _, body := range []string{`{}`, `{}`} {
		if a := b.ask(path, post, body); a.HTTP != http.StatusOK || a.Shard != first.Shard || a.Index != first.Index {
			t.Errorf("asked again: %+v, first %+v", a, first)
		}
	}
	b.says(b.ask(path, post, names(far, anybody)), http.StatusConflict, "id-taken", "debit")
	b.holds(far, 1000, 700)
	b.holds(b.alice, 9930, 9930)
	if a := b.ask(path, b.NewID().String(), names(far, anybody)); a.HTTP != http.StatusCreated || a.Shard != 3 {
		t.Errorf("the post of far's: %+v", a)
	}
	b.holds(friend, 300, 300)
}

// TestHoldsThatCrossWithOneID: the same with holds whose payees are in other shards, and with two of one payer.
func TestHoldsThatCrossWithOneID(t *testing.T) {
	b, mid, far, _ := sharedBank(t)
	id := b.NewID()
	b.hold(id, b.alice, far, 70)
	b.hold(id, far, b.alice, 300)
	path := "/v1/holds/" + id.String()
	b.says(b.ask(path+"/post", b.NewID().String(), `{}`), http.StatusBadRequest, "hold-ambiguous", "debit")
	for _, debit := range []holdfast.AccountID{far, b.alice} {
		if a := b.ask(path+"/post", b.NewID().String(), names(debit, anybody)); a.HTTP != http.StatusCreated {
			t.Errorf("the post of %s: %+v", debit, a)
		}
	}
	b.until("far's payment is settled", func() bool {
		a, err := b.Account(t.Context(), far)
		return err == nil && a.DebitsPending == 0
	})
	b.settle()
	b.holds(b.alice, 10230, 10230)
	b.holds(far, 770, 770)

	leg := b.NewID() // of three transactions, within one shard and across
	b.holdLeg(leg, b.alice, b.shop, 100)
	b.holdLeg(leg, b.alice, far, 100)
	path = "/v1/holds/" + leg.String()
	b.says(b.ask(path+"/void", b.NewID().String(), names(b.alice, anybody)), http.StatusBadRequest, "hold-ambiguous", "credit")
	b.says(b.ask(path+"?debit="+b.alice.String(), "", ""), http.StatusBadRequest, "hold-ambiguous", "credit")
	b.hold(leg, mid, b.shop, 5)
	b.says(b.ask(path+"/void", b.NewID().String(), `{}`), http.StatusBadRequest, "hold-ambiguous", "debit")
	if a := b.ask(path+"?debit="+b.alice.String()+"&credit="+far.String(), "", ""); a.Amount != 100 || a.State != "open" {
		t.Errorf("alice's hold for far: %+v", a)
	}
	for _, payee := range []holdfast.AccountID{far, b.shop} {
		if a := b.ask(path+"/void", b.NewID().String(), names(b.alice, payee)); a.HTTP != http.StatusCreated {
			t.Errorf("the void of that for %s: %+v", payee, a)
		}
	}
	if a := b.ask(path+"/void", b.NewID().String(), names(mid, anybody)); a.HTTP != http.StatusCreated || a.Shard != 2 {
		t.Errorf("the void of mid's: %+v", a)
	}
	b.holds(b.alice, 10228, 10228)
	b.holds(mid, 1000, 1000)
}

// TestPaymentsWithOneID: an id that two payers in different shards have used is found for each of them by whoever names the account.
// One of two payments that land in the same shard is refused, for good: that can be read as well.
func TestPaymentsWithOneID(t *testing.T) {
	t.Parallel()
	b, mid, far, friend := sharedBank(t)
	pay := func(id holdfast.ID, debit, credit holdfast.AccountID, amount holdfast.Amount) holdfast.Outcome {
		p := b.transfer(debit, credit, amount)
		p.ID = id
		o, err := b.Pay(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	id := b.NewID()
	pay(id, b.alice, b.shop, 5)
	pay(id, far, friend, 7)
	for _, what := range []string{"/v1/transfers/", "/v1/transactions/"} {
		path := what + id.String()
		if a := b.ask(path, "", ""); a.shard() != 1 {
			t.Errorf("%s without an account: %+v, want that of the first shard", what, a)
		}
		for debit, shard := range map[holdfast.AccountID]holdfast.ShardID{b.alice: 1, far: 3} {
			if a := b.ask(path+"?debit="+debit.String(), "", ""); a.HTTP != http.StatusOK || a.shard() != shard {
				t.Errorf("%s of %s: %+v, want shard %d", what, debit, a, shard)
			}
		}
		b.says(b.ask(path+"?debit="+mid.String(), "", ""), http.StatusNotFound, "not-found", "")
	}
	id = b.NewID()
	b.done(pay(id, b.alice, far, 5), nil)
	b.refused(holdfast.CodeIDTaken)(pay(id, mid, far, 7), nil)             // both would land under one id
	b.refused(holdfast.CodeTransferIDTaken)(pay(id, far, b.alice, 9), nil) // it would depart under the id of what has landed
	path := "/v1/transactions/" + id.String() + "?debit="
	b.until("mid's payment has ended", func() bool { return b.ask(path+mid.String(), "", "").Outcome.Status != "unknown" })
	if a := b.ask(path+mid.String(), "", ""); a.Outcome.Status != "refused" || a.Outcome.Code != "id-taken" || a.Outcome.Shard != 2 {
		t.Errorf("mid's payment: %+v", a)
	}
	if a := b.ask(path+b.alice.String(), "", ""); a.Outcome.Status != "done" || a.Outcome.Shard != 1 {
		t.Errorf("alice's payment: %+v", a)
	}
	b.refused(holdfast.CodeIDTaken)(pay(id, mid, far, 7), nil)
	b.settle()
	b.holds(mid, 1000, 1000)
	b.holds(far, 998, 998)
	b.holds(b.alice, 9990, 9990)
	if a, err := b.Audit(t.Context()); err != nil || !a.OK {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestNamesakesMoveTogether: a slot moves into a shard, and out of one, where holds with the same id as its own are. None is lost.
func TestNamesakesMoveTogether(t *testing.T) {
	t.Parallel()
	b, far := newMovingBank(t)
	friend := account(must(holdfast.NewOwner(10, 901)), "wallet")
	b.done(b.OpenAccount(t.Context(), holdfast.AccountChange{ID: friend, Limit: holdfast.LimitDebits}))
	b.done(b.Pay(t.Context(), b.transfer(b.cash, far, 1000)))
	inHolds, inPlain, out, leg := b.NewID(), b.NewID(), b.NewID(), b.NewID()
	b.hold(inHolds, b.alice, b.shop, 1)
	b.hold(inHolds, far, b.shop, 2) // has a record where alice goes
	b.hold(inPlain, b.alice, b.shop, 4)
	b.hold(inPlain, far, friend, 8) // has none, and gets hers for a neighbour
	b.holdLeg(out, b.alice, b.shop, 16)
	b.holdLeg(out, b.shop, far, 32) // has a record where she leaves
	b.holdLeg(leg, b.alice, b.shop, 64)
	b.holdLeg(leg, b.alice, far, 64)
	b.move(10, 2)
	for i, c := range []struct {
		id            holdfast.ID
		debit, credit holdfast.AccountID
		amount        int64
	}{
		{inHolds, b.alice, b.shop, 1},
		{inHolds, far, b.shop, 2},
		{inPlain, b.alice, b.shop, 4},
		{inPlain, far, friend, 8},
		{out, b.alice, b.shop, 16},
		{out, b.shop, far, 32},
		{leg, b.alice, b.shop, 64},
		{leg, b.alice, far, 64},
	} {
		path := "/v1/holds/" + c.id.String()
		h := b.ask(path+"?debit="+c.debit.String()+"&credit="+c.credit.String(), "", "")
		if h.Amount != c.amount || h.State != "open" || h.Credit != c.credit.String() {
			t.Errorf("hold %d of %s: %+v", i, c.debit, h)
		}
		end := []string{"/post", "/void"}[i%2]
		if a := b.ask(path+end, b.NewID().String(), names(c.debit, c.credit)); a.HTTP != http.StatusCreated {
			t.Errorf("%s of hold %d of %s: %+v", end, i, c.debit, a)
		}
	}
	for _, id := range []holdfast.AccountID{b.alice, b.shop, far} {
		b.until("nothing is held any more", func() bool {
			a, err := b.Account(t.Context(), id)
			return err == nil && a.DebitsPending == 0
		})
	}
	b.holds(b.alice, 10000-1-4-16-64-3, 10000-1-4-16-64-3)
	b.holds(far, 1000, 1000)
	b.holds(b.shop, 1000+1+4+16+64-1, 1000+1+4+16+64-1)
	if a, err := b.Audit(t.Context()); err != nil || !a.OK {
		t.Errorf("%+v, %v", a, err)
	}
}
