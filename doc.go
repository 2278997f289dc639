// Package holdfast holds the words of the payment platform: money, assets, owners, accounts, transfers, transactions,
// records and outcomes. It imports nothing of ours and does no I/O; every other package speaks in these types.
//
// The words are those of docs/ARCHITECTURE.md. Amounts are integers in minor units (ISO 4217), times are nanoseconds since
// the Unix epoch in UTC, ids are 128 bits (RFC 9562).
package holdfast
