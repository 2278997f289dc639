package pay

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// coder writes or reads the body of a record. Each document has one layout for both directions, so that they cannot differ. A body is the
// number of the kind, the version of its layout, then its fields: integers as unsigned varints (signed ones in zigzag) of the shortest form,
// texts and bytes with their length before them, lists with their count.
type coder struct {
	b       []byte
	reading bool
	bad     string // the first thing found wrong while reading
	absent  bool   // what is read is a tail that is not there
}

// document is the body of a record.
type document interface {
	// kind is a number for ever, and the present version of the layout.
	kind() (number, version byte)
	layout(c *coder)
}

// pack writes a body.
func pack(d document) []byte {
	number, version := d.kind()
	c := coder{b: append(make([]byte, 0, 192), number, version)}
	d.layout(&c)
	return c.b
}

// unpack reads a body that pack has written, and nothing else.
func unpack(key string, body []byte, d document) error {
	number, version := d.kind()
	if len(body) < 2 || body[0] != number || body[1] != version {
		return fmt.Errorf("%w: %.60q is not of kind %d, version %d", ErrCorrupt, key, number, version)
	}
	c := coder{b: body[2:], reading: true}
	d.layout(&c)
	if c.bad == "" && len(c.b) > 0 {
		c.bad = "bytes left over"
	}
	if c.bad != "" {
		return fmt.Errorf("%w: %.60q: %s", ErrCorrupt, key, c.bad)
	}
	return nil
}

func (c *coder) fail(why string) {
	if c.bad == "" {
		c.bad = why
	}
	c.b = nil
}

func (c *coder) varint(v uint64) uint64 {
	if !c.reading {
		c.b = binary.AppendUvarint(c.b, v)
		return v
	}
	v, n := binary.Uvarint(c.b)
	if n <= 0 || n != max(1, (bits.Len64(v)+6)/7) {
		c.fail("a number is cut off or too long")
		return 0
	}
	c.b = c.b[n:]
	return v
}

// number codes an unsigned integer.
func number[T ~uint8 | ~uint16 | ~uint32 | ~uint64](c *coder, p *T) {
	v := c.varint(uint64(*p))
	if c.reading {
		if *p = T(v); uint64(*p) != v {
			c.fail("a number is too large")
		}
	}
}

// signed codes a signed integer.
func signed[T ~int32 | ~int64](c *coder, p *T) {
	n := int64(*p)
	v := c.varint(uint64(n<<1) ^ uint64(n>>63))
	if c.reading {
		n = int64(v>>1) ^ -int64(v&1)
		if *p = T(n); int64(*p) != n {
			c.fail("a number is too large")
		}
	}
}

func flag(c *coder, p *bool) {
	var v uint8
	if *p {
		v = 1
	}
	number(c, &v)
	if v > 1 {
		c.fail("a flag is neither 0 nor 1")
	}
	*p = v == 1
}

// text codes a string or bytes.
func text[T ~string | ~[]byte](c *coder, p *T) {
	n := c.varint(uint64(len(*p)))
	switch {
	case !c.reading:
		c.b = append(c.b, *p...)
	case n > uint64(len(c.b)):
		c.fail("a text is cut off")
	default:
		*p = T(append([]byte(nil), c.b[:n]...))
		c.b = c.b[n:]
	}
}

// tail codes fields that a layout has got later, at its end. A body that was written before them ends where they would begin, and so does one in
// which none of them says anything: a document has one body. Those that came later still are a tail of the tail.
func (c *coder) tail(says func() bool, fields func()) {
	switch {
	case c.absent:
		fields()
		return
	case c.reading && len(c.b) == 0:
		c.b, c.absent = nothing[:], true // whatever the document held before, it says nothing now
		fields()
		c.b, c.absent = nil, false
		return
	case !c.reading && !says():
		return
	}
	if fields(); !says() {
		c.fail("fields at the end that say nothing")
	}
}

// nothing is what fields are read from that are not there: each is zero, and there are fewer than so many.
var nothing [64]byte

// list codes elements, at most most of them.
func list[T any](c *coder, p *[]T, most int, one func(*T)) {
	n := c.varint(uint64(len(*p)))
	if c.reading {
		if n > uint64(most) {
			c.fail("a list is too long")
			return
		}
		*p = nil
		if n > 0 {
			*p = make([]T, n)
		}
	}
	for i := range *p {
		one(&(*p)[i])
	}
}
