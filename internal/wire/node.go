package wire

import (
	"math"

	"github.com/miruvor/miruvor/internal/kv"
)

const (
	nodeID          = 1<<2 | kindUint
	nodeIncarnation = 2<<2 | kindUint
	nodeName        = 3<<2 | kindBytes
	nodePeer        = 4<<2 | kindBytes
	nodeClient      = 5<<2 | kindBytes
)

const (
	helloCluster   = 1<<2 | kindUint
	helloNode      = 2<<2 | kindStruct
	helloTo        = 3<<2 | kindUint
	helloPurpose   = 4<<2 | kindUint
	helloFormatMin = 5<<2 | kindUint
	helloFormatMax = 6<<2 | kindUint
	helloOrigin    = 7<<2 | kindBytes
	helloOnward    = 8<<2 | kindUint
)

// Purpose is what a connection is for.
type Purpose uint8

// The purposes of a connection.
const (
	// ForMessages: the dialer sends batches of messages, for as long as the
	// connection lasts.
	ForMessages Purpose = 1
	// ForSnapshot: the dialer streams one snapshot.
	ForSnapshot Purpose = 2
	// ForRelay: the dialer can't reach Onward. Behind the handshake, all that either of
	// them sends is passed on to the other, another handshake first.
	ForRelay Purpose = 3
)

// Formats is the range of data formats, both ends included, that a node
// understands in what other nodes send it.
type Formats struct {
	Min, Max uint32
}

// Overlaps reports whether some format lies in both ranges.
func (f Formats) Overlaps(o Formats) bool { return f.Min <= o.Max && o.Min <= f.Max }

// Hello is how a node introduces itself at the start of a connection.
type Hello struct {
	Cluster kv.ClusterID
	Node    Node
	// To is the node that the sender means to speak with.
	To      kv.NodeID
	Purpose Purpose
	Formats Formats
	// Origin says where the cluster comes from, if that is worth telling to
	// nodes of others.
	Origin string
	// Onward is the node that a connection ForRelay leads to.
	Onward kv.NodeID
}

// AppendNode appends the encoding of n to buf.
func AppendNode(buf []byte, n *Node) []byte {
	buf = appendUint(buf, nodeID, uint64(n.ID))
	buf = appendUint(buf, nodeIncarnation, uint64(n.Incarnation))
	buf = appendString(buf, nodeName, n.Name)
	buf = appendString(buf, nodePeer, n.Peer)
	buf = appendString(buf, nodeClient, n.Client)
	return appendEnd(buf)
}

// DecodeNode decodes a node that is all of data, or returns ErrMalformed.
// The node does not alias data.
func DecodeNode(data []byte) (Node, error) {
	r := reader{buf: data}
	out := r.node()
	r.require(len(r.buf) == 0)
	if _, err := r.finish(); err != nil {
		return Node{}, err
	}
	return out, nil
}

func (r *reader) node() Node {
	var out Node
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case nodeID:
			out.ID = kv.NodeID(r.uint())
		case nodeIncarnation:
			out.Incarnation = kv.Incarnation(r.uint())
		case nodeName:
			out.Name = r.string()
		case nodePeer:
			out.Peer = r.string()
		case nodeClient:
			out.Client = r.string()
		default:
			r.skip(tag)
		}
	}
	return out
}

// AppendHello appends the encoding of h to buf.
func AppendHello(buf []byte, h *Hello) []byte {
	buf = appendUint(buf, helloCluster, uint64(h.Cluster))
	buf = AppendNode(append(buf, helloNode), &h.Node)
	buf = appendUint(buf, helloTo, uint64(h.To))
	buf = appendUint(buf, helloPurpose, uint64(h.Purpose))
	buf = appendUint(buf, helloFormatMin, uint64(h.Formats.Min))
	buf = appendUint(buf, helloFormatMax, uint64(h.Formats.Max))
	buf = appendString(buf, helloOrigin, h.Origin)
	buf = appendUint(buf, helloOnward, uint64(h.Onward))
	return appendEnd(buf)
}

// DecodeHello decodes a hello that is all of data, or returns ErrMalformed.
// The hello does not alias data.
func DecodeHello(data []byte) (Hello, error) {
	var out Hello
	r := reader{buf: data}
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case helloCluster:
			out.Cluster = kv.ClusterID(r.uint())
		case helloNode:
			out.Node = r.node()
		case helloTo:
			out.To = kv.NodeID(r.uint())
		case helloPurpose:
			out.Purpose = Purpose(r.uintMax(math.MaxUint8))
		case helloFormatMin:
			out.Formats.Min = uint32(r.uintMax(math.MaxUint32))
		case helloFormatMax:
			out.Formats.Max = uint32(r.uintMax(math.MaxUint32))
		case helloOrigin:
			out.Origin = r.string()
		case helloOnward:
			out.Onward = kv.NodeID(r.uint())
		default:
			r.skip(tag)
		}
	}
	r.require(len(r.buf) == 0)
	if _, err := r.finish(); err != nil {
		return Hello{}, err
	}
	return out, nil
}
