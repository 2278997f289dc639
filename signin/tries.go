package signin

import (
	"context"
	"crypto/hmac"
	"strings"
	"time"

	"holdfast"
)

// Wrong passwords of one person: ten at once, then one in a quarter of an hour. They are counted in a record, so that it is the same at all sites, and when
// one is lost. Whoever fills the count of somebody else cannot lock them out: a device from which they have signed in has a count of its own, and passkeys and
// invitations have nothing to do with it.
const (
	PersonTries = 10
	PersonEvery = 15 * time.Minute
)

// tries hold when what was tried will have been forgotten, as the generic cell rate algorithm has it.
type tries struct {
	Strange holdfast.Time // from devices that are not known
	Known   holdfast.Time
	Last    string // marks the last try, so that a request that comes twice is one try
}

func (*tries) kind() (byte, byte) { return 84, 1 }

func (v *tries) layout(c *coder) {
	number(c, &v.Strange)
	number(c, &v.Known)
	text(c, &v.Last)
}

func (v *tries) cell(known bool) *holdfast.Time {
	if known {
		return &v.Known
	}
	return &v.Strange
}

// mark is what is kept of a try: two bytes, under the platform's key, of the request and the password. Nobody can tell the password by it, and who
// sends another one in the name of the same request has one chance in 65,536 that it is not counted.
func (p *Porter) mark(password string, seed Seed) string {
	return string(derived(p.keys.device, "try "+string(seed.bytes(16, password)))[:2])
}

// takeTry counts a try before it is made, so that many at once count as well.
func (p *Porter) takeTry(ctx context.Context, who Who, known bool, mark string, now holdfast.Time) error {
	key := keyOf(who.Owner, kindTries, who.ID)
	const every = holdfast.Time(PersonEvery)
	return again(func() error {
		var v tries
		version, err := p.load(ctx, key, &v)
		if err != nil {
			return err
		}
		cell := v.cell(known)
		if v.Last == mark && *cell > now {
			return nil
		}
		if wait := *cell - now - (PersonTries-1)*every; wait > 0 {
			return &TooSoon{Wait: time.Duration(wait), Tries: true}
		}
		*cell, v.Last = max(*cell, now)+every, mark
		d := draft{at: now}
		d.put(key, version, &v)
		return p.submit(ctx, &d)
	})
}

// clearTries forgets them in the transaction of who has signed in.
func (p *Porter) clearTries(ctx context.Context, who Who, known bool, d *draft) error {
	key := keyOf(who.Owner, kindTries, who.ID)
	var v tries
	version, err := p.load(ctx, key, &v)
	if err != nil || version == 0 || *v.cell(known) == 0 {
		return err
	}
	*v.cell(known) = 0
	d.put(key, version, &v)
	return nil
}

// forgive forgets the tries of somebody who had the password right, and then chose another one that is refused: looking for a good one is no guessing.
func (p *Porter) forgive(ctx context.Context, who Who, had string, now holdfast.Time) error {
	if had == "" {
		return nil // none was taken
	}
	return again(func() error {
		d := draft{at: now}
		if err := p.clearTries(ctx, who, true, &d); err != nil || len(d.Records) == 0 {
			return err
		}
		return p.submit(ctx, &d)
	})
}

// A device that somebody has signed in from keeps a text by which it is known again:
//
//	hfd_<32 characters of 20 random bytes><32 characters of a code by the platform's key>
//
// It lets nobody in. Nothing about it is stored.
const (
	devicePrefix = "hfd_"
	deviceBytes  = 20
)

func (p *Porter) newDevice(who Who, random []byte) string {
	return devicePrefix + plainText.EncodeToString(append(random[:deviceBytes:deviceBytes], p.deviceCode(who, random[:deviceBytes])...))
}

func (p *Porter) deviceCode(who Who, random []byte) []byte {
	return derived(p.keys.device, who.Owner.String()+" "+who.ID+" "+string(random))[:deviceBytes]
}

// knownDevice tells whether a text is one that a device of this person got.
func (p *Porter) knownDevice(who Who, device string) bool {
	rest, ok := strings.CutPrefix(device, devicePrefix)
	b, err := plainText.DecodeString(rest)
	return ok && err == nil && len(b) == 2*deviceBytes && hmac.Equal(b[deviceBytes:], p.deviceCode(who, b[:deviceBytes]))
}
