package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
)

// sink is a response writer that costs nothing.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }

type bodyReader struct{ bytes.Reader }

func (*bodyReader) Close() error { return nil }

// BenchmarkPostTransfer is what the edge costs per payment, without net/http and the site.
func BenchmarkPostTransfer(b *testing.B) {
	one := []holdfast.Outcome{{Status: holdfast.Done, Leg: holdfast.NoLeg, Time: decidedAt, Position: holdfast.Position{Index: 123}}}
	api := newTestAPI(&fake{submit: func(_ context.Context, txns []holdfast.Txn, _ bool) ([]holdfast.Outcome, error) {
		one[0].ID = txns[0].ID
		return one, nil
	}})
	r, err := http.NewRequest(http.MethodPost, "/v1/transfers", nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+tellerKey)
	r.Header.Set("Idempotency-Key", uuid1)
	body := &bodyReader{}
	r.Body, r.ContentLength = body, int64(len(onePayment))
	w := &sink{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset([]byte(onePayment))
		api.ServeHTTP(w, r)
	}
	if w.status != http.StatusCreated {
		b.Fatal(w.status)
	}
}

func BenchmarkReadTransfer(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := readTransfer(onePayment, holdfast.Immediate, transferMembers); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReflectedTransfer is the same by encoding/json, to know what the scanner saves.
func BenchmarkReflectedTransfer(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var t TransferBody
		d := json.NewDecoder(bytes.NewReader([]byte(onePayment)))
		d.DisallowUnknownFields()
		if err := d.Decode(&t); err != nil {
			b.Fatal(err)
		}
		for _, text := range []string{t.Debit, t.Credit} {
			if _, err := holdfast.ParseAccountID(text); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkPaymentOverHTTP is a payment from the client through net/http to a site that costs nothing, both in this process.
func BenchmarkPaymentOverHTTP(b *testing.B) {
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer(newTestAPI(&fake{}), nil)
	server.Start()
	defer server.Close()
	c, err := client.New(client.Config{Sites: []string{server.URL}, Key: tellerKey, Timeout: 10 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	t, err := readTransfer(onePayment, holdfast.Immediate, transferMembers)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if o, err := c.Pay(context.Background(), t); err != nil || o.Status != holdfast.Done {
				b.Errorf("%+v %v", o, err)
			}
		}
	})
}
