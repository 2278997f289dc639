// Package portal is the pages of merchants: what they have earned, their trades and refunds, settlements, what their programs are told, keys and apps, and
// the people who work for them. docs/decisions/0030-merchant-portal.md says why it is done this way.
//
// It is an area of package page, for sessions of merchants' people. Everything comes from the public API with the session of the person who looks, and what
// changes something is asked of it with the same: the right to look, work or manage is judged there. What somebody may not do is not offered here,
// and a form for it that comes all the same is refused in words.
//
// # Three outcomes
//
// A form that changes something carries a number. What was done leads to a page that says so; what was refused says why, in the language of the page; and
// where nobody knows, the page says that we are finding out, and asks again with the same number: it is done once.
package portal
