package kvtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cockroachdb/datadriven"

	"github.com/miruvor/miruvor/internal/kv"
)

// Watch commands of a story. All its watches are of one stream.
//
//	watch name=W KEYS [rev=R] [prev] [no-put] [no-delete]
//	unwatch name=W
//	events                 everything that happened, of all watches
//	events name=W until=R  reads until the watermark of W is R or above
//	ended name=W           reads until W has ended
//	close                  closes the stream; the next watch opens one

func (s *story) watch(d *datadriven.TestData) (string, error) {
	name, req, err := s.parseWatch(d)
	if err != nil {
		return "", err
	}
	if s.watcher == nil {
		s.watcher, s.names = s.newWatcher(), map[string]kv.WatchID{}
	}
	id, err := s.watcher.add(req)
	if err != nil {
		return failure(err), nil
	}
	s.names[name] = id
	return "ok\n", nil
}

func (s *story) parseWatch(d *datadriven.TestData) (name string, req kv.WatchRequest, err error) {
	for _, word := range wordsOf(d)[1:] {
		isKeys, err := setKeys(&req.Range, word)
		if err != nil {
			return "", req, err
		}
		switch key, arg, _ := strings.Cut(word, "="); {
		case isKeys:
		case key == "name":
			name = arg
		case key == "rev":
			if req.From, err = parseRevision(arg, s.start); err != nil {
				return "", req, err
			}
		case key == "prev":
			req.PrevKV = true
		case key == "no-put":
			req.NoPut = true
		case key == "no-delete":
			req.NoDelete = true
		default:
			return "", req, fmt.Errorf("unknown argument %q", word)
		}
	}
	return name, req, nil
}

func (s *story) unwatch(d *datadriven.TestData) (string, error) {
	name, _ := s.watched(d)
	id := s.names[name]
	s.watcher.stream.Remove(id)
	delete(s.watcher.watches, id)
	delete(s.names, name)
	return "ok\n", nil
}

func (s *story) events(d *datadriven.TestData) (string, error) {
	if d.HasArg("until") {
		name, of := s.watched(d)
		var text string
		d.ScanArgs(s.T, "until", &text)
		rev, err := parseRevision(text, s.start)
		if err != nil {
			return "", err
		}
		s.watcher.await(func() bool { return of.watermark >= rev || of.compacted != 0 })
		return s.told(name), nil
	}
	s.watcher.progress()
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.names)) {
		out.WriteString(s.told(name))
	}
	return out.String(), nil
}

func (s *story) ended(d *datadriven.TestData) (string, error) {
	name, of := s.watched(d)
	s.watcher.await(func() bool { return of.compacted != 0 })
	return s.told(name), nil
}

func (s *story) closeStream(*datadriven.TestData) (string, error) {
	s.watcher.stream.Close()
	s.watcher, s.names = nil, nil
	return "ok\n", nil
}

func (s *story) watched(d *datadriven.TestData) (string, *watched) {
	var name string
	d.ScanArgs(s.T, "name", &name)
	of := s.watcher.watches[s.names[name]]
	if of == nil {
		d.Fatalf(s.T, "no watch %q", name)
	}
	return name, of
}

// told prints what a watch has told since it was printed last.
func (s *story) told(name string) string {
	of := s.watcher.watches[s.names[name]]
	var out strings.Builder
	fmt.Fprintf(&out, "%s:\n", name)
	for i := range of.events {
		s.printEvent(&out, &of.events[i])
	}
	switch {
	case of.compacted != 0:
		fmt.Fprintf(&out, "  ended, the oldest left is %s\n", s.relative(of.compacted))
	case len(of.events) == 0:
		out.WriteString("  nothing\n")
	}
	of.events = nil
	return out.String()
}

func (s *story) printEvent(out *strings.Builder, e *kv.Event) {
	switch {
	case !e.Deleted:
		fmt.Fprintf(out, "  put %s\n", s.describeKV(&e.KV, false))
	case len(e.KV.Value) > 0, e.KV.CreateRevision != 0, e.KV.Version != 0, e.KV.Lease != 0:
		s.Fatalf("a deletion tells more than key and revision: %+v", e.KV)
	default:
		fmt.Fprintf(out, "  deleted %s at %s\n", bare(e.KV.Key), s.relative(e.KV.ModRevision))
	}
	if e.Prev != nil {
		fmt.Fprintf(out, "    before: %s\n", s.describeKV(e.Prev, false))
	}
}
