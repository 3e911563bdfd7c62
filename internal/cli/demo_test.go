package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/kv"
)

func TestSplitsSpreadKeysOfPlainText(t *testing.T) {
	for n, want := range map[int]string{
		1: "", 2: "g", 3: "9c,mo", 4: "6,g,q", 10: "0,4,8,c,g,k,o,s,w",
		36: "1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z",
	} {
		splits := spreadSplits(n)
		if got := splits.String(); got != want {
			t.Errorf("%d shards are split at %s, want %s", n, got, want)
		}
	}
	for n := 1; n <= demoShardsMax; n++ {
		splits := spreadSplits(n)
		if len(splits) != n-1 {
			t.Fatalf("%d splits for %d shards", len(splits), n)
		}
		for i := 1; i < len(splits); i++ {
			if bytes.Compare(splits[i-1], splits[i]) >= 0 {
				t.Errorf("%d shards: %s does not come before %s", n, splits[i-1], splits[i])
			}
		}
	}
	shardOf := func(key string) int {
		for i, split := range spreadSplits(4) {
			if key < string(split) {
				return i + 1
			}
		}
		return 4
	}
	for key, want := range map[string]int{
		"/registry/pods": 1, "42": 1, "config": 2, "key1": 3, "user/a": 4,
	} {
		if got := shardOf(key); got != want {
			t.Errorf("%s lies in shard %d, want %d", key, got, want)
		}
	}
}

// plan is what a demo with these arguments would be.
func plan(t *testing.T, args string) (*demoCommand, string) {
	t.Helper()
	cmd, d := &cobra.Command{}, &demoCommand{}
	d.addFlags(cmd)
	if err := cmd.ParseFlags(strings.Fields(args)); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	report(&text, d.complete(cmd))
	return d, text.String()
}

func TestPortsOfADemo(t *testing.T) {
	for args, want := range map[string]string{
		"":          "2379,22379,32379 2380,22380,32380",
		"--nodes 1": "2379 2380",
		"--nodes 7": "2379,22379,32379,42379,52379,62379,12379 " +
			"2380,22380,32380,42380,52380,62380,12380",
		"--client-ports 4001,4002,4003,4004 --nodes 4": "4001,4002,4003,4004 5001,5002,5003,5004",
		"--client-ports 4001,4002":                     "4001,4002 5001,5002",
		"--client-ports 65535":                         "65535 65534",
		"--client-ports 7 --peer-ports 9":              "7 9",
	} {
		d, problems := plan(t, args+" --data "+t.TempDir())
		got := d.clientPorts.String() + " " + d.peerPorts.String()
		if problems != "" || got != want {
			t.Errorf("%s: %s %s, want %s", args, got, problems, want)
		}
	}
}

func TestWhatADemoRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"--nodes 0":                           "--nodes is 0, it must be from 1 to 7",
		"--nodes 8 --shards 65":               "--shards is 65, it must be from 1 to 64",
		"--nodes 2 --client-ports 1,2,3":      "--client-ports lists 3 ports, but --nodes is 2",
		"--client-ports 5,5":                  "port 5 is given twice in --client-ports",
		"--client-ports 5,6 --peer-ports 7,6": "port 6 is given twice",
		"--client-ports 5,6 --peer-ports 7":   "--peer-ports lists 1 ports, but --nodes is 2",
		"--ephemeral --data x":                "--ephemeral and --data exclude each other",
	} {
		if _, problems := plan(t, args); !strings.Contains(problems, want) {
			t.Errorf("%s: %q does not say %q", args, problems, want)
		}
	}
}

func TestADemoOfOtherSizeIsLeftAlone(t *testing.T) {
	data := t.TempDir()
	for n := 1; n <= 3; n++ {
		dir := filepath.Join(data, fmt.Sprintf("n%d", n))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "node.json"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, problems := plan(t, "--data "+data); problems != "" {
		t.Error(problems)
	}
	_, problems := plan(t, "--nodes 5 --data "+data)
	want := fmt.Sprintf("miruvor: --nodes is 5, but %s holds a demo of 3 nodes: "+
		"start it with --nodes 3, or give another --data\n", data)
	if problems != want {
		t.Errorf("got %q, want %q", problems, want)
	}
}

func TestTheDemosLine(t *testing.T) {
	shard := func(id kv.ShardID, term uint64, leader kv.NodeID) kv.ShardStatus {
		return kv.ShardStatus{ID: id, Term: term, Leader: leader}
	}
	statuses := []kv.Status{
		{Node: 1, Name: "n1", Ready: true, Revision: 40, Shards: []kv.ShardStatus{
			shard(0, 2, 1), shard(1, 3, 1), shard(2, 2, 1),
		}},
		// n2 knows of a later term of shard 2, and of no leader of shard 1.
		{Node: 2, Name: "n2", Revision: 70, Shards: []kv.ShardStatus{
			shard(0, 2, 1), shard(1, 4, 0), shard(2, 5, 2),
		}},
	}
	want := "1 of 2 nodes ready, n1 leads 1, n2 leads 1"
	if got := demoState(statuses); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var p pace
	begin := time.Unix(100, 0)
	if got := p.measure(statuses, begin); got != "revision 70" {
		t.Errorf("at first: %q", got)
	}
	statuses[0].Revision = 270
	if got := p.measure(statuses, begin.Add(2*time.Second)); got != "revision 270, 100 writes/s" {
		t.Errorf("later: %q", got)
	}
	if got := p.measure(nil, begin.Add(3*time.Second)); got != "revision 270, 0 writes/s" {
		t.Errorf("without an answer: %q", got)
	}
}
