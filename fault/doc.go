// Package fault breaks things on command: cables between sites, and processes. A [Cable] is a relay for TCP that adds the
// propagation delay of a long fibre and can be cut silently: bytes stop, no connection is reset, nobody is told. A [Net]
// is all the cables of a fleet. Demo, drills and tests own their network through this package; a site never imports it.
package fault
