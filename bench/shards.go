package bench

import (
	"cmp"
	"context"
	"fmt"
)

// shardsCases are the curve: what three sites commit with 1, 2, 4 and 8 shards, in batches and one per call.
var shardsCases = curve(1, 2, 4, 8)

// curveTransfers is enough of them for a case to last some seconds: the curve is about how cases differ.
const curveTransfers = 4_000_000

func curve(shards ...int) (all []kase) {
	for _, kind := range []struct {
		name    string
		measure func(*committer, context.Context) (Result, error)
	}{{"batch", (*committer).batches}, {"single", (*committer).singles}} {
		for _, n := range shards {
			all = append(all, kase{name: fmt.Sprintf("%d-shard-%s", n, kind.name), run: func(ctx context.Context, o *Options) (Result, error) {
				with := *o
				with.Shards, with.Transfers = n, cmp.Or(o.Transfers, curveTransfers)
				return commitCase(3, false, kind.measure)(ctx, &with)
			}})
		}
	}
	return all
}
