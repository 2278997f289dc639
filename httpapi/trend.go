package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"holdfast/guard"
	"holdfast/site"
)

type trendIn struct {
	Seconds int `query:"seconds" minimum:"1" maximum:"3600" doc:"How far back; 3600 if left out"`
	Step    int `query:"step" minimum:"1" maximum:"600" doc:"Seconds in each point; 10 if left out"`
	DeadlineIn
}

type trendBody struct {
	Site   uint16           `json:"site"`
	Name   string           `json:"name"`
	Step   int              `json:"step_s"`
	Points []trendPointBody `json:"points" doc:"Oldest first. The first and the last may cover fewer seconds than a step"`
}

type trendPointBody struct {
	At        string  `json:"at" format:"date-time" doc:"Its end"`
	Seconds   int     `json:"seconds" doc:"That it covers"`
	Done      uint64  `json:"done" doc:"Transactions that callers brought to this site and that were executed"`
	Refused   uint64  `json:"refused" doc:"Refused for what they ask for"`
	Unfit     uint64  `json:"not_executed" doc:"Not executed, most for what the fleet could not do just then: no majority, too busy"`
	Unknown   uint64  `json:"unknown" doc:"Without an answer at their deadline"`
	P50       float64 `json:"p50_ms" doc:"Of calls, from the call to the outcome, to within a quarter; 0: there were none"`
	P99       float64 `json:"p99_ms"`
	Elections uint64  `json:"elections" doc:"In all shards, as this site has seen"`
	Waiting   int64   `json:"waiting" doc:"Transactions under way, at the end"`
	DiskWrite float64 `json:"disk_write_ms" doc:"Median of the synced writes of two seconds, the longest within the step"`
	DiskFree  uint64  `json:"disk_free_bytes"`
	Majority  bool    `json:"majority" doc:"This site has heard a majority throughout"`
}

type journalIn struct {
	After int `query:"after" minimum:"0" doc:"The number of an event: those that came later; 0 or left out: all that are remembered"`
	DeadlineIn
}

type journalBody struct {
	Events []journalEventBody `json:"events" doc:"Oldest first: the last 1024 at most, of this site and since its start"`
	Last   uint64             `json:"last" doc:"Number of the last one: to go on from"`
}

type journalEventBody struct {
	Number uint64 `json:"number" doc:"From 1, without gaps, since the start of this site"`
	At     string `json:"at" format:"date-time"`
	Kind   string `json:"kind" doc:"leader, cut, heal, no-majority ..."`
	Shard  uint16 `json:"shard,omitempty" doc:"Missing: it is not about one"`
	Site   uint16 `json:"site,omitempty" doc:"The site it is about"`
	Term   uint64 `json:"term,omitempty"`
	Detail string `json:"detail,omitempty" doc:"In words"`
}

func (a *api) trendRoutes(r *router) {
	add[trendIn, jsonOut[trendBody]](r, operation{
		name: "trend", method: get, path: "/v1/trend", tag: tagFleet, summary: "How this site did in the last hour",
		text:   "Second by second, since the process was started at most. For people who look; /metrics is for machines that collect.",
		action: guard.ReadFleet, handle: a.getTrend,
	})
	add[journalIn, jsonOut[journalBody]](r, operation{
		name: "journal", method: get, path: "/v1/journal", tag: tagFleet, summary: "What has happened at this site: leaders, cuts, rejoins",
		action: guard.ReadFleet, handle: a.getJournal,
	})
}

// getTrend answers how this site did.
func (a *api) getTrend(_ context.Context, x *exchange) error {
	last, err := x.query.whole("seconds", int(site.TrendKept/time.Second), int(site.TrendKept/time.Second))
	if err != nil {
		return err
	}
	step, err := x.query.whole("step", 10, 600)
	if err != nil {
		return err
	}
	t := a.site.Trend(time.Duration(last)*time.Second, time.Duration(step)*time.Second)
	body := trendBody{Site: uint16(t.Site), Name: t.Name, Step: int(t.Step / time.Second), Points: make([]trendPointBody, len(t.Points))}
	for i := range t.Points {
		p := &t.Points[i]
		body.Points[i] = trendPointBody{
			At: momentText(p.At), Seconds: p.Seconds, Done: p.Done, Refused: p.Refused, Unfit: p.Unfit, Unknown: p.Unknown,
			P50: milliseconds(p.P50), P99: milliseconds(p.P99), Elections: p.Elections, Waiting: p.Waiting,
			DiskWrite: milliseconds(p.DiskWrite), DiskFree: p.DiskFree, Majority: p.Majority,
		}
	}
	return x.sendJSON(http.StatusOK, body)
}

// getJournal answers what has happened.
func (a *api) getJournal(_ context.Context, x *exchange) error {
	var after uint64
	if text := x.query.get("after"); text != "" {
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			return edgeMalformed.field("after", "give the number of an event, or leave it out for all that are remembered")
		}
		after = n
	}
	list := a.site.Events(after)
	body := journalBody{Events: make([]journalEventBody, len(list)), Last: after}
	for i := range list {
		e := &list[i]
		body.Events[i] = journalEventBody{
			Number: e.Seq, At: momentText(e.At), Kind: string(e.Kind), Shard: uint16(e.Shard), Site: uint16(e.Site), Term: e.Term, Detail: e.Detail,
		}
		body.Last = e.Seq
	}
	return x.sendJSON(http.StatusOK, body)
}

// whole is a parameter that is a whole number from 1 to most.
func (q query) whole(name string, usual, most int) (int, error) {
	text := q.get(name)
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, edgeMalformed.field(name, "give a whole number from 1 to %d", most)
	}
	return n, nil
}
