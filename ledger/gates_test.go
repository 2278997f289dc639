package ledger

import (
	"bytes"
	"errors"
	"testing"

	"holdfast"
)

func FuzzGates(f *testing.F) {
	var g Gates
	f.Add(AppendGates(nil, &g))
	g.Set(0, GateMarked)
	g.Set(42, GateShut)
	g.Set(holdfast.Slots-1, GateArriving)
	f.Add(AppendGates(nil, &g))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := ReadGates(data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%v is not about the bytes", err)
			}
			return
		}
		if again := AppendGates(nil, &g); !bytes.Equal(again, data) {
			t.Fatalf("gates % x are written as % x", data, again)
		}
	})
}

// TestGatesFormat pins the format: what is in logs must be readable for ever.
func TestGatesFormat(t *testing.T) {
	var g Gates
	for i, gate := range []Gate{GateMarked, GateEbbing, GateShut, GateGone, GateArriving} {
		g.Set(holdfast.Slot(300*i/2), gate)
	}
	want := []byte{1, 0, 0, 1, 0, 150, 2, 1, 44, 3, 1, 194, 4, 2, 88, 5}
	if got := AppendGates(nil, &g); !bytes.Equal(got, want) {
		t.Errorf("gates are written as % x, not as % x", got, want)
	}
	for name, body := range map[string][]byte{
		"nothing": {}, "another version": {2}, "half a slot": {1, 0}, "no gate": {1, 0, 7, 0}, "a gate of another release": {1, 0, 7, 6},
		"a slot twice": {1, 0, 7, 3, 0, 7, 3}, "slots out of order": {1, 0, 7, 3, 0, 6, 3}, "a slot too many": {1, 3, 232, 3},
	} {
		if g, err := ReadGates(body); err == nil {
			t.Errorf("%s is read as %v", name, g.Slots())
		}
	}
}

// TestGatesBarPlainPaymentsAlike: the short way and the general one have the same gates.
func TestGatesBarPlainPaymentsAlike(t *testing.T) {
	g := generator{}
	for gate := GateOpen; gate < gates; gate++ {
		w := newWorld(t)
		w.apply(g.openAll())
		var table Gates
		table.Set(42, gate)
		w.apply(holdfast.Txn{ID: testID(1), Records: []holdfast.RecordChange{{Key: GatesKey, Body: AppendGates(nil, &table)}}})
		for i, restart := range []bool{false, true} {
			if restart { // the table has to come back from the checkpoint
				w.seal()
				w.forget()
				w.restart()
			}
			leg := holdfast.Transfer{Kind: holdfast.Immediate, Debit: testAccount(0), Credit: testAccount(2), Amount: 5}
			plain := w.apply(holdfast.Txn{ID: testID(10 + i), Transfers: []holdfast.Transfer{leg}})[0]
			leg.ID = testID(20 + i)
			general := w.apply(holdfast.Txn{ID: testID(30 + i), Transfers: []holdfast.Transfer{leg}})[0]
			if bars := gate >= GateShut; (plain.Code == holdfast.CodeMoved) != bars || plain.Code != general.Code {
				t.Errorf("gate %d, restart %v: the plain payment is %s, the other one %s", gate, restart, plain.Code, general.Code)
			}
		}
	}
}

// TestSlotAccounts finds the accounts of a slot in pages, whatever else there is.
func TestSlotAccounts(t *testing.T) {
	w := newWorld(t)
	g := generator{}
	all := g.openAll()
	own := holdfast.InTransit(42, 2, holdfast.MustAsset("CNY"))
	all.Accounts = append(all.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: own})
	w.apply(all)
	var found []holdfast.AccountID
	from, done := uint32(0), false
	for pages := 0; !done; pages++ {
		from, done = w.state.SlotAccounts(42, from, 2, func(id holdfast.AccountID) { found = append(found, id) })
		if pages > 10 {
			t.Fatal("it does not end")
		}
	}
	if len(found) != 6 || found[0] != testAccount(0) || found[5] != testAccount(5) {
		t.Errorf("slot 42 has %v", found)
	}
}

// TestGatesLeaveTheShardAlone: the accounts of the shard itself have its number where others have their slot.
func TestGatesLeaveTheShardAlone(t *testing.T) {
	w := newWorld(t)
	g := generator{}
	cny := holdfast.MustAsset("CNY")
	transit := holdfast.InTransit(42, 2, cny)
	all := g.openAll()
	all.Accounts = append(all.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: transit})
	w.apply(all)
	var table Gates
	table.Set(42, GateShut)
	w.apply(holdfast.Txn{ID: testID(1), Records: []holdfast.RecordChange{{Key: GatesKey, Body: AppendGates(nil, &table)}}})
	land := holdfast.Transfer{Kind: holdfast.Immediate, Debit: transit, Credit: testAccount(6), Amount: 5}
	if o := w.apply(holdfast.Txn{ID: testID(2), Transfers: []holdfast.Transfer{land}})[0]; o.Status != holdfast.Done {
		t.Errorf("what comes in from shard 2 while slot 42 is shut is %s (%s)", o.Status, o.Code)
	}
	land.Credit = testAccount(0)
	if o := w.apply(holdfast.Txn{ID: testID(3), Transfers: []holdfast.Transfer{land}})[0]; o.Code != holdfast.CodeMoved {
		t.Errorf("what comes in for slot 42 is %s (%s)", o.Status, o.Code)
	}
}

// TestNobodyIsInSlotZero: a post that leaves the accounts of its hold out is not about slot 0.
func TestNobodyIsInSlotZero(t *testing.T) {
	w := newWorld(t)
	g := generator{}
	w.apply(g.openAll())
	hold := holdfast.Transfer{Kind: holdfast.Hold, Debit: testAccount(0), Credit: testAccount(6), Amount: 5}
	w.apply(holdfast.Txn{ID: testID(1), Transfers: []holdfast.Transfer{hold}})
	var table Gates
	table.Set(0, GateGone)
	w.apply(holdfast.Txn{ID: testID(2), Records: []holdfast.RecordChange{{Key: GatesKey, Body: AppendGates(nil, &table)}}})
	post := holdfast.Transfer{Kind: holdfast.Post, Hold: testID(1)}
	if o := w.apply(holdfast.Txn{ID: testID(3), Transfers: []holdfast.Transfer{post}})[0]; o.Status != holdfast.Done {
		t.Errorf("the post is %s (%s)", o.Status, o.Code)
	}
}
