package kvjson

import (
	"strconv"

	"github.com/miruvor/miruvor/internal/kv"
)

// KeyValue is a kv.KeyValue as JSON:
//
//	{"key":"a","value":"1","create_revision":2,"mod_revision":5,"version":3}
//
// The value is missing if only keys were asked for, the lease if there is none.
type KeyValue struct {
	Key            *string     `json:"key"`
	KeyBase64      *string     `json:"key_base64"`
	Value          *string     `json:"value"`
	ValueBase64    *string     `json:"value_base64"`
	CreateRevision kv.Revision `json:"create_revision"`
	ModRevision    kv.Revision `json:"mod_revision"`
	Version        int64       `json:"version"`
	Lease          LeaseID     `json:"lease"`
}

// Decode is the pair that j stands for.
func (j *KeyValue) Decode() (kv.KeyValue, error) {
	key, err := decode("key", j.Key, j.KeyBase64)
	if err != nil {
		return kv.KeyValue{}, err
	}
	value, err := decode("value", j.Value, j.ValueBase64)
	if err != nil {
		return kv.KeyValue{}, err
	}
	return kv.KeyValue{
		Key:            key,
		Value:          value,
		CreateRevision: j.CreateRevision,
		ModRevision:    j.ModRevision,
		Version:        j.Version,
		Lease:          kv.LeaseID(j.Lease),
	}, nil
}

// AppendKeyValue appends the JSON of pair to dst, without its value if
// keysOnly is set.
func AppendKeyValue(dst []byte, pair *kv.KeyValue, keysOnly bool) []byte {
	return append(appendPair(append(dst, '{'), pair, keysOnly), '}')
}

// appendPair appends the members of AppendKeyValue's object.
func appendPair(dst []byte, pair *kv.KeyValue, keysOnly bool) []byte {
	dst = appendField(dst, "key", pair.Key)
	if !keysOnly {
		dst = appendField(append(dst, ','), "value", pair.Value)
	}
	dst = append(dst, `,"create_revision":`...)
	dst = strconv.AppendInt(dst, int64(pair.CreateRevision), 10)
	dst = append(dst, `,"mod_revision":`...)
	dst = strconv.AppendInt(dst, int64(pair.ModRevision), 10)
	dst = append(dst, `,"version":`...)
	dst = strconv.AppendInt(dst, pair.Version, 10)
	if pair.Lease != 0 {
		dst = appendLeaseID(append(dst, `,"lease":`...), pair.Lease)
	}
	return dst
}

func appendKeyValues(dst []byte, pairs []kv.KeyValue, keysOnly bool) []byte {
	dst = append(dst, '[')
	for i := range pairs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendKeyValue(dst, &pairs[i], keysOnly)
	}
	return append(dst, ']')
}

func decodeKeyValues(pairs []KeyValue) ([]kv.KeyValue, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	decoded := make([]kv.KeyValue, len(pairs))
	for i := range pairs {
		var err error
		if decoded[i], err = pairs[i].Decode(); err != nil {
			return nil, err
		}
	}
	return decoded, nil
}
