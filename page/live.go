package page

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"holdfast/client"
)

// liveFor is how long one stream lasts: the page opens another, at this site or the next. So nothing lasts for ever, and a page whose person has
// lost the right to look sees no more.
const liveFor = 10 * time.Minute

// Tell gives the template and the content of a part of a page that is live. An error means that it is not known just now: the page goes on
// showing what it has, and says that it is old.
type Tell func(ctx context.Context, v *View) (template string, body any, err error)

// Live registers a stream of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): the part is rendered at once and
// then every so often. What is asked of the API by it counts as no use of the session. The element that shows it has the attributes
// data-live (the path) and data-event.
func (s *Shell) Live(pattern, event string, every time.Duration, tell Tell) {
	a := s.area
	s.handle(pattern, func(w http.ResponseWriter, r *http.Request) { s.stream(w, r, a, event, every, tell) })
}

func (p *pages) stream(w http.ResponseWriter, r *http.Request, a *area, event string, every time.Duration, tell Tell) {
	v := p.view(r, a)
	ctx, cancel := context.WithTimeout(r.Context(), liveFor)
	defer cancel()
	if bad, ok := p.mayWatch(ctx, v, r); !ok {
		http.Error(w, http.StatusText(bad), bad)
		return
	}
	defer a.streams.Add(-1)
	if a.streams.Add(1) > int64(p.Streams) {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "Too many pages are live. Reload this one to see how things are.", http.StatusServiceUnavailable)
		return
	}
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // proxies that would collect
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if err := control.SetWriteDeadline(time.Now().Add(5*every + time.Second)); err != nil {
			return
		}
		if !p.tell(ctx, w, v, event, tell) || control.Flush() != nil {
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

// mayWatch reports whether somebody may see the stream of an area, or the status that says why not.
func (p *pages) mayWatch(ctx context.Context, v *View, r *http.Request) (status int, ok bool) {
	if v.key == "" {
		return http.StatusUnauthorized, false
	}
	ctx, cancel := context.WithTimeout(client.Passive(v.withKey(ctx)), p.Deadline)
	defer cancel()
	if bad, ok := p.know(ctx, v, r); !ok {
		return max(bad.Status, http.StatusUnauthorized), false
	}
	return http.StatusForbidden, v.Kind() == v.area.As
}

// tell sends how things are once; false: there will be no more.
func (p *pages) tell(ctx context.Context, w http.ResponseWriter, v *View, name string, tell Tell) bool {
	ctx, cancel := context.WithTimeout(client.Passive(v.withKey(ctx)), p.Deadline)
	defer cancel()
	v.Now = p.Now()
	template, body, err := tell(ctx, v)
	if e, ok := asAPI(err); ok && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden) {
		return false // the page finds out by asking again
	}
	if err != nil {
		_, err = fmt.Fprintf(w, "event: blind\ndata: %d\n\n", v.Now.Unix())
		return err == nil
	}
	text, err := render(template, v, body)
	if err != nil {
		p.Logger.Error("a part of a page could not be rendered", "template", template, "error", err)
		return false
	}
	_, err = w.Write(event(name, text))
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
