package httpapi

import (
	"context"
	"net/http"

	"holdfast"
	"holdfast/guard"
)

// BankState is how the work with one bank is doing, as the site says that does it.
type BankState struct {
	Bank     string
	Assets   []holdfast.Asset
	Waiting  int           // orders that the bank is to take, and has not taken as far as is known
	Accepted int           // orders that it has accepted and not settled
	Unknown  int           // of those that wait, how many have been sent: the bank may have done them
	Oldest   holdfast.Time // when the first of the unknown ones was made; 0: there is none
	Doubtful int           // orders that the bank has contradicted itself about: people have to look at them
	Since    holdfast.Time // since when it has not answered; 0: it does
	At       holdfast.Time // when the site said so; 0: none has said anything yet
}

// bankRoutes tell how the work with the banks is doing.
func (a *api) bankRoutes(r *router) {
	add[DeadlineIn, jsonOut[banksBody]](r, operation{
		name: "banks", method: get, path: "/v1/banks", tag: tagFleet, summary: "How the work with each bank is doing: what waits, what is unknown, since when it has not answered",
		text:   "The site that speaks with a bank says it; the others repeat what it has said last.",
		action: guard.ReadFleet, handle: a.atTill(getBanks),
	})
}

// BankBody is how the work with one bank is doing.
type BankBody struct {
	Bank         string   `json:"bank" example:"icbc"`
	Assets       []string `json:"assets" doc:"Currencies of the platform's accounts there"`
	Down         bool     `json:"down" doc:"It does not answer just now"`
	DownSince    string   `json:"down_since,omitempty" format:"date-time"`
	Waiting      int      `json:"waiting" doc:"Orders that it is to take, and has not taken as far as is known"`
	Unknown      int      `json:"unknown" doc:"Of those, the ones that have been sent: the bank may have carried them out"`
	UnknownSince string   `json:"unknown_since,omitempty" format:"date-time" doc:"When the oldest of the unknown ones was ordered"`
	Accepted     int      `json:"accepted" doc:"Orders that it has accepted and not settled"`
	Doubtful     int      `json:"doubtful" doc:"Orders that the bank has contradicted itself about: somebody has to look"`
	Said         string   `json:"said,omitempty" format:"date-time" doc:"When the site that speaks with the bank said so; left out: none has yet"`
}

type banksBody struct {
	Banks []BankBody `json:"banks"`
}

func getBanks(ctx context.Context, t *till) error {
	body := banksBody{Banks: []BankBody{}}
	if t.Commerce.Banks == nil {
		return t.x.sendJSON(http.StatusOK, body)
	}
	list, err := t.Commerce.Banks(ctx)
	if err != nil {
		return err
	}
	for i := range list {
		s := &list[i]
		b := BankBody{
			Bank: s.Bank, Assets: []string{}, Down: s.Since != 0, DownSince: timeText(s.Since), Waiting: s.Waiting, Unknown: s.Unknown, UnknownSince: timeText(s.Oldest),
			Accepted: s.Accepted, Doubtful: s.Doubtful, Said: timeText(s.At),
		}
		for _, a := range s.Assets {
			b.Assets = append(b.Assets, a.String())
		}
		body.Banks = append(body.Banks, b)
	}
	return t.x.sendJSON(http.StatusOK, body)
}
