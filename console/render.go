package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"html/template"
	"log/slog"
	"net/http"
	"path"
	"strings"
)

//go:embed templates
var templateFiles embed.FS

//go:embed static
var files embed.FS

var templates = template.Must(template.New("").ParseFS(templateFiles, "templates/*.html"))

// part is what a template is given: the view, and the content of its own.
type part struct {
	*view
	Is any
}

// render makes one part of a page.
func render(name string, v *view, body any) ([]byte, error) {
	var b bytes.Buffer
	err := templates.ExecuteTemplate(&b, name, part{v, body})
	return b.Bytes(), err
}

// send writes what a page came to.
func (p *pages) send(w http.ResponseWriter, r *http.Request, v *view, a answer) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	p.Logger.LogAttrs(r.Context(), slog.LevelDebug, "page", slog.String("method", r.Method), slog.String("pattern", r.Pattern),
		slog.Int("status", a.status), slog.String("lang", v.Lang), slog.Any("error", a.err))
	h := w.Header()
	switch {
	case a.redirect != "":
		h.Set("Location", a.redirect)
		w.WriteHeader(http.StatusSeeOther)
		return
	case a.data != nil:
		h.Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		_ = json.NewEncoder(w).Encode(a.data)
		return
	}
	v.Title = v.T("title-" + a.template)
	if a.title != "" {
		v.Title = a.title
	}
	v.Sites = p.Places()
	content, err := render(a.template, v, a.body)
	var page []byte
	if err == nil {
		page, err = render("layout", v, template.HTML(content)) //nolint:gosec // made by our own templates, which have escaped it
	}
	if err != nil {
		p.Logger.Error("the page could not be rendered", "template", a.template, "error", err)
		http.Error(w, "The page could not be made. Load it again.", http.StatusInternalServerError)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Lang)
	h.Set("Vary", "Accept-Language, Cookie")
	if a.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "2")
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(page)
}

// kinds are the media types of the static files.
var kinds = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// stamps are the hashes of the static files, by name.
var stamps = func() map[string]string {
	stamps := map[string]string{}
	list, err := files.ReadDir("static")
	if err != nil {
		panic(err) // it is embedded
	}
	for _, f := range list {
		content, err := files.ReadFile("static/" + f.Name())
		if err != nil {
			panic(err) // it is embedded
		}
		sum := sha256.Sum256(content)
		stamps[f.Name()] = hex.EncodeToString(sum[:6])
	}
	return stamps
}()

func staticAddress(name string) string { return "/static/" + stamps[name] + "/" + name }

// serveStatic serves a file. Under the address with its hash it never changes; a page of another release asks for another address, which this
// site may not have: then it gets what there is, for a moment.
func serveStatic(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	content, err := files.ReadFile("static/" + name)
	if err != nil || strings.Contains(name, "/") || kinds[path.Ext(name)] == "" {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", kinds[path.Ext(name)])
	h.Set("Cache-Control", "no-cache")
	if r.PathValue("stamp") == stamps[name] {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(content)
}
