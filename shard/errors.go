package shard

import (
	"errors"
	"fmt"

	"holdfast"
)

// Errors of this package, in the words of the outcome they mean. [OutcomeOf] is the one table that maps them.
var (
	// ErrLost: the entry was proposed and nobody will tell us what became of it: leadership was lost, or the deadline passed.
	// The transaction may or may not happen. Ask again by the same id.
	ErrLost = errors.New("proposed, and not heard of since: ask again with the same id")
	// ErrNoQuorum: no majority answered within the deadline of a read, or there is no leader. Nothing was executed.
	ErrNoQuorum = errors.New("this site cannot reach a majority just now: ask another site")
	// ErrOverloaded: a queue of the shard is full. Nothing was executed.
	ErrOverloaded = errors.New("too much is waiting in this shard: send the same id again later")
	// ErrDiskFull: this site has no room for new work. Nothing was executed.
	ErrDiskFull = errors.New("the disk of this site is nearly full: free space, or send the same id to another site")
	// ErrOutOfService: this replica found itself to differ from the others, or corrupt, and answers nothing.
	ErrOutOfService = errors.New("this replica has taken itself out of service: send the same id to another site")
	// ErrStopping: the host is shutting down. Nothing was executed.
	ErrStopping = errors.New("this site is stopping: send the same id to another site")
	// ErrNoShard: this host has no replica of that shard.
	ErrNoShard = errors.New("this site has no replica of that shard: check [shards] of the configuration")
	// ErrBusyMembers: a change of membership is under way, or the leader is too young to know. Try again.
	ErrBusyMembers = errors.New("another change of membership is under way: try again when it is done")
	// ErrTooFewVoters: the change would leave fewer voters than the shard was founded for; see [MemberChange].
	ErrTooFewVoters = errors.New("too few voters would be left: add a voter first, or replace the one that is to go")
	// ErrDeclined: the site to which a leadership was to go is not well, and another one should lead. The leader leads on.
	ErrDeclined = errors.New("that site is not well enough to lead: it is starved, hears badly, or its disk is full or sick, or it was until a moment ago")
	// ErrTimeout: a wait ran into the deadline of its context before anything was proposed. Nothing was executed.
	ErrTimeout = errors.New("the deadline passed while waiting in the queue: send the same id again")
)

// NotLeaderError says that nothing was proposed because this replica does not lead. Leader is the site that does, 0 when
// none is known just now. The error in the chain is compared with errors.As.
type NotLeaderError struct {
	Shard  holdfast.ShardID
	Leader holdfast.SiteID
}

// ErrNotLeader is the contract's short name of [NotLeaderError].
type ErrNotLeader = NotLeaderError

func (e NotLeaderError) Error() string {
	if e.Leader == 0 {
		return fmt.Sprintf("shard %d has no known leader just now: wait for the election", e.Shard)
	}
	return fmt.Sprintf("shard %d is led by site %d: send it there", e.Shard, e.Leader)
}

// OutcomeOf is the status and code that an error of [Host.Submit] means for every transaction of the call.
func OutcomeOf(err error) (holdfast.Status, holdfast.Code) {
	for _, row := range outcomeTable {
		if errors.Is(err, row.err) {
			return row.status, row.code
		}
	}
	if errors.As(err, new(NotLeaderError)) {
		return holdfast.NotExecuted, holdfast.CodeNoLeader
	}
	return holdfast.Unknown, holdfast.CodeUnknown // what nobody classified may have happened
}

var outcomeTable = []struct {
	err    error
	status holdfast.Status
	code   holdfast.Code
}{
	{ErrLost, holdfast.Unknown, holdfast.CodeUnknown},
	{ErrNoQuorum, holdfast.NotExecuted, holdfast.CodeNoQuorum},
	{ErrOverloaded, holdfast.NotExecuted, holdfast.CodeOverloaded},
	{ErrDiskFull, holdfast.NotExecuted, holdfast.CodeDiskFull},
	{ErrOutOfService, holdfast.NotExecuted, holdfast.CodeOutOfService},
	{ErrStopping, holdfast.NotExecuted, holdfast.CodeStopping},
	{ErrTimeout, holdfast.NotExecuted, holdfast.CodeDeadline},
	{ErrNoShard, holdfast.NotExecuted, holdfast.CodeNoLeader},
}
