package drill

import (
	"testing"
	"time"

	"holdfast/client"
)

func TestHearing(t *testing.T) {
	at := time.Unix(100, 0)
	events := []client.Event{{ID: "a", Time: at}, {ID: "b", Time: at.Add(time.Second)}, {ID: "c", Time: at.Add(10 * time.Second)}}
	heard := map[string]time.Time{"a": at.Add(time.Second), "b": at.Add(9 * time.Second)}
	took := func(from, until time.Time) time.Duration { return until.Sub(from) }
	h := judgeHearing(events, heard, func(at time.Time) bool { return true }, took)
	if len(h.missing) != 1 || h.missing[0] != "c" || len(h.late) != 1 || h.slowest != 8*time.Second {
		t.Errorf("%+v", h)
	}
	heard["c"] = events[2].Time
	if h = judgeHearing(events, heard, func(x time.Time) bool { return !x.Equal(events[1].Time) }, took); len(h.missing)+len(h.late) != 0 {
		t.Errorf("%+v: the late one happened while something was broken", h)
	}
}

// The example of Standard Webhooks, with another key, body and id.
func TestSignedBy(t *testing.T) {
	const id, at, body, sum = "evt-1", "1700000000", `{"id":"evt-1"}`, "v1,dpP7Co5bECy3Q+Y2dvjDNmxoVZIPFmMuU8PdaqUErhU="
	key := []byte("0123456789abcdef0123456789abcdef")
	for _, x := range []struct {
		id, at, signatures, body string
		want                     bool
	}{
		{id, at, sum, body, true},
		{id, at, "v1,AAAA " + sum, body, true},
		{id, at, "v1,AAAA", body, false},
		{id, "1700000001", sum, body, false},
		{id, at, sum, `{"id":"evt-2"}`, false},
	} {
		if got := signedBy(key, x.id, x.at, x.signatures, []byte(x.body)); got != x.want {
			t.Errorf("%+v: %v", x, got)
		}
	}
}
