package check_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"holdfast"
	"holdfast/check"
)

func id(n byte) holdfast.ID { return holdfast.ID{15: n} }

func account(n uint32) holdfast.AccountID {
	owner, err := holdfast.NewOwner(n, 7)
	if err != nil {
		panic(err)
	}
	a, err := holdfast.ParseAccountID(owner.String() + ".wallet.CNY")
	if err != nil {
		panic(err)
	}
	return a
}

func pay(n byte, from, to uint32, amount holdfast.Amount) *holdfast.Txn {
	return &holdfast.Txn{ID: id(n), Transfers: []holdfast.Transfer{
		{Kind: holdfast.Immediate, Debit: account(from), Credit: account(to), Amount: amount},
	}}
}

func done(n byte, index uint64) holdfast.Outcome {
	return holdfast.Outcome{ID: id(n), Status: holdfast.Done, Position: holdfast.Position{Index: index}, Time: holdfast.Time(index)}
}

func refused(n byte, index uint64, code holdfast.Code) holdfast.Outcome {
	o := done(n, index)
	o.Status, o.Code = holdfast.Refused, code
	return o
}

func replayed(o holdfast.Outcome) holdfast.Outcome {
	o.Replay = true
	return o
}

func ack(t *holdfast.Txn, o holdfast.Outcome) check.Ack {
	return check.Ack{ID: t.ID, Txn: t, Outcome: o}
}

var (
	unknown     = holdfast.Outcome{Status: holdfast.Unknown, Code: holdfast.CodeUnknown}
	notExecuted = holdfast.Outcome{Status: holdfast.NotExecuted, Code: holdfast.CodeNoLeader}
)

func TestReconcile(t *testing.T) {
	p := pay(1, 1, 2, 100)
	other := pay(1, 1, 2, 101)
	for _, row := range []struct {
		name  string
		acks  []check.Ack
		found *check.Found
		want  string // "" is good, else the kind of finding
	}{
		{"acknowledged and there", []check.Ack{ack(p, done(1, 5))}, &check.Found{p, done(1, 5)}, ""},
		{"acknowledged twice, as a replay", []check.Ack{ack(p, done(1, 5)), ack(p, replayed(done(1, 5)))}, &check.Found{p, done(1, 5)}, ""},
		{"acknowledged and gone", []check.Ack{ack(p, done(1, 5))}, nil, "lost"},
		{"acknowledged and refused", []check.Ack{ack(p, done(1, 5))}, &check.Found{nil, refused(1, 5, holdfast.CodeExceedsCredits)}, "lost"},
		{"found at another place", []check.Ack{ack(p, done(1, 5))}, &check.Found{p, done(1, 6)}, "duplicated"},
		{"two places", []check.Ack{ack(p, done(1, 5)), ack(p, replayed(done(1, 6)))}, &check.Found{p, done(1, 5)}, "duplicated"},
		{"new twice", []check.Ack{ack(p, done(1, 5)), ack(p, done(1, 5))}, &check.Found{p, done(1, 5)}, "duplicated"},
		{"done and refused", []check.Ack{ack(p, done(1, 5)), ack(p, refused(1, 5, holdfast.CodeDebitFrozen))}, &check.Found{p, done(1, 5)}, "duplicated"},
		{"another amount", []check.Ack{ack(p, done(1, 5))}, &check.Found{other, done(1, 5)}, "altered"},
		{"another time", []check.Ack{ack(p, done(1, 5))}, &check.Found{p, holdfast.Outcome{Status: holdfast.Done, Position: holdfast.Position{Index: 5}, Time: 9}}, "altered"},
		{"refused and remembered", []check.Ack{ack(p, refused(1, 5, holdfast.CodeDebitFrozen))}, &check.Found{nil, refused(1, 5, holdfast.CodeDebitFrozen)}, ""},
		{"refused and forgotten", []check.Ack{ack(p, refused(1, 5, holdfast.CodeDebitFrozen))}, nil, "lost"},
		{"refused and done", []check.Ack{ack(p, refused(1, 5, holdfast.CodeDebitFrozen))}, &check.Found{p, done(1, 5)}, "phantom"},
		{"refused otherwise", []check.Ack{ack(p, refused(1, 5, holdfast.CodeDebitFrozen))}, &check.Found{nil, refused(1, 5, holdfast.CodeDebitClosed)}, "altered"},
		{"unknown, absent", []check.Ack{ack(p, unknown)}, nil, ""},
		{"unknown, done", []check.Ack{ack(p, unknown)}, &check.Found{p, done(1, 5)}, ""},
		{"unknown, done otherwise", []check.Ack{ack(p, unknown)}, &check.Found{other, done(1, 5)}, "altered"},
		{"not executed, absent", []check.Ack{ack(p, notExecuted)}, nil, ""},
		{"not executed, done", []check.Ack{ack(p, notExecuted)}, &check.Found{p, done(1, 5)}, "phantom"},
		{"a leg's id was taken", []check.Ack{ack(p, refused(1, 5, holdfast.CodeTransferIDTaken))}, nil, ""},
		{"a leg's id was taken, and yet done", []check.Ack{ack(p, refused(1, 5, holdfast.CodeTransferIDTaken))}, &check.Found{p, done(1, 5)}, "phantom"},
		{"the id was taken by another content", []check.Ack{ack(p, done(1, 5)), ack(other, refused(1, 5, holdfast.CodeIDTaken))}, &check.Found{p, done(1, 5)}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, err := check.Reconcile(row.acks, func(holdfast.ID) (check.Found, bool, error) {
				if row.found == nil {
					return check.Found{}, false, nil
				}
				return *row.found, true, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]int{"lost": len(r.Lost), "duplicated": len(r.Duplicated), "altered": len(r.Altered), "phantom": len(r.Phantom)}
			for kind, n := range got {
				if (n > 0) != (kind == row.want) {
					t.Errorf("%d %s, want %q:\n%s", n, kind, row.want, &r)
				}
			}
			if r.OK() != (row.want == "") || r.Attempted != 1 {
				t.Errorf("report: %s", &r)
			}
		})
	}
}

func TestReconcileDoesNotTakeSilenceForAnAnswer(t *testing.T) {
	broken := errors.New("no site answers")
	_, err := check.Reconcile([]check.Ack{ack(pay(1, 1, 2, 3), done(1, 1))}, func(holdfast.ID) (check.Found, bool, error) {
		return check.Found{}, false, broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("error %v, want %v", err, broken)
	}
}

func TestDifferenceNamesTheField(t *testing.T) {
	a, b := pay(1, 1, 2, 100), pay(1, 1, 2, 100)
	b.Records = []holdfast.RecordChange{}
	if d := check.Difference(a, b); d != "" {
		t.Errorf("nil and empty differ: %s", d)
	}
	b.Transfers[0].Ref[3] = 9
	if d := check.Difference(a, b); !strings.HasPrefix(d, "Transfers[0].Ref") {
		t.Errorf("difference %q does not name Transfers[0].Ref", d)
	}
}

func wallet(n uint32, debits, pendingDebits, credits, pendingCredits holdfast.Amount) holdfast.Account {
	return holdfast.Account{
		ID: account(n), Limit: holdfast.LimitDebits, DebitsPosted: debits, CreditsPosted: credits,
		DebitsPending: pendingDebits, CreditsPending: pendingCredits,
	}
}

func TestBooks(t *testing.T) {
	bank := holdfast.Account{ID: account(9), DebitsPosted: 100, DebitsPending: 0, CreditsPending: 30}
	good := []holdfast.Account{bank, wallet(1, 0, 30, 100, 0)}
	if f := check.Books(slices.Values(good)); len(f) > 0 {
		t.Errorf("balanced books: %v", f)
	}
	for name, bad := range map[string][]holdfast.Account{
		"posted":         {bank, wallet(1, 0, 30, 99, 0)},
		"pending":        {bank, wallet(1, 0, 29, 100, 0)},
		"wraps around":   {wallet(1, 1<<62, 0, 0, 0), wallet(2, 1<<62, 0, 0, 0), wallet(3, 1<<62, 0, 0, 0), wallet(4, 1<<62, 0, 0, 0)},
		"one unit above": {wallet(1, 1<<32, 0, 1<<32+1, 0)},
	} {
		if f := check.Books(slices.Values(bad)); len(f) == 0 {
			t.Errorf("%s: unbalanced books pass", name)
		}
	}
}

func TestLimits(t *testing.T) {
	loan := holdfast.Account{ID: account(3), Limit: holdfast.LimitCredits, DebitsPosted: 10, CreditsPosted: 5, CreditsPending: 5}
	if f := check.Limits(slices.Values([]holdfast.Account{wallet(1, 40, 60, 100, 0), loan})); len(f) > 0 {
		t.Errorf("within limits: %v", f)
	}
	loan.CreditsPending = 6
	for _, bad := range []holdfast.Account{wallet(1, 40, 61, 100, 0), loan, wallet(2, -1, 0, 0, 0)} {
		if f := check.Limits(slices.Values([]holdfast.Account{bad})); len(f) != 1 {
			t.Errorf("%+v passes", bad)
		}
	}
}

func TestAgree(t *testing.T) {
	same := []check.Digest{{1, 1, 10, 7}, {2, 1, 10, 7}, {3, 1, 9, 6}, {1, 2, 10, 8}}
	if f := check.Agree(same); len(f) > 0 {
		t.Errorf("same digests: %v", f)
	}
	if f := check.Agree(append(same, check.Digest{3, 1, 10, 9})); len(f) != 1 {
		t.Errorf("a replica with another digest passes")
	}
}

func TestBalances(t *testing.T) {
	hold := &holdfast.Txn{ID: id(2), Transfers: []holdfast.Transfer{
		{ID: id(3), Kind: holdfast.Hold, Debit: account(1), Credit: account(2), Amount: 50},
	}}
	post := &holdfast.Txn{ID: id(4), Transfers: []holdfast.Transfer{{Kind: holdfast.Post, Hold: id(3), Amount: 20}}}
	all := []check.Found{{post, done(4, 3)}, {pay(1, 1, 2, 100), done(1, 1)}, {hold, done(2, 2)}}
	start := []holdfast.Account{wallet(1, 0, 0, 1000, 0)}
	now := map[holdfast.AccountID]holdfast.Account{account(1): wallet(1, 120, 0, 1000, 0), account(2): wallet(2, 0, 0, 120, 0)}
	run := func() []check.Finding {
		f, err := check.Balances(start, all, nil, nil, func(id holdfast.AccountID) (holdfast.Account, bool, error) {
			a, ok := now[id]
			return a, ok, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if f := run(); len(f) > 0 {
		t.Fatalf("exact balances: %v", f)
	}
	now[account(1)] = wallet(1, 220, 0, 1000, 0)
	if f := run(); len(f) != 1 {
		t.Errorf("a payment applied twice passes: %v", f)
	}
	delete(now, account(2))
	if f := run(); len(f) != 2 {
		t.Errorf("a vanished account passes: %v", f)
	}
	all = append(all, check.Found{Txn: &holdfast.Txn{ID: id(5), Transfers: []holdfast.Transfer{{Kind: holdfast.Void, Hold: id(3)}}}})
	if f := run(); len(f) != 3 {
		t.Errorf("a hold that ended twice passes: %v", f)
	}
}
