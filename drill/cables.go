package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"holdfast"
	"holdfast/fault"
)

// cables is the network between the sites, in a process of its own. In the process of the load it would be no cable: a
// machine with too much to do lets thousands of callers run before a relay, and the sites lose sight of each other for as
// long as the load lasts. A fibre does not mind how busy its ends are.
type cables struct {
	mu     sync.Mutex
	orders *json.Encoder
	done   *json.Decoder
	end    func() error // ends the process
}

// order is a line to the process of the cables; it answers each with a report, when it is carried out.
type order struct {
	Do      string          `json:"do"`
	From    holdfast.SiteID `json:"from,omitempty"`
	To      holdfast.SiteID `json:"to,omitempty"`
	Carrier int             `json:"carrier,omitempty"`
	Target  string          `json:"target,omitempty"`
	Delay   time.Duration   `json:"delay,omitempty"`
	Flows   *flows          `json:"flows,omitempty"`
	Share   float64         `json:"share,omitempty"`
	Seed    uint64          `json:"seed,omitempty"`
}

type report struct {
	Address string   `json:"address,omitempty"`
	Sent    []uint64 `json:"sent,omitempty"` // bytes since the cables were laid, by carrier
	Err     string   `json:"err,omitempty"`

	Passed fault.Passage `json:"passed,omitzero"`

	// Tardy is the longest that bytes left later than they were due, since the stats before: the cables got no processor.
	Tardy time.Duration `json:"tardy,omitempty"`
}

// What the process of the cables can be told.
const (
	orderDelay    = "delay"     // Delay: one way, of the cables to come
	orderLay      = "lay"       // From, To, Carrier, Target; Delay 0: that of all
	orderCut      = "cut"       // From: all of a site
	orderMute     = "mute"      // From
	orderDeafen   = "deafen"    // From
	orderCutFlows = "cut-flows" // Flows
	orderLossy    = "lossy"     // Flows, Share, Delay: how late, Seed
	orderFlap     = "flap"      // Flows, Delay: down and up for so long, by turns, until a heal of everything
	orderHeal     = "heal"      // From; 0: everything
	orderStats    = "stats"
	orderCount    = "count" // Flows: what became of them
)

// flows chooses bytes by where they go and over what.
type flows struct {
	Carrier int               `json:"carrier,omitempty"` // from 1; 0: any
	From    []holdfast.SiteID `json:"from,omitempty"`    // none: any site
	To      []holdfast.SiteID `json:"to,omitempty"`
	Both    bool              `json:"both,omitempty"` // and back
}

func (f *flows) match(r fault.Route) bool {
	among := func(id holdfast.SiteID, list []holdfast.SiteID) bool {
		return len(list) == 0 || slices.Contains(list, id)
	}
	goes := func(from, to holdfast.SiteID) bool { return among(from, f.From) && among(to, f.To) }
	inside := r.From != fault.Outside && r.To != fault.Outside
	return inside && (f.Carrier == 0 || f.Carrier == r.Carrier+1) && (goes(r.From, r.To) || f.Both && goes(r.To, r.From))
}

// Cables owns the cables of a drill and does what it is told on in, one order a line, until in ends: what "holdfast cables"
// does. With the drill its cables end.
func Cables(in io.Reader, out io.Writer) (err error) {
	x := exchange{still: func() {}}
	defer func() { err = errors.Join(err, x.close()) }()
	orders, reports := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read an order: %w", err)
		}
		if x.net == nil {
			x.net = fault.NewNet(o.Delay)
		}
		r, err := x.carryOut(&o)
		if err != nil {
			r.Err = err.Error()
		}
		if err := reports.Encode(r); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
}

// exchange is the cables and who works on them.
type exchange struct {
	net   *fault.Net
	still func() // ends the flapping
}

func (x *exchange) close() error {
	x.still()
	if x.net == nil {
		return nil
	}
	return x.net.Close()
}

func (x *exchange) carryOut(o *order) (r report, err error) {
	switch o.Do {
	case orderDelay:
		x.net.SetDelay(o.Delay)
	case orderLay:
		r.Address, err = x.lay(o)
	case orderCut:
		x.net.CutSite(o.From)
	case orderMute:
		x.net.Mute(o.From)
	case orderDeafen:
		x.net.Deafen(o.From)
	case orderStats:
		r.Sent, r.Tardy = x.sent(), x.net.Tardy()
	case orderHeal:
		x.heal(o.From)
	case orderCutFlows, orderLossy, orderFlap, orderCount:
		err = x.withFlows(o, &r)
	default:
		err = fmt.Errorf("no order is called %q", o.Do)
	}
	return r, err
}

// withFlows does what an order says to the flows it names.
func (x *exchange) withFlows(o *order, r *report) error {
	if o.Flows == nil {
		return fmt.Errorf("%s: of which flows?", o.Do)
	}
	switch o.Do {
	case orderCutFlows:
		x.net.CutWhere(o.Flows.match)
	case orderLossy:
		x.net.LossyWhere(o.Flows.match, o.Share, o.Delay, o.Seed)
	case orderFlap:
		x.flap(o.Flows.match, o.Delay)
	case orderCount:
		r.Passed = x.net.Passed(o.Flows.match)
	}
	return nil
}

func (x *exchange) lay(o *order) (string, error) {
	r := fault.Route{From: o.From, To: o.To, Carrier: o.Carrier}
	address, err := x.net.Lay(r, "", o.Target)
	if err == nil && o.Delay != 0 {
		x.net.Cable(r).SetDelay(o.Delay, o.Delay)
	}
	return address, err
}

// flap begins to cut and heal by turns.
func (x *exchange) flap(match func(fault.Route) bool, each time.Duration) {
	x.still()
	x.net.CutWhere(match) // it is down when the order is carried out
	ctx, cancel := context.WithCancel(context.Background())
	var worker sync.WaitGroup
	worker.Go(func() { x.net.Flap(ctx, match, each, each) })
	x.still = func() { cancel(); worker.Wait() }
}

// heal mends the cables of a site, or with site 0 everything there is.
func (x *exchange) heal(site holdfast.SiteID) {
	if site != 0 {
		x.net.HealSite(site)
		return
	}
	x.still()
	x.net.LossyWhere(func(fault.Route) bool { return true }, 0, 0, 0)
	x.net.HealAll()
}

// sent adds up what sites have sent over each carrier.
func (x *exchange) sent() (bytes []uint64) {
	for r, s := range x.net.Stats() {
		for len(bytes) <= r.Carrier {
			bytes = append(bytes, 0)
		}
		bytes[r.Carrier] += s.Sent
	}
	return bytes
}

// startCables starts the process and sets the one-way delay of the cables to come.
func startCables(spawn *spawner, program, logFile string, delay time.Duration) (*cables, error) {
	cmd := exec.Command(program, "cables")
	cmd.SysProcAttr = childAttributes()
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of the cables: %w", err)
	}
	defer log.Close()
	cmd.Stderr = log
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := spawn.do(cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s cables: %w", program, err)
	}
	c := newCables(in, out, func() error { return errors.Join(in.Close(), cmd.Wait()) })
	if err := c.order(order{Do: orderDelay, Delay: delay}); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func newCables(in io.Writer, out io.Reader, end func() error) *cables {
	return &cables{orders: json.NewEncoder(in), done: json.NewDecoder(out), end: end}
}

// tell gives an order and waits until it is carried out.
func (c *cables) tell(o order) (r report, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err = c.orders.Encode(o); err == nil {
		err = c.done.Decode(&r)
	}
	if err == nil && r.Err != "" {
		err = errors.New(r.Err)
	}
	if err != nil {
		return report{}, fmt.Errorf("%s cables: %w", o.Do, err)
	}
	return r, nil
}

// order is tell where nothing but success is answered.
func (c *cables) order(o order) error {
	_, err := c.tell(o)
	return err
}

// lay adds a cable to the target and returns the address to dial. The one-way delay 0 is that of all cables.
func (c *cables) lay(from, to holdfast.SiteID, carrier int, target string, delay time.Duration) (string, error) {
	r, err := c.tell(order{Do: orderLay, From: from, To: to, Carrier: carrier, Target: target, Delay: delay})
	return r.Address, err
}

// do tells all cables of a site, or with site 0 all there are.
func (c *cables) do(what string, site holdfast.SiteID) error {
	return c.order(order{Do: what, From: site})
}

// stats is how many bytes the sites have sent so far, by carrier, and how late the cables were at most since it was asked before.
func (c *cables) stats() (sent []uint64, tardy time.Duration, err error) {
	r, err := c.tell(order{Do: orderStats})
	return r.Sent, r.Tardy, err
}

// passed is what became of some flows since the cables were laid.
func (c *cables) passed(f *flows) (fault.Passage, error) {
	if c == nil {
		return fault.Passage{}, errNoCables
	}
	r, err := c.tell(order{Do: orderCount, Flows: f})
	return r.Passed, err
}

var errNoCables = errors.New("there are no cables")

// Close ends the process, and with it every cable. A nil network has none.
func (c *cables) Close() error {
	if c == nil || c.end == nil {
		return nil
	}
	end := c.end
	c.end = nil
	return end()
}
