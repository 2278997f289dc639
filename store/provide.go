package store

import "sync"

// provider has the system bring memory that is about to be written for the first time. On virtual machines that costs several
// microseconds a page when it is written page by page, and less than half of that when it is asked for in large pieces; and it
// happens beside the work that needs the memory.
type provider struct{ done sync.WaitGroup }

const (
	provideAtLeast = 16 << 20 // less is not worth it
	providePiece   = 4 << 20
)

// provide returns at once. The memory comes from its beginning to its end.
func (p *provider) provide(memory []byte) {
	if len(memory) < provideAtLeast {
		return
	}
	p.done.Go(func() {
		for len(memory) > 0 && populate(memory[:min(providePiece, len(memory))]) == nil {
			memory = memory[min(providePiece, len(memory)):]
		}
	})
}

func (p *provider) end() { p.done.Wait() }
