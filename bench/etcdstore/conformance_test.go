package etcdstore_test

import (
	"path"
	"testing"

	"github.com/miruvor/miruvor/bench/etcdstore"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvtest"
)

// differences are the cases of the suite that etcd answers in another way,
// and why kv.Store is not to do the same.
var differences = map[string]string{}

// TestConformanceOfEtcd holds the suite to etcd: a rule of ours that etcd
// breaks is wrong, unless it stands among the differences.
func TestConformanceOfEtcd(t *testing.T) {
	server, err := etcdstore.StartServer(t.Context(), t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	store := etcdstore.New(server.Client())
	kvtest.Run(t, func(t *testing.T) kv.Store {
		if why, differs := differences[path.Base(t.Name())]; differs {
			t.Skip(why)
		}
		return store
	})
}
