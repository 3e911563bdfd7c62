package history

import "time"

// Kind is what a request or an action is.
type Kind int

// The kinds of requests, then those of actions.
const (
	Txn Kind = iota
	Grant
	Revoke
	KeepAlive
	Compact
	Put
	Delete
	Get
)

// Action is one operation of a transaction. A range is [From, To), From alone if
// To is empty, and without an end if To is the byte 0.
type Action struct {
	Kind   Kind   `json:"kind"`
	From   string `json:"from"`
	To     string `json:"to,omitempty"`
	Value  string `json:"value,omitempty"`
	Lease  int64  `json:"lease,omitempty"`
	Limit  int64  `json:"limit,omitempty"`
	PrevKV bool   `json:"prev_kv,omitempty"`
}

// Compare holds while the key was last changed at Mod, 0 if it is not there.
type Compare struct {
	Key string `json:"key"`
	Mod int64  `json:"mod"`
}

// Request is a transaction, or with Kind something about a lease, or a
// compaction.
type Request struct {
	Kind Kind      `json:"kind"`
	Ifs  []Compare `json:"if,omitempty"`
	Then []Action  `json:"then,omitempty"`
	Else []Action  `json:"else,omitempty"`
	// Plain is sent as a request of its own, not as a transaction.
	Plain bool `json:"plain,omitempty"`
	// Weak is a serializable read.
	Weak bool `json:"weak,omitempty"`
	// At is the revision to read or to compact at, 0 for the latest.
	At    int64 `json:"at,omitempty"`
	Lease int64 `json:"lease,omitempty"`
	// TTL is in seconds.
	TTL int64 `json:"ttl,omitempty"`
}

// Outcome is what became of a call.
type Outcome int

// The outcomes.
const (
	// Unknown: it may have happened, or may still.
	Unknown Outcome = iota
	// Answered: it happened, and the answer tells how.
	Answered
	// Refused: it certainly did nothing and never will.
	Refused
	// Forgotten is Refused because the revision asked for is compacted.
	Forgotten
)

// Part is what an action came to.
type Part struct {
	Pairs   []Pair `json:"pairs,omitempty"`
	Count   int64  `json:"count,omitempty"`
	Deleted int64  `json:"deleted,omitempty"`
	More    bool   `json:"more,omitempty"`
	Prev    []Pair `json:"prev,omitempty"`
}

// Numbers of those that are no clients: the ends of leases, watches, and who makes
// the test.
const (
	endClient   = -1
	watchClient = -2
	Harness     = -3
)

// Call is a request and what was answered, and when. Begin and End are since the
// beginning of the history.
type Call struct {
	Request   `json:"request"`
	Client    int           `json:"client"`
	Begin     time.Duration `json:"begin"`
	End       time.Duration `json:"end"`
	Outcome   Outcome       `json:"outcome"`
	Error     string        `json:"error,omitempty"`
	Revision  int64         `json:"revision,omitempty"`
	Succeeded bool          `json:"succeeded,omitempty"`
	Parts     []Part        `json:"parts,omitempty"`
}

// Branch is the actions that ran, or would have.
func (c *Call) Branch() []Action {
	if c.Succeeded {
		return c.Then
	}
	return c.Else
}

// Changes reports whether the call was made to change something.
func (c *Call) Changes() bool {
	for _, actions := range [][]Action{c.Then, c.Else} {
		for _, a := range actions {
			if a.Kind != Get {
				return true
			}
		}
	}
	return false
}

// wrote says whether an answer tells of a change.
func (c *Call) wrote() bool {
	for i, a := range c.Branch() {
		if a.Kind == Put || a.Kind == Delete && c.Parts[i].Deleted > 0 {
			return true
		}
	}
	return false
}

// Leased are the keys in the answer that hang on leases.
func (c *Call) Leased() []string {
	var keys []string
	for _, part := range c.Parts {
		for _, p := range part.Pairs {
			if p.Lease != 0 {
				keys = append(keys, p.Key)
			}
		}
	}
	return keys
}
