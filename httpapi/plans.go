package httpapi

import (
	"context"
	"errors"
	"net/http"

	"holdfast/site"
)

// Changes of the fleet are ordered in two steps: a plan shows what would happen and changes nothing, and apply orders what was shown. Sites,
// slots and splits have this in common.

type orderedBody struct {
	Plan    string `json:"plan"`
	Ordered bool   `json:"ordered" doc:"It stands in the log, and the fleet carries it out: GET /v1/sites (changes of sites) and /v1/shards (slots, splits) show how far it is"`
}

// object reads a body that is one object with members of these names.
func (x *exchange) object(known []string, member func(s *scanner, name string)) error {
	text, err := x.body()
	if err != nil {
		return err
	}
	s := newScanner(text)
	for name := range s.members(known) {
		member(s, name)
	}
	return s.end()
}

// showPlan answers with the plan P of a change Q.
func showPlan[Q, P any](
	a *api, read func(*exchange) (Q, string, error), plan func(context.Context, Q) (P, error), body func(*P) any,
) handler {
	return func(ctx context.Context, x *exchange) error {
		q, _, err := read(x)
		if err != nil {
			return err
		}
		p, err := plan(ctx, q)
		if err != nil {
			return a.notPlanned(err)
		}
		return x.sendJSON(http.StatusOK, body(&p))
	}
}

// applyPlan orders what a plan has shown, which was made at the path.
func applyPlan[Q any](a *api, path string, read func(*exchange) (Q, string, error), apply func(context.Context, Q, string) error) handler {
	return func(ctx context.Context, x *exchange) error {
		q, plan, err := read(x)
		if err != nil {
			return err
		}
		if plan == "" {
			return edgeMalformed.field("plan", "name the plan that you have looked at: POST %s makes one", path)
		}
		if err := apply(ctx, q, plan); err != nil {
			return a.notPlanned(err)
		}
		return x.sendJSON(http.StatusOK, orderedBody{plan, true})
	}
}

// notPlanned tells why nothing was changed; or that this site does not know whether something was.
func (a *api) notPlanned(err error) error {
	switch {
	case errors.Is(err, site.ErrPlanStale):
		p := edgePlanStale.problem("")
		p.cause = err
		return p
	case errors.As(err, new(site.PlanRefused)):
		return notNow(err)
	case errors.Is(err, site.ErrUnknown):
		p := notKnown(err)
		p.cause = err
		return p
	}
	return a.unanswered(err)
}
