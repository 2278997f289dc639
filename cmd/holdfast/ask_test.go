package main

import (
	"testing"

	"holdfast/client"
)

// An audit that compared nothing passes only where there is nothing to compare with.
func TestAnAuditThatComparedNothing(t *testing.T) {
	for _, c := range []struct {
		compared, sites int
		ok              bool
	}{{0, 1, true}, {0, 3, false}, {2, 3, true}} {
		a := client.Audit{OK: true, Compared: c.compared}
		if unproved(&a, c.sites); a.OK != c.ok || (len(a.Problems) == 0) != c.ok {
			t.Errorf("%d compared, %d sites: ok %v, problems %q", c.compared, c.sites, a.OK, a.Problems)
		}
	}
}
