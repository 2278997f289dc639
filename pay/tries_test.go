package pay_test

import (
	"fmt"
	"hash/maphash"
	"testing"
	"time"

	"holdfast"
	"holdfast/pay"
)

func TestTries(t *testing.T) {
	const atOnce, every = 5, time.Minute
	tries, now := pay.NewTries(maphash.MakeSeed(), atOnce, every), holdfast.Time(1e18)
	for n := range 100 { // right ones are given back, and pile up nothing
		if !tries.Take("a", now) {
			t.Fatalf("try %d is refused", n)
		}
		tries.GiveBack("a", now)
	}
	taken := 0
	for range 100 {
		if tries.Take("a", now) {
			taken++
		}
	}
	if taken != atOnce {
		t.Errorf("%d at once", taken)
	}
	for range 3 {
		now += holdfast.Time(every)
		if !tries.Take("a", now) || tries.Take("a", now) {
			t.Error("not one a minute")
		}
	}
	for n := range 1000 {
		if !tries.Take(fmt.Sprint(n), now) {
			t.Errorf("party %d waits for others", n)
		}
	}
}

// offered is what a code of somebody comes to at the merchant.
func (w *world) offered(number, code string) error {
	_, err := w.cashier.PayByCode(w.ctx, w.offer(0, number, 1, pay.Plain), code, w.now)
	return err
}

func wrongCode(o holdfast.Owner, n int) string { return fmt.Sprintf("28%08d77%06d", o.Sequence(), n) }

// Who asks again for what has been paid, with the code that is over by then, has not guessed.
func TestAskingAgainWithAnOldCodeIsNoGuess(t *testing.T) {
	w := newWorld(t)
	code := pay.PaymentCode(w.customers[0], w.secret[:], w.now)
	if err := w.offered("A", code); err != nil {
		t.Fatal(err)
	}
	w.now += holdfast.Time(time.Hour)
	for range 3 * pay.NamedTries {
		if err := w.offered("A", code); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.offered("B", pay.PaymentCode(w.customers[0], w.secret[:], w.now)); err != nil {
		t.Error(err)
	}
}

// A merchant who guesses at one customer after the other, without selling anything, is stopped; one at whom many pay is not, though one in
// ten shows a code that is over.
func TestGuessesAtManyCustomers(t *testing.T) {
	w := newWorld(t)
	looked := 0
	for n := range 4 * pay.PartyTries {
		if err := w.offered(fmt.Sprint("G", n), wrongCode(owner(uint32(1000+n)), n)); refusal(err) == pay.CodeWrong {
			looked++
		}
	}
	if looked != pay.PartyTries {
		t.Errorf("%d guesses were looked at", looked)
	}
	w = newWorld(t)
	for n := range 5 * pay.PartyTries {
		if n%10 == 0 {
			if err := w.offered(fmt.Sprint("W", n), wrongCode(owner(uint32(1000+n)), n)); refusal(err) != pay.CodeWrong {
				t.Fatalf("after %d payments: %v", n, err)
			}
		}
		w.now += holdfast.Time(time.Minute / 100)
		right := pay.PaymentCode(w.customers[n%2], w.secret[:], w.now)
		if err := w.offered(fmt.Sprint("R", n), right); refusal(err) != pay.CodeUsed && err != nil {
			t.Fatalf("payment %d: %v", n, err)
		}
	}
}

// What cannot be a code, or names who has paid, takes no count back that a guess has cost; and own codes that pay nothing make up for none.
func TestGuessesCannotBeBoughtBack(t *testing.T) {
	w := newWorld(t)
	victim := w.customers[0]
	looked := 0
	for n := range 40 {
		if err := w.offered(fmt.Sprint("G", n), wrongCode(victim, n)); refusal(err) == pay.CodeWrong {
			looked++
		}
		other := "29" + wrongCode(victim, n)[2:] // another prefix
		if err := w.offered(fmt.Sprint("O", n), other); refusal(err) != pay.CodeWrong {
			t.Fatalf("%s: %v", other, err)
		}
	}
	if looked != pay.NamedTries {
		t.Errorf("%d guesses were looked at", looked)
	}
	w = newWorld(t)
	looked = 0
	rich := w.offer(0, "rich", 1<<40, pay.Plain)
	for n := range 6 * pay.PartyTries {
		if err := w.offered(fmt.Sprint("G", n), wrongCode(owner(uint32(1000+n)), n)); refusal(err) == pay.CodeWrong {
			looked++
		}
		own := pay.PaymentCode(w.customers[1], w.secret[:], w.now)
		if err := only(w.cashier.PayByCode(w.ctx, rich, own, w.now)); refusal(err) != pay.BalanceNotEnough && refusal(err) != pay.LimitPayment && refusal(err) != pay.TooManyCodes && refusal(err) != pay.AmountInvalid {
			t.Fatal(err)
		}
	}
	if looked != pay.PartyTries {
		t.Errorf("%d guesses at many were looked at", looked)
	}
}

// A trade that is paid does not tell whether somebody else's code is right: a wrong one is refused, and counted.
func TestAPaidTradeIsNoOracle(t *testing.T) {
	w := newWorld(t)
	if err := w.offered("A", pay.PaymentCode(w.customers[1], w.secret[:], w.now)); err != nil {
		t.Fatal(err)
	}
	for n := range pay.NamedTries {
		if err := w.offered("A", wrongCode(w.customers[0], n)); refusal(err) != pay.CodeWrong {
			t.Errorf("try %d: %v", n, err)
		}
	}
	if err := w.offered("A", wrongCode(w.customers[0], 99)); refusal(err) != pay.TooManyCodes {
		t.Errorf("after them: %v", err)
	}
}
