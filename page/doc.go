// Package page is the ground of all pages that people look at: layout and look, words in two languages, cookies, signing in, and the rules that
// keep pages safe. The pages themselves are areas: `console` for operators, `portal` for merchants, `wallet` for customers. Pages are rendered by
// the server and work without JavaScript; scripts only spare reloading. docs/decisions/0028-pages.md says why it is done this way.
//
// # Whose rights
//
// A page asks the public API through package client, with the session or key of the person who looks. There is no other way from here to
// anything: what a person may not ask of the API, no page shows.
//
// # A site that is lost
//
// Every site serves every page. What a page needs is in its address, in the cookie, and in what all sites know. A page that no longer hears
// its site finds another by itself, goes on there at the same address, and says so. A form that moves money carries a number, so that it can be
// sent again, to any site, and is done once.
package page
