package kvjson

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode"
)

// level is an object or an array around a value of a body.
type level struct {
	// name is the member of an object that was read last, index the element
	// of an array.
	name  string
	index int
	array bool
	// named tells that the value of name comes next.
	named bool
}

// placeOf is the way to the value in body whose first token ends at offset:
// names of members, with the position behind one that is in an array. It is
// nil for the whole body.
func placeOf(body []byte, offset int64) []string {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var around []level
	for {
		token, err := decoder.Token()
		if err != nil {
			return nil
		}
		delim, _ := token.(json.Delim)
		if delim == '}' || delim == ']' {
			around = around[:len(around)-1]
			continue
		}
		if len(around) > 0 && around[len(around)-1].isName(token) {
			continue
		}
		if decoder.InputOffset() >= offset {
			return names(around)
		}
		if delim != 0 {
			around = append(around, level{array: delim == '[', index: -1})
		}
	}
}

// isName takes the next token of l, and tells whether it is a member's name
// and no value.
func (l *level) isName(token json.Token) bool {
	switch {
	case l.array:
		l.index++
	case l.named:
		l.named = false
	default:
		l.name, _ = token.(string)
		l.named = true
	}
	return l.named
}

func names(around []level) []string {
	var list []string
	for _, l := range around {
		if last := len(list) - 1; l.array && last >= 0 {
			list[last] += " " + strconv.Itoa(l.index)
		} else {
			list = append(list, l.name)
		}
	}
	return list
}

// fieldNames is the way that encoding/json tells, without the Go structs in
// it, and without positions.
func fieldNames(field string) []string {
	var list []string
	for name := range strings.SplitSeq(field, ".") {
		if name != "" && !unicode.IsUpper(rune(name[0])) {
			list = append(list, name)
		}
	}
	return list
}
