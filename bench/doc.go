// Package bench measures what the platform can do on this machine: the ledger alone, payments committed on one site and on
// three, payments over HTTP. Every number comes with what it was measured on, and a commit bench proves that what it counted
// is there: it looks a sample of the ids up when it ends, and fails when one is missing or not as it was acknowledged.
//
// The benches of restarts and of long histories measure what a site must not get heavier by: the accounts it has, the log since
// its last checkpoint, and everything that was ever paid.
//
// Nothing here is special: sites are opened, called and stopped as "holdfast serve" does. With three sites, sites 2 and 3 are
// processes of their own; site 1, which leads, and the callers share this process, as the HTTP front of a real site would.
package bench
