package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"holdfast"
	"holdfast/pay"
	"holdfast/signin"
)

// description opens the document.
const description = `A double-entry ledger for payments, replicated over several sites. Any site takes any request.

Money is whole minor units (1250 is CNY 12.50). Every change has an id: send the same id again as often as you like, it is ` +
	`done at most once. An outcome is done, refused, not executed, or unknown; unknown means: ask again with the same id.`

//go:embed docs.html
var docsSource string

//go:embed docs.css
var docsStyle string

var docsPage = template.Must(template.New("docs").Parse(docsSource))

// renderings are the documents by version: they depend on nothing else, and a process that makes many APIs renders them once.
var renderings sync.Map

type rendering struct{ doc, page []byte }

// mountDocs renders the documents once, at start: the page needs nothing from anywhere else, not even a script.
func (r *router) mountDocs() {
	doc := r.doc.OpenAPI()
	v, had := renderings.Load(doc.Info.Version)
	if !had {
		v, _ = renderings.LoadOrStore(doc.Info.Version, render(doc))
	}
	d := v.(rendering)
	r.mount(operation{name: "openapi", method: get, path: "/openapi.json", free: true, handle: static("application/openapi+json", d.doc, "")})
	r.mount(operation{name: "docs", method: get, path: "/docs", free: true, handle: static("text/html; charset=utf-8", d.page, docsPolicy())})
}

func render(doc *huma.OpenAPI) rendering {
	text, err := json.Marshal(doc)
	if err != nil {
		panic(fmt.Sprintf("the document of the API cannot be written: %v", err)) // made of our own types: found by any test
	}
	var page bytes.Buffer
	if err := docsPage.Execute(&page, pageOf(doc)); err != nil {
		panic(fmt.Sprintf("the documentation cannot be rendered: %v", err))
	}
	return rendering{text, page.Bytes()}
}

// docsPolicy lets the page have its own style and nothing else.
func docsPolicy() string {
	sum := sha256.Sum256([]byte(docsStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

func static(contentType string, content []byte, policy string) handler {
	return func(_ context.Context, x *exchange) error {
		h := x.w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		if policy != "" {
			h.Set("Content-Security-Policy", policy)
		}
		x.out = append(x.out[:0], content...)
		return x.sendRaw(http.StatusOK, contentType)
	}
}

// What the page shows.
type docsData struct {
	Title, Version, Description string
	Style                       template.CSS
	Groups                      []docsGroup
	Codes                       []docsCode
}

type docsGroup struct {
	Name       string
	Operations []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary, Text string
	Parameters                      []docsField
	Body, Answer                    []docsField
}

type docsField struct{ Name, Kind, Where, Text string }

type docsCode struct {
	Name, Advice string
	Status       int
}

func pageOf(doc *huma.OpenAPI) docsData {
	d := docsData{
		Title: doc.Info.Title, Version: doc.Info.Version, Description: doc.Info.Description,
		Style: template.CSS(docsStyle),
		Codes: docsCodes(),
	}
	for _, tag := range []string{tagCustomers, tagMerchants, tagTrades, tagSigningIn, tagPeople, tagAccounts, tagPayments, tagHolds, tagFleet} {
		if list := docsOperations(doc, tag); len(list) > 0 {
			d.Groups = append(d.Groups, docsGroup{tag, list})
		}
	}
	return d
}

func docsOperations(doc *huma.OpenAPI, tag string) (list []docsOperation) {
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post} {
			if op != nil && op.Tags[0] == tag {
				list = append(list, docsOperationOf(doc, op))
			}
		}
	}
	slices.SortFunc(list, func(a, b docsOperation) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) })
	return list
}

func docsOperationOf(doc *huma.OpenAPI, op *huma.Operation) docsOperation {
	d := docsOperation{ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary, Text: op.Description}
	for _, p := range op.Parameters {
		d.Parameters = append(d.Parameters, docsField{p.Name, kindOf(doc, p.Schema), p.In, p.Description})
	}
	if op.RequestBody != nil {
		d.Body = docsFields(doc, op.RequestBody.Content["application/json"].Schema)
	}
	for _, status := range []string{"201", "200"} {
		if resp := op.Responses[status]; resp != nil && resp.Content["application/json"] != nil {
			d.Answer = docsFields(doc, resp.Content["application/json"].Schema)
			break
		}
	}
	return d
}

func docsFields(doc *huma.OpenAPI, s *huma.Schema) (fields []docsField) {
	s = resolve(doc, s)
	for _, one := range s.OneOf {
		fields = append(fields, docsFields(doc, one)...)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		where := ""
		if slices.Contains(s.Required, name) {
			where = "required"
		}
		text := resolve(doc, p).Description
		if p.Description != "" {
			text = p.Description
		}
		fields = append(fields, docsField{name, kindOf(doc, p), where, text})
	}
	return fields
}

func resolve(doc *huma.OpenAPI, s *huma.Schema) *huma.Schema {
	if s.Ref == "" {
		return s
	}
	return doc.Components.Schemas.SchemaFromRef(s.Ref)
}

func kindOf(doc *huma.OpenAPI, s *huma.Schema) string {
	switch {
	case s.Ref != "":
		return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
	case s.Items != nil:
		return "list of " + kindOf(doc, s.Items)
	case len(s.Enum) > 0:
		words := make([]string, len(s.Enum))
		for i, w := range s.Enum {
			words[i] = fmt.Sprint(w)
		}
		return strings.Join(words, " | ")
	}
	return strings.TrimSpace(s.Type + " " + s.Format)
}

func docsCodes() (codes []docsCode) {
	for _, c := range holdfast.Codes() {
		codes = append(codes, docsCode{c.String(), c.Advice(), statuses[c]})
	}
	for _, c := range edgeCodes {
		if _, err := holdfast.ParseCode(c.name); err != nil { // the ledger has the others
			codes = append(codes, docsCode{c.name, c.advice, c.status})
		}
	}
	for _, c := range pay.Codes() {
		if _, err := holdfast.ParseCode(string(c)); err != nil {
			codes = append(codes, docsCode{string(c), c.Text(), payStatuses[c]})
		}
	}
	for _, c := range signin.Codes() {
		codes = append(codes, docsCode{string(c), signin.Text(c), signinStatuses[c]})
	}
	return codes
}
