package alipay

import (
	"encoding/json"
	"strings"
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
// was meant would be a guess. It is our own and not encoding/json, whose tokens cost as much as all else here that is no signature;
// a fuzz target holds the two together.
func parseObject(text []byte) (node, error) {
	if !utf8.Valid(text) {
		return node{}, errText
	}
	r := reader{text: string(text)}
	n, ok := r.value(0)
	r.blank()
	if !ok || n.kind != isObject || r.at != len(r.text) {
		return node{}, errJSON
	}
	return n, nil
}

// reader is a place in the text.
type reader struct {
	text  string
	at    int
	count int
}

func (r *reader) blank() {
	for r.at < len(r.text) && (r.text[r.at] == ' ' || r.text[r.at] == '\n' || r.text[r.at] == '\t' || r.text[r.at] == '\r') {
		r.at++
	}
}

// next passes over blanks and one byte, if it is that.
func (r *reader) next(c byte) bool {
	r.blank()
	if r.at < len(r.text) && r.text[r.at] == c {
		r.at++
		return true
	}
	return false
}

func (r *reader) value(depth int) (node, bool) {
	r.blank()
	if r.count++; r.count > maxNodes || depth > maxDepth || r.at == len(r.text) {
		return node{}, false
	}
	switch c := r.text[r.at]; c {
	case '{':
		return r.object(depth)
	case '[':
		return r.array(depth)
	case '"':
		text, ok := r.quoted()
		return node{kind: isText, text: text}, ok
	case 't':
		return r.word("true", isBool)
	case 'f':
		return r.word("false", isBool)
	case 'n':
		return r.word("null", isNull)
	default:
		return r.number()
	}
}

func (r *reader) word(word string, k kind) (node, bool) {
	if !strings.HasPrefix(r.text[r.at:], word) {
		return node{}, false
	}
	r.at += len(word)
	return node{kind: k, text: word}, true
}

func (r *reader) number() (node, bool) {
	from := r.at
	if r.text[r.at] == '-' {
		r.at++
	}
	zero := r.at < len(r.text) && r.text[r.at] == '0'
	if n := r.digits(); n == 0 || zero && n > 1 {
		return node{}, false
	}
	if r.at < len(r.text) && r.text[r.at] == '.' {
		if r.at++; r.digits() == 0 {
			return node{}, false
		}
	}
	if r.at < len(r.text) && r.text[r.at]|0x20 == 'e' {
		if r.at++; r.at < len(r.text) && (r.text[r.at] == '+' || r.text[r.at] == '-') {
			r.at++
		}
		if r.digits() == 0 {
			return node{}, false
		}
	}
	return node{kind: isNumber, text: r.text[from:r.at]}, true
}

func (r *reader) digits() int {
	from := r.at
	for r.at < len(r.text) && '0' <= r.text[r.at] && r.text[r.at] <= '9' {
		r.at++
	}
	return r.at - from
}

// quoted reads a string. One without escapes, as nearly all are, is a part of the text and costs nothing.
func (r *reader) quoted() (string, bool) {
	r.at++
	from := r.at
	for ; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; {
		case c == '"':
			r.at++
			return r.text[from : r.at-1], true
		case c == '\\':
			return r.escaped(from)
		case c < 0x20:
			return "", false
		}
	}
	return "", false
}

// escaped goes on to the end of a string with escapes and leaves their meaning to encoding/json.
func (r *reader) escaped(from int) (string, bool) {
	for ; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case '"':
			r.at++
			var text string
			err := json.Unmarshal([]byte(r.text[from-1:r.at]), &text)
			return text, err == nil
		case '\\':
			r.at++
		}
	}
	return "", false
}

func (r *reader) object(depth int) (node, bool) {
	r.at++
	n := node{kind: isObject}
	if r.next('}') {
		return n, true
	}
	n.members = make([]member, 0, 8)
	for len(n.members) < maxMembers {
		if r.blank(); r.at == len(r.text) || r.text[r.at] != '"' {
			return n, false
		}
		name, ok := r.quoted()
		if _, twice := n.find(name); !ok || twice || !r.next(':') {
			return n, false
		}
		v, ok := r.value(depth + 1)
		if !ok {
			return n, false
		}
		n.members = append(n.members, member{name, v})
		if r.next('}') {
			return n, true
		}
		if !r.next(',') {
			return n, false
		}
	}
	return n, false
}

// maxMembers bounds one object, whose members are searched one after the other.
const maxMembers = 200

func (r *reader) array(depth int) (node, bool) {
	r.at++
	n := node{kind: isArray}
	if r.next(']') {
		return n, true
	}
	for {
		v, ok := r.value(depth + 1)
		if !ok {
			return n, false
		}
		n.items = append(n.items, v)
		if r.next(']') {
			return n, true
		}
		if !r.next(',') {
			return n, false
		}
	}
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
