package kvjson_test

import (
	"errors"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// forms are the JSON forms that are read whole, by servers or by clients.
var forms = []func(text []byte) error{
	func(text []byte) error { return decodeForm(text, (*kvjson.Page).Decode) },
	func(text []byte) error { return decodeForm(text, (*kvjson.TxnResult).Decode) },
	func(text []byte) error { return decodeForm(text, (*kvjson.Grant).Decode) },
	func(text []byte) error { return decodeForm(text, (*kvjson.LeaseStatus).Decode) },
	func(text []byte) error { return decodeForm(text, (*kvjson.Compact).Decode) },
	func(text []byte) error { return decodeForm(text, (*kvjson.Status).Decode) },
	func(text []byte) error {
		return decodeForm(text, func(j *kvjson.Leases) (kv.LeaseList, error) {
			return j.Decode(), nil
		})
	},
	func(text []byte) error {
		return decodeForm(text, func(*kvjson.Problem) (any, error) { return nil, nil })
	},
}

func decodeForm[Form, Meaning any](text []byte, decode func(*Form) (Meaning, error)) error {
	var j Form
	if err := kvjson.Decode(text, &j); err != nil {
		return err
	}
	_, err := decode(&j)
	return err
}

// FuzzForms: every form is taken, or refused as invalid.
func FuzzForms(f *testing.F) {
	const pair = `{"key":"a","value_base64":"/w==",` +
		`"create_revision":2,"mod_revision":2,"version":1}`
	for form, text := range []string{
		`{"revision":7,"kvs":[` + pair + `],"more":true,"count":12,"cursor":"x"}`,
		`{"revision":8,"succeeded":true,"results":[{"put":{"version":1,"prev":` + pair + `}},` +
			`{"delete":{"deleted":1,"prev":[` + pair + `]}},` +
			`{"txn":{"succeeded":false,"results":[]}}]}`,
		`{"ttl":60,"id":"9223372036854775807"}`,
		`{"revision":3,"id":"7","ttl":5,"granted":60,"keys":[{"key":"a"},{"key_base64":"AA=="}]}`,
		`{"revision":5}`,
		`{"node":"1","name":"n1","shards":[{"id":1,"start":"a","end_base64":"/w=="}]}`,
		`{"revision":3,"leases":[{"id":"7"},{"id":8}]}`,
		`{"type":"x#compacted","title":"t","status":410,"code":"compacted","compacted":4}`,
	} {
		f.Add(uint8(form), []byte(text))
	}
	f.Fuzz(func(t *testing.T, form uint8, text []byte) {
		err := forms[int(form)%len(forms)](text)
		if err != nil && !errors.Is(err, kv.ErrInvalid) {
			t.Fatalf("%s: %v does not wrap ErrInvalid", text, err)
		}
	})
}
