package client

import (
	"sync"
	"testing"
	"time"
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
