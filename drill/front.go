package drill

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// front stands before the gateways of all sites as a load balancer does, because an SDK has one address: every request goes to the first site
// whose /readyz says that it takes requests, and is never sent twice.
type front struct {
	url     string
	server  *http.Server
	sites   []*member
	proxies []*httputil.ReverseProxy
	well    []atomic.Bool
	end     context.CancelFunc
	work    sync.WaitGroup
	err     error
}

const (
	frontAsks = 50 * time.Millisecond  // how often a site is asked how it is
	frontWait = 250 * time.Millisecond // for its answer
)

func openFront(sites []*member) (*front, error) {
	l, err := net.Listen("tcp", loopback()+":0")
	if err != nil {
		return nil, fmt.Errorf("listen before the gateways: %w", err)
	}
	ctx, end := context.WithCancel(context.Background())
	f := &front{url: "http://" + l.Addr().String(), sites: sites, well: make([]atomic.Bool, len(sites)), end: end}
	for i, m := range sites {
		to, err := url.Parse(m.url)
		if err != nil {
			end()
			return nil, errors.Join(err, l.Close())
		}
		f.proxies = append(f.proxies, &httputil.ReverseProxy{
			Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(to) },
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		})
		f.well[i].Store(true)
		f.work.Go(func() { f.look(ctx, i) })
	}
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: patience}
	f.work.Go(func() {
		if err := f.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			f.err = err
		}
	})
	return f, nil
}

func (f *front) look(ctx context.Context, i int) {
	for rest(ctx, frontAsks) == nil {
		ask, cancel := context.WithTimeout(ctx, frontWait)
		f.well[i].Store(f.sites[i].own.Ready(ask) == nil)
		cancel()
	}
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for i := range f.proxies {
		if f.well[i].Load() {
			f.proxies[i].ServeHTTP(w, r)
			return
		}
	}
	f.proxies[0].ServeHTTP(w, r) // none says so: then one is as good as any, and answers for itself
}

func (f *front) close() error {
	f.end()
	err := f.server.Close()
	f.work.Wait()
	return errors.Join(err, f.err)
}
