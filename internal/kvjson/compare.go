package kvjson

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
)

// Compare is a kv.Compare as JSON. Over a range the condition must hold for
// every key in it.
type Compare struct {
	Keys
	// Target is version, create_revision, mod_revision, value or lease.
	Target string `json:"target"`
	// Op is =, !=, > or <.
	Op string `json:"op"`
	// Value is a string for the target value, and a number for the others. For
	// a lease it may be a string of one.
	Value       json.RawMessage `json:"value,omitempty"`
	ValueBase64 *string         `json:"value_base64,omitempty"`
}

// targets and operators are in the order of kv's constants.
var (
	targets   = []string{"version", "create_revision", "mod_revision", "value", "lease"}
	operators = []string{"=", ">", "<", "!="}
)

func newCompare(c *kv.Compare) Compare {
	j := Compare{Target: name(targets, int(c.Target)), Op: name(operators, int(c.Relation))}
	if len(c.RangeEnd) == 0 {
		j.Key, j.KeyBase64 = encode(c.Key)
	} else {
		j.Keys = keysOf(c.Keys())
	}
	switch c.Target {
	case kv.CompareValue:
	case kv.CompareLease:
		j.Value = appendLeaseID(nil, kv.LeaseID(c.Number))
		return j
	default:
		j.Value = strconv.AppendInt(nil, c.Number, 10)
		return j
	}
	var text *string
	if text, j.ValueBase64 = encode(c.Value); text != nil {
		j.Value = appendString(nil, c.Value)
	}
	return j
}

// name is the i-th of names; what has none goes as its number, so that it is
// refused by whoever reads it.
func name(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return strconv.Itoa(i)
}

// Decode is the compare that j stands for.
func (j *Compare) Decode() (kv.Compare, error) {
	var c kv.Compare
	target := slices.Index(targets, j.Target)
	if target < 0 {
		return c, kv.Invalid("target is %q, it must be one of %s",
			j.Target, strings.Join(targets, ", "))
	}
	relation := slices.Index(operators, j.Op)
	if relation < 0 {
		return c, kv.Invalid("op is %q, it must be one of %s", j.Op, strings.Join(operators, " "))
	}
	c.Target, c.Relation = kv.Target(target), kv.Relation(relation)
	if err := j.decodeKeys(&c); err != nil {
		return c, err
	}
	return c, j.decodeValue(&c)
}

func (j *Compare) decodeKeys(c *kv.Compare) error {
	keys, err := j.Range()
	if err != nil {
		return err
	}
	c.Key, c.RangeEnd = keys.Start, keys.End
	switch {
	case j.Key != nil || j.KeyBase64 != nil:
		c.RangeEnd = nil
	case keys.End == nil:
		c.RangeEnd = []byte{0}
	}
	if len(c.Key) == 0 && c.RangeEnd != nil {
		// A compare has to name its first key; there is none below this one.
		c.Key = []byte{0}
	}
	return nil
}

func (j *Compare) decodeValue(c *kv.Compare) error {
	if c.Target != kv.CompareValue {
		if j.ValueBase64 != nil {
			return kv.Invalid("value_base64 goes with the target value only")
		}
		return j.decodeNumber(c)
	}
	var text *string
	if j.Value != nil {
		if err := json.Unmarshal(j.Value, &text); err != nil || text == nil {
			return kv.Invalid("value is %s, the target value needs a string", shown(j.Value))
		}
	}
	value, err := decode("value", text, j.ValueBase64)
	if err == nil && value == nil {
		err = kv.Invalid("value is missing")
	}
	c.Value = value
	return err
}

func (j *Compare) decodeNumber(c *kv.Compare) error {
	number, ok := parseInteger(j.Value)
	isText := len(j.Value) > 0 && j.Value[0] == '"'
	if !ok || (isText && c.Target != kv.CompareLease) {
		return kv.Invalid("value is %s, the target %s needs a whole number of at most 63 bits",
			shown(j.Value), j.Target)
	}
	c.Number = number
	return nil
}

// shown is a short form of raw for an error text.
func shown(raw json.RawMessage) string {
	switch {
	case raw == nil:
		return "missing"
	case len(raw) > 40:
		return string(bytes.ToValidUTF8(raw[:40], nil)) + "…"
	}
	return string(raw)
}
