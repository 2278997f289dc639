package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"holdfast"
	"holdfast/checkout"
	"holdfast/client"
	"holdfast/pay"
	"holdfast/signin"
	"holdfast/site"
)

// oneTap lets customers who have signed in pay on the cashier page: with their own session, through the API, as they could themselves. What the API
// refuses them the page cannot do either.
type oneTap struct{ api *client.Client }

// oneTapTime is how long the page waits for a payment: less than for itself. Whose wallet it could be from is worth less: it can also be paid with a code.
const (
	oneTapTime = 6 * time.Second
	oneTapLook = 2 * time.Second
)

// newOneTap asks the API of this site over the loopback, and others when it has no answer.
func newOneTap(cfg *site.Config) (*oneTap, error) {
	c, err := client.New(client.Config{Sites: apiSites(cfg), Hasty: true, Idle: 16, Timeout: oneTapTime})
	return &oneTap{c}, err
}

func (t *oneTap) close() { t.api.Close() }

// apiSites are the API of this site, and of the others.
func apiSites(cfg *site.Config) []string {
	own := localURL(cfg.HTTP.Listen)
	sites := []string{own}
	for _, p := range cfg.Peers {
		if p.HTTP != "" && p.HTTP != own {
			sites = append(sites, p.HTTP)
		}
	}
	return sites
}

// originsOf are the sites as browsers reach them.
func originsOf(cfg *site.Config, s *site.Site) (origins []string) {
	for _, p := range placesOf(cfg, s) {
		origins = append(origins, p.URL)
	}
	return origins
}

// Wallet implements [checkout.Customers].
func (t *oneTap) Wallet(ctx context.Context, session string, asset holdfast.Asset) (w checkout.Wallet, found bool, err error) {
	ctx, cancel := context.WithTimeout(client.WithKey(ctx, session), oneTapLook)
	defer cancel()
	who, err := t.api.WhoAmI(ctx)
	if e, ok := errors.AsType[*client.Error](err); ok && e.Status == http.StatusUnauthorized {
		return w, false, nil
	}
	if err != nil || who.As != signin.Customer.String() {
		return w, false, err
	}
	w.Owner = who.Customer
	has, err := t.api.Wallet(ctx, who.Customer, asset)
	if e, ok := errors.AsType[*client.Error](err); ok && e.Code == string(pay.WalletMissing) {
		return w, true, nil
	}
	w.Open, w.Blocked, w.Available = true, has.Blocked, has.Available
	w.Limits, w.SpentDay, w.SpentMonth = pay.Limits(has.Limits), has.SpentDay, has.SpentMonth
	return w, err == nil, err
}

// Pay implements [checkout.Customers].
func (t *oneTap) Pay(ctx context.Context, session string, from, merchant holdfast.Owner, outTradeNo string) error {
	_, err := t.api.PayTrade(client.WithKey(ctx, session), merchant, outTradeNo, from)
	return asPay(err)
}

// asPay says as package pay does what the API has answered.
func asPay(err error) error {
	e, answered := errors.AsType[*client.Error](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, client.ErrUnknown), answered && (e.Status == http.StatusInternalServerError || e.Status == http.StatusGatewayTimeout):
		return &pay.Pending{}
	case !answered:
		return &pay.Unavailable{Err: err}
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden:
		return errors.Join(checkout.ErrSignedOut, err)
	case e.Code == holdfast.CodeRecordPending.String():
		return &pay.Unavailable{Code: holdfast.CodeRecordPending, Err: err}
	case e.Status >= http.StatusInternalServerError || e.Status == http.StatusTooManyRequests:
		return &pay.Unavailable{Err: err}
	}
	return &pay.Refusal{Code: pay.Code(e.Code), Field: e.Field, Text: e.Detail}
}
