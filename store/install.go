package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast/ledger"
)

// installPlan is what is to take the place of everything a shard has. It is written into the log before anything happens and
// removed when all has; a restart in between carries it out from the beginning, which is harmless.
type installPlan struct {
	wipe   bool   // nothing takes the place
	index  uint64 // of the checkpoint
	term   uint64
	states uint64 // how many tables for the state, and for the log
	logs   uint64
}

const formatInstall = 1

func appendUvarints(b []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func appendPlan(key []byte, p *installPlan) []byte {
	wipe := byte(0)
	if p.wipe {
		wipe = 1
	}
	return sealed(key, appendUvarints([]byte{formatInstall, wipe}, p.index, p.term, p.states, p.logs))
}

func readPlan(key, value []byte) (*installPlan, error) {
	b, err := unsealed(key, value, formatInstall)
	if err != nil {
		return nil, err
	}
	u := unpacker{b: b}
	p := &installPlan{wipe: u.byte() == 1, index: u.uvarint(), term: u.uvarint(), states: u.uvarint(), logs: u.uvarint()}
	return p, u.done(key, "the plan of an installation")
}

// Wipe removes everything of the shard from this disk, its identity too: the replica that was here is gone for good. A crash in
// the middle is finished by the next Open. Errors are fatal.
func (sh *Shard) Wipe() error {
	if err := sh.store.alive(); err != nil {
		return err
	}
	sh.closeImport()
	if err := sh.replace(&installPlan{wipe: true}); err != nil {
		return sh.store.die(fmt.Errorf("wiping shard %d (if this repeats, empty %s by hand): %w", sh.id, sh.store.opts.Dir, err))
	}
	return sh.store.alive()
}

// replace carries out a plan whose tables are on the disk.
func (sh *Shard) replace(p *installPlan) error {
	if err := sh.store.closeExports(sh); err != nil {
		return err
	}
	key := shardKey(sh.id, kindInstall)
	// The commit point: from here on the new state is the state, whatever happens.
	if err := sh.store.log.Set(key, appendPlan(key, p), pebble.Sync); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	// Without its plan a log that was emptied would be that of a voter who has forgotten everything.
	if err := sh.store.promise(true, sh.standing()); err != nil {
		return err
	}
	if err := sh.carryOut(p); err != nil {
		return err
	}
	sh.damage.Store(nil) // it went with what was replaced
	return sh.note(sh.reload())
}

// resumeInstall finishes what a crash interrupted.
func (sh *Shard) resumeInstall() error {
	p, err := readSmall(sh, sh.store.log, kindInstall, readPlan)
	if err != nil || p == nil {
		return err
	}
	return sh.carryOut(p)
}

// carryOut replaces the log, then the state, then ends the plan. Each step may be repeated after a crash.
func (sh *Shard) carryOut(p *installPlan) error {
	steps := []struct {
		db     *pebble.DB
		name   string
		tables uint64
		lo, hi []byte
	}{
		{sh.store.log, "log", p.logs, shardKey(sh.id, kindEntry), shardKey(sh.id, kindEntry+1)},
		{sh.store.state, "state", p.states, shardKey(sh.id, 0), shardKey(sh.id, 0xff)},
	}
	for _, step := range steps {
		paths, err := sh.linkTables(step.name, step.tables)
		if err != nil {
			return err
		}
		span := pebble.KeyRange{Start: step.lo, End: step.hi}
		if _, err := step.db.IngestAndExcise(context.Background(), paths, nil, nil, span); err != nil {
			return fmt.Errorf("replacing the %s: %w", step.name, err)
		}
		if err := sh.store.alive(); err != nil {
			return err
		}
	}
	if err := sh.endPlan(p); err != nil {
		return err
	}
	return errors.Join(
		sh.store.removeStage(sh.store.installDir(sh)), sh.store.removeStage(sh.store.importDir(sh)),
		syncDir(sh.store.opts.FS, sh.store.dir("stage")))
}

// linkTables gives the engine copies to take over: the originals are needed again if we crash.
func (sh *Shard) linkTables(name string, count uint64) ([]string, error) {
	disk, dir := sh.store.opts.FS, sh.store.installDir(sh)
	var paths []string
	for i := range count {
		path := disk.PathJoin(dir, fmt.Sprintf("%s-%d.sst", name, i))
		link := path + ".link"
		if err := ignoreMissing(disk.Remove(link)); err != nil {
			return nil, fmt.Errorf("removing an old link: %w", err)
		}
		if err := vfs.LinkOrCopy(disk, path, link); err != nil {
			return nil, fmt.Errorf("linking a table: %w", err)
		}
		paths = append(paths, link)
	}
	return paths, nil
}

// endPlan settles hard state and identity and removes the plan, all at once.
func (sh *Shard) endPlan(p *installPlan) error {
	batch := sh.store.log.NewBatch()
	defer func() { _ = batch.Close() }() // only returns memory
	settle := sh.settleInstalled
	if p.wipe {
		settle = sh.settleWiped
	}
	if err := settle(batch, p); err != nil {
		return err
	}
	if err := batch.Delete(shardKey(sh.id, kindInstall), nil); err != nil {
		return fmt.Errorf("ending the plan: %w", err)
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("ending the plan: %w", err)
	}
	return sh.store.promise(true, promise{shard: sh.id, index: p.index, term: p.term})
}

// settleWiped reads nothing: what is wiped may be damaged.
func (sh *Shard) settleWiped(batch *pebble.Batch, _ *installPlan) error {
	var errs []error
	for _, kind := range []byte{kindHard, kindIdentity, kindLost, kindTrust} {
		errs = append(errs, batch.Delete(shardKey(sh.id, kind), nil))
	}
	return errors.Join(errs...)
}

// settleInstalled keeps who this replica is and for whom it has voted.
func (sh *Shard) settleInstalled(batch *pebble.Batch, p *installPlan) error {
	hard, err := readSmall(sh, sh.store.log, kindHard, readHard)
	identity, err2 := readSmall(sh, sh.store.log, kindIdentity, readIdentity)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	if hard.Term < p.term {
		hard = HardState{Term: p.term}
	}
	hard.Commit = p.index // nothing beyond the checkpoint is here any more
	identity.Born = true
	hardKey, identityKey := shardKey(sh.id, kindHard), shardKey(sh.id, kindIdentity)
	return errors.Join(
		batch.Set(hardKey, appendHard(hardKey, hard), nil), batch.Set(identityKey, appendIdentity(identityKey, identity), nil),
		batch.Delete(shardKey(sh.id, kindTrust), nil)) // it was about another state
}

func (s *Store) installDir(sh *Shard) string { return s.stagePath(fmt.Sprintf("install-%d", sh.id)) }

func (s *Store) removeStage(dir string) error {
	if err := s.opts.FS.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing %s: %w", dir, err)
	}
	return nil
}

// sweepStage removes what crashes have left in the stage, but not imports, which can be resumed.
func (s *Store) sweepStage() error {
	names, err := s.opts.FS.List(s.dir("stage"))
	if err != nil {
		return fmt.Errorf("listing the stage: %w", err)
	}
	var errs []error
	for _, name := range names {
		if !strings.HasPrefix(name, "import-") {
			errs = append(errs, s.removeStage(s.stagePath(name)))
		}
	}
	return errors.Join(errs...)
}

func syncDir(disk vfs.FS, path string) error {
	dir, err := disk.OpenDir(path)
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
	}
	if err != nil {
		return fmt.Errorf("syncing directory %s: %w", path, err)
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// installBuilder writes the tables of an import and checks that they are what they should be.
type installBuilder struct {
	shard  *Shard
	states *tables
	logs   *tables
	meta   *ledger.Meta
	last   uint64 // the last log entry seen
	term   uint64 // of it
	key    []byte
}

func newInstallBuilder(sh *Shard) (*installBuilder, error) {
	s := sh.store
	dir := s.installDir(sh)
	if err := s.removeStage(dir); err != nil {
		return nil, err
	}
	if err := s.opts.FS.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making %s: %w", dir, err)
	}
	join := s.opts.FS.PathJoin
	return &installBuilder{shard: sh, states: newTables(s, join(dir, "state")), logs: newTables(s, join(dir, "log"))}, nil
}

// add takes the next row.
func (b *installBuilder) add(db byte, key, value []byte) error {
	b.key = append(appendKey(b.key[:0], b.shard.id, key[0]), key[1:]...)
	if db == dbState {
		return b.addState(value)
	}
	index, err := indexOf(b.key)
	if err != nil {
		return err
	}
	if index != b.last+1 || b.key[2] != kindEntry {
		return &ErrCorrupt{Shard: b.shard.id, Index: index, Key: b.key, What: fmt.Sprintf("it follows entry %d in the import", b.last)}
	}
	e, err := readEntry(b.shard.id, index, value)
	if err != nil {
		return err
	}
	b.last, b.term = index, e.Term
	return b.put(b.logs, false, value)
}

func (b *installBuilder) addState(value []byte) (err error) {
	kind := b.key[2]
	if kind == kindMeta {
		if b.meta, err = readMeta(b.key, value); err != nil {
			return err
		}
	}
	return b.put(b.states, kind == kindID || kind == kindRecord || kind == kindOwned, value)
}

func (b *installBuilder) put(t *tables, filter bool, value []byte) error {
	if t.w == nil || t.size > tableBytes || filter != t.filtered {
		t.open(filter)
	}
	t.set(b.key, value)
	return t.err
}

// finish closes the tables and answers what is to be installed.
func (b *installBuilder) finish() (*installPlan, error) {
	states, err := b.states.close()
	logs, err2 := b.logs.close()
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	if b.meta == nil {
		return nil, &ErrCorrupt{Shard: b.shard.id, What: "the import has no checkpoint"}
	}
	if b.last != b.meta.Index {
		return nil, &ErrCorrupt{
			Shard: b.shard.id, Index: b.last,
			What: fmt.Sprintf("the journal of the import ends here, its checkpoint is at %d", b.meta.Index),
		}
	}
	if err := syncDir(b.shard.store.opts.FS, b.shard.store.installDir(b.shard)); err != nil {
		return nil, err
	}
	if err := syncDir(b.shard.store.opts.FS, b.shard.store.dir("stage")); err != nil {
		return nil, err
	}
	if b.term != b.meta.Term {
		return nil, &ErrCorrupt{
			Shard: b.shard.id, Index: b.last,
			What: fmt.Sprintf("the journal of the import ends with an entry of term %d, its checkpoint says %d", b.term, b.meta.Term),
		}
	}
	return &installPlan{index: b.meta.Index, term: b.term, states: uint64(len(states)), logs: uint64(len(logs))}, nil
}

// abandon closes and removes what was begun.
func (b *installBuilder) abandon() error {
	b.states.cut()
	b.logs.cut()
	return b.shard.store.removeStage(b.shard.store.installDir(b.shard))
}
