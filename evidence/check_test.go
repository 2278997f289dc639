package evidence

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/link"
	"holdfast/proof"
)

var noon = time.Date(2026, 5, 27, 12, 0, 0, 0, time.UTC)

// stand is a fleet of three on paper: what each site would answer, before it signs.
type stand struct {
	t        testing.TB
	signers  map[holdfast.SiteID]*link.Credentials
	bodies   map[holdfast.SiteID]map[string]string // by the target
	run      *Run
	till     holdfast.AccountID
	payments []Receipt
	later    proof.Answer // signed after the others
}

func newStand(t testing.TB) *stand {
	t.Helper()
	ca, err := link.NewCA("drill", noon, 72*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{t: t, signers: map[holdfast.SiteID]*link.Credentials{}, bodies: map[holdfast.SiteID]map[string]string{}}
	s.run = &Run{Scenario: "site-cut", Authority: string(ca.Pair().Cert), Sites: []holdfast.SiteID{1, 2, 3}}
	for id := holdfast.SiteID(1); id <= 4; id++ { // the fourth is of the fleet, and not of the run
		pair, err := ca.NewSiteCert(id, noon, 48*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if s.signers[id], err = link.NewCredentials(ca.Pair().Cert, pair, noon); err != nil {
			t.Fatal(err)
		}
	}
	s.till = s.account(7, "till")
	for i := range 5 {
		id := holdfast.ID{15: byte(i + 1), 6: 0x70, 8: 0x80}
		s.payments = append(s.payments, Receipt{
			ID: id, Debit: s.account(uint32(i), "wallet"), Credit: s.till, Amount: holdfast.Amount(10 + i), Outcome: "done",
			Time: holdfast.TimeOf(noon.Add(time.Duration(i) * time.Second)),
		})
	}
	s.run.Receipts = append(s.run.Receipts, s.payments...)
	for id := holdfast.SiteID(1); id <= 3; id++ {
		s.bodies[id] = map[string]string{}
		s.writes(id, s.payments)
	}
	return s
}

// refused adds a receipt of a payment that was refused.
func (s *stand) refused() holdfast.ID {
	r := s.payments[0]
	r.ID[15], r.Outcome, r.Time = 99, "refused", 0
	s.run.Receipts = append(s.run.Receipts, r)
	return r.ID
}

func (s *stand) account(n uint32, purpose string) holdfast.AccountID {
	owner, err := holdfast.NewOwner(n+1, 42)
	if err != nil {
		s.t.Fatal(err)
	}
	id, err := holdfast.ParseAccountID(fmt.Sprintf("%s.%s.GBP", owner, purpose))
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// writes makes the statement of the till, two lines a page, and the audit of a site.
func (s *stand) writes(id holdfast.SiteID, payments []Receipt) {
	var lines []string
	credits := holdfast.Amount(0)
	for _, p := range payments {
		credits += p.Amount
		lines = append(lines, fmt.Sprintf(`{"id":%q,"kind":"immediate","debit":%q,"credit":%q,"amount":%d,"transaction":%q,"leg":0,"time":%q,"shard":1,"index":9,"credits_posted":%d}`,
			p.ID, p.Debit, p.Credit, p.Amount, p.ID, p.Time.Std().UTC().Format(time.RFC3339Nano), credits))
	}
	path := "/v1/accounts/" + s.till.String() + "/statement?limit=2"
	for page, cursor := 1, ""; ; page++ {
		n := min(2, len(lines))
		newest := lines[len(lines)-n:]
		lines = lines[:len(lines)-n]
		if n == 2 {
			newest = []string{newest[1], newest[0]}
		}
		next := ""
		if len(lines) > 0 {
			next = fmt.Sprint("page", page)
		}
		s.bodies[id][path+cursor] = fmt.Sprintf(`{"lines":[%s],"next":%q}`, strings.Join(newest, ","), next)
		if cursor = "&cursor=" + next; next == "" {
			break
		}
	}
	var met []string
	for other := holdfast.SiteID(1); other <= 3; other++ {
		if other != id {
			met = append(met, fmt.Sprintf(`{"site":%d,"index":8,"digest":"00ee","ours":"00ee"}`, other))
		}
	}
	s.bodies[id]["/v1/audit"] = fmt.Sprintf(`{"site":%d,"ok":true,"balanced":true,"agree":true,"shards":[{"shard":1,"index":9,"digest":"00ff","digests":[%s]}]}`, id, strings.Join(met, ","))
}

func (s *stand) signed(by holdfast.SiteID, target, body string) proof.Answer {
	return s.signedAt(by, target, body, noon)
}

func (s *stand) signedAt(by holdfast.SiteID, target, body string, at time.Time) proof.Answer {
	h := http.Header{}
	if err := proof.Sign(s.signers[by], h, http.MethodGet, target, http.StatusOK, []byte(body), at); err != nil {
		s.t.Fatal(err)
	}
	a, err := proof.Hear(http.MethodGet, target, http.StatusOK, h, []byte(body))
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *stand) sign() {
	for id, bodies := range s.bodies {
		for target, body := range bodies {
			s.run.Answers = append(s.run.Answers, s.signed(id, target, body))
		}
	}
}

// only leaves the sites out of the file that are not named, and says that they were never there.
func (s *stand) only(ids ...holdfast.SiteID) {
	s.run.Sites = ids
	s.run.Answers = slices.DeleteFunc(s.run.Answers, func(a proof.Answer) bool {
		who, err := a.Verify([]byte(s.run.Authority))
		return err != nil || !slices.Contains(ids, who.Site)
	})
}

// audited replaces a part of the audit of every site.
func (s *stand) audited(old string, by func(holdfast.SiteID) string) {
	for id, bodies := range s.bodies {
		bodies["/v1/audit"] = strings.ReplaceAll(bodies["/v1/audit"], old, by(id))
	}
}

func TestCheck(t *testing.T) {
	without := func(list []Receipt, i int) []Receipt { return append(append([]Receipt{}, list[:i]...), list[i+1:]...) }
	for _, row := range []struct {
		name   string
		before func(s *stand) // the sites sign
		after  func(s *stand)
		broken string // "": nothing
	}{
		{name: "sound"},
		{name: "lost at one site", before: func(s *stand) { s.writes(2, without(s.payments, 1)) }, broken: "lost at site 2"},
		{name: "lost at all", before: func(s *stand) {
			for id := range s.bodies {
				clear(s.bodies[id])
				s.writes(id, without(s.payments, 4))
			}
		}, broken: "lost at site 1"},
		{name: "doubled", before: func(s *stand) { s.writes(3, append(without(s.payments, 4), s.payments[3])) }, broken: "doubled"},
		{name: "another amount", before: func(s *stand) {
			other := append([]Receipt{}, s.payments...)
			other[2].Amount++
			s.writes(1, other)
		}, broken: "altered at site 1"},
		{name: "paid by somebody else", before: func(s *stand) {
			other := append([]Receipt{}, s.payments...)
			other[2].Debit = other[1].Debit
			s.writes(1, other)
		}, broken: "altered at site 1"},
		{name: "at another time", before: func(s *stand) {
			other := append([]Receipt{}, s.payments...)
			other[2].Time++
			s.writes(1, other)
		}, broken: "altered at site 1"},
		{name: "nobody asked for it", after: func(s *stand) { s.run.Receipts = without(s.run.Receipts, 0) }, broken: "no receipt asks for it"},
		{name: "refused, and there", after: func(s *stand) { s.run.Receipts[1].Outcome = "refused" }, broken: "phantom"},
		{name: "unknown, and there", after: func(s *stand) { s.run.Receipts[1].Outcome, s.run.Receipts[1].Time = "unknown", 0 }},
		{name: "refused, and remembered", before: func(s *stand) {
			id := s.refused()
			for _, bodies := range s.bodies {
				bodies["/v1/transactions/"+id.String()] = fmt.Sprintf(`{"outcome":{"id":%q,"status":"refused","code":"exceeds-credits","shard":1}}`, id)
			}
		}},
		{name: "refused, and forgotten", before: func(s *stand) { s.refused() }, broken: "the refusal is forgotten"},
		{name: "a page is missing", before: func(s *stand) {
			delete(s.bodies[2], "/v1/accounts/"+s.till.String()+"/statement?limit=2&cursor=page1")
		}, broken: "is missing"},
		{name: "the sums are wrong", before: func(s *stand) {
			for target, body := range s.bodies[2] {
				s.bodies[2][target] = strings.Replace(body, `"credits_posted":10}`, `"credits_posted":11}`, 1)
			}
		}, broken: "come to"},
		{name: "changed after signing", after: func(s *stand) { s.run.Answers[0].Body[3]++ }, broken: proof.ErrForged.Error()},
		{name: "signed by a site that is none of the run", after: func(s *stand) {
			s.run.Answers = append(s.run.Answers, s.signed(4, "/v1/audit", `{"site":4,"ok":true}`))
		}, broken: "none of the sites"},
		{name: "a site says nothing", before: func(s *stand) { clear(s.bodies[3]) }, broken: "site 3 has signed no statement"},
		{name: "an audit is bad", before: func(s *stand) {
			s.bodies[3]["/v1/audit"] = `{"site":3,"ok":false,"balanced":false,"problems":["debits are not credits"]}`
		}, broken: "debits are not credits"},
		{name: "an audit leaves a shard out that others have audited", before: func(s *stand) {
			for _, id := range []holdfast.SiteID{1, 2} {
				s.bodies[id]["/v1/audit"] = strings.Replace(s.bodies[id]["/v1/audit"], `"shards":[`, `"shards":[{"shard":2,"index":5,"digest":"00aa"},`, 1)
			}
		}, broken: "the last audit of site 3 leaves shard 2 out"},
		{name: "all leave a shard out whose statements they have signed", before: func(s *stand) {
			for id := range s.bodies {
				s.bodies[id]["/v1/audit"] = strings.Replace(s.bodies[id]["/v1/audit"], `"shard":1,`, `"shard":3,`, 1)
			}
		}, broken: "leaves shard 1 out"},
		{name: "the states differ", before: func(s *stand) {
			s.bodies[3]["/v1/audit"] = strings.Replace(s.bodies[3]["/v1/audit"], "00ff", "00fe", 1)
		}, broken: "another state"},
		{name: "what a site was told by another differs from its own", before: func(s *stand) {
			s.bodies[3]["/v1/audit"] = strings.Replace(s.bodies[3]["/v1/audit"], `"digest":"00ee"`, `"digest":"00ed"`, 1)
		}, broken: "another state"},
		{name: "nobody is asked", after: func(s *stand) { s.only() }, broken: "the run names no site"},
		{name: "one site of three", after: func(s *stand) { s.only(2) }, broken: "no majority"},
		{name: "two sites of three", after: func(s *stand) { s.only(1, 3) }},
		{name: "no receipt at all", after: func(s *stand) { s.run.Receipts = nil }, broken: "the run has no receipt"},
		{name: "nobody has compared anything", before: func(s *stand) {
			s.audited(`"digest":"00ee","ours":"00ee"`, func(holdfast.SiteID) string { return `"error":"no answer"` })
			s.audited(`"index":9`, func(id holdfast.SiteID) string { return fmt.Sprintf(`"index":%d`, 9+id) })
		}, broken: "no two sites have compared their digests of shard 1"},
		{name: "a site has compared with itself", before: func(s *stand) {
			s.audited(`"digest":"00ee","ours":"00ee"`, func(holdfast.SiteID) string { return `"error":"no answer"` })
			s.audited(`"index":9`, func(id holdfast.SiteID) string { return fmt.Sprintf(`"index":%d`, 9+id) })
		}, after: func(s *stand) { s.run.Answers = append(s.run.Answers, s.run.Answers...) }, broken: "no two sites have compared"},
		{name: "an earlier audit, put last in the file, was good", before: func(s *stand) {
			s.later = s.signedAt(3, "/v1/audit", `{"site":3,"ok":false,"balanced":false,"problems":["debits are not credits"]}`, noon.Add(time.Second))
		}, after: func(s *stand) { s.run.Answers = append([]proof.Answer{s.later}, s.run.Answers...) }, broken: "debits are not credits"},
		{name: "an earlier audit, put last in the file, was bad", before: func(s *stand) {
			s.later = s.signedAt(3, "/v1/audit", s.bodies[3]["/v1/audit"], noon.Add(time.Second))
			s.bodies[3]["/v1/audit"] = `{"site":3,"ok":false,"balanced":false,"problems":["debits are not credits"]}`
		}, after: func(s *stand) { s.run.Answers = append([]proof.Answer{s.later}, s.run.Answers...) }},
	} {
		s := newStand(t)
		if row.before != nil {
			row.before(s)
		}
		s.sign()
		if row.after != nil {
			row.after(s)
		}
		v := s.run.Check(nil)
		found := strings.Join(v.Broken, "\n")
		if v.OK != (row.broken == "") || !strings.Contains(found, row.broken) {
			t.Errorf("%s: %t, %q; want %q", row.name, v.OK, found, row.broken)
		}
	}
}

// TestCheckTrustsTheReadersAuthority and not that of the file.
func TestCheckTrustsTheReadersAuthority(t *testing.T) {
	s, other := newStand(t), newStand(t)
	s.sign()
	if v := s.run.Check([]byte(s.run.Authority)); !v.OK {
		t.Errorf("%q", v.Broken)
	}
	if v := s.run.Check([]byte(other.run.Authority)); v.OK {
		t.Error("evidence of a fleet of another authority was taken")
	}
}

func TestFilesAreReadAsTheyWereWritten(t *testing.T) {
	s := newStand(t)
	s.sign()
	for _, name := range []string{"out/e.json", "out/e.json.gz"} {
		name = filepath.Join(t.TempDir(), name)
		if err := Write(name, &File{Format: Format, Made: noon, Runs: []Run{*s.run}}); err != nil {
			t.Fatal(err)
		}
		f, err := Read(name)
		if err != nil {
			t.Fatal(err)
		}
		if v := f.Runs[0].Check(nil); !v.OK {
			t.Errorf("%s: %q", name, v.Broken)
		}
	}
	if err := Write(filepath.Join(t.TempDir(), "x"), &File{Format: "another"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"none", "check_test.go"} {
		if f, err := Read(name); err == nil {
			t.Errorf("%s was read as %+v", name, f)
		}
	}
}

// BenchmarkCheck checks as many answers as a drill of half a minute has: two thousand payments asked for by id at each of three sites.
func BenchmarkCheck(b *testing.B) {
	s := newStand(b)
	s.sign()
	for i := range 2000 {
		id := holdfast.ID{0: byte(i >> 8), 1: byte(i), 6: 0x70, 8: 0x80}
		body := fmt.Sprintf(`{"outcome":{"id":%q,"status":"refused","code":"exceeds-credits","shard":1}}`, id)
		for site := holdfast.SiteID(1); site <= 3; site++ {
			s.run.Answers = append(s.run.Answers, s.signedAt(site, "/v1/transactions/"+id.String(), body, noon.Add(time.Duration(i/200)*time.Second)))
		}
	}
	for b.Loop() {
		if v := s.run.Check(nil); !v.OK {
			b.Fatalf("%q", v.Broken)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(s.run.Answers)), "us/answer")
}
