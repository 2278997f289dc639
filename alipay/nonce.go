package alipay

import (
	"hash/maphash"
	"sync"
	"time"
)

// maxNonces bounds the memory for nonces: two generations of half a million, about 20 bytes each.
const maxNonces = 1 << 19

// nonces remembers which nonces were used while their timestamps are still good. It is this process's memory only, and forgets the
// oldest early when there are too many: what a repeated request could do is harmless anyway, at another site as well, since the numbers in it are
// idempotent; docs/decisions/0018-the-gateway.md says what that leaves. It keeps 64-bit hashes under a seed of its own, so nobody can look for two that collide.
type nonces struct {
	mu        sync.Mutex
	seed      maphash.Seed
	now, last map[uint64]struct{} // this generation and the one before
	turns     time.Time           // when this generation becomes the one before
}

// take reports whether the nonce is new, and remembers it for at least twice the clock skew.
func (n *nonces) take(nonce string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.now == nil {
		n.seed, n.now = maphash.MakeSeed(), map[uint64]struct{}{}
		n.turns = now.Add(2 * clockSkew)
	}
	switch {
	case now.Sub(n.turns) > 2*clockSkew:
		n.last, n.now = nil, map[uint64]struct{}{}
		n.turns = now.Add(2 * clockSkew)
	case now.After(n.turns) || len(n.now) >= maxNonces:
		n.last, n.now = n.now, map[uint64]struct{}{}
		n.turns = now.Add(2 * clockSkew)
	}
	h := maphash.String(n.seed, nonce)
	_, used := n.now[h]
	_, before := n.last[h]
	n.now[h] = struct{}{}
	return !used && !before
}
