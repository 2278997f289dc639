//go:build planted

package pay

// Classic mistakes, one switch each, for tests that show that the tests of this package find them.
var (
	PlantedLimitIgnored    bool // limits are counted and not kept
	PlantedUsedCodeAgain   bool // a used code is written over: it pays again
	PlantedRefundTooMuch   bool // more than is left can be refunded
	PlantedFeeKept         bool // the fee of what is refunded is not given back
	PlantedClosedPays      bool // a closed trade can be paid
	PlantedEscrowLeaks     bool // what is released is still counted as held
	PlantedRefundForgotten bool // a repeated request refunds again
	PlantedUnknownFailed   bool // an unknown outcome is told as a failure
	PlantedDayOpen         bool // rows come into days that have been settled
	PlantedPendingBelieved bool // what a payment under way has written is taken for decided
)

func plantedLimitIgnored() bool    { return PlantedLimitIgnored }
func plantedRefundTooMuch() bool   { return PlantedRefundTooMuch }
func plantedFeeKept() bool         { return PlantedFeeKept }
func plantedClosedPays() bool      { return PlantedClosedPays }
func plantedEscrowLeaks() bool     { return PlantedEscrowLeaks }
func plantedRefundForgotten() bool { return PlantedRefundForgotten }
func plantedUnknownFailed() bool   { return PlantedUnknownFailed }
func plantedDayOpen() bool         { return PlantedDayOpen }
func plantedPendingBelieved() bool { return PlantedPendingBelieved }

// plantedUsedVersion is the version that a used code must have.
func plantedUsedVersion() uint64 {
	if PlantedUsedCodeAgain {
		return ^uint64(0)
	}
	return 0
}
