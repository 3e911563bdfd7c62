package load

import (
	"bytes"
	"fmt"
)

// Kind is what a request asks for.
type Kind uint8

// The kinds.
const (
	Put   Kind = iota // Key and Value
	Get               // Key
	Range             // the keys of [Key, End)
	Txn               // a put, if the key exists
)

// A Request is filled anew for each call; its bytes belong to the workload.
type Request struct {
	Kind         Kind
	Key          []byte
	End          []byte
	Value        []byte
	Serializable bool
	// Want is how many keys a Get or Range must find.
	Want int
}

// An Answer is what is looked at of a response.
type Answer struct {
	Revision  int64
	Keys      int
	FirstKey  []byte // to the next answer
	Succeeded bool   // of a Txn
}

// check refuses an answer that can't be right.
func (r *Request) check(a *Answer) error {
	switch {
	case a.Revision <= 0:
		return fmt.Errorf("load: answer without a revision")
	case r.Kind == Txn && !a.Succeeded:
		return fmt.Errorf("load: txn on %q: the key doesn't exist", r.Key)
	case a.Keys != r.Want:
		return fmt.Errorf("load: read of %q: %d keys, want %d", r.Key, a.Keys, r.Want)
	case r.Want > 0 && !bytes.Equal(a.FirstKey, r.Key):
		return fmt.Errorf("load: read of %q: first key is %q", r.Key, a.FirstKey)
	}
	return nil
}
