package backoffice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast"
	"holdfast/bank"
	"holdfast/bank/testbank"
	"holdfast/pay"
)

// rows are the metrics of a registry, as "name{labels}" and value.
func rows(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	must(t, err)
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			v := m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			out[strings.TrimPrefix(f.GetName(), "holdfast_")+"{"+strings.Join(labels, " ")+"}"] = v
		}
	}
	return out
}

// TestWakeReachesTheSiteWithTheClerk: an order that came to any site is with the bank within moments, though orders are listed anew once an hour only.
func TestWakeReachesTheSiteWithTheClerk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBankWorld(t, 1)
		seldom := func(c *Config) { c.Banks[0].Rescan = time.Hour }
		here, _ := w.open(true, seldom)
		other, _ := w.open(false, seldom)
		time.Sleep(time.Minute)
		for n, at := range []*Office{other, here, other, other} {
			b := w.withdraw(w.customers[3-n], "W", 100, "GOOD") // in the order of records each comes before the last
			at.WakeBanks()
			time.Sleep(3 * time.Second)
			if o := w.order(b); o.Status != pay.OrderDone {
				t.Errorf("order %d is %s three seconds after it was made", n, o.Status)
			}
		}
		w.stop()
		w.audit(w.startMoney())
	})
}

// TestTheBoardIsKnownEverywhere: what waits, what is unknown and since when the bank is silent is told at every site, and stays known when another
// one takes over.
func TestTheBoardIsKnownEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBankWorld(t, 1)
		metrics := prometheus.NewRegistry()
		here, leads := w.open(true, func(c *Config) { c.Registry = metrics })
		other, leadsToo := w.open(false, nil)
		must(t, w.bank.SetFaults(testbank.Faults{SlowMS: 200}))
		for n := range 40 {
			w.withdraw(w.customers[0], fmt.Sprint("A", n), 100, "GOOD")
		}
		here.WakeBanks()
		time.Sleep(30 * time.Second)
		must(t, w.bank.SetFaults(testbank.Faults{Down: "refuse"}))
		began := holdfast.TimeOf(time.Now())
		for n := range 30 {
			w.withdraw(w.customers[1], fmt.Sprint("B", n), 100, "GOOD")
			here.WakeBanks()
			time.Sleep(time.Second)
		}
		waits := func(name string, o *Office, least int) {
			t.Helper()
			list, err := o.Banks(w.ctx)
			must(t, err)
			s := list[0]
			if s.Bank != "test" || s.Assets[0] != cny || s.Waiting < least || s.Since < began || s.Since > began+holdfast.Time(5*time.Second) || s.Unknown == 0 ||
				s.Oldest < began || s.Oldest > began+holdfast.Time(3*time.Second) || s.At == 0 {
				t.Errorf("%s: %+v", name, s)
			}
		}
		waits("here", here, 30)
		waits("elsewhere", other, 24) // as of a few seconds ago
		m := rows(t, metrics)
		if m["bank_calls_total{test send done}"] != 40 || m["bank_calls_total{test send unknown}"]+m["bank_calls_total{test ask unknown}"] < 5 ||
			m["bank_known_seconds{test}"] != 40 || m["bank_orders_ended_total{test paid}"] != 40 {
			t.Errorf("counted: %v", m)
		}
		if m["bank_orders{test waiting}"] != 30 || m["bank_orders{test unknown}"] == 0 || m["bank_oldest_unknown_seconds{test}"] < 25 || m["bank_silent_seconds{test}"] < 25 {
			t.Errorf("the queue: %v", m)
		}
		leads.Store(false)
		time.Sleep(2 * time.Second)
		leadsToo.Store(true)
		time.Sleep(3 * time.Second)
		e, err := other.Estimate(w.ctx, pay.BankOrder{}, pay.Order{Asset: cny})
		if must(t, err); !e.Known || !e.Down || e.Since > began+holdfast.Time(5*time.Second) {
			t.Errorf("just after another site has taken over, the estimate is %+v", e)
		}
		if m := rows(t, metrics); m["bank_orders{test waiting}"] != 0 {
			t.Errorf("a site that does not speak with the bank tells of a queue: %v", m)
		}
		leadsToo.Store(false)
		leads.Store(true) // and home again
		time.Sleep(3 * time.Second)
		if m := rows(t, metrics); m["bank_orders{test waiting}"] != 30 {
			t.Errorf("home again, the site does not speak with the bank: %v", m)
		}
		w.stop()
	})
}

// TestBoards: what a release before this one has written is read, and what need not be told is not.
func TestBoards(t *testing.T) {
	b := board{ahead: 3, rate: 2.5, since: 5, at: 7, unknown: 2, oldest: 4, doubtful: 1, accepted: 6, ramp: bank.Ramp{Probe: 8, Round: 9}}
	if got := boardFrom(b.numbers()); got != b {
		t.Errorf("%+v became %+v", b, got)
	}
	if got := boardFrom([]int64{3, 2500, 5, 7}); got != (board{ahead: 3, rate: 2.5, since: 5, at: 7}) {
		t.Errorf("of four numbers came %+v", got)
	}
	if boardFrom([]int64{1}) != (board{}) {
		t.Error("one number is no board")
	}
	const second = holdfast.Time(time.Second)
	told := board{ahead: 10, rate: 1, at: 100 * second}
	for name, row := range map[string]struct {
		now  board
		want bool
	}{
		"the same, soon":       {board{ahead: 10, rate: 1, at: 102 * second}, false},
		"the same, later":      {board{ahead: 10, rate: 1, at: 112 * second}, false},
		"the same, much later": {board{ahead: 10, rate: 1, at: 131 * second}, true},
		"some more":            {board{ahead: 12, rate: 1, at: 102 * second}, false},
		"many more":            {board{ahead: 15, rate: 1, at: 102 * second}, true},
		"fewer, later":         {board{ahead: 9, rate: 1, at: 112 * second}, true},
		"silent":               {board{ahead: 10, rate: 1, since: 101 * second, at: 102 * second}, true},
	} {
		if got := row.now.due(&told); got != row.want {
			t.Errorf("%s: told %v", name, got)
		}
	}
	if !told.due(&board{}) {
		t.Error("nobody was told anything, and is not")
	}
}

// leftBooks are books in which the days of merchants stand in some hours.
type leftBooks struct {
	Books
	hours map[string]bool
	fail  bool
}

func (b *leftBooks) LedByIndex(_ context.Context, index, _ string, _ int) ([]holdfast.Record, error) {
	if b.fail {
		return nil, errors.New("no answer")
	}
	if b.hours[index] {
		return []holdfast.Record{{}}, nil
	}
	return nil, nil
}

// TestSettlementThatIsBehindIsSeen: whoever has stopped settling need not say so.
func TestSettlementThatIsBehindIsSeen(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 30, 0, 0, time.UTC)
	books := &leftBooks{hours: map[string]bool{}}
	w := &settleWatch{office: &Office{cfg: Config{Books: books, Now: func() time.Time { return now }}}}
	at := func(t time.Time) string { return pay.SettleIndex(holdfast.TimeOf(t)) }
	is := func(want float64) {
		t.Helper()
		if w.look(t.Context(), now, watchLately); w.behind() != want {
			t.Errorf("%v days behind, want %v", w.behind(), want)
		}
	}
	is(0)
	books.hours[at(now)] = true // of this hour: it may be about to be settled
	is(0)
	books.hours[at(now.Add(-25*time.Hour))] = true
	is(24.5 / 24)
	now = now.Add(48 * time.Hour) // it is further back than is looked by default, and is not forgotten
	is(72.5 / 24)
	books.fail = true
	is(72.5 / 24)
	books.fail, books.hours = false, nil
	is(0)
}

// TestBacklog: what could not be done is the oldest until a look that goes as far back has found nothing.
func TestBacklog(t *testing.T) {
	noon := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	var b backlog
	is := func(name string, want float64) {
		t.Helper()
		if got := b.age(noon); got != want {
			t.Errorf("%s: %v s, want %v", name, got, want)
		}
	}
	is("nothing", 0)
	b.left(noon.Add(-2 * time.Minute))
	b.left(noon.Add(-5 * time.Minute))
	b.left(noon.Add(-3 * time.Minute))
	b.looked(noon.Add(-time.Hour))
	is("two, three and five minutes ago", 300)
	b.looked(noon.Add(-time.Minute))
	is("nothing new, and not looked so far back", 300)
	b.left(noon.Add(-2 * time.Minute))
	b.looked(noon.Add(-time.Hour))
	is("only the last is left", 120)
	b.looked(noon.Add(-time.Hour))
	is("all is done", 0)
}

// silentBank answers nothing, and its statement cannot be had.
type silentBank struct{ bank.Connector }

func (silentBank) Send(context.Context, *bank.Instruction) bank.Answer { return bank.Answer{} }

// TestCallsAreCounted: every question to a bank, by what came of it.
func TestCallsAreCounted(t *testing.T) {
	r := prometheus.NewRegistry()
	o := &Office{cfg: Config{Registry: r, Now: time.Now}}
	d := &desk{office: o, metrics: newBankMetrics(o), cfg: BankConfig{
		Name: "x", Connector: silentBank{},
		Statement: func(context.Context, bank.Account, time.Time) (io.ReadCloser, error) { return nil, errors.New("no") },
	}}
	d.metrics.banks = &banks{}
	must(t, o.register(d.metrics.all()...))
	d.measure()
	d.cfg.Connector.Send(t.Context(), &bank.Instruction{})
	_, err := d.cfg.Statement(t.Context(), bank.Account{}, time.Now())
	d.metrics.compared(d, cny, &bank.Report{Found: 4})
	if m := rows(t, r); err == nil || m["bank_calls_total{x send unknown}"] != 1 || m["bank_calls_total{x statement unknown}"] != 1 ||
		m["bank_differences{CNY x}"] != 4 || m["bank_compared_timestamp_seconds{CNY x}"] == 0 {
		t.Errorf("%v, %v", m, err)
	}
}
