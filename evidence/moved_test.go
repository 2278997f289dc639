package evidence

import (
	"testing"

	"holdfast"
	"holdfast/client"
)

// When an owner moves to another shard the sums of his accounts begin anew; his balance does not.
func TestAStatementOfAnOwnerWhoMovedAddsUp(t *testing.T) {
	account := func(n uint32) holdfast.AccountID {
		owner, err := holdfast.NewOwner(n, 10)
		if err != nil {
			t.Fatal(err)
		}
		return holdfast.AccountID{Owner: owner, Purpose: holdfast.MustPurpose("wallet"), Asset: holdfast.MustAsset("GBP")}
	}
	mine, other := account(1), account(2)
	line := func(shard holdfast.ShardID, credit bool, amount, debits, credits holdfast.Amount) client.Line {
		x := holdfast.Transfer{Kind: holdfast.Immediate, Debit: mine, Credit: other, Amount: amount}
		if credit {
			x.Debit, x.Credit = other, mine
		}
		return client.Line{Movement: client.Movement{Transfer: x, Shard: shard}, DebitsPosted: debits, CreditsPosted: credits}
	}
	for _, row := range []struct {
		what  string
		lines []client.Line // newest first
		ok    bool
	}{
		{"moved with 70", []client.Line{line(2, false, 5, 5, 70), line(1, false, 30, 30, 100), line(1, true, 100, 0, 100)}, true},
		{"came back with 65", []client.Line{line(1, true, 1, 0, 66), line(2, false, 5, 5, 70), line(1, false, 30, 30, 100), line(1, true, 100, 0, 100)}, true},
		{"a penny was lost on the way", []client.Line{line(2, false, 5, 5, 69), line(1, false, 30, 30, 100), line(1, true, 100, 0, 100)}, false},
		{"sums that begin anew without a move", []client.Line{line(1, false, 5, 5, 70), line(1, false, 30, 30, 100), line(1, true, 100, 0, 100)}, false},
	} {
		if err := addsUp(mine, row.lines); (err == nil) != row.ok {
			t.Errorf("%s: %v", row.what, err)
		}
	}
}

// A payment to another shard is held at its payer's, and posted when it has landed: two lines, and the sums change with the second.
func TestAStatementOfAPayerIntoAnotherShardAddsUp(t *testing.T) {
	owner := func(n uint32, slot holdfast.Slot) holdfast.AccountID {
		o, err := holdfast.NewOwner(n, slot)
		if err != nil {
			t.Fatal(err)
		}
		return holdfast.AccountID{Owner: o, Purpose: holdfast.MustPurpose("wallet"), Asset: holdfast.MustAsset("GBP")}
	}
	mine, away := owner(1, 10), owner(2, 900)
	line := func(kind holdfast.Kind, n byte, credit bool, amount, debits, credits, pending holdfast.Amount) client.Line {
		x := holdfast.Transfer{Kind: kind, Debit: mine, Credit: away, Amount: amount}
		if credit {
			x.Debit, x.Credit = away, mine
		}
		return client.Line{Movement: client.Movement{Transfer: x, Txn: holdfast.ID{15: n}, Shard: 1}, DebitsPosted: debits, CreditsPosted: credits, DebitsPending: pending}
	}
	const plain, post = holdfast.Immediate, holdfast.Post
	for _, row := range []struct {
		what  string
		lines []client.Line // newest first
		ok    bool
	}{
		{"landed", []client.Line{line(post, 1, false, 30, 30, 100, 0), line(plain, 1, false, 30, 0, 100, 30), line(plain, 9, true, 100, 0, 100, 0)}, true},
		{"under way, and another at home meanwhile", []client.Line{line(plain, 2, false, 5, 5, 100, 30), line(plain, 1, false, 30, 0, 100, 30), line(plain, 9, true, 100, 0, 100, 0)}, true},
		{"neither held nor posted", []client.Line{line(plain, 1, false, 30, 0, 100, 0), line(plain, 9, true, 100, 0, 100, 0)}, false},
		{"a penny less is held", []client.Line{line(plain, 1, false, 30, 0, 100, 29), line(plain, 9, true, 100, 0, 100, 0)}, false},
		{"held, and posted at once", []client.Line{line(plain, 1, false, 30, 30, 100, 30), line(plain, 2, false, 5, 6, 100, 0), line(plain, 9, true, 100, 0, 100, 0)}, false},
	} {
		if err := addsUp(mine, row.lines); (err == nil) != row.ok {
			t.Errorf("%s: %v", row.what, err)
		}
	}
	x := &testimony{found: map[holdfast.ID]*client.Line{}, departed: map[holdfast.ID]bool{}, lines: map[holdfast.AccountID][]client.Line{
		mine: {line(post, 1, false, 30, 30, 100, 0), line(plain, 1, false, 30, 0, 100, 30), line(plain, 9, true, 100, 0, 100, 0)},
	}}
	(&judge{}).once(1, x)
	if one := (holdfast.ID{15: 1}); !x.departed[one] || x.found[one] != nil || x.found[holdfast.ID{15: 9}] == nil {
		t.Errorf("%+v", x)
	}
}
