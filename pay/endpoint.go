package pay

import (
	"context"
	"fmt"
	"slices"

	"holdfast"
)

// Endpoint is an address where a merchant wants to be told of events, signed with a secret that he shares with the platform.
type Endpoint struct {
	ID      string // "we" and 16 hexadecimal digits, of the number of the request that made it
	URL     string
	Kinds   []EventKind // sorted; none: all that are [EventKind.Public]
	Created holdfast.Time
	Since   holdfast.Time // it is told of events from then on: when it was made, or enabled again
	Why     string        // it was disabled, for people; "": by its owner, or it is not
	Off     bool          // it is disabled

	secret, before sealedSecret
	until          holdfast.Time // the one before counts
	changed        string        // number of the request that changed the secret last
	kindsBefore    []EventKind   // of events from before kindsSince
	kindsSince     holdfast.Time
}

// sealedSecret is AES-256-GCM, nonce first, bound to the owner and the endpoint.
type sealedSecret string

// Wants reports whether the endpoint is told of an event.
func (v *Endpoint) Wants(e *Event) bool {
	kinds := v.Kinds
	if e.Time < v.kindsSince {
		kinds = v.kindsBefore
	}
	return !v.Off && e.Time >= v.Since && e.Kind.Public() && (len(kinds) == 0 || slices.Contains(kinds, e.Kind))
}

// endpoints are all those of a merchant, in one record: one read finds them, and there are never more than allowed.
type endpoints struct{ List []Endpoint }

// MaxEndpoints is how many endpoints a merchant can have.
const MaxEndpoints = 10

// SecretLapse is for how long the secret before counts beside a new one.
const SecretLapse = 24 * 60 * 60 * holdfast.Time(1e9)

const (
	kindEndpoints = "endpoints"
	maxSecretText = 256
	maxWhy        = 200
)

func (*endpoints) kind() (byte, byte) { return 40, 1 }

func (v *endpoints) layout(c *coder) {
	list(c, &v.List, MaxEndpoints, func(p *Endpoint) {
		text(c, &p.ID)
		text(c, &p.URL)
		list(c, &p.Kinds, int(eventKinds), func(k *EventKind) { number(c, k) })
		signed(c, &p.Created)
		signed(c, &p.Since)
		text(c, &p.Why)
		flag(c, &p.Off)
		text(c, &p.secret)
		text(c, &p.before)
		signed(c, &p.until)
		text(c, &p.changed)
		list(c, &p.kindsBefore, int(eventKinds), func(k *EventKind) { number(c, k) })
		signed(c, &p.kindsSince)
	})
}

func (v *endpoints) find(id string) *Endpoint {
	for i := range v.List {
		if v.List[i].ID == id {
			return &v.List[i]
		}
	}
	return nil
}

// EndpointAsk makes an endpoint. Whether events may be posted to the URL at all is for the caller to check.
type EndpointAsk struct {
	Merchant holdfast.Owner
	Number   string // of the request, unique for the merchant; the id follows from it
	URL      string
	Kinds    []EventKind // none: all
	// Secret is the text of a fresh secret, and Nonce random bytes to seal it with.
	Secret string
	Nonce  [NonceBytes]byte
}

func checkEndpoint(url string, kinds []EventKind) error {
	if url == "" {
		return refuse(FieldInvalid, "url")
	}
	for _, k := range kinds {
		if !k.Public() {
			return refuse(FieldInvalid, "types")
		}
	}
	return validText(url, "url", maxURL)
}

func sortedKinds(kinds []EventKind) []EventKind {
	kinds = slices.Clone(kinds)
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// NewEndpoint makes an endpoint and returns it with its secret, which need not be shown again: [Cashier.EndpointSecrets] does. Asking again with
// the same number makes nothing and returns what was made, with the secret it has; with another address it is refused.
func (c *Cashier) NewEndpoint(ctx context.Context, ask EndpointAsk, now holdfast.Time) (v Endpoint, secret string, err error) {
	ask.Kinds = sortedKinds(ask.Kinds)
	err = first(validNumber(ask.Number, "number"), checkEndpoint(ask.URL, ask.Kinds), validText(ask.Secret, "secret", maxSecretText))
	if err != nil {
		return v, "", err
	}
	id := fmt.Sprintf("we%016x", spread("endpoint", ask.Merchant.String(), ask.Number))
	secret = ask.Secret
	err = c.changeEndpoints(ctx, ask.Merchant, now, func(all *endpoints) (changed bool, err error) {
		if had := all.find(id); had != nil {
			v = *had
			if had.URL != ask.URL {
				return false, refuse(RequestDiffers, "url")
			}
			secret, err = c.openSecret(ask.Merchant, id, had.secret)
			return false, err
		}
		if len(all.List) >= MaxEndpoints {
			return false, refuse(TooMany, "endpoint")
		}
		v = Endpoint{ID: id, URL: ask.URL, Kinds: ask.Kinds, Created: now, Since: now}
		v.secret = c.sealSecret(ask.Merchant, id, ask.Secret, ask.Nonce)
		all.List = append(all.List, v)
		return true, nil
	})
	return v, secret, err
}

// Endpoints lists the endpoints of a merchant, oldest first.
func (c *Cashier) Endpoints(ctx context.Context, merchant holdfast.Owner) ([]Endpoint, error) {
	var all endpoints
	if _, err := c.load(ctx, keyOf(merchant, kindEndpoints), &all); err != nil {
		return nil, settled(err)
	}
	return all.List, nil
}

// Endpoint returns one endpoint.
func (c *Cashier) Endpoint(ctx context.Context, merchant holdfast.Owner, id string) (Endpoint, error) {
	var all endpoints
	if _, err := c.load(ctx, keyOf(merchant, kindEndpoints), &all); err != nil {
		return Endpoint{}, settled(err)
	}
	if v := all.find(id); v != nil {
		return *v, nil
	}
	return Endpoint{}, refuse(EndpointUnknown, "endpoint")
}

// EndpointSecrets are the texts of the secrets that deliveries to an endpoint are signed with: the present one, and for [SecretLapse] after a
// change the one before.
func (c *Cashier) EndpointSecrets(merchant holdfast.Owner, v *Endpoint, now holdfast.Time) (list []string, err error) {
	for _, sealed := range []sealedSecret{v.secret, v.before} {
		if sealed == "" || sealed == v.before && now >= v.until {
			continue
		}
		plain, err := c.openSecret(merchant, v.ID, sealed)
		if err != nil {
			return nil, err
		}
		list = append(list, plain)
	}
	return list, nil
}

// EndpointChange is what [Cashier.ChangeEndpoint] changes; nil: that stays.
type EndpointChange struct {
	URL   *string
	Kinds *[]EventKind
	Off   *bool
	Why   string // with Off true: why, for people
}

// ChangeEndpoint changes an endpoint. One that is enabled again is not told of what happened meanwhile.
func (c *Cashier) ChangeEndpoint(ctx context.Context, merchant holdfast.Owner, id string, x EndpointChange, now holdfast.Time) (v Endpoint, err error) {
	if err := validText(x.Why, "why", maxWhy); err != nil {
		return v, err
	}
	err = c.changeEndpoints(ctx, merchant, now, func(all *endpoints) (bool, error) {
		p := all.find(id)
		if p == nil {
			return false, refuse(EndpointUnknown, "endpoint")
		}
		before := *p
		if x.URL != nil {
			p.URL = *x.URL
		}
		if x.Kinds != nil && !slices.Equal(p.Kinds, sortedKinds(*x.Kinds)) {
			p.kindsBefore, p.kindsSince, p.Kinds = p.Kinds, now, sortedKinds(*x.Kinds)
		}
		if x.Off != nil && *x.Off != p.Off {
			if p.Off, p.Why = *x.Off, x.Why; !p.Off {
				p.Since, p.Why = now, ""
			}
		}
		v = *p
		changed := before.URL != p.URL || before.Off != p.Off || !slices.Equal(before.Kinds, p.Kinds)
		return changed, checkEndpoint(p.URL, p.Kinds)
	})
	return v, err
}

// RotateAsk gives an endpoint a new secret.
type RotateAsk struct {
	Merchant holdfast.Owner
	ID       string // of the endpoint
	Number   string // of the request, unique for the endpoint
	Secret   string // the text of a fresh secret
	Nonce    [NonceBytes]byte
}

// RotateSecret gives an endpoint a new secret and returns it. Deliveries are signed with the one before as well for [SecretLapse]. Asking again with
// the number of the last change changes nothing and returns the secret that it made.
func (c *Cashier) RotateSecret(ctx context.Context, ask RotateAsk, now holdfast.Time) (v Endpoint, secret string, err error) {
	if err := first(validNumber(ask.Number, "number"), validText(ask.Secret, "secret", maxSecretText)); err != nil {
		return v, "", err
	}
	err = c.changeEndpoints(ctx, ask.Merchant, now, func(all *endpoints) (bool, error) {
		p := all.find(ask.ID)
		if p == nil {
			return false, refuse(EndpointUnknown, "endpoint")
		}
		if secret, err = c.openSecret(ask.Merchant, p.ID, p.secret); err != nil {
			return false, err
		}
		again := p.changed == ask.Number
		if !again {
			p.before, p.until = p.secret, now+SecretLapse
			p.secret, p.changed = c.sealSecret(ask.Merchant, p.ID, ask.Secret, ask.Nonce), ask.Number
			secret = ask.Secret
		}
		v = *p
		return !again, nil
	})
	return v, secret, err
}

// RemoveEndpoint takes an endpoint away; one that is not there is no error. What is due to be delivered to it is given up.
func (c *Cashier) RemoveEndpoint(ctx context.Context, merchant holdfast.Owner, id string, now holdfast.Time) error {
	return c.changeEndpoints(ctx, merchant, now, func(all *endpoints) (bool, error) {
		had := len(all.List)
		all.List = slices.DeleteFunc(all.List, func(v Endpoint) bool { return v.ID == id })
		return len(all.List) < had, nil
	})
}

// changeEndpoints changes the endpoints of a merchant, who has to be one.
func (c *Cashier) changeEndpoints(ctx context.Context, merchant holdfast.Owner, now holdfast.Time, how func(*endpoints) (changed bool, err error)) error {
	return c.again(ctx, func() error {
		var all endpoints
		key := keyOf(merchant, kindEndpoints)
		version, err := c.load(ctx, key, &all)
		if err != nil {
			return err
		}
		if version == 0 {
			if _, err := c.must(ctx, keyOf(merchant, kindMerchant), &Merchant{}, refuse(MerchantUnknown, "merchant")); err != nil {
				return err
			}
		}
		if changed, err := how(&all); err != nil || !changed {
			return err
		}
		d := draft{at: now}
		d.put(key, version, &all)
		return c.submit(ctx, &d)
	})
}

func boundTo(merchant holdfast.Owner, id string) []byte {
	return fmt.Appendf(nil, "holdfast webhook secret %s %s", merchant, id)
}

func (c *Cashier) sealSecret(merchant holdfast.Owner, id, secret string, nonce [NonceBytes]byte) sealedSecret {
	return sealedSecret(c.sealer.Seal(nonce[:], nonce[:], []byte(secret), boundTo(merchant, id)))
}

func (c *Cashier) openSecret(merchant holdfast.Owner, id string, sealed sealedSecret) (string, error) {
	if len(sealed) < NonceBytes {
		return "", &Unavailable{Err: ErrCorrupt}
	}
	plain, err := c.sealer.Open(nil, []byte(sealed[:NonceBytes]), []byte(sealed[NonceBytes:]), boundTo(merchant, id))
	if err != nil {
		return "", &Unavailable{Err: fmt.Errorf("the secret of endpoint %s does not open with the key of this configuration: %w", id, ErrCorrupt)}
	}
	return string(plain), nil
}
