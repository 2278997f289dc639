package pay

import (
	"context"
	"strings"

	"holdfast"
)

// Line is a receipt with its name, by which it is found again: it sorts the latest first.
type Line struct {
	Name string
	Receipt
}

// receiptName is the length of the name of a receipt: two numbers of 16 hexadecimal digits, and a dash.
const receiptName = 33

// LineName reports whether a text can be the name of a receipt.
func LineName(name string) bool {
	return len(name) == receiptName && name[16] == '-' && strings.Trim(name[:16]+name[17:], "0123456789abcdef") == ""
}

// Lines lists up to max receipts of an owner, latest first, from the one after the name on ("": from the latest). next is the name to go on
// after; "": that was all.
func (c *Cashier) Lines(ctx context.Context, o holdfast.Owner, after string, max int) (list []Line, next string, err error) {
	prefix := keyOf(o, kindReceipt, "")
	if after != "" {
		after = prefix + after
	}
	records, err := c.Books.Records(ctx, prefix, after, max+1)
	if err != nil {
		return nil, "", &Unavailable{Err: err}
	}
	for i := range records {
		if i == max {
			return list, list[max-1].Name, nil
		}
		l := Line{Name: strings.TrimPrefix(records[i].Key, prefix)}
		if err := unpack(records[i].Key, records[i].Body, &l.Receipt); err != nil {
			return nil, "", &Unavailable{Err: err}
		}
		l.Undecided = records[i].Pending != nil
		list = append(list, l)
	}
	return list, "", nil
}

// Line returns one receipt of an owner; found is false when there is none of that name.
func (c *Cashier) Line(ctx context.Context, o holdfast.Owner, name string) (l Line, found bool, err error) {
	l.Name = name
	if !LineName(name) {
		return l, false, nil
	}
	version, err := c.load(ctx, keyOf(o, kindReceipt, name), &l.Receipt)
	if err == errUnderWay {
		l.Undecided, err = true, nil
	}
	return l, version > 0, err
}

var receiptNames = [...]string{
	"", "paid", "refunded", "frozen", "unfrozen", "paid-frozen", "sent", "received", "topped-up", "withdrawn", "withdrawal-returned", "share", "not-paid", "share-missed", "top-up-expired",
}

// String names the kind.
func (k ReceiptKind) String() string {
	if int(k) < len(receiptNames) {
		return receiptNames[k]
	}
	return "invalid"
}

// WalletState is what the record of one wallet says.
type WalletState struct {
	Asset holdfast.Asset
	Usage
}

// maxWallets bounds the list of the wallets of one customer.
const maxWallets = 1000

// Wallets lists the wallets of a customer, in the order of their currencies. What a payment under way counts is counted.
func (c *Cashier) Wallets(ctx context.Context, o holdfast.Owner, now holdfast.Time) (list []WalletState, err error) {
	prefix := keyOf(o, kindWallet, "")
	records, err := c.Books.Records(ctx, prefix, "", maxWallets)
	if err != nil {
		return nil, &Unavailable{Err: err}
	}
	for i := range records {
		var w WalletState
		if err := unpack(records[i].Key, records[i].Body, &w.Usage); err != nil {
			return nil, &Unavailable{Err: err}
		}
		if w.Asset, err = holdfast.ParseAsset(strings.TrimPrefix(records[i].Key, prefix)); err != nil {
			return nil, &Unavailable{Err: err}
		}
		w.Usage.turn(c, now)
		list = append(list, w)
	}
	return list, nil
}

// WalletNow is WalletUsage with what counts against the limits now: nothing of a day or month that is over.
func (c *Cashier) WalletNow(ctx context.Context, o holdfast.Owner, asset holdfast.Asset, now holdfast.Time) (WalletState, error) {
	w := WalletState{Asset: asset}
	_, err := c.must(ctx, keyOf(o, kindWallet, asset.String()), &w.Usage, refuse(WalletMissing, "asset"))
	if err == errUnderWay {
		err = nil
	}
	w.Usage.turn(c, now)
	return w, err
}

// turn drops what was spent in a day or month that is over.
func (v *Usage) turn(c *Cashier, now holdfast.Time) {
	year, month, day := now.Std().In(c.Day).Date()
	today := int32(year*10000 + int(month)*100 + day)
	if v.Day != today {
		v.Day, v.SpentDay = today, 0
	}
	if v.Month != today/100 {
		v.Month, v.SpentMon = today/100, 0
	}
}
