package drill

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// bankScene is a few withdrawals, and what an honest bank has booked of them: the fourth goes to an account that comes to nothing.
func bankScene() (list []*withdrawal, book []bankEntry) {
	p := &patron{account: "62170000000000000001"}
	for i := range 6 {
		w := &withdrawal{number: fmt.Sprint("w-", i), of: p, account: p.account, amount: 100, asked: noon, told: toldDone}
		v := client.Payout{Number: w.number, Amount: 100, Status: "sent"}
		w.hear(noon, v)
		v.Status, v.Bank = paidOut, fmt.Sprint("TB", i)
		if i == 3 {
			w.hopeless, v.Status, v.Bank = true, givenBack, ""
		} else {
			book = append(book, bankEntry{EndToEnd: fmt.Sprint("HF", i), Ref: v.Bank, Amount: -100, Other: w.account, Text: "withdrawal " + w.number})
		}
		w.hear(noon, v)
		list = append(list, w)
	}
	return list, append(book, bankEntry{Ref: "TB9", Amount: 500, Text: "top-up HF 1"})
}

func TestWithdrawalsAreHeldAgainstTheBanksBook(t *testing.T) {
	for _, row := range []struct {
		name  string
		plant func(list []*withdrawal, book *[]bankEntry)
		want  string // "": nothing is wrong
	}{
		{"honest", func([]*withdrawal, *[]bankEntry) {}, ""},
		{"paid twice, under another id", func(_ []*withdrawal, book *[]bankEntry) {
			again := (*book)[1]
			again.EndToEnd, again.Ref = "HF1-2", "TB77"
			*book = append(*book, again)
		}, "w-1: the bank has paid 100 fen twice"},
		{"never paid", func(_ []*withdrawal, book *[]bankEntry) { *book = slices.Delete(*book, 2, 3) }, "w-2: 100 fen are paid, says the ledger"},
		{"another amount", func(_ []*withdrawal, book *[]bankEntry) { (*book)[0].Amount-- }, "the bank has paid 101"},
		{"somebody else", func(_ []*withdrawal, book *[]bankEntry) { (*book)[0].Other = "1" }, "the bank has paid 1"},
		{"another payment", func(_ []*withdrawal, book *[]bankEntry) { (*book)[0].Ref = "TB78" }, `the ledger knows it as "TB0"`},
		{"nobody ordered it", func(_ []*withdrawal, book *[]bankEntry) {
			*book = append(*book, bankEntry{Amount: -7, Text: "withdrawal w-99"})
		}, "nobody has ordered that"},
		{"given back and paid", func(list []*withdrawal, _ *[]bankEntry) { list[1].stands.Status, list[1].recalled = givenBack, true }, ""},
		{"told that it is back, and then paid", func(list []*withdrawal, _ *[]bankEntry) { list[1].words[0].status = givenBack }, "told that the money is back"},
		{"given back without a reason", func(list []*withdrawal, book *[]bankEntry) {
			list[1].stands.Status = givenBack
			*book = slices.Delete(*book, 1, 2)
		}, "though nothing stood against paying it"},
		{"refused and paid", func(list []*withdrawal, _ *[]bankEntry) { list[4].told = toldRefused }, "the order was refused"},
		{"still open", func(list []*withdrawal, _ *[]bankEntry) { list[4].stands.Status = "sent" }, `still "sent"`},
		{"an order of another amount", func(list []*withdrawal, _ *[]bankEntry) { list[4].stands.Amount = 99 }, "the order is of 99"},
	} {
		list, book := bankScene()
		row.plant(list, &book)
		if row.name == "given back and paid" { // as the ledger has it in the end
			list[1].hear(noon, list[1].stands)
			row.want = "told that the money is back"
		}
		found := judgeWithdrawals(list, book)
		if said := strings.Join(found.findings(), "\n"); (found.wrong() == 0) != (row.want == "") || !strings.Contains(said, row.want) {
			t.Errorf("%s: %d wrong: %s", row.name, found.wrong(), said)
		}
		if row.name == "honest" && (found.paid != 5 || found.back != 1 || found.sum != 500) {
			t.Errorf("%d paid, %d back, %d fen", found.paid, found.back, found.sum)
		}
	}
}

// TestEstimatesAreHeldAgainstWhatHappened: the bank is down for 20 s, heard again after one more, and pays one order a second.
func TestEstimatesAreHeldAgainstWhatHappened(t *testing.T) {
	down := outage{noon, noon.Add(20 * time.Second)}
	scene := func() (list []*withdrawal) {
		for i := range 5 {
			w := &withdrawal{number: fmt.Sprint("w-", i), asked: noon.Add(time.Duration(i) * time.Second), told: toldDone}
			for _, at := range []time.Duration{6, 15, 19} {
				soonest, likely := int64(i+1), int64(i+1)+int64(at)
				w.words = append(w.words, word{noon.Add(at * time.Second), "waiting", &client.Estimate{
					Ahead: i, Down: true, DownSince: noon, Soonest: &soonest, Likely: &likely,
				}})
			}
			w.stands = client.Payout{Status: paidOut, Since: down.until.Add(time.Duration(1+i) * time.Second)}
			list = append(list, w)
		}
		return list
	}
	r := judgeEstimates(scene(), []outage{down}, nil)
	if len(r.broken) > 0 || r.queued != 5 || r.told != 15 || r.timed != 15 || r.likely != 10 || r.recovery != time.Second || r.last != 5*time.Second || r.took != 4*time.Second {
		t.Errorf("%+v", r)
	}
	for name, row := range map[string]struct {
		plant func(w *withdrawal)
		want  string
	}{
		"nothing told":          {func(w *withdrawal) { w.words[1].estimate = nil }, "nothing was told"},
		"a bank that answers":   {func(w *withdrawal) { w.words[1].estimate.Down = false }, "it was told that the bank answers"},
		"fewer before it":       {func(w *withdrawal) { w.words[2].estimate.Ahead = 1 }, "1 orders were told to come before it, and 4 did"},
		"too soon":              {func(w *withdrawal) { *w.words[0].estimate.Soonest = 1 }, "1s at the soonest was told, and it took 4.0 s"},
		"sooner than is likely": {func(w *withdrawal) { *w.words[2].estimate.Likely = 3 }, "3s was told as likely, and it took 6.0 s"},
	} {
		list := scene()
		row.plant(list[4])
		if r := judgeEstimates(list, []outage{down}, nil); len(r.broken) != 1 || !strings.Contains(r.broken[0], row.want) {
			t.Errorf("%s: %q", name, r.broken)
		}
	}
	blind := scene()
	blind[4].words[1].estimate = nil
	if r := judgeEstimates(blind, []outage{down}, []time.Time{noon.Add(13 * time.Second)}); len(r.broken) > 0 || r.told != 10 {
		t.Errorf("just after another site has taken over: %+v", r)
	}
	early := scene()
	*early[4].words[0].estimate.Likely = 3 // the outage lasted twice as long from then on: nobody could know
	if r := judgeEstimates(early, []outage{down}, nil); len(r.broken) > 0 {
		t.Error(r.broken)
	}
}

func TestDifferencesAreThoseThatWerePlanted(t *testing.T) {
	days := []string{"2026-11-27", "2026-11-28", "2026-11-29"}
	book := map[string][]bankEntry{
		days[0]: {
			{EndToEnd: "HF1", Ref: "TB1", Amount: -100, Stated: amounts(-100)},
			{EndToEnd: "HF2", Ref: "TB2", Amount: -100, Stated: amounts(-99)},
			{EndToEnd: "HF3", Ref: "TB3", Amount: -100},
			{EndToEnd: "HF4", Ref: "TB4", Amount: -100, Stated: amounts(-100, -100)},
			{EndToEnd: "HF5", Ref: "TB5", Amount: -100, Stated: amounts(-99, -99)},
			{Ref: "TB6", Amount: 500, Stated: amounts(500)},
		},
		days[1]: {{EndToEnd: "X1", Ref: "XX1", Stated: amounts(-100)}},
		days[2]: {},
	}
	want := lies(days, book)
	said := fmt.Sprint(want)
	for _, p := range []planted{
		{"HF2", caseOtherAmount},
		{"HF3", caseNotAtBank},
		{"HF4", caseTwice},
		{"HF5", caseOtherAmount},
		{"HF5", caseTwice},
		{"ref:XX1", caseNotInLedger},
		{"statement:" + days[1], caseGap},
		{"statement:" + days[2], caseGap},
	} {
		if !slices.Contains(want, p) {
			t.Errorf("%v is not among %s", p, said)
		}
	}
	if len(want) != 8 || kindsOf(want[:3]) == "" {
		t.Errorf("%d: %s", len(want), said)
	}
	var found []client.Case
	for _, p := range want {
		for kind, name := range caseKinds {
			if name == p.kind {
				found = append(found, client.Case{Key: p.key, Kind: kind})
			}
		}
	}
	if missing, unasked := judgeCases(want, found); len(missing)+len(unasked) > 0 {
		t.Errorf("missing %q, unasked %q", missing, unasked)
	}
	if missing, _ := judgeCases(want, found[1:]); len(missing) != 1 {
		t.Errorf("one is missing: %q", missing)
	}
	if _, unasked := judgeCases(want, append(found, client.Case{Key: "HF9", Kind: 7})); len(unasked) != 1 || !strings.Contains(unasked[0], "kind 7") {
		t.Errorf("one is no difference: %q", unasked)
	}
}

func amounts(list ...holdfast.Amount) []holdfast.Amount { return list }
