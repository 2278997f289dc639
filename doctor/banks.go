package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"holdfast/client"
)

const (
	// bankSilent is how long a bank may be silent without anybody being told.
	bankSilent = 30 * time.Second
	// bankUnknown is for how long nobody may know what became of an order: a bank that is asked and answers does not take as long.
	bankUnknown = 15 * time.Minute
)

// askBanks asks how the work with the banks is doing, and for the differences that nobody has explained. A fleet without payments says that it has
// none, and one of a release before this does not know the question: then there is nothing to look at.
func (x *Fleet) askBanks(ctx context.Context, c *client.Client) (err error) {
	if x.Banks, err = c.Banks(ctx); err != nil {
		if refused, ok := errors.AsType[*client.Error](err); ok && (refused.Status == http.StatusNotFound || refused.Code == "payments-off") {
			return nil
		}
		return fmt.Errorf("ask how the work with the banks is doing: %w", err)
	}
	if len(x.Banks) == 0 {
		return nil
	}
	cursor := ""
	for {
		list, next, err := c.Cases(ctx, cursor, client.MaxPage)
		if err != nil {
			return fmt.Errorf("ask for the differences with the banks' books: %w", err)
		}
		for i := range list {
			if list[i].Progress == "open" {
				x.Differences++
			}
		}
		if cursor = next; cursor == "" {
			return nil
		}
	}
}

// banks looks at the work with the banks.
func (f *findings) banks(x *Fleet, now time.Time) {
	const do = "see docs/runbooks/banks.md"
	for i := range x.Banks {
		b := &x.Banks[i]
		g := findings{where: "bank " + b.Bank}
		if b.Said.IsZero() {
			g.add(Warning, "bank-unattended", do, "no site has said yet how it is doing: nobody speaks with it")
		}
		if silent := now.Sub(b.DownSince); b.Down && silent > bankSilent {
			g.add(Warning, "bank-down", do, "it has not answered for %v; %d orders wait, and nothing else is touched", silent.Round(time.Second), b.Waiting)
		}
		if old := now.Sub(b.UnknownSince); b.Unknown > 0 && old > bankUnknown {
			g.add(Warning, "bank-unknown", do, "of %d orders that were sent nobody knows what became of them, of the oldest for %v", b.Unknown, old.Round(time.Second))
		}
		if b.Doubtful > 0 {
			g.add(Critical, "bank-contradicts", do, "it has contradicted itself about %d orders: they are not sent again, and not given back", b.Doubtful)
		}
		f.list = append(f.list, g.list...)
	}
	if x.Differences > 0 {
		f.add(Warning, "bank-differs", do, "%d differences between the banks' books and the ledger have not been explained", x.Differences)
	}
}
