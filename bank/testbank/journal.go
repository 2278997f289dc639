package testbank

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// journal is a file of records, each a length (4 bytes, big-endian), a CRC-32C of the text (4 bytes) and the text, JSON. Records that wait
// at the same time are written with one fsync. After an error nothing is written any more: what the page cache holds then is not trusted.
type journal struct {
	file *os.File // nil: nothing is kept, for tests within one process

	mu       sync.Mutex
	turn     *sync.Cond
	buffer   []byte
	added    uint64 // records put in
	durable  uint64 // records on disk
	flushing bool
	err      error
	failed   chan struct{} // closed with the first error
}

const (
	frameHead   = 8
	maxFrame    = 1 << 20
	journalName = "journal"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openJournal opens or makes the journal of a directory and gives each record to replay. What a crash has left half-written at the end is
// cut off; anything else that is damaged is an error.
func openJournal(dir string, replay func([]byte) error) (*journal, error) {
	j := &journal{failed: make(chan struct{})}
	j.turn = sync.NewCond(&j.mu)
	if dir == "" {
		return j, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the test bank: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, journalName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the journal of the test bank: %w", err)
	}
	j.file = file
	if err := errors.Join(lock(file), j.load(replay), syncDir(dir)); err != nil {
		return nil, errors.Join(fmt.Errorf("journal %s: %w", file.Name(), err), file.Close())
	}
	return j, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (j *journal) load(replay func([]byte) error) error {
	all, err := io.ReadAll(j.file)
	if err != nil {
		return err
	}
	good := 0
	for {
		text, n, err := frame(all[good:])
		if err != nil {
			return fmt.Errorf("at byte %d: %w", good, err)
		}
		if n == 0 {
			break
		}
		if err := replay(text); err != nil {
			return fmt.Errorf("at byte %d: %w", good, err)
		}
		good += n
	}
	if err := j.file.Truncate(int64(good)); err != nil {
		return err
	}
	if _, err := j.file.Seek(int64(good), io.SeekStart); err != nil {
		return err
	}
	return j.file.Sync()
}

// frame reads the first record; n is 0 when there is none, or one that was not written to its end.
func frame(b []byte) (text []byte, n int, err error) {
	if len(b) < frameHead {
		return nil, 0, nil
	}
	size, sum := int(binary.BigEndian.Uint32(b)), binary.BigEndian.Uint32(b[4:])
	switch {
	case zeros(b): // the size of the file was written, its content was not
		return nil, 0, nil
	case size == 0 || size > maxFrame:
		return nil, 0, fmt.Errorf("a record of %d bytes: the journal is damaged", size)
	case len(b) < frameHead+size:
		return nil, 0, nil
	}
	text = b[frameHead : frameHead+size]
	if crc32.Checksum(text, castagnoli) == sum {
		return text, frameHead + size, nil
	}
	if rest := b[frameHead+size:]; len(rest) == 0 || zeros(text) {
		return nil, 0, nil
	}
	return nil, 0, errors.New("a record has a wrong check sum, and it is not the last: the journal is damaged")
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// add puts a record in, in the order of calls, and tells its number for wait.
func (j *journal) add(record any) (uint64, error) {
	text, err := json.Marshal(record)
	if err != nil {
		return 0, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.buffer = binary.BigEndian.AppendUint32(j.buffer, uint32(len(text)))
	j.buffer = binary.BigEndian.AppendUint32(j.buffer, crc32.Checksum(text, castagnoli))
	j.buffer = append(j.buffer, text...)
	j.added++
	return j.added, nil
}

// last is the number of the last record that was put in: whoever tells what he has seen waits for it first.
func (j *journal) last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.added
}

// wait returns when a record is on disk, or an error when it may not be.
func (j *journal) wait(record uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.durable < record && j.err == nil {
		if j.flushing {
			j.turn.Wait()
			continue
		}
		j.flushing = true
		text, upTo := j.buffer, j.added
		j.buffer = nil
		j.mu.Unlock()
		err := j.write(text)
		j.mu.Lock()
		j.flushing = false
		if err == nil {
			j.durable = upTo
		} else {
			j.err = err
			close(j.failed)
		}
		j.turn.Broadcast()
	}
	return j.err
}

func (j *journal) write(text []byte) error {
	if j.file == nil {
		return nil
	}
	if _, err := j.file.Write(text); err != nil {
		return fmt.Errorf("write the journal of the test bank: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("fsync the journal of the test bank: %w", err)
	}
	return nil
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	return j.file.Close()
}
