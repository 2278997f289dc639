// Package console is what people look at: the fleet for those who run it, and the pages on which they sign in. Pages are rendered by the
// server and work without JavaScript; scripts only spare reloading. docs/decisions/0028-pages.md says why it is done this way.
//
// # Whose rights
//
// A page asks the public API through package client, with the key or session of the person who looks. There is no other way from here to
// anything: what a person may not ask of the API, no page shows.
//
// # A site that is lost
//
// Every site serves every page. What a page needs is in its address, in the cookie, and in what all sites know. A page that no longer hears
// its site finds another by itself, goes on there at the same address, and says so.
package console
