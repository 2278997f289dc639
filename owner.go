package holdfast

import (
	"fmt"
	"strconv"
)

// Slots is how many slots there are. A slot is a slice of all owners; the shard map says which shard has which slots.
const Slots = 1000

// MaxOwnerSequence is the largest sequence number an [Owner] can carry.
const MaxOwnerSequence = 99_999_999

// Owner is a customer, merchant, biller, fund, hotel or the platform itself: a number of 16 digits, "2088", eight digits of
// sequence, three digits of slot, one check digit (Luhn, ISO/IEC 7812-1). The zero Owner is nobody.
type Owner uint64

// Slot is 0-999. It can be read off every owner number, so that routing needs no look-up.
type Slot uint16

const ownerPrefix = 2088

// NewOwner builds the owner number of a sequence (0 to MaxOwnerSequence) and a slot (0-999). Values outside are an error.
func NewOwner(sequence uint32, slot Slot) (Owner, error) {
	if sequence > MaxOwnerSequence {
		return 0, fmt.Errorf("owner sequence %d is above %d", sequence, MaxOwnerSequence)
	}
	if slot >= Slots {
		return 0, fmt.Errorf("slot %d is not within 0-%d", slot, Slots-1)
	}
	body := (uint64(ownerPrefix)*100_000_000+uint64(sequence))*1000 + uint64(slot)
	return Owner(body*10 + luhnDigit(body)), nil
}

// ParseOwner reads the 16 digits of an owner number and checks prefix and check digit.
func ParseOwner(text string) (Owner, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || len(text) != 16 {
		return 0, fmt.Errorf("owner %.20q is not a number of 16 digits", text)
	}
	return Owner(n), Owner(n).Check()
}

// Check reports what is wrong with the number: its length, its prefix or its check digit.
func (o Owner) Check() error {
	body := uint64(o) / 10
	switch {
	case body/100_000_000_000 != ownerPrefix:
		return fmt.Errorf("owner %d does not have 16 digits starting with %d", o, ownerPrefix)
	case luhnDigit(body) != uint64(o)%10:
		return fmt.Errorf("owner %d has a wrong check digit: is a digit mistyped?", o)
	}
	return nil
}

// Slot returns the slot of the owner, 0-999.
func (o Owner) Slot() Slot { return Slot(uint64(o) / 10 % Slots) }

// Sequence returns the eight digits between prefix and slot.
func (o Owner) Sequence() uint32 { return uint32(uint64(o) / 10_000 % 100_000_000) }

// String gives the 16 digits.
func (o Owner) String() string { return strconv.FormatUint(uint64(o), 10) }

// luhnDigit is the check digit to append to body (ISO/IEC 7812-1 annex B).
func luhnDigit(body uint64) uint64 {
	var sum uint64
	for double := true; body > 0; body /= 10 {
		d := body % 10
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		double = !double
	}
	return (10 - sum%10) % 10
}
