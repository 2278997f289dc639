package site

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Print writes the configuration as a TOML file that [Decode] reads back, every field with the paragraph that explains it.
// Lists that are empty are shown by a commented example.
func Print(w io.Writer, c Config) error {
	docs, err := paragraphs()
	if err != nil {
		return err
	}
	p := printer{w: bufio.NewWriter(w), docs: docs}
	p.comment("", docs["Config"])
	p.line("")
	p.fields(reflect.ValueOf(c), "")
	if p.err != nil {
		return fmt.Errorf("print the configuration: %w", p.err)
	}
	return p.w.Flush()
}

type printer struct {
	w    *bufio.Writer
	docs map[string]string // "Type" and "Type.Field"
	err  error
}

func (p *printer) line(text string) {
	if _, err := p.w.WriteString(text + "\n"); err != nil && p.err == nil {
		p.err = err
	}
}

func (p *printer) comment(prefix, text string) {
	for _, l := range strings.Split(strings.TrimSpace(text), "\n") {
		p.line(strings.TrimRight(prefix+"# "+l, " "))
	}
}

// fields prints the plain values of a section first: in TOML what follows a section header belongs to the section.
func (p *printer) fields(v reflect.Value, section string) {
	for _, sections := range []bool{false, true} {
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if isSection(field.Type) != sections {
				continue
			}
			p.comment("", p.docs[v.Type().Name()+"."+field.Name])
			p.field(v.Field(i), field.Tag.Get("toml"))
			p.line("")
		}
	}
}

func (p *printer) field(v reflect.Value, name string) {
	switch {
	case !isSection(v.Type()):
		p.value(name, v)
	case v.Kind() == reflect.Struct:
		p.line("[" + name + "]")
		p.line("")
		p.fields(v, name)
	case v.Len() == 0:
		p.example(v.Type().Elem(), name)
	default:
		for i := range v.Len() {
			p.line("[[" + name + "]]")
			p.line("")
			p.fields(v.Index(i), name)
		}
	}
}

// example shows a list section of which there is none, in comments.
func (p *printer) example(t reflect.Type, name string) {
	p.line("# [[" + name + "]]")
	for i := range t.NumField() {
		field := t.Field(i)
		p.comment("# ", p.docs[t.Name()+"."+field.Name])
		p.line("# " + field.Tag.Get("toml") + " = ...")
	}
}

func (p *printer) value(name string, v reflect.Value) {
	if v.Kind() == reflect.Map { // in one line: a table of its own would end the section
		p.line(name + " = {" + strings.Join(p.pairs(v), ", ") + "}")
		return
	}
	text, err := toml.Marshal(map[string]any{name: v.Interface()})
	if err != nil && p.err == nil {
		p.err = err
	}
	p.line(strings.TrimSpace(string(text)))
}

// pairs are the entries of a map from text to text, in order.
func (p *printer) pairs(v reflect.Value) (list []string) {
	for _, key := range v.MapKeys() {
		text, err := toml.Marshal(map[string]any{key.String(): v.MapIndex(key).Interface()})
		if err != nil && p.err == nil {
			p.err = err
		}
		list = append(list, strings.TrimSpace(string(text)))
	}
	slices.Sort(list)
	return list
}

func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct || t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
}

// paragraphs reads the documentation of the fields out of the source of this package.
func paragraphs() (map[string]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", configSource, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("read the documentation of the configuration: %w", err)
	}
	docs := map[string]string{}
	for _, d := range file.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.TYPE {
			continue
		}
		spec := decl.Specs[0].(*ast.TypeSpec)
		docs[spec.Name.Name] = decl.Doc.Text()
		if fields, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range fields.Fields.List {
				docs[spec.Name.Name+"."+f.Names[0].Name] = f.Doc.Text()
			}
		}
	}
	return docs, nil
}
