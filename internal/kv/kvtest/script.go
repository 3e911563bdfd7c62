package kvtest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
)

// parseTxn reads a transaction, a line an item, nested ones indented by two:
//
//	if mod a = +1
//	if value KEYS > 5
//	then put key=b value=2
//	then txn
//	  if version c = 0
//	  then delete prefix=d
//	else get key=a
func parseTxn(text string, start kv.Revision) (kv.TxnRequest, error) {
	var req kv.TxnRequest
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		words := strings.Fields(lines[i])
		if len(words) < 2 {
			return req, fmt.Errorf("line %q has too few words", lines[i])
		}
		var nested []string
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "  ") {
			i++
			nested = append(nested, lines[i][2:])
		}
		if err := addItem(&req, words, strings.Join(nested, "\n"), start); err != nil {
			return req, fmt.Errorf("line %q: %w", lines[i], err)
		}
	}
	return req, nil
}

func addItem(req *kv.TxnRequest, words []string, nested string, start kv.Revision) error {
	if words[0] == "if" {
		c, err := parseCompare(words[1:], start)
		req.Compares = append(req.Compares, c)
		return err
	}
	op, err := parseOp(words[1:], start)
	if op.Txn != nil && nested != "" {
		*op.Txn, err = parseTxn(nested, start)
	}
	switch words[0] {
	case "then":
		req.Success = append(req.Success, op)
	case "else":
		req.Failure = append(req.Failure, op)
	default:
		return errors.New("neither if, then nor else")
	}
	return err
}

var targets = map[string]kv.Target{
	"version": kv.CompareVersion, "create": kv.CompareCreate, "mod": kv.CompareMod,
	"value": kv.CompareValue, "lease": kv.CompareLease,
}

var relations = map[string]kv.Relation{
	"=": kv.Equal, ">": kv.Greater, "<": kv.Less, "!=": kv.NotEqual,
}

// parseCompare reads "target key relation operand". The key may be key=K or
// another form of KEYS; the value "" is the empty one.
func parseCompare(words []string, start kv.Revision) (kv.Compare, error) {
	if len(words) < 4 {
		return kv.Compare{}, errors.New("a compare is target, key, relation, operand")
	}
	n := len(words)
	c := kv.Compare{Key: key(words[1])}
	if words[1] == `""` {
		c.Key = nil
	}
	if n > 4 || strings.Contains(words[1], "=") {
		var keys kv.Range
		for _, word := range words[1 : n-2] {
			if _, err := setKeys(&keys, word); err != nil {
				return c, err
			}
		}
		c.Key, c.RangeEnd = keys.Start, keys.End
		if keys.End == nil {
			c.RangeEnd = []byte{0}
		}
	}
	var known [2]bool
	c.Target, known[0] = targets[words[0]]
	c.Relation, known[1] = relations[words[n-2]]
	if known != [2]bool{true, true} {
		return c, errors.New("unknown target or relation")
	}
	if c.Target == kv.CompareValue {
		c.Value = []byte(strings.ReplaceAll(words[n-1], `""`, ""))
		return c, nil
	}
	number, err := parseRevision(words[n-1], start)
	c.Number = int64(number)
	return c, err
}

// parseOp reads an operation: its name and arguments.
func parseOp(words []string, start kv.Revision) (kv.Op, error) {
	set, ok := map[string]func(*kv.Op, string, kv.Revision) error{
		"get": setRange, "put": setPut, "delete": setDelete, "txn": nil, "nothing": nil,
	}[words[0]]
	if !ok {
		return kv.Op{}, fmt.Errorf("unknown operation %q", words[0])
	}
	var op kv.Op
	switch words[0] {
	case "get":
		op.Range = &kv.RangeRequest{}
	case "put":
		op.Put = &kv.PutRequest{}
	case "delete":
		op.Delete = &kv.DeleteRequest{}
	case "txn":
		op.Txn = &kv.TxnRequest{}
	}
	for _, word := range words[1:] {
		if err := set(&op, word, start); err != nil {
			return kv.Op{}, err
		}
	}
	return op, nil
}

func setPut(op *kv.Op, word string, _ kv.Revision) error {
	switch name, arg, _ := strings.Cut(word, "="); name {
	case "key":
		op.Put.Key = key(arg)
		if arg == "" {
			op.Put.Key = nil
		}
	case "value":
		op.Put.Value = []byte(arg)
	case "prev":
		op.Put.PrevKV = true
	case "ignore-value":
		op.Put.IgnoreValue = true
	case "ignore-lease":
		op.Put.IgnoreLease = true
	case "lease":
		id, err := strconv.ParseInt(arg, 10, 64)
		op.Put.Lease = kv.LeaseID(id)
		return err
	default:
		return fmt.Errorf("unknown argument %q", word)
	}
	return nil
}

func setDelete(op *kv.Op, word string, _ kv.Revision) error {
	if word == "prev" {
		op.Delete.PrevKV = true
		return nil
	}
	isKeys, err := setKeys(&op.Delete.Range, word)
	if !isKeys && err == nil {
		err = fmt.Errorf("unknown argument %q", word)
	}
	return err
}

func setRange(op *kv.Op, word string, start kv.Revision) error {
	req := op.Range
	if isKeys, err := setKeys(&req.Range, word); isKeys || err != nil {
		return err
	}
	var err error
	switch name, arg, _ := strings.Cut(word, "="); name {
	case "rev":
		req.Revision, err = parseRevision(arg, start)
	case "limit":
		req.Limit, err = strconv.Atoi(arg)
	case "bytes-max":
		req.BytesMax, err = strconv.Atoi(arg)
	case "reverse":
		req.Reverse = true
	case "keys-only":
		req.KeysOnly = true
	case "count-only":
		req.CountOnly = true
	case "count":
		req.WantCount = true
	case "serializable":
		req.Serializable = true
	default:
		return fmt.Errorf("unknown argument %q", word)
	}
	return err
}

// setKeys reads one word of KEYS and tells whether it is one.
func setKeys(r *kv.Range, word string) (bool, error) {
	switch name, arg, _ := strings.Cut(word, "="); name {
	case "key":
		*r = kv.PointRange(key(arg))
	case "prefix":
		*r = kv.PrefixRange(key(arg))
	case "from":
		*r = kv.Range{Start: key(arg)}
	case "start":
		r.Start = key(arg)
	case "end":
		r.End = key(arg)
	case "all":
		*r = kv.Range{}
	case "empty":
		*r = kv.PointRange(nil)
	default:
		return false, nil
	}
	return true, nil
}

// parseRevision reads +N, counted from start, or a plain number.
func parseRevision(text string, start kv.Revision) (kv.Revision, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if strings.HasPrefix(text, "+") {
		n += int64(start)
	}
	return kv.Revision(n), err
}
