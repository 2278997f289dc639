package transit

import (
	"testing"

	"holdfast"
)

func done(index uint64) holdfast.Outcome {
	return holdfast.Outcome{Status: holdfast.Done, Leg: holdfast.NoLeg, Time: holdfast.Time(index * 10), Position: holdfast.Position{Index: index}}
}

func refused(code holdfast.Code, leg holdfast.Leg, field string) holdfast.Outcome {
	o := done(8)
	o.Status, o.Code, o.Leg, o.Field = holdfast.Refused, code, leg, field
	return o
}

func not(status holdfast.Status, code holdfast.Code) holdfast.Outcome {
	return holdfast.Outcome{Status: status, Code: code, Leg: holdfast.NoLeg}
}

// TestOneAnswerOfTwo: a row for each pair of answers, as status, code, leg and field for the caller.
func TestOneAnswerOfTwo(t *testing.T) {
	held := func(holdfast.ID) (Held, bool) {
		return Held{Home: 1, Away: 2, Debit: account("1a"), Payee: account("2b"), Amount: 10}, true
	}
	const whole = holdfast.NoLeg
	unknown := not(holdfast.Unknown, holdfast.CodeUnknown)
	for _, c := range []struct {
		what         string
		text         string
		depart, land holdfast.Outcome
		want         holdfast.Outcome
	}{
		{"done", "1a>2b 5", done(3), done(9), done(3)},
		{"nothing of the land", "1a>2b 5", done(3), holdfast.Outcome{}, unknown},
		{"land unknown", "1a>2b 5", done(3), unknown, unknown},
		{"land not executed", "1a>2b 5", done(3), not(holdfast.NotExecuted, holdfast.CodeOverloaded), unknown},
		{"land malformed", "1a>2b 5", done(3), not(holdfast.NotExecuted, holdfast.CodeAmountInvalid), unknown},
		{"depart unknown", "1a>2b 5", unknown, holdfast.Outcome{}, unknown},
		{"depart not executed", "1a>2b 5", not(holdfast.NotExecuted, holdfast.CodeNoLeader), holdfast.Outcome{}, not(holdfast.NotExecuted, holdfast.CodeNoLeader)},
		{"no money", "1a>2b 5", refused(holdfast.CodeExceedsCredits, 0, ""), holdfast.Outcome{}, refused(holdfast.CodeExceedsCredits, 0, "")},
		{"no money for the second", "2b>2c 1; 1a>1c 2; 1a>2b 5", refused(holdfast.CodeExceedsCredits, 1, ""), holdfast.Outcome{}, refused(holdfast.CodeExceedsCredits, 2, "")},
		{"no money for a post", "1a>1c 2; post 9; 1a>2c 1", refused(holdfast.CodeExceedsCredits, 3, ""), holdfast.Outcome{}, refused(holdfast.CodeExceedsCredits, 2, "")},
		{"the hold of a post is gone", "1a>1c 2; post 9", refused(holdfast.CodeHoldExpired, 1, ""), holdfast.Outcome{}, refused(holdfast.CodeHoldExpired, 1, "")},
		{"payee missing", "1a>2b 5", done(3), refused(holdfast.CodeCreditMissing, 0, ""), refused(holdfast.CodeCreditMissing, 0, "")},
		{"second payee missing", "1a>1c 1; 1a>2b 5; 2b>2c 2", done(3), refused(holdfast.CodeCreditMissing, 1, ""), refused(holdfast.CodeCreditMissing, 2, "")},
		{"the id is another's away", "1a>2b 5", done(3), refused(holdfast.CodeIDTaken, whole, "transfers"), refused(holdfast.CodeIDTaken, whole, "id")},
		{"a leg's id is another's away", "1a>1c 1; 1a>2b 5", done(3), refused(holdfast.CodeTransferIDTaken, 0, ""), refused(holdfast.CodeTransferIDTaken, 1, "")},
		{"another amount", "1a>1c 1; 1a>2b 5", refused(holdfast.CodeIDTaken, whole, "transfers[1].amount"), holdfast.Outcome{}, refused(holdfast.CodeIDTaken, whole, "transfers[1].amount")},
		{"another amount of a post", "1a>1c 1; post 9", refused(holdfast.CodeIDTaken, whole, "transfers[2].amount"), holdfast.Outcome{}, refused(holdfast.CodeIDTaken, whole, "transfers[1].amount")},
		{"another payee", "1a>2b 5", refused(holdfast.CodeIDTaken, whole, "messages[0].body"), holdfast.Outcome{}, refused(holdfast.CodeIDTaken, whole, "transfers[0].credit")},
		{"another payee of a hold", "hold 1a>2b 5", refused(holdfast.CodeIDTaken, whole, "records[0].body"), holdfast.Outcome{}, refused(holdfast.CodeIDTaken, whole, "transfers[0].credit")},
		{"another payee of two", "1a>2b 5; 1a>2c 5", refused(holdfast.CodeIDTaken, whole, "messages[0].body"), holdfast.Outcome{}, refused(holdfast.CodeIDTaken, whole, "transfers")},
		{"a hold", "hold 1a>2b 5", done(3), holdfast.Outcome{}, done(3)},
		{"at home", "1a>1b 5", refused(holdfast.CodeIDTaken, whole, "records[0].body"), holdfast.Outcome{}, refused(holdfast.CodeIDTaken, whole, "records[0].body")},
	} {
		p, code, field := Make(txn(1, c.text), shardOf, one(held))
		if code != holdfast.CodeOK {
			t.Fatalf("%s: %s %s", c.what, code, field)
		}
		c.want.ID = id(1)
		if c.land.Status == holdfast.Done || c.land.Status == holdfast.Refused {
			c.want.Time, c.want.Position = c.land.Time, c.depart.Position
		}
		c.depart.ID, c.land.ID = id(1), p.LandID()
		if got := p.Outcome(c.depart, c.land); got != c.want {
			t.Errorf("%s: %+v\nwant %+v", c.what, got, c.want)
		}
		c.depart.Replay = c.depart.Status == holdfast.Done
		if got := p.Outcome(c.depart, c.land); got.Replay != (c.depart.Replay && got.Status != holdfast.Unknown) {
			t.Errorf("%s, asked again: %+v", c.what, got)
		}
	}
}

// TestOnlyDoneAndRefusedDecide goes through every status and code.
func TestOnlyDoneAndRefusedDecide(t *testing.T) {
	for status := holdfast.Unknown; status <= holdfast.NotExecuted; status++ {
		for _, code := range holdfast.Codes() {
			o := not(status, code)
			want := map[holdfast.Status]Fate{holdfast.Done: Landed, holdfast.Refused: Refused}[status]
			if got := FateOf(&o); got != want {
				t.Errorf("%s (%s) is taken for %d", status, code, got)
			}
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("an open fate was settled")
		}
	}()
	p, _, _ := Make(txn(1, "1a>2b 5"), shardOf, noHold)
	p.Settle(Open, 1)
}
