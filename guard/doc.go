// Package guard says who may do what: roles, principals, API keys and the identity of a request. It is pure: no clock, no
// randomness, no I/O; what it needs of those it takes as arguments.
//
// An API key is shown once, when it is made, and stored only as the SHA-256 of its text: it carries 160 random bits, so a
// slow password hash would add cost to every request and nothing to its safety.
package guard
