package alipay

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of one request. The protocol sets none for biz_content; the largest that a merchant needs is a goods_detail of some
// hundred lines.
const (
	MaxBody   = 128 << 10 // bytes, also of the query
	maxParams = 100
	maxName   = 128 // bytes
)

// param is one decoded parameter.
type param struct{ name, value string }

// params are the parameters of query and body together, in the order of their names once merged.
type params []param

var (
	errTooLarge = refuseText("isv.invalid-parameter", "参数无效 (the request is larger than 128 KiB, or has more than 100 parameters)")
	errEncoding = refuseText("isv.invalid-parameter", "参数无效 (query and body have to be application/x-www-form-urlencoded, or the body multipart/form-data)")
	errTwice    = refuseText("isv.invalid-parameter", "参数无效 (a parameter is given twice, with different values)")
	errText     = refuse("isv.invalid-charset")
)

func refuseText(subCode, text string) *Refusal { return &Refusal{SubCode: subCode, Text: text} }

// get returns the value, "" when there is none.
func (p params) get(name string) string {
	for i := range p {
		if p[i].name == name {
			return p[i].value
		}
	}
	return ""
}

// merge sorts by name and leaves one of each that was given twice with the same value.
func (p params) merge() (params, error) {
	slices.SortStableFunc(p, func(a, b param) int { return cmp.Compare(a.name, b.name) })
	out := p[:0]
	for i, one := range p {
		if i > 0 && one.name == out[len(out)-1].name {
			if one.value != out[len(out)-1].value {
				return p, errTwice
			}
			continue
		}
		out = append(out, one)
	}
	return out, nil
}

// readParams reads query and body. What it can read of a request that is wrong is returned with the error, so that the error
// can be answered in the name of the method, with the key of the application.
func readParams(r *http.Request) (params, error) {
	p := make(params, 0, 16)
	p, err := p.urlencoded(r.URL.RawQuery)
	if err == nil && r.Method == http.MethodPost {
		p, err = p.body(r)
	}
	merged, twice := p.merge()
	return merged, cmp.Or(err, twice)
}

func (p params) body(r *http.Request) (params, error) {
	kind, attributes, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && r.Header.Get("Content-Type") != "" && kind == "" {
		return p, errEncoding
	}
	if kind == "multipart/form-data" {
		return p.multipart(multipart.NewReader(io.LimitReader(r.Body, MaxBody+1), attributes["boundary"]))
	}
	text, err := readBody(r)
	if err != nil {
		return p, err
	}
	return p.urlencoded(string(text))
}

// readBody reads all of a body that is not too large.
func readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength > MaxBody {
		return nil, errTooLarge
	}
	size := max(r.ContentLength, 0)
	body := make([]byte, 0, size+512)
	for {
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > MaxBody:
			return nil, errTooLarge
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, refuseText("isv.invalid-parameter", "参数无效 (the body could not be read to its end in time)")
		}
		if len(body) == cap(body) {
			body = slices.Grow(body, len(body))
		}
	}
}

func (p params) urlencoded(text string) (params, error) {
	if len(text) > MaxBody {
		return p, errTooLarge
	}
	for text != "" {
		var pair string
		pair, text, _ = strings.Cut(text, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return p, errEncoding
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return p, errEncoding
		}
		if p, err = p.add(name, value); err != nil {
			return p, err
		}
	}
	return p, nil
}

// multipart takes the text parts. Files are not signed, and no method here takes one: they are read over.
func (p params) multipart(parts *multipart.Reader) (params, error) {
	total := 0
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return p, nil
		}
		if err != nil {
			return p, errEncoding
		}
		if part.FileName() != "" {
			continue
		}
		value, err := io.ReadAll(io.LimitReader(part, MaxBody+1))
		if total += len(value); total > MaxBody {
			return p, errTooLarge
		}
		if err != nil {
			return p, errEncoding
		}
		if p, err = p.add(part.FormName(), string(value)); err != nil {
			return p, err
		}
	}
}

func (p params) add(name, value string) (params, error) {
	switch {
	case len(p) == maxParams || len(name) > maxName:
		return p, errTooLarge
	case name == "":
		return p, errEncoding
	case !utf8.ValidString(name) || !utf8.ValidString(value):
		return p, errText
	}
	return append(p, param{name, value}), nil
}

// signedText is what a signature covers: name=value joined with &, in the order of names, without those left out. The receiver
// has to be sorted.
func (p params) signedText(dst []byte, empty bool, without ...string) []byte {
	first := true
	for _, one := range p {
		if one.value == "" && !empty || slices.Contains(without, one.name) {
			continue
		}
		if !first {
			dst = append(dst, '&')
		}
		first = false
		dst = append(append(append(dst, one.name...), '='), one.value...)
	}
	return dst
}

// hasEmpty reports whether a value is empty: such a parameter is part of the signed text for some clients and not for others.
func (p params) hasEmpty() bool {
	return slices.ContainsFunc(p, func(one param) bool { return one.value == "" })
}

// form is the parameters as the body of a form, in the order they stand in.
func (p params) form() string {
	var b strings.Builder
	for i, one := range p {
		if i > 0 {
			b.WriteByte('&')
		}
		fmt.Fprintf(&b, "%s=%s", url.QueryEscape(one.name), url.QueryEscape(one.value))
	}
	return b.String()
}
