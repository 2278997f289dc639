package check

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"holdfast"
)

// Everything that goes into a finding is visited in a fixed order, so that the same input gives the same text.

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func keys[K comparable, V any](m map[K]V) iter.Seq[K] { return maps.Keys(m) }

func compareAccounts(a, b holdfast.AccountID) int {
	return cmp.Or(cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.Purpose, b.Purpose), cmp.Compare(a.Asset, b.Asset))
}
