package site

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
)

// Audit recounts the books of this site's replicas and compares their digests with those of the other sites. Payments go on
// meanwhile. The error is that of ctx or of the disk; what is wrong with the books is in the answer.
func (s *Site) Audit(ctx context.Context) (Audit, error) {
	if err := s.known(1); err != nil {
		return Audit{}, err
	}
	a := Audit{Site: s.cfg.Site, At: time.Now(), Balanced: true, Agree: !s.outs.any()}
	if !a.Agree {
		a.problem("a replica of site %d has taken itself out of service", s.cfg.Site)
	}
	for _, id := range s.ShardIDs() {
		one, err := s.auditShard(ctx, &a, id)
		if errors.Is(err, shard.ErrOutOfService) { // the very thing somebody may want to know who asks for an audit
			a.Agree = false
			a.problem("shard %d could not be audited here: %v", id, err)
			continue
		}
		if err != nil {
			return Audit{}, fmt.Errorf("audit of shard %d: %w", id, err)
		}
		a.Shards = append(a.Shards, one)
	}
	a.uncompared(len(s.peers()))
	return a, s.auditTransit(ctx, &a)
}

// uncompared tells of every shard whose digest was compared with that of no other site. peers is how many of those there are.
func (a *Audit) uncompared(peers int) {
	for i := range a.Shards {
		one := &a.Shards[i]
		if peers > 0 && !slices.ContainsFunc(one.Digests, func(d DigestAudit) bool { return d.Error == "" }) {
			a.problem("shard %d: its digest could not be compared with that of any of the %d other sites: this proves nothing about its replicas", one.Shard, peers)
		}
	}
}

func (a *Audit) problem(format string, args ...any) {
	a.Problems = append(a.Problems, fmt.Sprintf(format, args...))
}

func (s *Site) auditShard(ctx context.Context, a *Audit, id holdfast.ShardID) (ShardAudit, error) {
	var books shard.Audit
	err := s.host.Read(ctx, id, shard.Stale, func(v *shard.View) (err error) {
		books, err = v.Audit(ctx)
		return err
	})
	if err != nil {
		return ShardAudit{}, err
	}
	one := ShardAudit{
		Shard: id, Index: books.Index, Time: books.Time, Digest: books.Digest, Accounts: int(books.Accounts), Holds: int(books.Holds),
	}
	for _, fault := range books.Faults {
		a.Balanced = false
		a.problem("shard %d: %s", id, fault)
	}
	for i := range books.Totals {
		t := &books.Totals[i]
		if !t.Balanced() {
			a.Balanced = false
			a.problem("shard %d: debits and credits of %s differ", id, t.Asset)
		}
		one.Assets = append(one.Assets, assetAudit(t))
	}
	one.Digests = s.compareAll(ctx, id)
	for _, d := range one.Digests {
		a.judge(id, d)
	}
	return one, nil
}

// judge adds the comparison with one site. No answer is no disagreement: the site may be cut off.
func (a *Audit) judge(id holdfast.ShardID, d DigestAudit) {
	switch {
	case d.Error != "":
	case d.Digest != d.Ours:
		a.Compared++
		a.Agree = false
		a.problem("shard %d: after entry %d the digest is %016x here and %016x at site %d", id, d.Index, d.Ours, d.Digest, d.Site)
	default:
		a.Compared++
	}
}

// assetAudit shows 128-bit sums in 63 bits: a sum beyond them, which no real money reaches, is shown as the largest number.
// Balance is judged before, on all bits.
func assetAudit(t *ledger.AssetTotal) AssetAudit {
	return AssetAudit{
		Asset: t.Asset, Accounts: int(t.Accounts), DebitsPosted: amountOf(t.DebitsPosted), CreditsPosted: amountOf(t.CreditsPosted),
		DebitsPending: amountOf(t.DebitsPending), CreditsPending: amountOf(t.CreditsPending),
	}
}

func amountOf(s ledger.Sum) holdfast.Amount {
	if s.Hi > 0 || s.Lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return holdfast.Amount(s.Lo)
}

// digests are two places in the log of a shard and the digests there: where the replica is, and the last digest entry it
// has applied. Two replicas that are busy rarely are at the same place, but soon have the same last digest entry.
type digests struct{ index, digest, checkedIndex, checked uint64 }

func (s *Site) digests(ctx context.Context, id holdfast.ShardID) (d digests, err error) {
	err = s.host.Read(ctx, id, shard.Stale, func(v *shard.View) error {
		m := v.Meta()
		d = digests{m.Index, m.Digest, m.CheckedIndex, m.CheckedDigest}
		return nil
	})
	return d, err
}

func (s *Site) serveDigest(ctx context.Context, payload []byte) ([]byte, error) {
	r := reader{b: payload}
	version, id := r.u8(), holdfast.ShardID(r.u16())
	if version != wireVersion || !r.ok() {
		return nil, errWire
	}
	if err := s.known(id); err != nil {
		return nil, err
	}
	d, err := s.digests(ctx, id)
	if err != nil {
		return nil, err
	}
	b := []byte{wireVersion}
	for _, n := range []uint64{d.index, d.digest, d.checkedIndex, d.checked} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b, nil
}

// How long an audit tries to meet another replica at one index, and how often it looks.
const (
	compareFor   = 3 * time.Second
	compareEvery = 20 * time.Millisecond
)

// compareAll compares with all other sites that have a replica of the shard, at once.
func (s *Site) compareAll(ctx context.Context, id holdfast.ShardID) []DigestAudit {
	ctx, cancel := context.WithTimeout(ctx, compareFor)
	defer cancel()
	others := s.memberSites(id)
	list := make([]DigestAudit, len(others))
	var all sync.WaitGroup
	for i, with := range others {
		all.Go(func() { list[i] = s.compare(ctx, id, with) })
	}
	all.Wait()
	return list
}

// compare asks a site for its digests until both have one at the same index.
func (s *Site) compare(ctx context.Context, id holdfast.ShardID, with holdfast.SiteID) DigestAudit {
	ticker := time.NewTicker(compareEvery)
	defer ticker.Stop()
	for {
		d, met := s.compareOnce(ctx, id, with)
		if met || d.Error != "" && !s.watch.answers(s.watch.peer(with)) {
			return d // a site that is cut off is not waited for
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return d
		}
	}
}

// compareOnce asks once. When the two did not meet, Error says why.
func (s *Site) compareOnce(ctx context.Context, id holdfast.ShardID, with holdfast.SiteID) (d DigestAudit, met bool) {
	theirs, err := s.askDigests(ctx, id, with)
	if err != nil {
		return DigestAudit{Site: with, Error: err.Error()}, false
	}
	ours, err := s.digests(ctx, id)
	if err != nil {
		return DigestAudit{Site: with, Error: err.Error()}, false
	}
	if d, met = meet(ours, theirs); !met {
		d.Error = fmt.Sprintf("it is at entry %d, we are at %d: they did not meet within %s", theirs.index, ours.index, compareFor)
	}
	d.Site = with
	return d, met
}

func meet(ours, theirs digests) (DigestAudit, bool) {
	switch {
	case ours.index == theirs.index:
		return DigestAudit{Index: ours.index, Digest: theirs.digest, Ours: ours.digest}, true
	case ours.checkedIndex == theirs.checkedIndex && ours.checkedIndex > 0:
		return DigestAudit{Index: ours.checkedIndex, Digest: theirs.checked, Ours: ours.checked}, true
	}
	return DigestAudit{}, false
}

func (s *Site) askDigests(ctx context.Context, id holdfast.ShardID, of holdfast.SiteID) (d digests, err error) {
	b, err := s.link.Call(ctx, of, methodDigest, binary.BigEndian.AppendUint16([]byte{wireVersion}, uint16(id)))
	if err != nil {
		return d, err
	}
	r := reader{b: b}
	if r.u8() != wireVersion {
		r.fail()
	}
	d = digests{r.u64(), r.u64(), r.u64(), r.u64()}
	return d, r.err()
}
