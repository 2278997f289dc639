package alipay

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// kind is what a JSON value is.
type kind uint8

const (
	isNull kind = iota
	isText
	isNumber
	isBool
	isObject
	isArray
)

// node is one JSON value of a request. Numbers stay the text they were sent as, so that no amount passes through a float.
type node struct {
	kind    kind
	text    string // of text, number and bool
	members []member
	items   []node
}

type member struct {
	name string
	node node
}

const (
	maxDepth = 12
	maxNodes = 20_000
)

var errJSON = refuse("isv.illegal-json")

// parseObject reads one JSON object (RFC 8259) and nothing after it. A member that is given twice is an error: which of the two
// was meant would be a guess.
func parseObject(text []byte) (node, error) {
	if !utf8.Valid(text) {
		return node{}, errText
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	r := reader{d: d}
	n, err := r.value(0)
	if err != nil || n.kind != isObject {
		return node{}, errJSON
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return node{}, errJSON
	}
	return n, nil
}

// reader builds nodes from tokens.
type reader struct {
	d     *json.Decoder
	count int
}

func (r *reader) value(depth int) (node, error) {
	token, err := r.d.Token()
	if err != nil {
		return node{}, err
	}
	return r.from(token, depth)
}

func (r *reader) from(token json.Token, depth int) (node, error) {
	if r.count++; r.count > maxNodes || depth > maxDepth {
		return node{}, errJSON
	}
	switch t := token.(type) {
	case string:
		return node{kind: isText, text: t}, nil
	case json.Number:
		return node{kind: isNumber, text: string(t)}, nil
	case bool:
		if t {
			return node{kind: isBool, text: "true"}, nil
		}
		return node{kind: isBool, text: "false"}, nil
	case json.Delim:
		if t == '{' {
			return r.object(depth)
		}
		return r.array(depth)
	default:
		return node{}, nil
	}
}

func (r *reader) object(depth int) (node, error) {
	n := node{kind: isObject, members: make([]member, 0, 8)}
	for r.d.More() {
		token, err := r.d.Token()
		if err != nil {
			return node{}, err
		}
		name, ok := token.(string)
		if _, twice := n.find(name); !ok || twice {
			return node{}, errJSON
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return node{}, err
		}
		n.members = append(n.members, member{name, v})
		if len(n.members) > maxMembers {
			return node{}, errJSON
		}
	}
	_, err := r.d.Token()
	return n, err
}

// maxMembers bounds one object, whose members are searched one after the other.
const maxMembers = 200

func (r *reader) array(depth int) (node, error) {
	n := node{kind: isArray}
	for r.d.More() {
		v, err := r.value(depth + 1)
		if err != nil {
			return node{}, err
		}
		n.items = append(n.items, v)
	}
	_, err := r.d.Token()
	return n, err
}

// find returns a member; null counts as absent for whoever asks for a value.
func (n *node) find(name string) (*node, bool) {
	for i := range n.members {
		if n.members[i].name == name {
			return &n.members[i].node, true
		}
	}
	return nil, false
}

// flat makes an object of parameters that came outside of JSON.
func flat(p params) node {
	n := node{kind: isObject, members: make([]member, len(p))}
	for i, one := range p {
		n.members[i] = member{one.name, node{kind: isText, text: one.value}}
	}
	return n
}
