package casualties

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/engine/memory"
	"github.com/miruvor/miruvor/internal/engine/pebble"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/member"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/raftlog"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/watch"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// host is a node: what lies on its disk, and its process while that runs.
type host struct {
	st     *stage
	id     kv.NodeID
	fs     *vfs.MemFS
	engine engine.Engine
	// directory is the incarnation of the directory on disk.
	directory kv.Incarnation
	// boot counts the lives of the process.
	boot int
	process
	// crashes and fuse: see burn.
	crashes, fuse int
	// paused is a stopped process, whose clock runs on.
	paused bool
	// slow keeps saves from the disk.
	slow bool
	seen map[kv.ShardID]seen
}

// process is what a crash takes.
type process struct {
	log    *raftlog.Log
	member *member.Member
	worker *worker.Worker
	hub    *watch.Hub
	saves  []save
	ops    map[uint64]*op
	ears   map[watch.StreamID]*ear
	// stops has the process paused after its next pass that has effects, which
	// are held until it goes on.
	stops   bool
	held    []*worker.Effects
	greeted wire.Instant
}

// save is one under way to the disk: whether it was appended to the log, and whether
// the worker was told.
type save struct {
	replica.Save
	appended, told bool
}

const logDir, engineDir = "log", "engine"

// format gives the node an empty directory.
func (h *host) format() {
	h.fs = vfs.NewCrashableMem()
	if !h.st.set.pebble {
		h.engine = memory.New()
	}
	h.directory = kv.Incarnation(uint64(h.id)<<32 | uint64(h.boot+1))
}

// now is the node's clock, which has nothing to do with those of others.
func (h *host) now() wire.Instant {
	return h.st.now + wire.Instant(time.Duration(h.id)*time.Hour)
}

// start runs the process on what its disk holds.
func (h *host) start() {
	h.boot++
	var err error
	h.process = process{ops: map[uint64]*op{}, ears: map[watch.StreamID]*ear{}}
	h.log, err = raftlog.Open(raftlog.Options{
		FS: h.fs, Dir: logDir, SegmentBytes: 64 << 10, Salt: uint64(h.id),
		Logger: slog.New(slog.DiscardHandler),
	})
	h.st.must(err)
	if h.st.set.pebble {
		h.engine, err = pebble.Open(engineDir, pebble.Options{
			FS: h.fs, MemtableBytes: 64 << 10, CacheBytes: 1 << 20,
		})
		h.st.must(err)
	}
	h.member, err = member.Open(h.memberConfig())
	h.st.must(err)
	h.work(true)
	h.greet()
}

func (h *host) memberConfig() member.Config {
	cfg := member.Config{
		Cluster: 7, Engine: h.engine, Mutant: h.st.set.bug, Found: h.found,
		Logger: slog.New(slog.DiscardHandler),
		Self:   wire.Node{ID: h.id, Name: h.id.String(), Incarnation: h.directory},
	}
	for _, other := range h.st.hosts {
		if other != h {
			cfg.Peers = append(cfg.Peers, other.id)
		}
	}
	for _, s := range h.st.allShards() {
		if slices.Contains(s.Nodes, h.id) {
			cfg.Groups = append(cfg.Groups, s.Nodes)
		}
	}
	return cfg
}

// found writes what a node of a new cluster begins with.
func (h *host) found(b engine.Batch) error {
	err := placement.StoreMap(b, h.st.shards)
	for _, s := range h.st.allShards() {
		if slices.Contains(s.Nodes, h.id) {
			err = errors.Join(err, replica.Bootstrap(b, placement.NewDescriptor(s)))
		}
	}
	return err
}

// work starts the worker once the directory's role is decided.
func (h *host) work(restarted bool) {
	id := h.member.Identity()
	if h.worker != nil || id.Role == wire.RoleUndecided {
		return
	}
	bounds := replica.DefaultBounds()
	if change := h.st.set.bounds; change != nil {
		change(&bounds)
	}
	var err error
	h.worker, err = worker.Open(worker.Config{
		Place: worker.Place{Index: 0, Count: 1}, Node: h.id,
		Incarnation: id.ReplicaIncarnation(), Engine: h.engine, Log: h.log, Map: h.st.shards,
		Timing: replica.DefaultTiming(), Bounds: bounds, ReadMode: h.st.set.mode,
		Restarted: restarted, Mutant: h.st.set.bug, Logger: slog.New(slog.DiscardHandler),
	}, h.now())
	h.st.must(err)
	if !restarted {
		h.worker.Campaign()
	}
	h.openHub()
	h.tellPeers()
}

func (h *host) openHub() {
	bounds := watch.DefaultBounds()
	if change := h.st.set.watches; change != nil {
		change(&bounds)
	}
	h.hub = watch.New(watch.Config{
		Node: h.id, Map: h.st.shards, Limits: kv.DefaultLimits, Bounds: bounds,
		Began: h.now(), Mutant: h.st.set.bug,
	})
}

func (h *host) tellPeers() {
	if h.worker == nil {
		return
	}
	peers := h.member.Peers()
	for _, other := range h.st.hosts {
		if p, ok := peers[other.id]; ok {
			h.worker.SetPeer(other.id, p.ReplicaIncarnation())
		}
	}
}

// runs reports whether the process does anything now.
func (h *host) runs() bool { return h.member != nil && !h.paused }

// replica is that of a shard here, nil if there is none.
func (h *host) replica(shard kv.ShardID) *replica.Replica {
	if h.worker == nil {
		return nil
	}
	return h.worker.Replica(shard)
}

// burn is called before each thing that the process does to the world. It
// reports whether it is still alive: with a fuse it dies at the fuse'th.
func (h *host) burn() bool {
	if h.fuse > 0 {
		if h.fuse--; h.fuse == 0 {
			h.crash()
			return false
		}
	}
	return h.member != nil
}

// crash is a power loss: what was not synced is gone, and of the engine's commits
// since its last flush the later ones, more with each crash of a scene, or fewer.
func (h *host) crash() {
	if h.member == nil {
		return
	}
	h.crashes++
	h.fs = h.fs.CrashClone(vfs.CrashCloneCfg{})
	if e, ok := h.engine.(*memory.Engine); ok {
		h.engine = e.Crash(rand.New(rand.NewPCG(uint64(h.id), uint64(h.crashes))))
	}
	h.stop()
}

// kill ends the process; the machine stays up, and loses nothing.
func (h *host) kill() {
	if h.member == nil {
		return
	}
	h.fs = h.fs.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1)),
	})
	h.stop()
}

// wipe is a crash that takes the directory, too.
func (h *host) wipe() {
	h.stop()
	h.format()
}

func (h *host) stop() {
	for _, o := range h.ops {
		o.lost = true
	}
	h.st.ground(h)
	h.closeEngine()
	h.process, h.paused, h.slow, h.fuse = process{}, false, false, 0
}

// closeEngine ends what an engine of a real node does by itself. What it writes at its end
// goes to a file system that nobody looks at any more.
func (h *host) closeEngine() {
	if e, ok := h.engine.(*pebble.Engine); ok {
		h.st.must(e.Close())
		h.engine = nil
	}
}

// pause stops the process; its clock runs on, and messages to it wait.
func (h *host) pause() { h.paused = true }

// resume lets it go on where it was.
func (h *host) resume() {
	h.paused = false
	held := h.held
	h.held = nil
	for _, eff := range held {
		h.carryOut(eff)
	}
}

// flush makes the engine durable, and the log shorter.
func (h *host) flush() {
	h.st.must(h.engine.Flush())
	h.st.must(h.worker.Truncate())
}
