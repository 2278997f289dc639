package ledger

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"holdfast"
)

// sampleTxns are one of each form: plain, plain with everything, a leg of each kind, everything at once.
func sampleTxns() []holdfast.Txn {
	a, b := testAccount(2), testAccount(4)
	ref := holdfast.Ref(testID(7))
	return []holdfast.Txn{
		{ID: testID(1), Transfers: []holdfast.Transfer{{Kind: holdfast.Immediate, Debit: a, Credit: b, Amount: 1250}}},
		{ID: testID(2), Transfers: []holdfast.Transfer{
			{Kind: holdfast.Immediate, Debit: a, Credit: b, Amount: 1250, Code: 5, Ref: ref},
		}},
		{ID: testID(3), Transfers: []holdfast.Transfer{
			{ID: testID(31), Kind: holdfast.Hold, Debit: a, Credit: b, Amount: 99, Timeout: time.Minute, Code: 1, Ref: ref},
			{ID: testID(32), Kind: holdfast.Post, Hold: testID(31), Amount: 98},
			{ID: testID(33), Kind: holdfast.Void, Hold: testID(31), Debit: a},
			{ID: testID(34), Kind: holdfast.Expire, Hold: testID(31)},
		}},
		{
			ID:            testID(4),
			Preconditions: []holdfast.Precondition{{Key: "trade/1", Version: 3}, {Key: "trade/2", Version: holdfast.AnyVersion}},
			Accounts: []holdfast.AccountChange{
				{Op: holdfast.OpenAccount, ID: a, Limit: holdfast.LimitDebits, Code: 4, Ref: ref},
				{Op: holdfast.CloseAccount, ID: b},
			},
			Transfers: []holdfast.Transfer{{Kind: holdfast.Immediate, Debit: a, Credit: b, Amount: 1}},
			Records: []holdfast.RecordChange{
				{Key: "trade/1", Expect: 3, Index: []string{"buyer/7", "day/2015-05-27"}, Body: []byte(`{"paid":true}`)},
				{Key: "trade/3", Expect: holdfast.AnyVersion, Delete: true},
			},
			Messages: []holdfast.Message{{To: 3, Topic: "land", Body: []byte("x")}},
			Acks:     []uint64{1, 300},
		},
	}
}

// TestGolden pins the format: what is in logs must be readable for ever.
func TestGolden(t *testing.T) {
	data := AppendHeader(nil, Header{Kind: KindTxns, Nonce: [16]byte{1, 2, 15: 16}, Time: 1432733760_000000000, Count: 4})
	for _, txn := range sampleTxns() {
		data = AppendTxn(data, &txn)
	}
	want := strings.Join(goldenEntry[:], "")
	if got := hex.EncodeToString(data); got != want {
		t.Errorf("the format of log entries has changed: old logs could not be read any more\n got %s\nwant %s", got, want)
	}
	digest := AppendDigest(nil, [16]byte{9}, 5, 6, 7)
	if got := hex.EncodeToString(digest); got != goldenDigest {
		t.Errorf("the format of digest entries has changed\n got %s\nwant %s", got, goldenDigest)
	}
	for ord, want := range sampleTxns() {
		h, got, err := TxnAt(data, uint32(ord))
		must(t, err)
		if d := cmp.Diff(&want, got, cmpopts.EquateEmpty()); d != "" || h.Count != 4 {
			t.Errorf("transaction %d reads differently:\n%s", ord, d)
		}
	}
	if _, _, err := TxnAt(data, 4); !errors.Is(err, ErrCorrupt) {
		t.Errorf("transaction 4 of 4: %v", err)
	}
}

// TestPlainIsSmall: the usual payment takes the room it should.
func TestPlainIsSmall(t *testing.T) {
	txns := sampleTxns()
	if n := len(AppendTxn(nil, &txns[0])); n != 61 {
		t.Errorf("a plain transfer takes %d bytes, want 61", n)
	}
	if n := len(AppendTxn(nil, &txns[1])); n != 81 {
		t.Errorf("a plain transfer with code and reference takes %d bytes, want 81", n)
	}
}

// TestTruncated: no prefix of a transaction is one, and none panics.
func TestTruncated(t *testing.T) {
	for _, txn := range sampleTxns() {
		data := AppendTxn(nil, &txn)
		for n := range data {
			var got holdfast.Txn
			if _, err := ReadTxn(data[:n:n], &got); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%d of %d bytes of %+v: %v", n, len(data), txn, err)
			}
		}
	}
}

// TestSizeBound: what Check takes for the size of a transaction is not below it, and near it for documents.
func TestSizeBound(t *testing.T) {
	for _, txn := range sampleTxns() {
		if bound, size := txnBytes(&txn), len(AppendTxn(nil, &txn)); bound < size {
			t.Errorf("%+v takes %d bytes, above the bound %d", txn, size, bound)
		}
	}
	txn := sampleTxns()[3]
	txn.Accounts, txn.Transfers = nil, nil
	if bound, size := txnBytes(&txn), len(AppendTxn(nil, &txn)); bound != size {
		t.Errorf("%+v takes %d bytes, computed as %d", txn, size, bound)
	}
	if most := holdfast.MaxLegs * transferMaxBytes; most > holdfast.MaxTxnBytes {
		t.Errorf("%d legs may take %d bytes, above %d", holdfast.MaxLegs, most, holdfast.MaxTxnBytes)
	}
}

func TestNotCanonical(t *testing.T) {
	txns := sampleTxns()
	zeroCode := AppendTxn(nil, &txns[1])
	copy(zeroCode[61:], make([]byte, 4))
	general := []byte{shapeGeneral}
	general = append(general, txns[0].ID[:]...)
	general = append(general, 0, 0, 1, 0, 0, 0)
	general = appendTransfer(general, &txns[0].Transfers[0])
	for name, data := range map[string][]byte{
		"zero code":           zeroCode,
		"general form":        general,
		"long number":         append(append([]byte{shapeGeneral}, txns[0].ID[:]...), 0, 0, 0, 0, 0, 1, 0x81, 0),
		"count above":         append(append([]byte{shapeGeneral}, txns[0].ID[:]...), 0, 0, 0xff, 0xff, 0x7f, 0, 0, 0),
		"unknown shape":       bytes.Repeat([]byte{0x20}, 100),
		"unknown record bits": append(append([]byte{shapeGeneral}, txns[0].ID[:]...), 0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0),
	} {
		if _, err := ReadTxn(data, new(holdfast.Txn)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHeaderErrors(t *testing.T) {
	good := AppendHeader(nil, Header{Kind: KindTxns, Time: 5, Count: 1})
	for name, spoil := range map[string]func(b []byte) []byte{
		"short":       func(b []byte) []byte { return b[:31] },
		"version":     func(b []byte) []byte { b[0] = 2; return b },
		"kind":        func(b []byte) []byte { b[1] = 77; return b },
		"reserved":    func(b []byte) []byte { b[3] = 1; return b },
		"no time":     func(b []byte) []byte { clear(b[20:28]); return b },
		"late time":   func(b []byte) []byte { copy(b[20:28], "\x7f\xff\xff\xff\xff\xff\xff\xff"); return b },
		"no count":    func(b []byte) []byte { clear(b[28:]); return b },
		"noop counts": func(b []byte) []byte { b[1] = byte(KindNoop); return b },
	} {
		if _, _, err := ReadEntry(spoil(slices.Clone(good))); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOutcomeCodec(t *testing.T) {
	for _, want := range []holdfast.Outcome{
		{ID: testID(1), Status: holdfast.NotExecuted, Code: holdfast.CodeOverloaded, Leg: holdfast.NoLeg},
		{
			ID: testID(2), Status: holdfast.Refused, Code: holdfast.CodeIDTaken, Leg: 3, Field: "transfers[3].amount",
			Replay: true, Time: 8, Position: holdfast.Position{Index: 9, Ord: 10},
		},
	} {
		var got holdfast.Outcome
		data := AppendOutcome(nil, &want)
		rest, err := ReadOutcome(append(data, "rest"...), &got)
		if err != nil || string(rest) != "rest" || got != want {
			t.Errorf("got %+v, rest %q, %v; want %+v", got, rest, err, want)
		}
		for n := range data {
			if _, err := ReadOutcome(data[:n:n], &got); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%d of %d bytes: %v", n, len(data), err)
			}
		}
	}
}

// FuzzEntry: no bytes make decoding panic, and whatever decodes has exactly one encoding.
func FuzzEntry(f *testing.F) {
	data := AppendHeader(nil, Header{Kind: KindTxns, Time: 5, Count: 4})
	for _, txn := range sampleTxns() {
		data = AppendTxn(data, &txn)
		f.Add(AppendTxn(AppendHeader(nil, Header{Kind: KindTxns, Time: 5, Count: 1}), &txn))
	}
	f.Add(data)
	f.Add(AppendDigest(nil, [16]byte{}, 5, 6, 7))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, body, err := ReadEntry(data)
		if err != nil {
			return
		}
		if again := AppendHeader(nil, h); !bytes.Equal(again, data[:HeaderBytes]) {
			t.Fatalf("header % x is written as % x", data[:HeaderBytes], again)
		}
		for range h.Count {
			var txn holdfast.Txn
			rest, err := ReadTxn(body, &txn)
			if err != nil {
				break
			}
			if raw, again := body[:len(body)-len(rest)], AppendTxn(nil, &txn); !bytes.Equal(again, raw) {
				t.Fatalf("transaction % x is written as % x", raw, again)
			}
			Check(&txn)
			body = rest
		}
		applyAnything(t, data)
	})
}

// applyAnything applies an entry to a small ledger: it may fail, but not panic or unbalance the books.
func applyAnything(t *testing.T, data []byte) {
	w := newWorld(t)
	g := generator{}
	w.apply(g.openAll())
	if _, err := w.state.Apply(w.index+1, data, w.store, nil); err == nil {
		if _, err := w.state.Recount(); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzOutcome does the same for outcomes.
func FuzzOutcome(f *testing.F) {
	f.Add(AppendOutcome(nil, &holdfast.Outcome{ID: testID(1), Leg: holdfast.NoLeg}))
	f.Add(AppendOutcome(nil, &holdfast.Outcome{ID: testID(1), Leg: 3, Field: "id", Time: 1, Replay: true}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var o holdfast.Outcome
		rest, err := ReadOutcome(data, &o)
		if err != nil {
			return
		}
		if raw, again := data[:len(data)-len(rest)], AppendOutcome(nil, &o); !bytes.Equal(again, raw) {
			t.Fatalf("outcome % x is written as % x", raw, again)
		}
	})
}
