// Package wallet is the pages of customers: what they have, and everything that they do with it, on a phone first. It asks the public API with the
// session of the person who looks, through package client, and knows no other way. It is an area of package page; see
// docs/decisions/0029-wallet.md.
package wallet
