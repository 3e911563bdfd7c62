package sim

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/miruvor/miruvor/internal/kv"
)

// task is what a client does again and again. What keeps an invariant of its own has keys
// of its own, behind the others of each shard.
type task interface {
	draw(cl *client) *Op
}

// anything is whatever a store can do, on the common keys.
type anything struct{}

func (anything) draw(cl *client) *Op { return cl.draw() }

// tasks is how many clients have a task that is not anything.
func (l *Load) tasks() int { return l.Bankers + l.Listers + l.Counters }

// taskOf is the task of a client.
func (l *Load) taskOf(id int) task {
	switch {
	case id < l.Bankers:
		return banking{}
	case id < l.Bankers+l.Listers:
		return listing{}
	case id < l.tasks():
		return counting{}
	}
	return anything{}
}

// taskKeys are keys of a task, one after the other in all shards.
func (k *keys) taskKeys(name string, count int) [][]byte {
	list := make([][]byte, count)
	for i := range list {
		list[i] = fmt.Appendf(nil, "%c~%s%d", 'a'+i%len(k.perShard), name, i)
	}
	return list
}

func get(key []byte) kv.Op {
	return kv.Op{Range: &kv.RangeRequest{Range: kv.PointRange(key)}}
}

func gets(keys [][]byte) []kv.Op {
	ops := make([]kv.Op, len(keys))
	for i, key := range keys {
		ops[i] = get(key)
	}
	return ops
}

func put(key []byte, format string, args ...any) kv.Op {
	return kv.Op{Put: &kv.PutRequest{Key: key, Value: fmt.Appendf(nil, format, args...)}}
}

// same holds if a key is as the client knows it.
func (cl *client) same(key []byte) kv.Compare {
	known, ok := cl.known[string(key)]
	if !ok {
		return kv.Compare{Key: key, Target: kv.CompareVersion}
	}
	if cl.c.chance(0.5) {
		return kv.Compare{Key: key, Target: kv.CompareMod, Number: int64(known.ModRevision)}
	}
	return kv.Compare{Key: key, Target: kv.CompareValue, Value: known.Value}
}

// survey reads all keys of a task in one of many ways; whichever it is, they
// are as at one revision.
func (cl *client) survey(keys [][]byte) *Op {
	c := cl.c
	req := &kv.RangeRequest{}
	switch c.rng.IntN(4) {
	case 0:
		return &Op{Txn: &kv.TxnRequest{Success: gets(keys)}}
	case 1:
		req.Serializable = true
	case 2:
		if cl.revision > kv.FirstRevision {
			req.Revision = 1 + kv.Revision(c.rng.Int64N(int64(cl.revision)))
		}
	}
	return &Op{Range: req}
}

// banking transfers money between accounts.
type banking struct{}

// accounts are at most this many.
const accounts, openingBalance = 4, 100

func (k *keys) accounts() [][]byte { return k.taskKeys("bank", accounts) }

func (banking) draw(cl *client) *Op {
	c := cl.c
	keys := c.keys.accounts()
	if len(cl.known) == 0 {
		return cl.openAccounts(keys)
	}
	if c.chance(0.3) {
		return cl.survey(keys)
	}
	i := c.rng.IntN(len(keys))
	from, to := keys[i], keys[(i+1+c.rng.IntN(len(keys)-1))%len(keys)]
	amount := 1 + c.rng.IntN(20)
	txn := &kv.TxnRequest{
		Compares: []kv.Compare{cl.same(from), cl.same(to)},
		Success: []kv.Op{
			put(from, "%d %d", number(cl.known[string(from)].Value)-amount, c.nextOp()),
			put(to, "%d %d", number(cl.known[string(to)].Value)+amount, c.nextOp()),
		},
		Failure: gets([][]byte{from, to}),
	}
	if c.chance(0.5) {
		txn.Success = append(txn.Success, get(from), get(to))
	}
	return &Op{Txn: txn}
}

// openAccounts gives every account its first money, if nobody has.
func (cl *client) openAccounts(keys [][]byte) *Op {
	txn := &kv.TxnRequest{
		Compares: []kv.Compare{{Key: keys[0], Target: kv.CompareVersion}},
		Failure:  gets(keys),
	}
	for _, key := range keys {
		txn.Success = append(txn.Success, put(key, "%d %d", openingBalance, cl.c.nextOp()))
	}
	return &Op{Txn: txn}
}

// number is the one that a value begins with.
func number(value []byte) int {
	text, _, _ := bytes.Cut(value, []byte(" "))
	n, _ := strconv.Atoi(string(text))
	return n
}

// listing appends to lists, of which a transaction may see and change several.
type listing struct{}

func (k *keys) lists() [][]byte { return k.taskKeys("list", 4) }

func (listing) draw(cl *client) *Op {
	c := cl.c
	keys := c.keys.lists()
	if c.chance(0.25) {
		return cl.survey(keys)
	}
	c.rng.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	txn := &kv.TxnRequest{Failure: gets(keys)}
	appended := 1 + c.rng.IntN(2)
	for i, key := range keys[:appended+c.rng.IntN(2)] {
		txn.Compares = append(txn.Compares, cl.same(key))
		if i < appended {
			txn.Success = append(txn.Success,
				put(key, "%s%d,", cl.known[string(key)].Value, c.nextOp()))
		}
	}
	// What is read but not compared may be anything.
	txn.Success = append(txn.Success, gets(keys[c.rng.IntN(len(keys)):])...)
	return &Op{Txn: txn}
}

// counting counts two counters up together.
type counting struct{}

func (k *keys) counters() [][]byte { return k.taskKeys("pair", 2) }

func (counting) draw(cl *client) *Op {
	c := cl.c
	keys := c.keys.counters()
	if c.chance(0.2) {
		return cl.survey(keys)
	}
	next := number(cl.known[string(keys[0])].Value) + 1
	txn := &kv.TxnRequest{
		Compares: []kv.Compare{cl.same(keys[c.rng.IntN(2)])},
		Success: []kv.Op{
			put(keys[0], "%d %d", next, c.nextOp()), put(keys[1], "%d %d", next, c.nextOp()),
		},
		Failure: gets(keys),
	}
	if c.chance(0.5) {
		txn.Success = append(txn.Success, gets(keys)...)
	}
	return &Op{Txn: txn}
}
