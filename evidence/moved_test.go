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
