package httpapi

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
)

// sellerRoutes are all operations of merchants.
func (a *api) sellerRoutes(r *router) {
	a.merchantRoutes(r)
	a.appRoutes(r)
	a.mandateRoutes(r)
	a.shopRoutes(r)
	a.merchantKeyRoutes(r)
	a.tradeRoutes(r)
	a.refundRoutes(r)
	a.escrowRoutes(r)
	a.authorisationRoutes(r)
	a.settlementRoutes(r)
	a.eventRoutes(r)
	a.webhookRoutes(r)
	a.reconciliationRoutes(r)
	a.doubtfulRoutes(r)
	a.bankRoutes(r)
	a.paymentAuditRoutes(r)
}

func (a *api) merchantRoutes(r *router) {
	add[registerMerchantIn, jsonOut[merchantBody]](r, operation{
		name: "register-merchant", method: post, path: "/v1/merchants", tag: tagMerchants, summary: "Register a merchant",
		text:   "With accounts in some currencies. The id is one from POST /v1/owners. The same particulars again are harmless; others are refused, and changed one by one.",
		action: guard.ManageMerchants, ok: created, handle: a.atTill(postMerchant),
	})
	add[merchantIn, jsonOut[merchantBody]](r, operation{
		name: "read-merchant", method: get, path: "/v1/merchants/{id}", tag: tagMerchants, summary: "Read a merchant",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getMerchant),
	})
	add[merchantFeeIn, jsonOut[merchantBody]](r, operation{
		name: "set-merchant-fee", method: post, path: "/v1/merchants/{id}/fee", tag: tagMerchants, summary: "Change what the platform takes of his payments",
		text:   "Trades keep the fee that they were made with. " + againDone,
		action: guard.ManageMerchants, handle: a.atTill(postMerchantFee),
	})
	add[merchantBlockIn, jsonOut[merchantBody]](r, operation{
		name: "block-merchant", method: post, path: "/v1/merchants/{id}/block", tag: tagMerchants, summary: "Say whether a merchant can make new trades",
		text:   "Trades that there are go on. " + againDone,
		action: guard.RestrictPayments, handle: a.atTill(postMerchantBlock),
	})
	add[merchantCurrencyIn, jsonOut[merchantBalanceBody]](r, operation{
		name: "open-merchant-currency", method: post, path: "/v1/merchants/{id}/currencies", tag: tagMerchants, summary: "Let a merchant take one more currency",
		text:   "Answers with his balance in it. " + againDone,
		action: guard.ManageMerchants, handle: a.atTill(postMerchantCurrency),
	})
	add[merchantBalanceIn, jsonOut[merchantBalanceBody]](r, operation{
		name: "read-merchant-balance", method: get, path: "/v1/merchants/{id}/balances/{asset}", tag: tagMerchants, summary: "Read the money of a merchant in one currency",
		text:   "Each sum is as it stands when it is read, one after the other.",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getMerchantBalance),
	})
}

type registerMerchantIn struct {
	NumberIn
	Body registerMerchantBody
}

// FeeBody is what the platform takes of a payment.
type FeeBody struct {
	BasisPoints uint32 `json:"basis_points" maximum:"10000" doc:"Of ten thousand of the amount, rounded half up to the minor unit"`
	Fixed       int64  `json:"fixed,omitempty" minimum:"0" doc:"Minor units on top; never more than the amount is taken"`
}

type registerMerchantBody struct {
	ID         string   `json:"id" doc:"16 digits: from POST /v1/owners" example:"2088000000010420"`
	Name       string   `json:"name" doc:"At most 128 bytes"`
	Zone       string   `json:"zone" doc:"IANA name of his time zone, which says when his days end, for ever" example:"Asia/Shanghai"`
	Assets     []string `json:"assets,omitempty" maxItems:"16" doc:"Currencies that he takes"`
	Fee        *FeeBody `json:"fee,omitempty" doc:"Nothing if left out"`
	Payee      string   `json:"payee,omitempty" doc:"Where his money is paid out to: the name that the bank's connector has for his account, nothing personal; at most 128 bytes"`
	RefundDays uint32   `json:"refund_days,omitempty" format:"int64" doc:"Days after a payment in which it can be refunded; 365 if left out"`
}

var (
	registerMerchantMembers = []string{"id", "name", "zone", "assets", "fee", "payee", "refund_days"}
	feeMembers              = []string{"basis_points", "fixed"}
	blockMembers            = []string{"blocked"}
	currencyMembers         = []string{"asset"}
)

type merchantFeeIn struct {
	NumberIn
	PathOwner
	Body FeeBody
}

type merchantBlockIn struct {
	NumberIn
	PathOwner
	Body merchantBlockBody
}

type merchantBlockBody struct {
	Blocked bool `json:"blocked"`
}

type merchantCurrencyIn struct {
	NumberIn
	PathOwner
	Body merchantCurrencyBody
}

type merchantCurrencyBody struct {
	Asset string `json:"asset" example:"CNY"`
}

type merchantBalanceIn struct {
	PathOwner
	Asset string `path:"asset" example:"CNY"`
	DeadlineIn
}

type merchantBody struct {
	ID         string  `json:"id" doc:"16 digits" example:"2088000000010420"`
	Name       string  `json:"name"`
	Zone       string  `json:"zone" example:"Asia/Shanghai"`
	Fee        FeeBody `json:"fee"`
	Payee      string  `json:"payee,omitempty"`
	RefundDays uint32  `json:"refund_days" format:"int64"`
	Blocked    bool    `json:"blocked" doc:"He can make no new trades, transfers and splits; what he has earned is settled to his bank account all the same"`
	Registered string  `json:"registered" format:"date-time"`
}

type merchantBalanceBody struct {
	Asset      string `json:"asset" example:"CNY"`
	Settlement int64  `json:"settlement" doc:"Earned, and paid out by the next settlement; in minor units, as all of these"`
	Escrow     int64  `json:"escrow" doc:"Paid, and kept until buyers confirm"`
	Royalty    int64  `json:"royalty" doc:"Paid, and kept until it has been split"`
	Outgoing   int64  `json:"outgoing" doc:"On its way to his bank"`
	Fees       int64  `json:"fees" doc:"What the platform has taken of his payments"`
}

func merchantBodyOf(o holdfast.Owner, v *pay.Merchant) merchantBody {
	return merchantBody{
		ID: o.String(), Name: v.Name, Zone: v.Zone, Fee: FeeBody{v.Fee.BasisPoints, int64(v.Fee.Fixed)}, Payee: v.Payee, RefundDays: v.RefundDays,
		Blocked: v.Blocked, Registered: v.Registered.String(),
	}
}

// fee reads a fee plan.
func (s *scanner) fee() (v pay.FeePlan) {
	for name := range s.members(feeMembers) {
		switch name {
		case "basis_points":
			v.BasisPoints = uint32(s.integer(0, 10000))
		case "fixed":
			v.Fixed = s.amount()
		}
	}
	return v
}

func (x *exchange) readMerchant() (ask pay.MerchantAsk, err error) {
	err = x.object(registerMerchantMembers, func(s *scanner, name string) {
		switch name {
		case "id":
			ask.Owner = s.owner()
		case "name":
			ask.Name = s.words()
		case "zone":
			ask.Zone = s.words()
		case "assets":
			for range s.elements(maxList) {
				ask.Assets = append(ask.Assets, s.asset())
			}
		case "fee":
			ask.Fee = s.fee()
		case "payee":
			ask.Payee = s.words()
		case "refund_days":
			ask.RefundDays = uint32(s.integer(0, maxRefundDays))
		}
	})
	return ask, err
}

// maxRefundDays is a hundred years: nobody refunds later.
const maxRefundDays = 36500

func postMerchant(ctx context.Context, t *till) error {
	ask, err := t.x.readMerchant()
	if err != nil {
		return err
	}
	v, err := t.RegisterMerchant(ctx, ask, t.at)
	if err != nil {
		return renamed(err, "owner", "id")
	}
	return t.x.sendJSON(t.madeNow(v.Registered), merchantBodyOf(ask.Owner, &v))
}

func getMerchant(ctx context.Context, t *till) error {
	o, err := t.pathMerchant("id")
	if err != nil {
		return err
	}
	return t.sendMerchant(ctx, o)
}

func (t *till) sendMerchant(ctx context.Context, o holdfast.Owner) error {
	v, err := t.Merchant(ctx, o)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, merchantBodyOf(o, &v))
}

func postMerchantFee(ctx context.Context, t *till) error {
	text, err := t.x.body()
	if err != nil {
		return err
	}
	s := newScanner(text)
	fee := s.fee()
	if err := s.end(); err != nil {
		return err
	}
	o, err := t.x.pathOwner("id")
	if err != nil {
		return err
	}
	if err := t.did(t.SetFee(ctx, o, fee, t.at)); err != nil {
		return err
	}
	return t.sendMerchant(ctx, o)
}

func postMerchantBlock(ctx context.Context, t *till) error {
	blocked, given := false, false
	err := t.x.object(blockMembers, func(s *scanner, _ string) { given, blocked = true, s.boolean() })
	if err != nil {
		return err
	}
	if !given {
		return edgeMalformed.field("blocked", "say true or false")
	}
	o, err := t.x.pathOwner("id")
	if err != nil {
		return err
	}
	if err := t.did(t.BlockMerchant(ctx, o, blocked, t.at)); err != nil {
		return err
	}
	return t.sendMerchant(ctx, o)
}

func postMerchantCurrency(ctx context.Context, t *till) error {
	var asset holdfast.Asset
	err := t.x.object(currencyMembers, func(s *scanner, _ string) { asset = s.asset() })
	if err != nil {
		return err
	}
	if !asset.Valid() {
		return edgeMalformed.field("asset", "name the currency, for example CNY")
	}
	o, err := t.x.pathOwner("id")
	if err != nil {
		return err
	}
	if err := t.did(t.OpenCurrency(ctx, o, asset, t.at)); err != nil {
		return err
	}
	return t.sendMerchantBalance(ctx, o, asset)
}

func getMerchantBalance(ctx context.Context, t *till) error {
	o, err := t.pathMerchant("id")
	if err != nil {
		return err
	}
	asset, err := t.x.pathAsset("asset")
	if err != nil {
		return err
	}
	return t.sendMerchantBalance(ctx, o, asset)
}

func (t *till) sendMerchantBalance(ctx context.Context, o holdfast.Owner, asset holdfast.Asset) error {
	b, err := t.MerchantBalance(ctx, o, asset)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, merchantBalanceBody{
		Asset: asset.String(), Settlement: int64(b.Settlement), Escrow: int64(b.Escrow), Royalty: int64(b.Royalty), Outgoing: int64(b.Outgoing), Fees: int64(b.Fees),
	})
}

// readPublicKey reads an RSA key as merchants have it: PEM, or the base64 of its DER alone, as the key tools for Alipay's SDKs write it.
func readPublicKey(text string) (der []byte, err error) {
	if block, _ := pem.Decode([]byte(text)); block != nil {
		der = block.Bytes
	} else if der, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err != nil {
		return nil, errNoPublicKey
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		if key, err = x509.ParsePKCS1PublicKey(der); err != nil {
			return nil, errNoPublicKey
		}
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok || public.N.BitLen() < 2048 || public.N.BitLen() > 4096 {
		return nil, errNoPublicKey
	}
	return x509.MarshalPKIXPublicKey(public)
}

var errNoPublicKey = errors.New("this is no public RSA key of 2048 to 4096 bits: send it as PEM, or as the base64 of its DER")

func publicKeyText(der string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte(der)}))
}
