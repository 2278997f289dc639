package store

import (
	"errors"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast"
	"holdfast/ledger"
)

// TestEverythingAtOnce has readers and exports run beside writes, applying and checkpoints, as they do in a site.
func TestEverythingAtOnce(t *testing.T) {
	w := newWorld(t, mustOpen(t, testOptions(vfs.NewMem(), new(deaths))), 5)
	w.openAccounts(20)
	w.checkpoint()
	sh, account := w.sh, w.accounts[3]
	known := append([]holdfast.ID(nil), w.ids...)
	reads := []func() error{
		func() error { return wantFound(sh.Find(known[0])) },
		func() error { _, err := sh.Statement(account, 0, 50); return err },
		func() error { _, err := sh.Load(); return err },
		func() error { _, err := sh.Entries(1, sh.LastIndex()+1, 1<<20); return err },
		func() error { _, err := sh.Term(sh.LastIndex()); return err },
		func() error { _, err := sh.Records("a", "", 10); return err },
		func() error { return exportOnce(sh) },
		func() error { _, err := w.s.Fsck(FsckAll, 10); return err },
	}
	for range 8 {
		var readers sync.WaitGroup
		for _, read := range reads {
			readers.Go(func() {
				for range 3 {
					if err := read(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range 10 {
			w.run(w.anything(nil), w.anything(nil))
		}
		w.checkpoint()
		readers.Wait()
	}
	mustClose(t, w.s)
}

func wantFound(_ ledger.Trace, found bool, err error) error {
	if err == nil && !found {
		return errors.New("an id that was used is not found")
	}
	return err
}

func exportOnce(sh *Shard) (err error) {
	e, err := sh.Export()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	last := false
	for n := uint32(0); !last && err == nil; n++ {
		_, last, err = e.Chunk(n)
	}
	return err
}
