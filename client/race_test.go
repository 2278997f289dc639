package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
)

// TestRaceListsEverySiteOnce while others find that a site is sick, and well again.
func TestRaceListsEverySiteOnce(t *testing.T) {
	c := &Client{sites: []*site{{}, {}, {}}}
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				c.sites[0].bad(time.Now())
				c.sites[0].good()
			}
		}
	})
	defer others.Wait()
	defer close(stop)
	for range 50_000 {
		r := race{c: c}
		r.enter()
		listed := map[*site]int{}
		for i := range r.entries {
			listed[r.entries[i].site]++
		}
		for i, s := range c.sites {
			if listed[s] != 1 {
				t.Fatalf("site %d is listed %d times", i, listed[s])
			}
		}
	}
}

// For somebody who waits, refused connections are an answer; a payment goes on asking until its deadline, because a site that is started
// again refuses them as well.
func TestHastyEndsWhenNobodyListens(t *testing.T) {
	c := newTestClient(t, Config{Hasty: true, Timeout: time.Minute}, nobody(), nobody())
	if _, err := c.Fleet(t.Context()); !errors.Is(err, ErrNobody) || c.Stats().Attempts < 2 {
		t.Errorf("nobody listens: %v after %d attempts", err, c.Stats().Attempts)
	}
	there := newSiteFor(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"list_version":7}`) })
	c = newTestClient(t, Config{Hasty: true, Timeout: time.Minute}, nobody(), there)
	if f, err := c.Fleet(t.Context()); err != nil || f.List != 7 {
		t.Errorf("the second one is there: %+v, %v", f, err)
	}
	c = newTestClient(t, Config{Timeout: time.Second}, nobody())
	if _, err := c.Account(t.Context(), testTransfer.Debit); errors.Is(err, ErrNobody) || !errors.Is(err, context.DeadlineExceeded) || c.Stats().Attempts < 2 {
		t.Errorf("without haste: %v after %d attempts", err, c.Stats().Attempts)
	}
}

// TestSeveralLostSitesCostLittleMoreThanOne: who waited in vain for one site waits half as long for the next, and never less than the least.
func TestSeveralLostSitesCostLittleMoreThanOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const usual, least = 40 * time.Millisecond, 50 * time.Millisecond
		b := newBook()
		sites := []*testSite{newSiteNear(t, hangs(t)), newSiteNear(t, hangs(t)), newSiteNear(t, hangs(t)), newSiteNear(t, b.pays)}
		c := newTestClient(t, Config{Hedge: least, Timeout: 10 * time.Second}, sites...)
		for i := range c.paces {
			c.paces[i].nanos.Store(int64(usual))
		}
		begun := time.Now()
		if o, err := c.Pay(t.Context(), testTransfer); err != nil || o.Status != holdfast.Done {
			t.Fatalf("%+v %v", o, err)
		}
		first := paceTimes * usual
		if took, want := time.Since(begun), first+first/2+least; took < want || took > want+10*time.Millisecond {
			t.Errorf("round three lost sites it took %s, want %s", took, want)
		}
	})
}

// TestOnlyWhoHadTheTimeIsSlow: a site that lost the race a moment after it was asked has shown nothing. One that stayed without an answer for
// as long as anybody may is asked last from then on.
func TestOnlyWhoHadTheTimeIsSlow(t *testing.T) {
	const hedge = 50 * time.Millisecond
	later := func(b *book, after time.Duration) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(after)
			b.pays(w, r)
		}
	}
	for _, row := range []struct {
		name   string
		answer [3]time.Duration // after being asked; 0: never
		sick   [3]bool
	}{
		{"the first one answers when the second has been asked for a moment", [3]time.Duration{hedge + 2*time.Millisecond, 0, 0}, [3]bool{}},
		{"the second one answers: the first had the time", [3]time.Duration{0, 2 * time.Millisecond, 0}, [3]bool{true, false, false}},
		{"the third one answers: both had the time", [3]time.Duration{0, 0, 2 * time.Millisecond}, [3]bool{true, true, false}},
		{"the first one answers at last: the second had the time, the third had not", [3]time.Duration{2*hedge + 2*time.Millisecond, 0, 0}, [3]bool{false, true, false}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBook()
				var sites []*testSite
				for _, after := range row.answer {
					handle := hangs(t)
					if after > 0 {
						handle = later(b, after)
					}
					sites = append(sites, newSiteNear(t, handle))
				}
				c := newTestClient(t, Config{Hedge: hedge, Timeout: 10 * time.Second}, sites...)
				if o, err := c.Pay(t.Context(), testTransfer); err != nil || o.Status != holdfast.Done {
					t.Fatalf("%+v %v", o, err)
				}
				for i, s := range c.sites {
					if s.sick() != row.sick[i] {
						t.Errorf("site %d counts as sick: %t", i+1, s.sick())
					}
				}
			})
		})
	}
}
