package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"holdfast/ledger"
)

// Export is a consistent copy of a checkpoint and its journal in numbered chunks, for a replica that is too far behind. The
// chunks of one Export are the same however often they are asked for.
type Export struct {
	ID   uint64      // tells this export from others; part of every chunk
	Meta ledger.Meta // of the checkpoint

	shard *Shard

	mu       sync.Mutex
	snapshot *pebble.Snapshot // of the state; nil: closed. Journal entries up to the checkpoint never change
	starts   []place          // where each chunk begins, as far as known
	used     time.Time
}

// place is a key in one of the two databases.
type place struct {
	db  byte
	key []byte
}

// Databases, as rows of a chunk name them.
const (
	dbState = 1
	dbLog   = 2
)

// maxExports bounds how many exports of a site are open: each keeps old tables on the disk.
const maxExports = 4

// ErrTooManyExports is returned when maxExports are open: the follower asks again later, or another site.
var ErrTooManyExports = errors.New("too many exports are open on this site: ask again later, or ask another site")

// ErrNoCheckpoint is returned for an export of a shard that has none yet: its whole log is there to be sent.
var ErrNoCheckpoint = errors.New("the shard has no checkpoint to export yet")

// Export begins an export of the current checkpoint. Close it; one that is not used for [Options.ExportIdle] closes itself
// when the next checkpoint or export comes. Errors: [ErrNoCheckpoint], [ErrTooManyExports].
func (sh *Shard) Export() (*Export, error) {
	s := sh.store
	if err := errors.Join(sh.usable(), s.expireExports()); err != nil {
		return nil, err
	}
	e, err := s.newExport(sh)
	if err != nil {
		return nil, err
	}
	if err := e.begin(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// newExport takes one of the places for exports.
func (s *Store) newExport(sh *Shard) (*Export, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.exports) >= maxExports {
		return nil, ErrTooManyExports
	}
	now := s.opts.Now()
	e := &Export{ID: s.exportID(now), shard: sh, used: now, starts: []place{{dbState, shardKey(sh.id, 0)}}}
	s.exports[e] = struct{}{}
	return e, nil
}

// begin fixes what is exported.
func (e *Export) begin() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.snapshot = e.shard.store.state.NewSnapshot()
	meta, err := readSmall(e.shard, e.snapshot, kindMeta, readMeta)
	if err != nil {
		return err
	}
	if meta == nil {
		return fmt.Errorf("shard %d: %w", e.shard.id, ErrNoCheckpoint)
	}
	e.Meta = *meta
	return nil
}

// exportID is unique within this disk, across restarts, as long as the clock does not run backwards by more than the time
// between two exports; a follower that met a stale one would see a checksum of another chunk and begin anew.
func (s *Store) exportID(now time.Time) uint64 {
	s.lastExport = max(s.lastExport+1, uint64(now.UnixNano()))
	return s.lastExport
}

// expireExports closes the exports nobody reads any more.
func (s *Store) expireExports() error {
	s.mu.Lock()
	open := make([]*Export, 0, len(s.exports))
	for e := range s.exports {
		open = append(open, e)
	}
	s.mu.Unlock()
	var errs []error
	for _, e := range open {
		if e.idle() > s.opts.ExportIdle {
			errs = append(errs, e.Close())
		}
	}
	return errors.Join(errs...)
}

func (e *Export) idle() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shard.store.opts.Now().Sub(e.used)
}

// closeExports ends the exports of one shard, whose data is about to go; of all shards when sh is nil.
func (s *Store) closeExports(sh *Shard) error {
	s.mu.Lock()
	var open []*Export
	for e := range s.exports {
		if sh == nil || e.shard == sh {
			open = append(open, e)
		}
	}
	s.mu.Unlock()
	var errs []error
	for _, e := range open {
		errs = append(errs, e.Close())
	}
	return errors.Join(errs...)
}

// Close releases what the export holds on to. Closing twice is no error.
func (e *Export) Close() error {
	s := e.shard.store
	s.mu.Lock()
	delete(s.exports, e)
	s.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	snapshot := e.snapshot
	if e.snapshot = nil; snapshot == nil {
		return nil
	}
	if err := snapshot.Close(); err != nil {
		return fmt.Errorf("closing the snapshot of an export: %w", err)
	}
	return nil
}

// Chunk returns chunk n, counted from 0, of about [Options.ChunkBytes], and whether it is the last. n may be at most one
// beyond those asked for so far. After the export has expired: [ErrExportExpired].
func (e *Export) Chunk(n uint32) (data []byte, last bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.snapshot == nil {
		return nil, false, ErrExportExpired
	}
	if err := e.shard.store.alive(); err != nil {
		return nil, false, err
	}
	if int64(n) >= int64(len(e.starts)) {
		return nil, false, fmt.Errorf("chunk %d of an export is asked for, but only %d can be: ask for them in order", n, len(e.starts))
	}
	e.used = e.shard.store.opts.Now()
	b := appendChunkHead(make([]byte, 0, e.shard.store.opts.ChunkBytes+4<<10), e.ID, n)
	b, next, err := e.fill(b, e.starts[n])
	if err != nil {
		return nil, false, fmt.Errorf("chunk %d of an export of shard %d: %w", n, e.shard.id, err)
	}
	if next == nil {
		b[chunkLast] = 1
	} else if int(n)+1 == len(e.starts) {
		e.starts = append(e.starts, *next)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), next == nil, nil
}

// fill appends rows from a place on until the chunk is full; next is nil when there are no more.
func (e *Export) fill(b []byte, from place) ([]byte, *place, error) {
	sh := e.shard
	if from.db == dbState {
		b, next, err := e.rows(b, e.snapshot, from, shardKey(sh.id, 0xff))
		if err != nil || next != nil {
			return b, next, err
		}
		return e.fill(b, place{dbLog, entryKey(nil, sh.id, 1)})
	}
	return e.rows(b, sh.store.log, from, entryKey(nil, sh.id, e.Meta.Index+1))
}

func (e *Export) rows(b []byte, r pebble.Reader, from place, end []byte) ([]byte, *place, error) {
	var next *place
	err := e.shard.scan(r, from.key, end, func(key, value []byte) error {
		if len(b) >= e.shard.store.opts.ChunkBytes {
			next = &place{from.db, append([]byte(nil), key...)}
			return errStop
		}
		b = append(b, from.db)
		b = appendText(appendText(b, key[2:]), value)
		return nil
	})
	return b, next, err
}

// A chunk: "HFX1", export, number, 1 if it is the last, rows, crc32c of all before. A row: database, key from the kind on, value.
const (
	chunkMagic = "HFX1"
	chunkLast  = 16
	chunkHead  = 17
)

func appendChunkHead(b []byte, export uint64, n uint32) []byte {
	b = append(b, chunkMagic...)
	b = binary.LittleEndian.AppendUint64(b, export)
	return append(binary.LittleEndian.AppendUint32(b, n), 0)
}

// ErrChunkDamaged is returned for a chunk that is not what the exporter sent, or of another export: ask for it again.
var ErrChunkDamaged = errors.New("the chunk is damaged or not the one wanted: ask for it again")

// chunk is a verified chunk.
type chunk struct {
	export uint64
	n      uint32
	last   bool
	rows   []byte
}

func readChunk(data []byte) (chunk, error) {
	if len(data) < chunkHead+4 || string(data[:4]) != chunkMagic {
		return chunk{}, fmt.Errorf("%w: %d bytes that do not begin as a chunk does", ErrChunkDamaged, len(data))
	}
	body, want := data[:len(data)-4], binary.LittleEndian.Uint32(data[len(data)-4:])
	if got := crc32.Checksum(body, castagnoli); got != want {
		return chunk{}, fmt.Errorf("%w: checksum %08x is not %08x", ErrChunkDamaged, got, want)
	}
	return chunk{
		export: binary.LittleEndian.Uint64(body[4:]), n: binary.LittleEndian.Uint32(body[12:]),
		last: body[chunkLast] == 1, rows: body[chunkHead:],
	}, nil
}

// each calls use with every row: the database, the key from the kind on, the value.
func (c *chunk) each(use func(db byte, key, value []byte) error) error {
	u := unpacker{b: c.rows}
	for len(u.b) > 0 {
		db := u.byte()
		key := u.take(u.count())
		value := u.take(u.count())
		if u.bad || len(key) == 0 || db != dbState && db != dbLog {
			return fmt.Errorf("%w: a row of chunk %d cannot be decoded", ErrChunkDamaged, c.n)
		}
		if err := use(db, key, value); err != nil {
			return err
		}
	}
	return nil
}
