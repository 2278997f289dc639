package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"holdfast/ledger"
)

// Export is a consistent copy of a checkpoint and its journal in numbered chunks, for a replica that is too far behind. The
// chunks of one Export are the same however often they are asked for.
type Export struct {
	// ID tells the exported checkpoint from others; part of every chunk. It is the same whenever this replica exports this checkpoint, also
	// after a restart: so what was fetched of it is not fetched again.
	ID   uint64
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
	e := &Export{shard: sh, used: s.opts.Now(), starts: []place{{dbLog, entryKey(nil, sh.id, 1)}}}
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
	e.ID = e.identify()
	return nil
}

// identify names what is exported: two replicas cut the same history into different rows, and what was wiped and fetched again is another
// replica; the size of chunks counts, because they have numbers.
func (e *Export) identify() uint64 {
	h := fnv.New64a()
	var b []byte
	for _, n := range [...]uint64{
		e.shard.Identity().Replica, e.Meta.Index, e.Meta.Term, e.Meta.Digest, uint64(e.Meta.Time), uint64(e.shard.store.opts.ChunkBytes),
	} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	h.Write(b) // never fails
	return h.Sum64()
}

// Size is about how many bytes the chunks of the state and those of the journal come to: what they take on the disk here, where nothing is
// compressed, and what the log still has in memory only.
func (e *Export) Size() (state, journal uint64, err error) {
	sh := e.shard
	if err := sh.store.alive(); err != nil {
		return 0, 0, err
	}
	state, err = sh.store.state.EstimateDiskUsage(shardKey(sh.id, 0), shardKey(sh.id, 0xff))
	if err == nil {
		journal, err = sh.store.log.EstimateDiskUsage(entryKey(nil, sh.id, 1), entryKey(nil, sh.id, e.Meta.Index))
	}
	if err != nil {
		return 0, 0, fmt.Errorf("the size of an export of shard %d: %w", sh.id, err)
	}
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return state, journal + uint64(sh.tail.bytes), nil
}

// Use reports whether the export is open, and keeps it so for another [Options.ExportIdle].
func (e *Export) Use() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.used = e.shard.store.opts.Now()
	return e.snapshot != nil
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

// Chunk returns chunk n, counted from 0, of about [Options.ChunkBytes], and whether it is the last. After the export has expired:
// [ErrExportExpired].
func (e *Export) Chunk(n uint32) (data []byte, last bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for int64(n) >= int64(len(e.starts)) { // it began before a restart here: find again where its chunks begin
		if _, last, err := e.next(); err != nil || last {
			return nil, false, errors.Join(err, fmt.Errorf("chunk %d of an export is asked for, which has only %d", n, len(e.starts)))
		}
	}
	if int(n) == len(e.starts)-1 {
		return e.next()
	}
	data, next, err := e.cut(n, e.starts[n])
	return data, next == nil, err
}

// next cuts the last chunk whose beginning is known, and learns where the next one begins.
func (e *Export) next() (data []byte, last bool, err error) {
	n := len(e.starts) - 1
	data, next, err := e.cut(uint32(n), e.starts[n])
	if next != nil {
		e.starts = append(e.starts, *next)
	}
	return data, next == nil, err
}

// ChunkAt returns the chunk that begins at a place, see [Import.Place], as number n.
func (e *Export) ChunkAt(n uint32, at []byte) (data []byte, last bool, err error) {
	from, err := e.placeOf(at)
	if err != nil {
		return nil, false, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	data, next, err := e.cut(n, from)
	return data, next == nil, err
}

// placeOf reads what [Import.Place] has written.
func (e *Export) placeOf(at []byte) (place, error) {
	if len(at) == 0 {
		return place{dbLog, entryKey(nil, e.shard.id, 1)}, nil
	}
	if len(at) < 2 || at[0] != dbState && at[0] != dbLog || at[0] == dbLog && at[1] != kindEntry || at[1] == 0xff {
		return place{}, fmt.Errorf("a chunk is asked for from a place that is none: %.40x", at)
	}
	return place{at[0], append(appendKey(nil, e.shard.id, at[1]), at[2:]...)}, nil
}

// cut makes the chunk n that begins at a place; next is nil when it is the last.
func (e *Export) cut(n uint32, from place) (data []byte, next *place, err error) {
	if e.snapshot == nil {
		return nil, nil, ErrExportExpired
	}
	if err := e.shard.store.alive(); err != nil {
		return nil, nil, err
	}
	e.used = e.shard.store.opts.Now()
	b := appendChunkHead(make([]byte, 0, e.shard.store.opts.ChunkBytes+4<<10), e.ID, n)
	b, next, err = e.fill(b, from)
	if err != nil {
		return nil, nil, fmt.Errorf("chunk %d of an export of shard %d: %w", n, e.shard.id, err)
	}
	if next == nil {
		b[chunkLast] = 1
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), next, nil
}

// fill appends rows from a place on until the chunk is full; next is nil when there are no more. The journal comes first and shares no chunk
// with the state: its entries are the same everywhere, so that they stay of use when the rest has to come from somebody else.
func (e *Export) fill(b []byte, from place) ([]byte, *place, error) {
	sh := e.shard
	if from.db == dbLog {
		head := len(b)
		b, next, err := e.rows(b, sh.store.log, from, entryKey(nil, sh.id, e.Meta.Index+1))
		if err != nil || next != nil {
			return b, next, err
		}
		from = place{dbState, shardKey(sh.id, 0)}
		if len(b) > head {
			return b, &from, nil
		}
	}
	return e.rows(b, e.snapshot, from, shardKey(sh.id, 0xff))
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

// span is what a chunk holds.
type span struct {
	first, last uint64 // entries of the journal; 0: none
	state       bool   // it has rows of the state
	end         []byte // the database and the key, from the kind on, of its last row
}

// span reads the keys of a chunk. Its entries follow each other.
func (c *chunk) span() (s span, err error) {
	err = c.each(func(db byte, key, _ []byte) error {
		s.end = append(append(s.end[:0], db), key...)
		if db == dbState {
			s.state = true
			return nil
		}
		if len(key) != 1+8 || key[0] != kindEntry {
			return fmt.Errorf("%w: the journal of chunk %d has the key %.40x", ErrChunkDamaged, c.n, key)
		}
		index := binary.BigEndian.Uint64(key[1:])
		if s.first == 0 {
			s.first = index
		} else if index != s.last+1 {
			return fmt.Errorf("%w: entry %d follows entry %d in chunk %d", ErrChunkDamaged, index, s.last, c.n)
		}
		s.last = index
		return nil
	})
	return s, err
}
