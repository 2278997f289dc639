package iso20022

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast"
)

var (
	cny    = holdfast.MustAsset("CNY")
	moment = time.Date(2026, 11, 27, 9, 30, 0, 123_456_789, time.UTC)
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, what string, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("%s: got %v, want an error with %q", what, err, part)
	}
}

func TestMoney(t *testing.T) {
	for _, c := range []struct {
		asset  string
		amount holdfast.Amount
		text   string
	}{
		{"CNY", 1250, "12.50"},
		{"CNY", 5, "0.05"},
		{"CNY", 0, "0.00"},
		{"JPY", 1250, "1250"},
		{"KWD", 1, "0.001"},
		{"CLF", 12345, "1.2345"},
		{"EUR", 999_999_999_999_999_999, "9999999999999999.99"},
	} {
		m, err := MoneyOf(c.amount, holdfast.MustAsset(c.asset))
		if err != nil || m.Text != c.text || m.Currency != c.asset {
			t.Errorf("MoneyOf(%d, %s) = %v, %v; want %s", c.amount, c.asset, m, err, c.text)
		}
		back, asset, err := m.Minor()
		if err != nil || back != c.amount || asset.String() != c.asset {
			t.Errorf("%v came back as %d %v, %v", m, back, asset, err)
		}
	}
	for text, want := range map[string]holdfast.Amount{"12": 1200, "12.5": 1250, "0012.50": 1250} {
		if got, _, err := (Money{"CNY", text}).Minor(); err != nil || got != want {
			t.Errorf("%s CNY = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, bad := range []Money{
		{"CNY", ""},
		{"CNY", "-1.00"},
		{"CNY", "+1.00"},
		{"CNY", "1,00"},
		{"CNY", "1.000"},
		{"JPY", "1.0"},
		{"CNY", ".5"},
		{"CNY", "5."},
		{"CNY", "1e3"},
		{"CNY", " 1"},
		{"CNY", "1.2.3"},
		{"CNY", "1234567890123456789"},
		{"cny", "1"},
		{"CN", "1"},
		{"C1Y", "1"},
		{"", "1"},
		{"CNY", "٣"},
		{"CNY", "NaN"},
		{"CLF", "999999999999999999"},
	} {
		if got, _, err := bad.Minor(); err == nil {
			t.Errorf("%v was read as %d", bad, got)
		}
	}
	for _, bad := range []holdfast.Amount{-1, math.MinInt64, math.MaxInt64} {
		if m, err := MoneyOf(bad, cny); err == nil {
			t.Errorf("%d was written as %v", bad, m)
		}
	}
	if _, err := MoneyOf(1, holdfast.MustAsset("SEATS")); err == nil {
		t.Error("seats were taken for money")
	}
}

func TestAccounts(t *testing.T) {
	// Examples of the IBAN registry.
	for _, good := range []string{
		"DE89370400440532013000", "GB29NWBK60161331926819", "FR1420041010050500013M02606", "NO9386011117947", "MT84MALT011000012345MTLCAST001S",
		"6222020000000000018", "0200-12345", "123456", strings.Repeat("9", 34),
	} {
		id, err := AccountIDOf(good)
		if err != nil || id.Text() != good || id.Check() != nil || (id.IBAN != "") != (good[0] >= 'A') {
			t.Errorf("%s: %+v, %v, %v", good, id, err, id.Check())
		}
	}
	for bad, why := range map[string]string{
		"DE88370400440532013000": "check digits", "DE8937040044053201300": "22 characters", "GB29NWBK60161331926818": "check digits",
		"FR1420041010050500013m02606": "capital", "": "0 characters", "12 34": "character 3", "-12": "character 1", "XX00": "5 to 34",
		strings.Repeat("9", 35): "35 characters", "中国": "character 1", "DE98370400440532013000": "check digits",
	} {
		wantError(t, bad, CheckAccount(bad), why)
		if err := CheckAccount(bad); len(bad) > 5 && err != nil && strings.Contains(err.Error(), bad) {
			t.Errorf("the error shows the number: %v", err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		// The check digits find every single wrong character, and every swap of neighbours that differ.
		iban := []byte("FR1420041010050500013M02606")
		at := rapid.IntRange(4, len(iban)-2).Draw(t, "at")
		if rapid.Bool().Draw(t, "swap") && iban[at] != iban[at+1] && isDigit(iban[at]) && isDigit(iban[at+1]) {
			iban[at], iban[at+1] = iban[at+1], iban[at]
		} else {
			was := iban[at]
			iban[at] = rapid.SampledFrom([]byte("0123456789")).Filter(func(c byte) bool { return c != was && isDigit(was) || isUpper(was) }).Draw(t, "by")
		}
		if CheckIBAN(string(iban)) == nil {
			t.Fatalf("%s passes", iban)
		}
	})
}

func TestIDsAndTexts(t *testing.T) {
	for _, good := range []string{"a", strings.Repeat("x", 35), "HF/2026-11:27(1).,'+?x y"} {
		if err := CheckID(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for bad, why := range map[string]string{
		"": "empty", strings.Repeat("x", 36): "36 characters", "/a": "slash", "a/": "slash", "a//b": "slash", " a": "blank", "ä": "character",
		"a_b": "character", "a\n": "character", "a&b": "character",
	} {
		wantError(t, fmt.Sprintf("%q", bad), CheckID(bad), why)
	}
	if err := CheckText(strings.Repeat("李", 140), 140); err != nil {
		t.Error(err)
	}
	for bad, why := range map[string]string{
		"": "0 characters", strings.Repeat("李", 141): "141", "a\x00b": "control", "a\tb": "control", " a": "blank", "\xff": "UTF-8", "a\ufffe": "control",
	} {
		wantError(t, fmt.Sprintf("%q", bad), CheckText(bad, 140), why)
	}
	if got := TimeText(moment); got != "2026-11-27T09:30:00.123Z" {
		t.Errorf("the moment is written as %s", got)
	}
	for _, bad := range []string{"2026-11-27T09:30:00", "2026-11-27", "", "2026-13-01T00:00:00Z"} {
		if _, err := ParseTime(bad); err == nil {
			t.Errorf("the time %q was taken", bad)
		}
	}
}

func order(n int) Order {
	return Order{
		EndToEnd: fmt.Sprintf("HF%06d", n), Amount: holdfast.Amount(100 + n), Asset: cny, Debtor: "6222020000000000018",
		Creditor: "DE89370400440532013000", Name: "李雷 & <Söhne>", Text: "Rechnung \"7\" ]]>",
	}
}

// TestGolden: what is written is, to the byte, what the files of testdata have, and is read back as it was. Names and order of their
// elements were compared with the published schemas.
func TestGolden(t *testing.T) {
	bare := order(2)
	bare.Text, bare.Creditor = "", "6222020000000000026"
	doc, err := NewInitiation("MSG-1", "Holdfast", "DEUTDEFF", moment, order(1), bare)
	must(t, err)
	text, err := doc.Encode()
	must(t, err)
	golden(t, "pain.001.xml", text)
	back, err := ReadInitiation(bytes.NewReader(text))
	must(t, err)
	orders, err := back.Orders()
	must(t, err)
	if !reflect.DeepEqual(orders, []Order{order(1), bare}) {
		t.Errorf("the orders came back as %+v", orders)
	}
	if made, err := back.Made(); err != nil || !made.Equal(moment.Truncate(time.Millisecond)) {
		t.Errorf("the moment came back as %v, %v", made, err)
	}
	report := NewStatusReport("R-1", moment, "MSG-1",
		TxStatus{EndToEnd: "HF000001", Status: StatusSettled, Accepted: TimeText(moment), Reference: "TB1"},
		TxStatus{EndToEnd: "HF000002", Status: StatusRejected, Reasons: Why(ReasonClosed, false, "closed")},
		TxStatus{EndToEnd: "HF000003", Reasons: Why(NeverHeardOf, true, "")})
	text, err = report.Encode()
	must(t, err)
	golden(t, "pacs.002.xml", text)
	again, err := ReadStatusReport(bytes.NewReader(text))
	must(t, err)
	again.XMLName = report.XMLName
	if !reflect.DeepEqual(again, report) {
		t.Errorf("the report came back as %+v", again)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("REWRITE") != "" {
		must(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("%s is written as\n%s", name, got)
	}
}

// replaced is a file of testdata with something else in it.
func replaced(t testing.TB, name, old, new string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	must(t, err)
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %s", name, old)
	}
	return strings.Replace(string(text), old, new, 1)
}

// TestInitiationIsStrict has a row for each way in which a message can be wrong.
func TestInitiationIsStrict(t *testing.T) {
	for _, c := range []struct{ old, new, why string }{
		{"pain.001.001.09", "pain.001.001.03", "not the message that was expected"},
		{"<CstmrCdtTrfInitn>", "<CstmrDrctDbtInitn>", ""},
		{"<GrpHdr>", `<GrpHdr xmlns="urn:other">`, "not the message"},
		{"<MsgId>MSG-1</MsgId>", "", "has no MsgId"},
		{"<MsgId>MSG-1</MsgId>", "<MsgId>MSG-1</MsgId><MsgId>MSG-1</MsgId>", "twice"},
		{"<MsgId>MSG-1</MsgId>", "<MsgId>" + strings.Repeat("x", 36) + "</MsgId>", "36 characters"},
		{"<NbOfTxs>2</NbOfTxs>", "<NbOfTxs>3</NbOfTxs>", "NbOfTxs"},
		{"<NbOfTxs>2</NbOfTxs>", "<NbOfTxs>2</NbOfTxs><CtrlSum>2.02</CtrlSum>", "CtrlSum"},
		{"<PmtMtd>TRF</PmtMtd>", "<PmtMtd>CHK</PmtMtd>", "not TRF"},
		{"<BtchBookg>false</BtchBookg>", "<BtchBookg>true</BtchBookg>", "batch booking"},
		{"<EndToEndId>HF000002</EndToEndId>", "<EndToEndId>HF000001</EndToEndId>", "twice"},
		{"<EndToEndId>HF000002</EndToEndId>", "<EndToEndId></EndToEndId>", "empty"},
		{`<InstdAmt Ccy="CNY">1.01`, `<InstdAmt Ccy="CNY">1.010`, "decimals"},
		{`<InstdAmt Ccy="CNY">1.01`, `<InstdAmt Ccy="CNY">-1.01`, "no digit"},
		{`<InstdAmt Ccy="CNY">1.01`, `<InstdAmt Ccy="CNY">0.00`, "not above 0"},
		{`<InstdAmt Ccy="CNY">1.01`, `<InstdAmt>1.01`, "currency"},
		{`<InstdAmt Ccy="CNY">1.01`, `<InstdAmt Ccy="CNY" Rate="2">1.01`, "attribute"},
		{"DE89370400440532013000", "DE89370400440532013001", "check digits"},
		{"<Othr><Id>6222020000000000026", "<Othr><Id>DE89370400440532013000", "form of an IBAN"},
		{"<ChrgBr>SLEV</ChrgBr>", "<ChrgBr>DEBT</ChrgBr>", "charge bearer"},
		{"<ChrgBr>SLEV</ChrgBr>", "<UltmtDbtr><Nm>x</Nm></UltmtDbtr><ChrgBr>SLEV</ChrgBr>", "does not know"},
		{"<CdtrAcct>", "text<CdtrAcct>", "text within"},
		{"</Document>", "</Document><Document/>", ""},
		{"</Document>", "", "EOF"},
		{"?>", "?><!DOCTYPE x [<!ENTITY a \"b\">]>", "document type"},
		{"MSG-1", "&a;", "entity"},
		{"?>", "?><?php x?>", "processing instruction"},
		{"UTF-8", "ISO-8859-1", "encoding"},
		{"2026-11-27T09:30:00.123Z", "2026-11-27T09:30:00", "with a zone"},
		{"<Dt>2026-11-27</Dt>", "<DtTm>2026-11-27T09:30:00Z</DtTm>", "day of execution"},
	} {
		text := replaced(t, "pain.001.xml", c.old, c.new)
		if c.new == "<CstmrDrctDbtInitn>" {
			text = strings.Replace(text, "</CstmrCdtTrfInitn>", "</CstmrDrctDbtInitn>", 1)
		}
		_, err := ReadInitiation(strings.NewReader(text))
		wantError(t, c.new, err, c.why)
	}
	pmtID := `<PmtId><InstrId>HF000001</InstrId><EndToEndId>HF000001</EndToEndId></PmtId>`
	swapped := strings.Replace(replaced(t, "pain.001.xml", pmtID, ""), `<Cdtr>`, pmtID+"<Cdtr>", 1)
	_, err := ReadInitiation(strings.NewReader(swapped))
	wantError(t, "elements in another order", err, "order of the schema")
	_, err = ReadInitiation(io.MultiReader(strings.NewReader(replaced(t, "pain.001.xml", "</Document>", "</Document>")), endless{}))
	wantError(t, "a message without end", err, "more than")
	if _, err := ReadInitiation(strings.NewReader(replaced(t, "pain.001.xml", "pain.001.001.09", "pain.001.001.11"))); !errors.Is(err, ErrNotThisMessage) {
		t.Errorf("another version: %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestReportsPassOverWhatTheyDoNotKnow, but what they know has to be in its place.
func TestReportsPassOverWhatTheyDoNotKnow(t *testing.T) {
	for _, good := range []string{
		replaced(t, "pacs.002.xml", "</GrpHdr>", "<InstgAgt><FinInstnId><BICFI>DEUTDEFF</BICFI></FinInstnId></InstgAgt></GrpHdr>"),
		replaced(t, "pacs.002.xml", "<TxInfAndSts>", "<TxInfAndSts><StsId>7</StsId>"),
		replaced(t, "pacs.002.xml", "<Document xmlns", `<Document xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b" xmlns`),
		replaced(t, "pacs.002.xml", "<GrpHdr>", "<!-- a comment --><GrpHdr>"),
	} {
		if d, err := ReadStatusReport(strings.NewReader(good)); err != nil || len(d.Body.Transactions) != 3 {
			t.Errorf("%v\n%s", err, good)
		}
	}
	for _, c := range []struct{ old, new, why string }{
		{"<TxSts>ACSC</TxSts>", "<TxSts>ACSC</TxSts><TxSts>RJCT</TxSts>", "twice"},
		{"<TxSts>ACSC</TxSts>", "<TxSts>acsc</TxSts>", "four capital letters"},
		{"<Cd>AC04</Cd>", "<Cd>AC04</Cd><Prtry>x</Prtry>", "not both"},
		{"<OrgnlEndToEndId>HF000001</OrgnlEndToEndId>", "", "empty"},
		{"<Prtry>NHRD</Prtry>", "", "a code"},
		{"<TxInfAndSts>", "<TxInfAndSts>" + strings.Repeat("<a>", 60) + strings.Repeat("</a>", 60), "nested"},
		{"</FIToFIPmtStsRpt>", "</FIToFIPmtStsRpt><More/>", "not the message"},
	} {
		_, err := ReadStatusReport(strings.NewReader(replaced(t, "pacs.002.xml", c.old, c.new)))
		wantError(t, c.new, err, c.why)
	}
}

func statement(t testing.TB, lines ...Line) string {
	t.Helper()
	id, err := AccountIDOf("6222020000000000018")
	must(t, err)
	sum := holdfast.Amount(0)
	for _, l := range lines {
		sum += l.Amount
	}
	h := StatementHead{ID: "S-1", Sequence: "7", Account: StatementAccount{ID: id, Currency: "CNY"}}
	for which, amount := range map[string]holdfast.Amount{Opening: -500, Closing: -500 + sum} {
		b, err := BalanceOf(which, amount, cny, moment)
		must(t, err)
		h.Balances = append(h.Balances, b)
	}
	var text strings.Builder
	w, err := NewStatementWriter(&text, "M-1", moment, &h)
	must(t, err)
	for i := range lines {
		must(t, w.Line(&lines[i]))
	}
	must(t, w.Close())
	return text.String()
}

func readStatement(text string) (lines []Line, head *StatementHead, err error) {
	r, err := NewStatementReader(strings.NewReader(text))
	if err != nil {
		return nil, nil, err
	}
	if head, err = r.Next(); err != nil {
		return nil, nil, err
	}
	for l, err := range r.Lines() {
		if err != nil {
			return nil, nil, err
		}
		lines = append(lines, l)
	}
	if _, err := r.Next(); err != io.EOF {
		return nil, nil, fmt.Errorf("behind the statement: %w", err)
	}
	return lines, head, nil
}

var day = time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)

func TestStatementsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lines := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Line {
			l := Line{
				EndToEnd: rapid.StringMatching(`[A-Z0-9]{0,35}`).Draw(t, "id"), BankRef: rapid.StringMatching(`[A-Z0-9]{1,35}`).Draw(t, "ref"),
				Amount: holdfast.Amount(rapid.Int64Range(-1e15, 1e15).Filter(func(n int64) bool { return n != 0 }).Draw(t, "amount")), Asset: cny, Day: day,
				Text: rapid.StringMatching(`([a-z<&">李][a-z <&">李]{0,30}[a-z])?`).Draw(t, "text"), Reversal: rapid.Bool().Draw(t, "reversal"),
			}
			if rapid.Bool().Draw(t, "other") {
				l.Other = "DE89370400440532013000"
			}
			return l
		}), 0, 8).Draw(rt, "lines")
		got, head, err := readStatement(statement(t, lines...))
		if err != nil || len(got) != len(lines) || len(lines) > 0 && !reflect.DeepEqual(got, lines) {
			rt.Fatalf("%+v\ncame back as\n%+v, %v", lines, got, err)
		}
		if opening, _, ok := head.Balance(Opening); !ok || opening != -500 || head.Sequence != "7" {
			rt.Fatalf("the head came back as %+v", head)
		}
	})
}

func TestStatementsOfBanks(t *testing.T) {
	lines := []Line{{EndToEnd: "A", BankRef: "R1", Amount: -300, Asset: cny, Day: day}, {EndToEnd: "B", BankRef: "R2", Amount: 50, Asset: cny, Day: day}}
	good := statement(t, lines...)
	alter := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("no %s", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	// One entry for several transactions; entries that are not booked; a moment for a day; more elements than are known.
	details := `<TxDtls><Refs><EndToEndId>A</EndToEndId></Refs><Amt Ccy="CNY">1.00</Amt></TxDtls><TxDtls><Refs><EndToEndId>A2</EndToEndId></Refs><Amt Ccy="CNY">2.00</Amt></TxDtls>`
	old := good[strings.Index(good, "<TxDtls>") : strings.Index(good, "</TxDtls>")+len("</TxDtls>")]
	got, _, err := readStatement(alter(old, details))
	if err != nil || len(got) != 3 || got[1].EndToEnd != "A2" || got[1].Amount != -200 {
		t.Errorf("a batch was read as %+v, %v", got, err)
	}
	got, _, err = readStatement(alter("<Sts><Cd>BOOK</Cd></Sts>", "<Sts><Cd>PDNG</Cd></Sts>"))
	if err != nil || len(got) != 1 || got[0].EndToEnd != "B" {
		t.Errorf("with a pending entry: %+v, %v", got, err)
	}
	got, _, err = readStatement(alter("<BookgDt><Dt>2026-11-27</Dt></BookgDt>", "<BookgDt><DtTm>2026-11-27T23:59:59+08:00</DtTm></BookgDt>"))
	if err != nil || !got[0].Day.Equal(day) {
		t.Errorf("a moment of booking: %+v, %v", got, err)
	}
	if got, _, err = readStatement(alter("<NtryDtls>", "<Chrgs><TtlChrgsAndTaxAmt Ccy=\"CNY\">0</TtlChrgsAndTaxAmt></Chrgs><NtryDtls>")); err != nil || len(got) != 2 {
		t.Errorf("with charges: %+v, %v", got, err)
	}
	for _, c := range []struct{ old, new, why string }{
		{old, strings.Replace(details, "2.00", "2.01", 1), "and it is"},
		{"<CdtDbtInd>DBIT</CdtDbtInd><Sts>", "<CdtDbtInd>DEBIT</CdtDbtInd><Sts>", "direction"},
		{"<CdtDbtInd>DBIT</CdtDbtInd><Sts>", "<CdtDbtInd>DBIT</CdtDbtInd><RvslInd>maybe</RvslInd><Sts>", "RvslInd"},
		{`<Ntry><Amt Ccy="CNY">3.00`, `<Ntry><Amt Ccy="CNY">3.001`, "decimals"},
		{"<Sts><Cd>BOOK</Cd></Sts>", "<Sts></Sts>", "no status"},
		{"<ElctrncSeqNb>7<", "<ElctrncSeqNb>x<", "sequence number"},
		{"<Id>S-1</Id>", "", "id is empty"},
		{"</Stmt>", "", "syntax error"},
		{"</Document>", "", "EOF"},
		{"<Acct>", "<Acct></Acct><Acct>", "no Id"},
	} {
		_, _, err := readStatement(alter(c.old, c.new))
		wantError(t, c.new, err, c.why)
	}
}

func TestNotifications(t *testing.T) {
	lines := []Line{{EndToEnd: "A", BankRef: "R1", Amount: 300, Asset: cny, Day: day, Other: "6222020000000000026", Text: "top up 7"}, {BankRef: "R2", Amount: 1, Asset: cny, Day: day}}
	doc, err := NewNotification("N-1", moment, "6222020000000000018", 9, lines)
	must(t, err)
	text, err := doc.Encode()
	must(t, err)
	account, upTo, got, err := ReadNotification(bytes.NewReader(text))
	if err != nil || account != "6222020000000000018" || upTo != 9 || !reflect.DeepEqual(got, lines) {
		t.Errorf("came back as %s, %d, %+v, %v", account, upTo, got, err)
	}
}

// The fuzz targets: nothing panics, and what is read and written again is read as it was.

func FuzzInitiation(f *testing.F) {
	f.Add([]byte(replaced(f, "pain.001.xml", "?>", "?>")))
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, err := ReadInitiation(bytes.NewReader(text))
		if err != nil {
			return
		}
		orders, err := doc.Orders()
		must(t, err)
		again, err := doc.Encode()
		must(t, err)
		back, err := ReadInitiation(bytes.NewReader(again))
		if err != nil {
			t.Fatalf("%v:\n%s\nwas written as\n%s", err, text, again)
		}
		if got, err := back.Orders(); err != nil || !reflect.DeepEqual(got, orders) {
			t.Fatalf("%+v became %+v, %v", orders, got, err)
		}
	})
}

func FuzzStatusReport(f *testing.F) {
	f.Add([]byte(replaced(f, "pacs.002.xml", "?>", "?>")))
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, err := ReadStatusReport(bytes.NewReader(text))
		if err != nil {
			return
		}
		again, err := doc.Encode()
		must(t, err)
		back, err := ReadStatusReport(bytes.NewReader(again))
		if err != nil {
			t.Fatalf("%v:\n%s\nwas written as\n%s", err, text, again)
		}
		for i := range doc.Body.Transactions {
			a, b := &doc.Body.Transactions[i], &back.Body.Transactions[i]
			if a.EndToEnd != b.EndToEnd || a.Status != b.Status || a.ReasonCode() != b.ReasonCode() {
				t.Fatalf("%+v became %+v", a, b)
			}
		}
	})
}

func FuzzStatement(f *testing.F) {
	f.Add([]byte(statement(f, Line{EndToEnd: "A", BankRef: "R1", Amount: -300, Asset: cny, Day: day, Other: "123", Text: "x"})))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := NewStatementReader(bytes.NewReader(text))
		for err == nil {
			var head *StatementHead
			if head, err = r.Next(); err != nil {
				return
			}
			must(t, head.check())
			for range r.Lines() {
			}
		}
	})
}

func FuzzMoney(f *testing.F) {
	f.Add("12.50", "CNY")
	f.Fuzz(func(t *testing.T, text, currency string) {
		amount, asset, err := Money{currency, text}.Minor()
		if err != nil {
			return
		}
		m, err := MoneyOf(amount, asset)
		must(t, err)
		if back, _, err := m.Minor(); err != nil || back != amount {
			t.Fatalf("%s %s is %d, written as %s it is %d, %v", text, currency, amount, m.Text, back, err)
		}
	})
}
