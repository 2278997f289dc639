package page

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"mime"
	"net/http"
	"path"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

var (
	shellTemplates = template.Must(template.New("").ParseFS(templateFiles, "templates/*.html"))
	shellFiles     = below(staticFiles, "static")
)

// below is a directory of embedded files.
func below(files embed.FS, dir string) fs.FS {
	sub, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // it is embedded
	}
	return sub
}

// render makes one part of a page.
func render(name string, v *View, body any) ([]byte, error) {
	var b bytes.Buffer
	err := v.area.templates.ExecuteTemplate(&b, name, part{v, body})
	return b.Bytes(), err
}

// send writes what a page came to.
func (p *pages) send(w http.ResponseWriter, r *http.Request, v *View, a Answer) {
	a.Status = cmp.Or(a.Status, http.StatusOK)
	p.Logger.LogAttrs(r.Context(), slog.LevelDebug, "page", slog.String("method", r.Method), slog.String("pattern", r.Pattern),
		slog.Int("status", a.Status), slog.String("lang", v.Lang), slog.Any("error", a.Err))
	h := w.Header()
	switch {
	case a.Redirect != "":
		h.Set("Location", a.Redirect)
		w.WriteHeader(http.StatusSeeOther)
	case a.JSON != nil:
		h.Set("Content-Type", "application/json")
		w.WriteHeader(a.Status)
		_ = json.NewEncoder(w).Encode(a.JSON)
	case a.File != nil:
		h.Set("Content-Type", a.File.Type)
		if a.File.Name != "" {
			h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": a.File.Name}))
		}
		w.WriteHeader(a.Status)
		_, _ = w.Write(a.File.Content)
	default:
		p.sendPage(w, v, a)
	}
}

func (p *pages) sendPage(w http.ResponseWriter, v *View, a Answer) {
	v.Title = cmp.Or(a.Title, v.T("title-"+a.Template))
	v.Sites = p.Places()
	content, err := render(a.Template, v, a.Body)
	var page []byte
	if err == nil {
		page, err = render("layout", v, template.HTML(content)) //nolint:gosec // made by our own templates, which have escaped it
	}
	if err != nil {
		p.Logger.Error("the page could not be rendered", "template", a.Template, "error", err)
		http.Error(w, "The page could not be made. Load it again.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Lang)
	h.Set("Vary", "Accept-Language, Cookie")
	if a.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "2")
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(page)
}

// kinds are the media types of the static files.
var kinds = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// static are the files of all areas.
type static struct {
	files map[string]staticFile // by name
}

type staticFile struct {
	stamp   string // of the content
	content []byte
}

// add takes the files at the root of a file system.
func (s *static) add(files fs.FS) error {
	list, err := fs.ReadDir(files, ".")
	if err != nil {
		return err
	}
	if s.files == nil {
		s.files = map[string]staticFile{}
	}
	for _, f := range list {
		if f.IsDir() || kinds[path.Ext(f.Name())] == "" {
			continue // licences and the like
		}
		content, err := fs.ReadFile(files, f.Name())
		if err != nil {
			return err
		}
		if _, twice := s.files[f.Name()]; twice {
			return fmt.Errorf("two areas have a file %s", f.Name())
		}
		sum := sha256.Sum256(content)
		s.files[f.Name()] = staticFile{hex.EncodeToString(sum[:6]), content}
	}
	return nil
}

func (s *static) address(name string) string { return "/static/" + s.files[name].stamp + "/" + name }

// serve serves a file. Under the address with its hash it never changes; a page of another release asks for another address, which this
// site may not have: then it gets what there is, for a moment.
func (s *static) serve(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	f, ok := s.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", kinds[path.Ext(name)])
	h.Set("Cache-Control", "no-cache")
	if r.PathValue("stamp") == f.stamp {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(f.content)
}
