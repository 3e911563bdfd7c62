package etcdstore_test

import (
	"flag"
	"fmt"
	"path"
	"testing"

	"github.com/miruvor/miruvor/bench/etcdstore"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvtest"
)

// differences are the cases of the suite that etcd answers in another way,
// and why kv.Store is not to do the same. All else it must answer alike.
var differences = map[string]string{
	"refusals": "etcd takes a negative limit or revision for none, gives leases negative " +
		"ids, and watches the key 0x00 for the empty one; we refuse what can only be a mistake",
	"duplicates_strict": "etcd overlooks a put in a nested transaction that a later one " +
		"deletes, and any put that a range without an end deletes; then one revision holds " +
		"two changes of a key",
	"watch_progress": "etcd answers no request for progress while a watch of the stream " +
		"waits for a later revision, or if there is no watch; we answer once all that has " +
		"happened is delivered",
	"keys_only":        "etcd 3.7 leaves out the lease with the value, as none did before",
	"too_long_keys":    "etcd has no bound on keys",
	"largest_requests": "etcd's bound is on the encoded request, ours on keys and values",
}

// TestConformanceOfEtcd holds the suite to etcd: a rule of ours that etcd
// breaks is wrong, unless it stands among the differences.
func TestConformanceOfEtcd(t *testing.T) {
	store := startEtcd(t)
	met := map[string]bool{}
	kvtest.Run(t, func(t *testing.T) kv.Store {
		name := path.Base(t.Name())
		if why, differs := differences[name]; differs {
			met[name] = true
			t.Skip(why)
		}
		return store
	})
	if len(met) < len(differences) {
		t.Errorf("of the differences, the suite has the cases %v alone", met)
	}
}

// TestWalksOfEtcd compares answers of etcd and of the fake to random requests.
func TestWalksOfEtcd(t *testing.T) {
	store := startEtcd(t)
	for seed := range *walks {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { kvtest.Walk(t, store, 1+seed) })
	}
}

var walks = flag.Uint64("walks", 3, "how many walks TestWalksOfEtcd makes")

func startEtcd(t *testing.T) *etcdstore.Store {
	server, err := etcdstore.StartServer(t.Context(), t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return etcdstore.New(server.Client())
}
