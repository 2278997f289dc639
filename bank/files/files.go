// Package files keeps messages as files, and sorts what is larger than memory on disk.
package files

import (
	"bufio"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"holdfast"
	"holdfast/bank"
)

// Write keeps a message as a file: whole, or not at all, also after a crash. Who watches the directory sees it when it is complete.
func Write(path string, text []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return fmt.Errorf("write the message %s: %w", path, err)
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the message %s: %w", path, err), os.Remove(file.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("write the message %s: %w", path, err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Runs makes places for [bank.SortItems] to put sorted items to: files in a directory ("": that of the system for such files), which
// nobody else can read, and which are gone when they are closed or the process ends.
func Runs(dir string) func() (bank.Run, error) {
	return func() (bank.Run, error) {
		file, err := os.CreateTemp(dir, "holdfast-sort-*")
		if err != nil {
			return nil, err
		}
		if err := os.Remove(file.Name()); err != nil { // the name only: the file lives as long as it is open
			return nil, errors.Join(err, file.Close())
		}
		w := bufio.NewWriterSize(file, 1<<16)
		return &run{file: file, w: w, enc: gob.NewEncoder(w)}, nil
	}
}

type run struct {
	file *os.File
	w    *bufio.Writer
	enc  *gob.Encoder
}

// stored is an item with the number of its account, which the item itself does not show to encoders.
type stored struct {
	ID, Ref, Other, Note string
	Amount               holdfast.Amount
	Asset                holdfast.Asset
	Day                  holdfast.Time
	Open, Off            bool
}

// Put implements bank.Run.
func (r *run) Put(i bank.Item) error {
	return r.enc.Encode(stored{i.ID, i.Ref, i.Other.Reveal(), i.Note, i.Amount, i.Asset, i.Day, i.Open, i.Off})
}

// Items implements bank.Run.
func (r *run) Items() bank.Items {
	return func(yield func(bank.Item, error) bool) {
		err := r.w.Flush()
		if err == nil {
			_, err = r.file.Seek(0, io.SeekStart)
		}
		if err != nil {
			yield(bank.Item{}, err)
			return
		}
		dec := gob.NewDecoder(bufio.NewReaderSize(r.file, 1<<16))
		for {
			item, err := next(dec)
			if err == io.EOF || !yield(item, err) || err != nil {
				return
			}
		}
	}
}

func next(dec *gob.Decoder) (bank.Item, error) {
	var s stored
	if err := dec.Decode(&s); err != nil {
		return bank.Item{}, err
	}
	i := bank.Item{ID: s.ID, Ref: s.Ref, Amount: s.Amount, Asset: s.Asset, Day: s.Day, Note: s.Note, Open: s.Open, Off: s.Off}
	if s.Other == "" {
		return i, nil
	}
	var err error
	i.Other, err = bank.ParseAccount(s.Other)
	return i, err
}

// Close implements bank.Run.
func (r *run) Close() error { return r.file.Close() }
