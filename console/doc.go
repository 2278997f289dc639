// Package console is the fleet for those who run it: what it is doing now, what would happen if something failed, what has happened, and every
// payment down to the entry of the log that holds it. It is an area of package page.
package console
