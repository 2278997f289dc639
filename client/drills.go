package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"holdfast"
)

// Drill is something that can be broken on purpose, in a fleet that is started for it.
type Drill struct {
	Name     string `json:"name"`
	Story    string `json:"story"`    // what is broken, in a sentence
	Load     int    `json:"load_s"`   // seconds in which payments are made
	Takes    int    `json:"takes_s"`  // about how many seconds in all
	Sites    int    `json:"sites"`    // processes
	Shards   int    `json:"shards"`   //
	Carriers int    `json:"carriers"` // cables between each two sites
	Bound    int    `json:"bound_ms"` // the longest pause that passes
	Missing  string `json:"missing"`  // what the machine of the site lacks for it; "": nothing
}

// DrillRun is a run of a drill at the site that was asked.
type DrillRun struct {
	ID      holdfast.ID  `json:"run"`
	Drill   string       `json:"drill"`
	Seed    uint64       `json:"seed"`
	By      string       `json:"by"`    // who asked for it
	State   string       `json:"state"` // "running", "stopping", "done", "stopped" or "broken"
	Started time.Time    `json:"started"`
	Ended   time.Time    `json:"ended"` // zero: it is under way
	Until   time.Time    `json:"until"` // when it is ended at the latest
	Takes   int          `json:"takes_s"`
	Verdict string       `json:"verdict"` // "pass" or "fail"; "": it is not done
	Why     string       `json:"why"`     // there is no report
	Now     *DrillNow    `json:"now"`     // how it stands, or stood last; nil: nothing has been seen
	Lines   []DrillLine  `json:"lines"`   // what has happened, oldest first
	Checks  []DrillCheck `json:"checks"`  // what was proved
	Report  *DrillReport `json:"report"`  // nil: there is none
}

// Over reports whether a run has ended.
func (r *DrillRun) Over() bool { return r.State != "running" && r.State != "stopping" }

// DrillNow is how a run stands. Times are seconds and milliseconds as their names say.
type DrillNow struct {
	Phase    string         `json:"phase"`     // what is going on
	Paying   bool           `json:"paying"`    // payments are being made
	Elapsed  float64        `json:"elapsed_s"` // since payments began
	Length   float64        `json:"length_s"`  // how long they go on
	Payments DrillPayments  `json:"payments"`
	Looked   int            `json:"looked_up"` // acknowledged payments that were looked up again so far
	Lost     int            `json:"lost"`      // of those, with those that were altered
	Doubled  int            `json:"doubled"`
	P50      float64        `json:"p50_ms"` // of the last second
	P99      float64        `json:"p99_ms"`
	Rates    []float64      `json:"rates"` // acknowledged payments a second, one number for each half second, oldest first
	Sites    []DrillSite    `json:"sites"`
	Carriers []DrillCarrier `json:"carriers"`
	Faults   []DrillFault   `json:"faults"` // those so far
}

// DrillSite is a site of the fleet of a drill.
type DrillSite struct {
	Name  string `json:"name"`
	State string `json:"state"` // what has been done to it: "cut off", "killed" ...; "": nothing
	Leads int    `json:"leads"` // shards
}

// DrillCarrier is all cables of one carrier.
type DrillCarrier struct {
	State string  `json:"state"` // "cut", "lossy" ...; "": nothing has been done to it
	Rate  float64 `json:"bytes_per_s"`
}

// DrillLine is something that happened in a run.
type DrillLine struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// DrillCheck is something that was to be proved.
type DrillCheck struct {
	Name   string `json:"name"`
	Detail string `json:"detail"` // with numbers
	OK     bool   `json:"ok"`
}

// DrillPayments counts what was asked of a fleet.
type DrillPayments struct {
	Attempted    int `json:"attempted"`
	Acknowledged int `json:"acknowledged"`
	Refused      int `json:"refused"`
	Unknown      int `json:"unknown_at_deadline"`
}

// DrillLatency is how long callers waited for acknowledged payments, in milliseconds.
type DrillLatency struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// DrillFault is something that was broken on purpose. Moments are milliseconds since the start of the load.
type DrillFault struct {
	Kind    string  `json:"kind"`
	Target  string  `json:"target"`
	At      int64   `json:"at_ms"`
	Healed  int64   `json:"healed_at_ms"` // 0: while a run is under way, it lasts
	Pause   float64 `json:"pause_ms"`     // the longest stretch in which a shard acknowledged nothing
	Failed  int     `json:"failed_requests"`
	Changes int     `json:"leader_changes"`
}

// DrillReport is what a drill has found: the JSON of holdfast drill run NAME --json.
type DrillReport struct {
	Scenario      string        `json:"scenario"`
	Seed          uint64        `json:"seed"`
	Sites         int           `json:"sites"`
	Shards        int           `json:"shards"`
	Carriers      int           `json:"carriers"`
	RTT           float64       `json:"rtt_ms"`
	Input         string        `json:"input"`
	Payments      DrillPayments `json:"payments"`
	Lost          int           `json:"lost"`
	Duplicated    int           `json:"duplicated"`
	Altered       int           `json:"altered"`
	BooksBalanced bool          `json:"books_balanced"`
	ReplicasAgree bool          `json:"replicas_agree"`
	Linearizable  bool          `json:"linearizable"`
	Latency       DrillLatency  `json:"latency_ms"`
	Faults        []DrillFault  `json:"faults"`
	Verdict       string        `json:"verdict"` // "pass" or "fail"
	Reasons       []string      `json:"reasons"`
}

// Passed reports the verdict.
func (r *DrillReport) Passed() bool { return r.Verdict == "pass" }

// Pause is the longest pause of all faults, in milliseconds.
func (r *DrillReport) Pause() (longest float64) {
	for i := range r.Faults {
		longest = max(longest, r.Faults[i].Pause)
	}
	return longest
}

// FailedRequests is how many requests had no definite answer at their deadline, over all faults.
func (r *DrillReport) FailedRequests() (n int) {
	for i := range r.Faults {
		n += r.Faults[i].Failed
	}
	return n
}

// ReadDrillReports reads a file that holdfast drill run or holdfast demo has written with --json: one report, a list of them, or
// several runs of each with summaries, which are left out. The error says what is wrong with the file.
func ReadDrillReports(text []byte) ([]DrillReport, error) {
	text = bytes.TrimSpace(text)
	var list []DrillReport
	var err error
	switch {
	case len(text) == 0:
		return nil, errors.New("the file is empty")
	case text[0] == '[':
		err = strictly(text, &list)
	case hasMember(text, "results"):
		var many struct {
			Results   []DrillReport     `json:"results"`
			Summaries []json.RawMessage `json:"summaries"`
		}
		err = strictly(text, &many)
		list = many.Results
	default:
		list = make([]DrillReport, 1)
		err = strictly(text, &list[0])
	}
	if err != nil {
		return nil, fmt.Errorf("this is no report of a drill, as holdfast drill run writes it with --json: %w", err)
	}
	if len(list) == 0 {
		return nil, errors.New("there is no report in it")
	}
	for i := range list {
		if r := &list[i]; r.Scenario == "" || r.Verdict != "pass" && r.Verdict != "fail" {
			return nil, fmt.Errorf("report %d has no scenario, or no verdict that is pass or fail", i+1)
		}
	}
	return list, nil
}

func hasMember(object []byte, name string) bool {
	var members map[string]json.RawMessage
	return json.Unmarshal(object, &members) == nil && members[name] != nil
}

// strictly decodes one JSON value with no member that is not known and nothing after it.
func strictly(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows after its end")
	}
	return nil
}

// Drills lists what can be run at the site that answers. An *Error with the code drills-off says that it runs none.
func (c *Client) Drills(ctx context.Context) ([]Drill, error) {
	var v struct {
		Drills []Drill `json:"drills"`
	}
	err := c.fetch(ctx, c.ofOneSite(http.MethodGet, "/v1/drills", nil), &v)
	return v.Drills, err
}

// DrillRuns lists the runs at the site that answers, the newest first, without what was seen and found.
func (c *Client) DrillRuns(ctx context.Context) ([]DrillRun, error) {
	var v struct {
		Runs []DrillRun `json:"runs"`
	}
	err := c.fetch(ctx, c.ofOneSite(http.MethodGet, "/v1/drill-runs", nil), &v)
	return v.Runs, err
}

// DrillRun reads a run at the site that answers.
func (c *Client) DrillRun(ctx context.Context, id holdfast.ID) (r DrillRun, err error) {
	return r, c.fetch(ctx, c.ofOneSite(http.MethodGet, "/v1/drill-runs/"+id.String(), nil), &r)
}

// DrillOrder asks for a run of a drill.
type DrillOrder struct {
	ID    holdfast.ID `json:"-"` // of the run; zero: a fresh one. The same order again is the same run
	Drill string      `json:"drill"`
	Seed  uint64      `json:"seed"`
}

// StartDrill begins a run at the one site of this client. An *Error with the code drill-busy says that another one is under way.
func (c *Client) StartDrill(ctx context.Context, o DrillOrder) (r DrillRun, err error) {
	if len(c.sites) != 1 {
		return r, errors.New("a drill runs beside one site: make a client of that site alone")
	}
	body, err := json.Marshal(o)
	if err != nil {
		return r, err
	}
	q := c.ofOneSite(http.MethodPost, "/v1/drill-runs", body)
	q.key = c.idOr(o.ID).String()
	return r, c.fetch(ctx, q, &r)
}

// StopDrill ends a run at the one site of this client, and does not wait for that. Of a run that is over it changes nothing.
func (c *Client) StopDrill(ctx context.Context, id holdfast.ID) (r DrillRun, err error) {
	if len(c.sites) != 1 {
		return r, errors.New("a drill runs beside one site: make a client of that site alone")
	}
	q := c.ofOneSite(http.MethodPost, "/v1/drill-runs/"+id.String()+"/stop", []byte("{}"))
	q.key = c.NewID().String()
	return r, c.fetch(ctx, q, &r)
}

// ofOneSite is a request whose first answer counts: other sites would speak of themselves.
func (c *Client) ofOneSite(method, path string, body []byte) *request {
	return &request{method: method, path: path, body: body, alone: true, once: true}
}
