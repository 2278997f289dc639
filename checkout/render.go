package checkout

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"html/template"
	"log/slog"
	"net/http"
	"path"
)

//go:embed page.html
var pageText string

//go:embed static
var files embed.FS

// page is the one template: every state is a part of it, so that all look the same.
var page = template.Must(template.New("page").Funcs(template.FuncMap{"static": staticAddress}).Parse(pageText))

// send writes what a page came to.
func (p *pages) send(w http.ResponseWriter, r *http.Request, v *view, a *answer) {
	p.log(r, v, a)
	h := w.Header()
	if a.redirect != "" {
		h.Set("Location", a.redirect)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	v.State, v.Problem = a.state, a.problem
	var body bytes.Buffer
	if err := page.Execute(&body, v); err != nil {
		p.Logger.Error("the page could not be rendered", "error", err)
		http.Error(w, "The page could not be made. Nothing was taken by this. Load it again.", http.StatusInternalServerError)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", string(v.Lang))
	h.Set("Vary", "Accept-Language, Cookie")
	switch a.status {
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "2")
	case http.StatusTooManyRequests:
		h.Set("Retry-After", "60")
	}
	w.WriteHeader(a.status)
	_, _ = body.WriteTo(w)
}

// log tells of a page without telling whose it is.
func (p *pages) log(r *http.Request, v *view, a *answer) {
	p.Logger.LogAttrs(r.Context(), slog.LevelDebug, "checkout", slog.String("method", r.Method), slog.String("state", string(a.state)),
		slog.String("problem", a.problem), slog.Int("status", a.status), slog.String("lang", string(v.Lang)), slog.Any("error", a.err))
}

// state answers the script.
func (p *pages) state(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), p.Deadline)
	defer cancel()
	a, _ := p.open(ctx, p.view(r))
	if a.state == unknown {
		a.status = http.StatusOK // it is an answer to the question
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(map[string]state{"state": a.state})
}

// kinds are the media types of the static files.
var kinds = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

func stampOf(name string) string {
	content, err := files.ReadFile("static/" + name)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:6])
}

func staticAddress(name string) string { return "../cashier/static/" + name + "?v=" + stampOf(name) }

// serveStatic serves a file. Only under the address with its hash it is kept for long.
func serveStatic(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	content, err := files.ReadFile("static/" + name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", kinds[path.Ext(name)])
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == stampOf(name) {
		h.Set("Cache-Control", "public, max-age=604800, immutable")
	}
	_, _ = w.Write(content)
}
