package files

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"holdfast"
	"holdfast/bank"
)

func TestFilesAreWrittenWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.xml")
	for _, text := range []string{"one", "two"} {
		if err := Write(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	if err := Write(filepath.Join(dir, "nowhere", "a.xml"), []byte("x")); err == nil {
		t.Error("a file was written into a directory that is not there")
	}
	if err := os.Mkdir(filepath.Join(dir, "b.xml"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "b.xml"), []byte("x")); err == nil {
		t.Error("a directory was replaced by a file")
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 2 {
		t.Errorf("something is left: %v, %v", list, err)
	}
}

// TestRuns: what is put comes back as it was, in order, with the account, and nothing is left in the directory.
func TestRuns(t *testing.T) {
	dir := t.TempDir()
	account, err := bank.ParseAccount("6222020000000000018")
	if err != nil {
		t.Fatal(err)
	}
	place := Runs(dir)
	items := []bank.Item{
		{ID: "B", Ref: "R", Amount: -5, Asset: holdfast.MustAsset("CNY"), Day: 7, Other: account, Open: true, Note: "n"},
		{ID: "A", Amount: 1, Off: true},
		{ID: "C"},
	}
	side := func(yield func(bank.Item, error) bool) {
		for _, i := range items {
			if !yield(i, nil) {
				return
			}
		}
	}
	var got []bank.Item
	for i, err := range bank.SortItems(side, 1, place) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, i)
	}
	if want := []bank.Item{items[1], items[0], items[2]}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
		t.Errorf("%v is left, %v", list, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for _, err := range bank.SortItems(side, 1, place) {
		if err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("without a directory: %v", err)
		}
	}
	torn := errors.New("torn")
	for _, err := range bank.SortItems(func(yield func(bank.Item, error) bool) { yield(bank.Item{}, torn) }, 1, Runs(t.TempDir())) {
		if !errors.Is(err, torn) {
			t.Errorf("a side that is torn: %v", err)
		}
	}
}
