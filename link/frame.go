package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"holdfast"
)

// A connection carries frames in one TLS stream, version 1. All numbers are big-endian.
//
//	offset size
//	0      4    CRC-32C of everything that follows in the frame
//	4      4    n, length of the payload, at most maxChunk
//	8      1    kind
//	9      1    flags: bits 0-1 lane, bit 2 first piece, bit 3 last piece
//	10     2    shard, 0 when the kind has none
//	12     8    sequence of the message within (sender's incarnation, receiver, lane); 0: not numbered
//	20     n    payload
//
// A message that fits into one frame has both flags. A longer one is cut into pieces, all of the same kind, lane, shard and
// sequence, one after another within its lane; the payload of the first piece starts with the length of the whole message
// (4 bytes). Frames of other lanes may stand between them. A message may be broken off, because it has come over another
// carrier meanwhile: then the next one of the lane begins.
//
// Messages:
//
//	hello  "HFL" 0, version (2), from (2), to (2), carrier (2), incarnation (8), program version (the rest)
//	ping   stamp (8): returned as it is
//	pong   stamp (8; 0: nobody asked), bytes of frames taken from this connection so far (8)
//	raft   payload for the shard
//	call   id (8), budget in microseconds (4), length of method (1), method, payload
//	reply  id (8), verdict (1), then: answered: payload; failed: code (2), text; busy: nothing
//	void   nothing of meaning: a call that was withdrawn before it was sent
//
// Who dials says hello first; who accepts says hello back, or closes. After that the dialling side sends everything but
// pongs, and the accepting side sends pongs only. So between two sites there are two connections per carrier, and the reply
// to a call travels on the connection that the replying site has dialled.
const (
	version     = 1
	headerBytes = 20
	bufferBytes = 64 << 10
	maxChunk    = bufferBytes - headerBytes
)

type kind uint8

const (
	kindHello kind = iota + 1
	kindPing
	kindPong
	kindRaft
	kindCall
	kindReply
	kindVoid
	kindEnd // one beyond the last
)

// lane is the class of a frame: lower ones leave first.
type lane uint8

const (
	laneControl lane = iota
	laneInteractive
	laneBulk
	lanes
)

const (
	flagLane  = 0b11
	flagFirst = 1 << 2
	flagLast  = 1 << 3
	flagsAll  = flagLane | flagFirst | flagLast
	flagWhole = flagFirst | flagLast
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	// errBadFrame says that the stream makes no sense from here on.
	errBadFrame = errors.New("malformed frame")
)

// frame is one frame as read; the payload points into the buffer it was read from.
type frame struct {
	kind    kind
	lane    lane
	flags   uint8
	shard   holdfast.ShardID
	seq     uint64
	payload []byte
}

// appendFrame appends a frame whose payload is made of two parts.
func appendFrame(b []byte, f frame, head, body []byte) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(head)+len(body)))
	b = append(b, byte(f.kind), byte(f.lane)|f.flags)
	b = binary.BigEndian.AppendUint16(b, uint16(f.shard))
	b = binary.BigEndian.AppendUint64(b, f.seq)
	b = append(b, head...)
	b = append(b, body...)
	seal(b[start:])
	return b
}

// seal writes the checksum of a whole frame.
func seal(b []byte) {
	binary.BigEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
}

// parseFrame reads the frame at the start of b and returns its length, which is 0 when b ends before the frame does.
func parseFrame(b []byte) (f frame, size int, err error) {
	if len(b) < headerBytes {
		return frame{}, 0, nil
	}
	n := binary.BigEndian.Uint32(b[4:])
	if n > maxChunk {
		return frame{}, 0, fmt.Errorf("%w: a payload of %d bytes, at most %d are allowed", errBadFrame, n, maxChunk)
	}
	if size = headerBytes + int(n); len(b) < size {
		return frame{}, 0, nil
	}
	b = b[:size]
	if got, want := crc32.Checksum(b[4:], castagnoli), binary.BigEndian.Uint32(b); got != want {
		return frame{}, 0, fmt.Errorf("%w: checksum %08x, want %08x", errBadFrame, got, want)
	}
	f = frame{
		kind: kind(b[8]), lane: lane(b[9] & flagLane), flags: b[9] &^ flagLane,
		shard: holdfast.ShardID(binary.BigEndian.Uint16(b[10:])), seq: binary.BigEndian.Uint64(b[12:]), payload: b[headerBytes:],
	}
	if f.kind == 0 || f.kind >= kindEnd || f.lane >= lanes || b[9]&^flagsAll != 0 {
		return frame{}, 0, fmt.Errorf("%w: kind %d, flags %08b", errBadFrame, f.kind, b[9])
	}
	return f, size, nil
}

// countFrames counts the frames in whole frames.
func countFrames(b []byte) (n uint64) {
	for ; len(b) > 0; n++ {
		b = b[headerBytes+binary.BigEndian.Uint32(b[4:]):]
	}
	return n
}

// assembler puts the pieces of long messages together, one message per lane at a time.
type assembler struct {
	partial [lanes][]byte
	header  [lanes]frame
}

// breakOff forgets what there is of a message.
func (a *assembler) breakOff(l lane) { a.partial[l] = nil }

// add takes a frame and returns the payload of the message that it completes; whole is false when more
// is to come. The payload of a message in one frame is that of the frame, that of a longer one belongs to the caller.
func (a *assembler) add(f frame) (payload []byte, whole bool, err error) {
	p := &a.partial[f.lane]
	if f.flags&flagFirst != 0 {
		a.breakOff(f.lane)
		if f.flags&flagLast != 0 {
			return f.payload, true, nil
		}
		return nil, false, a.begin(f)
	}
	h := &a.header[f.lane]
	if *p == nil || h.kind != f.kind || h.shard != f.shard || h.seq != f.seq {
		return nil, false, fmt.Errorf("%w: a piece without a beginning", errBadFrame)
	}
	if len(*p)+len(f.payload) > cap(*p) {
		return nil, false, fmt.Errorf("%w: a message is longer than it said (%d bytes)", errBadFrame, cap(*p))
	}
	*p = append(*p, f.payload...)
	if f.flags&flagLast == 0 {
		return nil, false, nil
	}
	if payload = *p; len(payload) != cap(payload) {
		return nil, false, fmt.Errorf("%w: a message of %d bytes, it said %d", errBadFrame, len(payload), cap(payload))
	}
	*p = nil
	return payload, true, nil
}

func (a *assembler) begin(f frame) error {
	if len(f.payload) < 4 {
		return fmt.Errorf("%w: a first piece without the length of the message", errBadFrame)
	}
	total, piece := binary.BigEndian.Uint32(f.payload), f.payload[4:]
	if total > MaxPayload+maxCallHead || uint64(len(piece)) >= uint64(total) {
		return fmt.Errorf("%w: a message of %d bytes starts with a piece of %d", errBadFrame, total, len(piece))
	}
	whole := make([]byte, total) // of exactly this size, so that its capacity is the length announced
	a.partial[f.lane] = append(whole[:0:total], piece...)
	a.header[f.lane] = f
	a.header[f.lane].payload = nil
	return nil
}

// hello opens a connection.
type hello struct {
	version     uint16
	from, to    holdfast.SiteID
	carrier     uint16
	incarnation uint64
	program     string
}

const (
	helloMagic   = "HFL\x00"
	helloBytes   = len(helloMagic) + 2 + 2 + 2 + 2 + 8
	maxProgram   = 100
	maxCallHead  = 8 + 4 + 1 + MaxMethod
	callFixed    = 8 + 4 + 1
	replyFixed   = 8 + 1
	pongBytes    = 8 + 8
	pingBytes    = 8
	maxErrorText = 1000
)

func (h hello) append(b []byte) []byte {
	b = append(b, helloMagic...)
	b = binary.BigEndian.AppendUint16(b, h.version)
	b = binary.BigEndian.AppendUint16(b, uint16(h.from))
	b = binary.BigEndian.AppendUint16(b, uint16(h.to))
	b = binary.BigEndian.AppendUint16(b, h.carrier)
	b = binary.BigEndian.AppendUint64(b, h.incarnation)
	return append(b, h.program[:min(len(h.program), maxProgram)]...)
}

func parseHello(f frame) (hello, error) {
	p := f.payload
	fits := f.flags == flagWhole && len(p) >= helloBytes && len(p) <= helloBytes+maxProgram
	if f.kind != kindHello || !fits || string(p[:len(helloMagic)]) != helloMagic {
		return hello{}, fmt.Errorf("%w: want a hello", errBadFrame)
	}
	return hello{
		version: binary.BigEndian.Uint16(p[4:]), from: holdfast.SiteID(binary.BigEndian.Uint16(p[6:])),
		to: holdfast.SiteID(binary.BigEndian.Uint16(p[8:])), carrier: binary.BigEndian.Uint16(p[10:]),
		incarnation: binary.BigEndian.Uint64(p[12:]), program: string(p[helloBytes:]),
	}, nil
}

// callHead is what stands before the payload of a call.
type callHead struct {
	id     uint64
	budget uint32 // microseconds
	method string
}

func (c callHead) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, c.id)
	b = binary.BigEndian.AppendUint32(b, c.budget)
	b = append(b, byte(len(c.method)))
	return append(b, c.method...)
}

func parseCall(p []byte) (c callHead, payload []byte, err error) {
	if len(p) < callFixed || len(p) < callFixed+int(p[12]) || p[12] > MaxMethod {
		return callHead{}, nil, fmt.Errorf("%w: a call that ends in its head", errBadFrame)
	}
	payload = p[callFixed+int(p[12]):]
	return callHead{
		id: binary.BigEndian.Uint64(p), budget: binary.BigEndian.Uint32(p[8:]), method: string(p[callFixed : callFixed+int(p[12])]),
	}, payload, nil
}

// verdict is how a call ended over there.
type verdict uint8

const (
	verdictAnswered verdict = iota + 1
	verdictFailed
	verdictBusy
)

func parseReply(p []byte) (id uint64, v verdict, rest []byte, err error) {
	if len(p) < replyFixed {
		return 0, 0, nil, fmt.Errorf("%w: a reply that ends in its head", errBadFrame)
	}
	v, rest = verdict(p[8]), p[replyFixed:]
	if v == 0 || v > verdictBusy || v == verdictFailed && len(rest) < 2 {
		return 0, 0, nil, fmt.Errorf("%w: a reply with verdict %d", errBadFrame, v)
	}
	return binary.BigEndian.Uint64(p), v, rest, nil
}

// window remembers which sequences of urgent messages have been seen, so that a message that comes over several carriers is taken
// once. What is older than the window counts as seen.
type window struct {
	top  uint64 // the largest seen
	bits [windowBits / 64]uint64
}

const windowBits = 1 << 16

// fresh reports whether the sequence is new, and marks it as seen. Sequence 0 is always fresh.
func (w *window) fresh(seq uint64) bool {
	if seq == 0 {
		return true
	}
	if seq > w.top {
		w.advance(seq)
	} else if w.top-seq >= windowBits {
		return false
	}
	word, bit := &w.bits[seq%windowBits/64], uint64(1)<<(seq%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}

// advance moves the top and clears the bits of the sequences between.
func (w *window) advance(to uint64) {
	if to-w.top >= windowBits {
		clear(w.bits[:])
	} else {
		for seq := w.top + 1; seq <= to; seq++ {
			w.bits[seq%windowBits/64] &^= 1 << (seq % 64)
		}
	}
	w.top = to
}
