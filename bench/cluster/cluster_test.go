package cluster

import (
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestStat(t *testing.T) {
	stat := "4711 (a (weird) name) S 1 2 3 0 -1 4194560 10 0 0 0 250 125 7 7 20 0 9 0 100 1 1"
	got, err := parseStat([]byte(stat))
	if want := 3750 * time.Millisecond; err != nil || got != want {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for _, bad := range []string{"", "1 (x) S 1 2", strings.Replace(stat, "250", "x", 1)} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q: accepted", bad)
		}
	}
}

func FuzzStat(f *testing.F) {
	f.Add([]byte("4711 (a (weird) name) S 1 2 3 0 -1 4194560 10 0 0 0 250 125 7"))
	f.Add([]byte(")"))
	f.Fuzz(func(_ *testing.T, stat []byte) { _, _ = parseStat(stat) })
}

func TestPortsAreFreeAndDifferent(t *testing.T) {
	ports, err := freePorts(50)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if len(slices.Compact(slices.Clone(ports))) != 50 {
		t.Errorf("twice the same: %v", ports)
	}
	for _, address := range ports {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("%s is not free: %v", address, err)
			continue
		}
		_ = l.Close()
	}
}

func TestCommands(t *testing.T) {
	all := []Member{
		{Name: "n1", Dir: "d1", Client: "h:1", Peer: "h:2"},
		{Name: "n2", Dir: "d2", Client: "h:3", Peer: "h:4"},
	}
	etcd := strings.Join(Etcd{Binary: "etcd"}.Command(all[1], all).Args, " ")
	for _, want := range []string{
		"--name n2 --data-dir d2", "--advertise-client-urls http://h:3",
		"--initial-cluster n1=http://h:2,n2=http://h:4",
	} {
		if !strings.Contains(etcd, want) {
			t.Errorf("%q lacks %q", etcd, want)
		}
	}
	system := Miruvor{Binary: "m", SplitAt: []string{"4", "8"}, Flags: []string{"--pprof"}}
	miruvor := strings.Join(system.Command(all[0], all).Args, " ")
	for _, want := range []string{
		"m start --name n1 --data d1 --client h:1 --peer h:2", "--initial-cluster n1=h:2,n2=h:4",
		"--initial-shards 3 --split-at 4,8 --pprof",
	} {
		if !strings.Contains(miruvor, want) {
			t.Errorf("%q lacks %q", miruvor, want)
		}
	}
	one := Miruvor{}.Command(all[0], all).Args
	if !slices.Contains(one, "1") || slices.Contains(one, "--split-at") {
		t.Errorf("one shard: %q", one)
	}
}

// shell is a system whose nodes are scripts.
type shell string

// What is built is in no node's way.
func TestBinariesHaveTheirOwnDirectory(t *testing.T) {
	for _, s := range []System{Etcd{}, Miruvor{}} {
		if s.Name() == bin {
			t.Errorf("the nodes of %s are where the binaries are", s.Name())
		}
	}
}

func (shell) Name() string { return "shell" }

func (s shell) Command(Member, []Member) *exec.Cmd { return exec.Command("sh", "-c", string(s)) }

func TestProcessesThatEnd(t *testing.T) {
	_, err := Start(shell("echo no >&2; exit 3"), t.TempDir(), 3)
	if err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("nodes that don't start: %v", err)
	}
}

func TestCPUOfDeadProcessesIsAnError(t *testing.T) {
	p, err := start(exec.Command("true"), Member{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	<-p.exited
	c := &Cluster{processes: []*process{p}}
	if _, err := c.CPU(); err == nil {
		t.Error("a process that ended has CPU time")
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
}

func TestCPUGrows(t *testing.T) {
	p, err := start(exec.Command("sh", "-c", "while :; do :; done"), Member{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{processes: []*process{p}}
	machine, err := MachineCPU()
	if err != nil {
		t.Fatal(err)
	}
	for used := time.Duration(0); used < 5*tick; {
		if used, err = c.CPU(); err != nil {
			t.Fatal(err)
		}
	}
	now, err := MachineCPU()
	if err != nil || now < machine+2*tick {
		t.Errorf("machine at work from %v to %v, %v", machine, now, err)
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
}
