// Package backoffice is the work that nobody waits for: telling merchants what has happened, ending what is due, asking the banks, settling
// the days. docs/decisions/0023-telling-people.md says how merchants are told.
//
// Every site has an office. Each works on what its site leads at the moment, so that all of them together do everything and losing a site leaves
// nothing undone. That share is no lock: while leaders change, two offices may do the same at once. So everything here is harmless to do
// twice, at two sites, or again after a crash. What an office has to remember stands in records of the platform; what it has in its
// memory only saves it work.
package backoffice
