package retail

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"holdfast"
)

func load(t *testing.T) *Trade {
	t.Helper()
	trade, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return trade
}

// The numbers were counted from the files by another program.
func TestKnownCountsAndSums(t *testing.T) {
	trade := load(t)
	var orders, refunds, guests int
	var paid, refunded holdfast.Amount
	for _, e := range trade.Events {
		switch {
		case e.IsRefund():
			refunds++
			refunded += e.Amount
		default:
			orders++
			paid += e.Amount
			if e.Customer == "" {
				guests++
			}
		}
	}
	check(t, "orders", orders, 16_256)
	check(t, "refunds", refunds, 3_078)
	check(t, "guest orders", guests, 1_140)
	check(t, "customers with guests", len(trade.Customers), 3_466+1)
	check(t, "pence paid", paid, 869_038_168)
	check(t, "pence refunded", refunded, 43_342_501)
}

func TestSpentIsTheSumOfTheOrders(t *testing.T) {
	trade := load(t)
	spent := map[string]holdfast.Amount{}
	for _, e := range trade.Events {
		if !e.IsRefund() {
			spent[e.Customer] += e.Amount
		}
	}
	for _, customer := range trade.Customers {
		check(t, "spent by "+customer, trade.Spent[customer], spent[customer])
	}
	check(t, "customers", len(spent), len(trade.Customers))
}

func TestEventsAreInRecordedOrder(t *testing.T) {
	events := load(t).Events
	for i := 1; i < len(events); i++ {
		if events[i].At.Before(events[i-1].At) {
			t.Fatalf("event %d (%s) is before the one it follows", i, events[i].Invoice)
		}
	}
}

// No order is refunded beyond its total, no refund comes before its order, and all go to the customer who paid.
func TestRefundsStayWithinTheirOrders(t *testing.T) {
	events := load(t).Events
	left := map[int]holdfast.Amount{}
	for i, e := range events {
		if !e.IsRefund() {
			left[i] = e.Amount
			continue
		}
		order := events[e.Refunds]
		if left[e.Refunds] -= e.Amount; left[e.Refunds] < 0 {
			t.Errorf("order %s is refunded beyond its total by %s", order.Invoice, e.Invoice)
		}
		if e.Refunds >= i || order.IsRefund() || order.Customer != e.Customer {
			t.Errorf("refund %s refers to %s, which is not an earlier order of its customer", e.Invoice, order.Invoice)
		}
	}
}

func TestFilesAreTheAttributedOnes(t *testing.T) {
	text, err := os.ReadFile("ATTRIBUTION.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{"orders": ordersFile, "links": linksFile} {
		sum := sha256.Sum256(file)
		if !strings.Contains(string(text), hex.EncodeToString(sum[:])) {
			t.Errorf("the file of %s is not the one that ATTRIBUTION.md describes", name)
		}
	}
}

func check[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
