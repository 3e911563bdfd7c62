package sim

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// uses counts what the workload used of kv.Store: its methods, the fields of requests
// that were set, and the ranges that are odd. A generator that never asks for something
// can't find it broken.
type uses map[string]int

// ofRun adds what a run used.
func (u uses) ofRun(r *Report) {
	for _, op := range r.History.Ops {
		u.ofOp(op)
	}
	u["Store.Status"] += r.Statuses
	for _, w := range r.History.Watchings {
		u["Store.Watch"]++
		u["WatchStream.Add"]++
		u["WatchStream.Next"] += len(w.Heard)
		u.ofFields("WatchRequest", w.Request)
		u.ofRange(w.Request.Range)
		if len(w.Froms) > 1 {
			u["WatchStream.Close"]++ // and again on another stream
		}
		if !w.Open {
			u["WatchStream.Remove"]++
		}
	}
	u["WatchStream.Progress"] += len(r.History.Progress)
}

func (u uses) ofOp(op *Op) {
	if op.Again != 0 {
		u["a second try"]++
	}
	switch {
	case op.Txn != nil:
		u["Store.Txn"]++
		u.ofTxn(op.Txn, 1)
	case op.Range != nil:
		u["Store.Range"]++
		u.ofRead(op.Range)
	case op.Compact != nil:
		u["Store.Compact"]++
	case op.Lease != nil:
		names := map[wire.LeaseOp]string{
			wire.LeaseGrant: "Store.LeaseGrant", wire.LeaseRevoke: "Store.LeaseRevoke",
			wire.LeaseKeepAlive: "Store.LeaseKeepAlive", wire.LeaseList: "Store.Leases",
			wire.LeaseTimeToLive: "Store.LeaseTimeToLive",
		}
		u[names[op.Lease.Request.Op]]++
		u.ofFields("LeaseGrantRequest", kv.LeaseGrantRequest{
			ID: op.Lease.Request.ID, TTL: op.Lease.Request.TTL,
		})
	}
}

func (u uses) ofTxn(txn *kv.TxnRequest, depth int) {
	u[fmt.Sprintf("transactions %d deep", depth)]++
	u.ofFields("TxnRequest", *txn)
	for _, c := range txn.Compares {
		u.ofFields("Compare", c)
		u[fmt.Sprintf("compares of target %d, relation %d", c.Target, c.Relation)]++
	}
	for _, o := range slices.Concat(txn.Success, txn.Failure) {
		u.ofFields("Op", o)
		switch {
		case o.Put != nil:
			u.ofFields("PutRequest", *o.Put)
		case o.Delete != nil:
			u.ofFields("DeleteRequest", *o.Delete)
			u.ofRange(o.Delete.Range)
		case o.Txn != nil:
			u.ofTxn(o.Txn, depth+1)
		default:
			u.ofRead(o.Range)
		}
	}
}

func (u uses) ofRead(req *kv.RangeRequest) {
	u.ofFields("RangeRequest", *req)
	u.ofRange(req.Range)
}

// ofFields counts the fields of a request that are set.
func (u uses) ofFields(name string, request any) {
	v := reflect.ValueOf(request)
	for i := range v.NumField() {
		if !v.Field(i).IsZero() {
			u[name+"."+v.Type().Field(i).Name]++
		}
	}
}

// ofRange counts ranges that are odd.
func (u uses) ofRange(r kv.Range) {
	switch {
	case r.Start == nil && r.End == nil:
		u["a whole range"]++
	case r.End == nil:
		u["a range without an end"]++
	case string(r.Start) == string(r.End):
		u["an empty range"]++
	case r.Empty():
		u["a reversed range"]++
	}
	if len(r.Start) > 0 && r.Start[0] == 0xff {
		u["a range from 0xff on"]++
	}
}

// checkAll requires that everything was used that there is.
func (u uses) checkAll(t *testing.T) {
	wanted := []string{
		"a second try", "a whole range", "a range without an end", "an empty range",
		"a reversed range", "a range from 0xff on", "transactions 3 deep",
	}
	wanted = append(wanted, methods[kv.Store]("Store")...)
	wanted = append(wanted, methods[kv.WatchStream]("WatchStream")...)
	for _, request := range []any{
		kv.RangeRequest{},
		kv.PutRequest{},
		kv.DeleteRequest{},
		kv.Op{},
		kv.Compare{},
		kv.TxnRequest{},
		kv.WatchRequest{},
		kv.LeaseGrantRequest{},
	} {
		typ := reflect.TypeOf(request)
		for field := range typ.Fields() {
			wanted = append(wanted, typ.Name()+"."+field.Name)
		}
	}
	for target := kv.CompareVersion; target <= kv.CompareLease; target++ {
		for relation := kv.Equal; relation <= kv.NotEqual; relation++ {
			wanted = append(wanted,
				fmt.Sprintf("compares of target %d, relation %d", target, relation))
		}
	}
	for _, name := range wanted {
		if u[name] == 0 {
			t.Errorf("no run has %s", name)
		}
	}
}

// methods are those of an interface.
func methods[T any](name string) []string {
	typ := reflect.TypeFor[T]()
	var list []string
	for method := range typ.Methods() {
		list = append(list, name+"."+method.Name)
	}
	return list
}
