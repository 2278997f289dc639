package holdfast

import (
	"testing"

	"pgregory.net/rapid"
)

func TestShadows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var random [10]byte
		copy(random[:], rapid.SliceOfN(rapid.Byte(), 10, 10).Draw(t, "random"))
		id, other := NewID(1_700_000_000_000_000_000, random), NewID(1_700_000_000_000_000_000, [10]byte{9})
		shadow := id.Shadow()
		if !shadow.IsShadow() || !shadow.Reserved() || id.IsShadow() || id.Reserved() || shadow.Unshadow() != id || shadow.Shadow() != shadow {
			t.Fatalf("%s has the shadow %s, and that comes from %s", id, shadow, shadow.Unshadow())
		}
		own := ID(append(random[:], 1, 2, 3, 4, 5, 6)).Own(id)
		if !own.Reserved() || own.IsShadow() || [6]byte(own[:6]) != [6]byte(id[:6]) {
			t.Fatalf("an id made beside %s is %s", id, own)
		}
		if own.Shadow() == shadow || other != id && other.Shadow() == shadow {
			t.Fatalf("%s and another id meet", id)
		}
	})
}

func TestInTransitAccounts(t *testing.T) {
	cny := MustAsset("CNY")
	seen := map[AccountID]bool{}
	for _, at := range []ShardID{1, 2, 9, 10, 999, MaxShards} {
		for _, other := range []ShardID{1, 2, 10, 999, MaxShards} {
			id := InTransit(at, other, cny)
			a, b, ok := id.InTransit()
			if !ok || a != at || b != other || id.Check() != nil || id.Asset != cny || seen[id] {
				t.Errorf("InTransit(%d, %d) is %s, and read as %d, %d, %v", at, other, id, a, b, ok)
			}
			seen[id] = true
			moving := Moving(at, other, cny)
			a, b, ok = moving.Moving()
			if _, _, transit := moving.InTransit(); transit || !ok || a != at || b != other || moving.Check() != nil || !moving.OfShard() || !id.OfShard() {
				t.Errorf("Moving(%d, %d) is %s, and read as %d, %d, %v", at, other, moving, a, b, ok)
			}
		}
	}
	if got := InTransit(7, 12, cny).String(); got != "2088000000000076.transit-12.CNY" {
		t.Errorf("the account of shard 7 for shard 12 is %s", got)
	}
	owner := InTransit(3, 4, cny).Owner
	for _, purpose := range []string{"wallet", "transit", "transit-", "transit-0", "transit-01", "transit-1001", "transit-x", "transit--1", "transits-1"} {
		if _, _, ok := (AccountID{owner, MustPurpose(purpose), cny}).InTransit(); ok {
			t.Errorf("%s counts as an in-transit account", purpose)
		}
	}
	customer, _ := NewOwner(1, 3)
	if (AccountID{customer, MustPurpose("moving-4"), cny}).OfShard() {
		t.Error("an account of a customer counts as one of a shard")
	}
	for _, o := range []Owner{customer, 0, owner + 1} {
		if _, _, ok := (AccountID{o, MustPurpose("transit-4"), cny}).InTransit(); ok {
			t.Errorf("an in-transit account of owner %d", o)
		}
	}
}
