package load

import (
	"fmt"
	"math/rand/v2"
)

// A Workload is one row of the comparison.
type Workload struct {
	Name    string // as flags name it
	Title   string // as people read it
	Unit    string // what is counted, if not operations
	Clients int
	// Watchers hear of each put, if there are any; deliveries are counted then.
	Watchers int

	next func(c *chance, r *Request)
}

// Shape is what all workloads share.
type Shape struct {
	Keys       Keys
	ValueBytes int
	Clients    int // of all rows but those that say 1
	RangeKeys  int
	Watchers   int
}

// chance is a client's own source of chance, and of bytes for values.
type chance struct {
	rand   *rand.Rand
	values []byte
	shape  *Shape
}

// valueSlack is how many different values a client cuts out of its random bytes.
const valueSlack = 4096

func newChance(shape *Shape, seed uint64) *chance {
	c := &chance{rand: rand.New(rand.NewPCG(seed, 0)), shape: shape}
	c.values = make([]byte, shape.ValueBytes+valueSlack)
	for i := range c.values {
		c.values[i] = byte(c.rand.Uint32())
	}
	return c
}

func (c *chance) key() []byte {
	return c.shape.Keys[c.rand.IntN(len(c.shape.Keys))]
}

func (c *chance) value() []byte {
	at := c.rand.IntN(valueSlack)
	return c.values[at : at+c.shape.ValueBytes]
}

// Workloads are all rows, in the order of the table.
func Workloads(s *Shape) []Workload {
	many := fmt.Sprintf(", %d clients", s.Clients)
	return []Workload{
		{Name: "put", Title: "put" + many, Clients: s.Clients, next: nextPut},
		{Name: "put1", Title: "put, 1 client", Clients: 1, next: nextPut},
		{Name: "hot", Title: "put, one hot key" + many, Clients: s.Clients, next: nextHotPut},
		{Name: "get", Title: "linearizable get" + many, Clients: s.Clients, next: nextGet},
		{Name: "sget", Title: "serializable get" + many, Clients: s.Clients, next: nextLocalGet},
		{Name: "mixed", Title: "90 % get, 10 % put" + many, Clients: s.Clients, next: nextMixed},
		{
			Name: "range", Title: fmt.Sprintf("range of %d%s", s.RangeKeys, many),
			Clients: s.Clients, next: nextRange,
		},
		{Name: "txn", Title: "txn: compare + put" + many, Clients: s.Clients, next: nextTxn},
		{
			Name: "watch", Title: fmt.Sprintf("watch: 1 writer, %d watchers", s.Watchers),
			Unit: "delivery", Clients: 1, Watchers: s.Watchers, next: nextWatchedPut,
		},
	}
}

func nextPut(c *chance, r *Request) {
	*r = Request{Kind: Put, Key: c.key(), Value: c.value()}
}

func nextHotPut(c *chance, r *Request) {
	*r = Request{Kind: Put, Key: c.shape.Keys[0], Value: c.value()}
}

func nextGet(c *chance, r *Request) {
	*r = Request{Kind: Get, Key: c.key(), Want: 1}
}

func nextLocalGet(c *chance, r *Request) {
	nextGet(c, r)
	r.Serializable = true
}

func nextMixed(c *chance, r *Request) {
	if c.rand.IntN(10) == 0 {
		nextPut(c, r)
		return
	}
	nextGet(c, r)
}

func nextRange(c *chance, r *Request) {
	first := c.rand.IntN(len(c.shape.Keys) - c.shape.RangeKeys)
	end := c.shape.Keys[first+c.shape.RangeKeys]
	*r = Request{Kind: Range, Key: c.shape.Keys[first], End: end, Want: c.shape.RangeKeys}
}

func nextTxn(c *chance, r *Request) {
	*r = Request{Kind: Txn, Key: c.key(), Value: c.value()}
}

// Watched keys lie together, as those of a watched prefix do, above the population: in no range of
// the other workloads.
var (
	watchedKey = []byte("fwatched/")
	watchedEnd = []byte("fwatched0")
)

const watchedKeys = 100

func nextWatchedPut(c *chance, r *Request) {
	key := fmt.Appendf(nil, "%s%02d", watchedKey, c.rand.IntN(watchedKeys))
	*r = Request{Kind: Put, Key: key, Value: c.value()}
}
