package pay_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

func (w *world) endpoint(n string, kinds ...pay.EventKind) (pay.Endpoint, string) {
	w.t.Helper()
	v, secret, err := w.cashier.NewEndpoint(w.ctx, pay.EndpointAsk{
		Merchant: w.merchants[0], Number: n, URL: "https://shop.example/" + n, Kinds: kinds, Secret: "whsec_" + n, Nonce: [pay.NonceBytes]byte{byte(w.now)},
	}, w.tick())
	w.must(err)
	return v, secret
}

// TestEndpoints: one is made once per number, at most ten, and changed by its id; its secret is stored sealed and for nobody else.
func TestEndpoints(t *testing.T) {
	w := newWorld(t)
	m := w.merchants[0]
	first, secret := w.endpoint("1", pay.EventRefunded, pay.EventPaid, pay.EventPaid)
	if secret != "whsec_1" || !slices.Equal(first.Kinds, []pay.EventKind{pay.EventPaid, pay.EventRefunded}) || len(first.ID) != 18 {
		t.Fatalf("%+v, %q", first, secret)
	}
	again, secret, err := w.cashier.NewEndpoint(w.ctx, pay.EndpointAsk{Merchant: m, Number: "1", URL: first.URL, Secret: "whsec_other"}, w.tick())
	if w.must(err); again.ID != first.ID || secret != "whsec_1" {
		t.Errorf("asked for again: %+v, %q", again, secret)
	}
	ask := pay.EndpointAsk{Merchant: m, Number: "1", URL: "https://elsewhere.example", Secret: "whsec_x"}
	_, _, err = w.cashier.NewEndpoint(w.ctx, ask, w.tick())
	w.refused(pay.RequestDiffers, err)
	for n := 2; n <= pay.MaxEndpoints; n++ {
		w.endpoint(fmt.Sprint(n))
	}
	ask.Number = "11"
	_, _, err = w.cashier.NewEndpoint(w.ctx, ask, w.tick())
	w.refused(pay.TooMany, err)
	ask.Merchant = w.customers[0]
	_, _, err = w.cashier.NewEndpoint(w.ctx, ask, w.tick())
	w.refused(pay.MerchantUnknown, err)
	w.must(w.cashier.RemoveEndpoint(w.ctx, m, first.ID, w.tick()))
	w.must(w.cashier.RemoveEndpoint(w.ctx, m, first.ID, w.tick()))
	if list, err := w.cashier.Endpoints(w.ctx, m); err != nil || len(list) != pay.MaxEndpoints-1 {
		t.Errorf("%d are left, %v", len(list), err)
	}
	_, err = w.cashier.ChangeEndpoint(w.ctx, m, first.ID, pay.EndpointChange{}, w.tick())
	w.refused(pay.EndpointUnknown, err)
	for _, bad := range []pay.EndpointAsk{
		{Merchant: m, Number: "b", URL: "", Secret: "s"},
		{Merchant: m, Number: "b", URL: strings.Repeat("x", 257), Secret: "s"},
		{Merchant: m, Number: "b", URL: "https://a.example", Kinds: []pay.EventKind{99}, Secret: "s"},
	} {
		_, _, err := w.cashier.NewEndpoint(w.ctx, bad, w.tick())
		w.refused(pay.FieldInvalid, err)
	}
	r, _, _ := w.books.Record(w.ctx, "o/"+m.String()+"/endpoints")
	if strings.Contains(string(r.Body), "whsec_") {
		t.Error("a secret is stored in clear")
	}
}

// TestAnEndpointWants: kinds count from when they were asked for, and what happened while it was off is not wanted afterwards.
func TestAnEndpointWants(t *testing.T) {
	w := newWorld(t)
	v, _ := w.endpoint("1", pay.EventPaid)
	m, made, off, on := w.merchants[0], w.now, true, false
	change := func(x pay.EndpointChange) holdfast.Time {
		var err error
		v, err = w.cashier.ChangeEndpoint(w.ctx, m, v.ID, x, w.tick())
		w.must(err)
		return w.now
	}
	wants := func(k pay.EventKind, at holdfast.Time, want bool) {
		t.Helper()
		if v.Wants(&pay.Event{Kind: k, Time: at}) != want {
			t.Errorf("%v at %v: not %t", k, at-made, want)
		}
	}
	wants(pay.EventPaid, made-1, false)
	wants(pay.EventPaid, made, true)
	wants(pay.EventClosed, made, false)
	all := change(pay.EndpointChange{Kinds: &[]pay.EventKind{}})
	wants(pay.EventClosed, all-1, false)
	wants(pay.EventClosed, all, true)
	change(pay.EndpointChange{Off: &off, Why: "tired"})
	wants(pay.EventPaid, w.now, false)
	if v.Why != "tired" {
		t.Errorf("%+v", v)
	}
	back := change(pay.EndpointChange{Off: &on})
	wants(pay.EventPaid, back-1, false)
	wants(pay.EventPaid, back, true)
	if v.Why != "" {
		t.Errorf("%+v", v)
	}
}

// TestSecretsRotate: the one before counts for a day; asking again changes nothing, however often the answer was lost.
func TestSecretsRotate(t *testing.T) {
	w := newWorld(t)
	v, _ := w.endpoint("1")
	m := w.merchants[0]
	for range 2 { // the second time with other bytes
		var secret string
		var err error
		v, secret, err = w.cashier.RotateSecret(w.ctx, pay.RotateAsk{Merchant: m, ID: v.ID, Number: "r", Secret: fmt.Sprint("whsec_", w.now), Nonce: [12]byte{5}}, w.tick())
		list, err2 := w.cashier.EndpointSecrets(m, &v, w.now)
		w.must(err)
		if w.must(err2); len(list) != 2 || list[0] != secret || list[1] != "whsec_1" {
			t.Fatalf("%q, %q", list, secret)
		}
	}
	if list, err := w.cashier.EndpointSecrets(m, &v, w.now+pay.SecretLapse); err != nil || len(list) != 1 || list[0] == "whsec_1" {
		t.Errorf("a day later: %q, %v", list, err)
	}
	if _, err := w.cashier.EndpointSecrets(w.merchants[1], &v, w.now); err == nil {
		t.Error("a secret opens for another merchant")
	}
}

// TestDeliveries: attempts are recorded together; two who have made one each both count, and what one of them has delivered is; the latest
// come first; an answer that was lost changes nothing; what is due is in its index, and only that.
func TestDeliveries(t *testing.T) {
	w := newWorld(t)
	var events []*pay.Event
	w.cashier.Told = func(e *pay.Event) { events = append(events, e) }
	for n := range 3 {
		w.plain(fmt.Sprint("P", n), pay.Plain)
	}
	m, next := w.merchants[0], w.now+300e9
	attempt := func(e *pay.Event, done bool, next holdfast.Time) pay.Delivery {
		return pay.Delivery{
			Merchant: e.Merchant, Event: e.Stamp(), Target: pay.NoticeTarget, Kind: e.Kind, Attempts: 1, Begun: w.now, At: w.now, Took: 5, Status: 200,
			Answer: strings.Repeat("x", 300), Next: next, Done: done,
		}
	}
	list := []pay.Delivery{attempt(events[0], true, 0), attempt(events[1], false, next), attempt(events[2], true, 0)}
	w.books.Fault = func(*holdfast.Txn) paytest.Fault { return paytest.AnswerLost }
	now := w.tick()
	if err := w.cashier.Attempted(w.ctx, slices.Clone(list), now); err == nil {
		t.Fatal("an answer that was lost is known")
	}
	w.books.Fault = nil
	w.must(w.cashier.Attempted(w.ctx, slices.Clone(list), now))
	got, last, err := w.cashier.Deliveries(w.ctx, m, "", 2)
	if w.must(err); len(got) != 2 || got[0].Event != events[2].Stamp() || got[1].Event != events[1].Stamp() || len(got[0].Answer) != pay.MaxAnswer || last == "" {
		t.Fatalf("%+v", got)
	}
	if got, last, _ := w.cashier.Deliveries(w.ctx, m, last, 2); len(got) != 1 || got[0].Event != events[0].Stamp() || last != "" {
		t.Errorf("%+v", got)
	}
	due := func(at holdfast.Time) int {
		list, err := w.books.LedByIndex(w.ctx, pay.RetryIndex(at), "", 10)
		w.must(err)
		return len(list)
	}
	told, err := w.books.LedByIndex(w.ctx, pay.ToldIndex(events[0].Time), "", 10)
	if w.must(err); len(told) != 3 || due(next) != 1 {
		t.Errorf("%d told, %d due", len(told), due(next))
	}
	w.tick()
	other := []pay.Delivery{attempt(events[1], true, 0), attempt(events[2], false, next)} // by somebody who knew of none
	w.must(w.cashier.Attempted(w.ctx, other, w.tick()))
	for _, e := range events[1:] {
		v, err := w.cashier.Delivery(w.ctx, m, e.Stamp()+":"+pay.NoticeTarget)
		if w.must(err); !v.Done || v.Attempts != 2 || v.Next != 0 {
			t.Errorf("%+v", v)
		}
	}
	if due(next) != 0 {
		t.Error("what is delivered is due")
	}
	v, err := w.cashier.Redeliver(w.ctx, m, got[0].ID(), w.tick())
	if w.must(err); v.Done || v.Next != w.now || v.Again != 2 || due(w.now) != 1 {
		t.Errorf("asked for once more: %+v", v)
	}
	v.Attempts, v.Done, v.Next = v.Attempts+1, true, 0
	w.must(w.cashier.Attempted(w.ctx, []pay.Delivery{v}, w.tick()))
	if due(w.now) != 0 {
		t.Error("what was asked for once more is due for ever")
	}
	for _, id := range []string{events[0].Stamp() + ":we0", events[0].Stamp() + "x:notice", "", "a/b:notice"} {
		if _, err := w.cashier.Delivery(w.ctx, m, id); refusal(err) != pay.DeliveryUnknown {
			t.Errorf("%q: %v", id, err)
		}
	}
	_, err = w.cashier.Redeliver(w.ctx, m, events[0].Stamp()+":we0", w.tick())
	w.refused(pay.EndpointUnknown, err)
}

// TestMarks: a mark is set over what was read, and not over what somebody else has set.
func TestMarks(t *testing.T) {
	w := newWorld(t)
	m, err := w.cashier.Mark(w.ctx, "deliver-1")
	if w.must(err); m.Version != 0 {
		t.Fatalf("%+v", m)
	}
	other := m
	m.Numbers, other.Numbers = []int64{1, -2}, []int64{7}
	if moved, err := w.cashier.SetMark(w.ctx, &m, w.tick()); err != nil || !moved || m.Version != 1 {
		t.Fatalf("%+v, %t, %v", m, moved, err)
	}
	if moved, err := w.cashier.SetMark(w.ctx, &other, w.tick()); err != nil || moved {
		t.Errorf("over what somebody else has set: %t, %v", moved, err)
	}
	list, err := w.cashier.Marks(w.ctx, "deliver-")
	if w.must(err); len(list) != 1 || list[0].Name != "deliver-1" || !slices.Equal(list[0].Numbers, []int64{1, -2}) {
		t.Errorf("%+v", list)
	}
	if _, err := w.cashier.Mark(w.ctx, "a/b"); refusal(err) != pay.NumberInvalid {
		t.Error(err)
	}
}

// TestTypesOfEvents: each kind has one, and it leads back.
func TestTypesOfEvents(t *testing.T) {
	for _, k := range pay.EventKinds() {
		if got, ok := pay.KindOfType(k.Type()); !ok || got != k || !strings.Contains(k.Type(), ".") {
			t.Errorf("%v is %q, which is %v", k, k.Type(), got)
		}
	}
	if _, ok := pay.KindOfType(""); ok || len(pay.EventKinds()) != 17 {
		t.Error("there is a kind without a name")
	}
}
