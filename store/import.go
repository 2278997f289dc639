package store

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast/ledger"
)

// Import gathers the chunks of one export on this disk, durably, so that it goes on where it stopped, after a restart too.
type Import struct {
	shard  *Shard
	export uint64
	dir    string

	mu       sync.Mutex // guards what follows
	next     uint32
	complete bool
}

const formatImport = 1

// Import begins or resumes the import of an export; what was gathered of another one is thrown away. One import of a shard
// at a time. Failures of the disk are fatal.
func (sh *Shard) Import(export uint64) (*Import, error) {
	if err := sh.store.alive(); err != nil {
		return nil, err
	}
	im := &Import{shard: sh, export: export, dir: sh.store.importDir(sh)}
	resumed, err := im.resume()
	if err == nil && !resumed {
		err = im.begin()
	}
	if err != nil {
		return nil, sh.store.die(fmt.Errorf("preparing the import of shard %d: %w", sh.id, err))
	}
	return im, nil
}

func (s *Store) importDir(sh *Shard) string { return s.stagePath(fmt.Sprintf("import-%d", sh.id)) }

func (im *Import) path(name string) string { return im.shard.store.opts.FS.PathJoin(im.dir, name) }

func (im *Import) chunkPath(n uint32) string { return im.path(fmt.Sprintf("chunk-%08d", n)) }

// resume counts the chunks that are there, if they are of this export.
func (im *Import) resume() (bool, error) {
	head, err := readFile(im.shard.store.opts.FS, im.path("head"))
	if err != nil {
		return false, ignoreMissing(err)
	}
	body, err := unsealed(im.headKey(), head, formatImport)
	u := unpacker{b: body}
	if err != nil || u.uvarint() != im.export || u.bad {
		return false, nil // of another export, or torn: either way begin anew
	}
	for !im.complete {
		data, err := readFile(im.shard.store.opts.FS, im.chunkPath(im.next))
		if err != nil {
			return true, ignoreMissing(err)
		}
		c, err := readChunk(data)
		if err != nil || c.export != im.export || c.n != im.next {
			return false, nil
		}
		im.next++
		im.complete = c.last
	}
	return true, nil
}

func (im *Import) headKey() []byte { return shardKey(im.shard.id, 'x') }

// begin empties the directory and writes which export it is for. The head comes last, so that its presence means a clean
// directory.
func (im *Import) begin() error {
	fs := im.shard.store.opts.FS
	im.next, im.complete = 0, false
	if err := fs.RemoveAll(im.dir); err != nil {
		return fmt.Errorf("emptying %s: %w", im.dir, err)
	}
	if err := fs.MkdirAll(im.dir, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", im.dir, err)
	}
	if err := syncDir(fs, im.shard.store.dir("stage")); err != nil {
		return err
	}
	head := appendUvarints([]byte{formatImport}, im.export)
	return im.writeFile("head", im.path("head"), sealed(im.headKey(), head))
}

// writeFile makes a file appear whole and durable, or not at all.
func (im *Import) writeFile(name, path string, data []byte) error {
	fs := im.shard.store.opts.FS
	temporary := im.path("writing")
	file, err := fs.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("creating %s: %w", name, err)
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := fs.Rename(temporary, path); err != nil {
		return fmt.Errorf("naming %s: %w", name, err)
	}
	return syncDir(fs, im.dir)
}

// Next is the number of the chunk that is wanted next.
func (im *Import) Next() uint32 {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.next
}

// Complete reports whether the last chunk is there.
func (im *Import) Complete() bool {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.complete
}

// Put verifies and stores chunk Next(), and returns when it is on the disk. [ErrChunkDamaged] changes nothing; failures of the
// disk are fatal.
func (im *Import) Put(data []byte) error {
	im.mu.Lock()
	defer im.mu.Unlock()
	if err := im.shard.store.alive(); err != nil {
		return err
	}
	c, err := readChunk(data)
	if err != nil {
		return err
	}
	if c.export != im.export || c.n != im.next || im.complete {
		return fmt.Errorf("%w: chunk %d of export %d, wanted is %d of %d", ErrChunkDamaged, c.n, c.export, im.next, im.export)
	}
	if err := im.writeFile(fmt.Sprintf("chunk %d", c.n), im.chunkPath(c.n), data); err != nil {
		return im.shard.store.die(fmt.Errorf("importing shard %d: %w", im.shard.id, err))
	}
	im.next++
	im.complete = c.last
	return nil
}

// Discard throws away what was gathered.
func (im *Import) Discard() error {
	im.mu.Lock()
	defer im.mu.Unlock()
	if err := im.begin(); err != nil {
		return im.shard.store.die(err)
	}
	return nil
}

// Install replaces log, checkpoint and history of the shard by those of the complete import, and returns the new checkpoint.
// A crash anywhere leaves the old or, finished by the next Open, the new, never a mix. The hard state keeps term and vote if its
// term is not below that of the checkpoint, and commits at least up to the checkpoint; the identity becomes Born. A
// content that contradicts itself is an [ErrCorrupt] and changes nothing, as does a replica that is damaged: that one can only be
// wiped. Failures of the disk are fatal. The caller has stopped using the shard meanwhile, and begins with Load afterwards.
func (im *Import) Install() (ledger.Meta, error) {
	im.mu.Lock()
	defer im.mu.Unlock()
	sh := im.shard
	if err := sh.store.alive(); err != nil {
		return ledger.Meta{}, err
	}
	if err := sh.Damage(); err != nil { // a checkpoint brings a log, but not the votes that may be lost
		return ledger.Meta{}, err
	}
	if !im.complete {
		return ledger.Meta{}, fmt.Errorf("the import of shard %d is not complete: chunk %d is wanted next", sh.id, im.next)
	}
	plan, err := im.build()
	if corrupt := (*ErrCorrupt)(nil); errors.As(err, &corrupt) {
		return ledger.Meta{}, errors.Join(err, sh.store.removeStage(sh.store.installDir(sh)))
	}
	if err == nil {
		err = sh.replace(plan)
	}
	if err != nil {
		return ledger.Meta{}, sh.store.die(fmt.Errorf("installing shard %d: %w", sh.id, err))
	}
	im.next, im.complete = 0, false
	meta, _ := sh.Meta()
	return meta, sh.store.alive()
}

// build turns the chunks into tables, verifying everything that can be without the ledger.
func (im *Import) build() (*installPlan, error) {
	sh := im.shard
	b, err := newInstallBuilder(sh)
	if err != nil {
		return nil, err
	}
	for n := range im.next {
		data, err := readFile(sh.store.opts.FS, im.chunkPath(n))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("reading chunk %d: %w", n, err), b.abandon())
		}
		c, err := readChunk(data)
		if err == nil {
			err = c.each(b.add)
		}
		if errors.Is(err, ErrChunkDamaged) {
			err = &ErrCorrupt{Shard: sh.id, What: fmt.Sprintf("chunk %d of the import", n), Err: err}
		}
		if err != nil {
			return nil, errors.Join(err, b.abandon())
		}
	}
	return b.finish()
}

func readFile(fs vfs.FS, path string) ([]byte, error) {
	file, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(file)
	return data, errors.Join(err, file.Close())
}
