package httpapi

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"holdfast/guard"
	"holdfast/signin"
)

// router mounts operations and documents them. huma makes the document from the types; it serves nothing: its own handlers
// would read bodies less strictly, and by reflection.
type router struct {
	api     *api
	mux     *http.ServeMux
	doc     huma.API
	problem *huma.Schema
	methods map[string][]string // by path
}

// Handle implements huma.Adapter: what huma would serve is left out.
func (r *router) Handle(*huma.Operation, func(huma.Context)) {}

// ServeHTTP implements huma.Adapter.
func (r *router) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.mux.ServeHTTP(w, req) }

func newRouter(a *api, version string) *router {
	r := &router{api: a, mux: http.NewServeMux(), methods: map[string][]string{}}
	cfg := huma.DefaultConfig("Holdfast", version)
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath, cfg.CreateHooks = "", "", "", nil
	cfg.Info.Description = description
	cfg.Security = []map[string][]string{{"key": {}}}
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key":     {Type: "http", Scheme: "bearer", Description: "API key, hf_...; or one of a merchant, hfm_..., or a session, hfs_..., where the operation says so"},
		"session": {Type: "http", Scheme: "bearer", Description: "Session, hfs_...: what signing in answers with"},
	}
	r.doc = huma.NewAPI(cfg, r)
	r.problem = r.doc.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	return r
}

// operation is one row of the list of routes.
type operation struct {
	name    string // operation id
	method  string
	path    string
	tag     string
	summary string
	text    string
	action  guard.Action // 0: open to everybody
	sellers bool         // keys of merchants are taken as well, for what is theirs, and sessions of their people
	buyers  bool         // sessions of customers are taken as well, for what is theirs
	staff   signin.Right // of a merchant's people who may ask as well; 0: with sellers [rightOf], without nobody
	session bool         // any session, and nothing else
	free    bool         // not counted against the limit of requests at once
	late    bool         // who asks is let in as this site alone knows them, when nobody else can be asked
	ok      []int        // statuses of success, the usual one first; none: 200
	params  []string     // of the URL; add takes them, and whether a transaction is asked for, from the document
	txn     bool
	handle  handler
}

// add mounts an operation whose parameters and body are documented by I and whose answer is documented by O.
func add[I, O any](r *router, o operation) {
	op := huma.Operation{
		OperationID: o.name, Method: o.method, Path: o.path, Summary: o.summary, Description: o.text, Tags: []string{o.tag},
		Responses: map[string]*huma.Response{"default": {
			Description: "Anything else is a problem document",
			Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: r.problem}},
		}},
	}
	o.staff = rightOf(&o)
	op.Security, op.Description = securityOf(&o), strings.TrimSpace(op.Description+"\n\n"+whoMay(&o))
	for _, status := range o.ok {
		op.Responses[strconv.Itoa(status)] = &huma.Response{}
	}
	if len(o.ok) > 0 {
		op.DefaultStatus = o.ok[0]
	} else {
		op.Responses["200"] = &huma.Response{}
	}
	huma.Register(r.doc, op, func(context.Context, *I) (*O, error) { return nil, nil })
	r.shareSuccess(&o)
	for _, p := range operationOf(r.doc.OpenAPI().Paths[o.path], o.method).Parameters {
		switch {
		case p.In == "query":
			o.params = append(o.params, p.Name)
		case p.Name == idempotencyHeader:
			o.txn = true
		}
	}
	r.mount(o)
}

// shareSuccess gives every status of success the same body: 201 and 200 differ only in who was first.
func (r *router) shareSuccess(o *operation) {
	item := r.doc.OpenAPI().Paths[o.path]
	responses := operationOf(item, o.method).Responses
	for _, status := range o.ok {
		resp := responses[strconv.Itoa(status)]
		resp.Content = responses[strconv.Itoa(o.ok[0])].Content
		resp.Description = successText[status]
	}
}

// either documents that an operation may answer a status with another body as well.
func either[O any](r *router, path, method string, status int) {
	media := operationOf(r.doc.OpenAPI().Paths[path], method).Responses[strconv.Itoa(status)]
	other := r.doc.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[O](), true, "")
	media.Content = map[string]*huma.MediaType{jsonType: {
		Schema: &huma.Schema{OneOf: []*huma.Schema{media.Content[jsonType].Schema, other}},
	}}
}

// eitherIn documents that the body of an operation may be another one as well.
func eitherIn[I any](r *router, path, method string) {
	media := operationOf(r.doc.OpenAPI().Paths[path], method).RequestBody.Content[jsonType]
	other := r.doc.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[I](), true, "")
	media.Schema = &huma.Schema{OneOf: []*huma.Schema{media.Schema, other}}
}

// neverNull takes back what huma says of lists and pointers: the API writes no null and reads none.
func neverNull(s *huma.Schema) {
	s.Nullable = false
	for _, p := range s.Properties {
		neverNull(p)
	}
	if s.Items != nil {
		neverNull(s.Items)
	}
}

var successText = map[int]string{
	http.StatusOK:      "Done. For what has an id: it had been done before, this is that outcome",
	http.StatusCreated: "Done",
}

func operationOf(item *huma.PathItem, method string) *huma.Operation {
	if method == http.MethodPost {
		return item.Post
	}
	return item.Get
}

func (r *router) mount(o operation) {
	r.methods[o.path] = append(r.methods[o.path], o.method)
	r.mux.Handle(o.method+" "+o.path, &endpoint{
		api: r.api, name: o.name, action: o.action, sellers: o.sellers, buyers: o.buyers, staff: o.staff, session: o.session, free: o.free, late: o.late, params: o.params, txn: o.txn, handle: o.handle, metrics: r.api.metrics.of(o.name),
	})
}

// finish mounts the documents and what answers everything that is no operation.
func (r *router) finish() http.Handler {
	delete(r.doc.OpenAPI().Components.Schemas.Map(), "ErrorModel") // huma's own, which nothing here sends
	for _, s := range r.doc.OpenAPI().Components.Schemas.Map() {
		neverNull(s)
	}
	r.mountDocs()
	for path, methods := range r.methods {
		r.mux.Handle(path, r.refusal("method-not-allowed", notAllowed(methods)))
	}
	missing := r.refusal("not-found", notFound)
	r.mux.Handle("/", missing)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if clean(req.URL.EscapedPath()) {
			r.mux.ServeHTTP(w, req)
		} else {
			missing.ServeHTTP(w, req)
		}
	})
}

// clean reports whether a path is what it says. The mux would send the caller of any other path elsewhere, with a page for people.
func clean(path string) bool {
	if !strings.HasPrefix(path, "/") {
		return false
	}
	for rest := path[1:]; ; {
		segment, after, more := strings.Cut(rest, "/")
		if segment == "." || segment == ".." || segment == "" && more {
			return false
		}
		if !more {
			return true
		}
		rest = after
	}
}

func (r *router) refusal(name string, h handler) http.Handler {
	return &endpoint{api: r.api, name: name, free: true, handle: h, metrics: r.api.metrics.of(name)}
}

func notFound(_ context.Context, x *exchange) error {
	return edgeNotFound.field("path", "There is no such path: /docs lists what there is. A \"/\" or \"..\" within a key is written %%2F and %%2E%%2E.")
}

func notAllowed(methods []string) handler {
	slices.Sort(methods)
	allow := strings.Join(methods, ", ")
	return func(context.Context, *exchange) error {
		p := edgeMethod.problem("")
		p.allow = allow
		return p
	}
}

// rightOf is the right that a person of a merchant needs for an operation that takes keys of the merchant, unless it says another one.
func rightOf(o *operation) signin.Right {
	switch {
	case o.staff != 0 || !o.sellers:
		return o.staff
	case o.method == http.MethodGet:
		return signin.Look
	case o.action == guard.MoveMoney:
		return signin.Work
	}
	return signin.Manage
}

// securityOf is what the document says of who may ask; nil: an API key.
func securityOf(o *operation) []map[string][]string {
	switch {
	case o.session:
		return []map[string][]string{{"session": {}}}
	case o.action == 0:
		return []map[string][]string{{}}
	}
	return nil
}

// whoMay says in words who may ask.
func whoMay(o *operation) string {
	switch {
	case o.session:
		return "For whoever has signed in: send the session. Keys are not taken."
	case o.action == 0:
		return ""
	}
	text := "Role: " + leastRole(o.action).String() + " or higher"
	if o.sellers {
		text += "; or a key of the merchant"
	}
	if o.staff != 0 {
		text += "; or a session of one of the merchant's people with the right to " + o.staff.String()
	}
	if o.buyers {
		text += "; or a session of the customer"
	}
	return text + "."
}

// leastRole is the role that an action needs, as guard's table says.
func leastRole(a guard.Action) guard.Role {
	var denied *guard.Denied
	if errors.As(guard.Authorise(guard.Principal{}, a), &denied) {
		return denied.Needs
	}
	return guard.NoRole
}
