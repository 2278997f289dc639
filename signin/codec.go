package signin

import (
	"encoding/binary"
	"fmt"

	"holdfast/pay"
)

// coder writes or reads the body of a record, by one layout for both directions: the number of the kind, the version of its layout, then its fields:
// integers as unsigned varints, texts with their length before them, lists with their count.
type coder struct {
	b       []byte
	reading bool
	bad     bool
}

// document is the body of a record.
type document interface {
	// kind is a number for ever, and the present version of the layout. Those of package pay are below 80.
	kind() (number, version byte)
	layout(c *coder)
}

func pack(d document) []byte {
	number, version := d.kind()
	c := coder{b: append(make([]byte, 0, 256), number, version)}
	d.layout(&c)
	return c.b
}

// unpack reads a body that pack has written, and nothing else.
func unpack(key string, body []byte, d document) error {
	number, version := d.kind()
	c := coder{reading: true}
	if c.bad = len(body) < 2 || body[0] != number || body[1] != version; !c.bad {
		c.b = body[2:]
		d.layout(&c)
	}
	if c.bad || len(c.b) > 0 {
		return fmt.Errorf("%w: %.60q", pay.ErrCorrupt, key)
	}
	return nil
}

func (c *coder) varint(v uint64) uint64 {
	if !c.reading {
		c.b = binary.AppendUvarint(c.b, v)
		return v
	}
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

// number codes an integer that is not below 0.
func number[T ~uint8 | ~uint32 | ~uint64 | ~int64](c *coder, p *T) {
	v := c.varint(uint64(*p))
	if c.reading {
		*p = T(v)
		c.bad = c.bad || uint64(*p) != v
	}
}

// text codes a string or bytes.
func text[T ~string | ~[]byte](c *coder, p *T) {
	n := c.varint(uint64(len(*p)))
	switch {
	case !c.reading:
		c.b = append(c.b, *p...)
	case n > uint64(len(c.b)):
		c.bad, c.b = true, nil
	default:
		*p = T(append([]byte(nil), c.b[:n]...))
		c.b = c.b[n:]
	}
}

// list codes elements, at most most of them.
func list[T any](c *coder, p *[]T, most int, one func(*T)) {
	n := c.varint(uint64(len(*p)))
	if c.reading {
		if *p = nil; n > uint64(most) {
			c.bad, c.b = true, nil
			return
		}
		if n > 0 {
			*p = make([]T, n)
		}
	}
	for i := range *p {
		one(&(*p)[i])
	}
}
