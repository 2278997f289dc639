package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
)

func (a *api) settlementRoutes(r *router) {
	add[settleDayIn, jsonOut[settlementsBody]](r, operation{
		name: "settle", method: post, path: "/v1/settlements", tag: tagTrades, summary: "Settle a day of a merchant now",
		text: "The platform does it by itself, some minutes after the end of the day in the merchant's time zone: this is for a day that it has not come to. " +
			"The day is closed, its rows are counted, and what was earned is sent to his bank, in one payout for each currency. Asking again pays nothing twice and answers the same.",
		action: guard.MoveMoney, handle: a.atTill(postSettlement),
	})
	add[settlementsIn, jsonOut[settlementsBody]](r, operation{
		name: "find-settlements", method: get, path: "/v1/settlements", tag: tagTrades, summary: "Page through what the days of a merchant came to, oldest first",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getSettlements),
	})
	add[settlementIn, jsonOut[settlementsBody]](r, operation{
		name: "read-settlement", method: get, path: "/v1/settlements/{merchant}/{day}", tag: tagTrades, summary: "Read what a day of a merchant came to, by currency",
		text:   "An empty list means that the day has not been settled, or that there was nothing on it.",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getSettlement),
	})
	add[settlementIn, jsonOut[string]](r, operation{
		name: "read-statement-file", method: get, path: "/v1/settlements/{merchant}/{day}/statement", tag: tagTrades, summary: "Read the statement of a day of a merchant, as CSV",
		text: "RFC 4180, UTF-8; times in the merchant's zone, amounts in minor units. The last rows, of the kind total, have the sums of each currency: a file without them was cut off. " +
			"That of a day that has been settled never changes. One with very many rows takes longer than requests usually do: send X-Deadline-Ms.",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getStatementFile),
	})
	r.answersWith("/v1/settlements/{merchant}/{day}/statement", csvType)
}

type settleDayIn struct {
	NumberIn
	Body settleDayBody
}

type settleDayBody struct {
	Merchant string `json:"merchant" doc:"16 digits" example:"2088000000010420"`
	Day      string `json:"day" doc:"Of his time zone, from 1971-01-01 to 2200-12-31; one that is over" example:"2026-11-27"`
}

var settleDayMembers = []string{"merchant", "day"}

type settlementsIn struct {
	MerchantIn
	From string `query:"from" doc:"The first day, of his time zone; from the first one that was settled if left out. Not together with cursor" example:"2026-11-01"`
	PageIn
}

type settlementIn struct {
	Merchant string `path:"merchant" doc:"16 digits" example:"2088000000010420"`
	Day      string `path:"day" doc:"Of his time zone" example:"2026-11-27"`
	DeadlineIn
}

// SettlementBody is what a day of a merchant came to in one currency.
type SettlementBody struct {
	Merchant string `json:"merchant" doc:"16 digits"`
	Day      string `json:"day" doc:"Of his time zone" example:"2026-11-27"`
	Asset    string `json:"asset" example:"CNY"`
	Payments uint32 `json:"payments" format:"int64" doc:"How many"`
	Paid     int64  `json:"paid" doc:"By buyers, fees included; of trades under escrow what was released; in minor units, as all of these"`
	Fees     int64  `json:"fees" doc:"Taken, less given back"`
	Refunds  uint32 `json:"refunds" format:"int64" doc:"How many"`
	Refunded int64  `json:"refunded"`
	Other    int64  `json:"other" doc:"Shares, transfers, returned payouts: what came less what went"`
	Net      int64  `json:"net" doc:"What the day did to the balance for settlement"`
	Carried  int64  `json:"carried" doc:"Left over from the days before"`
	Payout   int64  `json:"payout" doc:"Sent to the merchant's bank; 0: nothing to pay"`
	Order    string `json:"order,omitempty" doc:"Number of the payout"`
	Settled  string `json:"settled" format:"date-time" doc:"When"`
}

type settlementsBody struct {
	Settlements []SettlementBody `json:"settlements"`
	Next        string           `json:"next,omitempty" doc:"Cursor of the next page; left out on the last one"`
}

func settlementBodyOf(o holdfast.Owner, v *pay.Settled) SettlementBody {
	return SettlementBody{
		Merchant: o.String(), Day: v.Day, Asset: v.Asset.String(), Payments: v.Payments, Paid: int64(v.Paid), Fees: int64(v.Fees), Refunds: v.Refunds,
		Refunded: int64(v.Refunded), Other: int64(v.Other), Net: int64(v.Net), Carried: int64(v.Carried), Payout: int64(v.Payout), Order: v.Order,
		Settled: v.At.String(),
	}
}

func (t *till) sendSettlements(o holdfast.Owner, list []pay.Settled, next string) error {
	body := settlementsBody{Settlements: []SettlementBody{}, Next: next}
	for i := range list {
		body.Settlements = append(body.Settlements, settlementBodyOf(o, &list[i]))
	}
	return t.x.sendJSON(http.StatusOK, body)
}

func postSettlement(ctx context.Context, t *till) error {
	var o holdfast.Owner
	var day string
	err := t.x.object(settleDayMembers, func(s *scanner, name string) {
		switch name {
		case "merchant":
			o = s.owner()
		case "day":
			day = s.string(maxName)
		}
	})
	if err != nil {
		return err
	}
	if o, err = t.bodyMerchant(o); err != nil {
		return err
	}
	t.wrote = true // the day may be closed when counting it fails
	list, err := t.Settle(ctx, o, day, t.at)
	if err != nil {
		return err
	}
	t.ordered()
	return t.sendSettlements(o, list, "")
}

func getSettlements(ctx context.Context, t *till) error {
	after, limit, err := t.x.page()
	if err != nil {
		return err
	}
	o, err := t.queryMerchant()
	if err != nil {
		return err
	}
	if from := t.x.query.get("from"); from != "" {
		if _, err := time.Parse(time.DateOnly, from); err != nil || after != "" {
			return edgeMalformed.field("from", "name the first day, for example 2026-11-01; a page after the first one is asked for by its cursor alone")
		}
		after = from // stands before all that is of the day
	}
	list, next, err := t.Settlements(ctx, o, after, limit)
	if err != nil {
		return err
	}
	return t.sendSettlements(o, list, next)
}

func getSettlement(ctx context.Context, t *till) error {
	o, err := t.pathMerchant("merchant")
	if err != nil {
		return err
	}
	list, err := t.SettledDay(ctx, o, t.x.r.PathValue("day"))
	if err != nil {
		return err
	}
	return t.sendSettlements(o, list, "")
}

const csvType = "text/csv; charset=utf-8"

// answersWith documents that what an operation reads is a text of this type.
func (r *router) answersWith(path, contentType string) {
	r.doc.OpenAPI().Paths[path].Get.Responses["200"].Content = map[string]*huma.MediaType{contentType: {Schema: &huma.Schema{Type: huma.TypeString}}}
}

func getStatementFile(ctx context.Context, t *till) error {
	o, err := t.pathMerchant("merchant")
	if err != nil {
		return err
	}
	f := longAnswer{x: t.x, contentType: csvType}
	if err := t.StatementFile(ctx, o, t.x.r.PathValue("day"), &f); err != nil {
		return f.broken(err)
	}
	return f.end()
}

// longAnswer collects an answer. One that becomes too long to be kept is sent while it is written, with neither length nor signature: then an error
// can only be told by breaking the connection off.
type longAnswer struct {
	x           *exchange
	contentType string
	begun       bool
}

// maxKept is the longest answer that is kept whole, in bytes.
const maxKept = 1 << 20

// Write implements io.Writer.
func (f *longAnswer) Write(b []byte) (int, error) {
	if f.x.out = append(f.x.out, b...); len(f.x.out) < maxKept {
		return len(b), nil
	}
	return len(b), f.flush()
}

func (f *longAnswer) flush() error {
	if !f.begun {
		f.begun, f.x.status = true, http.StatusOK
		f.x.w.Header()["Content-Type"] = []string{f.contentType}
		f.x.w.WriteHeader(http.StatusOK)
	}
	_, err := f.x.w.Write(f.x.out)
	f.x.out = f.x.out[:0]
	return err
}

func (f *longAnswer) end() error {
	if f.begun {
		return f.flush()
	}
	return f.x.sendRaw(http.StatusOK, f.contentType)
}

// broken is what becomes of an error: a problem document, or the end of the connection.
func (f *longAnswer) broken(err error) error {
	if f.begun {
		_ = http.NewResponseController(f.x.w).SetWriteDeadline(time.Unix(1, 0)) // what cannot be cut off ends without its totals
	}
	f.x.out = f.x.out[:0]
	return err
}
