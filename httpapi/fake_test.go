package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/guard"
	"holdfast/shard"
	"holdfast/site"
	"holdfast/transit"
)

// fake is a site that answers as it is told and remembers what it was asked.
type fake struct {
	submit   func(ctx context.Context, txns []holdfast.Txn, bulk bool) ([]holdfast.Outcome, error)
	read     error
	ready    error
	handOver error
	notKept  []site.SlotsNotKept
	forecast bool // something has been worked out
	rebuild  error
	trusted  holdfast.ShardID
	forced   bool
	plan     error
	asked    site.SiteRequest
	slots    site.SlotRequest
	split    site.SplitRequest

	mu   sync.Mutex
	txns []holdfast.Txn
	bulk bool
}

// decidedAt is the time of all outcomes of the fake.
var decidedAt = holdfast.TimeOf(time.Date(2015, 5, 27, 9, 0, 0, 123456789, time.UTC))

func (f *fake) Submit(ctx context.Context, txns []holdfast.Txn, bulk bool) ([]holdfast.Outcome, error) {
	f.mu.Lock()
	f.txns, f.bulk = txns, bulk
	f.mu.Unlock()
	if f.submit != nil {
		return f.submit(ctx, txns, bulk)
	}
	return outcomesOf(txns, holdfast.Done, holdfast.CodeOK), nil
}

func outcomesOf(txns []holdfast.Txn, status holdfast.Status, code holdfast.Code) []holdfast.Outcome {
	out := make([]holdfast.Outcome, len(txns))
	for i := range txns {
		out[i] = holdfast.Outcome{ID: txns[i].ID, Status: status, Code: code, Leg: holdfast.NoLeg}
		if decided(&out[i]) {
			out[i].Time, out[i].Position = decidedAt+holdfast.Time(i), holdfast.Position{Index: 123, Ord: uint32(i)}
			out[i].Shard = 1
		}
	}
	return out
}

func (f *fake) IssueOwner(context.Context) (holdfast.Owner, error) { return 2088000000010000, nil }

func (f *fake) Acknowledge(_ context.Context, _ holdfast.ShardID, id holdfast.ID, seqs []uint64) (holdfast.Outcome, error) {
	if f.read != nil {
		return holdfast.Outcome{}, f.read
	}
	return outcomesOf([]holdfast.Txn{{ID: id, Acks: seqs}}, holdfast.Done, holdfast.CodeOK)[0], nil
}

func (f *fake) Read(context.Context, holdfast.ShardID, shard.ReadMode, func(*shard.View) error) error {
	return f.read
}

func (f *fake) ReadAccount(context.Context, holdfast.AccountID, shard.ReadMode, func(site.Stay, *shard.View) error) error {
	return f.read
}

func (f *fake) ReadOwner(context.Context, holdfast.Owner, shard.ReadMode, func(site.Stay, *shard.View) error) error {
	return f.read
}

func (f *fake) Records(context.Context, string, string, int, shard.ReadMode) ([]holdfast.Record, error) {
	return nil, f.read
}

func (f *fake) ReadOrigin(context.Context, transit.Origin, func(*shard.View) error) error {
	return f.read
}

func (f *fake) Hold(context.Context, site.HoldName, shard.ReadMode) (h site.HoldNow, found bool, err error) {
	return h, false, f.read
}

func (f *fake) Landed(context.Context, *transit.Payment, shard.ReadMode) (land holdfast.Outcome, err error) {
	return land, f.read
}

func (f *fake) ShardIDs() []holdfast.ShardID { return []holdfast.ShardID{1} }
func (f *fake) Ready() error                 { return f.ready }
func (f *fake) Audit(context.Context) (site.Audit, error) {
	return site.Audit{Site: 1, At: time.Unix(1, 0), Balanced: true, Agree: true}, nil
}

func (f *fake) Shards(context.Context) []site.ShardStatus {
	return []site.ShardStatus{{Shard: 1, Leader: 1, Digest: 0xabc}}
}

func (f *fake) Sites(context.Context) []site.SiteStatus {
	return []site.SiteStatus{{Site: 1, Name: "hangzhou", Role: site.RoleVoter, Self: true}}
}

func (f *fake) Survival() (site.Survival, bool) {
	return site.Survival{At: time.Unix(1, 0), Weakest: "without site-1: shard 1 would stop", Forecasts: []site.Forecast{
		{Kind: "site", Sites: []holdfast.SiteID{1}, Stopped: []holdfast.ShardID{1}, Moves: []site.Move{{Shard: 2, From: 1, To: []holdfast.SiteID{2, 3}}}},
	}, Transit: &site.TransitCheck{Site: 2, Compared: time.Unix(2, 0), Differs: "shard 1 has sent too much", Since: time.Unix(3, 0)}}, f.forecast
}

func (f *fake) Trend(last, step time.Duration) site.Trend {
	return site.Trend{Site: 1, Name: "hangzhou", Step: step, Points: []site.TrendPoint{{
		At: time.Unix(60, 0), Seconds: int(last / time.Second), Done: 5, Refused: 1, P50: 3 * time.Millisecond, P99: 9 * time.Millisecond, Majority: true,
	}}}
}

func (f *fake) Events(after uint64) []site.Event {
	return []site.Event{{Seq: after + 1, At: time.Unix(61, 0), Kind: site.EventLeader, Shard: 2, Site: 1, Term: 7}}
}

func (f *fake) ShardMapVersion() uint64 { return 0 }

func (f *fake) Roster() *site.Roster { return &site.Roster{Version: 3} }

func (f *fake) SiteChange(context.Context) *site.SiteChangeStatus {
	return &site.SiteChangeStatus{SiteChange: site.SiteChange{Plan: "abc", Kind: site.SiteAdd, Site: 4}, Doing: "waits", Of: 1}
}

func (f *fake) PlanSites(_ context.Context, q site.SiteRequest) (site.SitePlan, error) {
	f.asked = q
	return site.SitePlan{ID: "abc", Steps: []site.PlanStep{{Shard: 1, Text: "beijing gets a vote"}}}, f.plan
}

func (f *fake) ApplySites(_ context.Context, q site.SiteRequest, _ string) error {
	f.asked = q
	return f.plan
}

func (f *fake) PlanSlots(_ context.Context, q site.SlotRequest) (site.SlotPlan, error) {
	f.slots = q
	return site.SlotPlan{
		ID: "def", From: 1, To: 2, Slots: q.Slots, Accounts: 7, Pause: 90 * time.Millisecond,
		Shards: []site.PlannedShard{{Shard: 1, Name: "hangzhou", Slots: [2]int{500, 450}, Rate: [2]float64{30, 20}}},
	}, f.plan
}

func (f *fake) ApplySlots(_ context.Context, q site.SlotRequest, _ string) error {
	f.slots = q
	return f.plan
}

func (f *fake) KeepSlots(_ context.Context, slots []site.SlotRange) (site.SlotsKept, error) {
	return site.SlotsKept{Slots: slots, Failed: f.notKept}, f.plan
}

func (f *fake) SlotMoves(context.Context) []site.SlotMove {
	return []site.SlotMove{{Slots: site.SlotRange{From: 10, To: 12}, From: 1, To: 2, Stage: site.StageCopies, Why: "it waits"}}
}

func (f *fake) PlanSplit(_ context.Context, q site.SplitRequest) (site.SplitPlan, error) {
	f.split = q
	return site.SplitPlan{
		SlotPlan: site.SlotPlan{ID: "fed", From: q.Shard, To: 4, Slots: []site.SlotRange{{From: 500, To: 665}}, Pause: 80 * time.Millisecond},
		Home:     3, HomeName: "beijing", Founders: []holdfast.SiteID{1, 2, 3}, Share: 0.5, Birth: 600 * time.Millisecond,
		Loads: []site.PlannedLoad{{Site: 3, Name: "beijing", Shards: 2, Now: 10, After: 25}},
	}, f.plan
}

func (f *fake) ApplySplit(_ context.Context, q site.SplitRequest, _ string) error {
	f.split = q
	return f.plan
}

func (f *fake) CancelSplit(_ context.Context, from holdfast.ShardID) (site.SplitStatus, error) {
	return site.SplitStatus{Plan: "fed", From: from, To: 4, State: site.SplitStays, Of: 166}, f.plan
}

func (f *fake) ShardSplits(context.Context) ([]site.SplitStatus, error) {
	return []site.SplitStatus{{
		Plan: "fed", From: 2, To: 4, Home: 3, Slots: []site.SlotRange{{From: 500, To: 665}}, State: site.SplitBirth, Doing: "waits: site 3 does not answer", Of: 166,
	}}, nil
}

func (f *fake) MoveLeader(context.Context, holdfast.ShardID, holdfast.SiteID) error {
	return f.handOver
}

func (f *fake) Rebuild(_ context.Context, _ holdfast.ShardID, force bool) error {
	f.forced = force
	return f.rebuild
}

func (f *fake) Trust(_ context.Context, id holdfast.ShardID) error {
	f.trusted = id
	return f.rebuild
}

// Keys of the tests, one of each role.
var readerKey, tellerKey, operatorKey, testKeys = makeKeys()

func makeKeys() (reader, teller, operator string, keys []guard.Key) {
	var texts [3]string
	for i, role := range []guard.Role{guard.Reader, guard.Teller, guard.Operator} {
		key, secret, err := guard.NewKey("test-"+role.String(), role, [guard.KeyEntropy]byte{byte(i + 1)})
		if err != nil {
			panic(err)
		}
		texts[i], keys = secret.Reveal(), append(keys, key)
	}
	return texts[0], texts[1], texts[2], keys
}

func newTestAPI(f *fake) http.Handler {
	return New(f, Options{Keys: testKeys, Version: "test"})
}

// newPayingAPI has the payments of people as well.
func newPayingAPI(f *fake) http.Handler {
	return New(f, Options{Keys: testKeys, Version: "test", Payments: standing().commerce, Drills: &fakeDrills{}})
}

// ask sends a request and returns status, header and body.
func ask(t *testing.T, h http.Handler, method, path, key, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	asDocumented(t, h).ServeHTTP(w, r)
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, w.Result().Header, string(text)
}

func problemIn(t *testing.T, h http.Header, body string) Problem {
	t.Helper()
	if got := h.Get("Content-Type"); got != "application/problem+json" {
		t.Fatalf("content type %q of %s: want a problem document", got, body)
	}
	var p Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return p
}

const (
	wallet     = "2088000000020108.wallet.CNY"
	shop       = "2088000000030206.wallet.CNY"
	uuid1      = "0190f3c6-2a3b-7c4d-8e5f-001122334455"
	uuid2      = "0190f3c6-2a3b-7c4d-8e5f-001122334466"
	onePayment = `{"debit":"` + wallet + `","credit":"` + shop + `","amount":1250}`
)

func (f *fake) AskSites(context.Context, []byte) []site.Heard { return nil }

func (f *fake) OnAsked(func(context.Context, []byte) ([]byte, error)) {}

func (f *fake) LandedHere(context.Context, *transit.Payment) (at holdfast.ShardID, land holdfast.Outcome, err error) {
	return at, land, f.read
}
