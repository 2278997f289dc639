package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"holdfast"
	"holdfast/client"
)

// slotOrder is an order to move slots.
type slotOrder struct {
	planned
	q client.SlotRequest
}

func newShardMove() *cobra.Command {
	var o slotOrder
	cmd := &cobra.Command{
		Use:   "move SLOTS --to SHARD",
		Short: "Show what moving slots to another shard would do; with --apply, move them",
		Long: `Show what moving slots to another shard would do; with --apply, move them, while payments go on.

A slot is the digits 13 to 15 of an owner number: it has all owners of these digits, with their accounts and open holds. SLOTS is
a number from 0 to 999, a range like 300-349, or several of either, separated by commas; all have to be in one shard (holdfast status
shows where they are).

Without --apply nothing changes. The plan says how many accounts and holds would move, what each of the two shards has and leads
now and after, which sites may be lost before, meanwhile and after, and about how long the owners of a slot would wait. With
--apply and the id of the plan the moves are ordered, unless the shard map has changed since; then the fleet carries them out by
itself, whatever fails meanwhile. The slots move one after the other: accounts are copied while payments go on, then the slot is
shut for some round trips, then its owners go on in the other shard. No request fails; whoever asks for them meanwhile waits.

Until it is decided, holdfast shard stay gives a move up. A slot that has moved stays for some seconds (ten times timing.request, at least 15 s)
before it can move on.

The API key is read from the environment: HOLDFAST_KEY. It has to be an operator's.`,
		Example: "  holdfast shard move 300-349 --to 2\n  holdfast shard move 7,300-349 --to 2 --apply 1f2e3d4c5b6a --wait 10m",
		Args:    one("list of slots"),
		RunE: func(cmd *cobra.Command, args []string) error {
			slots, err := readSlots(args[0])
			if err != nil {
				return badUsage(cmd, err)
			}
			if o.q.Slots = slots; o.q.To == 0 {
				return badUsage(cmd, errors.New("name the shard where they are to be: --to SHARD"))
			}
			return o.run(cmd)
		},
	}
	o.flags(cmd, " of the moves, and show how far they are")
	cmd.Flags().Uint16Var((*uint16)(&o.q.To), "to", 0, "`SHARD` where the slots are to be")
	return cmd
}

func newShardStay() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "stay SLOTS",
		Short: "Give up moves of slots that are not decided yet",
		Long: `Give up moves of slots that are not decided yet: the slots stay in the shard where they are, and what was copied is put back.
Those that are not on their way are left alone; one that is decided goes on, and can be moved back when it has been there for some
seconds.

SLOTS is a number from 0 to 999, a range like 300-349, or several of either, separated by commas.

The API key is read from the environment: HOLDFAST_KEY. It has to be an operator's.`,
		Example: "  holdfast shard stay 300-349",
		Args:    one("list of slots"),
		RunE: func(cmd *cobra.Command, args []string) error {
			slots, err := readSlots(args[0])
			if err != nil {
				return badUsage(cmd, err)
			}
			return stay(cmd, &t, slots)
		},
	}
	t.flags(cmd)
	return cmd
}

// readSlots reads "7,300-349".
func readSlots(text string) (list []client.SlotRange, err error) {
	for part := range strings.SplitSeq(text, ",") {
		first, last, several := strings.Cut(strings.TrimSpace(part), "-")
		if !several {
			last = first
		}
		from, wrong := strconv.ParseUint(first, 10, 16)
		to, bad := strconv.ParseUint(last, 10, 16)
		if wrong != nil || bad != nil || from > to || to >= holdfast.Slots {
			return nil, fmt.Errorf("%q is no slot and no range of slots: they are 0 to %d, like 7 or 300-349", part, holdfast.Slots-1)
		}
		list = append(list, client.SlotRange{From: holdfast.Slot(from), To: holdfast.Slot(to)})
	}
	return list, nil
}

func inWords(ranges []client.SlotRange) string {
	all := make([]string, len(ranges))
	for i, r := range ranges {
		all[i] = r.String()
	}
	return strings.Join(all, ",")
}

func (o *slotOrder) run(cmd *cobra.Command) error {
	c, err := o.client()
	if err != nil {
		return err
	}
	defer c.Close()
	if o.apply != "" {
		return o.order(cmd, c)
	}
	plan := func(ctx context.Context, c *client.Client) (client.SlotPlan, error) { return c.PlanSlots(ctx, o.q) }
	return showPlan(cmd, &o.planned, c, fmt.Sprintf("move slots %s to shard %d", inWords(o.q.Slots), o.q.To), plan, o.tell)
}

// tell shows a plan.
func (o *slotOrder) tell(w io.Writer, p *client.SlotPlan) {
	fmt.Fprintf(w, "PLAN %s, for version %d of the shard map: slots %s go from shard %d to shard %d, %d accounts with %d open holds\n",
		p.Plan, p.Map, inWords(p.Slots), p.From, p.To, p.Accounts, p.Holds)
	fmt.Fprintln(w)
	tellShards(w, p.Shards)
	tellNeeds(w, p)
	fmt.Fprintf(w, "\nCopying takes about %v; payments go on. Then the owners of each slot wait once, about %.0f ms, at worst %.0f ms; no request fails.\n",
		inMilliseconds(p.Copying), p.Pause, p.Worst)
	for _, note := range p.Notes {
		fmt.Fprintln(w, "\nNOTE:", note+".")
	}
	fmt.Fprintf(w, "\nNothing has been changed. To go on, give the same command with --apply %s\n", p.Plan)
}

// tellShards shows what becomes of the two shards.
func tellShards(w io.Writer, shards []client.PlannedShard) {
	fmt.Fprintln(w, "SHARD  LED FROM               SLOTS             ACCOUNTS                HOLDS     TRANSACTIONS A SECOND")
	for _, s := range shards {
		fmt.Fprintf(w, "%5d  %-16s %4d > %-4d  %9d > %-9d  %8d > %-8d  %10.0f > %.0f\n", s.Shard, cmp.Or(s.LeaderName, "nobody"),
			s.Slots, s.SlotsAfter, s.Accounts, s.AccountsAfter, s.Holds, s.HoldsAfter, s.Rate, s.RateAfter)
	}
}

// tellNeeds shows what the owners need before, meanwhile and after.
func tellNeeds(w io.Writer, p *client.SlotPlan) {
	fmt.Fprintln(w, "\nTHESE OWNERS NEED A MAJORITY OF           WHICH IS   MAY BE LOST ALONE")
	need := func(what string, s *client.Strength) {
		fmt.Fprintf(w, "%-40s  %8d   %s\n", what, s.Majority, standing(s, s))
	}
	need(fmt.Sprintf("now: shard %d", p.From), &p.Before)
	need(fmt.Sprintf("while a slot moves: shards 1, %d and %d", p.From, p.To), &p.During)
	need(fmt.Sprintf("then: shard %d", p.To), &p.After)
}

func inMilliseconds(ms float64) time.Duration {
	return time.Duration(ms * float64(time.Millisecond)).Round(10 * time.Millisecond)
}

// order applies a plan, and waits for its end if that was wanted.
func (o *slotOrder) order(cmd *cobra.Command, c *client.Client) error {
	ctx := cmd.Context()
	if err := c.ApplySlots(ctx, o.q, o.apply); err != nil {
		return fmt.Errorf("move slots %s to shard %d, plan %s: %w", inWords(o.q.Slots), o.q.To, o.apply, err)
	}
	w := words(cmd, o.file)
	fmt.Fprintf(w, "Plan %s is ordered; the fleet carries it out. holdfast status shows how far it is.\n", o.apply)
	m, err := o.await(ctx, cmd.ErrOrStderr(), c)
	if err != nil {
		return err
	}
	there := o.there(&m)
	switch {
	case there:
		fmt.Fprintf(w, "It is done: slots %s are in shard %d.\n", inWords(o.q.Slots), o.q.To)
	case o.wait > 0 && !o.underWay(&m):
		fmt.Fprintln(w, "Some of these slots stay where they are: their moves were given up. The events of the site that leads their shard say why (slot-stuck).")
	}
	return verdict(cmd, o.file, m, there || o.wait == 0)
}

// await watches the moves until they are over or the time is.
func (o *slotOrder) await(ctx context.Context, w io.Writer, c *client.Client) (m client.ShardMap, err error) {
	told, gone := "", 0
	_, err = o.watch(ctx, func() (over bool) {
		now, err := c.ShardMap(ctx)
		if err != nil {
			return false // a site that is busy with an election is asked again
		}
		m = now
		if gone++; o.underWay(&m) {
			gone = 0
		}
		if o.there(&m) && gone > 0 || gone > 5 { // a site that was asked may not have heard of the order yet
			return true
		}
		if text := movesInWords(m.Moves); text != told {
			told = text
			fmt.Fprint(w, text)
		}
		return false
	})
	return m, err
}

// there reports whether all slots are where they were ordered to.
func (o *slotOrder) there(m *client.ShardMap) bool {
	i := slices.IndexFunc(m.Shards, func(s client.Shard) bool { return s.Shard == o.q.To })
	if i < 0 {
		return false
	}
	for _, r := range o.q.Slots {
		for slot := r.From; slot <= r.To; slot++ {
			if !slices.ContainsFunc(m.Shards[i].Slots, func(x client.SlotRange) bool { return x.From <= slot && slot <= x.To }) {
				return false
			}
		}
	}
	return true
}

// underWay reports whether one of the slots is on its way.
func (o *slotOrder) underWay(m *client.ShardMap) bool {
	return slices.ContainsFunc(m.Moves, func(x client.SlotMove) bool {
		return slices.ContainsFunc(o.q.Slots, func(r client.SlotRange) bool { return r.From <= x.Slots.To && x.Slots.From <= r.To })
	})
}

func stay(cmd *cobra.Command, t *target, slots []client.SlotRange) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	defer c.Close()
	kept, err := c.KeepSlots(cmd.Context(), slots)
	if err != nil {
		return fmt.Errorf("let slots %s stay: %w", inWords(slots), err)
	}
	fmt.Fprintf(words(cmd, t.file), "Slots %s stay where they are, unless a move is decided meanwhile; what was copied is put back. holdfast status shows it.\n", inWords(kept.Slots))
	for _, f := range kept.Failed {
		fmt.Fprintf(words(cmd, t.file), "NOT slots %s of shard %d (%s): %s; ask again for them.\n", inWords(f.Slots), f.Shard, f.Outcome, f.Detail)
	}
	return verdict(cmd, t.file, kept, len(kept.Failed) == 0)
}

var stageWords = map[string]string{
	"waits": "waits for another slot of its shard", "copies": "accounts are copied, payments go on",
	"drains": "what has left for other shards has to arrive", "shut": "shut: its owners wait",
	"settles": "decided: holds and balances are put in order", "stays": "given up: what was copied is put back",
}

// movesInWords lists slots that are on their way, a line each.
func movesInWords(moves []client.SlotMove) string {
	var b strings.Builder
	for _, m := range moves {
		fmt.Fprintf(&b, "slots %s, from shard %d to shard %d: %s", m.Slots, m.From, m.To, cmp.Or(stageWords[m.Stage], m.Stage))
		if m.Why != "" {
			fmt.Fprintf(&b, "; %s", m.Why)
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}
