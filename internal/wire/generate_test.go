package wire

import (
	"math/rand/v2"
	"reflect"

	"github.com/miruvor/miruvor/internal/kv"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// generator makes random values of any type that travels, by reflection: a
// field added to a struct and forgotten in its codec fails the round trip.
type generator struct {
	*rand.Rand
	// full sets every field to something other than zero.
	full bool
}

var travelling = []raftpb.MessageType{
	raftpb.MsgApp, raftpb.MsgAppResp, raftpb.MsgHeartbeat, raftpb.MsgHeartbeatResp,
	raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp,
	raftpb.MsgTimeoutNow, raftpb.MsgReadIndex, raftpb.MsgReadIndexResp,
}

// depthMax keeps generated transactions small.
const depthMax = 8

func newGenerator(seed uint64, full bool) *generator {
	return &generator{Rand: rand.New(rand.NewPCG(seed, 7)), full: full}
}

func (g *generator) message() Message {
	var m Message
	g.union(reflect.ValueOf(&m).Elem(), 1)
	return m
}

func (g *generator) header() SnapshotHeader {
	h := SnapshotHeader{Shard: kv.ShardID(g.Uint32()), Descriptor: g.bytes()}
	h.Msg = &raftpb.Message{}
	g.proto(h.Msg.ProtoReflect())
	h.Msg.Type = raftpb.MsgSnap.Enum()
	return h
}

// unions are structs of which one pointer is set, the index being that of
// the first such field.
var unions = map[reflect.Type]int{
	reflect.TypeFor[Message](): 0, reflect.TypeFor[kv.Op](): 0, reflect.TypeFor[kv.Result](): 0,
	reflect.TypeFor[Request](): 2, reflect.TypeFor[Response](): 4,
}

func (g *generator) union(v reflect.Value, depth int) {
	first := unions[v.Type()]
	for i := range first {
		g.value(v.Field(i), depth)
	}
	choices := alternatives(v, first)
	chosen := choices[g.IntN(len(choices))]
	if chosen.Type() == reflect.TypeFor[*kv.TxnRequest]() && depth >= depthMax ||
		chosen.Type() == reflect.TypeFor[*kv.TxnResponse]() && depth >= depthMax {
		chosen = v.Field(first)
	}
	chosen.Set(reflect.New(chosen.Type().Elem()))
	g.value(chosen.Elem(), depth+1)
}

// alternatives are the pointers of a union, from the field first on; those of
// an embedded struct are part of it.
func alternatives(v reflect.Value, first int) []reflect.Value {
	var list []reflect.Value
	for i := first; i < v.NumField(); i++ {
		if f := v.Field(i); f.Kind() == reflect.Struct {
			list = append(list, alternatives(f, 0)...)
		} else {
			list = append(list, f)
		}
	}
	return list
}

func (g *generator) value(v reflect.Value, depth int) {
	if msg, ok := v.Addr().Interface().(**raftpb.Message); ok {
		*msg = g.raftMessage()
		return
	}
	if _, ok := unions[v.Type()]; ok {
		g.union(v, depth)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if g.some() {
			v.Set(reflect.New(v.Type().Elem()))
			g.value(v.Elem(), depth)
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			g.value(field, depth)
		}
	case reflect.Slice:
		g.slice(v, depth)
	default:
		g.scalar(v)
	}
}

func (g *generator) slice(v reflect.Value, depth int) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		v.SetBytes(g.bytes())
		return
	}
	if n := g.count(); n > 0 {
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			g.value(v.Index(i), depth)
		}
	}
}

func (g *generator) scalar(v reflect.Value) {
	switch v.Interface().(type) {
	case kv.Target:
		v.SetUint(g.Uint64N(uint64(kv.CompareLease) + 1))
		return
	case Role:
		v.SetUint(1 + g.Uint64N(uint64(RoleReplacement)))
		return
	case OutcomeState:
		v.SetUint(1 + g.Uint64N(uint64(OutcomeCommitted)))
		return
	case AlarmOp:
		v.SetUint(1 + g.Uint64N(uint64(AlarmClear)))
		return
	case LeaseOp:
		v.SetUint(1 + g.Uint64N(uint64(LeaseKeys)))
		return
	case kv.Relation:
		v.SetUint(1 + g.Uint64N(uint64(kv.NotEqual)))
		return
	}
	switch {
	case v.Kind() == reflect.Bool:
		v.SetBool(g.some())
	case v.Kind() == reflect.String:
		v.SetString(string(g.bytes()))
	case v.CanInt():
		v.SetInt(int64(g.number()))
	case v.CanUint():
		v.SetUint(g.number() >> (64 - v.Type().Bits()))
		if g.full && v.IsZero() {
			v.SetUint(1)
		}
	}
}

func (g *generator) some() bool { return g.full || g.IntN(2) == 0 }

func (g *generator) count() int {
	if g.full {
		return 2
	}
	return g.IntN(4)
}

// number is of a random length in bits.
func (g *generator) number() uint64 {
	if !g.some() {
		return 0
	}
	return g.Uint64()>>g.IntN(64) | 1
}

// bytes are nil, empty or some.
func (g *generator) bytes() []byte {
	n := g.IntN(12)
	if g.full {
		n += 2
	}
	if n == 0 {
		return nil
	}
	out := make([]byte, n-1)
	for i := range out {
		out[i] = byte(g.Uint32())
	}
	return out
}

func (g *generator) raftMessage() *raftpb.Message {
	m := &raftpb.Message{}
	g.proto(m.ProtoReflect())
	m.Type = travelling[g.IntN(len(travelling))].Enum()
	return m
}

// proto sets fields by reflection. Responses stay on a node, and an entry
// always has its term and its index.
func (g *generator) proto(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		inEntry := m.Descriptor().Name() == "Entry" && (f.Name() == "Term" || f.Name() == "Index")
		switch {
		case f.Name() == "responses" || !inEntry && !g.some():
		case f.IsList():
			list := m.Mutable(f).List()
			for range g.count() {
				list.Append(g.protoValue(f, list.NewElement()))
			}
		default:
			m.Set(f, g.protoValue(f, m.NewField(f)))
		}
	}
}

func (g *generator) protoValue(
	f protoreflect.FieldDescriptor, v protoreflect.Value,
) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.MessageKind:
		g.proto(v.Message())
		return v
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(g.IntN(f.Enum().Values().Len())))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(g.IntN(2) == 0)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(append([]byte{}, g.bytes()...))
	}
	return protoreflect.ValueOfUint64(g.number())
}

// same compares two values deeply, raft's structs by proto.Equal. Nil and
// empty differ.
func same(a, b any) bool { return sameValue(reflect.ValueOf(a), reflect.ValueOf(b)) }

func sameValue(a, b reflect.Value) bool {
	if x, ok := a.Interface().(proto.Message); ok {
		return a.IsNil() == b.IsNil() && proto.Equal(x, b.Interface().(proto.Message))
	}
	switch a.Kind() {
	case reflect.Pointer:
		return a.IsNil() == b.IsNil() && (a.IsNil() || sameValue(a.Elem(), b.Elem()))
	case reflect.Struct:
		for i := range a.NumField() {
			if !sameValue(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}
