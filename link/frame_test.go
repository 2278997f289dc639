package link

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func FuzzFrame(f *testing.F) {
	f.Add(appendFrame(nil, frame{kind: kindRaft, lane: laneInteractive, flags: flagWhole, shard: 3, seq: 9}, nil, []byte("payload")))
	f.Add(appendFrame(nil, frame{kind: kindHello, flags: flagWhole}, nil, hello{version: 1, from: 1, to: 2, program: "v1"}.append(nil)))
	f.Add(appendFrame(nil, frame{kind: kindCall, flags: flagWhole}, callHead{id: 1, budget: 1000, method: "submit"}.append(nil), []byte("body")))
	f.Add(appendFrame(nil, frame{kind: kindReply, flags: flagWhole}, make([]byte, 8), []byte{2, 0, 7, 'n', 'o'}))
	f.Add(appendFrame(appendFrame(nil, frame{kind: kindRaft, lane: laneBulk, flags: flagFirst}, []byte{0, 0, 0, 5}, []byte("hel")),
		frame{kind: kindRaft, lane: laneBulk, flags: flagLast}, nil, []byte("lo")))
	f.Fuzz(func(t *testing.T, data []byte) {
		var a assembler
		for rest := data; ; {
			fr, size, err := parseFrame(rest)
			if err != nil && !errors.Is(err, errBadFrame) {
				t.Fatalf("unexpected kind of error: %v", err)
			}
			if size == 0 {
				return
			}
			again := appendFrame(nil, fr, nil, fr.payload)
			if !bytes.Equal(again, rest[:size]) {
				t.Fatalf("a frame read and written again differs:\n%x\n%x", rest[:size], again)
			}
			rest = rest[size:]
			payload, whole, err := a.add(fr)
			if err != nil {
				return
			}
			if whole {
				parseAny(t, fr, payload)
			}
		}
	})
}

// parseAny reads the payload as every kind of message; none may panic, and what can be read is written the same way.
func parseAny(t *testing.T, fr frame, payload []byte) {
	t.Helper()
	fr.payload = payload
	if h, err := parseHello(fr); err == nil && !bytes.Equal(h.append(nil), payload) {
		t.Fatalf("hello %+v does not read as it writes", h)
	}
	if c, body, err := parseCall(payload); err == nil && !bytes.Equal(append(c.append(nil), body...), payload) {
		t.Fatalf("call %+v does not read as it writes", c)
	}
	if _, v, rest, err := parseReply(payload); err == nil && (v == 0 || len(rest) > len(payload)) {
		t.Fatalf("reply with verdict %d", v)
	}
}

func TestFrameDamageIsFound(t *testing.T) {
	good := appendFrame(nil, frame{kind: kindRaft, lane: laneInteractive, flags: flagWhole, shard: 3, seq: 9}, []byte("pay"), []byte("load"))
	for i := range good {
		for bit := range 8 {
			bad := slices.Clone(good)
			bad[i] ^= 1 << bit
			if fr, size, err := parseFrame(bad); err == nil && size > 0 {
				t.Fatalf("byte %d, bit %d flipped, and the frame was taken: %+v", i, bit, fr)
			}
		}
	}
	for n := range good {
		if _, size, err := parseFrame(good[:n]); size != 0 || err != nil {
			t.Fatalf("%d of %d bytes: size %d, %v; want to be told to read on", n, len(good), size, err)
		}
	}
}

func TestAssembler(t *testing.T) {
	piece := func(flags uint8, seq uint64, payload string) frame {
		return frame{kind: kindRaft, lane: laneBulk, flags: flags, shard: 1, seq: seq, payload: []byte(payload)}
	}
	rows := []struct {
		name   string
		pieces []frame
		want   string // "" is an error
	}{
		{"whole", []frame{piece(flagWhole, 1, "abc")}, "abc"},
		{"three", []frame{piece(flagFirst, 1, "\x00\x00\x00\x05ab"), piece(0, 1, "cd"), piece(flagLast, 1, "e")}, "abcde"},
		{"too long", []frame{piece(flagFirst, 1, "\x00\x00\x00\x03ab"), piece(flagLast, 1, "cd")}, ""},
		{"too short", []frame{piece(flagFirst, 1, "\x00\x00\x00\x05ab"), piece(flagLast, 1, "cd")}, ""},
		{"no beginning", []frame{piece(flagLast, 1, "cd")}, ""},
		{"another's piece", []frame{piece(flagFirst, 1, "\x00\x00\x00\x04ab"), piece(flagLast, 2, "cd")}, ""},
		{"broken off", []frame{piece(flagFirst, 1, "\x00\x00\x00\x04ab"), piece(flagFirst, 2, "\x00\x00\x00\x04cd"), piece(flagLast, 2, "ef")}, "cdef"},
		{"goes on after being broken off", []frame{piece(flagFirst, 1, "\x00\x00\x00\x04ab"), piece(flagWhole, 2, "x"), piece(flagLast, 1, "cd")}, ""},
		{"huge", []frame{piece(flagFirst, 1, "\xff\xff\xff\xffab")}, ""},
		{"no length", []frame{piece(flagFirst, 1, "ab")}, ""},
	}
	for _, row := range rows {
		var a assembler
		var got string
		var failed error
		for _, f := range row.pieces {
			payload, whole, err := a.add(f)
			if failed = err; err != nil {
				break
			}
			if whole {
				got = string(payload)
			}
		}
		if (failed != nil) != (row.want == "") || failed == nil && got != row.want {
			t.Errorf("%s: %q, %v; want %q", row.name, got, failed, row.want)
		}
	}
}

func TestWindow(t *testing.T) {
	var w window
	steps := []struct {
		seq   uint64
		fresh bool
	}{
		{0, true},
		{0, true},
		{1, true},
		{1, false},
		{3, true},
		{2, true},
		{2, false},
		{3, false},
		{100_000, true},
		{3, false},
		{100_000 - windowBits, false},
		{100_000 - windowBits + 1, true},
		{99_999, true},
		{99_999, false},
		{100_000 + windowBits, true},
		{100_001, true},
		{100_001, false},
		{1 << 60, true},
		{1<<60 - 1, true},
		{100_002, false},
	}
	for i, s := range steps {
		if got := w.fresh(s.seq); got != s.fresh {
			t.Errorf("step %d: sequence %d fresh %v, want %v", i, s.seq, got, s.fresh)
		}
	}
}

func TestHelloRoundTrip(t *testing.T) {
	h := hello{version: 1, from: 2, to: 3, carrier: 1, incarnation: 1 << 63, program: "v1.2.3"}
	fr, _, err := parseFrame(appendFrame(nil, frame{kind: kindHello, flags: flagWhole}, nil, h.append(nil)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := parseHello(fr); err != nil || got != h {
		t.Errorf("got %+v, %v; want %+v", got, err, h)
	}
	if _, err := parseHello(frame{kind: kindHello, flags: flagWhole, payload: []byte("GET / HTTP/1.1\r\n\r\n")}); err == nil {
		t.Error("a request of another protocol was taken for a hello")
	}
}
