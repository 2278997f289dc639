package shard

import (
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// TestAForwardedQuestionDoesNotMoveItsAsker: a follower hands a read of another replica on to the leader it knows, with the name
// of the one that asked. The leader must not take the site it comes from for that replica's: a learner, who does not campaign,
// would never hear from it again.
func TestAForwardedQuestionDoesNotMoveItsAsker(t *testing.T) {
	s := newStage(t)
	s.play("voters 1 2 3\n\ncampaign 1\nsettle\n\nlearn 1 4\nsettle\n\nstart 4 4\nrun 1 4")
	leader := s.nodes[1].node
	question := &pb.Message{
		Type: pb.MsgReadIndex.Enum(), From: proto.Uint64(4), To: proto.Uint64(1),
		Entries: []*pb.Entry{{Data: []byte("question")}},
	}
	payload, err := proto.MarshalOptions{}.MarshalAppend([]byte{payloadVersion}, question)
	if err != nil {
		t.Fatal(err)
	}
	if err := leader.Step(2, payload); err != nil {
		t.Fatal(err)
	}
	heard := false
	for range 4 {
		if err := leader.Tick(); err != nil {
			t.Fatal(err)
		}
		for leader.HasOutput() {
			out, err := leader.Output()
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range out.Messages {
				if m.To == 4 && m.Site != 4 {
					t.Fatalf("what is for replica 4 at site 4 goes to site %d: %s", m.Site, describe(m.Payload))
				}
				heard = heard || m.To == 4
			}
		}
	}
	if !heard {
		t.Error("nothing was sent to replica 4")
	}
}
