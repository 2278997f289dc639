package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"holdfast/drill"
	"holdfast/httpapi"
)

// progressLine is a line of --progress json. What a line does not have is as it was.
type progressLine struct {
	Now    *httpapi.DrillNow    `json:"now,omitempty"`    // how the drill stands
	Line   string               `json:"line,omitempty"`   // something has begun, or is over
	Checks []httpapi.DrillCheck `json:"checks,omitempty"` // what was proved, at the end
}

// shower shows a drill while it goes on.
type shower interface {
	show(s *drill.Snapshot)
	aside(text string)          // says something beside it
	prove(checks []drill.Check) // when it is over
	close()
}

// newShower is the view of people, or with --progress json that of programs.
func (f *drillFlags) newShower(w io.Writer) (shower, error) {
	switch f.progress {
	case "":
		return newView(w), nil
	case "json":
		p := &progress{w: w}
		p.words = view{w: &p.said}
		return p, nil
	}
	return nil, fmt.Errorf("--progress %.20q: it is json, or is left out", f.progress)
}

// prove has nothing to say to people that the result does not.
func (v *view) prove([]drill.Check) {}

// progress tells programs how a drill stands, in lines of JSON: whenever something begins or is over, and twice a second.
type progress struct {
	w io.Writer

	mu    sync.Mutex
	words view         // writes its lines into said
	said  bytes.Buffer // guarded by mu
	last  time.Time
}

const progressEvery = 500 * time.Millisecond

func (p *progress) show(s *drill.Snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said.Reset()
	if s.Changed {
		fmt.Fprintln(&p.said, s.Phase)
	}
	p.words.tellFaults(s.Faults)
	for line := range bytes.Lines(p.said.Bytes()) {
		p.send(progressLine{Line: string(bytes.TrimSpace(line))})
	}
	if now := time.Now(); p.said.Len() > 0 || now.Sub(p.last) >= progressEvery {
		p.last = now
		p.send(progressLine{Now: drillNowOf(s)})
	}
}

func (p *progress) prove(checks []drill.Check) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]httpapi.DrillCheck, len(checks))
	for i, c := range checks {
		out[i] = httpapi.DrillCheck{Name: c.Name, Detail: c.Detail, OK: c.OK}
	}
	p.send(progressLine{Checks: out})
}

func (p *progress) aside(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for line := range strings.Lines(text) {
		p.send(progressLine{Line: strings.TrimSpace(line)})
	}
}

func (p *progress) close() {}

// send writes a line in one piece. Who does not read any more must not end the drill.
func (p *progress) send(l progressLine) {
	text, err := json.Marshal(l)
	if err == nil {
		_, _ = p.w.Write(append(text, '\n'))
	}
}

// drillNowOf is what a snapshot says, in the form of the API.
func drillNowOf(s *drill.Snapshot) *httpapi.DrillNow {
	now := &httpapi.DrillNow{
		Phase: s.Phase, Paying: s.Running, Elapsed: s.Elapsed.Seconds(), Length: s.Length.Seconds(), Payments: httpapi.DrillPayments(s.Payments),
		Looked: s.Looked, Lost: s.Lost + s.Altered, Doubled: s.Doubled, P50: inMs(s.P50), P99: inMs(s.P99), Rates: s.Rates,
	}
	for _, x := range s.Sites {
		now.Sites = append(now.Sites, httpapi.DrillSite{Name: x.Name, State: string(x.Damage), Leads: x.Leads})
	}
	for _, x := range s.Carriers {
		now.Carriers = append(now.Carriers, httpapi.DrillCarrier{State: string(x.Damage), Rate: x.Rate})
	}
	for i := range s.Faults {
		x := &s.Faults[i]
		now.Faults = append(now.Faults, httpapi.DrillFault{
			Kind: x.Kind, Target: x.Target, At: x.At.Milliseconds(), Healed: x.Healed.Milliseconds(), Pause: inMs(x.Pause), Failed: x.Failed,
		})
	}
	return now
}

func inMs(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
