package client

import (
	"context"
	"time"

	"holdfast"
)

// Bank is how the work with one bank is doing, as the site says that does it.
type Bank struct {
	Bank         string           `json:"bank"`
	Assets       []holdfast.Asset `json:"assets"` // of the platform's accounts there
	Down         bool             `json:"down"`   // it does not answer just now
	DownSince    time.Time        `json:"down_since"`
	Waiting      int              `json:"waiting"`       // orders that it is to take, and has not taken as far as is known
	Unknown      int              `json:"unknown"`       // of those, how many have been sent: the bank may have carried them out
	UnknownSince time.Time        `json:"unknown_since"` // when the oldest of them was ordered
	Accepted     int              `json:"accepted"`      // orders that it has accepted and not settled
	Doubtful     int              `json:"doubtful"`      // orders that it has contradicted itself about: somebody has to look
	Said         time.Time        `json:"said"`          // when the site said so; zero: it has not yet
}

// Banks asks how the work with each bank is doing; none: the fleet speaks with no bank.
func (c *Client) Banks(ctx context.Context) ([]Bank, error) {
	var v struct {
		Banks []Bank `json:"banks"`
	}
	err := c.get(ctx, "/v1/banks", &v)
	return v.Banks, err
}
