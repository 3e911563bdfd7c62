package node

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/member"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// membership is the node's member, shared by the goroutine that greets and
// those of the transport.
type membership struct {
	mu     sync.Mutex
	member *member.Member
	self   wire.Node
	// restarted says that the node had its role before this start.
	restarted bool
}

// greetPause lies between two rounds of greetings, while a role is sought
// and after.
const (
	greetPauseUndecided = 100 * time.Millisecond
	greetPause          = time.Second
)

// runMember greets the peers, starts the threads once the role is decided, and
// ticks them.
func (n *Node) runMember() {
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	var nextGreeting time.Time
	for {
		if n.threads.get() == nil && n.role() != wire.RoleUndecided {
			if err := n.startThreads(); err != nil {
				n.fail(err)
				return
			}
			n.spreadPeers()
		}
		if now := time.Now(); !now.Before(nextGreeting) {
			nextGreeting = now.Add(n.greet())
		}
		for _, t := range n.threads.get() {
			t.inbox.put(event{tick: true})
		}
		if h := n.hub.Load(); h != nil {
			h.tick()
		}
		select {
		case <-ticker.C:
		case <-n.stopping.Done():
			return
		}
	}
}

func (n *Node) role() wire.Role {
	n.membership.mu.Lock()
	defer n.membership.mu.Unlock()
	return n.membership.member.Role()
}

// greet sends a round of greetings and returns when the next one is due.
func (n *Node) greet() time.Duration {
	n.membership.mu.Lock()
	greetings := n.membership.member.Greetings()
	undecided := n.membership.member.Role() == wire.RoleUndecided
	n.membership.mu.Unlock()
	for _, g := range greetings {
		n.transport.Send(g.To, g.Message)
	}
	if undecided {
		return greetPauseUndecided
	}
	return greetPause
}

// greeted takes a peer's greeting.
func (n *Node) greeted(from kv.NodeID, g *wire.Greeting) {
	n.membership.mu.Lock()
	answers, err := n.membership.member.Receive(from, g)
	n.membership.mu.Unlock()
	for _, a := range answers {
		n.transport.Send(a.To, a.Message)
	}
	switch {
	case errors.Is(err, member.ErrReplaced):
		n.fail(fmt.Errorf("%w; remove the directory %s to rejoin with a new one", err, n.dir.path))
	case err != nil:
		n.fail(fmt.Errorf("membership: %w", err))
	}
	n.spreadPeers()
}

// spreadPeers tells the workers with which directories the peers run.
func (n *Node) spreadPeers() {
	n.membership.mu.Lock()
	defer n.membership.mu.Unlock()
	for node, peer := range n.membership.member.Peers() {
		inc := peer.ReplicaIncarnation()
		for _, t := range n.threads.get() {
			t.inbox.put(event{run: func(_ wire.Instant, w *worker.Worker) { w.SetPeer(node, inc) }})
		}
	}
}

// startThreads opens the workers and sets them going.
func (n *Node) startThreads() error {
	n.membership.mu.Lock()
	identity := n.membership.member.Identity()
	n.membership.mu.Unlock()
	count := n.workers()
	list := make([]*thread, count)
	for i := range list {
		w, err := worker.Open(n.workerConfig(i, count, identity), n.cfg.lab.clock())
		if err != nil {
			return err
		}
		w.Campaign()
		list[i] = newThread(n, i, w)
	}
	n.log.Info("node joins", "role", roleName(identity.Role), "workers", count,
		"cluster", identity.Cluster.String(), "incarnation", identity.Incarnation.String())
	n.threads.start(list)
	n.startHub()
	return nil
}

func roleName(r wire.Role) string {
	return [...]string{"undecided", "founder", "replacement"}[r]
}

// threads are a node's, once they run.
type threads struct {
	mu      sync.Mutex
	list    []*thread
	ended   bool
	running sync.WaitGroup
}

func (s *threads) get() []*thread {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list
}

func (s *threads) start(list []*thread) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.list = list
	for _, t := range list {
		s.running.Go(t.run)
	}
}

func (s *threads) end() {
	s.mu.Lock()
	s.ended = true
	for _, t := range s.list {
		t.inbox.close()
	}
	s.mu.Unlock()
	s.running.Wait()
}
