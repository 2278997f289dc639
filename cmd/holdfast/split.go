package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"holdfast"
	"holdfast/client"
)

// splitOrder is an order to split a shard.
type splitOrder struct {
	planned
	shard  holdfast.ShardID
	q      client.SplitRequest
	slots  string
	cancel bool
}

func newShardSplit() *cobra.Command {
	var o splitOrder
	cmd := &cobra.Command{
		Use:   "split SHARD",
		Short: "Show what splitting a shard in two would do; with --apply, split it",
		Long: `Show what splitting a shard in two would do; with --apply, split it, while payments go on.

A further shard is born, led from another site, and about half of what the owners of SHARD do goes to it, slot by slot: a slot is
the digits 13 to 15 of an owner number, and has all owners of these digits, with their accounts and open holds. The plan chooses
slots that lie side by side, by what was measured in the last seconds; --slots names others.

Without --apply nothing changes. The plan says which shard would be born and where it would be led, which slots would go with how
many accounts, holds and transactions a second, what each site would lead, which sites may be lost before, meanwhile and after,
how long everything would take, and about how long the owners of a slot would wait. With --apply, the id of the plan and its
slots the split is ordered, unless the shard map has changed since; then the fleet carries it out by itself, whatever fails
meanwhile. No request fails; whoever asks for a slot that is shut for some round trips waits.

--cancel gives the split of SHARD up that is under way. As long as not every site has made room for the new shard, nothing is left of it;
later that shard is born, and the slots stay whose moves are not decided. Those that have come to it can be moved back:
holdfast shard move.

The API key is read from the environment: HOLDFAST_KEY. It has to be an operator's.`,
		Example: "  holdfast shard split 1\n  holdfast shard split 1 --slots 700-999 --json -\n" +
			"  holdfast shard split 1 --slots 500-999 --apply 1f2e3d4c5b6a --wait 10m\n  holdfast shard split 1 --cancel --wait 10m",
		Args: one("number of a shard"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := badUsage(cmd, o.read(args[0])); err != nil {
				return err
			}
			return o.run(cmd)
		},
	}
	o.flags(cmd, ", as with --cancel, and show how far it is")
	cmd.Flags().StringVar(&o.slots, "slots", "", "`SLOTS` that go to the new shard, like 500-665: without --apply, instead of those that the plan would choose; with it, those of the plan")
	cmd.Flags().Uint16Var((*uint16)(&o.q.Home), "home", 0, "`SITE` where the new shard is at home, instead of the one that the plan would choose")
	cmd.Flags().BoolVar(&o.cancel, "cancel", false, "give the split of this shard up that is under way")
	return cmd
}

// read checks what was asked for.
func (o *splitOrder) read(shard string) error {
	n, err := strconv.ParseUint(shard, 10, 16)
	switch {
	case err != nil || n == 0:
		return fmt.Errorf("%q is no number of a shard: they begin with 1, and holdfast status shows them", shard)
	case o.cancel && (o.apply != "" || o.slots != "" || o.q.Home != 0):
		return errors.New("--cancel gives a split up that is under way: it goes with no other flag but --wait")
	case o.apply != "" && o.slots == "":
		return errors.New("name the slots that the plan has shown: --slots, as the plan says it in its last line")
	case o.wait != 0 && o.apply == "" && !o.cancel:
		return errors.New("there is nothing to wait for: --wait goes with --apply or --cancel")
	}
	o.shard = holdfast.ShardID(n)
	if o.slots != "" {
		o.q.Slots, err = readSlots(o.slots)
	}
	return err
}

func (o *splitOrder) run(cmd *cobra.Command) error {
	c, err := o.client()
	if err != nil {
		return err
	}
	defer c.Close()
	switch {
	case o.cancel:
		return o.giveUp(cmd, c)
	case o.apply != "":
		return o.order(cmd, c)
	}
	plan := func(ctx context.Context, c *client.Client) (client.SplitPlan, error) {
		return c.PlanSplit(ctx, o.shard, o.q)
	}
	return showPlan(cmd, &o.planned, c, fmt.Sprintf("split shard %d", o.shard), plan, o.tell)
}

// tell shows a plan.
func (o *splitOrder) tell(w io.Writer, p *client.SplitPlan) {
	fmt.Fprintf(w, "PLAN %s, for version %d of the shard map: shard %d is born, at home at %s, voted for by sites %v\n",
		p.Plan, p.Map, p.To, cmp.Or(p.HomeName, fmt.Sprint("site ", p.Home)), p.Founders)
	fmt.Fprintf(w, "slots %s go to it from shard %d: %d accounts with %d open holds, %.0f %% of what the owners of that shard do\n\n",
		inWords(p.Slots), p.From, p.Accounts, p.Holds, 100*p.Share)
	tellShards(w, p.Shards)
	fmt.Fprintln(w, "\nSITE              HOMES    LEADS NOW  WOULD LEAD  MEASURED AT MOST   (transactions a second)")
	for _, l := range p.Loads {
		fmt.Fprintf(w, "%-16s  %5d  %11.0f %11.0f  %16.0f\n", l.Name, l.Homes, l.Now, l.After, l.Peak)
	}
	tellNeeds(w, &p.SlotPlan)
	fmt.Fprintf(w, "\nThe birth takes about %v, everything about %v; payments go on. The owners of each slot wait once, about %.0f ms, at worst %.0f ms; no request fails.\n",
		inMilliseconds(p.Birth), inMilliseconds(p.Takes).Round(time.Second/10), p.Pause, p.Worst)
	for _, note := range p.Notes {
		fmt.Fprintln(w, "\nNOTE:", note+".")
	}
	fmt.Fprintf(w, "\nNothing has been changed. To go on: holdfast shard split %d --slots %s%s --apply %s\n", p.From, inWords(p.Slots), o.homeFlag(), p.Plan)
}

func (o *splitOrder) homeFlag() string {
	if o.q.Home == 0 {
		return ""
	}
	return fmt.Sprint(" --home ", o.q.Home)
}

// order applies a plan, and waits for its end if that was wanted.
func (o *splitOrder) order(cmd *cobra.Command, c *client.Client) error {
	if err := c.ApplySplit(cmd.Context(), o.shard, o.q, o.apply); err != nil {
		return fmt.Errorf("split shard %d, plan %s: %w", o.shard, o.apply, err)
	}
	fmt.Fprintf(words(cmd, o.file), "Plan %s is ordered; the fleet carries it out. holdfast status shows how far it is.\n", o.apply)
	return o.await(cmd, c, client.ShardSplit{Plan: o.apply, From: o.shard})
}

// giveUp cancels the split that is under way.
func (o *splitOrder) giveUp(cmd *cobra.Command, c *client.Client) error {
	s, err := c.CancelSplit(cmd.Context(), o.shard)
	if err != nil {
		return fmt.Errorf("give up the split of shard %d: %w", o.shard, err)
	}
	fmt.Fprintf(words(cmd, o.file), "The split of shard %d, plan %s, is being given up: slots whose moves are not decided stay. holdfast status shows it.\n", o.shard, s.Plan)
	return o.await(cmd, c, s)
}

// await watches a split until it is over or the time is, and says what has come of it.
func (o *splitOrder) await(cmd *cobra.Command, c *client.Client, s client.ShardSplit) error {
	if o.wait > 0 {
		var err error
		if s, err = o.awaitEnd(cmd.Context(), cmd.ErrOrStderr(), c, s); err != nil {
			return err
		}
	}
	w := words(cmd, o.file)
	switch {
	case s.State == "done" && s.Moved == s.Of:
		fmt.Fprintf(w, "It is done: slots %s are in shard %d.\n", inWords(s.Slots), s.To)
	case s.Over():
		fmt.Fprintf(w, "It is over: %d of %d slots are in shard %d, and the others in shard %d.\n", s.Moved, s.Of, s.To, s.From)
	}
	good := o.wait == 0 || s.State == "done" && s.Moved == s.Of || o.cancel && s.Over()
	return verdict(cmd, o.file, s, good)
}

// awaitEnd watches a split until it is over or the time is.
func (o *splitOrder) awaitEnd(ctx context.Context, w io.Writer, c *client.Client, s client.ShardSplit) (client.ShardSplit, error) {
	told := ""
	_, err := o.watch(ctx, func() (over bool) {
		if m, err := c.ShardMap(ctx); err == nil { // a site that is busy with an election is asked again
			if i := slices.IndexFunc(m.Splits, func(x client.ShardSplit) bool { return x.Plan == s.Plan }); i >= 0 {
				s = m.Splits[i]
			}
		}
		if text := splitInWords(&s); !s.Over() && text != told && s.To != 0 {
			told = text
			fmt.Fprint(w, text)
		}
		return s.Over()
	})
	return s, err
}

var splitWords = map[string]string{"birth": "the new shard is being born", "moves": "its slots move", "stays": "it is being given up"}

// splitInWords tells how far a split is, in a line.
func splitInWords(s *client.ShardSplit) string {
	text := fmt.Sprintf("shard %d, slots %s to shard %d, plan %s: %s, %d of %d slots have come",
		s.From, inWords(s.Slots), s.To, s.Plan, cmp.Or(splitWords[s.State], s.State), s.Moved, s.Of)
	if s.Doing != "" && s.State != "moves" {
		text += "; " + s.Doing
	}
	return text + "\n"
}
