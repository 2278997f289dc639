package httpapi

import (
	"context"
	"net/http"

	"holdfast"
	"holdfast/site"
)

type survivalBody struct {
	At       string            `json:"at" format:"date-time" doc:"When it was worked out: every second"`
	Survives bool              `json:"survives" doc:"The fleet would survive every single loss: of a carrier, a cable, a site"`
	Weakest  string            `json:"weakest,omitempty" doc:"In words, the first single loss that it would not survive"`
	Losses   []forecastBody    `json:"losses" doc:"Every single loss, and every pair of sites"`
	Transit  *transitCheckBody `json:"transit,omitempty" doc:"Whether the payments between shards fit; missing in a fleet of one shard"`
}

type transitCheckBody struct {
	Fits     bool   `json:"fits" doc:"What every shard has sent to every other one has landed there, by the last two comparisons"`
	Compared string `json:"compared_at,omitempty" format:"date-time" doc:"The last comparison; missing: there was none yet"`
	Overdue  bool   `json:"overdue" doc:"There was none for several times timing.audit"`
	Site     uint16 `json:"site,omitempty" doc:"That compares: it leads the first shard"`
	Differs  string `json:"differs,omitempty" doc:"In words, what does not fit"`
	Since    string `json:"differs_since,omitempty" format:"date-time"`
	Trouble  string `json:"trouble,omitempty" doc:"Why the last attempt to compare came to nothing"`
}

type forecastBody struct {
	Loss     string         `json:"loss" enum:"carrier,cable,site,sites,city" doc:"carrier: everywhere; cable: of one carrier between two sites; sites: two at once; city: all its sites"`
	City     string         `json:"city,omitempty"`
	Sites    []uint16       `json:"sites" doc:"That are lost, or at the ends of the cable"`
	Carrier  int            `json:"carrier,omitempty" doc:"From 1"`
	Survives bool           `json:"survives" doc:"Every shard keeps a majority"`
	Stops    []uint16       `json:"stops" doc:"Shards that would stop"`
	Moves    []moveBody     `json:"moves" doc:"Shards that would get another leader"`
	Pause    float64        `json:"pause_ms" doc:"Expected, of the shard that would wait longest: by the election time, and the round trips as measured between the sites left"`
	Worst    float64        `json:"worst_pause_ms"`
	Loads    []siteLoadBody `json:"loads" doc:"What the sites left would lead"`
	Breaks   string         `json:"breaks,omitempty" doc:"The first thing that would go wrong, in words"`
}

type moveBody struct {
	Shard uint16   `json:"shard"`
	From  uint16   `json:"from" doc:"0: nobody leads it now"`
	To    []uint16 `json:"to" doc:"Who could lead; its home first"`
}

type siteLoadBody struct {
	Site uint16  `json:"site"`
	Rate float64 `json:"per_s" doc:"Transactions a second"`
	Peak float64 `json:"measured_per_s" doc:"The most that the site was ever measured to lead"`
}

// getSurvival answers what would happen now if something failed.
func (a *api) getSurvival(_ context.Context, x *exchange) error {
	s, known := a.site.Survival()
	if !known {
		return edgeNotReady.problem("nothing has been worked out yet: ask again in a second")
	}
	body := survivalBody{At: momentText(s.At), Survives: s.Survives, Weakest: s.Weakest, Losses: make([]forecastBody, len(s.Forecasts))}
	for i := range s.Forecasts {
		body.Losses[i] = forecastBodyOf(&s.Forecasts[i])
	}
	if t := s.Transit; t != nil {
		body.Transit = transitCheckBodyOf(t)
	}
	return x.sendJSON(http.StatusOK, body)
}

func transitCheckBodyOf(t *site.TransitCheck) *transitCheckBody {
	b := &transitCheckBody{Fits: t.Fits(), Overdue: t.Overdue, Site: uint16(t.Site), Differs: t.Differs, Trouble: t.Trouble}
	if !t.Compared.IsZero() {
		b.Compared = momentText(t.Compared)
	}
	if t.Differs != "" {
		b.Since = momentText(t.Since)
	}
	return b
}

func forecastBodyOf(f *site.Forecast) forecastBody {
	b := forecastBody{
		Loss: f.Kind, City: f.City, Sites: numbers(f.Sites), Carrier: f.Carrier, Survives: f.Survives, Stops: numbers(f.Stopped), Moves: []moveBody{},
		Pause: milliseconds(f.Pause), Worst: milliseconds(f.Worst), Loads: []siteLoadBody{}, Breaks: f.Breaks,
	}
	for _, m := range f.Moves {
		b.Moves = append(b.Moves, moveBody{uint16(m.Shard), uint16(m.From), numbers(m.To)})
	}
	for _, l := range f.Loads {
		b.Loads = append(b.Loads, siteLoadBody{uint16(l.Site), l.Rate, l.Peak})
	}
	return b
}

func numbers[T holdfast.SiteID | holdfast.ShardID](ids []T) []uint16 {
	list := make([]uint16, len(ids))
	for i, id := range ids {
		list[i] = uint16(id)
	}
	return list
}
