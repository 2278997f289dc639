package holdfast

import (
	"maps"
	"slices"
)

type codeInfo struct{ name, advice string }

var codeOrder = slices.Sorted(maps.Keys(codes))

// codes is the one table of names and advice; httpapi adds the HTTP status, nobody else classifies.
var codes = map[Code]codeInfo{
	CodeOK: {"ok", "Done."},

	CodeTxnEmpty:       {"transaction-empty", "The transaction has nothing in it: add a transfer, an account or a record."},
	CodeTxnTooLarge:    {"transaction-too-large", "The transaction is beyond a bound (8,000 transfers, 2 MiB): split it."},
	CodeIDMissing:      {"id-missing", "Give the transaction an id: a UUID that is not the nil one."},
	CodeIDRepeated:     {"id-repeated", "One id occurs twice within the transaction: give every transfer its own."},
	CodeKindInvalid:    {"kind-invalid", "The kind of a transfer is one of immediate, hold, post, void."},
	CodeAccountInvalid: {"account-invalid", "An account is <owner>.<purpose>.<asset> with a 16-digit owner number whose check digit is right."},
	CodeAmountInvalid:  {"amount-invalid", "An amount is a whole number of minor units above 0 (a post may leave it 0 for the whole hold; a void has none)."},
	CodeSameAccount:    {"same-account", "Debit and credit are the same account: nothing would move."},
	CodeAssetMismatch:  {"asset-mismatch", "Debit and credit are accounts of different assets: use two transfers through an exchange account."},
	CodeHoldInvalid:    {"hold-invalid", "Post and void name the hold they refer to; immediate and hold do not."},
	CodeTimeoutInvalid: {"timeout-invalid", "A hold's timeout is between 0 (never) and 400 days; other kinds have none."},
	CodeLimitInvalid:   {"limit-invalid", "A limit is one of none, debits, credits."},
	CodeRecordInvalid:  {"record-invalid", "A record has a key of 1-200 bytes, at most 16 index keys and a body of at most 64 KiB; a deleted one has neither. A key that begins with o/ goes on with a valid owner number of 16 digits, a slash and a name."},
	CodeMessageInvalid: {"message-invalid", "A message goes to a shard of this fleet, has a topic of 1-200 bytes that does not begin with holdfast/, and a body of at most 64 KiB."},
	CodeShardMismatch:  {"shard-mismatch", "Between two shards only money can go, in one direction: immediate transfers, or holds, with records of the owners of either side (keys o/<owner>/...), of which those of the payers' side are not deleted; split the transaction."},
	CodeExpireReserved: {"expire-reserved", "Holds expire by themselves: use void to release one early."},
	CodeIDReserved:     {"id-reserved", "Ids of this form belong to the platform: send a UUID as RFC 9562 makes them (variant 10x, version 1 to 8)."},
	CodeHoldAmbiguous:  {"hold-ambiguous", "Several holds go by this id, because it was used more than once: name the debit and the credit account of the one that you mean."},
	CodeRecordReserved: {"record-reserved", "Records whose key begins with holdfast/ belong to the platform: take another key."},

	CodeIDTaken:         {"id-taken", "This id was used before with a different content: take a fresh id for a new transaction."},
	CodeTransferIDTaken: {"transfer-id-taken", "A transfer's id was used before: take a fresh one."},

	CodeRecordExists:          {"record-exists", "The record exists already: read it, and write with its version."},
	CodeRecordMissing:         {"record-missing", "The record does not exist: create it with expected version 0."},
	CodeRecordVersionMismatch: {"record-version-mismatch", "The record has changed since it was read: read it again and decide afresh, with a fresh id."},

	CodeAccountExists:   {"account-exists", "The account exists with another limit, code or reference."},
	CodeAccountMissing:  {"account-missing", "There is no such account: open it first."},
	CodeAccountClosed:   {"account-closed", "The account is closed for ever: open another one."},
	CodeAccountNotEmpty: {"account-not-empty", "The account has a balance or open holds: empty it before closing."},

	CodeHoldMissing:    {"hold-missing", "There is no hold of this id: name the id of the transfer that made the hold."},
	CodeNotAHold:       {"not-a-hold", "The id is that of a transfer that is not a hold: name the one that made the hold."},
	CodeHoldPosted:     {"hold-posted", "The hold has been posted already."},
	CodeHoldVoided:     {"hold-voided", "The hold has been voided already."},
	CodeHoldExpired:    {"hold-expired", "The hold has expired: its amount was released."},
	CodeHoldMismatch:   {"hold-mismatch", "Debit or credit differ from those of the hold: leave them out, or give the same."},
	CodeHoldExceeded:   {"hold-exceeded", "The amount is above what is held: post that much or less, and pay the rest by itself."},
	CodeHoldNotDue:     {"hold-not-due", "The hold's time is not over yet."},
	CodeDebitMissing:   {"debit-account-missing", "The debit account does not exist: open it first."},
	CodeCreditMissing:  {"credit-account-missing", "The credit account does not exist: open it first."},
	CodeDebitClosed:    {"debit-account-closed", "The debit account is closed for ever: pay from another one."},
	CodeCreditClosed:   {"credit-account-closed", "The credit account is closed for ever: pay to another one."},
	CodeDebitFrozen:    {"debit-account-frozen", "The debit account is frozen: thaw it first."},
	CodeCreditFrozen:   {"credit-account-frozen", "The credit account is frozen: thaw it first."},
	CodeOverflow:       {"overflow", "A sum of the account would not fit into 63 bits: use another account."},
	CodeExceedsCredits: {"exceeds-credits", "Not enough money on the debit account, open holds included."},
	CodeExceedsDebits:  {"exceeds-debits", "The credit account would be credited beyond what was debited from it."},

	CodeNoQuorum:      {"no-quorum", "Not executed: this site cannot reach a majority just now. Send the same id to another site."},
	CodeOverloaded:    {"overloaded", "Not executed: too much is waiting. Send the same id again after Retry-After."},
	CodeDiskFull:      {"disk-full", "Not executed: the disk of this site is nearly full. Free space or add a disk; send the same id to another site."},
	CodeNoLeader:      {"no-leader", "Not executed: no leader was found within the deadline. Send the same id again."},
	CodeOutOfService:  {"out-of-service", "Not executed: this replica has taken itself out of service. Send the same id to another site."},
	CodeStopping:      {"stopping", "Not executed: this site is shutting down. Send the same id to another site."},
	CodeDeadline:      {"deadline", "Not executed: the deadline passed while it waited in a queue. Send the same id again, here or to another site."},
	CodeMoved:         {"moved", "Not executed: the owner is moving to another shard just now. Send the same id again."},
	CodeStarting:      {"starting", "Not executed: this site is still starting. Send the same id to another site, or here again in a moment."},
	CodeOutboxFull:    {"outbox-full", "Not executed: too many messages wait in the outbox of this shard. Read and acknowledge them (GET /v1/messages), and send the same id again."},
	CodeRecordPending: {"record-pending", "Not executed: a payment to another shard that has written one of the records is not settled yet. Send the same id again in a moment."},

	CodeUnknown: {"outcome-unknown", "The outcome is not known yet. Ask again with the same id: it is done at most once."},
}
