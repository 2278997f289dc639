package console

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"holdfast/client"
	"holdfast/page"
)

// hourBody is the last hour as a table: the plots in words and numbers, for those who do not see them or have no scripts.
type hourBody struct {
	Sites []hourSite
}

type hourSite struct {
	Name   string
	Silent bool
	Rows   []hourRow
}

// hourRow is five minutes of a site.
type hourRow struct {
	Until     time.Time
	Rate      float64 // transactions a second
	P50, P99  float64 // ms; 0: there were no calls
	Lost      float64 // a second, not executed or without an answer
	Elections uint64
	Waiting   int64
	Write     float64 // ms
	Free      uint64  // bytes
	Majority  bool
}

const hourStep = 5 * time.Minute

func (p *pages) showHour(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	all, err := p.API.Fleet(ctx)
	if err != nil {
		return page.Failed(v, r, err)
	}
	b := hourBody{Sites: make([]hourSite, len(all.Sites))}
	var work sync.WaitGroup
	for i := range all.Sites {
		b.Sites[i].Name = siteName(&all.Sites[i])
		work.Go(func() { b.Sites[i].Rows, b.Sites[i].Silent = p.hourOf(ctx, &all.Sites[i]) })
	}
	work.Wait()
	return page.Answer{Template: "hour", Body: b}
}

// hourOf asks a site for its last hour, the latest first.
func (p *pages) hourOf(ctx context.Context, s *client.Site) (rows []hourRow, silent bool) {
	c, err := p.Only(s.HTTP)
	if err != nil {
		return nil, true
	}
	t, err := c.Trend(ctx, time.Hour, hourStep)
	if err != nil {
		return nil, true
	}
	for i := len(t.Points) - 1; i >= 0; i-- {
		x := &t.Points[i]
		if x.Seconds == 0 {
			continue
		}
		seconds := float64(x.Seconds)
		rows = append(rows, hourRow{
			Until: x.At, Rate: float64(x.Done) / seconds, P50: x.P50, P99: x.P99, Lost: float64(x.Unfit+x.Unknown) / seconds,
			Elections: x.Elections, Waiting: x.Waiting, Write: x.DiskWrite, Free: x.DiskFree, Majority: x.Majority,
		})
	}
	return rows, false
}

// Figure writes a number with as many digits as say something.
func (hourBody) Figure(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x < 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}
