package iso20022

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
)

// Bounds of a message that is read as a whole, and of what is passed over.
const (
	MaxMessage = 8 << 20 // bytes
	maxDepth   = 40
)

// ErrNotThisMessage is wrapped by the error about a document of another message or version.
var ErrNotThisMessage = errors.New("not the message that was expected")

var errTooLong = fmt.Errorf("the message, or one entry of a statement, has more than %d bytes", MaxMessage)

// shape is what an element may have within: made from the types by reflection, once.
type shape struct {
	kids   []kid
	places map[string]int
	text   bool
	attrs  map[string]bool
}

type kid struct {
	name           string
	many, required bool
	*shape
}

var (
	shapes   sync.Map // reflect.Type -> *shape
	nameType = reflect.TypeFor[xml.Name]()
)

func shapeOf(t reflect.Type) *shape {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := &shape{places: map[string]int{}, attrs: map[string]bool{}, text: t.Kind() != reflect.Struct}
	for i := 0; t.Kind() == reflect.Struct && i < t.NumField(); i++ {
		s.add(t.Field(i))
	}
	shapes.Store(t, s)
	return s
}

func (s *shape) add(f reflect.StructField) {
	if f.Type == nameType {
		return
	}
	name, rest, _ := strings.Cut(f.Tag.Get("xml"), ",")
	switch {
	case rest == "attr":
		s.attrs[name] = true
	case rest == "chardata":
		s.text = true
	default:
		s.places[name] = len(s.kids)
		s.kids = append(s.kids, kid{name, f.Type.Kind() == reflect.Slice, rest != "omitempty", shapeOf(f.Type)})
	}
}

// checker hands the tokens of a document on to a decoder, and refuses what is not of the shape.
type checker struct {
	in       *xml.Decoder
	space    string // the one namespace
	tolerant bool   // what is not known is passed over
	stack    []open
	ended    bool
	from     int64 // where in the input the piece begins that may be MaxMessage long
}

type open struct {
	name string
	*shape
	at   int // the place of the last child
	seen []bool
}

func newChecker(r io.Reader, space string, root *shape, tolerant bool) *checker {
	in := xml.NewDecoder(r)
	c := &checker{in: in, space: space, tolerant: tolerant}
	c.push("", &shape{kids: []kid{{"Document", false, true, root}}, places: map[string]int{"Document": 0}})
	return c
}

func (c *checker) push(name string, s *shape) {
	c.stack = append(c.stack, open{name, s, 0, make([]bool, len(s.kids))})
}

// Token implements xml.TokenReader.
func (c *checker) Token() (xml.Token, error) {
	for {
		t, err := c.in.Token()
		if err != nil {
			return nil, c.end(err)
		}
		if c.in.InputOffset()-c.from > MaxMessage {
			return nil, errTooLong
		}
		pass, err := c.check(t)
		if err != nil {
			line, _ := c.in.InputPos()
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if pass {
			return xml.CopyToken(t), nil
		}
	}
}

func (c *checker) end(err error) error {
	if err == io.EOF && !c.ended {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (c *checker) check(t xml.Token) (pass bool, err error) {
	top := &c.stack[len(c.stack)-1]
	switch t := t.(type) {
	case xml.StartElement:
		return c.start(top, t)
	case xml.EndElement:
		return true, c.leave(top)
	case xml.CharData:
		if blank := len(bytes.TrimSpace(t)) == 0; top.text || blank {
			return len(c.stack) > 1, nil
		}
		return false, fmt.Errorf("text within %s, which has elements only", top.called())
	case xml.Directive:
		return false, errors.New("a document type is not allowed in a message")
	case xml.ProcInst:
		if t.Target != "xml" || len(c.stack) > 1 {
			return false, fmt.Errorf("the processing instruction %.20q is not allowed in a message", t.Target)
		}
	}
	return false, nil
}

func (o *open) called() string {
	if o.name == "" {
		return "the document"
	}
	return o.name
}

func (c *checker) start(top *open, t xml.StartElement) (bool, error) {
	if t.Name.Space != c.space {
		return false, fmt.Errorf("%w: element %.40s is of %.80q, want %s", ErrNotThisMessage, t.Name.Local, t.Name.Space, c.space)
	}
	at, known := top.places[t.Name.Local]
	switch {
	case !known && c.tolerant && len(c.stack) > 2:
		return false, c.pass()
	case !known && len(c.stack) == 2:
		return false, fmt.Errorf("%w: it has %.40s", ErrNotThisMessage, t.Name.Local)
	case !known:
		return false, fmt.Errorf("%s has an element %.40s that this platform does not know", top.called(), t.Name.Local)
	case at < top.at:
		return false, fmt.Errorf("%s stands behind %s in %s: the order of the schema is another", t.Name.Local, top.kids[top.at].name, top.called())
	case top.seen[at] && !top.kids[at].many:
		return false, fmt.Errorf("%s has %s twice", top.called(), t.Name.Local)
	}
	top.at, top.seen[at] = at, true
	child := top.kids[at].shape
	if err := child.attributes(t, len(c.stack) == 1); err != nil {
		return false, err
	}
	c.push(t.Name.Local, child)
	return true, nil
}

// attributes are those of the type, and those of XML itself; the root may say where its schema is.
func (s *shape) attributes(t xml.StartElement, root bool) error {
	for _, a := range t.Attr {
		switch {
		case a.Name.Local == "xmlns" && a.Name.Space == "", a.Name.Space == "xmlns", a.Name.Space != "" && root:
		case a.Name.Space == "" && s.attrs[a.Name.Local]:
		default:
			return fmt.Errorf("%s has an attribute %.40s that this platform does not know", t.Name.Local, a.Name.Local)
		}
	}
	return nil
}

func (c *checker) leave(top *open) error {
	for i, k := range top.kids {
		if k.required && !top.seen[i] {
			return fmt.Errorf("%s has no %s", top.called(), k.name)
		}
	}
	c.stack = c.stack[:len(c.stack)-1]
	c.ended = len(c.stack) == 1
	return nil
}

// begin says that a new piece begins.
func (c *checker) begin() { c.from = c.in.InputOffset() }

// pass reads up to the end of an element that is not known.
func (c *checker) pass() error {
	for depth := 1; depth > 0; {
		t, err := c.in.Token()
		if err != nil {
			return c.end(err)
		}
		if c.in.InputOffset()-c.from > MaxMessage {
			return errTooLong
		}
		switch t.(type) {
		case xml.StartElement:
			if depth++; depth > maxDepth {
				return errors.New("elements are nested too deeply")
			}
		case xml.EndElement:
			depth--
		case xml.Directive, xml.ProcInst:
			return errors.New("a document type or processing instruction within the message")
		}
	}
	return nil
}

// read decodes a whole document of one message into v, a pointer to its type.
func read(r io.Reader, space string, v any, tolerant bool) error {
	limited := &io.LimitedReader{R: r, N: MaxMessage + 1}
	c := newChecker(limited, space, shapeOf(reflect.TypeOf(v)), tolerant)
	d := xml.NewTokenDecoder(c)
	err := d.Decode(v)
	if err == nil {
		err = nothingMore(d)
	}
	if limited.N <= 0 {
		err = errTooLong
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", nameOf(space), err)
	}
	return nil
}

func nothingMore(d *xml.Decoder) error {
	for {
		t, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if _, blank := t.(xml.CharData); !blank {
			return errors.New("something stands behind the end of the message")
		}
	}
}

// write encodes a document, as bytes that end with a line feed.
func write(v any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	if err := xml.NewEncoder(&b).Encode(v); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

const spacePrefix = "urn:iso:std:iso:20022:tech:xsd:"

func nameOf(space string) string { return strings.TrimPrefix(space, spacePrefix) }
