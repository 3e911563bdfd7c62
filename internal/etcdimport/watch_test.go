package etcdimport

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// TestRead tells what is made of responses. A line is one response: events as
// revision:key=value or revision:key for a deletion, "fragment" if more of it
// follows, "created", or "progress REVISION".
func TestRead(t *testing.T) {
	datadriven.RunTest(t, "testdata/read.txt", func(t *testing.T, d *datadriven.TestData) string {
		w := &watch{}
		var out strings.Builder
		for line := range strings.Lines(d.Input) {
			news := w.read(response(t, line))
			for _, c := range news.changes {
				fmt.Fprintf(&out, "%d:", c.revision)
				for _, op := range c.ops {
					if op.Put != nil {
						fmt.Fprintf(&out, " %s=%s", op.Put.Key, op.Put.Value)
					} else {
						fmt.Fprintf(&out, " -%s", op.Delete.Start)
					}
				}
				fmt.Fprintf(&out, " (%d bytes); ", c.bytes)
			}
			fmt.Fprintf(&out, "watermark %d\n", news.watermark)
		}
		return out.String()
	})
}

func response(t *testing.T, line string) *pb.WatchResponse {
	t.Helper()
	resp := &pb.WatchResponse{Header: &pb.ResponseHeader{Revision: 99}}
	words := strings.Fields(line)
	for i, word := range words {
		switch word {
		case "fragment":
			resp.Fragment = true
			continue
		case "created":
			resp.Created = true
			continue
		case "progress":
			_, err := fmt.Sscan(words[i+1], &resp.Header.Revision)
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		at, change, _ := strings.Cut(word, ":")
		key, value, put := strings.Cut(change, "=")
		event := &mvccpb.Event{
			Type: mvccpb.Event_DELETE, Kv: &mvccpb.KeyValue{Key: []byte(key)},
		}
		if put {
			event.Type, event.Kv.Value = mvccpb.Event_PUT, []byte(value)
		}
		if _, err := fmt.Sscan(at, &event.Kv.ModRevision); err != nil {
			t.Fatal(err)
		}
		resp.Events = append(resp.Events, event)
	}
	return resp
}
