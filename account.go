package holdfast

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Asset is what is counted: an ISO 4217 currency, fund shares, room-nights, seats. One to six characters A-Z and 0-9,
// starting with a letter, packed into 32 bits. The zero Asset is invalid.
type Asset uint32

// Purpose is what an account of an owner is for: "wallet", "escrow", "settlement", "fee", "transit-7". One to twelve
// characters a-z, 0-9 and "-", starting with a letter, packed into 64 bits. The zero Purpose is invalid.
type Purpose uint64

// AccountID names one balance: (owner, purpose, asset). It is comparable and holds no pointer.
type AccountID struct {
	Owner   Owner
	Purpose Purpose
	Asset   Asset
}

// AccountIDBytes is the length of the binary form of an AccountID.
const AccountIDBytes = 20

// Limit is the rule that a balance has to keep. Open holds count as if they were posted.
type Limit uint8

const (
	// LimitNone lets the balance go either way: banks, suspense, the outside world.
	LimitNone Limit = iota
	// LimitDebits refuses a debit that would bring posted and pending debits above posted credits: wallets, escrow.
	LimitDebits
	// LimitCredits refuses a credit that would bring posted and pending credits above posted debits: loans, receivables.
	LimitCredits
)

// Flags of an account.
type Flags uint8

const (
	// Frozen accounts take no new transfers; open holds on them may still be posted or voided.
	Frozen Flags = 1 << iota
	// Closed accounts take nothing any more; only an account without balance and holds can be closed.
	Closed
)

// Account is one balance with its rule. The four sums only ever grow or shrink by checked arithmetic; pending sums are
// those of open holds.
type Account struct {
	ID             AccountID
	Limit          Limit
	Flags          Flags
	Code           uint32 // the caller's own classification
	Ref            Ref    // the caller's own reference
	Opened         Time
	DebitsPosted   Amount
	CreditsPosted  Amount
	DebitsPending  Amount
	CreditsPending Amount
}

// Balance is what the account holds, from the owner's view: posted credits less posted debits, in minor units.
func (a *Account) Balance() Amount { return a.CreditsPosted - a.DebitsPosted }

// Available is what can be spent now: [Account.Balance] less open holds on the debit side.
func (a *Account) Available() Amount { return a.CreditsPosted - a.DebitsPosted - a.DebitsPending }

// Hash spreads the id over 64 bits, for hash tables. It is not a cryptographic hash.
func (id AccountID) Hash() uint64 {
	return mix(uint64(id.Owner)^uint64(id.Asset)*0xa0761d6478bd642f, uint64(id.Purpose))
}

// Append appends the binary form: owner, purpose, asset, big-endian, so that byte order is the order of the fields.
func (id AccountID) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(id.Owner))
	b = binary.BigEndian.AppendUint64(b, uint64(id.Purpose))
	return binary.BigEndian.AppendUint32(b, uint32(id.Asset))
}

// AccountIDOf reads the binary form; b must have at least AccountIDBytes bytes.
func AccountIDOf(b []byte) AccountID {
	_ = b[AccountIDBytes-1]
	return AccountID{
		Owner:   Owner(binary.BigEndian.Uint64(b)),
		Purpose: Purpose(binary.BigEndian.Uint64(b[8:])),
		Asset:   Asset(binary.BigEndian.Uint32(b[16:])),
	}
}

// Check reports the first part of the id that is not valid.
func (id AccountID) Check() error {
	if err := id.Owner.Check(); err != nil {
		return err
	}
	if !id.Purpose.Valid() {
		return fmt.Errorf("account of owner %d has no valid purpose", id.Owner)
	}
	if !id.Asset.Valid() {
		return fmt.Errorf("account of owner %d has no valid asset", id.Owner)
	}
	return nil
}

// String gives "<owner>.<purpose>.<asset>", for example "2088000000010420.wallet.CNY".
func (id AccountID) String() string {
	return id.Owner.String() + "." + id.Purpose.String() + "." + id.Asset.String()
}

// MarshalText implements encoding.TextMarshaler.
func (id AccountID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; the errors are those of [ParseAccountID].
func (id *AccountID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseAccountID(string(text))
	return err
}

// ParseAccountID reads "<owner>.<purpose>.<asset>".
func ParseAccountID(text string) (AccountID, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return AccountID{}, fmt.Errorf("account %.60q is not of the form <owner>.<purpose>.<asset>, for example 2088000000010420.wallet.CNY", text)
	}
	owner, err := ParseOwner(parts[0])
	if err != nil {
		return AccountID{}, fmt.Errorf("account %.60q: %w", text, err)
	}
	purpose, err := ParsePurpose(parts[1])
	if err != nil {
		return AccountID{}, fmt.Errorf("account %.60q: %w", text, err)
	}
	asset, err := ParseAsset(parts[2])
	if err != nil {
		return AccountID{}, fmt.Errorf("account %.60q: %w", text, err)
	}
	return AccountID{owner, purpose, asset}, nil
}

// Digits of packed names, in base 38. Position 0 is "no more characters".
const (
	assetDigits   = "\x00ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	purposeDigits = "\x00abcdefghijklmnopqrstuvwxyz0123456789-"
	packBase      = 38
	assetLength   = 6
	purposeLength = 12
)

// ParseAsset reads an asset code: one to six characters A-Z, 0-9, the first a letter.
func ParseAsset(text string) (Asset, error) {
	n, ok := pack(text, assetDigits, assetLength)
	if !ok {
		return 0, fmt.Errorf("asset %.20q is not 1-6 characters A-Z and 0-9 starting with a letter, for example CNY", text)
	}
	return Asset(n), nil
}

// MustAsset is ParseAsset for constants; it panics on bad text.
func MustAsset(text string) Asset { return must(ParseAsset(text)) }

// String gives the code, for example "CNY".
func (a Asset) String() string { return unpack(uint64(a), assetDigits, assetLength) }

// Valid reports whether the value is one that ParseAsset could have returned.
func (a Asset) Valid() bool { return packed(uint64(a), len(assetDigits), assetLength) }

// ParsePurpose reads a purpose: one to twelve characters a-z, 0-9 and "-", the first a letter.
func ParsePurpose(text string) (Purpose, error) {
	n, ok := pack(text, purposeDigits, purposeLength)
	if !ok {
		return 0, fmt.Errorf("purpose %.20q is not 1-12 characters a-z, 0-9 and \"-\" starting with a letter, for example wallet", text)
	}
	return Purpose(n), nil
}

// MustPurpose is ParsePurpose for constants; it panics on bad text.
func MustPurpose(text string) Purpose { return must(ParsePurpose(text)) }

// String gives the name, for example "wallet".
func (p Purpose) String() string { return unpack(uint64(p), purposeDigits, purposeLength) }

// Valid reports whether the value is one that ParsePurpose could have returned.
func (p Purpose) Valid() bool { return packed(uint64(p), len(purposeDigits), purposeLength) }

// pack reads text as digits of base 38, most significant first and left-aligned, so that numbers sort as the texts do.
func pack(text, digits string, length int) (n uint64, ok bool) {
	if len(text) == 0 || len(text) > length || text[0] >= '0' && text[0] <= '9' || text[0] == '-' {
		return 0, false
	}
	for i := range length {
		d := 0
		if i < len(text) {
			if d = strings.IndexByte(digits, text[i]); d <= 0 {
				return 0, false
			}
		}
		n = n*packBase + uint64(d)
	}
	return n, true
}

// packed reports whether pack could have made n: no gaps, no digits that there are not, and a letter in front. It runs for
// every account of every payment, so it does not go through the text.
func packed(n uint64, digits, length int) bool {
	const lastLetter = 26
	var d uint64
	for text := false; length > 0; length-- {
		d = n % packBase
		n /= packBase
		if d >= uint64(digits) || d == 0 && text {
			return false
		}
		text = text || d != 0
	}
	return n == 0 && d >= 1 && d <= lastLetter
}

func unpack(n uint64, digits string, length int) string {
	var b [purposeLength]byte
	size := 0
	for i := length - 1; i >= 0; i-- {
		d := n % packBase
		n /= packBase
		if d >= uint64(len(digits)) {
			return "?"
		}
		if b[i] = digits[d]; d > 0 && size == 0 {
			size = i + 1
		}
	}
	return string(b[:size])
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// String gives "none", "debits" or "credits".
func (l Limit) String() string {
	if int(l) < len(limitNames) {
		return limitNames[l]
	}
	return fmt.Sprintf("limit(%d)", uint8(l))
}

var limitNames = [...]string{"none", "debits", "credits"}

// ParseLimit reads "none", "debits" or "credits".
func ParseLimit(text string) (Limit, error) {
	for i, name := range limitNames {
		if name == text {
			return Limit(i), nil
		}
	}
	return 0, fmt.Errorf("limit %.20q is not one of none, debits (debits may not exceed credits), credits", text)
}
