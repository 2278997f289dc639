package exchange

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/bank"
	"holdfast/bank/files"
	"holdfast/bank/iso20022"
)

const (
	ourAccount   = "6222020000000000018"
	otherAccount = "6222020000000000026"
)

var yuan = holdfast.MustAsset("CNY")

// world is a directory, with connectors that come and go, and a clock.
type world struct {
	t     *testing.T
	dir   string
	now   time.Time
	aside []string
	*Connector
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir(), now: time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)}
	w.Connector = w.again(nil)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// again is another process, or the same one after a restart.
func (w *world) again(how func(*Config)) *Connector {
	w.t.Helper()
	account, err := bank.ParseAccount(ourAccount)
	w.must(err)
	cfg := Config{
		Dir: w.dir, Accounts: []bank.Account{account}, Initiator: "Holdfast", Terms: bank.Terms{Late: time.Hour, Step: time.Second},
		Now: func() time.Time { return w.now }, Aside: func(file, why string) { w.aside = append(w.aside, file+": "+why) },
	}
	if how != nil {
		how(&cfg)
	}
	c, err := New(cfg)
	w.must(err)
	return c
}

func (w *world) order(id string) *bank.Instruction {
	w.t.Helper()
	from, err := bank.ParseAccount(ourAccount)
	w.must(err)
	to, err := bank.ParseAccount(otherAccount)
	w.must(err)
	return &bank.Instruction{ID: id, Amount: 12345, Asset: yuan, From: from, To: to, Name: "Tea", Text: "settlement", Sent: holdfast.TimeOf(w.now)}
}

func (w *world) names(dir string) (list []string) {
	w.t.Helper()
	entries, err := os.ReadDir(filepath.Join(w.dir, dir))
	w.must(err)
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// collect is the bank that takes what lies in the outbox.
func (w *world) collect() (ids []string) {
	w.t.Helper()
	for _, name := range w.names("out") {
		file, err := os.Open(filepath.Join(w.dir, "out", name))
		w.must(err)
		doc, err := iso20022.ReadInitiation(file)
		w.must(errors.Join(err, file.Close(), os.Remove(file.Name())))
		list, err := doc.Orders()
		w.must(err)
		for i := range list {
			ids = append(ids, list[i].EndToEnd)
		}
	}
	return ids
}

// put is the bank that puts a file into the inbox.
func (w *world) put(name string, text []byte) {
	w.t.Helper()
	path := filepath.Join(w.dir, "in", name)
	w.must(files.Write(path, text))
	w.must(os.Chtimes(path, w.now, w.now))
	w.now = w.now.Add(2 * time.Second)
}

func (w *world) says(name, message string, list ...iso20022.TxStatus) {
	w.t.Helper()
	doc := iso20022.NewStatusReport("R"+strings.TrimSuffix(name, ".xml"), w.now, message, list...)
	if len(list) == 0 {
		doc.Body.Group[0].Status = iso20022.StatusRejected
	}
	text, err := doc.Encode()
	w.must(err)
	w.put(name, text)
}

func (w *world) state(id string, want bank.State) {
	w.t.Helper()
	if a := w.Ask(w.t.Context(), id); a.State != want || !a.Alive {
		w.t.Errorf("%s: %+v, want %s", id, a, want)
	}
}

// TestAnOrderLiesInOneFile: whoever died at whatever point, and however often it is asked for, the bank gets each order once.
func TestAnOrderLiesInOneFile(t *testing.T) {
	ctx := t.Context()
	for _, died := range []string{"nowhere", "after the message was written", "after it was noted", "after it was handed over"} {
		t.Run(died, func(t *testing.T) {
			w := newWorld(t)
			i := w.order("HF1")
			w.state("HF1", bank.NeverHeard)
			note := w.ofOrder(sent, "HF1")
			switch died {
			case "after the message was written":
				w.must(w.stage(w.path(staged, "HF1.xml"), i))
			case "after it was noted":
				w.must(w.stage(w.path(staged, "HF1.xml"), i))
				w.must(os.MkdirAll(filepath.Dir(note), 0o700))
				w.must(files.Write(note, []byte(hashOf(i))))
			case "after it was handed over":
				w.Send(ctx, i)
			}
			if died != "after it was handed over" {
				w.state("HF1", bank.NeverHeard)
			}
			var got []string
			for n := range 3 {
				w.now = w.now.Add(time.Minute)
				i.Sent = holdfast.TimeOf(w.now) // another attempt
				if a := w.again(nil).Send(ctx, i); a.State != bank.Pending {
					t.Errorf("attempt %d: %+v", n, a)
				}
				if n != 1 {
					got = append(got, w.collect()...)
				}
			}
			if !slices.Equal(got, []string{"HF1"}) || len(w.names("staged")) > 0 {
				t.Errorf("the bank got %v", got)
			}
			w.state("HF1", bank.Pending)
			i.Amount++
			if a := w.Send(ctx, i); a.State != bank.Conflict {
				t.Errorf("another order under the same id: %+v", a)
			}
		})
	}
}

// TestTwoSitesAtOnceHandAnOrderOverOnce: for a moment two may believe that they are in charge.
func TestTwoSitesAtOnceHandAnOrderOverOnce(t *testing.T) {
	w := newWorld(t)
	var all sync.WaitGroup
	for n := range 4 {
		c := w.again(nil)
		all.Go(func() {
			for k := range 5 {
				if a := c.Send(context.Background(), w.order(fmt.Sprintf("HF%d", (n+k)%5))); a.State != bank.Pending {
					t.Errorf("%+v", a)
				}
			}
		})
	}
	all.Wait()
	got := w.collect()
	if slices.Sort(got); !slices.Equal(got, []string{"HF0", "HF1", "HF2", "HF3", "HF4"}) {
		t.Errorf("the bank got %v", got)
	}
}

// TestWhatCannotBeHandedOver: nothing is said of it, and nothing is written.
func TestWhatCannotBeHandedOver(t *testing.T) {
	w := newWorld(t)
	elsewhere := w.again(func(c *Config) {
		c.Claim = func(context.Context, int64) error { return errors.New("another directory") }
	})
	gone := w.again(func(c *Config) { c.Dir = filepath.Join(w.dir, "not mounted"); c.Outbox, c.Inbox = "", "" })
	late := w.order("HF1")
	late.Sent -= holdfast.Time(2 * time.Hour)
	for name, a := range map[string]bank.Answer{
		"another directory": elsewhere.Send(t.Context(), w.order("HF1")),
		"not mounted":       gone.Send(t.Context(), w.order("HF1")),
		"too late":          w.Send(t.Context(), late),
		"no name":           w.Send(t.Context(), w.order("../HF1")),
	} {
		if a.State != bank.Unknown || a.Detail == "" || strings.Contains(a.Detail, w.dir) {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if list := append(w.names("out"), w.names("staged")...); len(list) > 0 {
		t.Errorf("%v were written", list)
	}
	w.state("HF1", bank.NeverHeard)
	// One process after the other finds the same number, and no two directories have one.
	a, err := w.number()
	w.must(err)
	b, err := newWorldNumber(t)
	if again, err := w.again(nil).number(); err != nil || again != a || a <= 0 || a == b {
		t.Errorf("numbers %d, %d and %d, %v", a, again, b, err)
	}
	w.must(err)
}

func newWorldNumber(t *testing.T) (int64, error) { return newWorld(t).number() }

func rejected(id, reason string) iso20022.TxStatus {
	return iso20022.TxStatus{EndToEnd: id, Status: iso20022.StatusRejected, Reasons: iso20022.Why(reason, false, "")}
}

// TestWhatTheBankSaysIsKept: answers are known after a restart, what is final stays, and what contradicts it, or cannot be read, is set aside for
// people with the reason.
func TestWhatTheBankSaysIsKept(t *testing.T) {
	w := newWorld(t)
	for n := 1; n <= 5; n++ {
		w.Send(t.Context(), w.order(fmt.Sprintf("HF%d", n)))
	}
	w.collect()
	w.says("a.xml", "", iso20022.TxStatus{EndToEnd: "HF1", Status: iso20022.StatusSettled, Reference: "B1"}, rejected("HF2", "AC04"), iso20022.TxStatus{EndToEnd: "HF3", Status: "ACSP"})
	w.says("b.xml", "HF4") // the message as a whole
	w.state("HF1", bank.Done)
	w.state("HF2", bank.Rejected)
	w.state("HF3", bank.Pending)
	w.state("HF4", bank.Rejected)
	w.state("HF5", bank.Pending)
	if len(w.aside) > 0 || len(w.names("in")) > 0 || len(w.names("done")) != 2 {
		t.Fatalf("set aside %v, left %v", w.aside, w.names("in"))
	}
	// The same as a pain.002, which says first that the message can be read, and then what became of the order.
	pain := func(status, transfers string) []byte {
		return []byte(`<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt><GrpHdr><MsgId>P</MsgId><CreDtTm>2026-11-27T10:00:00Z</CreDtTm></GrpHdr>` +
			`<OrgnlGrpInfAndSts><OrgnlMsgId>HF5</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>` + status + `</OrgnlGrpInfAndSts>` + transfers + `</CstmrPmtStsRpt></Document>`)
	}
	w.put("p1.xml", pain("<GrpSts>ACTC</GrpSts>", ""))
	w.state("HF5", bank.Pending)
	w.put("p2.xml", pain("", `<OrgnlPmtInfAndSts><OrgnlPmtInfId>HF5</OrgnlPmtInfId><TxInfAndSts><OrgnlEndToEndId>HF5</OrgnlEndToEndId><TxSts>RJCT</TxSts>`+
		`<StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf></TxInfAndSts></OrgnlPmtInfAndSts>`))
	w.state("HF5", bank.Rejected)
	w.Connector = w.again(nil)
	if len(w.aside) > 0 {
		t.Errorf("set aside: %v", w.aside)
	}
	if a := w.Ask(t.Context(), "HF2"); a.Reason != "AC04" || a.At == 0 {
		t.Errorf("after a restart: %+v", a)
	}
	w.says("c.xml", "", rejected("HF1", "AC04"), iso20022.TxStatus{EndToEnd: "HF3", Status: iso20022.StatusSettled})
	w.says("d.xml", "", iso20022.TxStatus{EndToEnd: "HF9", Status: iso20022.StatusSettled})
	w.says("a.xml", "", iso20022.TxStatus{EndToEnd: "HF1", Status: iso20022.StatusSettled, Reference: "B1"}) // again, under a name that was there
	w.put("e.txt", []byte("We could not read your message."))
	w.put("f.xml", []byte(`<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.052.001.08"></Document>`))
	w.put("g.xml.part", []byte("half"))
	w.put("h.xml", []byte("<Document xmlns="))
	w.state("HF1", bank.Done)
	if got := w.names("in"); !slices.Contains(got, "h.xml") {
		t.Errorf("a file that may still be growing was not left alone: %v", got)
	}
	w.now = w.now.Add(2 * time.Minute)
	w.state("HF3", bank.Done)
	if got := w.names("in"); !slices.Equal(got, []string{"g.xml.part"}) {
		t.Errorf("%v are left", got)
	}
	text := strings.Join(w.aside, "\n")
	for _, want := range []string{"c.xml: \"HF1\": it says rejected, and the bank has said done before", "d.xml: \"HF9\": no such order", "e.txt: ", "f.xml: it is a message \"camt.052.001.08\"", "h.xml: "} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing is said of %q:\n%s", want, text)
		}
	}
	if len(w.aside) != 5 || len(w.names("bad")) != 10 {
		t.Errorf("set aside: %v, %v", w.aside, w.names("bad"))
	}
}

// statement is one of a day, with what came in and went out.
func (w *world) statement(account string, day time.Time, amounts ...holdfast.Amount) []byte {
	w.t.Helper()
	return w.statementTo(iso20022.Closing, account, day, amounts...)
}

// statementTo is one whose last balance is of a kind.
func (w *world) statementTo(last, account string, day time.Time, amounts ...holdfast.Amount) []byte {
	w.t.Helper()
	id, err := iso20022.AccountIDOf(account)
	w.must(err)
	h := iso20022.StatementHead{ID: "S" + day.Format("0102"), Sequence: "1", Created: iso20022.TimeText(w.now), Account: iso20022.StatementAccount{ID: id, Currency: "CNY"}}
	closing := holdfast.Amount(1000)
	for _, a := range amounts {
		closing += a
	}
	for _, x := range []struct {
		which  string
		amount holdfast.Amount
	}{{iso20022.Opening, 1000}, {last, closing}} {
		b, err := iso20022.BalanceOf(x.which, x.amount, yuan, day)
		w.must(err)
		h.Balances = append(h.Balances, b)
	}
	var text strings.Builder
	s, err := iso20022.NewStatementWriter(&text, h.ID, w.now, &h)
	w.must(err)
	for n, a := range amounts {
		w.must(s.Line(&iso20022.Line{EndToEnd: fmt.Sprintf("E%d", n), BankRef: fmt.Sprintf("B%s-%d", day.Format("02"), n), Amount: a, Asset: yuan, Day: day, Text: "HF"}))
	}
	w.must(s.Close())
	return []byte(text.String())
}

// TestStatementsAreTakenOnce: each day once, whatever is delivered again; and what came in by them is listed in the order in which they came, also a day that
// came late.
func TestStatementsAreTakenOnce(t *testing.T) {
	w := newWorld(t)
	account, err := bank.ParseAccount(ourAccount)
	w.must(err)
	day := func(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }
	seqs := func(after uint64, most int) (refs []string, next uint64) {
		t.Helper()
		list, next, err := w.Deposits(t.Context(), account, after, most)
		w.must(err)
		for _, d := range list {
			refs = append(refs, d.Ref)
			if d.Seq <= after || d.Seq > next || d.Amount <= 0 {
				t.Errorf("%+v after %d, next %d", d, after, next)
			}
		}
		return refs, next
	}
	if _, err := w.Statement(t.Context(), account, day(24)); err == nil {
		t.Error("there is a statement before one has come")
	}
	first := w.statement(ourAccount, day(24), 10, -20, 30, 40)
	w.put("1.xml", first)
	w.put("1-again.xml", first)
	refs, next := seqs(0, 2)
	if !slices.Equal(refs, []string{"B24-0", "B24-2"}) {
		t.Errorf("%v", refs)
	}
	if refs, next = seqs(next, 2); !slices.Equal(refs, []string{"B24-3"}) {
		t.Errorf("%v", refs)
	}
	w.put("3.xml", w.statement(ourAccount, day(26), 7))
	if refs, next = seqs(next, 10); !slices.Equal(refs, []string{"B26-0"}) {
		t.Errorf("%v", refs)
	}
	w.put("2.xml", w.statement(ourAccount, day(25), -1, 8)) // late
	w.put("1-other.xml", w.statement(ourAccount, day(24), 10, -20, 30, 41))
	w.put("4.xml", w.statement(otherAccount, day(24), 5))
	w.put("5.xml", w.statementTo(iso20022.Interim, ourAccount, day(27), 9))
	w.now = w.now.Add(2 * time.Minute)
	w.Connector = w.again(nil)
	if refs, next = seqs(next, 10); !slices.Equal(refs, []string{"B25-1"}) {
		t.Errorf("%v", refs)
	}
	if refs, _ = seqs(next, 10); len(refs) > 0 {
		t.Errorf("%v again", refs)
	}
	for n := 24; n <= 26; n++ {
		body, err := w.Statement(t.Context(), account, day(n))
		w.must(err)
		w.must(body.Close())
	}
	text := strings.Join(w.aside, "\n")
	for _, want := range []string{"1-other.xml: there is another statement", "4.xml: it is the statement of an account that is not", "5.xml: it is the statement of a day that was not over"} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing is said of %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, ourAccount) || strings.Contains(strings.Join(w.names("statements"), ""), ourAccount) {
		t.Error("the number of the account is shown")
	}
}
