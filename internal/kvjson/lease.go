package kvjson

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"

	"github.com/miruvor/miruvor/internal/kv"
)

// LeaseID is a kv.LeaseID as JSON: a string of its decimal digits, as it may
// have all 63 bits and many readers hold numbers in 53. A number is accepted
// as well.
type LeaseID kv.LeaseID

// MarshalJSON implements json.Marshaler.
func (id LeaseID) MarshalJSON() ([]byte, error) {
	return appendLeaseID(nil, kv.LeaseID(id)), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (id *LeaseID) UnmarshalJSON(text []byte) error {
	n, ok := parseInteger(text)
	if !ok {
		return &json.UnmarshalTypeError{
			Value: shown(text), Type: reflect.TypeFor[LeaseID](),
		}
	}
	*id = LeaseID(n)
	return nil
}

func (LeaseID) wanted() string {
	return wholeNumber(0, math.MaxInt64) + " (63 bits), or a string of one"
}

// parseInteger reads a JSON number, or a JSON string of one.
func parseInteger(text []byte) (int64, bool) {
	var digits string
	if json.Unmarshal(text, &digits) != nil {
		digits = string(text)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil
}

func appendLeaseID(dst []byte, id kv.LeaseID) []byte {
	dst = append(dst, '"')
	dst = strconv.AppendInt(dst, int64(id), 10)
	return append(dst, '"')
}

// Grant is a kv.LeaseGrantRequest as JSON: {"ttl":60}, or with an "id" that
// the client chooses.
type Grant struct {
	// TTL may not be missing.
	TTL *Seconds `json:"ttl"`
	ID  LeaseID  `json:"id,omitempty"`
}

// Seconds are a time to live to ask for. The store raises one that is too
// short; one below 0 is a mistake.
type Seconds int64

func (Seconds) wanted() string { return wholeNumber(0, kv.LeaseTTLMax) }

// NewGrant is req as JSON. A time to live below 0, which the store would raise
// and JSON has no room for, is 0.
func NewGrant(req kv.LeaseGrantRequest) Grant {
	return Grant{TTL: new(Seconds(max(req.TTL, 0))), ID: LeaseID(req.ID)}
}

// Decode is the request that j stands for.
func (j *Grant) Decode() (kv.LeaseGrantRequest, error) {
	if j.TTL == nil {
		return kv.LeaseGrantRequest{}, kv.Invalid("ttl is missing, it is a number of seconds")
	}
	if *j.TTL < 0 {
		return kv.LeaseGrantRequest{}, kv.Invalid("ttl is %d, it must be %s",
			*j.TTL, j.TTL.wanted())
	}
	return kv.LeaseGrantRequest{ID: kv.LeaseID(j.ID), TTL: int64(*j.TTL)}, nil
}

// LeaseStatus is a kv.Lease as JSON:
//
//	{"revision":7,"id":"81","ttl":58,"granted":60,"keys":[{"key":"a"}]}
type LeaseStatus struct {
	Revision kv.Revision `json:"revision"`
	ID       LeaseID     `json:"id"`
	// TTL is what is left, Granted what it began with, both in seconds.
	TTL     int64 `json:"ttl"`
	Granted int64 `json:"granted"`
	// Keys are there if they were asked for.
	Keys *[]KeyName `json:"keys,omitempty"`
}

// KeyName is a key and nothing else.
type KeyName struct {
	Key       *string `json:"key,omitempty"`
	KeyBase64 *string `json:"key_base64,omitempty"`
}

// NewLease is l as JSON, with its keys, even if there are none, if they were
// asked for.
func NewLease(l kv.Lease, withKeys bool) LeaseStatus {
	j := LeaseStatus{Revision: l.Revision, ID: LeaseID(l.ID), TTL: l.TTL, Granted: l.Granted}
	if withKeys {
		names := make([]KeyName, len(l.Keys))
		for i, key := range l.Keys {
			names[i].Key, names[i].KeyBase64 = encode(key)
		}
		j.Keys = &names
	}
	return j
}

// Decode is the lease that j stands for.
func (j *LeaseStatus) Decode() (kv.Lease, error) {
	l := kv.Lease{ID: kv.LeaseID(j.ID), TTL: j.TTL, Granted: j.Granted, Revision: j.Revision}
	if j.Keys == nil {
		return l, nil
	}
	for _, name := range *j.Keys {
		key, err := decode("key", name.Key, name.KeyBase64)
		if err != nil {
			return l, err
		}
		l.Keys = append(l.Keys, key)
	}
	return l, nil
}

// Leases is a kv.LeaseList as JSON: {"revision":7,"leases":[{"id":"81"}]}.
type Leases struct {
	Revision kv.Revision `json:"revision"`
	Leases   []LeaseName `json:"leases"`
}

// LeaseName is a lease of a list.
type LeaseName struct {
	ID LeaseID `json:"id"`
}

// NewLeases is list as JSON.
func NewLeases(list kv.LeaseList) Leases {
	j := Leases{Revision: list.Revision, Leases: make([]LeaseName, len(list.IDs))}
	for i, id := range list.IDs {
		j.Leases[i].ID = LeaseID(id)
	}
	return j
}

// Decode is the list that j stands for.
func (j *Leases) Decode() kv.LeaseList {
	list := kv.LeaseList{Revision: j.Revision}
	for _, l := range j.Leases {
		list.IDs = append(list.IDs, kv.LeaseID(l.ID))
	}
	return list
}
