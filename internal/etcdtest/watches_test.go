package etcdtest

import (
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

func created(id int64) *pb.WatchResponse {
	return &pb.WatchResponse{Header: &pb.ResponseHeader{Revision: 10}, WatchId: id, Created: true}
}

// told is a response at revision at of events at the revisions.
func told(id, at int64, revisions ...int64) *pb.WatchResponse {
	r := &pb.WatchResponse{Header: &pb.ResponseHeader{Revision: at}, WatchId: id}
	for _, rev := range revisions {
		r.Events = append(r.Events, &mvccpb.Event{
			Kv: &mvccpb.KeyValue{Key: []byte("k"), ModRevision: rev},
		})
	}
	return r
}

func fragment(id, at int64, revisions ...int64) *pb.WatchResponse {
	r := told(id, at, revisions...)
	r.Fragment = true
	return r
}

// large makes a response large, by a field that is not told.
func large(r *pb.WatchResponse) *pb.WatchResponse {
	r.CancelReason = strings.Repeat("x", 2_200_000)
	return r
}

// whole and parts ask for events whole and in fragments.
var (
	whole = &pb.WatchCreateRequest{}
	parts = &pb.WatchCreateRequest{Fragment: true}
)

// accounts are what is told of streams, in what batches ever it came. Revision
// 10 is told as 1.
var accounts = []struct {
	name  string
	asked *pb.WatchCreateRequest
	came  []*pb.WatchResponse
	want  string
}{
	{
		"one batch", whole,
		[]*pb.WatchResponse{created(0), told(0, 12, 11, 12)},
		"0 created rev=1\n0 PUT \"k\" mod=2\n0 PUT \"k\" mod=3\n",
	},
	{
		"two batches", whole,
		[]*pb.WatchResponse{created(0), told(0, 11, 11), told(0, 12, 12)},
		"0 created rev=1\n0 PUT \"k\" mod=2\n0 PUT \"k\" mod=3\n",
	},
	{
		"a revision in two", whole,
		[]*pb.WatchResponse{created(0), told(0, 11, 11), told(0, 11, 11)},
		"0 created rev=1\n0 PUT \"k\" mod=2\n" +
			"0 broken: revision 2 in two parts or out of order\n0 PUT \"k\" mod=2\n",
	},
	{
		"a revision in two that may be", parts,
		[]*pb.WatchResponse{created(0), fragment(0, 11, 11), told(0, 11, 11)},
		"0 created rev=1\n0 PUT \"k\" mod=2\n0 PUT \"k\" mod=2\n",
	},
	{
		"fragments that nobody asked for", whole,
		[]*pb.WatchResponse{created(0), fragment(0, 11, 11)},
		"0 created rev=1\n0 PUT \"k\" mod=2\n" +
			"0 broken: a fragment, which was not asked for\n",
	},
	{
		"too large a fragment", parts,
		[]*pb.WatchResponse{created(0), large(fragment(0, 11, 11, 11))},
		"0 created rev=1\n0 PUT \"k\" mod=2\n0 PUT \"k\" mod=2\n" +
			"0 broken: a fragment of 2200029 bytes\n",
	},
	{
		"out of order", whole,
		[]*pb.WatchResponse{created(0), told(0, 12, 12, 11)},
		"0 created rev=1\n0 PUT \"k\" mod=3\n" +
			"0 broken: revision 2 in two parts or out of order\n0 PUT \"k\" mod=2\n",
	},
	{
		"progress before what it covers", whole,
		[]*pb.WatchResponse{created(0), told(noWatch, 11), told(0, 11, 11)},
		"-1 progress rev=2\n0 created rev=1\n" +
			"0 broken: progress promised more than 2\n0 PUT \"k\" mod=2\n",
	},
	{
		"events before the watch", whole,
		[]*pb.WatchResponse{told(0, 11, 11), created(0)},
		"0 broken: events, but no such watch\n0 PUT \"k\" mod=2\n0 created rev=1\n",
	},
	{
		"a header behind its events", whole,
		[]*pb.WatchResponse{created(0), told(0, 11, 12)},
		"0 created rev=1\n0 broken: the header is at 2\n0 PUT \"k\" mod=3\n",
	},
	{
		"the order of watches", whole,
		[]*pb.WatchResponse{created(1), created(0)},
		"created in the order 1 0\n0 created rev=1\n1 created rev=1\n",
	},
	{
		"created twice", whole,
		[]*pb.WatchResponse{created(0), created(0)},
		"created in the order 0 0\n0 created rev=1\n0 created rev=1\n0 broken: created twice\n",
	},
	{
		"no header", whole,
		[]*pb.WatchResponse{{WatchId: 3, Created: true}},
		"3 broken: no header\n",
	},
}

// TestAccounts shows that a server which breaks a promise is found out.
func TestAccounts(t *testing.T) {
	for _, test := range accounts {
		t.Run(test.name, func(t *testing.T) {
			w := watches{asked: []*pb.WatchCreateRequest{test.asked}}
			got, _ := w.tell(test.came, 10)
			if got != test.want {
				t.Errorf("got\n%swant\n%s", got, test.want)
			}
		})
	}
}

// TestAccountsOfParts: what was told before counts for what comes later.
func TestAccountsOfParts(t *testing.T) {
	w := watches{asked: []*pb.WatchCreateRequest{{}}}
	_, w = w.tell([]*pb.WatchResponse{created(0), told(0, 11, 11)}, 10)
	got, _ := w.tell([]*pb.WatchResponse{told(0, 11, 11)}, 10)
	want := "0 broken: revision 2 in two parts or out of order\n0 PUT \"k\" mod=2\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestMissingFragments: the last one must come before the stream is closed.
func TestMissingFragments(t *testing.T) {
	w := watches{asked: []*pb.WatchCreateRequest{parts}}
	_, w = w.tell([]*pb.WatchResponse{created(0), fragment(0, 11, 11)}, 10)
	if got := w.unfinished(); got == "" {
		t.Error("nobody missed it")
	}
	_, w = w.tell([]*pb.WatchResponse{told(0, 11, 11)}, 10)
	if got := w.unfinished(); got != "" {
		t.Error(got)
	}
}
