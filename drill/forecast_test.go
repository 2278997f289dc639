package drill

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
)

// lossOfHangzhou is the forecast for the loss of site 1 of three, which leads shard 1 of three; shard 3 is said to stop.
func lossOfHangzhou() *client.Forecast {
	return &client.Forecast{
		Loss: "site", Sites: []holdfast.SiteID{1}, Stops: []holdfast.ShardID{3}, Pause: 160, Worst: 270,
		Moves: []client.Move{{Shard: 1, From: 1, To: []holdfast.SiteID{2, 3}}},
	}
}

// asForetold is what happens when all of it comes true.
func asForetold() (f Fault, reigns []Reign, samples []Sample) {
	f = Fault{Kind: "site-cut", Target: "hangzhou", At: 2 * time.Second, Healed: 4 * time.Second, Foretold: lossOfHangzhou()}
	reigns = []Reign{{1, 1, 2, -time.Second}, {2, 2, 2, -time.Second}, {3, 3, 2, -time.Second}, {1, 2, 3, 2200 * ms}}
	for due := time.Duration(0); due < 6*time.Second; due += 100 * ms {
		for shard := holdfast.ShardID(1); shard <= 3; shard++ {
			if shard == 3 && due >= f.At && due < f.Healed || shard == 1 && due >= f.At && due < 2200*ms {
				continue
			}
			samples = append(samples, Sample{Shard: shard, Kind: Probed, Due: due, Ended: due + 10*ms, Status: holdfast.Done})
		}
	}
	return f, reigns, samples
}

func compared(f *Fault, reigns []Reign, samples []Sample) *Comparison {
	x := effects([]Fault{*f}, samples, reigns, []holdfast.ShardID{1, 2, 3}, 3, 6*time.Second)
	return compare(0, f, x[0].pauses, &facts{reigns: reigns, samples: samples, gap: 100 * ms, end: 6 * time.Second})
}

func TestAForecastThatComesTrue(t *testing.T) {
	f, reigns, samples := asForetold()
	c := compared(&f, reigns, samples)
	if got := c.reasons(&f, true); len(got) != 0 || c.Stopped+c.Surprise != 0 {
		t.Errorf("%q", got)
	}
	if c.Pause != 160*ms || c.Worst != 270*ms || c.Moved != 300*ms {
		t.Errorf("%+v", c)
	}
	for i, want := range []string{"moves to Shanghai or Shenzhen: moved to Shanghai", "keeps its leader: kept its leader", "stops: stopped"} {
		if got := c.Fates[i].Foretold + ": " + c.Fates[i].Fact; got != want || !c.Fates[i].Right {
			t.Errorf("shard %d: %s, want %s", i+1, got, want)
		}
	}
}

// Whether a shard stops is a promise everywhere, who leads it only where the scenario is about forecasts.
func TestAForecastThatDoesNot(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(f *Fault, reigns []Reign)
		reason string
		strict bool
	}{
		{"it was to stop and does not", func(f *Fault, _ []Reign) { f.Foretold.Stops = []holdfast.ShardID{2, 3} }, "shard 2 it was foretold that it stops; it kept", false},
		{"it was to go on and stops", func(f *Fault, _ []Reign) { f.Foretold.Stops = nil }, "shard 3 it was foretold that it keeps its leader; it stopped", false},
		{"another leads", func(f *Fault, _ []Reign) { f.Foretold.Moves[0].To = []holdfast.SiteID{3} }, "moves to Shenzhen; it moved to Shanghai", true},
		{"it moves", func(f *Fault, _ []Reign) { f.Foretold.Moves = nil }, "keeps its leader; it moved to Shanghai", true},
		{"it does not move", func(_ *Fault, reigns []Reign) { reigns[3].From = 5 * time.Second }, "it kept its leader", true},
	} {
		f, reigns, samples := asForetold()
		c.change(&f, reigns)
		x := compared(&f, reigns, samples)
		if got := strings.Join(x.reasons(&f, true), "; "); !strings.Contains(got, c.reason) {
			t.Errorf("%s: %q, want %q", c.name, got, c.reason)
		}
		if got := x.reasons(&f, false); (len(got) == 0) != c.strict {
			t.Errorf("%s: in any scenario: %q", c.name, got)
		}
	}
}

func TestWhichLineOfTheForecast(t *testing.T) {
	lines := []client.Forecast{
		{Loss: "carrier", Carrier: 1},
		{Loss: "carrier", Carrier: 2},
		{Loss: "cable", Sites: []holdfast.SiteID{1, 3}, Carrier: 2},
		{Loss: "site", Sites: []holdfast.SiteID{3}},
		{Loss: "sites", Sites: []holdfast.SiteID{1, 3}},
	}
	whole := everywhere(2, 0, 0)
	s := &stage{carriers: 2}
	cable := s.pair(3, 1, 2)
	flap := carrierFault{kind: "carrier-flap", carrier: 1}
	for i, l := range []loss{flap.loss(), whole.loss(), cable.loss(), lossOf(3), lossOf(3, 1)} {
		for k := range lines {
			if got, want := l.is(&lines[k]), i > 0 && i == k; got != want {
				t.Errorf("loss %+v is line %+v: %v", l, lines[k], got)
			}
		}
	}
}

// A forecast from before the last heal speaks of a fleet that is gone: it is not used, and where forecasts are the subject, waited for.
func TestAForecastIsFresh(t *testing.T) {
	mended := time.Now()
	var asked int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		at := mended.Add(time.Second) // it asked around before the heal
		if asked++; asked > 2 {
			at = mended.Add(2 * pictureAge)
		}
		fmt.Fprintf(w, `{"at":%q,"survives":true,"losses":[{"loss":"site","sites":[1],"survives":true,"stops":[],"moves":[],"pause_ms":%d}]}`, at.UTC().Format(time.RFC3339Nano), asked)
	}))
	defer server.Close()
	own, err := client.New(client.Config{Sites: []string{server.URL}, Hedge: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	s := &stage{fleet: &fleet{sites: []*member{{id: 1, own: own}}}, last: mended}
	hasty, cancel := context.WithCancel(t.Context())
	cancel()
	if said := s.foretell(hasty, lossOf(1)); said.forecast != nil || said.why == "" {
		t.Errorf("without time to ask: %+v", said)
	}
	if said := s.foretell(t.Context(), lossOf(1)); said.forecast == nil || said.forecast.Pause != 3 {
		t.Errorf("%+v, want the third", said)
	}
	if said := s.foretell(t.Context(), loss{}); said.forecast != nil || asked != 3 {
		t.Errorf("of a fault that the fleet does not know: %+v, asked %d times", said, asked)
	}
}

// A loss that is asked about and not foretold fails the drill: the forecasts that are there say nothing of it.
func TestALossThatWasNotForetold(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"at":%q,"survives":true,"losses":[{"loss":"site","sites":[2],"survives":true,"stops":[],"moves":[]}]}`, time.Now().UTC().Format(time.RFC3339Nano))
	}))
	defer server.Close()
	own, err := client.New(client.Config{Sites: []string{server.URL}, Hedge: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	s := &stage{fleet: &fleet{sites: []*member{{id: 1, own: own}}}, clock: func() time.Duration { return 0 }}
	for _, l := range []loss{lossOf(2), {"city", []holdfast.SiteID{1, 4}, 0}, {}} {
		i := s.begin("site-cut", "x")
		ctx, cancel := context.WithTimeout(t.Context(), pictureTime/10)
		s.note(i, s.foretell(ctx, l), false)
		cancel()
	}
	got := unforetold(s.history())
	if len(got) != 1 || !strings.Contains(got[0], "no line of its forecast is about the loss of the city Hangzhou and Hangzhou-2") {
		t.Errorf("%q, want the loss of the city only", got)
	}
}

// A pause beyond what was foretold at most, and beyond what nobody can foretell, is a forecast that was missed: told everywhere, and a
// reason to fail where forecasts are the subject.
func TestAPauseThatWasNotForetold(t *testing.T) {
	for _, row := range []struct {
		name   string
		late   time.Duration // until the next leader
		term   uint64        // that it has
		stalls []Stall
		missed bool
	}{
		{"as foretold", 300 * ms, 3, nil, false},
		{"longer", 900 * ms, 3, nil, true},
		{"longer, with three elections", 900 * ms, 5, nil, false},
		{"longer, on a machine that stood still", 900 * ms, 3, []Stall{{2100 * ms, 2400 * ms}}, false},
	} {
		f, reigns, _ := asForetold()
		f.Foretold.Worst = 270
		reigns[3].From, reigns[3].Term = f.At+row.late-10*ms, row.term
		known := &facts{reigns: reigns, stalls: row.stalls, gap: 100 * ms, end: 6 * time.Second}
		c := &Comparison{Worst: 270 * ms, Moved: row.late}
		c.judgePause(&f, &ShardPause{Shard: 1, Pause: row.late, Moved: true}, known)
		strict, lax := c.reasons(&f, true), c.reasons(&f, false)
		if (len(strict) > 0) != row.missed || len(lax) > 0 || (len(c.remarks()) > 0) != row.missed {
			t.Errorf("%s: reasons %q, elsewhere %q, remarks %q; want missed %v", row.name, strict, lax, c.remarks(), row.missed)
		}
	}
}

func TestLoadsAreCompared(t *testing.T) {
	f, reigns, samples := asForetold()
	f.Foretold.Loads = []client.SiteLoad{{Site: 2, Rate: 30}, {Site: 3, Rate: 10}}
	c := compared(&f, reigns, samples)
	if got, want := c.loadWords(), "foretold of the load, on average: Shanghai 75 %, Shenzhen 25 %; fact: 100 %, 0 %"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A carrier that is not in use again within a second of its heal fails a drill, unless the machine stood still.
func TestACarrierThatReturnsLate(t *testing.T) {
	for _, row := range []struct {
		back   time.Duration
		stalls []Stall
		late   bool
	}{
		{0, nil, false},
		{900 * ms, nil, false},
		{1100 * ms, nil, true},
		{1100 * ms, []Stall{{4500 * ms, 4600 * ms}}, false},
		{1100 * ms, []Stall{{5200 * ms, 5600 * ms}}, true},
	} {
		f := Fault{Kind: "carrier-cut", Target: "carrier 1", At: 2 * time.Second, Healed: 4 * time.Second, back: row.back}
		if got := belated([]Fault{f}, row.stalls); (len(got) > 0) != row.late {
			t.Errorf("%v, stalls %v: %q", row.back, row.stalls, got)
		}
	}
}
