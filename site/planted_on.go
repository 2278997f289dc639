//go:build planted

package site

// Mistakes of the birth of a shard, one switch each.
var (
	PlantedNameAgain   bool // founders are named without looking whether they are named already
	PlantedNameUnasked bool // founders are those that answer
)

func plantedNameAgain() bool   { return PlantedNameAgain }
func plantedNameUnasked() bool { return PlantedNameUnasked }
