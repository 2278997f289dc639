package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"holdfast"
	"holdfast/client"
)

func newSite() *cobra.Command {
	return group(
		"site", "Add, replace and retire sites of a running fleet, give them votes and take them: first a plan, then the order",
		`Add, replace and retire sites of a running fleet, give them votes and take them, while payments go on.

Without --apply these commands change nothing: they show step by step who would vote in each shard, how many of
the voters have to store a payment, which single losses of a site or a city the fleet would survive, how much there
is to copy and what each site would lead. The plan has an id. With --apply and that id the change is ordered, unless
anything has changed since; then the fleet carries it out by itself, whatever fails meanwhile, one shard after the other:
a replica copies the shard without a vote, and gets its vote when it has everything. No step leaves fewer voters than the
fleet has to keep. A site that was retired stays out until it is added again.`,
		newSiteList(), newSiteAdd(), newSiteReplace(), newSiteRetire(), newSitePromote(), newSiteDemote(),
	)
}

func newSiteList() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the list of sites, and how far a change of it is",
		Long: `Show the list of sites as it stands in the log of the first shard: where each is, what it is to be in every shard
(a voter, a learner without a vote, or leaving), and how far a change of the list is.

The API key is read from the environment: HOLDFAST_KEY. Any role will do.`,
		Example: "  holdfast site list\n  holdfast site list --site http://127.0.0.1:8080 --json -",
		Args:    nothing,
		RunE:    func(cmd *cobra.Command, _ []string) error { return siteList(cmd, &t) },
	}
	t.flags(cmd)
	return cmd
}

func siteList(cmd *cobra.Command, t *target) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	defer c.Close()
	f, err := c.Fleet(cmd.Context())
	if err != nil {
		return fmt.Errorf("ask for the list of sites: %w", err)
	}
	w := words(cmd, t.file)
	fmt.Fprintln(w, "SITE                 CITY              ROLE      STATE        HTTP")
	for i := range f.Sites {
		x := &f.Sites[i]
		fmt.Fprintf(w, "%-2d %-17s %-17s %-9s %-12s %s\n", x.Site, x.Name, cmp.Or(x.City, "-"), x.Role, siteState(x), x.HTTP)
	}
	fmt.Fprintf(w, "\nversion %d of the list of sites\n", f.List)
	tellChange(w, f.Change)
	return writeJSON(cmd, t.file, f)
}

// tellChange says how far a change of sites is.
func tellChange(w io.Writer, c *client.SiteChange) {
	if c == nil {
		return
	}
	what := fmt.Sprintf("%s site %d", c.Kind, c.Site)
	if c.Old != 0 {
		what = fmt.Sprintf("replace site %d by site %d", c.Old, c.Site)
	}
	fmt.Fprintf(w, "\nCHANGE OF SITES under way: %s, plan %s: %d of %d shards are done; %s\n",
		what, c.Plan, c.Done, c.Of, cmp.Or(c.Doing, "the site that drives it does not answer just now"))
}

// siteOrder is what the commands that change something have in common.
type siteOrder struct {
	planned
	q client.SiteRequest
}

func (o *siteOrder) flags(cmd *cobra.Command) {
	o.planned.flags(cmd, " of the change, and show how far it is")
}

// newcomer are the flags that describe the site that comes.
func (o *siteOrder) newcomer(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.q.Name, "name", "", "`NAME` of the site that comes, as in its configuration")
	cmd.Flags().StringVar(&o.q.City, "city", "", "`CITY` that it is in: sites of one city are expected to fail together once")
	cmd.Flags().StringVar(&o.q.HTTP, "http", "", "base `URL` of its API, for people and clients")
	cmd.Flags().StringArrayVar(&o.q.Addresses, "address", nil, "`HOST:PORT` where the other sites reach it; once for each carrier, in their order (\"\" for one it has not)")
}

// number reads the number of a site from an argument.
func (o *siteOrder) number(cmd *cobra.Command, text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return badUsage(cmd, fmt.Errorf("%q is no number of a site: they begin with 1", text))
	}
	o.q.Site = holdfast.SiteID(n)
	return nil
}

func newSiteAdd() *cobra.Command {
	o := siteOrder{q: client.SiteRequest{Kind: "add"}}
	cmd := &cobra.Command{
		Use:   "add NUMBER --name NAME --address HOST:PORT",
		Short: "Show what adding a site would do; with --apply, add it",
		Long: `Show what adding a site would do; with --apply, add it.

Start the site first: it needs a certificate of the fleet (holdfast cert site), a configuration with its own number, and a
[[peer]] section for at least one site of the fleet. It waits until it is added, and learns of the others from the one
it knows. Then it copies every shard, one after the other, and gets its vote in each when it has everything; as a learner
(--learner) it never gets one: no payment waits for it.

The API key is read from the environment: HOLDFAST_KEY. It has to be an operator's.`,
		Example: "  holdfast site add 4 --name beijing --city beijing --address 10.0.0.4:7001 --address 10.1.0.4:7001\n" +
			"  holdfast site add 4 --name beijing --city beijing --address 10.0.0.4:7001 --address 10.1.0.4:7001 --apply 1f2e3d4c5b6a --wait 10m",
		Args: one("number of a site"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.number(cmd, args[0]); err != nil {
				return err
			}
			return o.run(cmd)
		},
	}
	o.flags(cmd)
	o.newcomer(cmd)
	cmd.Flags().BoolVar(&o.q.Learner, "learner", false, "it holds a copy and has no vote")
	return cmd
}

func newSiteReplace() *cobra.Command {
	o := siteOrder{q: client.SiteRequest{Kind: "replace"}}
	old := uint16(0)
	cmd := &cobra.Command{
		Use:   "replace OLD --by NUMBER --name NAME --address HOST:PORT",
		Short: "Show what replacing a site by another would do; with --apply, do it",
		Long: `Show what replacing a site by another would do; with --apply, do it. The old one may be dead, with its disk.

Start the new site first, as for holdfast site add: it has a number of its own. In every shard it copies what there is
and then takes the vote of the old one over in one change, so that there are never more or fewer voters than before.

A site whose disk was replaced, and which starts again under its old number, needs no order: it comes back by itself.

The API key is read from the environment: HOLDFAST_KEY. It has to be an operator's.`,
		Example: "  holdfast site replace 3 --by 6 --name xian --city xian --address 10.0.0.6:7001\n" +
			"  holdfast site replace 3 --by 6 --name xian --city xian --address 10.0.0.6:7001 --apply 1f2e3d4c5b6a",
		Args: one("number of the site that goes"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.number(cmd, args[0]); err != nil {
				return err
			}
			o.q.Old, o.q.Site = o.q.Site, holdfast.SiteID(old)
			if old == 0 {
				return badUsage(cmd, errors.New("name the site that comes: --by NUMBER"))
			}
			return o.run(cmd)
		},
	}
	o.flags(cmd)
	o.newcomer(cmd)
	cmd.Flags().Uint16Var(&old, "by", 0, "`NUMBER` of the site that comes")
	return cmd
}

func newSiteRetire() *cobra.Command {
	o := siteOrder{q: client.SiteRequest{Kind: "retire"}}
	cmd := &cobra.Command{
		Use:   "retire NUMBER",
		Short: "Show what taking a site out for good would do; with --apply, take it out",
		Long: `Show what taking a site out for good would do; with --apply, take it out. It may run or be dead.

It hands over what it leads and is taken out of every shard, one after the other. That is refused when too few voters
would be left: a fleet of three keeps three, add or replace one first. Afterwards stop its process, and take it out of the
configuration of the others when that is convenient. Retiring a site that is just being added gives the addition up.

The API key is read from the environment: HOLDFAST_KEY. It has to be an operator's.`,
		Example: "  holdfast site retire 3\n  holdfast site retire 3 --apply 1f2e3d4c5b6a --wait 10m",
		Args:    one("number of a site"),
		RunE:    o.ofOne,
	}
	o.flags(cmd)
	return cmd
}

// ofOne runs a command that needs no more than the number of a site that is on the list.
func (o *siteOrder) ofOne(cmd *cobra.Command, args []string) error {
	if err := o.number(cmd, args[0]); err != nil {
		return err
	}
	return o.run(cmd)
}

func newSitePromote() *cobra.Command {
	o := siteOrder{q: client.SiteRequest{Kind: "promote"}}
	cmd := &cobra.Command{
		Use:   "promote NUMBER",
		Short: "Show what giving a learner its vote would do; with --apply, give it",
		Long: `Show what giving a learner its vote would do; with --apply, give it, in one shard after the other.

A learner is a site that was added with --learner, or demoted. It has to have everything in every shard: a vote that lags
would hold payments up. Afterwards payments may wait for it and are saved by it, and it gets its share of the
leaders. When it dies in the midst, holdfast site demote or holdfast site retire gives the change up.

The API key is read from the environment: HOLDFAST_KEY. It has to be an operator's.`,
		Example: "  holdfast site promote 7\n  holdfast site promote 7 --apply 1f2e3d4c5b6a --wait 1m",
		Args:    one("number of a site"),
		RunE:    o.ofOne,
	}
	o.flags(cmd)
	return cmd
}

func newSiteDemote() *cobra.Command {
	o := siteOrder{q: client.SiteRequest{Kind: "demote"}}
	cmd := &cobra.Command{
		Use:   "demote NUMBER",
		Short: "Show what taking the vote of a site would do; with --apply, take it",
		Long: `Show what taking the vote of a site would do; with --apply, take it, in one shard after the other. The site keeps its copy as
a learner: nothing waits for it any more, and it saves no payment. It hands over what it leads first. It may run or be dead.

It is refused when too few voters would be left, as for holdfast site retire.

The API key is read from the environment: HOLDFAST_KEY. It has to be an operator's.`,
		Example: "  holdfast site demote 4\n  holdfast site demote 4 --apply 1f2e3d4c5b6a --wait 1m",
		Args:    one("number of a site"),
		RunE:    o.ofOne,
	}
	o.flags(cmd)
	return cmd
}

func (o *siteOrder) run(cmd *cobra.Command) error {
	c, err := o.client()
	if err != nil {
		return err
	}
	defer c.Close()
	if o.apply != "" {
		return o.order(cmd, c)
	}
	plan := func(ctx context.Context, c *client.Client) (client.SitePlan, error) { return c.PlanSites(ctx, o.q) }
	return showPlan(cmd, &o.planned, c, fmt.Sprintf("%s site %d", o.q.Kind, o.q.Site), plan, tellPlan)
}

// order applies a plan, and waits for its end if that was wanted.
func (o *siteOrder) order(cmd *cobra.Command, c *client.Client) error {
	ctx := cmd.Context()
	if err := c.ApplySites(ctx, o.q, o.apply); err != nil {
		return fmt.Errorf("%s site %d, plan %s: %w", o.q.Kind, o.q.Site, o.apply, err)
	}
	w := words(cmd, o.file)
	fmt.Fprintf(w, "Plan %s is ordered; the fleet carries it out. holdfast site list shows how far it is.\n", o.apply)
	f, over, err := o.await(ctx, cmd.ErrOrStderr(), c)
	if err != nil {
		return err
	}
	if over {
		fmt.Fprintln(w, "It is done: every shard is as the list of sites wants it.")
	}
	return verdict(cmd, o.file, f, over || o.wait == 0)
}

// await watches a change until it is over or the time is.
func (o *siteOrder) await(ctx context.Context, w io.Writer, c *client.Client) (f client.Fleet, over bool, err error) {
	told := ""
	over, err = o.watch(ctx, func() (over bool) {
		if now, err := c.Fleet(ctx); err == nil { // a site that is busy with an election is asked again
			f, over = now, now.Settled(o.q)
		}
		if !over && f.Change != nil && f.Change.Doing != told {
			told = f.Change.Doing
			fmt.Fprintf(w, "%d of %d shards; %s\n", f.Change.Done, f.Change.Of, told)
		}
		return over
	})
	return f, over, err
}

// tellPlan shows a plan.
func tellPlan(w io.Writer, p *client.SitePlan) {
	fmt.Fprintf(w, "PLAN %s, for version %d of the list of sites and version %d of the shard map\n\n", p.Plan, p.List, p.Map)
	fmt.Fprintln(w, "SHARD  STEP                                           VOTERS     MAJORITY  MAY BE LOST ALONE, MEANWHILE AND AFTER")
	line := func(shard, text string, during, after *client.Strength) {
		fmt.Fprintf(w, "%5s  %-45s  %-9s  %8s  %s\n", shard, text, votersOf(during, after), majorityOf(during, after), standing(during, after))
	}
	line("", "now", &p.Before, &p.Before)
	for i := range p.Steps {
		s := &p.Steps[i]
		line(fmt.Sprint(s.Shard), s.Text, &s.During, &s.After)
	}
	line("", "in the end", &p.After, &p.After)
	if p.Copy > 0 {
		fmt.Fprintf(w, "\nTo copy: about %s.\n", inBytes(p.Copy))
	}
	fmt.Fprintln(w, "\nSITE              HOMES    LEADS NOW  WOULD LEAD  MEASURED AT MOST  WOULD STORE   (transactions a second)")
	for _, l := range p.Loads {
		fmt.Fprintf(w, "%-16s  %5d  %11.0f %11.0f  %16.0f  %11.0f\n", l.Name, l.Homes, l.Now, l.After, l.Peak, l.Copies)
	}
	for _, note := range p.Notes {
		fmt.Fprintln(w, "\nNOTE:", note+".")
	}
	fmt.Fprintf(w, "\nNothing has been changed. To go on, give the same command with --apply %s\n", p.Plan)
}

// votersOf shows the voters after a step, and those who count as well while it lasts.
func votersOf(during, after *client.Strength) string {
	list := func(ids []holdfast.SiteID) string {
		var all []string
		for _, id := range ids {
			all = append(all, fmt.Sprint(id))
		}
		return strings.Join(all, " ")
	}
	if len(during.Outgoing) > 0 {
		return list(during.Outgoing) + " > " + list(during.Voters)
	}
	return list(after.Voters)
}

func majorityOf(during, after *client.Strength) string {
	if len(during.Outgoing) > 0 {
		return fmt.Sprintf("%d and %d", len(during.Outgoing)/2+1, during.Majority)
	}
	return fmt.Sprint(after.Majority)
}

// standing says what may be lost, and what may not.
func standing(during, after *client.Strength) string {
	text := func(s *client.Strength) string {
		if len(s.Stops) == 0 {
			return "any: " + strings.Join(s.Survives, ", ")
		}
		return cmp.Or(strings.Join(s.Survives, ", "), "none") + "; NOT " + strings.Join(s.Stops, ", ")
	}
	if d, a := text(during), text(after); d != a {
		return d + "  >  " + a
	}
	return text(after)
}

func inBytes(n uint64) string {
	const unit = 1 << 10
	if n < unit {
		return fmt.Sprintf("%d bytes", n)
	}
	x, i := float64(n)/unit, 0
	for names := 3; x >= unit && i < names; i++ {
		x /= unit
	}
	return fmt.Sprintf("%.1f %s", x, [...]string{"KiB", "MiB", "GiB", "TiB"}[i])
}

func newShard() *cobra.Command {
	return group(
		"shard", "Move owners between shards, split shards, and repair what a site holds of a shard",
		`Move owners between shards and split shards while payments go on: first a plan, then the order; and repair what a site holds of a shard.`,
		newShardMove(), newShardStay(), newShardSplit(), newShardRebuild(), newShardTrust(),
	)
}

func newShardRebuild() *cobra.Command {
	var t target
	force := false
	cmd := &cobra.Command{
		Use:   "rebuild SHARD --site URL",
		Short: "Wipe the replica of one site, so that it gets everything anew from the others",
		Long: `Wipe the replica of a shard at the one site that is asked, so that it joins again under a new identity and gets everything
from the others: for a replica that has taken itself out of service because it differs. One that is corrupt does so by
itself. The site asks the others first, and refuses when wiping could lose acknowledged payments, saying what is missing.

--force asks nobody: what only this disk holds is gone then. It is for the case that the data of the missing sites is gone
for good.

The API key is read from the environment: HOLDFAST_KEY. It has to be an operator's.`,
		Example: "  holdfast shard rebuild 1 --site http://10.0.0.2:8080",
		Args:    one("number of a shard"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := ownReplica(cmd, &t, args[0])
			if err != nil {
				return err
			}
			return rebuild(cmd, &t, id, force)
		},
	}
	t.flags(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "ask nobody whether others hold the data")
	return cmd
}

// ownReplica is the shard of an order that is for one site alone.
func ownReplica(cmd *cobra.Command, t *target, arg string) (holdfast.ShardID, error) {
	n, err := strconv.ParseUint(arg, 10, 16)
	if err != nil || n == 0 {
		return 0, badUsage(cmd, fmt.Errorf("%q is no number of a shard: they begin with 1", arg))
	}
	if strings.Contains(t.site, ",") {
		return 0, badUsage(cmd, errors.New("name one site: the order is for its own replica"))
	}
	return holdfast.ShardID(n), nil
}

func newShardTrust() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "trust SHARD --site URL",
		Short: "Decide that the state of one site's replica is right, when no majority can",
		Long: `Decide that the state of a shard's replica at the one site that is asked is the right one. It is for replicas that differ when
no majority of the voters has the same state, so that none of them serves: two voters, or sites that are gone for good. With
a majority the replicas decide by themselves.

The replica leads and answers again; those that differ stay out of service, and are then rebuilt, the first of them with --force.
The decision is stored: it holds when the site starts again. Nobody looks for what another replica has and this one has not: look
at the books of each before.

The API key is read from the environment: HOLDFAST_KEY. It has to be an operator's.`,
		Example: "  holdfast shard trust 1 --site http://10.0.0.1:8080",
		Args:    one("number of a shard"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := ownReplica(cmd, &t, args[0])
			if err != nil {
				return err
			}
			return trust(cmd, &t, id)
		},
	}
	t.flags(cmd)
	return cmd
}

func trust(cmd *cobra.Command, t *target, id holdfast.ShardID) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Trust(cmd.Context(), id); err != nil {
		return fmt.Errorf("trust shard %d at %s: %w", id, t.site, err)
	}
	fmt.Fprintf(words(cmd, t.file), "The replica of shard %d at %s takes its state for the right one: holdfast status shows whether it leads.\n", id, t.site)
	return writeJSON(cmd, t.file, map[string]any{"shard": id, "trusted": true})
}

func rebuild(cmd *cobra.Command, t *target, id holdfast.ShardID, force bool) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Rebuild(cmd.Context(), id, force); err != nil {
		return fmt.Errorf("rebuild shard %d at %s: %w", id, t.site, err)
	}
	fmt.Fprintf(words(cmd, t.file), "The replica of shard %d at %s has forgotten what it had, and joins again: holdfast status shows it.\n", id, t.site)
	return writeJSON(cmd, t.file, map[string]any{"shard": id, "wiped": true})
}
