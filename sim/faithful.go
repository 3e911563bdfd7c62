package sim

import (
	"bytes"
	"reflect"

	"github.com/miruvor/miruvor/internal/wire"
)

// faithfulEvery is one in how many messages is compared with what was sent.
const faithfulEvery = 16

// checkFaithful checks some messages: what loses a field may otherwise be made up for by
// whatever comes later.
func (n *network) checkFaithful(m *wire.Message, data []byte) {
	if n.sent++; n.sent%faithfulEvery != 0 {
		return
	}
	if arrived, _, err := wire.DecodeMessage(data); err != nil || !faithful(*m, arrived) {
		n.c.failf("a message arrives as another one: %s, %v", describe(m), err)
	}
}

// faithful reports whether what arrived is what was sent: all exported fields, however
// deep. A slice that is nil is like an empty one, and an optional number of raft's like 0.
func faithful(sent, arrived any) bool {
	return alike(reflect.ValueOf(sent), reflect.ValueOf(arrived))
}

func alike(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Pointer:
		return alikePointers(a, b)
	case reflect.Struct:
		return alikeFields(a, b)
	case reflect.Slice:
		return alikeElements(a, b)
	}
	return a.Equal(b)
}

func alikePointers(a, b reflect.Value) bool {
	switch {
	case !a.IsNil() && !b.IsNil():
		return alike(a.Elem(), b.Elem())
	case a.Type().Elem().Kind() == reflect.Struct:
		return a.IsNil() == b.IsNil()
	}
	return (a.IsNil() || a.Elem().IsZero()) && (b.IsNil() || b.Elem().IsZero())
}

func alikeFields(a, b reflect.Value) bool {
	for i := range a.NumField() {
		if a.Type().Field(i).IsExported() && !alike(a.Field(i), b.Field(i)) {
			return false
		}
	}
	return true
}

func alikeElements(a, b reflect.Value) bool {
	if a.Type().Elem().Kind() == reflect.Uint8 {
		return bytes.Equal(a.Bytes(), b.Bytes())
	}
	if a.Len() != b.Len() {
		return false
	}
	for i := range a.Len() {
		if !alike(a.Index(i), b.Index(i)) {
			return false
		}
	}
	return true
}
