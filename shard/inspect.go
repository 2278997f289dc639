package shard

import "holdfast/ledger"

// Inspect runs fn on the ledger's state, for checks that compare replicas as a whole: the simulator's and the tests'. fn must
// not change the state nor keep it.
func (m *Machine) Inspect(fn func(*ledger.State)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	fn(m.state)
}
