package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"holdfast"
	"holdfast/client"
	"holdfast/pay"
)

func newSafe() *cobra.Command {
	var t target
	var out, keys string
	cmd := &cobra.Command{
		Use:   "safe WHAT",
		Short: "Ask any site whether a payment is safe, and keep a receipt that can be checked without the fleet",
		Long: `Ask any site whether a payment is safe. WHAT is the id of a transaction, CUSTOMER/RECEIPT, or MERCHANT/OUT_TRADE_NO.

The answer comes within a second, from whatever site is there, also while the leader is cut off or a majority is lost: it says what the
logs of the sites that answered have, and how much that is. "unknown" is no "no": ask again, and do not pay again meanwhile. --out keeps the
signed receipt, for holdfast check. --keys keeps the keys of the sites; do that before you need them. The exit status is 1 unless the payment
is safe, or it is certain that nothing was paid.

The API key is read from the environment: HOLDFAST_KEY. It takes the role reader or a higher one.`,
		Example: "  holdfast safe 0190f3c6-2a3b-7c4d-8e5f-001122334455 --out receipt.json --keys keys.json\n" +
			"  holdfast safe 2088000000030206/order-4711 --json -",
		Args: one("transaction id, CUSTOMER/RECEIPT or MERCHANT/OUT_TRADE_NO"),
		RunE: func(cmd *cobra.Command, args []string) error { return askSafe(cmd, &t, args[0], out, keys) },
	}
	cmd.Flags().StringVar(&out, "out", "", "keep the signed receipt in `FILE`")
	cmd.Flags().StringVar(&keys, "keys", "", "keep the keys with which the sites sign receipts in `FILE`")
	t.flags(cmd)
	return cmd
}

// safety asks about what the command line names.
func safety(ctx context.Context, c *client.Client, what string) (client.Safety, error) {
	if id, err := holdfast.ParseID(what); err == nil {
		return c.TxnSafety(ctx, id)
	}
	number, name, _ := strings.Cut(what, "/")
	owner, err := holdfast.ParseOwner(number)
	switch {
	case err != nil || name == "":
		return client.Safety{}, fmt.Errorf("%q is neither the id of a transaction (a UUID) nor the 16 digits of a customer or merchant, a slash, and the number of a receipt or trade", what)
	case pay.LineName(name):
		return c.Safety(ctx, owner, name)
	}
	return c.TradeSafety(ctx, owner, name)
}

func askSafe(cmd *cobra.Command, t *target, what, out, keys string) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	defer c.Close()
	ctx := cmd.Context()
	v, err := safety(ctx, c, what)
	if err != nil {
		return err
	}
	w := words(cmd, t.file)
	tellSafety(w, &v)
	if out != "" && v.Signed == nil {
		err = errors.New("there is no receipt to keep: nothing is known that could be signed")
	} else if out != "" {
		if err = writeFile(out, v.Signed); err == nil {
			fmt.Fprintf(w, "The receipt is in %s: holdfast check verifies it without the fleet.\n", out)
		}
	}
	if err == nil && keys != "" {
		var list []byte
		if list, err = c.ReceiptKeys(ctx); err == nil {
			err = writeFile(keys, list)
		}
	}
	return errors.Join(err, verdict(cmd, t.file, v, v.Verdict == client.SafetySafe || v.Verdict == client.SafetyNotExecuted))
}

func tellSafety(w io.Writer, v *client.Safety) {
	p := paintFor(w)
	word := strings.ToUpper(v.Verdict)
	if v.Verdict == client.SafetySafe {
		word = p.good(" " + word + " ")
	}
	fmt.Fprintf(w, "%s  %s\n", word, v.Text)
	if e := v.Entry; e != nil {
		fmt.Fprintf(w, "\nShard %d, entry %d of the log, term %d, at %s: on the disks of %d of the %d sites that vote.\n", e.Shard, e.Index, e.Term,
			e.Time.UTC().Format("2006-01-02 15:04:05.000 MST"), v.Holding, v.Voters)
	}
	for i := range v.Sites {
		s := &v.Sites[i]
		state := map[string]string{"applied": "has it, and knows that it counts", "logged": "has it, and does not know yet whether it counts", "missing": "does not have it"}[s.State]
		switch {
		case !s.Answered:
			state = "did not answer"
		case state == "":
			state = "does not know of it"
		}
		if s.Signed {
			state += " (signed)"
		}
		fmt.Fprintf(w, "  %-2d %-17s %s\n", s.Site, s.Name, state)
	}
}
