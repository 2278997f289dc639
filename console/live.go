package console

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"holdfast/client"
)

const (
	liveEvery = time.Second
	// liveFor is how long one stream lasts: the page opens another, at this site or the next. So nothing lasts for ever, and a page whose person has
	// lost the right to look sees no more.
	liveFor = 10 * time.Minute
)

// live sends the picture of the fleet again and again, as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).
func (p *pages) live(w http.ResponseWriter, r *http.Request) {
	v := p.view(r)
	if v.key == "" {
		http.Error(w, "Sign in.", http.StatusUnauthorized)
		return
	}
	defer p.streams.Add(-1)
	if p.streams.Add(1) > int64(p.Streams) {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "Too many pages are live. Reload this one to see how things are.", http.StatusServiceUnavailable)
		return
	}
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // proxies that would collect
	ctx, cancel := context.WithTimeout(r.Context(), liveFor)
	defer cancel()
	ticker := time.NewTicker(liveEvery)
	defer ticker.Stop()
	for {
		if err := control.SetWriteDeadline(time.Now().Add(5 * liveEvery)); err != nil {
			return
		}
		if !p.tell(ctx, w, v) || control.Flush() != nil {
			return
		}
		select {
		case <-p.life.Done():
			return
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// tell sends how things are once; false: there will be no more.
func (p *pages) tell(ctx context.Context, w http.ResponseWriter, v *view) bool {
	ctx, cancel := context.WithTimeout(client.Passive(v.as(ctx)), p.Deadline)
	defer cancel()
	v.now = p.Now()
	f, err := p.look(ctx)
	if err != nil {
		// The page goes on showing what it has, and says that it is old.
		_, err = fmt.Fprintf(w, "event: blind\ndata: %d\n\n", v.now.Unix())
		return err == nil
	}
	body, err := render("fleet-now", v, fleetPage(f, v))
	if err != nil {
		p.Logger.Error("the fleet could not be rendered", "error", err)
		return false
	}
	_, err = w.Write(event("fleet", body))
	return err == nil
}

// event writes an event: each line of the text has the name of the field before it.
func event(name string, text []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: %s\n", name)
	for line := range bytes.Lines(text) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 { // an empty line in markup means nothing
			b.WriteString("data: ")
			b.Write(line)
			b.WriteByte('\n')
		}
	}
	b.WriteByte('\n')
	return b.Bytes()
}
