package sim

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
)

// register is the state of one key as porcupine follows it: without
// revisions, so that it has to find an order on its own.
type register struct {
	live    bool
	value   string
	version int64
}

// linearizable asks porcupine about a history of operations on single keys, until all was
// well again: what is asked after that is about several.
func linearizable(h *History) porcupine.CheckResult {
	var ops []porcupine.Operation
	for _, op := range h.Ops {
		if op.Fate() == Refused || op.Asked >= h.Healed || keyOf(op) == "" {
			continue
		}
		end := int64(math.MaxInt64)
		if op.Fate() == Done {
			end = int64(op.End)
		}
		ops = append(ops, porcupine.Operation{
			ClientId: op.Client, Input: op, Output: op, Call: int64(op.Begin), Return: end,
		})
	}
	return porcupine.CheckOperationsTimeout(registers, ops, 20*time.Second)
}

var registers = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, o := range history {
			key := keyOf(o.Input.(*Op))
			byKey[key] = append(byKey[key], o)
		}
		parts := make([][]porcupine.Operation, 0, len(byKey))
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return register{} },
	Step: func(state, input, _ any) (bool, any) {
		next, ok := step(state.(register), input.(*Op))
		return ok, next
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprint(input) },
}

// keyOf is the one key that an operation is about, "" if there are several.
func keyOf(op *Op) string {
	switch {
	case op.Txn != nil && len(op.Txn.Compares) > 0:
		return string(op.Txn.Compares[0].Key)
	case op.Txn != nil && op.Txn.Success[0].Put != nil:
		return string(op.Txn.Success[0].Put.Key)
	case op.Txn != nil:
		return string(op.Txn.Success[0].Delete.Start)
	case op.Range.Serializable:
		return ""
	}
	return string(op.Range.Start)
}

// step carries an operation out and reports whether its answer fits.
func step(r register, op *Op) (register, bool) {
	if op.Range != nil {
		return r, op.RangeResponse == nil || r.shows(op.RangeResponse)
	}
	ops, results := op.Txn.Success, []kv.Result(nil)
	holds := r.holds(op.Txn.Compares)
	if !holds {
		ops = op.Txn.Failure
	}
	if op.TxnResponse != nil {
		if op.TxnResponse.Succeeded != holds {
			return r, false
		}
		results = op.TxnResponse.Results
	}
	for i, o := range ops {
		var result kv.Result
		if results != nil {
			result = results[i]
		}
		var ok bool
		if r, ok = r.do(o, result, results != nil); !ok {
			return r, false
		}
	}
	return r, true
}

func (r register) do(o kv.Op, result kv.Result, answered bool) (register, bool) {
	switch {
	case o.Put != nil:
		next := register{live: true, value: string(o.Put.Value), version: r.version + 1}
		return next, !answered || result.Put.Version == next.version
	case o.Delete != nil:
		return register{}, !answered || (result.Delete.Deleted == 1) == r.live
	}
	return r, !answered || r.shows(result.Range)
}

func (r register) shows(got *kv.RangeResponse) bool {
	if !r.live {
		return len(got.KVs) == 0
	}
	return len(got.KVs) == 1 && string(got.KVs[0].Value) == r.value &&
		got.KVs[0].Version == r.version
}

func (r register) holds(compares []kv.Compare) bool {
	for _, c := range compares {
		if c.Target == kv.CompareVersion && r.version != c.Number ||
			c.Target == kv.CompareValue && (!r.live || r.value != string(c.Value)) {
			return false
		}
	}
	return true
}

// plain is a short run on few keys.
func plain(seed uint64, m mutant.Mutant) Config {
	cfg := Hunt(m, seed)
	cfg.Load.Plain, cfg.Load.Length = true, 4*time.Second
	return cfg
}

// What the checker takes, porcupine takes.
func TestPorcupineAgreesWithTheChecker(t *testing.T) {
	for seed := range uint64(12) {
		cfg := plain(seed, mutant.SkipLeaseCheck)
		cfg.Mutant = mutant.None
		r := run(t, cfg)
		if r.Err != nil {
			t.Fatalf("seed %d: %v", seed, r.Err)
		}
		if got := linearizable(&r.History); got == porcupine.Illegal {
			t.Errorf("seed %d: porcupine finds no order", seed)
		}
	}
}

// What porcupine objects to, the checker objects to; and both do object.
func TestCheckerSeesWhatPorcupineSees(t *testing.T) {
	illegal := 0
	for seed := range uint64(12) {
		r := run(t, plain(seed, mutant.ReadStaleLast))
		if linearizable(&r.History) != porcupine.Illegal {
			continue
		}
		illegal++
		if r.Err == nil {
			t.Errorf("seed %d: porcupine finds no order, the checker objects to nothing", seed)
		}
	}
	if illegal == 0 {
		t.Error("porcupine never objected to stale reads")
	}
}
