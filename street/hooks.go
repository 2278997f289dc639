package street

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Hooks are where the merchants of a street are told of events: a server on this machine.
type Hooks struct {
	URL    string
	server *http.Server
	heard  atomic.Uint64
}

// misses is how often the till of a merchant is being restarted: it takes what it is told then when it is told again.
const misses = 40

// OpenHooks opens it at a free port of the loopback.
func OpenHooks() (*Hooks, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &Hooks{URL: "http://" + l.Addr().String()}
	h.server = &http.Server{Handler: http.HandlerFunc(h.hear), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
	go func() { _ = h.server.Serve(l) }() // ends with Close
	return h, nil
}

func (h *Hooks) hear(w http.ResponseWriter, r *http.Request) {
	const enough = 1 << 20
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, enough))
	w.Header().Set("Content-Type", "application/json")
	if h.heard.Add(1)%misses == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"till":"is being restarted"}`)
		return
	}
	_, _ = io.WriteString(w, `{"till":"has noted it"}`)
}

// Heard is how many events have been told, repeated ones included.
func (h *Hooks) Heard() uint64 { return h.heard.Load() }

// Close ends the server.
func (h *Hooks) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return h.server.Shutdown(ctx)
}
