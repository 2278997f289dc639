package wallet

import (
	"context"

	"holdfast/page"
)

// safety is the answer to the question that matters in a bad hour.
type safety struct {
	Known bool
}

func (w *wallet) safetyOf(ctx context.Context, v *page.View, receipt string) safety { return safety{} }
