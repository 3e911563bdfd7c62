package node

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/miruvor/miruvor/internal/kv"
)

// TestMetrics collects from a cluster at work, through a registry that refuses
// what is undeclared, inconsistent or told twice.
func TestMetrics(t *testing.T) {
	c := newTestCluster(t, 3, 2, DurabilityMemory)
	for i := range 3 {
		c.awaitReady(i)
	}
	rev := c.put(0, "a", "1")
	serving := 0.0
	for i := range 3 {
		found := gather(t, c.nodes[i])
		serving += sum(found["miruvor_oracle_serving"])
		if got := len(found["miruvor_raft_term"].GetMetric()); got != 3 {
			t.Errorf("node %d tells the terms of %d shards, want 3", i, got)
		}
		if got := len(found["miruvor_peer_sent_bytes_total"].GetMetric()); got != 2 {
			t.Errorf("node %d tells of %d peers, want 2", i, got)
		}
		if found["miruvor_log_sync_seconds"].GetType() != dto.MetricType_HISTOGRAM {
			t.Errorf("node %d tells no histogram of syncs", i)
		}
		if got := sum(found["miruvor_oracle_last_revision"]); got != 0 && got != float64(rev) {
			t.Errorf("the oracle's last revision is %v, want %v", got, rev)
		}
	}
	both := &kv.TxnRequest{Success: []kv.Op{
		{Put: &kv.PutRequest{Key: []byte("a")}}, {Put: &kv.PutRequest{Key: []byte{0xff}}},
	}}
	if _, err := c.nodes[0].Txn(t.Context(), *both); err != nil {
		t.Fatal(err)
	}
	found := gather(t, c.nodes[0])
	if got := sum(found["miruvor_cross_shard_txns_total"]); got != 1 {
		t.Errorf("%v transactions over shards began, want 1", got)
	}
	if serving != 1 {
		t.Errorf("%v nodes serve the oracle, want 1", serving)
	}
}

func gather(t *testing.T, n *Node) map[string]*dto.MetricFamily {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(n.Metrics())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*dto.MetricFamily{}
	for _, f := range families {
		found[f.GetName()] = f
		if f.GetHelp() == "" || !strings.HasPrefix(f.GetName(), "miruvor_") {
			t.Errorf("metric %q: no help or prefix", f.GetName())
		}
	}
	return found
}

func sum(f *dto.MetricFamily) float64 {
	total := 0.0
	for _, m := range f.GetMetric() {
		total += m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	return total
}

// TestMetricsAreDeclared holds the tables against what the parts tell.
func TestMetricsAreDeclared(t *testing.T) {
	c := newTestCluster(t, 1, 1, DurabilityMemory)
	n := c.nodes[0]
	compare(t, "engine", engineMetrics, n.engine.Metrics())
	values := n.raftlog.Metrics()
	for name := range values {
		_, bucket := bucketBound(name)
		if bucket || name == logSyncSum || name == logSyncCount {
			delete(values, name)
		}
	}
	compare(t, "log", logMetrics, values)
}

func compare(t *testing.T, part string, declared metricSet, told map[string]float64) {
	t.Helper()
	for name := range told {
		if _, ok := declared[name]; !ok {
			t.Errorf("the %s tells %q, which is not declared", part, name)
		}
	}
	for name := range declared {
		if _, ok := told[name]; !ok {
			t.Errorf("%q is declared, but the %s does not tell it", name, part)
		}
	}
}
