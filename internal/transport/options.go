package transport

import (
	"iter"
	"log/slog"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// Options says who a node is and whom it talks to.
type Options struct {
	Cluster kv.ClusterID
	// Origin is what nodes of other clusters are told about this one, if
	// anything: where it came from.
	Origin string
	// Self is how the node introduces itself; its ID is not 0.
	Self wire.Node
	// Peers are the nodes to talk to, by ID and Peer address. Self may be
	// among them and is passed over.
	Peers []wire.Node
	// Listen is the address to bind (host:port), which may differ from the
	// one in Self that others dial.
	Listen string
	// Formats are the data formats that this version of the software
	// understands in what others send.
	Formats wire.Formats
	Handler Handler
	Logger  *slog.Logger
	// Limits and Timing take a default for each field that is 0.
	Limits Limits
	Timing Timing

	// network is TCP, but for tests.
	network network
}

// Limits bound what a node holds in memory for its peers.
type Limits struct {
	// FrameBytesMax is the largest frame taken or sent, so also the largest
	// message and the largest pair of a snapshot. Default 16 MiB.
	FrameBytesMax int
	// BatchBytes ends a frame: no message is added to one that has reached
	// it. Default 512 KiB.
	BatchBytes int
	// QueueBytesMax and QueueMessagesMax bound what waits for one peer; as
	// much again may be in the middle of being written. Bytes are as
	// wire.Message.SizeHint counts. Default 64 MiB, 65536 messages.
	QueueBytesMax    int
	QueueMessagesMax int
	// ChunkBytes is the size of a snapshot's frames. Default 256 KiB.
	ChunkBytes int
	// SnapshotsMax is how many snapshots are received at a time; more are
	// refused. Default 4.
	SnapshotsMax int
	// InboundMax is how many connections others may hold open. Default 256.
	InboundMax int
	// RelaysMax is how many of those may be detours to another node, both directions of
	// each counted. Default 64.
	RelaysMax int
}

// Timing says when to give up and when to try again.
type Timing struct {
	// Idle is how long a connection may be silent before an empty frame is
	// sent; each end sends them. Default 500 ms.
	Idle time.Duration
	// Dead is how long a peer may be silent, or take nothing of what is
	// sent, before it is given up. Default 2.5 s.
	Dead time.Duration
	// Handshake bounds dialling and the handshake, each. Default 3 s.
	Handshake time.Duration
	// RetryMin and RetryMax bound the wait between two attempts to reach a
	// peer, which doubles each time. Default 50 ms, 1 s.
	RetryMin time.Duration
	RetryMax time.Duration
	// Straight is how long a peer is dialled before others are asked for a detour, and how
	// long the peer may take to confirm the end of one. Seek is the time between two
	// attempts to be rid of it. Default 1 s, 2 s.
	Straight time.Duration
	Seek     time.Duration
	// Proof is how long a straight connection has to last; a break before that is held
	// against the link, see breaksMax. Default 30 s.
	Proof time.Duration
}

// Pair is a key and its value in a snapshot.
type Pair struct {
	Key, Value []byte
}

// Handler takes in what peers send. Its methods may be called at the same
// time for different peers. They must not call Close.
type Handler interface {
	// Hello is asked when a peer introduces itself, on a connection of
	// either direction, before anything of it is taken. An error refuses
	// the peer with that text. Hello may call SetPeers to admit the peer.
	Hello(peer wire.Node) error

	// Receive takes messages in the order sent, one call at a time for each
	// sender. It must not block for long: the sender is held up meanwhile,
	// and gives up after Timing.Dead. The messages, and the bytes they
	// alias, belong to the receiver.
	Receive(from kv.NodeID, msgs []wire.Message)

	// Lost returns requests that were not sent and never will be, so that
	// they can be answered at once.
	Lost(to kv.NodeID, requests []wire.Message)

	// Unreachable tells that the connection to a peer broke or can't be
	// made: what was sent may be lost. It is told once for each change.
	Unreachable(to kv.NodeID)

	// Snapshot takes in a snapshot. It returns nil if it has taken all of it and
	// needs nothing more, which the sender is told; an error, which the
	// sender is told too, ends the stream. The pairs can be ranged over
	// once, in the order sent; an error among them is the last element, and
	// means that the snapshot is not complete. A pair's bytes are valid
	// until the next step.
	Snapshot(from kv.NodeID, header wire.SnapshotHeader, pairs iter.Seq2[Pair, error]) error
}

func (o Options) withDefaults() Options {
	setDefault(&o.Limits.FrameBytesMax, 16<<20)
	setDefault(&o.Limits.BatchBytes, 512<<10)
	setDefault(&o.Limits.QueueBytesMax, 64<<20)
	setDefault(&o.Limits.QueueMessagesMax, 1<<16)
	setDefault(&o.Limits.ChunkBytes, 256<<10)
	setDefault(&o.Limits.SnapshotsMax, 4)
	setDefault(&o.Limits.InboundMax, 256)
	setDefault(&o.Limits.RelaysMax, 64)
	setDefault(&o.Timing.Idle, 500*time.Millisecond)
	setDefault(&o.Timing.Dead, 2500*time.Millisecond)
	setDefault(&o.Timing.Handshake, 3*time.Second)
	setDefault(&o.Timing.RetryMin, 50*time.Millisecond)
	setDefault(&o.Timing.RetryMax, time.Second)
	setDefault(&o.Timing.Straight, time.Second)
	setDefault(&o.Timing.Seek, 2*time.Second)
	setDefault(&o.Timing.Proof, 30*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.network == nil {
		o.network = tcp{}
	}
	return o
}

func setDefault[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

func (o *Options) validate() error {
	l, t := o.Limits, o.Timing
	smallest := min(l.FrameBytesMax, l.BatchBytes, l.QueueBytesMax, l.QueueMessagesMax,
		l.ChunkBytes, l.SnapshotsMax, l.InboundMax, l.RelaysMax)
	switch {
	case o.Self.ID == 0:
		return kv.Invalid("node id is 0, it must be at least 1")
	case o.Handler == nil:
		return kv.Invalid("transport has no handler")
	case smallest < 1:
		return kv.Invalid("a transport limit is %d, each must be at least 1", smallest)
	case min(t.Idle, t.Handshake, t.RetryMin, t.Straight, t.Seek, t.Proof) <= 0 ||
		t.RetryMax < t.RetryMin:
		return kv.Invalid("transport timing %+v must be positive and in order", t)
	case t.Dead < 3*t.Idle:
		return kv.Invalid("dead time %v must be at least three times the idle time %v",
			t.Dead, t.Idle)
	}
	return nil
}
