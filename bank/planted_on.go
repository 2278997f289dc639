//go:build planted

package bank

// Classic mistakes, one switch each, for tests that show that somebody notices. Set them before anything starts.
var (
	PlantedUnknownRefused    bool // no answer to a message is taken for a refusal
	PlantedNeverHeardTrusted bool // "never heard of it" is believed before the cut-off
	PlantedFreshID           bool // a second attempt has an id of its own
	PlantedUnrecorded        bool // it is sent before the attempt is written down
	PlantedDuplicateRefused  bool // the rejection of a message is taken for that of the payment
	PlantedAcceptedPaid      bool // accepted is taken for paid
	PlantedSumsOnly          bool // reconciliation: what has the same id is taken for the same
	PlantedTwiceIsOnce       bool // reconciliation: what the bank has booked twice is taken for once
)

func plantedUnknownRefused() bool    { return PlantedUnknownRefused }
func plantedNeverHeardTrusted() bool { return PlantedNeverHeardTrusted }
func plantedFreshID() bool           { return PlantedFreshID }
func plantedUnrecorded() bool        { return PlantedUnrecorded }
func plantedDuplicateRefused() bool  { return PlantedDuplicateRefused }
func plantedAcceptedPaid() bool      { return PlantedAcceptedPaid }
func plantedSumsOnly() bool          { return PlantedSumsOnly }
func plantedTwiceIsOnce() bool       { return PlantedTwiceIsOnce }
