package fault

import "time"

// Direction is a set of directions of a [Cable].
type Direction uint8

const (
	// Forward is from the side that dials to the target.
	Forward Direction = 1 << iota
	// Backward is from the target to the side that dials.
	Backward
	// Both is the whole cable.
	Both = Forward | Backward
)

// CableStats counts since the cable was laid.
type CableStats struct {
	Forward     uint64    // bytes delivered to the target
	Backward    uint64    // bytes delivered to the side that dials
	Held        uint64    // bytes inside the cable now, both directions: under way, or waiting for a heal
	Accepted    uint64    // connections taken
	Open        int       // connections that exist now, the waiting ones included
	Waiting     int       // connections that wait for a heal before the target is dialled
	Refused     uint64    // connections that the target did not take
	Cut         Direction // what is cut now
	CutForward  time.Duration
	CutBackward time.Duration
}

// Cable relays TCP connections from its own address to a target. It keeps the order of bytes, delays them by the
// propagation delay of their direction, has no bandwidth limit of its own, and holds at most some megabytes per connection
// and direction, so that a slow reader is felt by the writer as it would be on a real line.
type Cable struct{}

// NewCable listens on listen ("127.0.0.1:0" picks a port) and relays to target; delay is the one-way propagation delay of
// both directions, so that a round trip takes twice as long. The name is for error texts.
func NewCable(name, listen, target string, delay time.Duration) (*Cable, error) { panic("unwritten") }

// Name is what NewCable was given.
func (c *Cable) Name() string { panic("unwritten") }

// Addr is the address to dial instead of the target.
func (c *Cable) Addr() string { panic("unwritten") }

// Cut stops the bytes of the given directions, silently: connections stay open, what was under way stays in the cable, and
// new connections are taken but lead nowhere. Cutting what is cut changes nothing.
func (c *Cable) Cut(d Direction) { panic("unwritten") }

// Heal lets everything flow again, in order. Connections opened during the cut reach the target now, unless whoever dialled
// has given up.
func (c *Cable) Heal() { panic("unwritten") }

// Mend heals only the given directions.
func (c *Cable) Mend(d Direction) { panic("unwritten") }

// SetDelay changes the one-way propagation delays; bytes that are under way keep their order.
func (c *Cable) SetDelay(forward, backward time.Duration) { panic("unwritten") }

// Stats may be called at any time.
func (c *Cable) Stats() CableStats { panic("unwritten") }

// Close resets every connection, stops listening and waits for all goroutines of the cable.
func (c *Cable) Close() error { panic("unwritten") }
