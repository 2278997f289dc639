package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"holdfast"
	"holdfast/pay"
)

// auditedPages asks for the whole audit, so many on a page.
func auditedPages(t *testing.T, h http.Handler, limit int) (all PaymentAuditBody) {
	t.Helper()
	for cursor, first := "", true; first || cursor != ""; first = false {
		path := fmt.Sprintf("/v1/audit/payments?limit=%d", limit)
		if cursor != "" {
			path += "&cursor=" + cursor
		}
		status, _, body := ask(t, h, "GET", path, operatorKey, "")
		var page PaymentAuditBody
		if err := json.Unmarshal([]byte(body), &page); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s, %v", status, body, err)
		}
		all.Customers, all.Merchants, all.Strangers = all.Customers+page.Customers, all.Merchants+page.Merchants, all.Strangers+page.Strangers
		all.Differences, all.Undecided = append(all.Differences, page.Differences...), append(all.Undecided, page.Undecided...)
		cursor = page.Next
	}
	return all
}

// TestPaymentsAreAudited: a page at a time, by an operator alone; money that was moved past the payments is told with both numbers.
func TestPaymentsAreAudited(t *testing.T) {
	m := newMarket()
	h := m.api()
	for _, limit := range []int{1, 100} {
		if all := auditedPages(t, h, limit); all.Customers != 2 || all.Merchants != 1 || len(all.Differences)+len(all.Undecided) > 0 {
			t.Errorf("good books, %d on a page: %+v", limit, all)
		}
	}
	theft := &holdfast.Txn{ID: holdfast.NewID(1e9, [10]byte{1}), Transfers: []holdfast.Transfer{{
		ID: holdfast.NewID(2e9, [10]byte{1}), Kind: holdfast.Immediate, Amount: 5,
		Debit: holdfast.AccountID{Owner: m.alice, Purpose: pay.Wallet, Asset: cny}, Credit: holdfast.AccountID{Owner: m.alice, Purpose: pay.Frozen, Asset: cny},
	}}}
	if out := must(m.books.Submit(t.Context(), theft)); out.Status != holdfast.Done {
		t.Fatalf("%+v", out)
	}
	all := auditedPages(t, h, 1)
	want := []PaymentDifferenceBody{
		{m.alice.String() + ".wallet.CNY", startMoney, startMoney - 5}, {m.alice.String() + ".frozen.CNY", 0, 5},
	}
	if len(all.Differences) != 2 || all.Differences[0] != want[0] || all.Differences[1] != want[1] {
		t.Errorf("after a theft: %+v, want %+v", all.Differences, want)
	}
	for _, row := range []struct {
		api       http.Handler
		key, path string
		status    int
		code      string
	}{
		{h, tellerKey, "", http.StatusForbidden, "forbidden"},
		{h, operatorKey, "?cursor=never", http.StatusBadRequest, "malformed"},
		{New(&fake{}, Options{Keys: testKeys}), operatorKey, "", http.StatusNotFound, "payments-off"},
	} {
		status, header, body := ask(t, row.api, "GET", "/v1/audit/payments"+row.path, row.key, "")
		if p := problemIn(t, header, body); status != row.status || p.Code != row.code {
			t.Errorf("%s with %.8s: %d %s, want %d %s", row.path, row.key, status, p.Code, row.status, row.code)
		}
	}
}
