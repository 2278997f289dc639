package client

import (
	"context"
	"fmt"
	"time"

	"holdfast"
)

// Trend is how the site that answers did of late, oldest first.
type Trend struct {
	Site   holdfast.SiteID `json:"site"`
	Name   string          `json:"name"`
	Step   int             `json:"step_s"`
	Points []TrendPoint    `json:"points"`
}

// TrendPoint is one step of it.
type TrendPoint struct {
	At        time.Time `json:"at"` // its end
	Seconds   int       `json:"seconds"`
	Done      uint64    `json:"done"` // transactions of callers at the site
	Refused   uint64    `json:"refused"`
	Unfit     uint64    `json:"not_executed"`
	Unknown   uint64    `json:"unknown"`
	P50       float64   `json:"p50_ms"` // 0: there were no calls
	P99       float64   `json:"p99_ms"`
	Elections uint64    `json:"elections"`
	Waiting   int64     `json:"waiting"`
	DiskWrite float64   `json:"disk_write_ms"`
	DiskFree  uint64    `json:"disk_free_bytes"`
	Majority  bool      `json:"majority"`
}

// Trend asks a site how it did in the last while, at most an hour, with so much time in each point.
func (c *Client) Trend(ctx context.Context, last, step time.Duration) (t Trend, err error) {
	return t, c.get(ctx, fmt.Sprintf("/v1/trend?seconds=%d&step=%d", int(last.Seconds()), int(step.Seconds())), &t)
}

// JournalEvent is something that has happened at a site.
type JournalEvent struct {
	Number uint64           `json:"number"`
	At     time.Time        `json:"at"`
	Kind   string           `json:"kind"`
	Shard  holdfast.ShardID `json:"shard"` // 0: it is not about one
	Site   holdfast.SiteID  `json:"site"`  // that it is about; 0: none
	Term   uint64           `json:"term"`
	Detail string           `json:"detail"`
}

// Journal asks a site what has happened there since the event of a number, oldest first; 0: all that it remembers.
func (c *Client) Journal(ctx context.Context, after uint64) ([]JournalEvent, error) {
	var j struct {
		Events []JournalEvent `json:"events"`
	}
	err := c.get(ctx, fmt.Sprintf("/v1/journal?after=%d", after), &j)
	return j.Events, err
}
