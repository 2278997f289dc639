// Package signin lets people in: customers, the people of merchants, and operators. It knows who they are, their passwords and passkeys, and their
// sessions. Like package pay it is pure: no HTTP, disk, clock or randomness; it reads and writes records through [Books], and its errors are
// those of package pay. docs/decisions/0027-signing-in.md says why it is done this way.
//
// # What is stored
//
// Everything about a person is in records of the owner they belong to: a customer's with the customer, those of a merchant's people with
// the merchant, operators' with the platform. Every change is one transaction of one owner, with the versions of all records that it rests on, so there is
// nothing to repair after a crash, and any site can go on where another one was lost. No secret is stored: a password as an Argon2id hash
// under a key of the platform, everything else that is random as its SHA-256.
//
// # Answers
//
// As in package pay: no error means that it has happened; [pay.Refusal] that it has not and will not; [TooSoon] that nothing was looked at;
// [pay.Pending] that nobody knows yet; [pay.Unavailable] that this call did nothing.
package signin
