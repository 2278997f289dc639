package httpapi

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"holdfast"
)

func TestStrictTransfer(t *testing.T) {
	for _, row := range []struct{ body, code, field, says string }{
		{`{"amount":12.5}`, "malformed", "amount", "digits only"},
		{`{"amount":1e3}`, "malformed", "amount", "digits only"},
		{`{"amount":1250.0}`, "malformed", "amount", "minor units"},
		{`{"amount":"1250"}`, "malformed", "amount", "a whole number is expected, not a string"},
		{`{"amount":null}`, "malformed", "amount", "leave the member out"},
		{`{"amount":true}`, "malformed", "amount", "not a boolean"},
		{`{"amount":9223372036854775808}`, "malformed", "amount", "is not within"},
		{`{"amount":99999999999999999999999999}`, "malformed", "amount", "is not within"},
		{`{"amount":01}`, "malformed", "amount", "no JSON number"},
		{`{"amount":-}`, "malformed", "amount", "is not within"},
		{`{"amount":1-2}`, "malformed", "amount", "no JSON number"},
		{`{"amount":1,"amount":1}`, "malformed", "amount", "given twice"},
		{`{"Amount":1}`, "malformed", "Amount", "no such member"},
		{`{"amuont":1}`, "malformed", "amuont", "known are id, kind, debit"},
		{`{"amount":1} {}`, "malformed", "", "more behind the end"},
		{`{"amount":1},`, "malformed", "", "more behind the end"},
		{`{"amount":1`, "malformed", "amount", "ends too early"},
		{`{"amount"`, "malformed", "amount", "ends too early"},
		{`{"amount`, "malformed", "", "ends within a string"},
		{`{"amount":1,}`, "malformed", "", "a member name"},
		{`{amount:1}`, "malformed", "", "a member name"},
		{``, "malformed", "", "an object is missing"},
		{`[]`, "malformed", "", "an object is expected, not an array"},
		{`7`, "malformed", "", "not a number"},
		{`{"id":"17"}`, "malformed", "id", "is not a UUID"},
		{`{"id":"00000000-0000-0000-0000-000000000000"}`, "malformed", "id", "nil UUID"},
		{`{"hold":7}`, "malformed", "hold", "a string is expected"},
		{`{"kind":"expires"}`, "kind-invalid", "kind", "one of immediate"},
		{`{"debit":"2088000000020109.wallet.CNY"}`, "account-invalid", "debit", "wrong check digit"},
		{`{"credit":"x"}`, "account-invalid", "credit", "<owner>.<purpose>.<asset>"},
		{`{"timeout_s":-1}`, "malformed", "timeout_s", "is not within"},
		{`{"timeout_s":99999999999}`, "malformed", "timeout_s", "is not within"},
		{`{"code":4294967296}`, "malformed", "code", "is not within"},
		{`{"ref":"x"}`, "malformed", "ref", "is not a UUID"},
		{"{\"ref\":\"\xff\"}", "malformed", "", "not UTF-8 (byte 8)"},
		{"{\"ref\":\"\x01\"}", "malformed", "ref", "control character"},
		{`{"ref":"\ud800"}`, "malformed", "ref", "half of a surrogate pair"},
		{`{"ref":"\x"}`, "malformed", "ref", "bad escape"},
		{`{"ref":"` + strings.Repeat("x", 100) + `"}`, "malformed", "ref", "at most 64"},
	} {
		_, err := readTransfer(row.body, holdfast.Immediate, transferMembers)
		var p *Problem
		if !errors.As(err, &p) || p.Status != 400 || p.Code != row.code || p.Field != row.field || !strings.Contains(p.Detail, row.says) {
			t.Errorf("%s: %v\nwant %s %s ...%s...", row.body, err, row.code, row.field, row.says)
		}
	}
}

func TestWholeTransactionIsRead(t *testing.T) {
	sub, err := readSubmission(whole)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(bodyOf(&sub.txns[0]))
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if json.Unmarshal([]byte(whole), &want) != nil || json.Unmarshal(body, &got) != nil {
		t.Fatal("no JSON")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// whole has every member there is, as the API writes it.
const whole = ` {
	"id": "0190f3c6-2a3b-7c4d-8e5f-001122334455",
	"preconditions": [{"key": "trade/1", "version": 0}, {"key": "\u0061\n\ud83d\ude00", "version": 7}],
	"accounts": [{"op": "open", "id": "2088000000020108.wallet.CNY", "limit": "debits", "code": 3, "ref": "0190f3c6-2a3b-7c4d-8e5f-0011223344aa"},
		{"op": "freeze", "id": "2088000000030206.wallet.CNY", "limit": "none"}],
	"transfers": [
		{"id": "0190f3c6-2a3b-7c4d-8e5f-001122334401", "kind": "immediate", "debit": "2088000000020108.wallet.CNY",
			"credit": "2088000000030206.wallet.CNY", "amount": 9223372036854775807, "code": 4294967295, "ref": "0190f3c6-2a3b-7c4d-8e5f-0011223344aa"},
		{"id": "0190f3c6-2a3b-7c4d-8e5f-001122334402", "kind": "hold", "debit": "2088000000020108.wallet.CNY",
			"credit": "2088000000030206.wallet.CNY", "amount": 1, "timeout_s": 3600},
		{"id": "0190f3c6-2a3b-7c4d-8e5f-001122334403", "kind": "post", "hold": "0190f3c6-2a3b-7c4d-8e5f-001122334402", "amount": -5},
		{"id": "0190f3c6-2a3b-7c4d-8e5f-001122334404", "kind": "void", "hold": "0190f3c6-2a3b-7c4d-8e5f-001122334402"}],
	"records": [{"key": "trade/1", "expect": 0, "index": ["buyer/1", ""], "body": "AP8="}, {"key": "trade/2", "delete": true}],
	"messages": [{"to": 2, "topic": "landed", "body": "aGk="}]
} `

// FuzzTransactionBody: the scanner never panics, takes no text that encoding/json does not take, and what it took can be
// written and read again without a difference.
func FuzzTransactionBody(f *testing.F) {
	f.Add(whole)
	f.Add(`{"transactions":[{"id":"` + uuid1 + `","transfers":[` + onePayment + `]}]}`)
	f.Add(`{"transfers":[{"amount":12.5}]}`)
	f.Add(`{"records":[{"key":"\ud800","body":"="}]}`)
	f.Add("{\"id\":\"\xff")
	f.Fuzz(func(t *testing.T, text string) {
		sub, err := readSubmission(text)
		if err != nil {
			var p *Problem
			if !errors.As(err, &p) || p.Status != 400 || p.Detail == "" {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if !json.Valid([]byte(text)) {
			t.Fatalf("%q is taken and is no JSON", text)
		}
		again := submissionBody{}
		for i := range sub.txns {
			again.Transactions = append(again.Transactions, bodyOf(&sub.txns[i]))
		}
		body, err := json.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		back, err := readSubmission(string(body))
		if len(sub.txns) > 0 && err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if diff := cmp.Diff(sub.txns, back.txns, cmpopts.EquateEmpty()); len(sub.txns) > 0 && diff != "" {
			t.Fatalf("%s: %s", body, diff)
		}
	})
}
