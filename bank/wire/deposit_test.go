package wire

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/bank"
	"holdfast/bank/iso20022"
)

// One line that is written in a way of its own keeps nobody's money waiting: it is read, without what cannot be read of it.
func TestOddDepositsAreRead(t *testing.T) {
	now := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	line := func(ref, other string) iso20022.Line {
		return iso20022.Line{BankRef: ref, EndToEnd: "NOTPROVIDED", Amount: 100, Asset: holdfast.MustAsset("CNY"), Day: now, Other: other, Text: "x"}
	}
	const account, sender = "6222020000000000018", "6222020000000000026"
	for _, odd := range []string{"6222 0200 0000", "12/345", "DE00370400440532013000", "6222.02"} {
		doc, err := iso20022.NewNotification("N1", now, account, 2, []iso20022.Line{line("A", sender), line("B", "6222020000000000034")})
		if err != nil {
			t.Fatal(err)
		}
		text, err := doc.Encode()
		if err != nil {
			t.Fatal(err)
		}
		body := strings.ReplaceAll(string(text), sender, odd)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
		defer s.Close()
		c, err := New(Config{URL: s.URL, Initiator: "x", Terms: bank.Terms{Late: time.Minute}})
		if err != nil {
			t.Fatal(err)
		}
		a, err := bank.ParseAccount(account)
		if err != nil {
			t.Fatal(err)
		}
		list, next, err := c.Deposits(t.Context(), a, 0, 200)
		if err != nil || next != 2 || len(list) != 2 || list[0].Amount != 100 || list[0].From != (bank.Account{}) || list[1].From == (bank.Account{}) {
			t.Errorf("sender %q: %v up to %d, %v", odd, list, next, err)
		}
	}
}
