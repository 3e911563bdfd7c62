package replica

import (
	"fmt"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// watching reads a request for events, or one to close a revision:
//
//	1 feed after=5 [want=9] [bytes=1] [keys=a,c] [feed=2] [prev]
//	2 close 9
func (s *story) watching(req *wire.Request, words []string) bool {
	switch words[0] {
	case "close":
		req.Close = &wire.Close{Revision: s.revision(words[1])}
		return true
	case "feed":
		req.Feed = s.feed(words[1:])
		return true
	}
	return false
}

func (s *story) feed(words []string) *wire.Feed {
	f := &wire.Feed{Feed: 1, BytesMax: 1000}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "after":
			f.After = s.revision(value)
		case "want":
			f.Want = s.revision(value)
		case "bytes":
			f.BytesMax = uint32(s.revision(value))
		case "feed":
			f.Feed = uint64(s.revision(value))
		case "keys":
			from, to, _ := strings.Cut(value, ",")
			f.Keys = kv.Range{Start: []byte(from), End: []byte(to)}
		case "prev":
			f.PrevKV = true
		default:
			s.d.Fatalf(s.t, "unknown word %s", word)
		}
	}
	return f
}

func showFed(f *wire.Fed) string {
	if f.Compacted != 0 {
		return fmt.Sprintf("compacted up to %v", f.Compacted)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "up to %v", f.UpTo)
	for i := range f.Events {
		e := &f.Events[i]
		fmt.Fprintf(&b, " %v.%d", e.KV.ModRevision, e.Sub)
		if e.Deleted {
			fmt.Fprintf(&b, " -%s", e.KV.Key)
		} else {
			fmt.Fprintf(&b, " %s=%s", e.KV.Key, e.KV.Value)
		}
		if e.Prev != nil {
			fmt.Fprintf(&b, " (was %s@%v)", e.Prev.Value, e.Prev.ModRevision)
		}
	}
	return b.String()
}
