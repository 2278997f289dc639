package alipay

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"iter"
	"math"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
)

var testBill = TradeBill{
	Merchant: merchant, From: time.Date(2026, 11, 21, 0, 0, 0, 0, gmt8), To: time.Date(2026, 11, 22, 0, 0, 0, 0, gmt8), Made: testNow,
}

func rowsOf(rows ...BillRow) iter.Seq2[BillRow, error] {
	return func(yield func(BillRow, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

var billRows = []BillRow{
	{
		TradeNo: tradeNo, OutTradeNo: "A1", Subject: `红茶, "大"` + "\n🍵", Created: paidAt, Finished: paidAt, Place: Place{Store: "s1", Operator: "o"}, StoreName: "西湖店",
		Buyer: "*杨(137****2600)", Total: 990, Received: 990, Fee: -6, Remark: "=1",
	},
	{TradeNo: tradeNo, OutTradeNo: "A1", Refund: true, Subject: "红茶", Created: paidAt, Finished: paidAt, Place: Place{Store: "s1"}, Total: -300, Received: -300, RequestNo: "R1", Fee: 2},
	{TradeNo: "2", OutTradeNo: "A2", Subject: "x", Created: paidAt, Finished: paidAt, Total: 100, Received: 100, Fee: -1},
}

// readZIP returns the decoded files of a bill, and checks that names and texts are GBK.
func readZIP(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range z.File {
		if f.Flags&0x800 != 0 {
			t.Errorf("%q has the UTF-8 flag", f.Name)
		}
		name, err := simplifiedchinese.GBK.NewDecoder().String(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(simplifiedchinese.GBK.NewDecoder().Reader(r))
		if err != nil || bytes.ContainsRune(text, '\uFFFD') {
			t.Fatalf("%s: %v", name, err)
		}
		files[name] = string(text)
	}
	return files
}

func TestTradeBill(t *testing.T) {
	var b bytes.Buffer
	if err := testBill.Write(&b, rowsOf(billRows...)); err != nil {
		t.Fatal(err)
	}
	stem := merchant.String() + "_20261121"
	if testBill.FileName() != stem+".csv.zip" {
		t.Error(testBill.FileName())
	}
	files := readZIP(t, b.Bytes())
	details, summary := files[stem+"_业务明细.csv"], files[stem+"_业务明细(汇总).csv"]
	if len(files) != 2 || details == "" || summary == "" {
		t.Fatalf("%q", files)
	}
	lines := strings.Split(details, "\r\n")
	for i, want := range []string{
		"#支付宝业务明细查询", "#账号：[" + merchant.String() + "0156]", "#起始日期：[2026年11月21日 00:00:00]   终止日期：[2026年11月22日 00:00:00]", "#---", strings.Join(billColumns, ","),
		tradeNo + "\t,A1\t,交易,\"红茶, \"\"大\"\" ?\",2026-11-22 12:01:25,2026-11-22 12:01:25,s1\t,西湖店,o,,*杨(137****2600),9.90,9.90,0.00,0.00,0.00,0.00,0.00,,0.00,0.00,,-0.06,0.00,'=1",
		tradeNo + "\t,A1\t,退款,红茶,2026-11-22 12:01:25,2026-11-22 12:01:25,s1\t,,,,,-3.00,-3.00,0.00,0.00,0.00,0.00,0.00,,0.00,0.00,R1\t,0.02,0.00,",
		"2\t,A2\t,交易,x,", "#---", "#交易合计：2笔，商家实收共10.90元", "#退款合计：1笔，商家实收退款共-3.00元", "#导出时间：[2026年11月22日 12:01:30]",
	} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d\n%q\nwant\n%q", i, lines[i], want)
		}
	}
	// A reader of CSV that passes over comments sees 25 columns in every line.
	r := csv.NewReader(strings.NewReader(details))
	r.Comment = '#'
	if all, err := r.ReadAll(); err != nil || len(all) != 4 || len(all[1]) != 25 {
		t.Errorf("%d lines, %v", len(all), err)
	}
	for _, want := range []string{"\r\ns1\t,西湖店,1,1,6.90,6.90,0.00,0.00,0.00,-0.04,0.00,6.86\r\n", "\r\n,,1,0,1.00,1.00,0.00,0.00,0.00,-0.01,0.00,0.99\r\n", "\r\n合计\t,,2,1,7.90,7.90,0.00,0.00,0.00,-0.05,0.00,7.85\r\n"} {
		if !strings.Contains(summary, want) {
			t.Errorf("%q\ndoes not have\n%q", summary, want)
		}
	}
	month := testBill
	month.From, month.To = month.From.AddDate(0, 0, -20), month.From.AddDate(0, 0, 10)
	if month.FileName() != merchant.String()+"_202611.csv.zip" {
		t.Error(month.FileName())
	}
}

// TestABrokenBillIsNoArchive: when the rows end with an error, nothing that could be taken for a bill is left.
func TestABrokenBillIsNoArchive(t *testing.T) {
	for name, rows := range map[string]iter.Seq2[BillRow, error]{
		"error": func(yield func(BillRow, error) bool) {
			_ = yield(billRows[0], nil) && yield(BillRow{}, errors.New("disk"))
		},
		"overflow": rowsOf(BillRow{Received: math.MaxInt64}, BillRow{Received: 1}),
	} {
		var b bytes.Buffer
		if err := testBill.Write(&b, rows); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len())); err == nil {
			t.Errorf("%s: what was written opens as an archive", name)
		}
	}
	if err := testBill.Write(&failing{after: 100}, rowsOf(billRows...)); err == nil {
		t.Error("a writer that fails was not noticed")
	}
}

type failing struct{ after int }

func (f *failing) Write(b []byte) (int, error) {
	if f.after -= len(b); f.after < 0 {
		return 0, errors.New("full")
	}
	return len(b), nil
}

func BenchmarkBillRow(b *testing.B) {
	b.ReportAllocs()
	err := testBill.Write(io.Discard, func(yield func(BillRow, error) bool) {
		for b.Loop() {
			if !yield(billRows[0], nil) {
				return
			}
		}
	})
	if err != nil {
		b.Fatal(err)
	}
}
