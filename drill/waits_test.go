package drill

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/site"
)

// A wait lasts from the first attempt to what tells the outcome, whoever tells it; what is asked afterwards is none.
func TestAWaitEndsWithADefiniteAnswer(t *testing.T) {
	zero := time.UnixMilli(10_000)
	at := func(by, do, trade, request, told, status string, began, ended int64) deed {
		return deed{By: by, Do: do, Trade: trade, Request: request, Told: told, Status: status, Began: 10_000 + began, Ended: 10_000 + ended}
	}
	deeds := []deed{
		at(byNative, doPay, "n", "", toldDone, "", 10, 40),
		at(byNative, doQuery, "n", "", toldDone, "TRADE_SUCCESS", 50, 90),
		at(bySDK, doPay, "s", "", toldUnknown, "", 10, 200),
		at(bySDK, doQuery, "s", "", toldRefused, "", 210, 220), // it knows of none: it may be on its way
		at(bySDK, doPay, "s", "", toldNothing, "", 230, 300),
		at(bySDK, doQuery, "s", "", toldDone, "TRADE_SUCCESS", 310, 330),
		at(bySDK, doRefund, "s", "r", toldUnknown, "", 340, 350),
		at(bySDK, doRefund, "s", "r", toldDone, "", 360, 400),
		at(bySDK, doPay, "c", "", toldUnknown, "", 10, 20),
		at(bySDK, doCancel, "c", "", toldDone, "TRADE_CLOSED", 30, 60),
		at(bySDK, doPay, "lost", "", toldUnknown, "", 10, 20),
		at(bySDK, doPay, "poor", "", toldRefused, "", 10, 20),
	}
	var got []string
	for _, w := range waitsOf(deeds, zero) {
		got = append(got, fmt.Sprintf("%s %s %s %d-%d %v", w.by, w.do, w.trade, w.from.Milliseconds(), w.until.Milliseconds(), w.known))
	}
	want := []string{
		"native pay n 10-40 true", "sdk pay s 10-330 true", "sdk pay c 10-60 true", "sdk pay lost 10-20 false", "sdk pay poor 10-20 true", "sdk refund s 340-400 true",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// What passes follows what calls took before anything was broken; what the machine stood still is left out, and no more than that.
func TestWaitsAreJudged(t *testing.T) {
	const bound = 500 * ms
	fault := 5 * time.Second
	faults := []Fault{{Kind: "site-cut", At: time.Second}}
	one := func(from, long time.Duration, known bool) wait {
		return wait{by: byNative, do: doPay, trade: "t", span: span{from, from + long}, known: known}
	}
	calm := []wait{one(100*ms, 80*ms, true), one(200*ms, 100*ms, true)}
	dark := []span{{5000 * ms, 5300 * ms}}
	for name, x := range map[string]struct {
		waits   []wait
		dark    []span
		further time.Duration
		red     string
	}{
		"as long as passes":     {[]wait{one(fault, 600*ms, true)}, nil, 0, ""},
		"longer":                {[]wait{one(fault, 601*ms, true)}, nil, 0, "known after 601 ms, 5.0 s after the start"},
		"longer, and elsewhere": {[]wait{one(fault, 601*ms, true)}, nil, 1 * ms, ""},
		"the machine stood":     {[]wait{one(fault, 900*ms, true)}, dark, 0, ""},
		"and longer":            {[]wait{one(fault, 901*ms, true)}, dark, 0, "without what the machine stood still after 601; 600 pass"},
		"half-way at the fault": {[]wait{one(999*ms, 1600*ms, true), one(1999*ms, 1600*ms, true)}, nil, 0, ""},
		"and longer still":      {[]wait{one(999*ms, 1601*ms, true)}, nil, 0, "1600 pass"},
		"after that":            {[]wait{one(2000*ms, 601*ms, true)}, nil, 0, "600 pass"},
		"no answer":             {[]wait{one(fault, 10*ms, false)}, nil, 0, "no definite answer within 10 ms"},
	} {
		got := judgeWaits(append(calm, x.waits...), byNative, faults, x.dark, bound, x.further)
		text := strings.Join(append(got.late, got.unanswered...), "\n")
		if (text == "") != (x.red == "") || !strings.Contains(text, x.red) {
			t.Errorf("%s: %q, want %q", name, text, x.red)
		}
	}
	slow := judgeWaits([]wait{one(0, 900*ms, true), one(fault, 1001*ms, true)}, byNative, faults, nil, bound, 0)
	if slow.passes != 2*bound || len(slow.late) != 1 {
		t.Errorf("%v pass where calls took 900 ms before anything was broken, %v: want twice the bound at most", slow.passes, slow.late)
	}
}

// A pause that the machine made is left out of what is judged, one of the fleet is not, and both are told as they were.
func TestWhatTheMachineStoodStillIsLeftOut(t *testing.T) {
	run := func(stalls ...Stall) *Evidence {
		e := &Evidence{Bound: 500 * ms, StayBound: 400 * ms, Length: 3 * time.Second, Faults: []Fault{{Kind: "site-cut", Target: "hangzhou", At: time.Second, Healed: 2 * time.Second}}, Stalls: stalls}
		for _, at := range []int{900, 1500, 2100, 2700, 3000} {
			e.Samples = append(e.Samples, probe(1, at, holdfast.Done))
		}
		e.Samples = append(e.Samples, Sample{Shard: 1, Kind: Replayed, Due: 1000 * ms, Ended: 3000 * ms, Status: holdfast.Unknown})
		e.Result.Faults = []FaultResult{{Kind: "site-cut", Target: "hangzhou"}}
		for i, x := range effects(e.Faults, e.Samples, nil, []holdfast.ShardID{1}, 3, e.Length) {
			e.Pauses = append(e.Pauses, x.pauses)
			e.Result.Faults[i].PauseMillis, e.Result.Faults[i].FailedRequests = millis(x.pause), x.failed
		}
		e.leaveOut()
		return e
	}
	for name, x := range map[string]struct {
		stalls         []Stall
		pause, failure bool // are held against the fleet
	}{
		"it did not":              {nil, true, true},
		"in one of three pauses":  {[]Stall{{1000 * ms, 1100 * ms}}, true, true},
		"in all three":            {[]Stall{{1000 * ms, 1060 * ms}, {1600 * ms, 1660 * ms}, {2200 * ms, 2260 * ms}}, false, true},
		"for most of the request": {[]Stall{{1000 * ms, 1400 * ms}, {1900 * ms, 2300 * ms}}, false, false},
	} {
		e := run(x.stalls...)
		reasons := strings.Join(e.Result.reasons(e.Bound), "\n")
		if strings.Contains(reasons, "a pause of") != x.pause || strings.Contains(reasons, "without a definite answer") != x.failure {
			t.Errorf("%s: %s", name, reasons)
		}
		if f := e.Result.Faults[0]; f.PauseMillis != 600 || f.FailedRequests != 1 {
			t.Errorf("%s: told are %+v", name, f)
		}
	}
	if e := run(Stall{0, 800 * ms}); e.tooDark() == nil {
		t.Errorf("%.0f %% were dark, and nobody says so", 100*e.darkness())
	}
	if e := run(Stall{0, 700 * ms}); e.tooDark() != nil {
		t.Error(e.tooDark())
	}
}

// Sites issue owners from 1 on, a thousand to each at once. One that is a customer of the recorded orders as well is registered already, without
// the wallet that he is to have.
func TestNobodyIsIssuedTwice(t *testing.T) {
	const blocks = 50 // of which each site takes some while a drill lasts
	w := testWorld(t, 2)
	if err := w.openMarket(); err != nil {
		t.Fatal(err)
	}
	issued := map[holdfast.Owner]bool{}
	for n := range uint32(1000 * blocks) {
		o, err := site.OwnerOf(n + 1)
		if err != nil {
			t.Fatal(err)
		}
		issued[o] = true
	}
	for name, account := range w.customers {
		if issued[account.Owner] {
			t.Fatalf("customer %s is owner %s, whom the sites issue", name, account.Owner)
		}
	}
	for i := range w.market.sellers {
		if issued[w.market.sellers[i].owner] {
			t.Fatalf("merchant %d is owner %s, whom the sites issue", i, w.market.sellers[i].owner)
		}
	}
}
