package desk

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"holdfast"
	"holdfast/alipay"
	"holdfast/pay"
)

// Settle implements alipay.Trades. Synchronous and asynchronous splits are done alike: at once. It is answered as done when the money of all shares is set
// aside, by this request or by the same one before: what a receiver cannot take now is paid later, or comes back, and nobody has to ask for that.
func (d *Desk) Settle(ctx context.Context, who alipay.Caller, r alipay.SettleRequest) (a alipay.SettleAnswer, err error) {
	n, err := d.toChange(ctx, who, alipay.TradeRef{TradeNo: r.TradeNo})
	if err != nil {
		return a, settling.tell(err)
	}
	ask := pay.SplitAsk{Merchant: who.Merchant, OutTradeNo: n, Number: r.RequestNo, Finish: r.Finish}
	if ask.Shares, err = d.shares(ctx, who, n, r.Shares); err != nil {
		return a, settling.tell(err)
	}
	if _, _, err = d.cashier.Split(ctx, ask, at(who)); err != nil {
		return a, settling.tell(err)
	}
	return alipay.SettleAnswer{TradeNo: r.TradeNo, SettleNo: settleNo(r.TradeNo, r.RequestNo)}, nil
}

// shares finds the receivers. A percentage is one of the trade's amount, rounded down: it does not depend on when it is asked for.
func (d *Desk) shares(ctx context.Context, who alipay.Caller, n string, list []alipay.Share) (shares []pay.Share, err error) {
	total := holdfast.Amount(-1)
	for _, s := range list {
		if err := d.payer(ctx, who, s); err != nil {
			return nil, err
		}
		to, err := d.receiver(ctx, who, s)
		if err != nil {
			return nil, err
		}
		if s.Percent > 0 {
			if total < 0 {
				v, err := d.cashier.Query(ctx, who.Merchant, n, at(who))
				if err != nil {
					return nil, err
				}
				total = v.Amount
			}
			s.Amount = total * holdfast.Amount(s.Percent) / 100
		}
		shares = append(shares, pay.Share{To: to, Amount: s.Amount, Text: s.Desc})
	}
	return shares, nil
}

// accounts are the ways in which shares name accounts.
var accounts = map[string]string{"userId": byNumber, "loginName": byAlias, "openId": byOpenID}

// payer checks that who pays a share is the merchant.
func (d *Desk) payer(ctx context.Context, who alipay.Caller, s alipay.Share) error {
	if s.Type != "transfer" {
		return refusal("ACQ.NOT_SUPPORT_ROYALTY", "交易不支持该分账类型 (royalty_type has to be transfer, or left out)")
	}
	if s.Out == "" {
		return nil
	}
	o, err := d.someone(ctx, who, accounts[s.OutType], s.Out, "ACQ.ROYALTY_ACCOUNT_NOT_EXIST")
	if err == nil && o != who.Merchant {
		err = refusal("ACQ.ROYALTY_ACCOUNT_NOT_EXIST", "分账账户不存在 (trans_out has to be the merchant, or left out)")
	}
	return err
}

func (d *Desk) receiver(ctx context.Context, who alipay.Caller, s alipay.Share) (holdfast.Owner, error) {
	kind, ok := accounts[s.InType]
	if !ok {
		return 0, refusal("ACQ.ROYALTY_RECEIVER_INVALID", "分账收款方无效 (a share goes to a customer or merchant here, not to a card: send trans_in_type userId)")
	}
	o, err := d.someone(ctx, who, kind, s.In, "ACQ.ROYALTY_ACCOUNT_NOT_EXIST")
	if err == nil && o == who.Merchant {
		err = refusal("ACQ.ROYALTY_ACCOUNTS_EQUAL")
	}
	return o, err
}

// settleNo is the platform's number of a split: date and merchant of the trade, and 13 digits of a hash.
func settleNo(tradeNo, request string) string {
	sum := sha256.Sum256([]byte("split " + tradeNo + " " + request))
	return fmt.Sprintf("%s%013d", tradeNo[:19], binary.BigEndian.Uint64(sum[:])%10_000_000_000_000)
}
