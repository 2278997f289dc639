package site

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/ledger"
)

// scribe is somebody who keeps a record of an owner: he reads it, adds a line, and writes it over the version that he has read, together with
// a payment if there is one. What he has been told is done has to be there for ever.
type scribe struct {
	f      *fleet
	key    string
	pay    [2]holdfast.AccountID // zero: no payment
	lines  int
	latest uint64
	wrong  []string
}

func (x *scribe) run(stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		if what := x.line(n); what != "" {
			x.wrong = append(x.wrong, what)
			return
		}
	}
}

func (x *scribe) line(n int) string {
	ctx, all := context.Background(), x.f.all()
	r, found, err := all[n%len(all)].Books().Record(ctx, x.key)
	if err != nil {
		return err.Error()
	}
	if r.Version < x.latest || found != (x.latest > 0) || strings.Count(string(r.Body), ";") != x.lines {
		return fmt.Sprintf("through site %d it has version %d and %d bytes after %d lines, the last as version %d", n%len(all)+1,
			r.Version, len(r.Body), x.lines, x.latest)
	}
	t := holdfast.Txn{ID: x.f.id()}
	if x.pay[0].Owner != 0 {
		t.Transfers = []holdfast.Transfer{{Kind: holdfast.Immediate, Debit: x.pay[0], Credit: x.pay[1], Amount: 1}}
	}
	t.Records = []holdfast.RecordChange{{Key: x.key, Expect: r.Version, Index: []string{"scribes"}, Body: append(bytes.Clone(r.Body), "x;"...)}}
	for began := time.Now(); ; n++ {
		o, err := all[(n+1)%len(all)].Books().Submit(ctx, &t)
		if _, not := errors.AsType[NotExecutedError](err); (not || o.Status == holdfast.Unknown) && elects(o) && time.Since(began) < patience {
			continue
		}
		if err != nil || o.Status != holdfast.Done {
			return fmt.Sprintf("line %d: %+v, %v", x.lines, o, err)
		}
		break
	}
	x.lines++
	x.latest = r.Version + 1
	return ""
}

// TestRecordsMoveUnderLoad: a slot moves while records of its owners are read and written through all sites, by themselves, with payments
// within it and with payments that leave it and come to it. Nobody is refused, no line is lost, no version comes twice, and what lists
// records lists each once.
func TestRecordsMoveUnderLoad(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 2)
	s, ctx := f.site(1), context.Background()
	nomad, spouse, far, bank := account(t, 1, 10), account(t, 2, 10), account(t, 4, 900), account(t, 5, 20)
	f.mustDo(s, f.open(nomad, spouse))
	f.mustDo(s, f.open(far))
	f.mustDo(s, f.open(bank))
	for _, to := range []holdfast.AccountID{nomad, spouse, far} {
		f.mustDo(s, f.pay(bank, to, 100_000))
	}
	const shelf = 400 // more than are compared at a time
	for n := 0; n < shelf; n += 100 {
		fill := holdfast.Txn{ID: f.id()}
		for i := range 100 {
			key := holdfast.OwnedKey(spouse.Owner, fmt.Sprintf("shelf/%04d", n+i))
			fill.Records = append(fill.Records, holdfast.RecordChange{Key: key, Index: []string{"shelf"}, Body: []byte(key)})
		}
		f.mustDo(s, fill)
	}
	all := []*scribe{
		{f: f, key: holdfast.OwnedKey(nomad.Owner, "alone")},
		{f: f, key: holdfast.OwnedKey(nomad.Owner, "within"), pay: [2]holdfast.AccountID{nomad, spouse}},
		{f: f, key: holdfast.OwnedKey(nomad.Owner, "leaving"), pay: [2]holdfast.AccountID{nomad, far}},
		{f: f, key: holdfast.OwnedKey(spouse.Owner, "coming"), pay: [2]holdfast.AccountID{far, spouse}},
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	for _, x := range all {
		running.Go(func() { x.run(stop) })
	}
	watching := make(chan string, 1)
	running.Go(func() { watching <- f.shelves(stop, spouse.Owner, shelf) })
	f.moveSlots(s, 2, SlotRange{10, 10})
	f.awaitMove(10, 1, 2)
	close(stop)
	running.Wait()
	if what := <-watching; what != "" {
		t.Error(what)
	}
	f.settled()
	for _, x := range all {
		if len(x.wrong) > 0 || x.lines == 0 {
			t.Errorf("%s has %d lines; %v", x.key, x.lines, x.wrong)
		}
		r, found, err := f.site(3).Books().Record(ctx, x.key)
		if err != nil || !found || r.Version != uint64(x.lines) || strings.Count(string(r.Body), ";") != x.lines || r.Pending != nil {
			t.Errorf("%s: version %d after %d lines, %v", x.key, r.Version, x.lines, err)
		}
		t.Logf("%s: %d lines", x.key, x.lines)
	}
	f.until("every record is somebody's to look after, once", func() (string, bool) {
		what := f.looksAfter(spouse.Owner, shelf)
		return what, what == ""
	})
	f.audit()
}

// looksAfter goes through what each site leads: together they have all records of an owner, whose slot has moved, each once and where it is led.
func (f *fleet) looksAfter(owner holdfast.Owner, want int) string {
	keys, ctx := map[string]holdfast.SiteID{}, context.Background()
	shards := 0
	for id := holdfast.SiteID(1); id <= 3; id++ {
		b := f.site(id).Books()
		shards += len(b.Led())
		for after := ""; ; {
			page, err := b.LedByIndex(ctx, "shelf", after, 150)
			if err != nil {
				return err.Error()
			}
			for _, r := range page {
				after = r.Key
				if keys[r.Key] != 0 || !b.Leads(owner) {
					return fmt.Sprintf("site %d has %s, and leads its owner: %t", id, r.Key, b.Leads(owner))
				}
				keys[r.Key] = id
			}
			if len(page) < 150 {
				break
			}
		}
	}
	if len(keys) != want || shards != 2 {
		return fmt.Sprintf("%d records in %d shards", len(keys), shards)
	}
	return ""
}

// shelves lists records until it is told to stop, by prefix and by index key, through all sites: whatever moves, each is listed once.
func (f *fleet) shelves(stop <-chan struct{}, owner holdfast.Owner, want int) string {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return ""
		default:
		}
		b := f.all()[n%len(f.all())].Books()
		for what, list := range map[string]func(after string) ([]holdfast.Record, error){
			"prefix": func(after string) ([]holdfast.Record, error) {
				return b.Records(context.Background(), holdfast.OwnedKey(owner, "shelf/"), after, 150)
			},
			"index": func(after string) ([]holdfast.Record, error) {
				return b.ByIndex(context.Background(), "shelf", after, 150)
			},
		} {
			var keys []string
			for after := ""; ; {
				page, err := list(after)
				if err != nil {
					return fmt.Sprintf("by %s: %v", what, err)
				}
				for _, r := range page {
					keys = append(keys, r.Key)
					after = r.Key
				}
				if len(page) < 150 {
					break
				}
			}
			if !slices.IsSorted(keys) || len(slices.Compact(keys)) != want {
				return fmt.Sprintf("by %s there are %d records, not %d", what, len(keys), want)
			}
		}
	}
}

// TestRecordsCrossWithAPayment: both sides' records are there when it is done. When it is refused away the payer's is as it was, as a new
// version, for whoever has heard of the refusal; and until it is settled nobody else can write it.
func TestRecordsCrossWithAPayment(t *testing.T) {
	f, payer, payee := crossingFleet(t, 1)
	b, ctx := f.site(1).Books(), context.Background()
	mine, theirs := holdfast.OwnedKey(payer.Owner, "limit"), holdfast.OwnedKey(payee.Owner, "trade/1")
	pay := func(to holdfast.AccountID, mineAt, theirsAt uint64, body string) holdfast.Txn {
		x := f.pay(payer, to, 10)
		x.Records = []holdfast.RecordChange{
			{Key: theirs, Expect: theirsAt, Index: []string{"trades"}, Body: []byte(body)},
			{Key: mine, Expect: mineAt, Body: []byte(body)},
		}
		return x
	}
	is := func(key, body string, version uint64) {
		t.Helper()
		r, found, err := b.Record(ctx, key)
		if err != nil || !found || string(r.Body) != body || r.Version != version {
			t.Errorf("%s is %q, version %d, %v, %v; want %q, version %d", key, r.Body, r.Version, found, err, body, version)
		}
	}
	first := pay(payee, 0, 0, "first")
	for range 2 {
		if o, err := b.Submit(ctx, &first); err != nil || o.Status != holdfast.Done {
			t.Fatalf("%+v, %v", o, err)
		}
		is(mine, "first", 1)
		is(theirs, "first", 1)
	}
	late := pay(payee, 1, 7, "late") // away it does not fit
	for range 2 {
		if o, err := b.Submit(ctx, &late); err != nil || o.Status != holdfast.Refused || o.Code != holdfast.CodeRecordVersionMismatch {
			t.Fatalf("%+v, %v", o, err)
		}
		is(mine, "first", 3) // written, and taken back
		is(theirs, "first", 1)
	}
	next := pay(payee, 3, 1, "next")
	again := pay(payee, 4, 2, "again") // as soon as the one before has been heard of
	for i, x := range []holdfast.Txn{next, again} {
		if o, err := b.Submit(ctx, &x); err != nil || o.Status != holdfast.Done {
			t.Fatalf("%d: %+v, %v", i, o, err)
		}
	}
	is(mine, "again", 5)
	is(theirs, "again", 3)
	both := holdfast.Txn{ID: f.id(), Records: []holdfast.RecordChange{{Key: mine, Expect: 5}, {Key: theirs, Expect: 3}}}
	o, err := b.Submit(ctx, &both)
	if not, is := errors.AsType[NotExecutedError](err); !is || not.Outcome.Code != holdfast.CodeShardMismatch || o.Field != "records[1].key" {
		t.Errorf("records of two shards without a payment: %+v, %v", o, err)
	}
	f.settled()
	if a, found, err := b.Account(ctx, payer); err != nil || !found || a.Balance() != 1000-30 || a.DebitsPending != 0 {
		t.Errorf("%+v, %v, %v", a, found, err)
	}
	if _, _, err := b.Record(ctx, "trade/1"); err == nil {
		t.Error("a record of nobody is looked for at its owner")
	}
	f.audit()
}

// TestServedHere: what is listed as a shard's to look after are not the copies of a slot that is on its way there or has left, nor records of nobody.
func TestServedHere(t *testing.T) {
	var gates ledger.Gates
	key := holdfast.OwnedKey(account(t, 1, 10).Owner, "shelf/1")
	for gate, want := range map[ledger.Gate]bool{
		ledger.GateOpen: true, ledger.GateMarked: true, ledger.GateEbbing: true, ledger.GateShut: true, ledger.GateGone: false, ledger.GateArriving: false,
	} {
		gates.Set(10, gate)
		if servedHere(gates, key) != want {
			t.Errorf("gate %v: not %t", gate, want)
		}
	}
	if servedHere(gates, "shelf/1") {
		t.Error("a record of nobody is served")
	}
}
