// Package receipt is a document that says of one payment what it was, where in the log it stands and which sites have it on their disks, signed by
// those sites, so that anybody can check it later without asking anyone.
//
// Each site signs a [Statement] about its own log and nothing else; the site that was asked puts them together and seals the whole, so that
// none can be left out unnoticed. Signatures are Ed25519 (RFC 8032) over a line that names their use and the JSON text without white space. The key of a
// site is certified by the key of its certificate, so whoever trusts the fleet's authority trusts it too; a site without a certificate (a
// fleet of one) publishes its key, and whoever was given that before can check what it signs afterwards.
//
// What a receipt proves is what [Check] says, in words: docs/decisions/0032-signed-receipts.md has the argument.
package receipt
