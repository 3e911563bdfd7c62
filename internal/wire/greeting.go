package wire

import "github.com/miruvor/miruvor/internal/kv"

const (
	greetingNode  = 1<<2 | kindStruct
	greetingRole  = 2<<2 | kindUint
	greetingReply = 3<<2 | kindUint
	greetingKnown = 4<<2 | kindUint
)

func appendGreeting(buf []byte, g *Greeting) []byte {
	buf = AppendNode(append(buf, greetingNode), &g.Node)
	buf = appendUint(buf, greetingRole, uint64(g.Role))
	buf = appendBool(buf, greetingReply, g.Reply)
	buf = appendUint(buf, greetingKnown, uint64(g.Known))
	return appendEnd(buf)
}

func (r *reader) greeting() *Greeting {
	out := new(Greeting)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case greetingNode:
			out.Node = r.node()
		case greetingRole:
			out.Role = Role(r.uintMax(uint64(RoleReplacement)))
		case greetingReply:
			out.Reply = r.bool()
		case greetingKnown:
			out.Known = kv.Incarnation(r.uint())
		default:
			r.skip(tag)
		}
	}
	return out
}
