package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"holdfast"
	"holdfast/client"
)

func newCases() *cobra.Command {
	return group(
		"cases", "Work through the differences between the banks' books and the ledger",
		`Work through the differences that were found when the banks' books were compared with the ledger: list them, look at one with what both sides
say, say what is under way, close it with what has resolved it. One that both sides agree about again closes by itself; one that was closed by
hand comes again if something else is to be seen.`,
		newCasesList(), newCasesShow(), newCasesWork(
			"explain", "Say why a difference is there and what is under way: it stays on the list",
			(*client.Client).ExplainCase,
		), newCasesWork(
			"close", "Say what has resolved a difference, and take it off the list",
			(*client.Client).CloseCase,
		),
	)
}

const casePage = 200

func newCasesList() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the differences that are not closed",
		Long: `List the differences that are not closed, each with what is different, the amount at stake in minor units, how far it is and since when
it is there.

The API key is read from the environment: HOLDFAST_KEY. Any role will do.`,
		Example: "  holdfast cases list\n  holdfast cases list --json -",
		Args:    nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.with(func(c *client.Client) error {
				list, err := allCases(cmd.Context(), c)
				if err != nil {
					return err
				}
				w := words(cmd, t.file)
				fmt.Fprintln(w, "CASE                              ACCOUNT       DIFFERENCE          AMOUNT          PROGRESS   SINCE")
				for i := range list {
					v := &list[i]
					fmt.Fprintf(w, "%-32s  %-12s  %-18s  %10d %s  %-9s  %s\n", v.ID, v.Account, v.Name, v.Amount, v.Asset, v.Progress, v.Since.UTC().Format(time.DateOnly))
				}
				return writeJSON(cmd, t.file, list)
			})
		},
	}
	t.flags(cmd)
	return cmd
}

// with does something with a client.
func (t *target) with(do func(*client.Client) error) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c)
}

func allCases(ctx context.Context, c *client.Client) (list []client.Case, err error) {
	list = []client.Case{}
	for cursor := ""; ; {
		page, next, err := c.Cases(ctx, cursor, casePage)
		if err != nil {
			return nil, fmt.Errorf("list the differences: %w", err)
		}
		list = append(list, page...)
		if cursor = next; cursor == "" {
			return list, nil
		}
	}
}

func newCasesShow() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "show CASE",
		Short: "Show a difference: what both sides say, what to do, and what was said about it by whom",
		Long: `Show a difference: what the ledger says and what the bank's book says, what to do about such a difference, and what was said about it so
far, by whom.

The API key is read from the environment: HOLDFAST_KEY. Any role will do.`,
		Example: "  holdfast cases show 3f1c0a9be1d24be0a1b2c3d4e5f60718",
		Args:    one("case"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.with(func(c *client.Client) error {
				v, err := c.Case(cmd.Context(), args[0])
				if err != nil {
					return fmt.Errorf("case %s: %w", args[0], err)
				}
				tellCase(words(cmd, t.file), &v)
				return writeJSON(cmd, t.file, v)
			})
		},
	}
	t.flags(cmd)
	return cmd
}

func newCasesWork(name, short string, work func(*client.Client, context.Context, string, string) (client.Case, error)) *cobra.Command {
	var t target
	why := ""
	cmd := &cobra.Command{
		Use:   name + " CASE --why TEXT",
		Short: short,
		Long: short + `. The text is kept with the name of the API key, for whoever comes next.

The API key is read from the environment: HOLDFAST_KEY. It has to be an operator's.`,
		Example: "  holdfast cases " + name + " 3f1c0a9be1d24be0a1b2c3d4e5f60718 --why booked-twice-says-the-bank",
		Args:    one("case"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(why) == "" {
				return badUsage(cmd, fmt.Errorf("say why: --why TEXT"))
			}
			return t.with(func(c *client.Client) error {
				v, err := work(c, cmd.Context(), args[0], why)
				if err != nil {
					return fmt.Errorf("case %s: %w", args[0], err)
				}
				tellCase(words(cmd, t.file), &v)
				return writeJSON(cmd, t.file, v)
			})
		},
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&why, "why", "", "`TEXT` of at most 1000 bytes")
	return cmd
}

func tellCase(w io.Writer, v *client.Case) {
	fmt.Fprintf(w, "%s  %s\n%s, %d %s at stake, %s since %s\n", v.ID, v.Account, cmp.Or(v.Name, fmt.Sprint("difference ", v.Kind)), v.Amount, v.Asset, v.Progress, v.Since.UTC().Format(time.DateOnly))
	fmt.Fprintf(w, "  key     %s\n  ledger  %s\n  bank    %s\n", v.Key, sideInWords(v.Ledger), sideInWords(v.Bank))
	for _, n := range v.Notes {
		fmt.Fprintf(w, "  %s  %s: %s (%s)\n", n.Time.UTC().Format(time.RFC3339), n.By, n.Why, n.Progress)
	}
	switch {
	case v.Progress != "closed":
		fmt.Fprintf(w, "\n%s\n", v.ToDo)
	case v.ByItself:
		fmt.Fprintf(w, "\nClosed by itself at %s: both sides agree.\n", v.Closed.UTC().Format(time.RFC3339))
	default:
		fmt.Fprintf(w, "\nClosed at %s.\n", v.Closed.UTC().Format(time.RFC3339))
	}
}

func sideInWords(s *client.CaseSide) string {
	if s == nil {
		return "nothing"
	}
	text := amountInWords(s.Amount, s.Asset)
	if !s.Day.IsZero() {
		text += " on " + s.Day.UTC().Format(time.DateOnly)
	}
	for _, x := range []struct {
		name, value string
		is          bool
	}{
		{"id ", s.ID, s.ID != ""}, {"reference ", s.Ref, s.Ref != ""}, {"not ended", "", s.Open}, {"ended without being paid", "", s.Off}, {"see ", s.Note, s.Note != ""},
	} {
		if x.is {
			text += ", " + x.name + x.value
		}
	}
	return text
}

func amountInWords(a holdfast.Amount, asset holdfast.Asset) string {
	return fmt.Sprintf("%d %s", a, asset)
}
