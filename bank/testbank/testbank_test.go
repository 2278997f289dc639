package testbank

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/bank/files"
	"holdfast/bank/iso20022"
)

const (
	ours   = "6222020000000000018"
	theirs = "DE89370400440532013000"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// town is a bank with a clock that the test moves.
type town struct {
	t   testing.TB
	dir string
	now time.Time
	*Bank
}

func newTown(t testing.TB) *town {
	w := &town{t: t, dir: t.TempDir(), now: time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)}
	w.open()
	must(t, w.OpenAccount(Account{Number: ours, Currency: "CNY", Balance: 10_000}))
	t.Cleanup(func() { w.Close() })
	return w
}

func (w *town) open() {
	w.t.Helper()
	b, err := Open(Options{Dir: w.dir, Clock: func() time.Time { return w.now }, Zone: time.FixedZone("CST", 8*3600), Late: time.Minute})
	must(w.t, err)
	w.Bank = b
}

// reopen is what a restart does.
func (w *town) reopen() {
	w.t.Helper()
	must(w.t, w.Close())
	w.open()
}

func (w *town) message(id string, amount holdfast.Amount, to string) *iso20022.Initiation {
	doc, err := iso20022.NewInitiation("M-"+id, "Holdfast", "", w.now, iso20022.Order{
		EndToEnd: id, Amount: amount, Asset: holdfast.MustAsset("CNY"), Debtor: ours, Creditor: to, Name: "x",
	})
	must(w.t, err)
	return doc
}

// pay sends one order and tells what it is answered: the status, and the reason if there is one.
func (w *town) pay(id string, amount holdfast.Amount, to string) string {
	w.t.Helper()
	report, err := w.receive(w.message(id, amount, to))
	must(w.t, err)
	return shown(report)
}

func shown(report *iso20022.StatusReport) string {
	t := &report.Body.Transactions[0]
	return strings.TrimSpace(t.Status + " " + t.ReasonCode())
}

func (w *town) asked(id string) string {
	w.t.Helper()
	report, _, err := w.ask(id)
	must(w.t, err)
	return shown(report)
}

func (w *town) is(what, got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// TestAnswersSurviveRestarts: each kind of payment, before and after the bank is opened again from its journal.
func TestAnswersSurviveRestarts(t *testing.T) {
	w := newTown(t)
	must(t, w.SetFaults(Faults{
		SettleMS: 5000, Reject: map[string]string{"REJECTED": "AC04"}, Bounce: map[string]string{"BOUNCED": "AC06"}, Late: map[string]int64{"LATE": 3600_000},
	}))
	w.is("good", w.pay("GOOD", 100, theirs), "ACSP")
	w.is("rejected", w.pay("NO", 100, "REJECTED"), "RJCT AC04")
	w.is("bounced", w.pay("BACK", 100, "BOUNCED"), "ACSP")
	w.is("late", w.pay("SLOW", 100, "LATE"), "ACSP")
	w.is("too much", w.pay("MUCH", 9_701, theirs), "RJCT AM04")
	w.is("all that is left", w.pay("REST", 9_700, theirs), "ACSP")
	must(t, w.Credit(TopUp{Key: "k", Account: ours, Amount: 5, Text: "from outside"}))
	for range 3 {
		w.is("the same", w.pay("GOOD", 100, theirs), w.asked("GOOD"))
		w.is("the same id, another payment", w.pay("GOOD", 101, theirs), "OTHR")
		w.is("rejected for ever", w.pay("NO", 100, "REJECTED"), "RJCT AC04")
		w.is("never heard of", w.asked("NOBODY"), "NHRD")
		must(t, w.Credit(TopUp{Key: "k", Account: ours, Amount: 5}))
		w.reopen()
		w.now = w.now.Add(3 * time.Second)
	}
	w.is("settled", w.asked("GOOD"), "ACSC")
	w.is("bounced", w.asked("BACK"), "RJCT AC06")
	w.is("late", w.asked("SLOW"), "ACSP")
	must(t, w.Release())
	w.reopen()
	w.is("released", w.asked("SLOW"), "ACSC")
	s, err := w.State()
	must(t, err)
	if s.Accounts[0].Balance != 10_000-100-100-9_700+5 || s.Payments["ACSC"] != 3 || s.Payments["RJCT"] != 3 {
		t.Errorf("in the end: %+v", s)
	}
	if truth, err := w.Truth("GOOD"); err != nil || truth.Booked != 1 {
		t.Errorf("the payment was booked: %+v, %v", truth, err)
	}
}

// TestLateMessagesLeaveNoTrace: what is older than the cut-off is not taken, whether or not the bank has had a rest meanwhile.
func TestLateMessagesLeaveNoTrace(t *testing.T) {
	w := newTown(t)
	doc := w.message("LATE", 100, theirs)
	w.now = w.now.Add(time.Minute + time.Millisecond)
	report, err := w.receive(doc)
	must(t, err)
	w.is("a message of more than a minute ago", shown(report), "RJCT DT01")
	w.is("it left", w.asked("LATE"), "NHRD")
	w.reopen()
	w.is("made anew, under the same id", w.pay("LATE", 100, theirs), "ACSC")
	// The clock may be set back: within one life, and as far as the journal knows beyond it, the bank's own does not follow.
	before := w.message("BACK", 100, theirs)
	w.now = w.now.Add(time.Hour)
	w.is("an hour later", w.pay("LATER", 1, theirs), "ACSC")
	w.now = w.now.Add(-time.Hour)
	for range 2 {
		report, err = w.receive(before)
		must(t, err)
		w.is("a message that the clock was beyond once", shown(report), "RJCT DT01")
		w.reopen()
	}
}

// TestTornJournals: whatever a crash has left at the end of the journal, the bank opens, and knows all it had answered; a journal that is
// damaged elsewhere it does not open.
func TestTornJournals(t *testing.T) {
	w := newTown(t)
	for n := range 3 {
		w.is("paid", w.pay(fmt.Sprint("P", n), 100, theirs), "ACSC")
	}
	must(t, w.Close())
	path := filepath.Join(w.dir, journalName)
	whole, err := os.ReadFile(path)
	must(t, err)
	last := bytes.LastIndex(whole, []byte(`{"at"`)) - frameHead
	knows := func(what string, text []byte, want string) {
		t.Helper()
		must(t, os.WriteFile(path, text, 0o600))
		w.open()
		w.is(what, w.asked("P1")+" "+w.asked("P2"), want)
		w.is(what+", and goes on", w.pay("P2", 100, theirs), "ACSC")
		w.reopen()
		w.is(what+", and remembers", w.asked("P2"), "ACSC")
		must(t, w.Close())
	}
	for cut := last; cut < len(whole); cut += 7 {
		knows(fmt.Sprint("cut at ", cut), whole[:cut], "ACSC NHRD")
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-3] ^= 1
	knows("a last record that is damaged", flipped, "ACSC NHRD")
	knows("zeros behind it", append(bytes.Clone(whole), make([]byte, 100)...), "ACSC ACSC")
	knows("a length and zeros", append(bytes.Clone(whole[:last+frameHead]), make([]byte, len(whole)-last-frameHead)...), "ACSC NHRD")
	for at := 4; at < last; at += 37 {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x40
		must(t, os.WriteFile(path, damaged, 0o600))
		if b, err := Open(Options{Dir: w.dir}); err == nil {
			b.Close()
			if at%last > frameHead {
				t.Errorf("a journal that is damaged at byte %d was opened", at)
			}
		}
	}
	must(t, os.WriteFile(path, whole, 0o600))
	w.open()
	if _, err := Open(Options{Dir: w.dir}); err == nil || !strings.Contains(err.Error(), "another test bank") {
		t.Errorf("the journal was opened twice: %v", err)
	}
}

func (w *town) book(day string) (*sheet, error) {
	w.t.Helper()
	d, err := iso20022.ParseDay(day)
	must(w.t, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sheet(ours, d)
}

// TestStatements: days are those of the bank's zone, each goes on from the one before, and disagreement is where it was asked for.
func TestStatements(t *testing.T) {
	w := newTown(t)
	w.is("one", w.pay("P1", 100, theirs), "ACSC")
	w.now = time.Date(2026, 11, 27, 15, 59, 59, 0, time.UTC) // a second before midnight in Shanghai
	w.is("two", w.pay("P2", 200, theirs), "ACSC")
	w.now = w.now.Add(time.Second)
	w.is("three", w.pay("P3", 400, theirs), "ACSC")
	balances := func(s *sheet) string {
		text := s.head.Sequence
		for _, b := range s.head.Balances {
			text += fmt.Sprint(" ", b.Type.Which.Code, " ", b.Amount.Text)
		}
		return fmt.Sprint(text, " ", len(s.lines))
	}
	first, err := w.book("2026-11-27")
	must(t, err)
	second, err := w.book("2026-11-28")
	must(t, err)
	w.is("the first day", balances(first), "9828 OPBD 100.00 CLBD 97.00 2")
	w.is("the second day, which is not over", balances(second), "9829 OPBD 97.00 ITBD 93.00 1")
	if _, err := w.book("2026-11-29"); err == nil {
		t.Error("there is a statement of tomorrow")
	}
	for fault, want := range map[string]Faults{"0": {Omit: 1}, "2": {Alter: 1}, "4": {Double: 1}, "3": {Invent: 1}} {
		must(t, w.SetFaults(want))
		s, err := w.book("2026-11-27")
		must(t, err)
		w.is("lines", fmt.Sprint(len(s.lines)), fault)
		w.is("the answer stays", w.asked("P1"), "ACSC")
	}
	half := Faults{Seed: 3, Omit: 0.5}
	hit := 0
	for n := range 1000 {
		if marked(&half, "omit", fmt.Sprint("HF", n), half.Omit) {
			hit++
		}
	}
	if hit < 400 || hit > 600 {
		t.Errorf("half of 1000 are %d", hit)
	}
}

// TestEndOfDay: a day that the bank has ended has its statement, also after a restart, and what comes then belongs to the next one; messages are late by
// the clock as before. The book says what was booked, and what the statement says.
func TestEndOfDay(t *testing.T) {
	w := newTown(t)
	w.is("one", w.pay("P1", 100, theirs), "ACSC")
	must(t, w.EndDay())
	w.is("two", w.pay("P2", 200, theirs), "ACSC")
	w.reopen()
	w.is("three", w.pay("P3", 400, theirs), "ACSC")
	for day, want := range map[string]string{"2026-11-27": "CLBD 99.00 1", "2026-11-28": "ITBD 93.00 2"} {
		s, err := w.book(day)
		must(t, err)
		last := s.head.Balances[1]
		w.is(day, fmt.Sprint(last.Type.Which.Code, " ", last.Amount.Text, " ", len(s.lines)), want)
	}
	must(t, w.SetFaults(Faults{Double: 1, Invent: 1}))
	ask := func(query string) (list []Entry) {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, "/control/book"+query, nil)
		r.Header.Set(AccountHeader, ours)
		answer := httptest.NewRecorder()
		w.Control().ServeHTTP(answer, r)
		if err := json.Unmarshal(answer.Body.Bytes(), &list); err != nil {
			t.Fatalf("%v: %s", err, answer.Body)
		}
		return list
	}
	all, second := ask(""), ask("?day=2026-11-28")
	if len(all) != 3 || len(second) != 3 {
		t.Fatalf("the book has %d entries, and the second day %d", len(all), len(second))
	}
	if e := all[0]; e.EndToEnd != "P1" || e.Amount != -100 || e.Other != theirs || e.Day != "2026-11-27" || len(e.Stated) != 2 || e.Ref == "" || e.At.IsZero() {
		t.Errorf("the first payment is %+v", e)
	}
	if e := second[2]; e.Amount != 0 || len(e.Stated) != 1 || e.Stated[0] != -100 {
		t.Errorf("what was invented is %+v", e)
	}
	if _, err := w.Book("9", time.Time{}); err == nil {
		t.Error("there is a book of an account that is none")
	}
}

// TestControl: what is told to it, and what it refuses.
func TestControl(t *testing.T) {
	w := newTown(t)
	control := w.Control()
	call := func(method, path, body string) (int, string) {
		answer := httptest.NewRecorder()
		control.ServeHTTP(answer, httptest.NewRequest(method, path, strings.NewReader(body)))
		return answer.Code, answer.Body.String()
	}
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"PUT", "/control/faults", `{"down":"refuse","twice":0.5,"reject":{"123":"AC04"}}`, 200},
		{"PUT", "/control/faults", `{"down":"a bit"}`, 400},
		{"PUT", "/control/faults", `{"twice":1.5}`, 400},
		{"PUT", "/control/faults", `{"slow":1}`, 400},
		{"PUT", "/control/faults", `{"slow_ms":-1}`, 400},
		{"PUT", "/control/faults", `{"reject":{"123":"no"}}`, 400},
		{"PUT", "/control/faults", `{"invent":5000}`, 400},
		{"PUT", "/control/faults", `{"late_ms":{"DE00":1}}`, 400},
		{"POST", "/control/accounts", `{"number":"42","currency":"EUR","balance":1}`, 200},
		{"POST", "/control/accounts", `{"number":"42","currency":"EUR"}`, 200},
		{"POST", "/control/accounts", `{"number":"42","currency":"CNY"}`, 400},
		{"POST", "/control/accounts", `{"number":"43","currency":"SEATS"}`, 400},
		{"POST", "/control/topups", `{"key":"a","account":"42","amount":7}`, 200},
		{"POST", "/control/topups", `{"key":"a","account":"44","amount":7}`, 400},
		{"POST", "/control/topups", `{"key":"b","account":"42","amount":0}`, 400},
		{"POST", "/control/topups", `{"key":"b","account":"42","amount":9223372036854775807}`, 400},
		{"POST", "/control/topups", `{"account":"42","amount":1}`, 400},
		{"POST", "/control/release", ``, 200},
		{"POST", "/control/day", ``, 200},
		{"GET", "/control/book", ``, 400},
		{"GET", "/control/book?day=today", ``, 400},
	} {
		if got, answer := call(c.method, c.path, c.body); got != c.want {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, got, answer)
		}
	}
	var f Faults
	_, answer := call("GET", "/control/faults", "")
	must(t, json.Unmarshal([]byte(answer), &f))
	if f.Down != "refuse" || f.Reject["123"] != "AC04" {
		t.Errorf("the faults are %+v", f)
	}
	w.reopen()
	if w.faults.Down != "refuse" {
		t.Error("after a restart the bank behaves")
	}
	var s State
	_, answer = call("GET", "/control/state", "")
	if err := json.Unmarshal([]byte(answer), &s); err != nil || len(s.Accounts) != 2 {
		t.Errorf("%s, %v", answer, err)
	}
}

// TestRefusals: what the bank's face to customers answers to what makes no sense, without a trace.
func TestRefusals(t *testing.T) {
	w := newTown(t)
	good, err := w.message("A", 1, theirs).Encode()
	must(t, err)
	for _, c := range []struct {
		method, path, body, account string
		want                        int
	}{
		{"POST", "/v1/payments", "hello", "", 400},
		{"POST", "/v1/payments", strings.Replace(string(good), "0.01", "0.001", 1), "", 400},
		{"GET", "/v1/payments?id=" + strings.Repeat("x", 36), "", "", 400},
		{"GET", "/v1/payments?id=A", "", "", 404},
		{"GET", "/v1/statements?day=yesterday", "", ours, 400},
		{"GET", "/v1/statements?day=2026-11-27", "", "9", 400},
		{"GET", "/v1/statements?day=2030-01-01", "", ours, 400},
		{"GET", "/v1/deposits?after=x", "", ours, 400},
		{"GET", "/v1/deposits?after=0&max=0", "", ours, 400},
		{"GET", "/v1/deposits?after=0", "", "9", 400},
		{"DELETE", "/v1/payments", "", "", 405},
		{"POST", "/v1/payments", string(good), "", 200},
		{"GET", "/v1/payments?id=A", "", "", 200},
		{"GET", "/v1/statements?day=2026-11-27", "", ours, 200},
	} {
		answer := httptest.NewRecorder()
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		r.Header.Set(AccountHeader, c.account)
		w.Payments().ServeHTTP(answer, r)
		if answer.Code != c.want || answer.Code == http.StatusBadRequest && answer.Body.Len() == 0 {
			t.Errorf("%s %s: %d %s", c.method, c.path, answer.Code, answer.Body)
		}
	}
}

// TestFiles: messages are answered as files, again after a crash in between, and the statement of the day before is there.
func TestFiles(t *testing.T) {
	w := newTown(t)
	dir := t.TempDir()
	must(t, w.Exchange(dir))
	text, err := w.message("F1", 100, theirs).Encode()
	must(t, err)
	must(t, files.Write(filepath.Join(dir, inbox, "one.xml"), text))
	must(t, files.Write(filepath.Join(dir, inbox, "bad.xml"), []byte("<x/>")))
	must(t, os.WriteFile(filepath.Join(dir, inbox, ".part-1.xml"), text[:50], 0o600))
	must(t, w.Exchange(dir))
	must(t, os.Rename(filepath.Join(dir, done, "one.xml"), filepath.Join(dir, inbox, "one.xml"))) // as if it had been killed before that
	w.reopen()
	must(t, w.Exchange(dir))
	answer, err := os.Open(filepath.Join(dir, outbox, "one.pacs.002.xml"))
	must(t, err)
	defer answer.Close()
	report, err := iso20022.ReadStatusReport(answer)
	must(t, err)
	w.is("the answer", shown(report), "ACSC")
	if truth, err := w.Truth("F1"); err != nil || truth.Booked != 1 {
		t.Errorf("it was booked: %+v, %v", truth, err)
	}
	if refused, err := os.ReadFile(filepath.Join(dir, outbox, "bad.refused.txt")); err != nil || !strings.Contains(string(refused), "refused as a whole") {
		t.Errorf("%s, %v", refused, err)
	}
	if list, err := filepath.Glob(filepath.Join(dir, outbox, "camt.053-2026-11-26-*.xml")); err != nil || len(list) != 1 {
		t.Errorf("statements: %v, %v", list, err)
	}
}

func FuzzJournal(f *testing.F) {
	w := newTown(f)
	w.pay("P", 1, theirs)
	must(f, w.Close())
	text, err := os.ReadFile(filepath.Join(w.dir, journalName))
	must(f, err)
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		for {
			record, n, err := frame(text)
			if n == 0 || err != nil {
				return
			}
			if len(record)+frameHead != n {
				t.Fatalf("a record of %d bytes takes %d", len(record), n)
			}
			text = text[n:]
		}
	})
}
