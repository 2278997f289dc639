package slot

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"holdfast/transit"
)

func notes() []Note {
	return []Note{
		{Move: id(1), Stage: Leaving, Other: 2},
		{Move: id(2), Stage: Arriving, Other: 1, Asked: 7},
		{Move: id(3), Stage: Here, Other: 1000, Origins: []transit.Origin{{Shard: 3, Index: 1 << 40}, {Shard: 1, Index: 9}}, Asked: 1},
	}
}

func TestNoteSaysItAll(t *testing.T) {
	for _, n := range notes() {
		body := n.Append(nil)
		back, err := ReadNote(body)
		if err != nil || !reflect.DeepEqual(back, n) {
			t.Errorf("%+v is read as %+v, %v", n, back, err)
		}
		for cut := range len(body) {
			if _, err := ReadNote(body[:cut]); !errors.Is(err, ErrNote) {
				t.Errorf("%d of %d bytes are read: %v", cut, len(body), err)
			}
		}
	}
}

func FuzzNote(f *testing.F) {
	for _, n := range notes() {
		f.Add(n.Append(nil))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := ReadNote(body)
		if err != nil {
			return
		}
		if again := n.Append(nil); !bytes.Equal(again, body) {
			t.Errorf("%x is read, and written as %x", body, again)
		}
	})
}

// TestLeave: the latest stay in a shard counts, and a shard stands there once.
func TestLeave(t *testing.T) {
	list := Leave(Leave(Leave(nil, 1, 5), 2, 9), 1, 20)
	if want := []transit.Origin{{Shard: 2, Index: 9}, {Shard: 1, Index: 20}}; !slices.Equal(list, want) {
		t.Errorf("the slot was in %v, want %v", list, want)
	}
}
