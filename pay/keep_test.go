package pay

import (
	"testing"

	"holdfast"
)

// TestIdsAndKeysStay: ids, keys and references are in logs. What they are made of, byte for byte, does not change.
func TestIdsAndKeysStay(t *testing.T) {
	owner, err := holdfast.NewOwner(1042, 7)
	if err != nil {
		t.Fatal(err)
	}
	cny := holdfast.MustAsset("CNY")
	d := draft{at: 1_795_797_741_901_159_288, code: movePay, ref: refOf("a key")}
	d.open(account(owner, Wallet, cny), holdfast.LimitDebits)
	d.need(keyOf(owner, kindMerchant), 3)
	d.move(account(owner, Wallet, cny), account(owner, Fees, cny), 100)
	d.move(account(owner, Wallet, cny), account(owner, Escrow, cny), 5)
	d.put(keyOf(owner, kindDay, "2026-11-27"), 4, &pointer{OutTradeNo: "x"}, "one", "two")
	d.identify()
	for what, pair := range map[string][2]string{
		"id":       {d.ID.String(), "01a21de2-f14d-77a7-8667-8986aa9435e3"},
		"leg":      {d.Transfers[1].ID.String(), "01a21de2-f14d-7a51-885f-539767cd927b"},
		"key":      {keyOf(owner, kindRefund, "A", "B"), "o/2088000010420074/refund/A/B"},
		"no parts": {keyOf(owner), "o/2088000010420074/"},
		"stamp":    {stamped(^d.at, "a", "", "bc"), "e7140b77e1886487-fb9abcb07180be92"},
		"number":   {tradeNo(owner, "A", d.at), "2026112800001042007436460374"},
		"minute":   {minute(dueIndex, d.at), "pay/due/29929962"},
		"stretch":  {stretch(eventIndex, d.at), "pay/event/179579774"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %s, want %s", what, pair[0], pair[1])
		}
	}
}
