package check_test

import (
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/check"
)

func write(call, ret int64, t *holdfast.Txn, o holdfast.Outcome) check.Op {
	return check.Op{Client: int(t.ID[15]), Call: call, Return: ret, Txn: t, Outcome: o}
}

func read(call, ret int64, a holdfast.Account) check.Op {
	return check.Op{Client: 100, Call: call, Return: ret, Read: &check.Read{Account: a, Found: true}}
}

func expired(n, hold byte) *holdfast.Txn {
	return &holdfast.Txn{ID: id(n), Transfers: []holdfast.Transfer{{Kind: holdfast.Expire, Hold: id(hold)}}}
}

func found(call, ret int64, n byte) check.Op {
	return check.Op{Client: 101, Call: call, Return: ret, Read: &check.Read{Txn: id(n), Found: true}}
}

func missed(call, ret int64, n byte) check.Op {
	return check.Op{Client: 101, Call: call, Return: ret, Read: &check.Read{Txn: id(n)}}
}

// unplaced strips positions, so that only a search can find the order.
func unplaced(ops []check.Op) []check.Op {
	out := append([]check.Op(nil), ops...)
	for i := range out {
		out[i].Outcome.Position = holdfast.Position{}
	}
	return out
}

func TestLinearizable(t *testing.T) {
	start := []holdfast.Account{wallet(1, 0, 0, 100, 0), wallet(2, 0, 0, 0, 0)}
	hold := &holdfast.Txn{ID: id(3), Transfers: []holdfast.Transfer{{Kind: holdfast.Hold, Debit: account(1), Credit: account(2), Amount: 80}}}
	post := &holdfast.Txn{ID: id(4), Transfers: []holdfast.Transfer{{Kind: holdfast.Post, Hold: id(3)}}}
	for _, row := range []struct {
		name string
		good bool
		ops  []check.Op
	}{
		{"nothing", true, nil},
		{"a payment, then a read", true, []check.Op{
			write(1, 2, pay(1, 1, 2, 60), done(1, 1)), read(3, 4, wallet(1, 60, 0, 100, 0)),
		}},
		{"a read beside a payment may see either", true, []check.Op{
			write(1, 9, pay(1, 1, 2, 60), done(1, 1)), read(2, 3, wallet(1, 0, 0, 100, 0)), read(4, 5, wallet(1, 60, 0, 100, 0)),
		}},
		{"a read that goes back", false, []check.Op{
			write(1, 9, pay(1, 1, 2, 60), done(1, 1)), read(2, 3, wallet(1, 60, 0, 100, 0)), read(4, 5, wallet(1, 0, 0, 100, 0)),
		}},
		{"a stale read after the acknowledgement", false, []check.Op{
			write(1, 2, pay(1, 1, 2, 60), done(1, 1)), read(3, 4, wallet(1, 0, 0, 100, 0)),
		}},
		{"two accounts seen out of order", false, []check.Op{
			write(1, 20, pay(1, 1, 2, 60), done(1, 1)), read(2, 3, wallet(1, 60, 0, 100, 0)), read(4, 5, wallet(2, 0, 0, 0, 0)),
		}},
		{"spent twice", false, []check.Op{
			write(1, 2, pay(1, 1, 2, 60), done(1, 1)), write(1, 2, pay(2, 1, 2, 60), done(2, 2)),
		}},
		{"refused for want of money", true, []check.Op{
			write(1, 2, pay(1, 1, 2, 60), done(1, 1)), write(1, 2, pay(2, 1, 2, 60), refused(2, 2, holdfast.CodeExceedsCredits)),
		}},
		{"refused although there is enough", false, []check.Op{
			write(1, 2, pay(2, 1, 2, 60), refused(2, 1, holdfast.CodeExceedsCredits)),
		}},
		{"a refusal that the model cannot judge is believed", true, []check.Op{
			write(1, 2, pay(2, 1, 2, 60), refused(2, 1, holdfast.CodeDebitFrozen)), read(3, 4, wallet(1, 0, 0, 100, 0)),
		}},
		{"a refused payment that moved", false, []check.Op{
			write(1, 2, pay(2, 1, 2, 60), refused(2, 1, holdfast.CodeDebitFrozen)), read(3, 4, wallet(1, 60, 0, 100, 0)),
		}},
		{"unknown, and never happened", true, []check.Op{
			write(1, 2, pay(1, 1, 2, 60), unknown), read(3, 4, wallet(1, 0, 0, 100, 0)),
		}},
		{"unknown, and happened much later", true, []check.Op{
			write(1, 2, pay(1, 1, 2, 60), unknown), read(3, 4, wallet(1, 0, 0, 100, 0)), read(9, 10, wallet(1, 60, 0, 100, 0)),
		}},
		{"unknown, and happened twice", false, []check.Op{
			write(1, 2, pay(1, 1, 2, 30), unknown), read(9, 10, wallet(1, 60, 0, 100, 0)),
		}},
		{"unknown before it was sent", false, []check.Op{
			read(1, 2, wallet(1, 60, 0, 100, 0)), write(3, 4, pay(1, 1, 2, 60), unknown),
		}},
		{"a retry answers for the unknown attempt", true, []check.Op{
			write(1, 2, pay(1, 1, 2, 60), unknown), read(3, 4, wallet(1, 60, 0, 100, 0)), write(5, 6, pay(1, 1, 2, 60), replayed(done(1, 1))),
		}},
		{"a retry that pays again", false, []check.Op{
			write(1, 2, pay(1, 1, 2, 30), done(1, 1)), write(5, 6, pay(1, 1, 2, 30), done(1, 1)), read(7, 8, wallet(1, 60, 0, 100, 0)),
		}},
		{"done, and then refused", false, []check.Op{
			write(1, 2, pay(1, 1, 2, 30), done(1, 1)), write(5, 6, pay(1, 1, 2, 30), refused(1, 2, holdfast.CodeExceedsCredits)),
		}},
		{"not executed", true, []check.Op{
			write(1, 2, pay(1, 1, 2, 30), notExecuted), read(3, 4, wallet(1, 0, 0, 100, 0)),
		}},
		{"not executed, and yet done", false, []check.Op{
			write(1, 2, pay(1, 1, 2, 30), notExecuted), read(3, 4, wallet(1, 30, 0, 100, 0)),
		}},
		{"a hold counts in the limit", false, []check.Op{
			write(1, 2, hold, done(3, 1)), write(3, 4, pay(1, 1, 2, 30), done(1, 2)),
		}},
		{"hold, post, read", true, []check.Op{
			write(1, 2, hold, done(3, 1)), read(3, 4, wallet(1, 0, 80, 100, 0)), write(5, 6, post, done(4, 2)), read(7, 8, wallet(1, 80, 0, 100, 0)),
		}},
		{"posted after it expired", false, []check.Op{
			write(1, 2, hold, done(3, 1)), write(3, 4, expired(5, 3), done(5, 2)), write(5, 6, post, done(4, 3)),
		}},
		{"expired at some time", true, []check.Op{
			write(1, 2, hold, done(3, 1)), write(3, 4, expired(5, 3), unknown), read(7, 8, wallet(1, 0, 0, 100, 0)),
		}},
		{"refused for a taken id, at two places, for it is not remembered", true, []check.Op{
			write(1, 2, pay(1, 1, 2, 60), refused(1, 1, holdfast.CodeTransferIDTaken)),
			write(3, 4, pay(1, 1, 2, 60), refused(1, 2, holdfast.CodeTransferIDTaken)), read(5, 6, wallet(1, 0, 0, 100, 0)),
		}},
		{"looked up before, beside and after", true, []check.Op{
			missed(1, 2, 1), write(3, 9, pay(1, 1, 2, 60), done(1, 1)), missed(4, 5, 1), found(6, 7, 1), found(10, 11, 1),
		}},
		{"looked up after the acknowledgement, and not found: a stale leader", false, []check.Op{
			write(1, 2, pay(1, 1, 2, 60), done(1, 1)), missed(3, 4, 1),
		}},
		{"found before it was sent", false, []check.Op{
			found(1, 2, 1), write(3, 4, pay(1, 1, 2, 60), done(1, 1)),
		}},
		{"found, and then not", false, []check.Op{
			write(1, 9, pay(1, 1, 2, 60), done(1, 1)), found(2, 3, 1), missed(4, 5, 1),
		}},
		{"unknown, found, and then not", false, []check.Op{
			write(1, 2, pay(1, 1, 2, 60), unknown), found(3, 4, 1), missed(5, 6, 1),
		}},
		{"unknown, and found later", true, []check.Op{
			write(1, 2, pay(1, 1, 2, 60), unknown), missed(3, 4, 1), found(5, 6, 1), read(7, 8, wallet(1, 60, 0, 100, 0)),
		}},
		{"a balance that has the payment, and a look-up that has not", false, []check.Op{
			write(1, 20, pay(1, 1, 2, 60), done(1, 1)), read(2, 3, wallet(1, 60, 0, 100, 0)), missed(4, 5, 1),
		}},
		{"a look-up that has the payment, and a balance that has not", false, []check.Op{
			write(1, 20, pay(1, 1, 2, 60), done(1, 1)), found(2, 3, 1), read(4, 5, wallet(1, 0, 0, 100, 0)),
		}},
		{"refused, and not found as done", true, []check.Op{
			write(1, 2, pay(2, 1, 2, 600), refused(2, 1, holdfast.CodeExceedsCredits)), missed(3, 4, 2),
		}},
		{"refused, and found as done", false, []check.Op{
			write(1, 2, pay(2, 1, 2, 600), refused(2, 1, holdfast.CodeExceedsCredits)), found(3, 4, 2),
		}},
		{"nobody sent it, and it is not found", true, []check.Op{missed(1, 2, 7)}},
		{"nobody sent it, and it is found", false, []check.Op{found(1, 2, 7)}},
		{"no such account", true, []check.Op{
			{Call: 1, Return: 2, Read: &check.Read{Account: holdfast.Account{ID: account(3)}}},
		}},
		{"an account that vanished", false, []check.Op{
			{Call: 1, Return: 2, Read: &check.Read{Account: holdfast.Account{ID: account(1)}}},
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			for how, ops := range map[string][]check.Op{"with positions": row.ops, "without": unplaced(row.ops)} {
				h := check.History{Start: start, Ops: ops}
				v := h.Linearizable(time.Minute)
				if v.OK != row.good || v.Undecided || v.Explanation == "" {
					t.Errorf("%s: %+v, want ok %v", how, v, row.good)
				}
			}
		})
	}
}

func TestPositionsThatLieDoNotMakeAHistoryGood(t *testing.T) {
	start := []holdfast.Account{wallet(1, 0, 0, 100, 0)}
	h := check.History{Start: start, Ops: []check.Op{
		write(1, 2, pay(1, 1, 2, 60), done(1, 2)),
		write(3, 4, pay(2, 1, 2, 60), done(2, 1)),
	}}
	if v := h.Linearizable(time.Minute); v.OK {
		t.Errorf("both payments of 60 out of 100 pass: %s", v.Explanation)
	}
}

func TestExplanationNamesTheOperationsThatDisagree(t *testing.T) {
	h := check.History{Start: []holdfast.Account{wallet(1, 0, 0, 100, 0)}, Ops: []check.Op{
		write(1, 2, pay(1, 1, 2, 60), refused(1, 1, holdfast.CodeDebitFrozen)),
		read(3, 4, wallet(1, 60, 0, 100, 0)),
	}}
	v := h.Linearizable(time.Minute)
	if v.OK || !strings.Contains(v.Explanation, "reads "+account(1).String()) {
		t.Errorf("verdict %+v does not name the read", v)
	}
}

// TestManyOperationsAreDecidedByTheirPositions shows that the size of a drill's history is no obstacle: one merchant connects
// all accounts, many payments overlap, and Porcupine alone would not end.
func TestManyOperationsAreDecidedByTheirPositions(t *testing.T) {
	h := check.History{Start: []holdfast.Account{wallet(0, 0, 0, 0, 0)}}
	const n = 20_000
	for i := range uint32(n) {
		txn := &holdfast.Txn{ID: holdfast.IDOf(1, uint64(i)+1), Transfers: []holdfast.Transfer{
			{Kind: holdfast.Immediate, Debit: account(1 + i%50), Credit: account(0), Amount: 1},
		}}
		at := int64(i) * 10
		o := holdfast.Outcome{Status: holdfast.Done, Position: holdfast.Position{Index: uint64(i) + 1}}
		h.Ops = append(h.Ops, check.Op{Call: at - 500, Return: at + 500, Txn: txn, Outcome: o})
		if i%10 == 0 {
			h.Ops = append(h.Ops, read(at, at+5, wallet(0, 0, 0, holdfast.Amount(i), 0)))
		}
	}
	for i := range uint32(50) {
		h.Start = append(h.Start, wallet(1+i, 0, 0, n, 0))
	}
	if v := h.Linearizable(time.Minute); !v.OK {
		t.Fatalf("%+v", v)
	}
	h.Ops[1].Read.Account.CreditsPosted = 200
	if v := h.Linearizable(time.Second); v.OK {
		t.Fatal("a read of the future passes")
	}
}
