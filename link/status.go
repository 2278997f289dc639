package link

import (
	"time"

	"holdfast"
)

// PeerStatus is what the link knows about a peer.
type PeerStatus struct {
	Site        holdfast.SiteID
	Up          bool          // at least one carrier is connected and answers
	Silence     time.Duration // since anything was heard from it, on any carrier; since the start of the link when never
	RTT         time.Duration // smoothed round trip of the best carrier, 0 when not known
	Version     string        // of its program, "" when never met
	Incarnation uint64        // of its process, 0 when never met
	Waiting     int           // calls that wait for its answer
	Dropped     uint64        // payloads and replies that no carrier took
	Moves       uint64        // times that large messages moved to another carrier because theirs stalled or broke
	Duplicates  uint64        // messages that came over more than one carrier
	Carriers    []CarrierStatus
}

// CarrierStatus is what the link knows about one carrier to a peer. Counters grow from the start of the link.
type CarrierStatus struct {
	Address  string
	Up       bool          // our connection over it is established and answers
	Silence  time.Duration // since anything was heard from the peer over this carrier
	RTT      time.Duration // smoothed, 0 when not known
	MinRTT   time.Duration // the smallest seen, 0 when not known
	Queued   int           // bytes that wait to be sent
	Stalled  bool          // it answers late while another carrier does not: only urgent frames are sent over it
	Stalls   uint64        // times that happened
	Loss     float64       // of what came lately, the share that this carrier brought late or not at all while another did
	Missed   uint64        // messages it went on without
	Late     uint64        // messages it brought long after another carrier
	Sent     Traffic
	Received Traffic
	Dropped  uint64 // urgent frames that found the queue full, or were still in it when the connection broke
	Dials    uint64 // connections tried
	Breaks   uint64 // connections lost after they had been established
	LastErr  string // why the carrier is down, "" when it is up; nothing secret
}

// Traffic counts frames and bytes, without TLS.
type Traffic struct{ Frames, Bytes uint64 }

// Totals counts what belongs to no peer.
type Totals struct {
	Strangers  uint64 // connections refused: no certificate of this cluster, or not that of the site it should be
	Handshakes uint64 // connections that ended before their handshake was complete
	BadFrames  uint64 // connections given up because of a frame that is malformed or has a wrong checksum
	Refused    uint64 // calls of peers refused because too many were running
	Unroutable uint64 // payloads for a site that is not configured, or above MaxPayload
	Serving    int    // calls of peers running now
}
