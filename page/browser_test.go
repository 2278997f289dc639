package page_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"holdfast/client"
	"holdfast/page"
	"holdfast/page/pagetest"
)

// diner is two sites with a form each; the orders that have come are told by their numbers.
type diner struct {
	sites  [2]*httptest.Server
	down   [2]atomic.Bool
	orders chan string
}

func openDiner(t *testing.T) *diner {
	d := &diner{orders: make(chan string, 10)}
	api := http.NewServeMux()
	api.HandleFunc("GET /v1/session", func(w http.ResponseWriter, _ *http.Request) { pagetest.JSON(w, client.Here{As: "customer"}) })
	back := httptest.NewServer(api)
	t.Cleanup(back.Close)
	handlers := [2]http.Handler{}
	for i := range d.sites {
		d.sites[i] = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case d.down[i].Load():
				panic(http.ErrAbortHandler)
			case r.URL.Path == "/livez":
				return
			}
			handlers[i].ServeHTTP(w, r)
		}))
		t.Cleanup(d.sites[i].Close)
	}
	for i := range d.sites {
		c, err := client.New(client.Config{Sites: []string{back.URL}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		handlers[i], err = page.New(page.Config{API: c, Direct: api, Areas: []page.Area{d.area(i)}, Places: func() []page.Place {
			return []page.Place{{Name: "hangzhou", URL: d.sites[0].URL, Self: i == 0}, {Name: "shanghai", URL: d.sites[1].URL, Self: i == 1}}
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (d *diner) area(n int) page.Area {
	return page.Area{
		Name: "wallet", As: "customer",
		Templates: fstest.MapFS{"a.html": {Data: []byte(`{{define "dish"}}<h1>{{.Is}}</h1><form method="post" action="/wallet/eat"><input type="hidden" name="number" value="{{.Fresh}}">` +
			`<label for="what">What</label><input id="what" name="what"><button type="submit">Eat</button></form><a id="on" href="/wallet/menu">Menu</a>{{end}}`)}},
		Routes: func(s *page.Shell) {
			show := func(_ context.Context, _ *page.View, r *http.Request) page.Answer {
				return page.Answer{Template: "dish", Title: "Dish", Body: fmt.Sprint(r.URL.Path, " at ", n)}
			}
			s.Open("GET /wallet/menu", show)
			s.Open("POST /wallet/eat", func(_ context.Context, _ *page.View, r *http.Request) page.Answer {
				d.orders <- r.PostFormValue("what")
				return page.Answer{Redirect: "/wallet/menu"}
			})
		},
	}
}

// A page on which nothing is live goes on elsewhere all the same; what somebody has begun to write is not taken away, and goes to the other site.
func TestAPlainPageLosesItsSite(t *testing.T) {
	chrome := pagetest.Browser(t)
	d := openDiner(t)
	tab := chrome.Tab(t, pagetest.Look{Lang: "en", Width: 390})
	writing := chrome.Tab(t, pagetest.Look{Lang: "en", Width: 390})
	tab.Do(pagetest.Go(d.sites[0].URL+"/wallet/menu"), pagetest.Shown("h1", "/wallet/menu at 0"))
	writing.Do(pagetest.Go(d.sites[0].URL+"/wallet/menu"), pagetest.Type("#what", "noodles"))
	d.down[0].Store(true)
	writing.Do(pagetest.Shown("#notice", "What you send goes to shanghai"), pagetest.Type("#what", " with duck\r"), pagetest.Shown("h1", "/wallet/menu at 1"))
	select {
	case got := <-d.orders:
		if got != "noodles with duck" {
			t.Errorf("ordered %q", got)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing was ordered")
	}
	tab.Do(pagetest.Go("about:blank")) // a page in the background does not look
	tab.Do(pagetest.Go(d.sites[1].URL+"/wallet/menu"), pagetest.Shown("h1", "at 1"))
	d.down[0].Store(false)
	d.down[1].Store(true)
	tab.Do(pagetest.Shown("#notice", "shanghai does not answer any more. You are now at hangzhou"), pagetest.Shown("h1", "/wallet/menu at 0"))
}
