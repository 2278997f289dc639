package shard

import (
	"errors"
	"fmt"
	"runtime"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/store"
)

// raftStorage is the view of a [Log] that the library reads. The log is a journal and never loses its beginning; what the
// library takes for compaction is a window that the disk names by FirstIndex, so that a follower too far behind gets a
// checkpoint instead of the whole past entry by entry.
type raftStorage struct {
	log        Log
	checkpoint Checkpoint
	lastConf   uint64 // index of the newest applied membership change
	wanted     bool   // somebody needs a checkpoint newer than the one there is
	hard       *pb.HardState
	conf       *pb.ConfState
}

// readFailure carries an error of the disk through the library, which knows only panics; Node turns it back.
type readFailure struct{ err error }

func (s *raftStorage) InitialState() (*pb.HardState, *pb.ConfState, error) {
	return s.hard, s.conf, nil
}

func (s *raftStorage) FirstIndex() (uint64, error) { return s.log.FirstIndex(), nil }

func (s *raftStorage) LastIndex() (uint64, error) { return s.log.LastIndex(), nil }

func (s *raftStorage) Term(i uint64) (uint64, error) {
	if i == 0 {
		return 0, nil
	}
	term, err := s.log.Term(i)
	if err != nil {
		return 0, s.refusal(fmt.Errorf("term of entry %d: %w", i, err))
	}
	return term, nil
}

func (s *raftStorage) Entries(lo, hi, maxBytes uint64) ([]*pb.Entry, error) {
	list, err := s.log.Entries(lo, hi, min(maxBytes, maxReadBytes))
	if err != nil {
		return nil, s.refusal(fmt.Errorf("entries %d to %d: %w", lo, hi-1, err))
	}
	return toRaft(list), nil
}

// refusal is the library's word for what is outside of the window; every other error stops the replica.
func (s *raftStorage) refusal(err error) error {
	switch {
	case errors.Is(err, store.ErrCompacted):
		return raft.ErrCompacted
	case errors.Is(err, store.ErrUnavailable):
		return raft.ErrUnavailable
	}
	panic(readFailure{err})
}

// maxReadBytes bounds what one read of the log takes into memory.
const maxReadBytes = 16 << 20

// Snapshot names the checkpoint that a follower should fetch. The library refuses one that does not know the follower as a
// member, so a checkpoint from before the newest change of membership will not do.
func (s *raftStorage) Snapshot() (*pb.Snapshot, error) {
	if s.checkpoint.Index == 0 || s.checkpoint.Index < s.lastConf {
		s.wanted = true
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return &pb.Snapshot{Metadata: &pb.SnapshotMetadata{
		Index:     new(s.checkpoint.Index),
		Term:      new(s.checkpoint.Term),
		ConfState: s.checkpoint.Members.conf(),
	}}, nil
}

func toRaft(list []Entry) []*pb.Entry {
	block := make([]pb.Entry, len(list))
	words := make([]uint64, 2*len(list))
	out := make([]*pb.Entry, len(list))
	for i, e := range list {
		words[2*i], words[2*i+1] = e.Index, e.Term
		p := &block[i]
		p.Index, p.Term, p.Data = &words[2*i], &words[2*i+1], e.Data
		p.Type = pb.EntryType(e.Type).Enum()
		out[i] = p
	}
	return out
}

func fromRaft(list []*pb.Entry) []Entry {
	if len(list) == 0 {
		return nil
	}
	out := make([]Entry, len(list))
	for i, p := range list {
		out[i] = Entry{Index: p.GetIndex(), Term: p.GetTerm(), Type: uint8(p.GetType()), Data: p.GetData()}
	}
	return out
}

// quiet is the library's logger: it speaks through one function, and panics where the library asks for it.
type quiet struct {
	logf func(format string, args ...any)
}

// brokenInvariant is what the library found to be impossible; the numbers are in the text.
type brokenInvariant struct{ text string }

func (q quiet) Debug(...any)                   {}
func (q quiet) Debugf(string, ...any)          {}
func (q quiet) Info(args ...any)               { q.logf("%s", fmt.Sprint(args...)) }
func (q quiet) Infof(f string, args ...any)    { q.logf(f, args...) }
func (q quiet) Warning(args ...any)            { q.logf("%s", fmt.Sprint(args...)) }
func (q quiet) Warningf(f string, args ...any) { q.logf(f, args...) }
func (q quiet) Error(args ...any)              { q.logf("%s", fmt.Sprint(args...)) }
func (q quiet) Errorf(f string, args ...any)   { q.logf(f, args...) }
func (q quiet) Fatal(args ...any)              { panic(brokenInvariant{fmt.Sprint(args...)}) }
func (q quiet) Fatalf(f string, args ...any)   { panic(brokenInvariant{fmt.Sprintf(f, args...)}) }
func (q quiet) Panic(args ...any)              { panic(brokenInvariant{fmt.Sprint(args...)}) }
func (q quiet) Panicf(f string, args ...any)   { panic(brokenInvariant{fmt.Sprintf(f, args...)}) }

// ErrInvariant is the start of every error that says that consensus found its own rules broken. The replica must stop.
var ErrInvariant = errors.New("consensus invariant broken")

// caught turns a panic that came through the library back into the error it was.
func caught(err *error) {
	switch p := recover().(type) {
	case nil:
	case readFailure:
		*err = p.err
	case brokenInvariant:
		*err = fmt.Errorf("%w: %s", ErrInvariant, p.text)
	case runtime.Error:
		panic(p) // a fault of the program, which says where it is
	case error: // the library panics with what it does not expect of its storage
		*err = fmt.Errorf("%w: %w", ErrInvariant, p)
	case string:
		*err = fmt.Errorf("%w: %s", ErrInvariant, p)
	default:
		panic(p)
	}
}
