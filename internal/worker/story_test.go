package worker

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
)

// TestStories plays testdata/stories: tales of one worker's clients, in which
// the story speaks for all other nodes.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := &story{t: t}
		datadriven.RunTest(t, path, func(_ *testing.T, d *datadriven.TestData) string {
			s.d = d
			return s.run()
		})
		s.scene.close()
	})
}

type story struct {
	t     *testing.T
	d     *datadriven.TestData
	scene *scene
}

func (s *story) run() string {
	if s.scene == nil && s.d.Cmd != "worker" {
		s.d.Fatalf(s.t, "a story begins with worker")
	}
	switch s.d.Cmd {
	case "worker":
		s.worker()
	case "submit":
		for line := range strings.Lines(s.d.Input) {
			s.scene.submit(s.request(strings.Fields(line)))
		}
	case "answer":
		for line := range strings.Lines(s.d.Input) {
			s.answer(strings.Fields(line))
		}
	case "lost": // lost #3: it never left this node
		i := s.index(s.d.CmdArgs[0].Key)
		s.scene.worker.Lost(s.scene.now, &s.scene.asked[i-1].Message)
		s.scene.pass()
	case "unreachable":
		s.scene.worker.Unreachable(s.scene.now, s.node(s.d.CmdArgs[0].Key))
		s.scene.pass()
	case "wait":
		s.scene.wait(time.Duration(s.int(s.d.CmdArgs[0].Key)) * time.Millisecond)
	default:
		s.d.Fatalf(s.t, "unknown command %s", s.d.Cmd)
	}
	told := strings.Join(s.scene.events, "\n") + "\n"
	s.scene.events = nil
	if told == "\n" {
		return "ok\n"
	}
	return told
}

// worker node=4 nodes=3 split=(g,p) [outlook]: the first nodes hold all shards.
func (s *story) worker() {
	var node, nodes int
	s.d.ScanArgs(s.t, "node", &node)
	s.d.ScanArgs(s.t, "nodes", &nodes)
	layout := placement.Layout{Shards: 1, Replicas: 3}
	for i := range nodes {
		layout.Nodes = append(layout.Nodes, kv.NodeID(i+1))
	}
	if arg, ok := s.d.Arg("split"); ok {
		for _, key := range arg.Vals {
			layout.SplitAt = append(layout.SplitAt, []byte(key))
			layout.Shards++
		}
	}
	if s.scene != nil {
		s.scene.close()
	}
	s.scene = newScene(s.t, kv.NodeID(node), layout)
	s.scene.wait(time.Second)
	s.scene.events, s.scene.asked = nil, nil
	s.scene.outlook = s.d.HasArg("outlook")
}

func (s *story) int(word string) int {
	n, err := strconv.Atoi(word)
	if err != nil {
		s.d.Fatalf(s.t, "%v", err)
	}
	return n
}

func (s *story) node(word string) kv.NodeID { return kv.NodeID(s.int(word[1:])) }

func (s *story) index(word string) int { return s.int(word[1:]) }

// request reads what a client wants:
//
//	put a [b …]    new a    get a [c] [limit=2] [bytes=9] [reverse] [count] [local]
func (s *story) request(words []string) Request {
	switch words[0] {
	case "get":
		return Request{Range: s.rangeRequest(words[1:])}
	case "put":
		req := Request{Txn: &kv.TxnRequest{}}
		for _, key := range words[1:] {
			put := &kv.PutRequest{Key: []byte(key), Value: []byte("v")}
			req.Txn.Success = append(req.Txn.Success, kv.Op{Put: put})
		}
		return req
	}
	if req, ok := s.leaseRequest(words); ok {
		return req
	}
	if req, ok := s.crossRequest(words); ok {
		return req
	}
	if req, ok := s.alarmRequest(words); ok {
		return req
	}
	s.d.Fatalf(s.t, "unknown request %s", words[0])
	return Request{}
}

func (s *story) rangeRequest(words []string) *kv.RangeRequest {
	req := &kv.RangeRequest{Range: kv.PointRange([]byte(words[0]))}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "limit":
			req.Limit = s.int(value)
		case "bytes":
			req.BytesMax = s.int(value)
		case "reverse":
			req.Reverse = true
		case "count":
			req.WantCount = true
		case "local":
			req.Serializable = true
		case "keys":
			req.KeysOnly = true
		default:
			req.Range = kv.Range{Start: []byte(words[0]), End: []byte(name)}
		}
	}
	return req
}

// answer brings answers, one a line:
//
//	#2 done r100                      #2 ask n3         #2 retry
//	#2 r100 a=1 b=2 [more] [count=3]  #2 oracle r100    #2 wrong-shard
func (s *story) answer(words []string) {
	var resp wire.Response
	switch words[1] {
	case "done":
		resp.Txn = &kv.TxnResponse{Succeeded: true, Revision: s.revision(words[2])}
	case "oracle":
		resp.Oracle = &wire.OracleResponse{Base: s.revision(words[2])}
	case "ask":
		resp.Code, resp.Leader = wire.CodeNotLeader, s.node(words[2])
	case "retry":
		resp.Code = wire.CodeRetry
	case "uncertain":
		resp.Code = wire.CodeUncertain
	case "wrong-shard":
		resp.Code = wire.CodeWrongShard
	default:
		var ok bool
		if resp, ok = s.crossAnswer(words); ok {
			break
		}
		if resp, ok = s.leaseAnswer(words[1:]); ok {
			break
		}
		if resp, ok = s.alarmAnswer(words[1:]); !ok {
			resp = wire.Response{Range: s.rangeResponse(words[1:])}
		}
	}
	s.scene.answer(s.index(words[0]), resp)
}

func (s *story) revision(word string) kv.Revision {
	var rev int64
	if _, err := fmt.Sscanf(word, "r%d", &rev); err != nil {
		s.d.Fatalf(s.t, "%s: %v", word, err)
	}
	return kv.Revision(rev)
}

func (s *story) rangeResponse(words []string) *kv.RangeResponse {
	r := &kv.RangeResponse{Revision: s.revision(words[0])}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "more":
			r.More = true
		case "count":
			r.Count = int64(s.int(value))
		default:
			r.KVs = append(r.KVs, kv.KeyValue{Key: []byte(name), Value: []byte(value)})
		}
	}
	return r
}
