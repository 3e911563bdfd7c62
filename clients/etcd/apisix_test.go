package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
)

// routes is how many of APISIX's routes there are.
const routes = 5

// apisix is what the admin API and the gateways of APISIX ask, by
// lua-resty-etcd: keys are JSON, names in requests are in camel case here and in
// snake case there, leases have their older paths.
type apisix struct {
	*gateway
	t      *testing.T
	prefix string
	n      int
	lease  any
}

// newAPISIX changes routes, which a gateway follows by its watch: it must hear
// of each version of each route once.
func newAPISIX(ctx context.Context, t *testing.T, c *cluster) *task {
	prefix := empty(t, newClient(t, c.endpoints...), "/apisix/routes/")
	admin := &apisix{gateway: newGateway(c), t: t, prefix: prefix}
	proxy := &apisix{gateway: newGateway(c), t: t, prefix: prefix}
	listed, err := proxy.readdir(ctx)
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]int64{}
	var heard atomic.Int64
	k := &task{workers: []func(context.Context) error{admin.change}}
	k.followers = append(k.followers, func(ctx context.Context) {
		from := revision(listed) + 1
		for ctx.Err() == nil {
			from = proxy.watchdir(ctx, from, versions)
			heard.Store(from)
		}
	})
	k.check = func(ctx context.Context) {
		if heard.Load() <= revision(listed)+1 {
			t.Error("the watch told nothing")
		}
		if err := admin.end(ctx); err != nil {
			t.Error(err)
		}
	}
	return k
}

// change creates a route, or changes it if nobody else did meanwhile.
func (a *apisix) change(ctx context.Context) error {
	a.n++
	key := encode(fmt.Sprint(a.prefix, a.n%routes))
	value, _ := json.Marshal(object{"uri": fmt.Sprint("/", a.n)})
	put := object{"key": key, "value": encode(string(value))}
	// setnx of lua-resty-etcd
	created, err := a.call(ctx, "/v3/kv/txn", object{
		"compare": []object{{"target": "CREATE", "key": key, "createRevision": 0}},
		"success": []object{{"requestPut": put}},
	})
	if err != nil || created["succeeded"] == true {
		return err
	}
	got, err := a.call(ctx, "/v3/kv/range", object{"key": key})
	if err != nil {
		return err
	}
	kvs := list(got["kvs"])
	if len(kvs) != 1 {
		return errors.New("the route is neither there nor not")
	}
	// atomic_set of APISIX, under a lease
	put["lease"], err = a.keep(ctx)
	if err != nil {
		return err
	}
	_, err = a.call(ctx, "/v3/kv/txn", object{
		"compare": []object{{
			"key": key, "target": "MOD", "result": "EQUAL",
			"mod_revision": kvs[0]["mod_revision"],
		}},
		"success": []object{{"requestPut": put}},
	})
	return err
}

// keep grants a lease once, and keeps it alive.
func (a *apisix) keep(ctx context.Context) (any, error) {
	if a.lease == nil {
		answer, err := a.call(ctx, "/v3/lease/grant", object{"TTL": 60, "ID": 0})
		if err != nil {
			return nil, err
		}
		a.lease = answer["ID"]
	}
	answer, err := a.call(ctx, "/v3/lease/keepalive", object{"ID": a.lease})
	if err == nil && number(answer["TTL"]) == 0 {
		a.t.Errorf("the lease has ended: %v", answer)
	}
	return a.lease, err
}

// readdir reads all routes.
func (a *apisix) readdir(ctx context.Context) (object, error) {
	return a.call(ctx, "/v3/kv/range",
		object{"key": encode(a.prefix), "range_end": encode(after(a.prefix))})
}

// watchdir watches all routes from a revision, and returns from which to watch
// on when the stream has ended.
func (a *apisix) watchdir(ctx context.Context, from int64, versions map[string]int64) int64 {
	create := object{
		"key": encode(a.prefix), "range_end": encode(after(a.prefix)),
		"start_revision": from, "prev_kv": true, "progress_notify": true,
	}
	err := a.watch(ctx, "/v3/watch", create, func(result object) bool {
		for _, event := range list(result["events"]) {
			kv, _ := event["kv"].(object)
			key, version := decoded(kv["key"]), number(kv["version"])
			if version != versions[key]+1 {
				a.t.Errorf("%s: version %d after %d", key, version, versions[key])
			}
			if before, _ := event["prev_kv"].(object); number(before["version"]) != versions[key] {
				a.t.Errorf("%s: %d before %d", key, number(before["version"]), version)
			}
			versions[key], from = version, number(kv["mod_revision"])+1
		}
		return ctx.Err() == nil
	})
	if err != nil {
		pause(ctx, afterFailure)
	}
	return from
}

// end looks at the lease and revokes it; the routes under it go.
func (a *apisix) end(ctx context.Context) error {
	left, err := a.call(ctx, "/v3/kv/lease/timetolive", object{"ID": a.lease, "keys": true})
	if err != nil {
		return err
	}
	keys, _ := left["keys"].([]any)
	if number(left["TTL"]) <= 0 || len(keys) == 0 {
		a.t.Errorf("lease: %v", left)
	}
	all, err := a.call(ctx, "/v3/lease/leases", object{})
	if err == nil && len(list(all["leases"])) == 0 {
		a.t.Errorf("leases: %v", all)
	}
	if err != nil {
		return err
	}
	if _, err := a.call(ctx, "/v3/kv/lease/revoke", object{"ID": a.lease}); err != nil {
		return err
	}
	listed, err := a.readdir(ctx)
	if err == nil && len(list(listed["kvs"])) > routes-len(keys) {
		a.t.Errorf("after the lease: %v", listed)
	}
	return err
}
