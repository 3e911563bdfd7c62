package sim

import (
	"reflect"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/wire"
)

// Every kind of request and of answer has words of its own in the trace.
func TestDescribeKnowsEveryKind(t *testing.T) {
	seen := map[string]string{}
	check := func(field, text string) {
		if text == "" || text == "nothing" {
			t.Errorf("%s is described as %q", field, text)
		}
		if other, ok := seen[text]; ok {
			t.Errorf("%s and %s are both %q", field, other, text)
		}
		seen[text] = field
	}
	for _, f := range kindsOf(reflect.TypeFor[wire.Request]()) {
		var q wire.Request
		setKind(reflect.ValueOf(&q).Elem(), f)
		check("Request."+f.Name, describeRequest(&q))
	}
	for _, f := range kindsOf(reflect.TypeFor[wire.Response]()) {
		var p wire.Response
		setKind(reflect.ValueOf(&p).Elem(), f)
		check("Response."+f.Name, describeResponse(&p))
	}
}

// kindsOf are the fields of which one is set. An empty transaction has no words.
func kindsOf(t reflect.Type) []reflect.StructField {
	var fields []reflect.StructField
	for f := range t.Fields() {
		if f.Type.Kind() == reflect.Pointer && !strings.HasSuffix(f.Type.String(), ".TxnRequest") {
			fields = append(fields, f)
		}
	}
	return fields
}

func setKind(v reflect.Value, f reflect.StructField) {
	v.FieldByIndex(f.Index).Set(reflect.New(f.Type.Elem()))
}
