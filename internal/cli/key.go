package cli

import (
	"encoding/hex"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// keySyntax is how keys are written on the command line. As text a key is the
// bytes of its argument; a zero byte, which no argument can hold, needs hex.
type keySyntax struct {
	hex bool
}

func addKeySyntax(cmd *cobra.Command) *keySyntax {
	s := &keySyntax{}
	cmd.Flags().BoolVar(&s.hex, "hex", false,
		"keys are hexadecimal, as in 00ff, where given and where shown")
	return s
}

// parse is the key that an argument or flag, called name, stands for.
func (s *keySyntax) parse(name, text string) ([]byte, error) {
	if !s.hex {
		return []byte(text), nil
	}
	key, err := hex.DecodeString(text)
	if err != nil {
		return nil, usagef("%s is %q, with --hex it must be pairs of hexadecimal digits",
			name, text)
	}
	return key, nil
}

// one is the key of a command that takes one.
func (s *keySyntax) one(text string) ([]byte, error) {
	if text == "" {
		return nil, usagef("KEY is empty, it must be one byte or more")
	}
	return s.parse("KEY", text)
}

// show is a key for people.
func (s *keySyntax) show(key []byte) string {
	if s.hex {
		return hex.EncodeToString(key)
	}
	return printable(key)
}

// printable is b as it is if a terminal shows just that, and quoted otherwise.
func printable(b []byte) string {
	text := string(b)
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	if text == "" || !utf8.Valid(b) || text[0] == '"' || strings.TrimSpace(text) != text ||
		strings.ContainsFunc(text, odd) {
		return strconv.Quote(text)
	}
	return text
}

// shortened is text, cut to runesMax characters.
func shortened(text string, runesMax int) string {
	if utf8.RuneCountInString(text) <= runesMax {
		return text
	}
	return string([]rune(text)[:runesMax-1]) + "…"
}

// keyRange are the flags that name a range of keys.
type keyRange struct {
	*keySyntax
	cmd                *cobra.Command
	prefix, start, end string
}

func addKeyRange(cmd *cobra.Command) *keyRange {
	r := &keyRange{keySyntax: addKeySyntax(cmd), cmd: cmd}
	cmd.Flags().StringVar(&r.prefix, "prefix", "", "the keys that begin with this")
	cmd.Flags().StringVar(&r.start, "start", "", "the keys from this one on")
	cmd.Flags().StringVar(&r.end, "end", "", "the keys before this one")
	return r
}

// given tells whether a flag names keys.
func (r *keyRange) given() bool {
	flags := r.cmd.Flags()
	return flags.Changed("prefix") || flags.Changed("start") || flags.Changed("end")
}

// keys is the range that the flags name, by default all keys.
func (r *keyRange) keys() (kv.Range, error) {
	if !r.given() {
		return kv.Range{}, nil
	}
	var bounds [3][]byte
	for i, flag := range []struct{ name, text string }{
		{"prefix", r.prefix}, {"start", r.start}, {"end", r.end},
	} {
		if !r.cmd.Flags().Changed(flag.name) {
			continue
		}
		var err error
		if bounds[i], err = r.parse("--"+flag.name, flag.text); err != nil {
			return kv.Range{}, err
		}
	}
	keys, err := kvjson.NewRange(nil, bounds[0], bounds[1], bounds[2])
	if err != nil {
		return keys, usageError{err}
	}
	if keys.Empty() {
		return keys, usagef("--end %s does not come after --start %s",
			r.show(keys.End), r.show(keys.Start))
	}
	return keys, nil
}
