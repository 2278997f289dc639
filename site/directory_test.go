package site

import (
	"os"
	"path/filepath"
	"testing"
)

// TestTheFileSaysHowManyShardsThereAre: what was written is read, and nothing else is.
func TestTheFileSaysHowManyShardsThereAre(t *testing.T) {
	c := Embedded(t.TempDir(), "127.0.0.1:8080")
	c.Shards = 2
	x, fresh, err := claimDirectory(&c)
	if err != nil || !fresh || x != (extent{2, 2, 2}) {
		t.Fatalf("an empty directory: %+v, %t, %v", x, fresh, err)
	}
	if first, now, ok := ShardsIn(t.TempDir()); ok {
		t.Errorf("an empty directory is of %d shards, %d at first", now, first)
	}
	for _, row := range []struct {
		text   string
		shards int
		want   extent // zero: it is refused
	}{
		{extent{2, 2, 2}.of(&c), 2, extent{2, 2, 2}},
		{extent{2, 2, 2}.of(&c), 3, extent{}},
		{extent{2, 2, 3}.of(&c), 2, extent{2, 2, 3}},
		{extent{2, 2, 3}.of(&c), 3, extent{}},
		{extent{2, 4, 4}.of(&c), 2, extent{2, 4, 4}},
		{extent{2, 4, 5}.of(&c), 4, extent{2, 4, 5}},
		{extent{2, 4, 4}.of(&c), 1, extent{}},
		{extent{2, 4, 4}.of(&c), 5, extent{}},
		{extent{2, 4, 3}.of(&c), 2, extent{}},
		{extent{2, 4, 4}.of(&c) + "more\n", 2, extent{}},
		{"holdfast data 2\ncluster other\nsite 1\nshards 2\nnow 3\nseats 3\n", 2, extent{}},
		{"holdfast data 2\ncluster local\nsite 2\nshards 2\nnow 3\nseats 3\n", 2, extent{}},
		{"holdfast data 3\ncluster local\nsite 1\nshards 2\nnow 3\nseats 3\n", 2, extent{}},
	} {
		if err := os.WriteFile(filepath.Join(c.Data, directoryFile), []byte(row.text), 0o600); err != nil {
			t.Fatal(err)
		}
		with := c
		with.Shards = row.shards
		x, fresh, err := claimDirectory(&with)
		if (err == nil) != (row.want != extent{}) || err == nil && x != row.want || fresh {
			t.Errorf("%q with %d shards: %+v, %v; want %+v", row.text, row.shards, x, err, row.want)
		}
		if first, now, ok := ShardsIn(c.Data); row.want != (extent{}) && (!ok || first != row.want.first || now != row.want.now) {
			t.Errorf("%q is of %d shards, %d at first, %t", row.text, now, first, ok)
		}
	}
}
