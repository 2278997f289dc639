package site

import (
	"strings"
	"testing"

	"holdfast"
)

// A shard whose digest was compared with nobody's is told, however many others were compared.
func TestAnAuditThatComparedOneShardOfThree(t *testing.T) {
	a := &Audit{Balanced: true, Agree: true, Compared: 1, Shards: []ShardAudit{
		{Shard: 1, Digests: []DigestAudit{{Site: 2}, {Site: 3, Error: "it does not answer"}}},
		{Shard: 2, Digests: []DigestAudit{{Site: 2, Error: "they did not meet"}, {Site: 3, Error: "they did not meet"}}},
		{Shard: 3},
	}}
	a.uncompared(2)
	if len(a.Problems) != 2 || a.OK() || !strings.HasPrefix(a.Problems[0], "shard 2: ") || !strings.HasPrefix(a.Problems[1], "shard 3: ") {
		t.Errorf("%q", a.Problems)
	}
	alone := &Audit{Balanced: true, Agree: true, Shards: []ShardAudit{{Shard: 1}}}
	if alone.uncompared(0); !alone.OK() {
		t.Errorf("a fleet of one has nobody to compare with: %q", alone.Problems)
	}
}

// A site that listens on every address says nothing of where its API is, rather than something that leads everybody to themselves.
func TestOwnURL(t *testing.T) {
	for listen, want := range map[string]string{
		":8080": "", "0.0.0.0:8080": "", "[::]:8080": "", "10.0.0.1:8080": "http://10.0.0.1:8080", "hz.example:80": "http://hz.example:80",
	} {
		s := &Site{cfg: Config{Site: 1, HTTP: HTTP{Listen: listen}}}
		if got := s.ownURL(); got != want {
			t.Errorf("listening on %q: %q, want %q", listen, got, want)
		}
	}
	s := &Site{cfg: Config{Site: 1, HTTP: HTTP{Listen: ":8080"}}}
	s.fleet.roster.Store(&Roster{Version: 1, Sites: []ListedSite{{Site: holdfast.SiteID(1), HTTP: "http://hz.example"}}})
	if got := s.ownURL(); got != "http://hz.example" {
		t.Errorf("%q, want what the list of sites says", got)
	}
}
