package httpapi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"holdfast"
	"holdfast/guard"
)

// Drills runs drills: each starts a fleet of its own beside the site, breaks it, and tells what became of the payments. One is under way at most, so
// that what they take is bounded. It may be used by many requests at once.
type Drills interface {
	// Known are the drills that can be run here.
	Known() []Drill
	// Start begins a run, and reports whether it is new: an order that was given before is answered with its run. It fails with ErrNoDrill,
	// ErrDrillBusy, ErrDrillOther or ErrDrillsClosed; then nothing was begun.
	Start(o DrillOrder) (DrillRun, bool, error)
	// Runs are the run that is under way and those that are kept, the newest first, without what was seen and found.
	Runs() []DrillRun
	// Run is one of them, with all there is.
	Run(id string) (DrillRun, bool)
	// Stop ends a run; of one that is over it changes nothing. It does not wait for the end.
	Stop(id string) (DrillRun, bool)
}

// DrillOrder asks for a run.
type DrillOrder struct {
	ID    holdfast.ID // of the run
	Drill string
	Seed  uint64
	By    string // who asks: the name of a key, or of an operator
}

// Why a run is not begun.
var (
	ErrNoDrill      = errors.New("there is no drill of this name")
	ErrDrillBusy    = errors.New("another drill is under way")
	ErrDrillOther   = errors.New("the id is that of another run")
	ErrDrillsClosed = errors.New("the site is starting or stopping")
)

// Drill is something that can be broken on purpose.
type Drill struct {
	Name     string `json:"name" example:"site-cut"`
	Story    string `json:"story" doc:"What is broken, in a sentence"`
	Load     int    `json:"load_s" doc:"Seconds in which payments are made, and things break"`
	Takes    int    `json:"takes_s" doc:"About how many seconds a run takes, with the start of the sites and the proof; more on a busy machine"`
	Sites    int    `json:"sites" doc:"Processes that it starts as sites"`
	Shards   int    `json:"shards"`
	Carriers int    `json:"carriers" doc:"Cables between each two sites"`
	Bound    int    `json:"bound_ms" doc:"The longest pause of payments that passes"`
	Missing  string `json:"missing,omitempty" doc:"What this machine lacks for it; left out: nothing"`
}

// DrillRun is a run of a drill.
type DrillRun struct {
	ID      string       `json:"run" format:"uuid"`
	Drill   string       `json:"drill" example:"site-cut"`
	Seed    uint64       `json:"seed" doc:"It chooses ids and the exact moments of the faults"`
	By      string       `json:"by" doc:"Who asked for it: the name of a key, or of an operator"`
	State   string       `json:"state" enum:"running,stopping,done,stopped,broken" doc:"done: there is a report. stopped: somebody ended it. broken: it could not be carried out, see why"`
	Started string       `json:"started" format:"date-time"`
	Ended   string       `json:"ended,omitempty" format:"date-time" doc:"Left out: it is under way"`
	Until   string       `json:"until" format:"date-time" doc:"When it is ended at the latest"`
	Takes   int          `json:"takes_s" doc:"About how many seconds it takes in all"`
	Verdict string       `json:"verdict,omitempty" enum:"pass,fail" doc:"Of a run that is done"`
	Why     string       `json:"why,omitempty" doc:"Why there is no report"`
	Now     *DrillNow    `json:"now,omitempty" doc:"How it stands, or stood last"`
	Lines   []DrillLine  `json:"lines,omitempty" doc:"What has happened, oldest first; the last 200"`
	Checks  []DrillCheck `json:"checks,omitempty" doc:"What was proved"`
	Report  *DrillReport `json:"report,omitempty" doc:"What was found; as holdfast drill run writes it with --json"`
}

// DrillNow is how a run stands.
type DrillNow struct {
	Phase    string         `json:"phase" doc:"What is going on, in words"`
	Paying   bool           `json:"paying" doc:"Payments are being made"`
	Elapsed  float64        `json:"elapsed_s" doc:"Since payments began"`
	Length   float64        `json:"length_s" doc:"How long they go on"`
	Payments DrillPayments  `json:"payments"`
	Looked   int            `json:"looked_up" doc:"Acknowledged payments that were looked up again so far"`
	Lost     int            `json:"lost" doc:"Of those; altered ones are among them"`
	Doubled  int            `json:"doubled"`
	P50      float64        `json:"p50_ms" doc:"Of the last second"`
	P99      float64        `json:"p99_ms"`
	Rates    []float64      `json:"rates,omitempty" doc:"Acknowledged payments a second, one number for each half second, oldest first"`
	Sites    []DrillSite    `json:"sites,omitempty"`
	Carriers []DrillCarrier `json:"carriers,omitempty"`
	Faults   []DrillFault   `json:"faults,omitempty" doc:"Those so far; one that lasts was healed at 0"`
}

// DrillSite is a site of the fleet of a drill.
type DrillSite struct {
	Name  string `json:"name"`
	State string `json:"state,omitempty" doc:"What has been done to it; left out: nothing" example:"cut off"`
	Leads int    `json:"leads" doc:"Shards"`
}

// DrillCarrier is all cables of one carrier.
type DrillCarrier struct {
	State string  `json:"state,omitempty" doc:"What has been done to it; left out: nothing" example:"lossy"`
	Rate  float64 `json:"bytes_per_s"`
}

// DrillLine is something that happened in a run.
type DrillLine struct {
	At   string `json:"at" format:"date-time"`
	Text string `json:"text"`
}

// DrillCheck is something that was to be proved.
type DrillCheck struct {
	Name   string `json:"name"`
	Detail string `json:"detail" doc:"With numbers"`
	OK     bool   `json:"ok"`
}

// DrillPayments counts what was asked of a fleet.
type DrillPayments struct {
	Attempted    int `json:"attempted"`
	Acknowledged int `json:"acknowledged"`
	Refused      int `json:"refused" doc:"Nothing moved"`
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
	Kind    string  `json:"kind" example:"site-cut"`
	Target  string  `json:"target" example:"hangzhou"`
	At      int64   `json:"at_ms"`
	Healed  int64   `json:"healed_at_ms"`
	Pause   float64 `json:"pause_ms" doc:"The longest stretch in which a shard acknowledged nothing"`
	Failed  int     `json:"failed_requests" doc:"Without a definite answer at their deadline"`
	Changes int     `json:"leader_changes"`
}

// DrillReport is what a drill has found: what holdfast drill run NAME writes with --json.
type DrillReport struct {
	Scenario      string        `json:"scenario"`
	Seed          uint64        `json:"seed"`
	Sites         int           `json:"sites"`
	Shards        int           `json:"shards"`
	Carriers      int           `json:"carriers"`
	RTT           float64       `json:"rtt_ms"`
	Input         string        `json:"input" doc:"The recorded orders that were replayed"`
	Payments      DrillPayments `json:"payments"`
	Lost          int           `json:"lost"`
	Duplicated    int           `json:"duplicated"`
	Altered       int           `json:"altered"`
	BooksBalanced bool          `json:"books_balanced"`
	ReplicasAgree bool          `json:"replicas_agree"`
	Linearizable  bool          `json:"linearizable" doc:"All answers fit into one order"`
	Latency       DrillLatency  `json:"latency_ms"`
	Faults        []DrillFault  `json:"faults"`
	Verdict       string        `json:"verdict" enum:"pass,fail"`
	Reasons       []string      `json:"reasons" doc:"Why it failed, a sentence each"`
}

type drillsBody struct {
	Drills []Drill `json:"drills"`
}

type drillRunsBody struct {
	Runs []DrillRun `json:"runs" doc:"The newest first"`
}

// PathRun documents a path that names a run of a drill.
type PathRun struct {
	Run string `path:"run" format:"uuid" doc:"Id of the run"`
}

type readDrillRunIn struct {
	PathRun
	DeadlineIn
}

type startDrillIn struct {
	KeyIn
	Body startDrillBody
}

type startDrillBody struct {
	Drill string `json:"drill" maxLength:"64" doc:"Its name: see GET /v1/drills" example:"site-cut"`
	Seed  uint64 `json:"seed,omitempty" format:"int64" maximum:"9007199254740991" doc:"It chooses ids and the exact moments of the faults; 1 if left out"`
}

var startDrillMembers = []string{"drill", "seed"}

// maxSeed is the largest whole number that every reader of JSON keeps.
const maxSeed = 1<<53 - 1

var (
	edgeDrillsOff = edgeCode{"drills-off", http.StatusNotFound, "This site runs no drills: they take processors from a site that serves people. Write enable = true below [drills] into its configuration and start it again, at a site that can spare them; holdfast serve --sandbox runs them as it is."}
	edgeDrillBusy = edgeCode{"drill-busy", http.StatusConflict, "Another drill is under way, and they run one at a time: wait until it is over, or stop it. See GET /v1/drill-runs."}
)

const drillsHere = "It is about the site that is asked: drills run beside one site, and no other one knows of them. "

func (a *api) drillRoutes(r *router) {
	add[DeadlineIn, jsonOut[drillsBody]](r, operation{
		name: "list-drills", method: get, path: "/v1/drills", tag: tagFleet, summary: "List the drills that can be run against a fleet of their own",
		text:   "A drill starts a fleet of processes on the machine of this site, pays, breaks something, and proves what became of the payments. The books of the site have no part in it; its processors have. " + drillsHere,
		action: guard.RunDrills, handle: a.atDrills(func(x *exchange, d Drills) error { return x.sendJSON(http.StatusOK, drillsBody{orNone(d.Known())}) }),
	})
	add[DeadlineIn, jsonOut[drillRunsBody]](r, operation{
		name: "list-drill-runs", method: get, path: "/v1/drill-runs", tag: tagFleet, summary: "List the runs of drills that are kept",
		text:   "The last 20 of them, without what was seen and found. " + drillsHere,
		action: guard.RunDrills, handle: a.atDrills(func(x *exchange, d Drills) error { return x.sendJSON(http.StatusOK, drillRunsBody{orNone(d.Runs())}) }),
	})
	add[startDrillIn, jsonOut[DrillRun]](r, operation{
		name: "start-drill", method: post, path: "/v1/drill-runs", tag: tagFleet, summary: "Run a drill",
		text: "It is answered when the run has begun; read the run to see how far it is. One is under way at a time. The Idempotency-Key is the id of the run, and may be left out; the " +
			"same one again is answered with the run as it is. " + drillsHere,
		action: guard.RunDrills, ok: created, handle: a.postDrillRun,
	})
	add[readDrillRunIn, jsonOut[DrillRun]](r, operation{
		name: "read-drill-run", method: get, path: "/v1/drill-runs/{run}", tag: tagFleet, summary: "Read a run of a drill: how it stands, or what it has found",
		text: drillsHere, action: guard.RunDrills, handle: a.atDrills(func(x *exchange, d Drills) error { return sendRun(x, d.Run) }),
	})
	add[readDrillRunIn, jsonOut[DrillRun]](r, operation{
		name: "stop-drill", method: post, path: "/v1/drill-runs/{run}/stop", tag: tagFleet, summary: "Stop a run of a drill",
		text:   "Its processes are told to end, and are killed when they do not; nothing is left of them. It does not wait for that. A run that is over stays as it is. " + drillsHere,
		action: guard.RunDrills, handle: a.atDrills(func(x *exchange, d Drills) error {
			if err := x.emptyBody(); err != nil {
				return err
			}
			return sendRun(x, d.Stop)
		}),
	})
}

// orNone is a list that is never null.
func orNone[T any](list []T) []T { return append([]T{}, list...) }

// atDrills makes a handler of what is done with drills.
func (a *api) atDrills(do func(x *exchange, d Drills) error) handler {
	return func(_ context.Context, x *exchange) error {
		if a.drills == nil {
			return edgeDrillsOff.problem("")
		}
		return do(x, a.drills)
	}
}

func sendRun(x *exchange, find func(id string) (DrillRun, bool)) error {
	id, err := holdfast.ParseID(x.r.PathValue("run"))
	if err != nil {
		return edgeMalformed.field("run", "a run is named by a UUID: see /v1/drill-runs")
	}
	run, ok := find(id.String())
	if !ok {
		return edgeNotFound.field("run", "This site has no such run: runs are kept at the site that did them, the last 20.")
	}
	return x.sendJSON(http.StatusOK, run)
}

// postDrillRun begins a run.
func (a *api) postDrillRun(_ context.Context, x *exchange) error {
	o := DrillOrder{Seed: 1, By: x.who.Name}
	err := x.object(startDrillMembers, func(s *scanner, name string) {
		if name == "drill" {
			o.Drill = s.string(maxName)
		} else {
			o.Seed = uint64(s.integer(0, maxSeed)) //nolint:gosec // it is not negative
		}
	})
	if err != nil {
		return err
	}
	if o.Drill == "" {
		return edgeMalformed.field("drill", "name the drill that is to be run: {\"drill\":\"site-cut\"}")
	}
	if o.ID, err = x.runID(); err != nil {
		return err
	}
	if a.drills == nil {
		return edgeDrillsOff.problem("")
	}
	run, fresh, err := a.drills.Start(o)
	switch {
	case errors.Is(err, ErrNoDrill):
		return edgeMalformed.field("drill", "no drill is called %s: GET /v1/drills lists them", printable(o.Drill))
	case errors.Is(err, ErrDrillBusy):
		return edgeDrillBusy.problem("")
	case errors.Is(err, ErrDrillOther):
		return problemOfCode(holdfast.CodeIDTaken)
	case errors.Is(err, ErrDrillsClosed):
		return edgeNotReady.problem("This site is starting or stopping: ask it again in a moment.")
	case err != nil:
		return notNow(fmt.Errorf("the drill could not be started: %w", err))
	case fresh:
		return x.sendJSON(http.StatusCreated, run)
	}
	return x.sendJSON(http.StatusOK, run)
}

// runID is the id of a run: the Idempotency-Key, or a fresh one.
func (x *exchange) runID() (holdfast.ID, error) {
	if x.r.Header.Get(idempotencyHeader) != "" {
		return x.requestID(holdfast.ID{})
	}
	var random [10]byte
	rand.Read(random[:]) // never fails: crypto/rand
	return holdfast.NewID(holdfast.TimeOf(time.Now()), random), nil
}
