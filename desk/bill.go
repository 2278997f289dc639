package desk

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast"
	"holdfast/alipay"
	"holdfast/pay"
)

const (
	billLife  = 30 * time.Second // of an address
	billTime  = 10 * time.Minute // for writing one bill
	billYears = 6
	maxBills  = 4 // are written at once; more are told to come again
	billPath  = "/bills/"
)

// BillURL implements alipay.Desk. A bill can be had as soon as no row of its days can come any more, a few minutes after midnight.
func (d *Desk) BillURL(ctx context.Context, who alipay.Caller, r alipay.BillURLRequest) (a alipay.BillURLAnswer, err error) {
	if r.Type != "trade" || r.SubMerchant != "" {
		return a, refusal("TYPE_NOT_SUPPORTED")
	}
	b := span(who.Merchant, r.Day, r.Monthly)
	now := at(who)
	if now < holdfast.TimeOf(b.To)+holdfast.Time(pay.SettleLag) || r.Day.Before(who.Now.AddDate(-billYears, 0, -1)) {
		return a, refusal("BILL_NOT_EXIST")
	}
	m, err := d.cashier.Merchant(ctx, who.Merchant)
	switch {
	case err != nil:
		return a, sending.tell(err)
	case m.Registered >= holdfast.TimeOf(b.To):
		return a, refusal("BILL_DATE_BEFORE_REGISTRATION")
	}
	a.Empty = true
	for _, err := range d.rows(ctx, b) {
		if err != nil {
			return a, err
		}
		a.Empty = false
		break
	}
	until := who.Now.Add(billLife).Unix()
	a.URL = fmt.Sprintf("%s%s%s?until=%d&sign=%s", d.public, billPath, b.FileName(), until, d.billSign(b.FileName(), until))
	return a, nil
}

// span is the head of a bill.
func span(merchant holdfast.Owner, day time.Time, monthly bool) alipay.TradeBill {
	b := alipay.TradeBill{Merchant: merchant, From: day, To: day.AddDate(0, 0, 1)}
	if monthly {
		b.To = day.AddDate(0, 1, 0)
	}
	return b
}

func (d *Desk) billSign(name string, until int64) string {
	h := hmac.New(sha256.New, d.billKey)
	fmt.Fprintf(h, "%s %d", name, until)
	return hex.EncodeToString(h.Sum(nil))
}

// billed are the events that are rows of a bill: all that change the settlement account because of a trade.
var billed = []pay.EventKind{pay.EventPaid, pay.EventRefunded, pay.EventReleased, pay.EventSplit, pay.EventSplitFinished, pay.EventShareBack}

// rows are the rows of a bill.
func (d *Desk) rows(ctx context.Context, b alipay.TradeBill) iter.Seq2[alipay.BillRow, error] {
	stores := map[string]string{}
	return func(yield func(alipay.BillRow, error) bool) {
		for e, err := range d.cashier.EachRow(ctx, b.Merchant, holdfast.TimeOf(b.From), holdfast.TimeOf(b.To)) {
			if err != nil {
				yield(alipay.BillRow{}, err)
				return
			}
			if e.Asset != cny || !slices.Contains(billed, e.Kind) {
				continue
			}
			row := billRow(e)
			if row.StoreName, err = d.billStore(ctx, b.Merchant, e.Shop, stores); err != nil {
				yield(row, err)
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// billRow is the row of an event. What the merchant received is counted where he received it: money that the platform keeps, for the buyer's
// protection or for shares, is so when it is released or given on. Received, fee and share are the event's effect, so that bills and settlements agree.
func billRow(e *pay.Event) alipay.BillRow {
	row := alipay.BillRow{
		TradeNo: e.TradeNo, OutTradeNo: e.OutTradeNo, Subject: e.Subject, Created: clocked(e.Created), Finished: clocked(e.Time),
		Place: alipay.Place{Store: e.Shop, Terminal: e.Till, Operator: e.Clerk}, Buyer: masked(e.Other), Received: e.Effect + e.Fee, Fee: -e.Fee,
	}
	switch e.Kind {
	case pay.EventPaid:
		row.Total = e.Amount
	case pay.EventRefunded:
		row.Refund, row.RequestNo, row.Total = true, e.Known(), -e.Amount
	case pay.EventReleased:
		row.Business = alipay.Releasing
	case pay.EventSplit:
		row.Business, row.RequestNo = alipay.Sharing, e.Number
		row.Received, row.Share = row.Received+e.Amount, -e.Amount
	case pay.EventShareBack: // the opposite of a part of that one
		row.Business, row.RequestNo = alipay.Sharing, e.Number
		row.Received, row.Share = row.Received-e.Amount, e.Amount
	default:
		row.Business, row.RequestNo = alipay.Sharing, e.Number
	}
	return row
}

// billStore finds the name of a store, once for each bill. A merchant may name stores that he has not registered.
func (d *Desk) billStore(ctx context.Context, merchant holdfast.Owner, id string, known map[string]string) (string, error) {
	if id == "" {
		return "", nil
	}
	name, had := known[id]
	if had {
		return name, nil
	}
	s, err := d.cashier.Shop(ctx, merchant, id, "")
	if err != nil && why(err) == "" {
		return "", err
	}
	known[id] = s.Name
	return s.Name, nil
}

// BillHandler serves bills below /bills/, at the addresses that were given out less than 30 seconds ago.
func (d *Desk) BillHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "fetch a bill with GET", http.StatusMethodNotAllowed)
			return
		}
		name, until := strings.TrimPrefix(r.URL.Path, billPath), r.URL.Query().Get("until")
		b, ok := billNamed(name)
		seconds, err := strconv.ParseInt(until, 10, 64)
		now := d.clock()
		if !ok || err != nil || !hmac.Equal([]byte(d.billSign(name, seconds)), []byte(r.URL.Query().Get("sign"))) {
			http.Error(w, "no such bill: ask the gateway for its address", http.StatusForbidden)
			return
		}
		if now.Unix() > seconds {
			http.Error(w, "the address is too old: ask the gateway for a new one", http.StatusGone)
			return
		}
		select {
		case d.bills <- struct{}{}:
			defer func() { <-d.bills }()
		default:
			w.Header().Set("Retry-After", "5")
			http.Error(w, "too many bills at once: come again in a few seconds", http.StatusServiceUnavailable)
			return
		}
		b.Made = now
		d.writeBill(w, r, b)
	})
}

// billNamed reads the name of an archive.
func billNamed(name string) (b alipay.TradeBill, ok bool) {
	stem, ok := strings.CutSuffix(name, ".csv.zip")
	if !ok {
		return b, false
	}
	number, day, ok := strings.Cut(stem, "_")
	if !ok {
		return b, false
	}
	merchant, err := holdfast.ParseOwner(number)
	layout := "20060102"
	if len(day) == len("200601") {
		layout = "200601"
	}
	from, bad := time.ParseInLocation(layout, day, gmt8)
	return span(merchant, from, layout == "200601"), err == nil && bad == nil
}

// writeBill writes the archive as its rows are read. When they end early the connection is cut, so that nobody takes what he has for a bill.
func (d *Desk) writeBill(w http.ResponseWriter, r *http.Request, b alipay.TradeBill) {
	ctx, cancel := context.WithTimeout(r.Context(), billTime)
	defer cancel()
	control := http.NewResponseController(w) // a recorder in a test has no deadlines
	_ = control.SetWriteDeadline(time.Now().Add(billTime))
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", `attachment; filename="`+b.FileName()+`"`)
	if r.Method == http.MethodHead {
		return
	}
	if err := b.Write(w, d.rows(ctx, b)); err != nil {
		d.logger.Warn("a bill was not written to its end", "merchant", b.Merchant, "error", err)
		panic(http.ErrAbortHandler)
	}
}
