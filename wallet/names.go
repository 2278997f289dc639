package wallet

import (
	"context"
	"net/http"
	"sync"
	"time"

	"errors"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// names remembers what merchants are called, which everybody may know, so that a list of receipts asks for each once.
type names struct {
	mu    sync.Mutex
	known map[holdfast.Owner]name // guarded by mu
}

type name struct {
	text  string // "": no merchant
	until time.Time
}

const (
	nameLife  = 10 * time.Minute
	maxNames  = 10_000
	nameAsks  = 8 // at once, for one page
	namesWait = time.Second
)

func (n *names) find(o holdfast.Owner, now time.Time) (name, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	x, ok := n.known[o]
	return x, ok && now.Before(x.until)
}

func (n *names) learn(o holdfast.Owner, text string, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil || len(n.known) >= maxNames {
		n.known = map[holdfast.Owner]name{}
	}
	n.known[o] = name{text, now.Add(nameLife)}
}

// learnNames asks for the names of those in a list who are not known yet. What cannot be learnt in time is shown as a number.
func (w *wallet) learnNames(ctx context.Context, v *page.View, list []client.Receipt) {
	ctx, cancel := context.WithTimeout(ctx, namesWait)
	defer cancel()
	asked := map[holdfast.Owner]bool{}
	gate := make(chan struct{}, nameAsks)
	var all sync.WaitGroup
	for i := range list {
		o := list[i].Other
		if _, known := w.names.find(o, v.Now); o == 0 || known || asked[o] {
			continue
		}
		asked[o] = true
		gate <- struct{}{}
		all.Go(func() {
			defer func() { <-gate }()
			text, err := w.API.MerchantName(ctx, o)
			if e, ok := errors.AsType[*client.Error](err); ok && e.Status == http.StatusNotFound {
				err = nil // a person
			}
			if err == nil {
				w.names.learn(o, text, v.Now)
			}
		})
	}
	all.Wait()
}

// nameOf is what somebody is called: a merchant by name, a person by the last digits of the number.
func (w *wallet) nameOf(v *page.View, o holdfast.Owner) string {
	if x, known := w.names.find(o, v.Now); known && x.text != "" {
		return x.text
	}
	return v.Tf("person", o.String()[12:])
}
