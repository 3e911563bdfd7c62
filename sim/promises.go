package sim

import (
	"fmt"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
)

// checkTasks holds what clients saw against the invariants of their tasks. It looks
// at answers alone, at no revision and no replica, and shares nothing with the
// reference: what is wrong there is seen here.
func (h *History) checkTasks(k *keys) error {
	snaps := h.snapshots()
	if err := checkBank(snaps, k.accounts()); err != nil {
		return err
	}
	if err := h.checkCounters(snaps, k.counters()); err != nil {
		return err
	}
	return h.checkLists(k.lists())
}

// snapshot is what an operation that only read saw of one moment.
type snapshot struct {
	op *Op
	// pairs are what it saw, spans where it looked: what is not in pairs was not there.
	pairs map[string]string
	spans []kv.Range
}

// snapshots are those of all operations that only read.
func (h *History) snapshots() []snapshot {
	var list []snapshot
	for _, op := range h.Ops {
		s := snapshot{op: op, pairs: map[string]string{}}
		switch {
		case op.Err != nil || op.End == 0:
			continue
		case op.Range != nil:
			s.add(op.Range, op.RangeResponse)
		case op.Txn == nil || !s.addTxn(op.Txn, op.TxnResponse):
			continue
		}
		list = append(list, s)
	}
	return list
}

// add takes a read that shows all of its range.
func (s *snapshot) add(req *kv.RangeRequest, resp *kv.RangeResponse) {
	if partial(req) {
		return
	}
	s.spans = append(s.spans, req.Range)
	for _, pair := range resp.KVs {
		s.pairs[string(pair.Key)] = string(pair.Value)
	}
}

// partial reports whether a read may show less than is there.
func partial(req *kv.RangeRequest) bool {
	return req.Limit > 0 || req.BytesMax > 0 || req.KeysOnly || req.CountOnly
}

// addTxn takes the reads of a transaction, and reports whether it was one that
// only read, the present alone.
func (s *snapshot) addTxn(req *kv.TxnRequest, resp *kv.TxnResponse) bool {
	ops := req.Success
	if !resp.Succeeded {
		ops = req.Failure
	}
	for i, op := range ops {
		if op.Range == nil || op.Range.Revision != 0 {
			return false
		}
		s.add(op.Range, resp.Results[i].Range)
	}
	return true
}

// find is what was seen of keys, those that were there, and whether all were looked at.
func (s *snapshot) find(keys [][]byte) (found []string, all bool) {
	for _, key := range keys {
		looked := false
		for _, span := range s.spans {
			looked = looked || span.Contains(key)
		}
		if !looked {
			return nil, false
		}
		if value, ok := s.pairs[string(key)]; ok {
			found = append(found, value)
		}
	}
	return found, true
}

// checkBank checks that no snapshot shows more money than there is, or less.
func checkBank(snaps []snapshot, keys [][]byte) error {
	for _, s := range snaps {
		found, all := s.find(keys)
		if !all || len(found) == 0 {
			continue
		}
		sum := 0
		for _, value := range found {
			sum += number([]byte(value))
		}
		if len(found) != len(keys) || sum != openingBalance*len(keys) {
			return fmt.Errorf("bank: %d of %d accounts hold %d\n%v", len(found), len(keys), sum,
				s.op)
		}
	}
	return nil
}

// checkCounters checks that no number was given out twice, and that two counters
// that are counted up together never differ.
func (h *History) checkCounters(snaps []snapshot, keys [][]byte) error {
	for _, s := range snaps {
		found, all := s.find(keys)
		if all && len(found) != 0 &&
			(len(found) != len(keys) || number([]byte(found[0])) != number([]byte(found[1]))) {
			return fmt.Errorf("counters: they differ: %q\n%v", found, s.op)
		}
	}
	drawn := map[string]*Op{}
	for _, op := range h.Ops {
		n, ok := written(op, keys[0])
		if !ok || op.Fate() != Done || !op.TxnResponse.Succeeded {
			continue
		}
		n, _, _ = strings.Cut(n, " ")
		if drawn[n] != nil {
			return fmt.Errorf("counters: %s was drawn twice\n%v\n%v", n, drawn[n], op)
		}
		drawn[n] = op
	}
	return nil
}

// written is what an operation puts into a key if its compares hold.
func written(op *Op, key []byte) (value string, ok bool) {
	if op.Txn == nil {
		return "", false
	}
	for _, o := range op.Txn.Success {
		if o.Put != nil && string(o.Put.Key) == string(key) {
			return string(o.Put.Value), true
		}
	}
	return "", false
}
