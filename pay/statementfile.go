package pay

import (
	"context"
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"

	"holdfast"
)

// StatementColumns are the columns of a [Cashier.StatementFile]. Amounts are in minor units; effect is what the row did to the settlement account, so
// that the sum of all is what the day came to. The last rows, of the kind "total", one for each currency, have the sums.
var StatementColumns = []string{
	"time", "kind", "out_trade_no", "trade_no", "number", "subject", "shop", "till", "asset", "amount", "fee", "refunded", "effect", "payout",
}

// StatementFile writes the statement of a day (2006-01-02) of a merchant as CSV (RFC 4180, UTF-8), with times in his zone. The file of a day that has
// been settled never changes; that of another day may still grow, and its totals have no payout.
func (c *Cashier) StatementFile(ctx context.Context, merchant holdfast.Owner, day string, to io.Writer) error {
	m, err := c.Merchant(ctx, merchant)
	if err != nil {
		return err
	}
	from, until, err := c.DayBounds(m.Zone, day)
	if err != nil {
		return err
	}
	zone, err := c.Zone(m.Zone)
	if err != nil {
		return &Unavailable{Err: err}
	}
	file := csv.NewWriter(to)
	if err := file.Write(StatementColumns); err != nil {
		return err
	}
	var broken error
	err = c.Rows(ctx, merchant, from, until, func(e *Event) {
		if e.Asset != 0 && e.Kind != EventSettled && broken == nil {
			broken = file.Write(statementRow(e, zone))
		}
	})
	if err := first(err, broken); err != nil {
		return err
	}
	totals, err := c.totals(ctx, merchant, day, from, until)
	if err != nil {
		return err
	}
	for i := range totals {
		v := &totals[i]
		err := file.Write([]string{
			day, "total", "", "", v.Order, "", "", "", v.Asset.String(), minor(v.Paid), minor(v.Fees), minor(v.Refunded), minor(v.Net), minor(v.Payout),
		})
		if err != nil {
			return err
		}
	}
	file.Flush()
	return file.Error()
}

// totals are those of the settlement, or of the rows so far.
func (c *Cashier) totals(ctx context.Context, merchant holdfast.Owner, day string, from, until holdfast.Time) ([]Settled, error) {
	list, err := c.SettledDay(ctx, merchant, day)
	if err != nil || len(list) > 0 {
		return list, err
	}
	return c.count(ctx, merchant, from, until)
}

func statementRow(e *Event, zone *time.Location) []string {
	return []string{
		e.Time.Std().In(zone).Format(time.RFC3339), e.Kind.String(), plainCell(e.OutTradeNo), e.TradeNo, plainCell(e.Number), plainCell(e.Subject), plainCell(e.Shop),
		plainCell(e.Till), e.Asset.String(), minor(e.Amount), minor(e.Fee), minor(e.Refunded), minor(e.Effect), "",
	}
}

func minor(a holdfast.Amount) string { return strconv.FormatInt(int64(a), 10) }

// plainCell keeps a text that somebody has chosen from being read as a formula when the file is opened as a table.
func plainCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
