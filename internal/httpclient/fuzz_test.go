package httpclient_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
)

// liar is a server whose first answer is what a fuzzer says; then it can't be reached.
type liar struct {
	status int
	header http.Header
	body   []byte
	said   bool
}

// RoundTrip implements http.RoundTripper.
func (l *liar) RoundTrip(req *http.Request) (*http.Response, error) {
	if l.said {
		return nil, io.ErrUnexpectedEOF
	}
	l.said = true
	return &http.Response{
		StatusCode: l.status, Header: l.header, Request: req,
		Body: io.NopCloser(bytes.NewReader(l.body)), ContentLength: int64(len(l.body)),
	}, nil
}

// fuzzCalls are all that a client asks of a server.
var fuzzCalls = []func(context.Context, *httpclient.Client) error{
	func(ctx context.Context, c *httpclient.Client) error {
		resp, err := c.Range(ctx, kv.RangeRequest{Range: kv.PointRange([]byte("k"))})
		if err == nil && len(resp.KVs) == 1 {
			_ = resp.KVs[0].Value
		}
		return err
	},
	func(ctx context.Context, c *httpclient.Client) error {
		_, err := c.Range(ctx, kv.RangeRequest{Range: kv.PrefixRange([]byte("k")), Limit: 3})
		return err
	},
	func(ctx context.Context, c *httpclient.Client) error {
		resp, err := kv.Put(ctx, c, kv.PutRequest{Key: []byte("k"), PrevKV: true})
		if err == nil {
			_ = resp.Results[0].Put.Prev
		}
		return err
	},
	func(ctx context.Context, c *httpclient.Client) error {
		all := kv.DeleteRequest{Range: kv.PrefixRange([]byte("k")), PrevKV: true}
		resp, err := kv.Delete(ctx, c, all)
		if err == nil {
			_ = resp.Results[0].Delete.Deleted
		}
		return err
	},
	func(ctx context.Context, c *httpclient.Client) error {
		req := kv.TxnRequest{
			Compares: []kv.Compare{{Key: []byte("k")}},
			Success: []kv.Op{
				{Put: &kv.PutRequest{Key: []byte("k")}},
				{Range: &kv.RangeRequest{Range: kv.PointRange([]byte("k"))}},
				{Txn: &kv.TxnRequest{}},
			},
			Failure: []kv.Op{{Delete: &kv.DeleteRequest{Range: kv.PointRange([]byte("k"))}}},
		}
		resp, err := c.Txn(ctx, req)
		if err != nil {
			return err
		}
		if !resp.Succeeded {
			_ = resp.Results[0].Delete.Deleted
			return nil
		}
		_, _ = resp.Results[0].Put.Version, resp.Results[1].Range.KVs
		_ = resp.Results[2].Txn.Results
		return nil
	},
	func(ctx context.Context, c *httpclient.Client) error {
		_, err := c.Compact(ctx, 3)
		return err
	},
	func(ctx context.Context, c *httpclient.Client) error {
		_, err := c.LeaseGrant(ctx, kv.LeaseGrantRequest{TTL: 5})
		return err
	},
	func(ctx context.Context, c *httpclient.Client) error {
		_, err := c.LeaseTimeToLive(ctx, 7, true)
		return err
	},
	func(ctx context.Context, c *httpclient.Client) error {
		_, err := c.Leases(ctx)
		return err
	},
	func(ctx context.Context, c *httpclient.Client) error {
		_, err := c.Status(ctx)
		return err
	},
	func(ctx context.Context, c *httpclient.Client) error {
		_, err := c.Alarms(ctx)
		return err
	},
	watchOnce,
}

// watchOnce begins a watch and takes what it tells for a while.
func watchOnce(ctx context.Context, c *httpclient.Client) error {
	stream, err := c.Watch(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	if _, err := stream.Add(kv.WatchRequest{Range: kv.PrefixRange([]byte("k"))}); err != nil {
		return err
	}
	stream.Progress()
	for {
		if _, err := stream.Next(ctx); err != nil {
			return err
		}
	}
}

// FuzzAnswers: whatever a server answers, the client makes an error of it, or an answer
// to what it asked, with a result for each operation.
func FuzzAnswers(f *testing.F) {
	const pair = `{"key":"k","value":"v","create_revision":2,"mod_revision":3,"version":2}`
	for _, seed := range []struct {
		call, status int
		header, body string
	}{
		{0, 200, "Etag: \"3\"\nMiruvor-Revision: 5\nMiruvor-Version: 2", "value"},
		{1, 200, "", `{"revision":5,"kvs":[` + pair + `],"more":true,"count":9,"cursor":"x"}`},
		{2, 201, "Etag: \"3\"\nMiruvor-Revision: 5\nMiruvor-Version: 1", ""},
		{3, 200, "", `{"revision":9,"deleted":1,"prev":[` + pair + `]}`},
		{4, 200, "", `{"revision":8,"succeeded":true,"results":[{"put":{"version":1}},` +
			`{"get":{"kvs":[]}},{"txn":{"succeeded":true,"results":[]}}]}`},
		{4, 200, "", `{"revision":8,"succeeded":false,"results":[]}`},
		{5, 200, "", `{"revision":8}`},
		{6, 201, "", `{"revision":8,"id":"7","ttl":5,"granted":5}`},
		{8, 200, "", `{"revision":8,"leases":[{"id":"7"}]}`},
		{10, 200, "", `{"alarms":[{"node":"1","alarm":"nospace"}]}`},
		{11, 200, "Miruvor-Watch: x\nMiruvor-Revision: 5", `{"revision":7,"events":[` +
			`{"type":"put","key":"k","value":"1","create_revision":2,"mod_revision":7,` +
			`"version":2}]}` + "\n{}\n"},
		{11, 410, "Content-Type: application/problem+json", `{"code":"compacted","compacted":4}`},
	} {
		f.Add(uint8(seed.call), seed.status, seed.header, []byte(seed.body))
	}
	f.Fuzz(func(t *testing.T, call uint8, status int, header string, body []byte) {
		synctest.Test(t, func(t *testing.T) {
			server := &liar{status: status, header: http.Header{}, body: body}
			for line := range strings.Lines(header) {
				if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
					server.header.Set(name, value)
				}
			}
			client, err := httpclient.New(httpclient.Options{
				Endpoints: []string{"host:1"}, Transport: server,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_ = fuzzCalls[int(call)%len(fuzzCalls)](ctx, client)
		})
	})
}
