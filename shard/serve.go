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

	methodHealth   = methodPrefix + "health"   // nothing -> Health of the site's disk
	methodStanding = methodPrefix + "standing" // shard -> Standing
	methodOpinion  = methodPrefix + "opinion"  // shard, Opinion of who asks -> Opinion
	methodClock    = methodPrefix + "clock"    // nothing -> the site's clock, believed or not
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
	switch method {
	case methodHealth:
		return h.health().Append(nil), nil
	case methodClock:
		return binary.BigEndian.AppendUint64(nil, uint64(h.config.Wall())), nil
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
		if _, _, err := e.Chunk(0); err == nil && e.Meta.Index > applied {
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

func (x *exports) find(key exportKey, id uint64) *store.Export {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.open[key]; e != nil && e.ID == id {
		return e
	}
	return nil
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

func (s *seat) serveChunk(from holdfast.SiteID, payload []byte) ([]byte, error) {
	if len(payload) != 12 {
		return nil, fmt.Errorf("%s: %w", methodChunk, errShortCall)
	}
	id, n := binary.BigEndian.Uint64(payload), binary.BigEndian.Uint32(payload[8:])
	e := s.host.exp.find(exportKey{s.id, from}, id)
	if e == nil {
		return nil, store.ErrExportExpired
	}
	data, last, err := e.Chunk(n)
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

// senders are the sites to ask for a checkpoint, in turn: the one that offers it, and nobody else, for what was fetched of one checkpoint
// is of no use for that of another site. But when the last that it sent contradicted itself, the other voters come first.
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
	answer, err := s.ask(ctx, from, methodExport, binary.BigEndian.AppendUint64(appendShard(nil, s.id), applied))
	if err != nil {
		return nil, err
	}
	if len(answer) != 24 {
		return nil, fmt.Errorf("%s of site %d: answer of %d bytes", methodExport, from, len(answer))
	}
	id := binary.BigEndian.Uint64(answer)
	p := &pulled{from: from, index: binary.BigEndian.Uint64(answer[8:]), term: binary.BigEndian.Uint64(answer[16:])}
	if p.index <= applied {
		return nil, fmt.Errorf("the checkpoint of site %d is at entry %d, and %d is applied here", from, p.index, applied)
	}
	if p.data, err = s.shard.Import(id); err != nil {
		return nil, fmt.Errorf("resuming the import: %w", err)
	}
	for !p.data.Complete() {
		n := p.data.Next()
		request := binary.BigEndian.AppendUint64(appendShard(nil, s.id), id)
		chunk, err := s.ask(ctx, from, methodChunk, binary.BigEndian.AppendUint32(request, n))
		if err != nil {
			return nil, fmt.Errorf("chunk %d: %w", n, err)
		}
		if len(chunk) < 1 {
			return nil, fmt.Errorf("chunk %d: %w", n, errShortCall)
		}
		if err := p.data.Put(chunk[1:]); err != nil {
			return nil, fmt.Errorf("chunk %d: %w", n, err)
		}
	}
	return p, nil
}
