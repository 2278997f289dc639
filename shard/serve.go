package shard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast"
	"holdfast/store"
)

// Methods by which hosts ask each other. Their payloads are in the functions that append them.
const (
	methodPrefix = "shard."
	methodBirth  = methodPrefix + "birth"  // shard -> Report
	methodJoin   = methodPrefix + "join"   // shard, replica -> nothing; the leader adds it as a learner
	methodExport = methodPrefix + "export" // shard, applied -> export id, index, term
	methodChunk  = methodPrefix + "chunk"  // shard, export id, number -> last, data
	methodCopy   = methodPrefix + "copy"   // shard, export id -> about how many bytes of state and of journal
	methodPart   = methodPrefix + "part"   // shard, export id, number, place -> last, data: a chunk that begins at a place

	methodHealth   = methodPrefix + "health"   // nothing -> Health of the site's disk
	methodStanding = methodPrefix + "standing" // shard -> Standing
	methodOpinion  = methodPrefix + "opinion"  // shard, Opinion of who asks -> Opinion
	methodPast     = methodPrefix + "past"     // shard, time -> one of pastClosed, pastYetToCome; the leader answers
)

// Serves reports whether a method of the link is for [Host.Serve].
func Serves(method string) bool { return strings.HasPrefix(method, methodPrefix) }

var errShortCall = errors.New("the request is cut short")

func appendShard(b []byte, id holdfast.ShardID) []byte {
	return binary.BigEndian.AppendUint16(b, uint16(id))
}

func appendJoin(b []byte, id holdfast.ShardID, replica ReplicaID) []byte {
	return binary.BigEndian.AppendUint64(appendShard(b, id), uint64(replica))
}

// Serve answers another site's Host. Every error may be repeated.
func (h *Host) Serve(ctx context.Context, from holdfast.SiteID, method string, payload []byte) ([]byte, error) {
	if method == methodHealth {
		return h.health().Append(nil), nil
	}
	if len(payload) < 2 {
		return nil, fmt.Errorf("%s: %w", method, errShortCall)
	}
	s, err := h.seat(holdfast.ShardID(binary.BigEndian.Uint16(payload)))
	if err != nil {
		return nil, err
	}
	payload = payload[2:]
	switch method {
	case methodBirth:
		return s.serveBirth()
	case methodStanding:
		return s.standing(ctx).Append(nil), nil
	case methodOpinion:
		return s.serveOpinion(from, payload)
	case methodJoin:
		return nil, s.serveJoin(ctx, from, payload)
	case methodPast:
		return s.servePast(ctx, payload)
	}
	if l := s.life.Load(); l == nil || l.machine.Doubted() {
		return nil, fmt.Errorf("%s: %w", method, s.absent()) // what it would teach may be wrong
	}
	switch method {
	case methodExport:
		return s.serveExport(from, payload)
	case methodChunk:
		return s.serveChunk(from, payload)
	case methodCopy:
		return s.serveCopy(from, payload)
	case methodPart:
		return s.servePart(from, payload)
	}
	return nil, fmt.Errorf("method %q is unknown here: is that site of a newer version?", method)
}

func (s *seat) serveJoin(ctx context.Context, from holdfast.SiteID, payload []byte) error {
	if len(payload) != 8 {
		return fmt.Errorf("%s: %w", methodJoin, errShortCall)
	}
	id := ReplicaID(binary.BigEndian.Uint64(payload))
	return s.do(ctx, func(r *Replica) error { return r.Admit(id, from) })
}

// exports are the checkpoints that are being fetched from here, one per site and shard, so that a follower who was
// interrupted, or crashed, goes on with the one it had begun.
type exports struct {
	mu   sync.Mutex
	open map[exportKey]*store.Export
}

type exportKey struct {
	shard holdfast.ShardID
	site  holdfast.SiteID
}

func (x *exports) init() { x.open = map[exportKey]*store.Export{} }

func (x *exports) closeAll() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for key, e := range x.open {
		_ = e.Close() // only releases a snapshot; the store reports its own failures
		delete(x.open, key)
	}
}

// begin returns the export that is under way for a follower, or a new one if that would not bring it forward.
func (x *exports) begin(s *seat, to holdfast.SiteID, applied uint64) (*store.Export, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	key := exportKey{s.id, to}
	if e := x.open[key]; e != nil {
		if e.Use() && e.Meta.Index > applied {
			return e, nil
		}
		_ = e.Close() // expired or of no use; closing only releases it
		delete(x.open, key)
	}
	e, err := s.shard.Export()
	if err != nil {
		return nil, fmt.Errorf("exporting shard %d: %w", s.id, err)
	}
	x.open[key] = e
	return e, nil
}

// find returns an export that was begun. It may have been before this process started: then it is begun again, if the checkpoint is still
// the same.
func (x *exports) find(s *seat, to holdfast.SiteID, id uint64) (*store.Export, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	key := exportKey{s.id, to}
	if e := x.open[key]; e != nil && e.ID == id && e.Use() {
		return e, nil
	} else if e != nil {
		return nil, store.ErrExportExpired
	}
	e, err := s.shard.Export()
	if err != nil {
		return nil, fmt.Errorf("exporting shard %d: %w", s.id, err)
	}
	if e.ID != id {
		return nil, errors.Join(store.ErrExportExpired, e.Close())
	}
	x.open[key] = e
	return e, nil
}

func (s *seat) serveExport(from holdfast.SiteID, payload []byte) ([]byte, error) {
	if len(payload) != 8 {
		return nil, fmt.Errorf("%s: %w", methodExport, errShortCall)
	}
	e, err := s.host.exp.begin(s, from, binary.BigEndian.Uint64(payload))
	if err != nil {
		return nil, err
	}
	b := binary.BigEndian.AppendUint64(nil, e.ID)
	b = binary.BigEndian.AppendUint64(b, e.Meta.Index)
	return binary.BigEndian.AppendUint64(b, e.Meta.Term), nil
}

// serveCopy says how large an export is. It has a method of its own because sites of earlier versions refuse an answer of
// methodExport that has more than they know.
func (s *seat) serveCopy(from holdfast.SiteID, payload []byte) ([]byte, error) {
	if len(payload) != 8 {
		return nil, fmt.Errorf("%s: %w", methodCopy, errShortCall)
	}
	e, err := s.host.exp.find(s, from, binary.BigEndian.Uint64(payload))
	if err != nil {
		return nil, err
	}
	state, journal, err := e.Size()
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, state), journal), err
}

func (s *seat) serveChunk(from holdfast.SiteID, payload []byte) ([]byte, error) {
	if len(payload) != 12 {
		return nil, fmt.Errorf("%s: %w", methodChunk, errShortCall)
	}
	return s.chunkOf(from, payload, func(e *store.Export, n uint32) ([]byte, bool, error) { return e.Chunk(n) })
}

func (s *seat) servePart(from holdfast.SiteID, payload []byte) ([]byte, error) {
	if len(payload) < 12 {
		return nil, fmt.Errorf("%s: %w", methodPart, errShortCall)
	}
	return s.chunkOf(from, payload, func(e *store.Export, n uint32) ([]byte, bool, error) { return e.ChunkAt(n, payload[12:]) })
}

func (s *seat) chunkOf(from holdfast.SiteID, payload []byte, cut func(*store.Export, uint32) ([]byte, bool, error)) ([]byte, error) {
	id, n := binary.BigEndian.Uint64(payload), binary.BigEndian.Uint32(payload[8:])
	e, err := s.host.exp.find(s, from, id)
	if err != nil {
		return nil, err
	}
	data, last, err := cut(e, n)
	if err != nil {
		return nil, fmt.Errorf("chunk %d of the export of shard %d: %w", n, s.id, err)
	}
	b := make([]byte, 1, 1+len(data))
	if last {
		b[0] = 1
	}
	return append(b, data...), nil
}

// pulled is a checkpoint that has been fetched completely.
type pulled struct {
	offer Offer
	from  holdfast.SiteID // not always the one that offered it
	asked bool            // when it was begun, all others had been asked about the doubt that there was
	index uint64
	term  uint64
	data  *store.Import
}

// senders are the sites to ask for a checkpoint, in turn: the one that offers it, and nobody else, for the state that was fetched of one
// checkpoint is of no use for that of another site. But when the last that it sent contradicted itself, the other voters come first.
func (s *seat) senders(offers holdfast.SiteID, members Members) []holdfast.SiteID {
	if !slices.Contains(s.spoilt, offers) {
		return []holdfast.SiteID{offers}
	}
	var list []holdfast.SiteID
	for _, m := range members.List {
		if m.Role&Voter != 0 && m.Site != s.host.config.Site && !slices.Contains(s.spoilt, m.Site) {
			list = append(list, m.Site)
		}
	}
	return append(list, offers)
}

// spoiled is for a checkpoint that contradicts itself. Nothing was installed, so that says nothing of the disk here: the replica begins
// anew from what it has, and asks again.
func (s *seat) spoiled(p *pulled, err error) error {
	if !slices.Contains(s.spoilt, p.from) {
		s.spoilt = append(s.spoilt, p.from)
	}
	s.host.config.OnEvent(Event{
		Kind: EventSpoilt, Shard: s.id, Err: err,
		Text: fmt.Sprintf("the checkpoint that site %d has sent is not what it should be: nothing was installed, and it is fetched again, "+
			"from another site if one has it; if this repeats, look at the memory and the disk of both sites", p.from),
	})
	return p.data.Discard()
}

// startPull fetches a checkpoint beside everything else. Offers that come meanwhile are ignored.
func (s *seat) startPull(o Offer, from []holdfast.SiteID, applied uint64, asked bool) {
	if s.host.config.Call == nil || s.pulling.Swap(true) {
		return
	}
	var ctx context.Context
	ctx, s.stopPull = context.WithCancel(s.host.ctx)
	s.pulls.Add(1)
	s.host.spawn(func() {
		defer s.pulls.Done()
		defer s.pulling.Store(false)
		for _, site := range from {
			p, err := s.pull(ctx, site, applied)
			if err == nil {
				p.offer, p.asked = o, asked
				s.inbox.arrived(p)
				return
			}
			if errors.As(err, new(*store.ErrNoSpace)) {
				continue // that is said once, not at every offer
			}
			s.host.config.Logger.Warn("fetching a checkpoint was interrupted", "shard", s.id, "site", site, "err", err)
		}
		// The leader repeats its offer, and we go on where we stopped.
	})
}

// callTimeout is how long one chunk may take on its way.
const callTimeout = 5 * time.Second

func (s *seat) ask(ctx context.Context, site holdfast.SiteID, method string, payload []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return s.host.config.Call(ctx, site, method, payload)
}

func (s *seat) pull(ctx context.Context, from holdfast.SiteID, applied uint64) (*pulled, error) {
	if err := s.stillShort(from); err != nil {
		return nil, err
	}
	answer, err := s.ask(ctx, from, methodExport, binary.BigEndian.AppendUint64(appendShard(nil, s.id), applied))
	if err != nil {
		return nil, err
	}
	if len(answer) != 24 {
		return nil, fmt.Errorf("%s of site %d: answer of %d bytes", methodExport, from, len(answer))
	}
	p := &pulled{from: from, index: binary.BigEndian.Uint64(answer[8:]), term: binary.BigEndian.Uint64(answer[16:])}
	if p.index <= applied {
		return nil, fmt.Errorf("the checkpoint of site %d is at entry %d, and %d is applied here", from, p.index, applied)
	}
	about, err := s.describeCopy(ctx, from, store.Copy{Export: binary.BigEndian.Uint64(answer), Index: p.index})
	if err != nil {
		return nil, err
	}
	if p.data, err = s.shard.Import(about); err != nil {
		return nil, fmt.Errorf("resuming the import: %w", err)
	}
	for !p.data.Complete() {
		if err := s.fetchNext(ctx, from, about.Export, p.data); err != nil {
			return nil, fmt.Errorf("chunk %d: %w", p.data.Next(), s.shortOf(from, err))
		}
	}
	if err := p.data.Room(); err != nil { // for the tables; it stays complete meanwhile
		return nil, s.shortOf(from, err)
	}
	s.short.Store(nil)
	return p, nil
}

// describeCopy asks how large an export is. A site of an earlier version does not know the question, and gives chunks by number only. That
// is believed of it when it has failed to answer twice, because what was fetched from others is of no use then.
func (s *seat) describeCopy(ctx context.Context, from holdfast.SiteID, c store.Copy) (store.Copy, error) {
	answer, err := s.ask(ctx, from, methodCopy, binary.BigEndian.AppendUint64(appendShard(nil, s.id), c.Export))
	switch {
	case err == nil && len(answer) >= 16:
		s.silent = slices.DeleteFunc(s.silent, func(site holdfast.SiteID) bool { return site == from })
		c.State, c.Journal, c.Places = binary.BigEndian.Uint64(answer), binary.BigEndian.Uint64(answer[8:]), true
		return c, nil
	case slices.Contains(s.silent, from):
		return c, nil
	}
	if err == nil {
		err = errShortCall
	}
	s.silent = append(s.silent, from)
	return c, fmt.Errorf("the size of the checkpoint of site %d: %w", from, err)
}

// fetchNext gets one chunk, if there is room for it and for all that comes after it.
func (s *seat) fetchNext(ctx context.Context, from holdfast.SiteID, export uint64, im *store.Import) error {
	if err := im.Room(); err != nil {
		return err
	}
	request := binary.BigEndian.AppendUint64(appendShard(nil, s.id), export)
	request = binary.BigEndian.AppendUint32(request, im.Next())
	method := methodChunk
	if im.Places() {
		method, request = methodPart, append(request, im.Place()...)
	}
	chunk, err := s.ask(ctx, from, method, request)
	if err != nil {
		return err
	}
	if len(chunk) < 1 {
		return errShortCall
	}
	if err := im.Put(chunk[1:]); err != nil {
		return err
	}
	s.short.Store(nil)
	return nil
}
