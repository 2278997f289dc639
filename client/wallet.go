package client

import (
	"context"

	"holdfast"
)

// BankDetails are an account of the platform at a bank, to which customers pay to top their wallets up.
type BankDetails struct {
	Bank   string `json:"bank"`
	Number string `json:"number"`
	Holder string `json:"holder"`
}

// TopUps reads a page of the top-ups of a customer, by number; see [Client.Receipts] for cursor and limit.
func (c *Client) TopUps(ctx context.Context, id holdfast.Owner, cursor string, limit int) (list []TopUp, next string, err error) {
	var v struct {
		TopUps []TopUp `json:"top_ups"`
		Next   string  `json:"next"`
	}
	err = c.get(ctx, pathOf("/v1/customers/:id/top-ups", id.String())+paged(cursor, limit), &v)
	return v.TopUps, v.Next, err
}

// Withdrawals reads a page of the withdrawals of a customer, by number; see [Client.Receipts] for cursor and limit. An [Estimate] has only the one that
// is read by itself ([Client.Payout]).
func (c *Client) Withdrawals(ctx context.Context, id holdfast.Owner, cursor string, limit int) (list []Payout, next string, err error) {
	var v struct {
		Payouts []Payout `json:"payouts"`
		Next    string   `json:"next"`
	}
	err = c.get(ctx, pathOf("/v1/customers/:id/withdrawals", id.String())+paged(cursor, limit), &v)
	return v.Payouts, v.Next, err
}

// MerchantName reads what a merchant is called.
func (c *Client) MerchantName(ctx context.Context, merchant holdfast.Owner) (string, error) {
	var v struct {
		Name string `json:"name"`
	}
	err := c.get(ctx, merchantPath(merchant, "/name"), &v)
	return v.Name, err
}

// AddDeviceAs is [Client.AddDevice] under a number of the caller's, a UUID: the same number again gives the same phone with the same secret, so that
// whoever asks again after an answer was lost has one phone and not two. Whoever knows the number and may add phones can read the secret: it is
// to be random, and forgotten.
func (c *Client) AddDeviceAs(ctx context.Context, id holdfast.Owner, number string) (device uint8, secret []byte, err error) {
	var v struct {
		Device uint8  `json:"device"`
		Secret []byte `json:"secret"`
	}
	err = c.orderAs(ctx, pathOf("/v1/customers/:id/devices", id.String()), number, struct{}{}, &v)
	return v.Device, v.Secret, err
}
