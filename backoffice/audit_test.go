package backoffice

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast"
	"holdfast/pay"
)

// TestAccountsAreAuditedWithoutBeingAsked: a fen that was moved past the payments is told as long as it is missing; a site audits what it leads.
func TestAccountsAreAuditedWithoutBeingAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBankWorld(t, 1)
		registry := prometheus.NewRegistry()
		_, leading := w.open(true, func(c *Config) {
			c.Banks, c.Registry, c.Audit = nil, registry, &AuditConfig{Books: w.books.Audited(), Every: time.Minute, Page: 3}
		})
		value := func(name string) float64 {
			t.Helper()
			families, err := registry.Gather()
			must(t, err)
			for _, f := range families {
				if f.GetName() == "holdfast_payments_"+name {
					return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
				}
			}
			t.Fatalf("%s is not measured", name)
			return 0
		}
		move := func(from, to holdfast.Owner) {
			t.Helper()
			id := func(n byte) holdfast.ID { return holdfast.NewID(w.now(), [10]byte{n}) }
			out, err := w.books.Submit(w.ctx, &holdfast.Txn{ID: id(1), Transfers: []holdfast.Transfer{{
				ID: id(2), Kind: holdfast.Immediate, Amount: 1, Debit: holdfast.AccountID{Owner: from, Purpose: pay.Wallet, Asset: cny},
				Credit: holdfast.AccountID{Owner: to, Purpose: pay.Wallet, Asset: cny},
			}}})
			if err != nil || out.Status != holdfast.Done {
				t.Fatalf("%+v, %v", out, err)
			}
			w.books.Deliver()
		}
		time.Sleep(90 * time.Second)
		if rounds, audited, found := value("audit_rounds_total"), value("audited_total"), value("audit_differences"); rounds != 2 || audited != 8 || found != 0 {
			t.Fatalf("good books: %v rounds, %v audited, %v differences", rounds, audited, found)
		}
		move(w.customers[0], w.customers[1])
		time.Sleep(time.Minute)
		if found := value("audit_differences"); found != 2 {
			t.Errorf("after a theft there are %v differences", found)
		}
		move(w.customers[1], w.customers[0])
		time.Sleep(time.Minute)
		if found := value("audit_differences"); found != 0 {
			t.Errorf("when the money is back there are %v differences", found)
		}
		leading.Store(false)
		had := value("audited_total")
		time.Sleep(2 * time.Minute)
		if now := value("audited_total"); now != had {
			t.Errorf("%v purses were audited that another site leads", now-had)
		}
		w.stop()
		w.stop = func() {}
	})
}
