package main

import (
	"errors"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miruvor/miruvor/bench/cluster"
	"github.com/miruvor/miruvor/bench/load"
	"github.com/miruvor/miruvor/bench/report"
)

// idle is a system whose nodes do nothing; the test listens for them.
type idle struct {
	t    *testing.T
	name string
}

func (s idle) Name() string { return s.name }

func (s idle) Command(m cluster.Member, _ []cluster.Member) *exec.Cmd {
	listener, err := net.Listen("tcp", m.Client)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = listener.Close() })
	return exec.Command("sleep", "60")
}

// scripted is a client that answers at once.
type scripted struct {
	name  string
	calls *[]string
	count int64
	err   error
}

func (c *scripted) Fill(*load.Shape) error { return c.err }
func (c *scripted) Close() error           { return nil }

func (c *scripted) Run(w *load.Workload, _ *load.Shape, window load.Window) (*load.Result, error) {
	*c.calls = append(*c.calls, c.name+" "+w.Name)
	result := &load.Result{Count: c.count, Elapsed: 2 * time.Second, ClientCPU: 3 * time.Second}
	return result, errors.Join(window.Begin(), window.End(), c.err)
}

func newTestBench(t *testing.T, clients ...*scripted) *bench {
	t.Helper()
	o, err := parse([]string{"--rounds", "2", "--rows", "get,put", "--dir", t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBench(o)
	if err != nil {
		t.Fatal(err)
	}
	b.report = newReport(o, report.Host{}, b.workloads)
	for _, client := range clients {
		c, err := cluster.Start(idle{t, client.name}, o.dir, nodes)
		if err != nil {
			t.Fatal(err)
		}
		b.servers = append(b.servers, &server{Cluster: c, client: client})
	}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestSlicesAlternate(t *testing.T) {
	var calls []string
	b := newTestBench(t,
		&scripted{name: "miruvor", calls: &calls, count: 6000},
		&scripted{name: "etcd", calls: &calls, count: 1000})
	if err := b.rounds(t.Context()); err != nil {
		t.Fatal(err)
	}
	round := []string{"miruvor get", "etcd get", "miruvor put", "etcd put"}
	if want := slices.Concat(round, round); !slices.Equal(calls, want) {
		t.Errorf("slices %q, want %q", calls, want)
	}
	for _, row := range b.report.Rows {
		for i, want := range []report.Sample{
			{PerSecond: 3000, ClientCPUus: 500},
			{PerSecond: 500, ClientCPUus: 3000},
		} {
			// Nodes that sleep may have cost a tick.
			got := row.Results[i].Median
			got.ServerCPUus, got.OtherCPUs = 0, 0
			if got != want || len(row.Results[i].Rounds) != 2 {
				t.Errorf("%s: %+v, want %+v", row.Name, got, want)
			}
		}
	}
}

func TestFailedSlicesEndTheComparison(t *testing.T) {
	for name, client := range map[string]*scripted{
		"no leader": {name: "etcd", err: errors.New("no leader")},
		"no answer": {name: "etcd"},
	} {
		client.calls = new([]string)
		err := newTestBench(t, client).rounds(t.Context())
		if err == nil || !strings.Contains(err.Error(), name) || len(*client.calls) != 1 {
			t.Errorf("%s: %v after %d slices", name, err, len(*client.calls))
		}
	}
}
