package backoffice

import (
	"context"
	"sync"
	"time"

	"holdfast"
	"holdfast/pay"
	"holdfast/webhook"
)

// target is an endpoint, ready to be posted to.
type target struct {
	pay.Endpoint
	host    string
	secrets []webhook.Secret
}

// register knows the endpoints of merchants for a while, so that not every event has to ask for them.
type register struct {
	*Office
	mu  sync.Mutex
	all map[holdfast.Owner]entry
}

type entry struct {
	targets []*target
	read    time.Time
}

const (
	// knownFor is shorter than sweepLags[0]: what is swept is judged by endpoints as they were read after the event had happened. A new endpoint may
	// miss a hint, but no event.
	knownFor = 15 * time.Second
	maxKnown = 50_000
)

func newRegister(o *Office) *register { return &register{Office: o, all: map[holdfast.Owner]entry{}} }

// of are the endpoints of a merchant.
func (r *register) of(ctx context.Context, merchant holdfast.Owner) ([]*target, error) {
	now := r.cfg.Now()
	r.mu.Lock()
	e, found := r.all[merchant]
	r.mu.Unlock()
	if found && now.Sub(e.read) < knownFor {
		return e.targets, nil
	}
	list, err := r.cfg.Cashier.Endpoints(ctx, merchant)
	if err != nil {
		return nil, err
	}
	e = entry{read: now}
	for i := range list {
		t, err := r.open(merchant, &list[i], holdfast.TimeOf(now))
		if err != nil { // what is wrong with one must not keep others from being told
			r.cfg.Logger.Error("an endpoint cannot be delivered to", "merchant", merchant.String(), "endpoint", list[i].ID, "error", err)
			continue
		}
		e.targets = append(e.targets, t)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) >= maxKnown {
		clear(r.all)
	}
	r.all[merchant] = e
	return e.targets, nil
}

func (r *register) open(merchant holdfast.Owner, e *pay.Endpoint, now holdfast.Time) (*target, error) {
	t := &target{Endpoint: *e, host: hostOf(e.URL)}
	texts, err := r.cfg.Cashier.EndpointSecrets(merchant, e, now)
	if err != nil {
		return nil, err
	}
	for _, text := range texts {
		s, err := webhook.ParseSecret(text)
		if err != nil {
			return nil, err
		}
		t.secrets = append(t.secrets, s)
	}
	return t, nil
}

// one is one endpoint; nil: it is not there, or disabled.
func (r *register) one(ctx context.Context, merchant holdfast.Owner, id string) (*target, error) {
	list, err := r.of(ctx, merchant)
	for _, t := range list {
		if t.ID == id && !t.Off {
			return t, nil
		}
	}
	return nil, err
}

// forget has the endpoints of a merchant read again.
func (r *register) forget(merchant holdfast.Owner) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, merchant)
}
