package street

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"holdfast"
	"holdfast/retail"
)

func TestEveryShopHasCustomers(t *testing.T) {
	sum := 0
	for i := range shops {
		sum += shops[i].share
	}
	if sum != 100 {
		t.Errorf("the shops share %d of a hundred orders", sum)
	}
	trade, err := retail.Load()
	if err != nil {
		t.Fatal(err)
	}
	s := &Street{trade: trade}
	for range usualCustomers {
		s.people = append(s.people, &person{})
	}
	sold, bought := map[int]int{}, map[*person]int{}
	for i := range 2000 {
		e := &trade.Events[i]
		sold[shopOf(e.Invoice)]++
		bought[s.buys(e)]++
	}
	for i := range shops {
		if got := sold[i] * 100 / 2000; got < shops[i].share/2 || got > shops[i].share*2 {
			t.Errorf("shop %d has %d of a hundred orders, not about %d", i, got, shops[i].share)
		}
	}
	if len(bought) != usualCustomers {
		t.Errorf("%d customers buy something", len(bought))
	}
}

// TestRefundsGoBackToWhatWasSold: none is of more than is left of its order, and they are of the same shop and number.
func TestRefundsGoBackToWhatWasSold(t *testing.T) {
	trade, err := retail.Load()
	if err != nil {
		t.Fatal(err)
	}
	numbers, back, n := map[string]int{}, map[int]holdfast.Amount{}, 0
	for i := range trade.Events {
		e := &trade.Events[i]
		if !e.IsRefund() {
			if was, twice := numbers[numberOf(e)]; twice {
				t.Errorf("events %d and %d are sold under one number", was, i)
			}
			numbers[numberOf(e)] = i
			continue
		}
		of := &trade.Events[e.Refunds]
		if back[e.Refunds] += e.Amount / scale; back[e.Refunds] > amountOf(of) {
			t.Errorf("of order %s %d would go back, of %d", of.Invoice, back[e.Refunds], amountOf(of))
		}
		if e.Customer != of.Customer {
			t.Errorf("event %d goes back to another customer", i)
		}
		if amountOf(of) <= most {
			n++
		}
	}
	if n < 1000 {
		t.Errorf("%d refunds", n)
	}
}

func TestErrandsAreDoneInTheirOrder(t *testing.T) {
	s := &Street{}
	var done []int
	for _, at := range []int{7, 3, 9, 3} {
		s.after(at, func(context.Context) error { done = append(done, at); return nil })
	}
	for n := range 9 {
		if err := s.catchUp(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(done, []int{3, 3, 7}) || len(s.later) != 1 {
		t.Errorf("done were %v, and %d are left", done, len(s.later))
	}
}

func TestOrdersComeInTheRecordedRhythm(t *testing.T) {
	trade, err := retail.Load()
	if err != nil {
		t.Fatal(err)
	}
	s, kinds := &Street{trade: trade, cfg: Config{Fast: 1}}, map[string]int{}
	for ; s.state.Next < len(trade.Events)-1; s.state.Next++ {
		switch gap := s.gap(); {
		case gap < shortest || gap > longest:
			t.Fatalf("%v to the next of event %d", gap, s.state.Next)
		case gap == shortest:
			kinds["shortest"]++
		case gap == longest:
			kinds["longest"]++
		default:
			kinds["between"]++
		}
	}
	if len(kinds) != 3 {
		t.Errorf("all orders come alike: %v", kinds)
	}
	if s.gap() != 0 {
		t.Error("after the last one something comes")
	}
}

func TestHooksMissSomethingNowAndThen(t *testing.T) {
	h, err := OpenHooks()
	if err != nil {
		t.Fatal(err)
	}
	missed := 0
	for range 2 * misses {
		a, err := http.Post(h.URL+"/0", "application/json", strings.NewReader(`{"type":"trade.paid"}`))
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		if a.StatusCode != http.StatusOK {
			missed++
		}
	}
	if missed != 2 || h.Heard() != 2*misses {
		t.Errorf("%d of %d were missed", missed, h.Heard())
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}
