package bank

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"holdfast"
)

var (
	cny  = holdfast.MustAsset("CNY")
	here = Account{"6222020000000000026"}
	day1 = holdfast.Time(86400e9 * 20000)
)

const oneDay = holdfast.Time(86400e9)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// list is a list of work kept in memory.
type list struct {
	cases   map[string]Case
	matched []string
}

func newList() *list { return &list{cases: map[string]Case{}} }

func (l *list) Case(c Case) error {
	l.cases[c.ID] = c
	return nil
}

func (l *list) Match(ours, _ Item) error {
	l.matched = append(l.matched, ours.ID)
	return nil
}

func (l *list) all() []Case {
	var all []Case
	for _, c := range l.cases {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Case) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Kind, b.Kind)) })
	return all
}

func values[T any](of []T) func(func(T, error) bool) {
	return func(yield func(T, error) bool) {
		for _, v := range of {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func (l *list) run(t testing.TB, r Round, ledger, bank []Item) Report {
	t.Helper()
	slices.SortFunc(ledger, CompareItems)
	slices.SortFunc(bank, CompareItems)
	report, err := Reconcile(r, values(ledger), values(bank), values(l.all()), l)
	must(t, err)
	return report
}

// shown is the list as text, a line a case.
func (l *list) shown() string {
	var b strings.Builder
	for _, c := range l.all() {
		fmt.Fprintf(&b, "%s %s %d %s", c.Key, c.Kind, c.Amount, c.Progress)
		if c.ByItself {
			b.WriteString(" by itself")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func entry(id string, amount holdfast.Amount) Item {
	return Item{ID: id, Amount: amount, Asset: cny, Day: day1, Other: here}
}

func with(i Item, change func(*Item)) Item {
	change(&i)
	return i
}

// TestDifferences has a row for each way in which the two sides can differ.
func TestDifferences(t *testing.T) {
	a := entry("A", -500)
	for _, c := range []struct {
		name         string
		ledger, bank []Item
		want         string
	}{
		{"nothing at all", nil, nil, ""},
		{"alike", []Item{a}, []Item{with(a, func(i *Item) { i.Ref = "R" })}, ""},
		{"the account is not told", []Item{a}, []Item{with(a, func(i *Item) { i.Other = Account{} })}, ""},
		{"not at the bank", []Item{a}, nil, "A not-at-bank 500 open\n"},
		{"not yet due", []Item{with(a, func(i *Item) { i.Day += oneDay })}, nil, ""},
		{"open, and not at the bank", []Item{with(a, func(i *Item) { i.Open = true })}, nil, ""},
		{"open, and booked", []Item{with(a, func(i *Item) { i.Open = true })}, []Item{a}, "A booked-though-open -500 open\n"},
		{"given back", []Item{with(a, func(i *Item) { i.Off = true })}, nil, ""},
		{"given back, and booked", []Item{with(a, func(i *Item) { i.Off = true })}, []Item{a}, "A booked-though-off -500 open\n"},
		{"not in the ledger", nil, []Item{a}, "A not-in-ledger -500 open\n"},
		{"without an id", nil, []Item{{Ref: "R7", Amount: 9, Asset: cny}}, "ref:R7 not-in-ledger 9 open\n"},
		{"another amount", []Item{a}, []Item{entry("A", -501)}, "A other-amount -1 open\n"},
		{"the other direction", []Item{a}, []Item{entry("A", 500)}, "A other-amount 1000 open\n"},
		{"another currency", []Item{a}, []Item{with(a, func(i *Item) { i.Asset = holdfast.MustAsset("EUR") })}, "A other-amount -500 open\n"},
		{"another account", []Item{a}, []Item{with(a, func(i *Item) { i.Other = Account{"999"} })}, "A other-account -500 open\n"},
		{"booked twice", []Item{a}, []Item{a, with(a, func(i *Item) { i.Ref = "X" })}, "A booked-twice -500 open\n"},
		{"paid and returned", []Item{a}, []Item{a, with(a, func(i *Item) { i.Ref, i.Amount = "X", 500 })}, "A returned 500 open\n"},
		{"unknown, twice", nil, []Item{a, a}, "A not-in-ledger -500 open\nA booked-twice -500 open\n"},
		{"twice in the ledger", []Item{a, a}, []Item{a}, "A ledger-twice 500 open\n"},
		{"others go on", []Item{a, entry("B", 1), entry("C", 2)}, []Item{entry("0", 1), entry("B", 1), entry("D", 4)}, "0 not-in-ledger 1 open\nA not-at-bank 500 open\nC not-at-bank -2 open\nD not-in-ledger 4 open\n"},
	} {
		l := newList()
		report := l.run(t, Round{Account: "main", Day: day1, Now: 1}, c.ledger, c.bank)
		if got := l.shown(); got != c.want {
			t.Errorf("%s: the list is\n%swant\n%s", c.name, got, c.want)
		}
		for _, c := range l.cases {
			if c.Kind.ToDo() == "" || len(c.ID) != 32 {
				t.Errorf("%+v does not say what to do, or has no id", c)
			}
		}
		if n := strings.Count(c.want, "\n"); report.Found != n || report.New != n {
			t.Errorf("%s: the report is %+v", c.name, report)
		}
		before := l.shown()
		if report := l.run(t, Round{Account: "main", Day: day1, Now: 2}, c.ledger, c.bank); report.New != 0 || l.shown() != before {
			t.Errorf("%s: the second time the list is\n%s%+v", c.name, l.shown(), report)
		}
	}
}

// TestCasesGoOn: what somebody has said stays while nothing else is to be seen, and not longer.
func TestCasesGoOn(t *testing.T) {
	a, l := entry("A", -500), newList()
	round := func(now holdfast.Time) Round { return Round{Account: "main", Day: day1, Now: now} }
	l.run(t, round(1), []Item{a}, nil)
	l.expect(t, "A not-at-bank 500 open\n")
	c := l.all()[0]
	c.Progress, c.Why = Explained, "the bank looks into it"
	l.cases[c.ID] = c
	l.run(t, round(2), []Item{a}, nil)
	l.expect(t, "A not-at-bank 500 explained\n")
	if c := l.all()[0]; c.Since != 1 || c.Why == "" {
		t.Errorf("the case is now %+v", c)
	}
	l.run(t, round(3), nil, nil) // a day about which neither side says anything
	l.expect(t, "A not-at-bank 500 explained\n")
	l.run(t, round(4), []Item{a}, []Item{a})
	l.expect(t, "A not-at-bank 500 closed by itself\n")
	if len(l.matched) != 1 {
		t.Errorf("matched: %v", l.matched)
	}
	l.run(t, round(5), []Item{a}, nil)
	l.expect(t, "A not-at-bank 500 open\n")
	c = l.all()[0]
	c.Progress, c.Why = Closed, "written off"
	l.cases[c.ID] = c
	l.run(t, round(6), []Item{a}, nil)
	l.expect(t, "A not-at-bank 500 closed\n")
	l.run(t, round(7), []Item{entry("A", -600)}, nil)
	l.expect(t, "A not-at-bank 600 open\n")
	if other := caseID("other", "A", NotAtBank); other == c.ID || caseID("main", "A", NotInLedger) == c.ID {
		t.Error("two cases have one id")
	}
}

// TestStatementsGoOn: each leads from its opening to its closing balance, and goes on from the one before.
func TestStatementsGoOn(t *testing.T) {
	l := newList()
	old := func(id string) (Case, bool, error) {
		c, ok := l.cases[id]
		return c, ok, nil
	}
	first := Statement{Sequence: 7, Opening: 100, Sum: -30, Closing: 70}
	check := func(s, before *Statement, want string) {
		t.Helper()
		must(t, CheckStatement(Round{Account: "main", Day: day1, Now: 5}, s, before, old, l))
		l.expect(t, want)
	}
	check(&first, nil, "")
	check(&Statement{Sequence: 8, Opening: 70, Sum: 5, Closing: 75}, &first, "")
	check(&Statement{Sequence: 8, Opening: 70, Sum: 5, Closing: 80}, &first, "statement:2024-10-04 balance-wrong 5 open\n")
	check(&Statement{Sequence: 8, Opening: 70, Sum: 5, Closing: 75}, &first, "statement:2024-10-04 balance-wrong 5 closed by itself\n")
	check(&Statement{Sequence: 9, Opening: 71, Sum: 4, Closing: 75}, &first, "statement:2024-10-04 balance-wrong 5 closed by itself\nstatement:2024-10-04 statement-missing 1 open\n")
	check(&Statement{Sequence: 9, Opening: 70, Sum: 5, Closing: 75}, &first, "statement:2024-10-04 balance-wrong 5 closed by itself\nstatement:2024-10-04 statement-missing 0 open\n")
	l.run(t, Round{Account: "main", Day: day1, Now: 6}, nil, nil) // items say nothing about statements
	check(&Statement{Opening: 70, Sum: 5, Closing: 75}, &first, "statement:2024-10-04 balance-wrong 5 closed by itself\nstatement:2024-10-04 statement-missing 0 closed by itself\n")
}

func (l *list) expect(t *testing.T, want string) {
	t.Helper()
	if got := l.shown(); got != want {
		t.Errorf("the list is\n%swant\n%s", got, want)
	}
}

func TestReconcileRefusesWhatIsNotSorted(t *testing.T) {
	ab, ba := []Item{entry("A", 1), entry("B", 1)}, []Item{entry("B", 1), entry("A", 1)}
	for _, c := range [][2][]Item{{ab, ba}, {ba, ab}} {
		if _, err := Reconcile(Round{}, values(c[0]), values(c[1]), values[Case](nil), newList()); err == nil || !strings.Contains(err.Error(), "not sorted") {
			t.Errorf("got %v", err)
		}
	}
	broken := func(yield func(Item, error) bool) { yield(Item{}, errors.New("torn")) }
	if _, err := Reconcile(Round{}, values(ab), broken, values[Case](nil), newList()); err == nil || !strings.Contains(err.Error(), "torn") {
		t.Errorf("got %v", err)
	}
}

// TestLargeBooks: a book with faults in known places, larger than what is kept in memory: exactly those are found.
func TestLargeBooks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	want := map[string]Difference{}
	var ledger, bank []Item
	for n := range 5000 {
		id := fmt.Sprintf("HF%08d", n*7919%100_000)
		a := entry(id, holdfast.Amount(-1-r.IntN(1000)))
		b := with(a, func(i *Item) { i.Ref = "R" + id })
		switch r.IntN(200) {
		case 0:
			want[id] = NotAtBank
			ledger = append(ledger, a)
			continue
		case 1:
			want[id] = NotInLedger
			bank = append(bank, b)
			continue
		case 2:
			want[id] = OtherAmount
			b.Amount--
		case 3:
			want[id] = BookedTwice
			bank = append(bank, with(b, func(i *Item) { i.Ref += "X" }))
		}
		ledger, bank = append(ledger, a), append(bank, b)
	}
	runs := 0
	place := func() (Run, error) { runs++; return &memory{}, nil }
	l := newList()
	report, err := Reconcile(Round{Day: day1}, SortItems(values(ledger), 100, place), SortItems(values(bank), 10, place), values[Case](nil), l)
	must(t, err)
	if len(l.cases) != len(want) || report.Found != len(want) || report.Matched+len(want) < 5000 {
		t.Errorf("%d cases for %d faults: %+v", len(l.cases), len(want), report)
	}
	for _, c := range l.cases {
		if want[c.Key] != c.Kind {
			t.Errorf("%s is %v, and it was made %v", c.Key, c.Kind, want[c.Key])
		}
	}
	if runs < 500 || open != 0 {
		t.Errorf("%d parts were made, %d are not closed", runs, open)
	}
}

var open int

// memory is a Run for tests.
type memory struct{ items []Item }

func (m *memory) Put(i Item) error {
	if len(m.items) == 0 {
		open++
	}
	m.items = append(m.items, i)
	return nil
}

func (m *memory) Items() Items { return values(m.items) }

func (m *memory) Close() error {
	open--
	return nil
}

func TestSortedItemsThatNobodyWants(t *testing.T) {
	for _, err := range SortItems(values([]Item{entry("B", 1), entry("A", 1), entry("C", 1)}), 1, func() (Run, error) { return &memory{}, nil }) {
		must(t, err)
		break
	}
	if open != 0 {
		t.Errorf("%d parts are not closed", open)
	}
	for _, err := range SortItems(values([]Item{entry("B", 1), entry("A", 1)}), 1, func() (Run, error) { return nil, errors.New("disk full") }) {
		if err == nil || err.Error() != "disk full" {
			t.Errorf("got %v", err)
		}
	}
}

func TestNothingPersonalIsShown(t *testing.T) {
	i := Instruction{ID: "HF1", Amount: 1, Asset: cny, From: here, To: here, Name: "李雷", Text: "secret"}
	if err := i.Check(); err != nil {
		t.Error(err)
	}
	for _, text := range []string{
		fmt.Sprint(&i), fmt.Sprintf("%v %+v %#v %s", &i, &i, &i, &i), fmt.Sprintf("%v %+v %#v", here, here, here), fmt.Sprintf("%+v", Order{Instruction: i}),
		fmt.Sprintf("%+v %v", Item{Other: here}, Task{Send: &i}),
	} {
		for _, secret := range []string{here.number, "李雷", "secret"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s is shown: %s", secret, text)
			}
		}
	}
	i.To = Account{"DE89370400440532013001"}
	if err := i.Check(); err == nil || strings.Contains(err.Error(), "DE89") {
		t.Errorf("got %v", err)
	}
	if _, err := ParseAccount("DE89370400440532013001"); err == nil {
		t.Error("a wrong IBAN was taken")
	}
}
