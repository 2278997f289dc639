package alipay

import (
	"archive/zip"
	"bufio"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"

	"holdfast"
)

// TradeBill is the head of a bill of trades: of whom, and from when to when (the end is not part of it).
type TradeBill struct {
	Merchant holdfast.Owner
	From, To time.Time
	Made     time.Time // when it is exported
}

// BillRow is one payment, one refund or one of the [Business] of a bill. Amounts are as they are written: a refund's order and received amount
// are negative, the fee of a payment is negative, and that of a refund positive when it is given back. A share that is given is negative.
// Received, Fee and Share together are what the row changed of the merchant's money.
type BillRow struct {
	TradeNo, OutTradeNo string
	Refund              bool
	Business            Business // "": a payment, or a refund
	Subject             string
	Created, Finished   time.Time
	Place               Place
	StoreName           string
	Buyer               string // masked: *杨(137****2600)
	Total, Received     holdfast.Amount
	RequestNo           string // of a refund
	Fee, Share          holdfast.Amount
	Remark              string
}

// Business is what a row is about that is neither a payment nor a refund: summaries count it as neither.
type Business string

// Other business.
const (
	Sharing   Business = "分账"   // shares given to others, or the end of that
	Releasing Business = "确认收货" // money that was kept for the buyer's protection
)

// maxStores bounds the summary, which has a line for each store and is kept until the details are written.
const maxStores = 100_000

var billColumns = []string{
	"支付宝交易号", "商户订单号", "业务类型", "商品名称", "创建时间", "完成时间", "门店编号", "门店名称", "操作员", "终端号", "对方账户",
	"订单金额（元）", "商家实收（元）", "支付宝红包（元）", "集分宝（元）", "支付宝优惠（元）", "商家优惠（元）", "券核销金额（元）", "券名称",
	"商家红包消费金额（元）", "卡消费金额（元）", "退款批次号/请求号", "服务费（元）", "分润（元）", "备注",
}

var summaryColumns = []string{
	"门店编号", "门店名称", "交易订单总笔数", "退款订单总笔数", "订单金额（元）", "商家实收（元）", "支付宝优惠（元）", "商家优惠（元）",
	"卡消费金额（元）", "服务费（元）", "分润（元）", "实收净额（元）",
}

// FileName is the name of the archive.
func (b TradeBill) FileName() string { return b.stem() + ".csv.zip" }

func (b TradeBill) stem() string {
	from, to := b.From.In(gmt8), b.To.In(gmt8)
	if to.Equal(from.AddDate(0, 0, 1)) {
		return b.Merchant.String() + "_" + from.Format("20060102")
	}
	return b.Merchant.String() + "_" + from.Format("200601")
}

// Write writes the archive: two files in GBK, details and summary, whose names are GBK too. The rows are written as they come and not kept;
// an error of the rows ends it. What has been written of it then is no archive, so that nobody takes it for a whole one.
func (b TradeBill) Write(w io.Writer, rows iter.Seq2[BillRow, error]) error {
	archive := zip.NewWriter(w)
	stores := map[string]*storeSum{}
	total := &storeSum{}
	details, err := b.file(archive, "_业务明细.csv")
	if err != nil {
		return err
	}
	b.head(details, "#支付宝业务明细查询", "#-----------------------------------------业务明细列表----------------------------------------", billColumns)
	for row, err := range rows {
		if err != nil {
			return fmt.Errorf("rows of the bill of %v: %w", b.Merchant, err)
		}
		row.write(details)
		total.add(row)
		if err := sumStore(stores, row); err != nil {
			return err
		}
	}
	details.comment("#-----------------------------------------业务明细列表结束------------------------------------")
	b.foot(details, total)
	if err := details.end(); err != nil {
		return err
	}
	if err := b.summary(archive, stores, total); err != nil {
		return err
	}
	return archive.Close()
}

func sumStore(stores map[string]*storeSum, row BillRow) error {
	s := stores[row.Place.Store]
	if s == nil {
		if len(stores) == maxStores {
			return fmt.Errorf("the bill has more than %d stores", maxStores)
		}
		s = &storeSum{id: row.Place.Store}
		stores[row.Place.Store] = s
	}
	if row.StoreName != "" {
		s.name = row.StoreName
	}
	s.add(row)
	return nil
}

func (b TradeBill) summary(archive *zip.Writer, stores map[string]*storeSum, total *storeSum) error {
	f, err := b.file(archive, "_业务明细(汇总).csv")
	if err != nil {
		return err
	}
	b.head(f, "#支付宝业务汇总查询", "#-----------------------------------------业务汇总列表----------------------------------------", summaryColumns)
	ordered := make([]*storeSum, 0, len(stores))
	for _, s := range stores {
		ordered = append(ordered, s)
	}
	slices.SortFunc(ordered, func(a, b *storeSum) int { return strings.Compare(a.id, b.id) })
	for _, s := range ordered {
		s.write(f)
	}
	total.id, total.name = "合计", ""
	total.write(f)
	f.comment("#-----------------------------------------业务汇总列表结束------------------------------------")
	b.made(f)
	return f.end()
}

func (b TradeBill) head(f *billFile, title, line string, columns []string) {
	const day = "2006年01月02日 15:04:05"
	f.comment(title)
	f.comment("#账号：[" + b.Merchant.String() + "0156]")
	f.comment("#起始日期：[" + b.From.In(gmt8).Format(day) + "]   终止日期：[" + b.To.In(gmt8).Format(day) + "]")
	f.comment(line)
	f.comment(strings.Join(columns, ","))
}

func (b TradeBill) foot(f *billFile, t *storeSum) {
	f.comment(fmt.Sprintf("#交易合计：%d笔，商家实收共%s元", t.payments, Yuan(t.paid)))
	f.comment(fmt.Sprintf("#退款合计：%d笔，商家实收退款共%s元", t.refunds, Yuan(t.refunded)))
	b.made(f)
}

func (b TradeBill) made(f *billFile) {
	f.comment("#导出时间：[" + b.Made.In(gmt8).Format("2006年01月02日 15:04:05") + "]")
}

func (r BillRow) write(f *billFile) {
	kind := "交易"
	switch {
	case r.Refund:
		kind = "退款"
	case r.Business != "":
		kind = string(r.Business)
	}
	f.digits(r.TradeNo)
	f.digits(r.OutTradeNo)
	f.cell(kind)
	f.words(r.Subject)
	f.cell(clockText(r.Created))
	f.cell(clockText(r.Finished))
	f.digits(r.Place.Store)
	f.words(r.StoreName)
	f.words(r.Place.Operator)
	f.digits(r.Place.Terminal)
	f.cell(r.Buyer)
	f.cell(Yuan(r.Total))
	f.cell(Yuan(r.Received))
	for range 5 {
		f.cell("0.00") // no red packets, points, discounts or vouchers here
	}
	f.cell("")
	f.cell("0.00")
	f.cell("0.00")
	f.digits(r.RequestNo)
	f.cell(Yuan(r.Fee))
	f.cell(Yuan(r.Share))
	f.words(r.Remark)
	f.line()
}

// storeSum is a line of the summary.
type storeSum struct {
	id, name          string
	payments, refunds int64
	total             holdfast.Amount
	paid, refunded    holdfast.Amount // received by payments; of refunds, negative
	fee, share        holdfast.Amount
	overflow          bool
}

func (s *storeSum) add(r BillRow) {
	switch {
	case r.Refund:
		s.refunds++
		s.plus(&s.refunded, r.Received)
	case r.Business == "":
		s.payments++
		s.plus(&s.paid, r.Received)
	default:
		s.plus(&s.paid, r.Received) // by a payment that is counted already
	}
	s.plus(&s.total, r.Total)
	s.plus(&s.fee, r.Fee)
	s.plus(&s.share, r.Share)
}

func (s *storeSum) plus(to *holdfast.Amount, by holdfast.Amount) {
	sum, ok := to.Add(by)
	s.overflow = s.overflow || !ok
	*to = sum
}

func (s *storeSum) write(f *billFile) {
	received, ok := s.paid.Add(s.refunded)
	net, fine := received.Add(s.fee)
	last, good := net.Add(s.share)
	if s.overflow || !ok || !fine || !good {
		f.fail(fmt.Errorf("the sums of store %.32q do not fit into an amount", s.id))
	}
	f.digits(s.id)
	f.cell(s.name)
	f.cell(fmt.Sprint(s.payments))
	f.cell(fmt.Sprint(s.refunds))
	for _, amount := range []holdfast.Amount{s.total, received, 0, 0, 0, s.fee, s.share, last} {
		f.cell(Yuan(amount))
	}
	f.line()
}

// billFile writes lines of CSV in GBK. The first error stays.
type billFile struct {
	w     *bufio.Writer
	gbk   *encoding.Encoder
	err   error
	first bool
}

func (b TradeBill) file(archive *zip.Writer, suffix string) (*billFile, error) {
	name, err := simplifiedchinese.GBK.NewEncoder().String(b.stem() + suffix)
	if err != nil {
		return nil, err
	}
	w, err := archive.CreateHeader(&zip.FileHeader{Name: name, NonUTF8: true, Method: zip.Deflate, Modified: b.Made.In(gmt8)})
	if err != nil {
		return nil, err
	}
	return &billFile{w: bufio.NewWriterSize(w, 32<<10), gbk: simplifiedchinese.GBK.NewEncoder(), first: true}, nil
}

func (f *billFile) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

func (f *billFile) comment(text string) {
	f.write(text)
	f.line()
}

// digits is a cell that a spreadsheet must not take for a number: it ends with a tab.
func (f *billFile) digits(text string) {
	if text != "" {
		text += "\t"
	}
	f.cell(text)
}

var oneLine = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ")

// cell writes one value, in quotes where it has to be. Line breaks become blanks: readers of bills go by lines.
func (f *billFile) cell(text string) {
	if !f.first {
		f.write(",")
	}
	f.first = false
	text = oneLine.Replace(text)
	if strings.ContainsAny(text, `",`) {
		text = `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
	}
	f.write(text)
}

// words writes a text that somebody has chosen. One that a spreadsheet would take for a formula is kept from that.
func (f *billFile) words(text string) {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		text = "'" + text
	}
	f.cell(text)
}

func (f *billFile) line() {
	f.first = true
	f.write("\r\n")
}

// write encodes; what GBK does not have (emoji) becomes a question mark.
func (f *billFile) write(text string) {
	encoded := text
	if !ascii(text) {
		var err error
		if encoded, err = f.gbk.String(text); err != nil {
			encoded = f.replaced(text)
		}
	}
	if _, err := f.w.WriteString(encoded); err != nil {
		f.fail(err)
	}
}

func ascii(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func (f *billFile) replaced(text string) string {
	var b strings.Builder
	for _, r := range text {
		one, err := f.gbk.String(string(r))
		if err != nil {
			one = "?"
		}
		b.WriteString(one)
	}
	return b.String()
}

func (f *billFile) end() error {
	if err := f.w.Flush(); err != nil {
		f.fail(err)
	}
	return f.err
}
