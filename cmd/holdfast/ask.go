package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"holdfast"
	"holdfast/client"
)

// target is how a command reaches a running fleet.
type target struct {
	site string
	file string // of --json
}

const (
	localSite    = "http://127.0.0.1:8080"
	keyVariable  = "HOLDFAST_KEY"
	siteVariable = "HOLDFAST_SITE"
)

func (t *target) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.site, "site", cmp.Or(os.Getenv(siteVariable), localSite),
		"`URL` of the API of any site; several, separated by commas: the next is asked when one does not answer. "+siteVariable+" changes the default")
	jsonFlag(cmd, &t.file)
}

// client makes a client with the key of the environment: a key on the command line would be seen by every user of the machine.
func (t *target) client() (*client.Client, error) {
	key := os.Getenv(keyVariable)
	if key == "" {
		return nil, fmt.Errorf("set %s to an API key: holdfast serve printed one when it first started, and holdfast key makes others", keyVariable)
	}
	return client.New(client.Config{Sites: strings.Split(t.site, ","), Key: key, Timeout: 10 * time.Second, Hasty: true})
}

func newStatus() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the sites of a running fleet, who leads, and how far each replica is",
		Long: `Show the sites of a running fleet as one of them sees it: who can be reached, who leads which shard, how far
each replica is; and what would happen now if a carrier, a cable, a site or two sites failed: which shards would move
or stop, and for how long. The exit status is 1 when a site with a vote cannot be reached, a shard has no leader, a replica has
taken itself out of service, the fleet would not survive some single loss, or what one shard has sent to another has
not landed there, or was not compared for too long.

The API key is read from the environment: HOLDFAST_KEY. Any role will do.`,
		Example: "  holdfast status\n  holdfast status --site http://127.0.0.1:8080 --json -",
		Args:    nothing,
		RunE:    func(cmd *cobra.Command, _ []string) error { return status(cmd, &t) },
	}
	t.flags(cmd)
	return cmd
}

type fleetStatus struct {
	OK       bool                `json:"ok"`
	Change   *client.SiteChange  `json:"site_change,omitempty"` // that is under way
	Map      uint64              `json:"map_version"`
	Moves    []client.SlotMove   `json:"slot_moves"`   // that are under way
	Splits   []client.ShardSplit `json:"shard_splits"` // likewise
	Sites    []client.Site       `json:"sites"`
	Shards   []client.Shard      `json:"shards"`
	Survival client.Survival     `json:"survival"`
	Banks    []client.Bank       `json:"banks,omitempty"`
}

func status(cmd *cobra.Command, t *target) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := askStatus(cmd.Context(), c)
	if err != nil {
		return err
	}
	w := words(cmd, t.file)
	names := map[holdfast.SiteID]string{}
	fmt.Fprintln(w, "SITE                 ROLE      STATE        ROUND TRIP   LEADS  VERSION")
	for i := range s.Sites {
		x := &s.Sites[i]
		names[x.Site] = x.Name
		fmt.Fprintf(w, "%-2d %-17s %-9s %-12s %8.1f ms  %5d  %s\n", x.Site, x.Name, x.Role, siteState(x), x.RoundTrip, len(x.Leads), x.Version)
	}
	fmt.Fprintln(w, "\nSHARD  LEADER             TERM       APPLIED       COMMIT  ACCOUNTS     HOLDS  DIGEST")
	for i := range s.Shards {
		x := &s.Shards[i]
		leader := names[x.Leader]
		if x.Leader == 0 {
			leader = "none"
		}
		fmt.Fprintf(w, "%5d  %-14s %8d %13d %12d %9d %9d  %s\n", x.Shard, leader, x.Term, x.Applied, x.Commit, x.Accounts, x.Holds, shardState(x))
	}
	s.tellSlots(w)
	tellChange(w, s.Change)
	s.tellSurvival(w, names)
	tellTransit(w, s.Survival.Transit, names)
	tellBanks(w, s.Banks)
	return verdict(cmd, t.file, s, s.OK)
}

// tellSlots shows which shard has which slots, where there are several, and which of them move.
func (s *fleetStatus) tellSlots(w io.Writer) {
	if len(s.Shards) > 1 {
		fmt.Fprintf(w, "\nSHARD  SLOTS (version %d of the shard map)\n", s.Map)
		for i := range s.Shards {
			fmt.Fprintf(w, "%5d  %s\n", s.Shards[i].Shard, cmp.Or(inWords(s.Shards[i].Slots), "none"))
		}
	}
	for i := range s.Splits {
		fmt.Fprintf(w, "\nSPLIT OF A SHARD under way: %s", splitInWords(&s.Splits[i]))
	}
	if len(s.Moves) > 0 {
		fmt.Fprintf(w, "\nMOVES OF SLOTS under way:\n%s", movesInWords(s.Moves))
	}
}

// tellSurvival shows what each loss would do.
func (s *fleetStatus) tellSurvival(w io.Writer, names map[holdfast.SiteID]string) {
	fmt.Fprintln(w, "\nIF THIS FAILED NOW                  SHARDS THAT MOVE   PAUSE       WHAT WOULD BREAK")
	for i := range s.Survival.Losses {
		x := &s.Survival.Losses[i]
		pause := "none"
		if len(x.Moves) > 0 {
			pause = fmt.Sprintf("%.0f ms", x.Pause)
		}
		fmt.Fprintf(w, "%-35s %16d   %-10s  %s\n", x.Name(names), len(x.Moves), pause, cmp.Or(x.Breaks, "nothing"))
	}
	switch {
	case len(s.Sites) == 1:
		fmt.Fprintln(w, "\nThis is a fleet of one site: what it has stored survives a crash, and nothing else takes over.")
	case s.Survival.Survives:
		fmt.Fprintln(w, "\nThe fleet would survive any single loss of a carrier, a cable or a site.")
	default:
		fmt.Fprintf(w, "\nFRAGILE: %s.\n", s.Survival.Weakest)
	}
}

// tellTransit shows whether the payments between shards fit. It is the site that was asked which says when they were compared.
func tellTransit(w io.Writer, t *client.TransitCheck, names map[holdfast.SiteID]string) {
	moment := func(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }
	if t == nil {
		return
	}
	if t.Differs != "" {
		fmt.Fprintf(w, "\nPAYMENTS BETWEEN SHARDS DO NOT FIT, since %s: %s.\nWhat to do: holdfast audit, and docs/runbooks/transit-differs.md\n",
			moment(t.Since), t.Differs)
	}
	switch {
	case t.Overdue && t.Compared.IsZero():
		fmt.Fprintln(w, "\nPAYMENTS BETWEEN SHARDS WERE NOT COMPARED since this site started.", t.Trouble)
	case t.Overdue:
		fmt.Fprintf(w, "\nPAYMENTS BETWEEN SHARDS WERE NOT COMPARED since %s. %s\n", moment(t.Compared), t.Trouble)
	case t.Compared.IsZero():
		fmt.Fprintln(w, "\nPayments between shards were not compared yet: the site has just started.")
	case t.Differs == "":
		fmt.Fprintf(w, "\nPayments between shards fit: compared %s, by %s.\n", moment(t.Compared), cmp.Or(names[t.Site], fmt.Sprintf("site %d", t.Site)))
	}
}

// tellBanks shows how the work with the banks is doing. A bank that is down is no fault of the fleet: it does not change the verdict.
func tellBanks(w io.Writer, list []client.Bank) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(w, "\nBANK             WAITING  UNKNOWN  ACCEPTED  DOUBTFUL  ANSWERS")
	trouble := false
	for i := range list {
		b := &list[i]
		answers := "yes"
		switch {
		case b.Said.IsZero():
			answers = "nobody speaks with it yet"
		case b.Down:
			answers = "not since " + b.DownSince.UTC().Format("2006-01-02 15:04:05 UTC")
		}
		trouble = trouble || answers != "yes" || b.Doubtful > 0
		fmt.Fprintf(w, "%-15s %8d %8d %9d %9d  %s\n", b.Bank, b.Waiting, b.Unknown, b.Accepted, b.Doubtful, answers)
	}
	if trouble {
		fmt.Fprintln(w, "What to do: docs/runbooks/banks.md")
	}
}

// askStatus asks four questions, and ends with the first that has no answer: the others would have none either, and each waits as long.
func askStatus(ctx context.Context, c *client.Client) (s fleetStatus, err error) {
	fleet, err := c.Fleet(ctx)
	if err != nil {
		return s, fmt.Errorf("ask the fleet for its sites: %w", err)
	}
	s.Sites, s.Change = fleet.Sites, fleet.Change
	shards, err := c.ShardMap(ctx)
	if err != nil {
		return s, fmt.Errorf("ask the fleet for its shards: %w", err)
	}
	s.Shards, s.Moves, s.Map = shards.Shards, shards.Moves, shards.Version
	s.Splits = slices.DeleteFunc(shards.Splits, func(x client.ShardSplit) bool { return x.Over() })
	if s.Survival, err = c.Survival(ctx); err != nil {
		return s, fmt.Errorf("ask the fleet what it would survive: %w", err)
	}
	if s.Banks, err = c.Banks(ctx); err != nil {
		if _, refused := errors.AsType[*client.Error](err); !refused { // one that does not know the question, or cannot say just now, can be asked for the rest
			return s, fmt.Errorf("ask the fleet for its banks: %w", err)
		}
	}
	s.OK = (s.Survival.Survives || len(s.Sites) == 1) && s.Survival.Transit.Well()
	for i := range s.Sites {
		x := &s.Sites[i]
		s.OK = s.OK && (x.Reachable || x.Role == "learner") && x.DigestOK
	}
	for i := range s.Shards {
		s.OK = s.OK && s.Shards[i].Leader != 0 && s.Shards[i].InService
	}
	return s, nil
}

func siteState(s *client.Site) string {
	switch {
	case !s.Reachable:
		return "unreachable"
	case !s.DigestOK:
		return "DIFFERS"
	case s.DiskFull:
		return "disk full"
	case !s.Ready:
		return "not ready"
	case s.Self:
		return "here"
	}
	return "ready"
}

func shardState(s *client.Shard) string {
	if !s.InService {
		return "OUT OF SERVICE: " + s.Reason
	}
	if s.Reason != "" {
		return s.Reason
	}
	return s.Digest
}

func newAudit() *cobra.Command {
	var t target
	var books bool
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Have a running site recount its books, compare its replicas with the others, and its accounts with their documents",
		Long: `Have a site recount its books: in every shard, debits must equal credits in every asset, a recount over all
accounts must give the running sums, and the digest of the state must be that of the other sites at the same
index. The exit status is 1 when any of this is not so, and when there are other sites but not one digest could be
compared.

Where people pay, every account of every customer and merchant must hold what his trades, refunds, receipts, payouts and
authorisations come to, as this site knows them: the exit status is 1 when one does not, or could not be audited. That is
done while payments go on, with rests between, and takes a quarter of an hour for a million customers; --books leaves it out.

The API key is read from the environment: HOLDFAST_KEY. It has to be that of an operator; with --books any role will do.`,
		Example: "  holdfast audit\n  holdfast audit --books --site http://127.0.0.1:8080 --json -",
		Args:    nothing,
		RunE:    func(cmd *cobra.Command, _ []string) error { return audit(cmd, &t, !books) },
	}
	t.flags(cmd)
	cmd.Flags().BoolVar(&books, "books", false, "audit the books and the replicas only, and not who has what by which document")
	return cmd
}

// auditResult is what the whole audit found.
type auditResult struct {
	client.Audit
	Payments *client.PaymentAudit `json:"payments,omitempty"` // nil: they were not audited, or there are none
}

func audit(cmd *cobra.Command, t *target, payments bool) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	defer c.Close()
	a, err := c.Audit(cmd.Context())
	if err != nil {
		return fmt.Errorf("ask for the audit: %w", err)
	}
	if a.Compared == 0 {
		sites, err := c.Sites(cmd.Context())
		if err != nil {
			return fmt.Errorf("ask how many sites there are: %w", err)
		}
		unproved(&a, len(sites))
	}
	w := words(cmd, t.file)
	printAudit(w, &a)
	r := auditResult{Audit: a}
	if payments {
		if r.Payments, err = auditPayments(cmd.Context(), w, c); err != nil {
			return err
		}
		r.judge()
	}
	return verdict(cmd, t.file, r, r.OK)
}

func printAudit(w io.Writer, a *client.Audit) {
	for i := range a.Shards {
		s := &a.Shards[i]
		fmt.Fprintf(w, "shard %d at index %d: %d accounts, %d open holds, digest %s, compared with %d other sites\n",
			s.Shard, s.Index, s.Accounts, s.Holds, s.Digest, len(s.Digests))
		for _, total := range s.Assets {
			fmt.Fprintf(w, "  %-6s debits %d, credits %d; held %d and %d\n",
				total.Asset, total.DebitsPosted, total.CreditsPosted, total.DebitsPending, total.CreditsPending)
		}
	}
	for _, t := range a.Transit {
		away := fmt.Sprintf("shard %d", t.Away)
		if len(t.Among) > 0 {
			away = fmt.Sprintf("shards %v", t.Among)
		}
		fmt.Fprintf(w, "shard %d to %s: %s sent %d, under way or held %d; landed %d\n", t.Home, away, t.Asset, t.Sent, t.Held, t.Landed)
	}
	for _, p := range a.Problems {
		fmt.Fprintln(w, "  PROBLEM:", p)
	}
	if a.OK {
		fmt.Fprintln(w, "The books balance, and the replicas that were compared agree.")
	}
}

// unproved fails an audit in which no replica was compared with another, in a fleet that has others.
func unproved(a *client.Audit, sites int) {
	if a.Compared > 0 || sites <= 1 || !a.OK {
		return
	}
	a.OK = false
	a.Problems = append(a.Problems, fmt.Sprintf("no digest of the other sites could be compared, and there are %d sites: "+
		"this proves nothing about the replicas; holdfast status tells who can be reached", sites))
}

// verdict writes the JSON and turns a check that has failed into the exit status.
func verdict(cmd *cobra.Command, file string, v any, ok bool) error {
	if err := writeJSON(cmd, file, v); err != nil {
		return err
	}
	if !ok {
		return errFailed
	}
	return nil
}
