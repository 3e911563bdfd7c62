package httpclient

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// The bounds of a page that a node grants.
const (
	pageKeysMax = 10_000
	scanKeys    = 1000
)

// Range implements kv.Store. A range that is longer than a page of the API
// takes several requests, all at the revision of the first.
func (c *Client) Range(
	ctx context.Context, req kv.RangeRequest,
) (kv.RangeResponse, error) {
	if isPlainRead(&req) {
		return c.readKey(ctx, &req)
	}
	pages := pages{client: c, req: &req}
	if err := pages.first(ctx); err != nil {
		return kv.RangeResponse{}, err
	}
	for pages.wanted() {
		if err := pages.next(ctx); err != nil {
			return kv.RangeResponse{}, err
		}
	}
	return pages.all, nil
}

// isPlainRead tells whether req reads the value of one key.
func isPlainRead(req *kv.RangeRequest) bool {
	return kvjson.IsPoint(req.Range) && len(req.Start) <= kv.DefaultLimits.KeyBytesMax &&
		!req.KeysOnly && !req.CountOnly && !req.WantCount &&
		req.Limit >= 0 && req.BytesMax >= 0
}

func (c *Client) readKey(
	ctx context.Context, req *kv.RangeRequest,
) (kv.RangeResponse, error) {
	call := &call{method: http.MethodGet, path: keyPath(req.Start), query: readOptions(req)}
	got, err := c.do(ctx, call)
	if got != nil && isKeyNotFound(got, err) {
		return kv.RangeResponse{Revision: got.revision()}, nil
	}
	if err != nil {
		return kv.RangeResponse{}, err
	}
	mod, err := strconv.ParseInt(strings.Trim(got.header.Get(kvjson.ETag), `"`), 10, 64)
	if err != nil {
		return kv.RangeResponse{}, fmt.Errorf("answer of %s: ETag: %w", got.endpoint.Host, err)
	}
	return kv.RangeResponse{
		Revision: got.revision(),
		KVs: []kv.KeyValue{{
			Key:            bytes.Clone(req.Start),
			Value:          got.body,
			CreateRevision: kv.Revision(got.number(kvjson.CreateRevision)),
			ModRevision:    kv.Revision(mod),
			Version:        got.number(kvjson.Version),
			Lease:          kv.LeaseID(got.number(kvjson.Lease)),
		}},
	}, nil
}

// readOptions is the query that every read has.
func readOptions(req *kv.RangeRequest) url.Values {
	query := url.Values{}
	if req.Revision != 0 {
		query.Set("revision", strconv.FormatInt(int64(req.Revision), 10))
	}
	if req.Serializable {
		query.Set("consistency", "serializable")
	}
	return query
}

// pages collects the pages of a range.
type pages struct {
	client *Client
	req    *kv.RangeRequest
	all    kv.RangeResponse
	// bytes is what the keys and values in all add up to.
	bytes  int
	cursor string
}

func (p *pages) first(ctx context.Context) error {
	query := readOptions(p.req)
	keys := kvjson.Bounds(p.req.Range)
	if len(keys.Start) > 0 {
		query.Set("start", string(keys.Start))
	}
	if keys.End != nil {
		query.Set("end", string(keys.End))
	}
	query.Set("limit", strconv.Itoa(p.limit()))
	if p.req.BytesMax != 0 {
		query.Set("bytes_max", strconv.Itoa(p.req.BytesMax))
	}
	for name, set := range map[string]bool{
		"keys_only":  p.req.KeysOnly,
		"count_only": p.req.CountOnly,
		"count":      p.req.WantCount,
		"reverse":    p.req.Reverse,
	} {
		if set {
			query.Set(name, "true")
		}
	}
	return p.fetch(ctx, query)
}

// limit is how many keys the next page may have.
func (p *pages) limit() int {
	if p.req.Limit == 0 {
		return pageKeysMax
	}
	return min(p.req.Limit-len(p.all.KVs), pageKeysMax)
}

// wanted tells whether another page belongs to the answer.
func (p *pages) wanted() bool {
	return p.all.More && p.cursor != "" &&
		(p.req.Limit == 0 || len(p.all.KVs) < p.req.Limit) && !p.full()
}

// full tells whether the answer has reached its bound in bytes.
func (p *pages) full() bool {
	return p.req.BytesMax > 0 && p.bytes >= p.req.BytesMax
}

func (p *pages) next(ctx context.Context) error {
	return p.fetch(ctx, url.Values{
		"cursor": {p.cursor}, "limit": {strconv.Itoa(p.limit())},
	})
}

func (p *pages) fetch(ctx context.Context, query url.Values) error {
	call := &call{method: http.MethodGet, path: "/v1/kv", query: query}
	got, err := p.client.do(ctx, call)
	if err != nil {
		return err
	}
	var j kvjson.Page
	if err := got.decode(call, &j); err != nil {
		return err
	}
	page, err := j.Decode()
	if err != nil {
		return fmt.Errorf("answer of %s: %w", got.endpoint.Host, err)
	}
	if p.cursor == "" {
		p.all.Revision, p.all.Count = got.revision(), page.Count
	}
	p.cursor, p.all.More = j.Cursor, page.More
	for i, pair := range page.KVs {
		if p.full() && i > 0 {
			p.all.More = true
			break
		}
		p.bytes += len(pair.Key) + len(pair.Value)
		p.all.KVs = append(p.all.KVs, pair)
	}
	return nil
}

// Scan yields the keys of req one by one, whatever their number, all at one
// revision, and reads them page by page. An error ends it. What is yielded
// belongs to the caller.
func (c *Client) Scan(
	ctx context.Context, req kv.RangeRequest,
) iter.Seq2[kv.KeyValue, error] {
	return func(yield func(kv.KeyValue, error) bool) {
		left := req.Limit
		for {
			page := req
			page.Limit = scanKeys
			if req.Limit > 0 {
				page.Limit = min(left, scanKeys)
			}
			resp, err := c.Range(ctx, page)
			if err != nil {
				yield(kv.KeyValue{}, err)
				return
			}
			for _, pair := range resp.KVs {
				if !yield(pair, nil) {
					return
				}
			}
			left -= len(resp.KVs)
			if !resp.More || (req.Limit > 0 && left <= 0) {
				return
			}
			if req.Revision == 0 {
				req.Revision = resp.Revision
			}
			last := resp.KVs[len(resp.KVs)-1].Key
			if req.Reverse {
				req.End = last
			} else {
				req.Start = kv.PointRange(last).End
			}
		}
	}
}

// Status implements kv.Store: that of the endpoint that worked last.
func (c *Client) Status(ctx context.Context) (kv.Status, error) {
	call := &call{method: http.MethodGet, path: "/v1/status"}
	got, err := c.do(ctx, call)
	if err != nil {
		return kv.Status{}, err
	}
	var j kvjson.Status
	if err := got.decode(call, &j); err != nil {
		return kv.Status{}, err
	}
	return j.Decode()
}
