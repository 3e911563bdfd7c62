package member

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/engine/memory"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

const cluster kv.ClusterID = 9

// site is the nodes of one cluster, each with its directory.
type site struct {
	t       *testing.T
	group   []kv.NodeID
	engines map[kv.NodeID]*memory.Engine
	members map[kv.NodeID]*Member
	// failed holds what a member stopped with.
	failed map[kv.NodeID]error
	// rejoins is the Config's.
	rejoins bool
}

func newSite(t *testing.T, size int) *site {
	s := &site{
		t: t, engines: map[kv.NodeID]*memory.Engine{}, members: map[kv.NodeID]*Member{},
		failed: map[kv.NodeID]error{},
	}
	for i := range size {
		s.group = append(s.group, kv.NodeID(i+1))
	}
	return s
}

// start opens a node's directory; incarnation counts if it is new.
func (s *site) start(node kv.NodeID, incarnation kv.Incarnation) {
	s.t.Helper()
	if s.engines[node] == nil {
		s.engines[node] = memory.New()
	}
	var peers []kv.NodeID
	for _, n := range s.group {
		if n != node {
			peers = append(peers, n)
		}
	}
	m, err := Open(Config{
		Cluster: cluster, Self: wire.Node{ID: node, Incarnation: incarnation, Name: "n"},
		Peers: peers, Groups: [][]kv.NodeID{s.group}, Engine: s.engines[node],
		Found:   func(b engine.Batch) error { return b.Set([]byte("founded"), nil) },
		Discard: func(b engine.Batch) error { return b.Delete([]byte("restored")) },
		Rejoins: s.rejoins,
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.members[node] = m
}

func (s *site) kill(node kv.NodeID) {
	delete(s.members, node)
	s.engines[node] = s.engines[node].Crash(rand.New(rand.NewPCG(uint64(node), 1)))
}

func (s *site) wipe(node kv.NodeID) {
	delete(s.members, node)
	delete(s.engines, node)
}

// talk has all running nodes greet each other until nobody has an answer.
func (s *site) talk() {
	for range 3 {
		for _, from := range s.group {
			if m := s.members[from]; m != nil {
				s.deliver(from, m.Greetings())
			}
		}
	}
}

func (s *site) deliver(from kv.NodeID, list []Greeting) {
	for _, g := range list {
		to := s.members[g.To]
		if to == nil {
			continue
		}
		answers, err := to.Receive(from, g.Message.Greeting)
		if err != nil {
			s.failed[g.To] = err
			delete(s.members, g.To)
			continue
		}
		s.deliver(g.To, answers)
	}
}

func (s *site) want(node kv.NodeID, role wire.Role) {
	s.t.Helper()
	if got := s.members[node].Role(); got != role {
		s.t.Errorf("%v is %v, want %v", node, got, role)
	}
	_, err := s.engines[node].Get([]byte("founded"))
	if founded := err == nil; founded != (role == wire.RoleFounder) {
		s.t.Errorf("%v in role %v: founded is %v", node, role, founded)
	}
}

func TestALoneNodeFoundsAtOnce(t *testing.T) {
	s := newSite(t, 1)
	s.start(1, 11)
	s.want(1, wire.RoleFounder)
}

func TestFoundersNeedEnoughWitnesses(t *testing.T) {
	for size, enough := range map[int]int{2: 2, 3: 3, 4: 3, 5: 4} {
		s := newSite(t, size)
		for i := range size {
			s.start(kv.NodeID(i+1), kv.Incarnation(i+10))
			s.talk()
			want := wire.RoleUndecided
			if i+1 >= enough {
				want = wire.RoleFounder
			}
			s.want(1, want)
		}
	}
}

// A directory that is lost comes back as a replacement, even if only one of
// those who knew it is up, and stays one.
func TestALostDirectoryIsReplaced(t *testing.T) {
	s := newSite(t, 3)
	for i := range 3 {
		s.start(kv.NodeID(i+1), kv.Incarnation(i+10))
	}
	s.talk()
	s.wipe(3)
	s.kill(2)
	s.start(3, 33)
	s.want(3, wire.RoleUndecided)
	s.talk()
	s.want(3, wire.RoleReplacement)
	if p := s.members[1].Peers()[3]; p.ReplicaIncarnation() != 33 {
		t.Errorf("n1 knows %+v", p)
	}
	s.kill(3)
	s.start(3, 99) // the directory is there: its own incarnation counts
	s.talk()
	s.want(3, wire.RoleReplacement)
	if s.members[3].Identity().Incarnation != 33 {
		t.Errorf("identity %+v", s.members[3].Identity())
	}
	s.start(2, 12)
	s.want(2, wire.RoleFounder)
	s.talk()
	if p := s.members[2].Peers()[3]; p.ReplicaIncarnation() != 33 {
		t.Errorf("n2 knows %+v", p)
	}
}

// What a node knows of its peers survives a crash at any time after it
// answered.
func TestWitnessesRememberAfterACrash(t *testing.T) {
	s := newSite(t, 3)
	for i := range 3 {
		s.start(kv.NodeID(i+1), kv.Incarnation(i+10))
	}
	s.talk()
	for _, node := range []kv.NodeID{1, 2} {
		s.kill(node)
		s.start(node, 1)
	}
	s.wipe(3)
	s.start(3, 33)
	s.talk()
	s.want(3, wire.RoleReplacement)
}

// A founder whose directory was given up for lost, and comes back, must stop.
func TestAReplacedFounderStops(t *testing.T) {
	s := newSite(t, 3)
	for i := range 3 {
		s.start(kv.NodeID(i+1), kv.Incarnation(i+10))
	}
	s.talk()
	old := s.engines[3]
	s.wipe(3)
	s.start(3, 33)
	s.talk()
	s.engines[3] = old
	s.start(3, 1)
	s.talk()
	if err := s.failed[3]; !errors.Is(err, ErrReplaced) {
		t.Errorf("the old directory goes on: %v", err)
	}
}

// Whoever becomes a replacement gets rid of what was restored, a founder does
// not.
func TestAReplacementDiscardsWhatWasRestored(t *testing.T) {
	s := newSite(t, 3)
	restore := func(node kv.NodeID) {
		s.engines[node] = memory.New()
		b := s.engines[node].NewBatch()
		if err := errors.Join(b.Set([]byte("restored"), nil), b.Commit()); err != nil {
			t.Fatal(err)
		}
		s.start(node, kv.Incarnation(rand.Uint64()))
	}
	wantRestored := func(node kv.NodeID, want bool) {
		t.Helper()
		_, err := s.engines[node].Get([]byte("restored"))
		if got := err == nil; got != want {
			t.Errorf("%v has what was restored: %v", node, got)
		}
	}
	for _, node := range s.group {
		restore(node)
	}
	s.talk()
	s.want(3, wire.RoleFounder)
	wantRestored(3, true)
	s.wipe(3)
	restore(3)
	s.talk()
	s.want(3, wire.RoleReplacement)
	wantRestored(3, false)
	wantRestored(1, true)
}

// A cluster that begins with a backup is not founded by who did not restore it;
// but who lost a directory rejoins.
func TestWhoDidNotRestoreFoundsNothing(t *testing.T) {
	s := newSite(t, 3)
	for i := range 3 {
		s.start(kv.NodeID(i+1), kv.Incarnation(i+10))
	}
	s.talk()
	s.rejoins = true
	s.wipe(3)
	s.start(3, 33)
	s.talk()
	s.want(3, wire.RoleReplacement)

	s = newSite(t, 3)
	s.start(1, 11)
	s.start(2, 12)
	s.rejoins = true
	s.start(3, 13)
	s.talk()
	if err := s.failed[3]; !errors.Is(err, ErrNotRestored) {
		t.Errorf("it goes on: %v", err)
	}
	s.want(1, wire.RoleFounder)
}

func TestDirectoriesOfOthersAreRefused(t *testing.T) {
	e := memory.New()
	open := func(c kv.ClusterID, node kv.NodeID, name string) error {
		_, err := Open(Config{
			Cluster: c, Self: wire.Node{ID: node, Incarnation: 5, Name: name}, Engine: e,
			Found: func(engine.Batch) error { return nil },
		})
		return err
	}
	if err := open(cluster, 1, "a"); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		open(cluster+1, 1, "a"), open(cluster, 2, "a"), open(cluster, 1, "b"),
	} {
		if !errors.Is(err, kv.ErrInvalid) {
			t.Errorf("taken: %v", err)
		}
	}
	id, _, err := LoadIdentity(e)
	if err != nil {
		t.Fatal(err)
	}
	id.Format = Format + 1
	if err := WriteIdentity(e, id); err != nil {
		t.Fatal(err)
	}
	if err := open(cluster, 1, "a"); !errors.Is(err, kv.ErrInvalid) {
		t.Errorf("a newer format is taken: %v", err)
	}
}
