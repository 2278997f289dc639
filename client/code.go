package client

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"holdfast"
)

// PaymentCode is what a phone shows at a time, so that a shop can take a payment: 18 digits, "28", the eight digits of the customer's
// sequence, and eight digits of a time-based one-time password (RFC 6238) with HMAC-SHA-256 and steps of a minute. It needs no network. The
// secret is that of [Client.AddDevice]; a code is good for one payment, within about a minute of the one that it is shown in.
func PaymentCode(owner holdfast.Owner, secret []byte, at time.Time) string {
	var step [8]byte
	binary.BigEndian.PutUint64(step[:], uint64(at.Unix())/60)
	h := hmac.New(sha256.New, secret)
	h.Write(step[:])
	sum := h.Sum(nil)
	from := sum[len(sum)-1] & 0x0f // RFC 4226 section 5.3
	digits := binary.BigEndian.Uint32(sum[from:]) & 0x7fffffff % 100_000_000
	return fmt.Sprintf("28%08d%08d", owner.Sequence(), digits)
}

// DrawPaymentCode is a picture of a payment code as an SVG, for an app that does not draw: its QR code, or its bar code (Code 128).
func (c *Client) DrawPaymentCode(ctx context.Context, code string, bars bool) (svg []byte, err error) {
	as := "qr"
	if bars {
		as = "bar"
	}
	body, err := json.Marshal(map[string]string{"code": code, "as": as})
	if err != nil {
		return nil, err
	}
	q := &request{method: http.MethodPost, path: "/v1/payment-codes/picture", key: c.NewID().String(), body: body, pace: pacePay}
	a, _, err := c.do(ctx, q)
	if err != nil {
		return nil, err
	}
	if a.problem || a.status >= http.StatusBadRequest {
		return nil, problemError(&a)
	}
	return a.body, nil
}
