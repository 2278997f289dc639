package store

import (
	"errors"
	"fmt"
	"strings"

	"holdfast"
)

// ErrFatal is in the chain of every error after which the process must stop: a write or an fsync failed, and what the disk
// holds is known only to a fresh start. The text carries the first cause.
var ErrFatal = errors.New("the store is dead: stop the process, look at the disk, start again")

// ErrClosed is returned by calls after [Store.Close].
var ErrClosed = errors.New("the store is closed")

// ErrCompacted is returned for an entry before [Shard.FirstIndex]: a follower that needs it gets a checkpoint instead.
var ErrCompacted = errors.New("the entry is older than what followers are served from the log")

// ErrUnavailable is returned for an entry after [Shard.LastIndex].
var ErrUnavailable = errors.New("the entry is not in the log yet")

// ErrExportExpired is returned when an export was closed, or not read from for longer than [Options.ExportIdle]. Begin anew.
var ErrExportExpired = errors.New("the export has expired: begin a new one")

// ErrCorrupt says which bytes on this disk are not what was written. Nothing is repaired in place: the replica has to be
// wiped and rebuilt from the others, which is what the process does with it.
type ErrCorrupt struct {
	Shard holdfast.ShardID
	Index uint64 // of the log entry; 0 when it is not about an entry
	Key   []byte // in the database; nil when it is not about one key
	What  string // what is wrong with it
	Err   error  // the error of the engine, when it was the engine that noticed
}

// Error names shard, entry and key.
func (e *ErrCorrupt) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "shard %d is corrupt on this disk: %s", e.Shard, e.What)
	if e.Index > 0 {
		fmt.Fprintf(&b, ", log entry %d", e.Index)
	}
	if len(e.Key) > 0 {
		fmt.Fprintf(&b, ", key %s", keyText(e.Key))
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	b.WriteString("; wipe this replica and let it rebuild itself from the other sites")
	return b.String()
}

// Unwrap gives the engine's error.
func (e *ErrCorrupt) Unwrap() error { return e.Err }

// ErrDamaged says that a database cannot be opened because its files are not what was written. Nothing can be told of any
// shard on this disk then, and nothing is removed: what to do depends on whether there are other sites.
type ErrDamaged struct {
	Path string // directory of the database
	Dir  string // directory of the store
	Err  error  // the error of the engine, which names the file
}

// Error names the directory and says what to do.
func (e *ErrDamaged) Error() string {
	f := e.Finding()
	return f.What + "; " + f.Advice
}

// Finding is the damage as [Store.Fsck] would report it if the store could be opened.
func (e *ErrDamaged) Finding() Finding {
	return Finding{
		Key:  e.Path,
		What: fmt.Sprintf("%s is damaged on this disk: %v", e.Path, e.Err),
		Advice: fmt.Sprintf("with other sites running, move %s aside and start again: this site rebuilds itself from them, under a "+
			"new identity; a site that is alone needs %s from a backup", e.Dir, e.Dir),
	}
}

// Unwrap gives the engine's error.
func (e *ErrDamaged) Unwrap() error { return e.Err }
