package pay

import (
	"context"
	"errors"

	"holdfast"
)

// Mark is how far some work in the background has come: the platform remembers it, so that whoever does the work next goes on there. What the
// numbers mean is his business.
type Mark struct {
	Name    string // no part of the body
	Version uint64 // of the record; 0: there is none; no part of the body
	Numbers []int64
}

const (
	kindMark       = "mark"
	maxMarkNumbers = 16
)

func (*Mark) kind() (byte, byte) { return 42, 1 }

func (v *Mark) layout(c *coder) { list(c, &v.Numbers, maxMarkNumbers, func(n *int64) { signed(c, n) }) }

// Mark reads a mark; its Version is 0 when nobody has set it.
func (c *Cashier) Mark(ctx context.Context, name string) (m Mark, err error) {
	if err := validNumber(name, "mark"); err != nil {
		return m, err
	}
	version, err := c.load(ctx, keyOf(c.Bank, kindMark, name), &m)
	m.Name, m.Version = name, version
	return m, settled(err)
}

// Marks lists all marks whose names begin with a prefix, at most 4096.
func (c *Cashier) Marks(ctx context.Context, prefix string) (list []Mark, err error) {
	records, err := c.Books.Records(ctx, keyOf(c.Bank, kindMark, prefix), "", 4096)
	if err != nil {
		return nil, &Unavailable{Err: err}
	}
	for i := range records {
		m := Mark{Version: records[i].Version}
		if err := unpack(records[i].Key, records[i].Body, &m); err != nil {
			return nil, &Unavailable{Err: err}
		}
		_, _, m.Name, _ = cutKey(records[i].Key)
		list = append(list, m)
	}
	return list, nil
}

// SetMark writes a mark over the version that was read. moved is false when somebody else has set it meanwhile, and nothing was written.
func (c *Cashier) SetMark(ctx context.Context, m *Mark, now holdfast.Time) (moved bool, err error) {
	if err := validNumber(m.Name, "mark"); err != nil {
		return false, err
	}
	if len(m.Numbers) > maxMarkNumbers {
		return false, refuse(TooMany, "mark")
	}
	d := draft{at: now}
	d.put(keyOf(c.Bank, kindMark, m.Name), m.Version, m)
	switch err := c.submit(ctx, &d); {
	case errors.Is(err, errAgain):
		return false, nil
	case err != nil:
		return false, settled(err)
	}
	m.Version++
	return true, nil
}
