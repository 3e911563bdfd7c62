package kvjson

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
)

// fitter is a type that knows better than its kind what fits into it.
type fitter interface {
	// wanted describes what fits.
	wanted() string
}

// misfit says which value of body has the wrong type, what it is, and what it
// has to be.
func misfit(body []byte, err *json.UnmarshalTypeError) error {
	way := fieldNames(err.Field)
	if err.Offset > 0 {
		way = placeOf(body, err.Offset)
	}
	if len(way) == 0 {
		way = []string{"the body"}
	}
	last := len(way) - 1
	refusal := kv.Invalid("%s is %s, it must be %s", way[last], found(err.Value), wanted(err.Type))
	if last == 0 {
		return refusal
	}
	return fmt.Errorf("%s: %w", strings.Join(way[:last], ": "), refusal)
}

// found describes the value of a json.UnmarshalTypeError: a type, a number
// behind one, or JSON.
func found(value string) string {
	switch value {
	case "array", "object":
		return "an " + value
	case "number", "string":
		return "a " + value
	case "bool":
		return "true or false"
	}
	return shown([]byte(strings.TrimPrefix(value, "number ")))
}

// wanted describes what fits into t.
func wanted(t reflect.Type) string {
	if own, ok := reflect.Zero(t).Interface().(fitter); ok {
		return own.wanted()
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	}
	if t == reflect.TypeFor[kv.Revision]() {
		return wholeNumber(0, int64(kv.RevisionMax))
	}
	return wholeNumber(0, math.MaxInt64)
}

func wholeNumber(least, most int64) string {
	return fmt.Sprintf("a whole number from %d to %d", least, most)
}
