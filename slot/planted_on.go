//go:build planted

package slot

// Mistakes of moving a slot, one switch each.
var (
	PlantedPageAgain       bool // a page does not say of which state it was made, and has another id each time: a late one is taken again
	PlantedShutUndrained   bool // the slot is shut while payments of its owners are under way
	PlantedFinishEarly     bool // what changed between the copy and the shutting is left behind
	PlantedHoldsLeft       bool // open holds are not carried over
	PlantedStayUnasked     bool // a move is given up without asking the shard where the slot arrives
	PlantedMapBeforeFinish bool // the map is changed as soon as the slot is shut
	PlantedChangesLeft     bool // records that change after they were copied are left behind
	PlantedVersionsAnew    bool // the versions of records begin anew where they arrive
	PlantedRecordsKept     bool // records stay where a slot has been
)

func plantedPageAgain() bool       { return PlantedPageAgain }
func plantedShutUndrained() bool   { return PlantedShutUndrained }
func plantedFinishEarly() bool     { return PlantedFinishEarly }
func plantedHoldsLeft() bool       { return PlantedHoldsLeft }
func plantedStayUnasked() bool     { return PlantedStayUnasked }
func plantedMapBeforeFinish() bool { return PlantedMapBeforeFinish }
func plantedChangesLeft() bool     { return PlantedChangesLeft }
func plantedVersionsAnew() bool    { return PlantedVersionsAnew }
func plantedRecordsKept() bool     { return PlantedRecordsKept }
