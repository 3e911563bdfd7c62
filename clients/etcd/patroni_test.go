package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

const (
	// patroniSeconds is the TTL of a member's lease.
	patroniSeconds = 30
	leaderKey      = "leader"
	statusKey      = "status"
)

// patroni is a member of a PostgreSQL cluster, whose database leads if it holds
// the leader's key. The requests are those of Patroni 4 on etcd 3.
type patroni struct {
	*gateway
	t      *testing.T
	name   string
	prefix string // of the keys of the cluster
	api    string // the path's beginning, which follows from the version
	lease  string
	cache  cache
}

// cache is what a watch keeps up to date of the cluster's keys.
type cache struct {
	mu   sync.Mutex
	keys map[string]object
	seen int64
}

// newPatroni runs members that keep their leases and contend for leadership.
// One leads at most. Who watches the keys sees what is stored.
func newPatroni(ctx context.Context, t *testing.T, c *cluster) *task {
	prefix := empty(t, newClient(t, c.endpoints...), "/service/batman/")
	guard := &alone{t: t, where: "lead"}
	k := &task{}
	members := []*patroni{}
	for i := range workers {
		p := &patroni{gateway: newGateway(c), t: t, prefix: prefix, name: fmt.Sprint("pg", i)}
		if err := persist(ctx, p.connect); err != nil {
			t.Fatal(err)
		}
		members = append(members, p)
		k.workers = append(k.workers, func(ctx context.Context) error { return p.loop(ctx, guard) })
	}
	watcher := &patroni{gateway: newGateway(c), t: t, prefix: prefix, name: "watcher", api: "/v3"}
	k.followers = append(k.followers, watcher.follow)
	k.check = func(ctx context.Context) {
		if watcher.cache.seen == 0 || len(watcher.cache.keys) == 0 {
			t.Error("the watch told nothing")
		}
		for _, p := range members {
			if err := p.leave(ctx); err != nil {
				t.Error(err)
			}
		}
	}
	return k
}

// connect does what Patroni does when it starts: it asks for the version and
// for the members, and tries a password that it was told.
func (p *patroni) connect(ctx context.Context) error {
	response, err := p.open(ctx, http.MethodGet, "/version", nil)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var versions struct{ EtcdServer, EtcdCluster string }
	if err := json.NewDecoder(response.Body).Decode(&versions); err != nil {
		return err
	}
	var major, minor, patch int
	for _, v := range []string{versions.EtcdServer, versions.EtcdCluster} {
		if _, err := fmt.Sscanf(v, "%d.%d.%d", &major, &minor, &patch); err != nil {
			return fmt.Errorf("version %q: %w", v, err)
		}
		if major != 3 || minor < 4 {
			return fmt.Errorf("version %s", v)
		}
	}
	p.api = "/v3"
	answer, err := p.call(ctx, p.api+"/cluster/member/list", object{})
	if err != nil {
		return err
	}
	if urls := memberURLs(answer); len(urls) != len(p.endpoints) {
		p.t.Errorf("members are at %v", urls)
	}
	_, err = p.call(ctx, p.api+"/auth/authenticate",
		object{"name": "patroni", "password": "secret"})
	var r *refusal
	if !errors.As(err, &r) || r.code != 9 ||
		r.message != "etcdserver: authentication is not enabled" {
		return fmt.Errorf("authenticate: %w", err)
	}
	return nil
}

func memberURLs(answer object) []string {
	var urls []string
	for _, member := range list(answer["members"]) {
		all, _ := member["clientURLs"].([]any)
		for _, url := range all {
			urls = append(urls, fmt.Sprint(url))
		}
	}
	return urls
}

// loop is one round of a member: it keeps its lease, says that it is there,
// takes or keeps the leadership, writes its status, and steps down.
func (p *patroni) loop(ctx context.Context, guard *alone) error {
	if err := p.touch(ctx); err != nil {
		return err
	}
	led, err := p.acquire(ctx)
	if err != nil || !led {
		return err
	}
	guard.enter()
	err = errors.Join(p.update(ctx), p.status(ctx))
	guard.leave()
	return errors.Join(err, persist(ctx, p.demote))
}

// touch keeps the lease alive and its member's key there.
func (p *patroni) touch(ctx context.Context) error {
	if p.lease != "" {
		answer, err := p.call(ctx, p.api+"/lease/keepalive", object{"ID": p.lease})
		if err != nil {
			return err
		}
		if answer["TTL"] == nil {
			p.t.Errorf("%s: the lease that is kept alive has ended: %v", p.name, answer)
			p.lease = ""
		}
	}
	if p.lease == "" {
		answer, err := p.call(ctx, p.api+"/lease/grant", object{"TTL": patroniSeconds})
		if err != nil {
			return err
		}
		p.lease, _ = answer["ID"].(string)
	}
	_, err := p.call(ctx, p.api+"/kv/put", p.pair("members/"+p.name, `{"state":"running"}`))
	return err
}

// pair is a key with its value, under the member's lease.
func (p *patroni) pair(key, value string) object {
	return object{"key": encode(p.prefix + key), "value": encode(value), "lease": p.lease}
}

// acquire takes the leader's key if nobody has it, or finds that it is its own.
func (p *patroni) acquire(ctx context.Context) (bool, error) {
	put := p.pair(leaderKey, p.name)
	answer, err := p.call(ctx, p.api+"/kv/txn", object{
		"compare": []object{{"target": "CREATE", "create_revision": "0", "key": put["key"]}},
		"success": []object{{"request_put": put}},
	})
	if err != nil {
		return false, err
	}
	if answer["succeeded"] == true {
		return true, nil
	}
	held, err := p.call(ctx, p.api+"/kv/range", object{"key": put["key"], "serializable": false})
	if err != nil {
		return false, err
	}
	kvs := list(held["kvs"])
	// An answer may have been lost.
	return len(kvs) == 1 && decoded(kvs[0]["value"]) == p.name, nil
}

// update keeps the leader's key, or takes it anew, by nested transactions.
func (p *patroni) update(ctx context.Context) error {
	put := p.pair(leaderKey, p.name)
	absent := object{"key": put["key"], "target": "CREATE", "create_revision": "0"}
	anew := object{"compare": []object{absent}, "success": []object{{"request_put": put}}}
	answer, err := p.call(ctx, p.api+"/kv/txn", object{
		"compare": []object{{"key": put["key"], "target": "VALUE", "value": put["value"]}},
		"success": []object{{"request_put": put}},
		"failure": []object{{"request_txn": anew}},
	})
	if err == nil && answer["succeeded"] != true {
		p.t.Errorf("%s leads and does not: %v", p.name, answer)
	}
	return err
}

// status writes what the leader says of itself.
func (p *patroni) status(ctx context.Context) error {
	pair := p.pair(statusKey, `{"optime":1}`)
	delete(pair, "lease")
	answer, err := p.call(ctx, p.api+"/kv/put", pair)
	if err == nil && revision(answer) == 0 {
		p.t.Errorf("put: %v", answer)
	}
	return err
}

// demote gives the leader's key up, if it is its own.
func (p *patroni) demote(ctx context.Context) error {
	key := encode(p.prefix + leaderKey)
	_, err := p.call(ctx, p.api+"/kv/txn", object{
		"compare": []object{{"key": key, "target": "VALUE", "value": encode(p.name)}},
		"success": []object{{"request_delete_range": object{"key": key}}},
	})
	return err
}

// leave ends the lease, with which the member's key goes.
func (p *patroni) leave(ctx context.Context) error {
	if p.lease == "" {
		return nil
	}
	revoke := func(ctx context.Context) error {
		_, err := p.call(ctx, p.api+"/lease/revoke", object{"ID": p.lease})
		if err != nil && strings.Contains(err.Error(), "requested lease not found") {
			return nil
		}
		return err
	}
	if err := persist(ctx, revoke); err != nil {
		return err
	}
	key := encode(p.prefix + "members/" + p.name)
	answer, err := p.call(ctx, p.api+"/kv/range", object{"key": key})
	if err == nil && len(list(answer["kvs"])) > 0 {
		err = fmt.Errorf("%s is still a member: %v", p.name, answer)
	}
	return err
}

// follow fills its cache and watches on from there; when the stream ends, it
// begins again.
func (p *patroni) follow(ctx context.Context) {
	for ctx.Err() == nil {
		request := object{"key": encode(p.prefix), "range_end": encode(after(p.prefix))}
		request["serializable"] = true
		answer, err := p.call(ctx, p.api+"/kv/range", request)
		if err != nil {
			pause(ctx, afterFailure)
			continue
		}
		p.cache.fill(answer)
		header, _ := answer["header"].(object)
		create := object{
			"key": encode(p.prefix), "range_end": encode(after(p.prefix)),
			"start_revision": header["revision"], "filters": []object{},
			"progress_notify": true,
		}
		_ = p.watch(ctx, p.api+"/watch", create, func(result object) bool {
			p.cache.note(p.t, result)
			return ctx.Err() == nil
		})
	}
}

// fill replaces what is cached.
func (c *cache) fill(answer object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys = map[string]object{}
	for _, kv := range list(answer["kvs"]) {
		c.keys[decoded(kv["key"])] = kv
	}
}

// note takes the events of a watch, in the order of their revisions. Those from
// before the watch may come again.
func (c *cache) note(t *testing.T, result object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := int64(0)
	for _, event := range list(result["events"]) {
		kv, _ := event["kv"].(object)
		key, at := decoded(kv["key"]), number(kv["mod_revision"])
		if at < last {
			t.Errorf("event of revision %d after %d", at, last)
		}
		last = at
		if event["type"] == "DELETE" {
			delete(c.keys, key)
		} else {
			c.keys[key] = kv
		}
	}
	c.seen = max(c.seen, last)
}
