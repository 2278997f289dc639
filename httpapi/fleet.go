package httpapi

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"holdfast"
	"holdfast/guard"
	"holdfast/shard"
	"holdfast/site"
)

type siteBody struct {
	Site      uint16        `json:"site"`
	Name      string        `json:"name"`
	City      string        `json:"city,omitempty"`
	Role      string        `json:"role" enum:"voter,learner,leaving" doc:"What it is to be in every shard, by the list of sites"`
	HTTP      string        `json:"http" doc:"Base URL of its API, if the configuration tells"`
	Self      bool          `json:"self" doc:"It is the site that answers"`
	Reachable bool          `json:"reachable" doc:"Heard from lately, and answered just now"`
	Ready     bool          `json:"ready" doc:"Takes requests"`
	RoundTrip float64       `json:"round_trip_ms" doc:"Over the link, smoothed; 0 for itself and when unknown"`
	LastHeard string        `json:"last_heard,omitempty" format:"date-time" doc:"Left out: never since this process started"`
	Version   string        `json:"version" doc:"Of its program"`
	Leads     []uint16      `json:"leads" doc:"Shards it leads, as it says itself"`
	DigestOK  bool          `json:"digest_ok" doc:"None of its replicas has found itself to differ"`
	DiskFree  uint64        `json:"disk_free_bytes"`
	DiskFull  bool          `json:"disk_full" doc:"Takes no new work for want of space"`
	DiskWrite float64       `json:"disk_write_ms" doc:"Half of the synced writes of the last two seconds took as long; of the site that answers, 0 when there were hardly any"`
	DiskSick  bool          `json:"disk_sick" doc:"A write hangs, or they take too long to lead on; of the site that answers"`
	Carriers  []carrierBody `json:"carriers"`
}

type carrierBody struct {
	Address   string  `json:"address"`
	Connected bool    `json:"connected"`
	RoundTrip float64 `json:"round_trip_ms"`
	LastHeard string  `json:"last_heard,omitempty" format:"date-time"`
	Stalled   bool    `json:"stalled" doc:"It answers late while another carrier does not"`
	Loss      float64 `json:"loss" doc:"Of what came in the last seconds, the share that this carrier brought late or not at all while another did"`
}

type sitesBody struct {
	List   uint64          `json:"list_version" doc:"Of the list of sites as this site knows it; 0: it was never changed"`
	Change *siteChangeBody `json:"change,omitempty" doc:"Of the list of sites, that is under way"`
	Sites  []siteBody      `json:"sites"`
}

func (a *api) getSites(ctx context.Context, x *exchange) error {
	body := sitesBody{List: a.site.Roster().Version, Change: siteChangeBodyOf(a.site.SiteChange(ctx)), Sites: []siteBody{}}
	for _, s := range a.site.Sites(ctx) {
		b := siteBody{
			Site: uint16(s.Site), Name: s.Name, HTTP: s.HTTP, Self: s.Self, Reachable: s.Reachable, Ready: s.Ready,
			RoundTrip: milliseconds(s.RoundTrip), LastHeard: momentText(s.LastHeard), Version: s.Version, Leads: []uint16{},
			DigestOK: s.DigestOK, DiskFree: s.DiskFree, DiskFull: s.DiskFull, DiskWrite: milliseconds(s.DiskWrite), DiskSick: s.DiskSick, Carriers: []carrierBody{}, City: s.City, Role: string(s.Role),
		}
		for _, id := range s.Leads {
			b.Leads = append(b.Leads, uint16(id))
		}
		for _, c := range s.Carriers {
			b.Carriers = append(b.Carriers, carrierBody{
				Address: c.Address, Connected: c.Connected, RoundTrip: milliseconds(c.RoundTrip), LastHeard: momentText(c.LastHeard),
				Stalled: c.Stalled, Loss: c.Loss,
			})
		}
		body.Sites = append(body.Sites, b)
	}
	return x.sendJSON(http.StatusOK, body)
}

type shardBody struct {
	Shard     uint16       `json:"shard"`
	Leader    uint16       `json:"leader" doc:"Site that leads; 0: none known just now"`
	Home      uint16       `json:"home" doc:"Site that leads when all is well, by the shard map"`
	Slots     []slotsBody  `json:"slots" doc:"Which owners are in the shard: the slot of an owner number is its digits 13 to 15"`
	Term      uint64       `json:"term"`
	Commit    uint64       `json:"commit" doc:"Last index known to be committed"`
	Applied   uint64       `json:"applied" doc:"Last index this replica has applied"`
	Digest    string       `json:"digest" doc:"Of the state at applied, 16 hexadecimal digits"`
	DigestOK  bool         `json:"digest_ok"`
	InService bool         `json:"in_service" doc:"false: this replica has taken itself out of service"`
	Reason    string       `json:"reason" doc:"Why it is out of service, or what it waits for"`
	Accounts  int          `json:"accounts"`
	Holds     int          `json:"holds" doc:"Open ones"`
	LogFirst  uint64       `json:"log_first"`
	LogLast   uint64       `json:"log_last"`
	Members   []memberBody `json:"members"`
}

type slotsBody struct {
	From uint16 `json:"from"`
	To   uint16 `json:"to" doc:"Included"`
}

type memberBody struct {
	Site    uint16 `json:"site"`
	Replica string `json:"replica" doc:"Identity of its disk, 16 hexadecimal digits"`
	Learner bool   `json:"learner" doc:"Receives the log and has no vote"`
	Match   uint64 `json:"match" doc:"Last index on its disk; known to the leader only"`
	Lag     uint64 `json:"lag" doc:"Entries that are not on its disk; known to the leader only"`
}

type shardsBody struct {
	Map    uint64         `json:"map_version" doc:"Of the shard map as this site knows it; 0: it was never changed"`
	Shards []shardBody    `json:"shards"`
	Moves  []slotMoveBody `json:"moves" doc:"Slots that are on their way to another shard"`
	Splits []splitBody    `json:"splits" doc:"Splits of shards that were ordered, those that are over too"`
}

func (a *api) getShards(ctx context.Context, x *exchange) error {
	body := shardsBody{Map: a.site.ShardMapVersion(), Shards: []shardBody{}, Moves: a.moves(ctx), Splits: a.splits(ctx)}
	for _, s := range a.site.Shards(ctx) {
		b := shardBody{
			Shard: uint16(s.Shard), Leader: uint16(s.Leader), Term: s.Term, Commit: s.Commit, Applied: s.Applied, Digest: hex16(s.Digest),
			DigestOK: s.DigestOK, InService: s.InService, Reason: s.Reason, Accounts: s.Accounts, Holds: s.Holds,
			LogFirst: s.LogFirst, LogLast: s.LogLast, Members: []memberBody{}, Home: uint16(s.Home), Slots: []slotsBody{},
		}
		for _, r := range s.Slots {
			b.Slots = append(b.Slots, slotsBody{uint16(r.From), uint16(r.To)})
		}
		for _, m := range s.Members {
			b.Members = append(b.Members, memberBody{uint16(m.Site), hex16(m.Replica), m.Learner, m.Match, m.Lag})
		}
		body.Shards = append(body.Shards, b)
	}
	return x.sendJSON(http.StatusOK, body)
}

type leaderBody struct {
	Site uint16 `json:"site" doc:"Number of the site that is to lead"`
}

type handedOverBody struct {
	Shard  uint16 `json:"shard"`
	Leader uint16 `json:"leader"`
}

// pathShard is the shard that the path names.
func (x *exchange) pathShard() (holdfast.ShardID, error) {
	id, err := strconv.ParseUint(x.r.PathValue("id"), 10, 16)
	if err != nil {
		return 0, edgeMalformed.field("id", "a shard is a number from 1: see /v1/shards")
	}
	return holdfast.ShardID(id), nil
}

var leaderMembers = []string{"site"}

// postLeader hands a shard over and answers when the other site leads.
func (a *api) postLeader(ctx context.Context, x *exchange) error {
	id, err := x.pathShard()
	if err != nil {
		return err
	}
	var to holdfast.SiteID
	err = x.object(leaderMembers, func(s *scanner, _ string) { to = holdfast.SiteID(s.integer(1, math.MaxUint16)) })
	if err != nil {
		return err
	}
	if to == 0 {
		return edgeMalformed.field("site", "name the site that is to lead: {\"site\":2}")
	}
	if err := a.site.MoveLeader(ctx, id, to); err != nil {
		return notNow(err)
	}
	return x.sendJSON(http.StatusOK, handedOverBody{uint16(id), uint16(to)})
}

type rebuildBody struct {
	Force bool `json:"force,omitempty" doc:"Ask nobody whether others hold the data"`
}

type rebuiltBody struct {
	Shard uint16 `json:"shard"`
	Wiped bool   `json:"wiped" doc:"The replica has forgotten all it had, and joins again under a new identity"`
}

var rebuildMembers = []string{"force"}

// postRebuild wipes the replica here, and answers when it has forgotten; /v1/shards shows how it comes back.
func (a *api) postRebuild(ctx context.Context, x *exchange) error {
	id, err := x.pathShard()
	if err != nil {
		return err
	}
	force := false
	if err := x.object(rebuildMembers, func(s *scanner, _ string) { force = s.boolean() }); err != nil {
		return err
	}
	if err := a.site.Rebuild(ctx, id, force); err != nil {
		return notNow(err)
	}
	return x.sendJSON(http.StatusOK, rebuiltBody{uint16(id), true})
}

type trustedBody struct {
	Shard   uint16 `json:"shard"`
	Trusted bool   `json:"trusted" doc:"The replica takes its own state for the right one, until it is wiped"`
}

// postTrust ends the doubt of the replica here by decision.
func (a *api) postTrust(ctx context.Context, x *exchange) error {
	id, err := x.pathShard()
	if err != nil {
		return err
	}
	if err := x.object(nil, func(*scanner, string) {}); err != nil { // there are none
		return err
	}
	if err := a.site.Trust(ctx, id); err != nil {
		return notNow(err)
	}
	return x.sendJSON(http.StatusOK, trustedBody{uint16(id), true})
}

// notNow tells the operator why something was not done, or that it may have been; the error's own text is for operators.
func notNow(err error) error {
	p := edgeNotNow.problem(err.Error())
	switch {
	case errors.Is(err, site.ErrUnknown), errors.Is(err, shard.ErrLost), errors.Is(err, context.DeadlineExceeded):
		p = notKnown(err)
	case errors.Is(err, shard.ErrNoShard):
		p = edgeNotFound.problem(err.Error())
	}
	p.cause = err
	return p
}

// notKnown is the problem of an operator's order that may have been carried out, or be carried out yet.
func notKnown(err error) *Problem {
	p := problemOfCode(holdfast.CodeUnknown)
	p.Outcome, p.Detail = holdfast.Unknown.String(), "It may have been done, or be done yet: look at /v1/shards and /v1/sites, or ask again. "+err.Error()
	return p
}

type auditBody struct {
	Site     uint16           `json:"site"`
	At       string           `json:"at" format:"date-time"`
	OK       bool             `json:"ok" doc:"The verdict"`
	Balanced bool             `json:"balanced" doc:"In every shard debits equal credits per asset, and a recount agrees with the running sums"`
	Agree    bool             `json:"agree" doc:"Every replica that was compared has the same digest at the same index"`
	Compared int              `json:"compared" doc:"How many digests of other sites were compared"`
	Shards   []shardAuditBody `json:"shards"`
	Transit  []transitBody    `json:"transit" doc:"What went from one shard to another"`
	Problems []string         `json:"problems" doc:"In words; empty when all is well"`
}

type shardAuditBody struct {
	Shard    uint16       `json:"shard"`
	Index    uint64       `json:"index" doc:"Log index up to which the books were checked"`
	Time     string       `json:"time" format:"date-time"`
	Digest   string       `json:"digest"`
	Accounts int          `json:"accounts"`
	Holds    int          `json:"holds"`
	Assets   []assetBody  `json:"assets" doc:"Trial balance: debits equal credits"`
	Digests  []digestBody `json:"digests" doc:"What the other sites have"`
}

type transitBody struct {
	Home   uint16   `json:"home" doc:"Shard of the payers"`
	Away   uint16   `json:"away" doc:"Shard of the payees; 0: several, see among"`
	Among  []uint16 `json:"among,omitempty" doc:"Shards between which slots have moved: what was sent to one of them may have landed in another, so they are compared together"`
	Asset  string   `json:"asset"`
	Sent   int64    `json:"sent" doc:"For good"`
	Held   int64    `json:"held" doc:"Under way, or for a hold that is open"`
	Landed int64    `json:"landed" doc:"At the payees; between sent, and sent and held"`
}

type assetBody struct {
	Asset          string `json:"asset" example:"CNY"`
	DebitsPosted   int64  `json:"debits_posted"`
	CreditsPosted  int64  `json:"credits_posted"`
	DebitsPending  int64  `json:"debits_pending"`
	CreditsPending int64  `json:"credits_pending"`
	Accounts       int    `json:"accounts"`
}

type digestBody struct {
	Site   uint16 `json:"site"`
	Index  uint64 `json:"index"`
	Digest string `json:"digest"`
	Ours   string `json:"ours"`
	Error  string `json:"error" doc:"Why there is no answer"`
}

func (a *api) getAudit(ctx context.Context, x *exchange) error {
	audit, err := a.site.Audit(ctx)
	if err != nil {
		return a.unanswered(err)
	}
	body := auditBody{
		Site: uint16(audit.Site), At: momentText(audit.At), OK: audit.OK(), Balanced: audit.Balanced, Agree: audit.Agree,
		Compared: audit.Compared, Shards: []shardAuditBody{}, Transit: []transitBody{}, Problems: append([]string{}, audit.Problems...),
	}
	for i := range audit.Shards {
		body.Shards = append(body.Shards, shardAuditBodyOf(&audit.Shards[i]))
	}
	for _, t := range audit.Transit {
		body.Transit = append(body.Transit, transitBody{
			uint16(t.Home), uint16(t.Away), numbers(t.Among), t.Asset.String(), int64(t.Sent), int64(t.Held), int64(t.Landed),
		})
	}
	return x.sendJSON(http.StatusOK, body)
}

func shardAuditBodyOf(s *site.ShardAudit) shardAuditBody {
	b := shardAuditBody{
		Shard: uint16(s.Shard), Index: s.Index, Time: s.Time.String(), Digest: hex16(s.Digest), Accounts: s.Accounts, Holds: s.Holds,
		Assets: []assetBody{}, Digests: []digestBody{},
	}
	for _, t := range s.Assets {
		b.Assets = append(b.Assets, assetBody{
			t.Asset.String(), int64(t.DebitsPosted), int64(t.CreditsPosted), int64(t.DebitsPending), int64(t.CreditsPending), t.Accounts,
		})
	}
	for _, d := range s.Digests {
		b.Digests = append(b.Digests, digestBody{uint16(d.Site), d.Index, hex16(d.Digest), hex16(d.Ours), d.Error})
	}
	return b
}

type aliveBody struct {
	OK bool `json:"ok"`
}

func (a *api) getLive(_ context.Context, x *exchange) error {
	return x.sendJSON(http.StatusOK, aliveBody{true})
}

func (a *api) getReady(_ context.Context, x *exchange) error {
	if err := a.site.Ready(); err != nil {
		return edgeNotReady.problem("Not ready: " + err.Error())
	}
	return x.sendJSON(http.StatusOK, aliveBody{true})
}

// getMetrics is open to this machine, and to whoever has a key. A proxy on this machine must not pass /metrics on.
func (a *api) getMetrics(_ context.Context, x *exchange) error {
	if !fromThisMachine(x.r) {
		who, err := a.principal(x.r)
		if err != nil {
			return err
		}
		if err := guard.Authorise(who, guard.ReadFleet); err != nil {
			return err
		}
	}
	x.status = http.StatusOK
	promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}).ServeHTTP(x.w, x.r)
	return nil
}

// fromThisMachine reports whether the request came over the loopback interface, and not on behalf of somebody else.
func fromThisMachine(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && peer.Addr().Unmap().IsLoopback() && r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("Forwarded") == ""
}

func hex16(n uint64) string { return fmt.Sprintf("%016x", n) }

func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Millisecond)*1000) / 1000
}

// momentText is "" for no moment.
func momentText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
