package drill

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
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
}

type report struct {
	Address string `json:"address,omitempty"`
	Err     string `json:"err,omitempty"`
}

// What the process of the cables can be told. All but the first two name a site in From.
const (
	orderDelay  = "delay"
	orderLay    = "lay"
	orderCut    = "cut"
	orderMute   = "mute"
	orderDeafen = "deafen"
	orderHeal   = "heal"
)

// Cables owns the cables of a drill and does what it is told on in, one order a line, until in ends: what "holdfast cables"
// does. With the drill its cables end.
func Cables(in io.Reader, out io.Writer) (err error) {
	var net *fault.Net
	defer func() {
		if net != nil {
			err = errors.Join(err, net.Close())
		}
	}()
	orders, reports := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read an order: %w", err)
		}
		if net == nil {
			net = fault.NewNet(o.Delay)
		}
		if err := reports.Encode(o.carryOut(net)); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
}

func (o *order) carryOut(net *fault.Net) (r report) {
	var err error
	switch o.Do {
	case orderDelay:
		net.SetDelay(o.Delay)
	case orderLay:
		r.Address, err = net.Lay(fault.Route{From: o.From, To: o.To, Carrier: o.Carrier}, "", o.Target)
	case orderCut:
		net.CutSite(o.From)
	case orderMute:
		net.Mute(o.From)
	case orderDeafen:
		net.Deafen(o.From)
	case orderHeal:
		if o.From == 0 {
			net.HealAll()
		} else {
			net.HealSite(o.From)
		}
	default:
		err = fmt.Errorf("no order is called %q", o.Do)
	}
	if err != nil {
		r.Err = err.Error()
	}
	return r
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
	if _, err := c.tell(order{Do: orderDelay, Delay: delay}); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func newCables(in io.Writer, out io.Reader, end func() error) *cables {
	return &cables{orders: json.NewEncoder(in), done: json.NewDecoder(out), end: end}
}

// tell gives an order and waits until it is carried out.
func (c *cables) tell(o order) (address string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var r report
	if err = c.orders.Encode(o); err == nil {
		err = c.done.Decode(&r)
	}
	if err == nil && r.Err != "" {
		err = errors.New(r.Err)
	}
	if err != nil {
		return "", fmt.Errorf("%s cables: %w", o.Do, err)
	}
	return r.Address, nil
}

// lay adds a cable to the target and returns the address to dial.
func (c *cables) lay(from, to holdfast.SiteID, carrier int, target string) (string, error) {
	return c.tell(order{Do: orderLay, From: from, To: to, Carrier: carrier, Target: target})
}

// do tells all cables of a site, or with site 0 all there are.
func (c *cables) do(what string, site holdfast.SiteID) error {
	_, err := c.tell(order{Do: what, From: site})
	return err
}

// Close ends the process, and with it every cable. A nil network has none.
func (c *cables) Close() error {
	if c == nil || c.end == nil {
		return nil
	}
	end := c.end
	c.end = nil
	return end()
}
