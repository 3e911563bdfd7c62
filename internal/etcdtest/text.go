package etcdtest

import (
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// shownBytesMax is how long a string may be to be shown whole.
const shownBytesMax = 80

// printAnswer is m as text: a first line with all that is not a list of
// messages, and a line for each message in such a list. Fields that have their
// default value are left out, but a message that is there shows.
func printAnswer(m protoreflect.Message) string {
	var first []string
	var below strings.Builder
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		switch {
		case !m.Has(field):
		case field.IsList() && field.Message() != nil:
			for _, item := range printItems(field, m.Get(field).List()) {
				fmt.Fprintf(&below, "  %s %s\n", field.Name(), item)
			}
		default:
			first = append(first, printField(field, m.Get(field)))
		}
	}
	if unknown := m.GetUnknown(); len(unknown) > 0 {
		first = append(first, "unknown="+printBytes(unknown))
	}
	if len(first) == 0 {
		first = []string{"ok"}
	}
	return strings.Join(first, " ") + "\n" + below.String()
}

func printField(field protoreflect.FieldDescriptor, value protoreflect.Value) string {
	if header, ok := messageOf(field, value).(*pb.ResponseHeader); ok {
		return fmt.Sprintf("rev=%d", header.Revision)
	}
	if !field.IsList() {
		return string(field.Name()) + "=" + printValue(field, value)
	}
	items := printItems(field, value.List())
	return string(field.Name()) + "=[" + strings.Join(items, ", ") + "]"
}

// printItems prints a list, several in a row that are alike as one.
func printItems(field protoreflect.FieldDescriptor, list protoreflect.List) []string {
	var items []string
	for i, alike := 0, 0; i < list.Len(); i++ {
		item := printValue(field, list.Get(i))
		alike++
		if i+1 < list.Len() && printValue(field, list.Get(i+1)) == item {
			continue
		}
		if alike > 1 {
			item += fmt.Sprintf(" ×%d", alike)
		}
		items, alike = append(items, item), 0
	}
	return items
}

func messageOf(field protoreflect.FieldDescriptor, value protoreflect.Value) any {
	if field.Message() == nil || field.IsList() || field.IsMap() {
		return nil
	}
	return value.Message().Interface()
}

func printValue(field protoreflect.FieldDescriptor, value protoreflect.Value) string {
	switch field.Kind() {
	case protoreflect.MessageKind:
		return printMessage(value.Message())
	case protoreflect.EnumKind:
		if name := field.Enum().Values().ByNumber(value.Enum()); name != nil {
			return string(name.Name())
		}
		return strconv.Itoa(int(value.Enum()))
	case protoreflect.BytesKind:
		return printBytes(value.Bytes())
	case protoreflect.StringKind:
		return strconv.Quote(value.String())
	}
	return value.String()
}

// printMessage is m in a line.
func printMessage(m protoreflect.Message) string {
	if pair, ok := m.Interface().(*mvccpb.KeyValue); ok {
		return printPair(pair)
	}
	var items []string
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		if field := fields.Get(i); m.Has(field) {
			items = append(items, printField(field, m.Get(field)))
		}
	}
	return "{" + strings.Join(items, " ") + "}"
}

func printPair(pair *mvccpb.KeyValue) string {
	var out strings.Builder
	out.WriteString(printBytes(pair.Key))
	if len(pair.Value) > 0 {
		out.WriteString("=" + printBytes(pair.Value))
	}
	for _, field := range []struct {
		name  string
		value int64
	}{
		{"create", pair.CreateRevision},
		{"mod", pair.ModRevision},
		{"version", pair.Version},
		{"lease", pair.Lease},
	} {
		if field.value != 0 {
			out.WriteString(fmt.Sprintf(" %s=%d", field.name, field.value))
		}
	}
	return out.String()
}

func printBytes(b []byte) string {
	if len(b) <= shownBytesMax {
		return strconv.Quote(string(b))
	}
	return fmt.Sprintf("%q…(%d bytes, crc %08x)", b[:8], len(b), crc32.ChecksumIEEE(b))
}

// printError is the code and the text, which is all that clients go by.
func printError(err error) string {
	s := status.Convert(err)
	return fmt.Sprintf("error %s: %s\n", s.Code(), s.Message())
}
