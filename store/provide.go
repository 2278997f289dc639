package store

import "sync"

// provider has the system bring memory that is about to be written for the first time. On virtual machines that costs several
// microseconds a page when it is written page by page, and less than half of that when it is asked for in large pieces; and it
// happens beside the work that needs the memory.
type provider struct{ done sync.WaitGroup }

// provideAtLeast is the smallest piece that is worth asking for.
const provideAtLeast = 1 << 20

// provide returns at once. The pieces come one after the other.
func (p *provider) provide(memory [][]byte) {
	p.done.Go(func() {
		for _, piece := range memory {
			if len(piece) >= provideAtLeast && populate(piece) != nil {
				return
			}
		}
	})
}

func (p *provider) end() { p.done.Wait() }
