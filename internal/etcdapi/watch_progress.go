package etcdapi

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// questionsMax is how many questions of progress a stream may wait for.
const questionsMax = 100

// question is one of progress, which the store answers once all watches of the
// stream have got as far as it was then.
type question struct {
	// ofClient says that the client asked, and not the clock.
	ofClient bool
	// last is the last watch that was there.
	last kv.WatchID
}

// ask asks the store, which answers in the order of the questions.
func (s *watchSender) ask(ofClient bool) {
	if len(s.questions) >= questionsMax {
		return
	}
	s.questions = append(s.questions, question{ofClient, s.last})
	s.stream.Progress()
}

// answer tells the client what the store answered to the oldest question.
func (s *watchSender) answer(revision kv.Revision) error {
	if len(s.questions) == 0 {
		return nil
	}
	q := s.questions[0]
	s.questions = s.questions[1:]
	if q.ofClient {
		return s.answerAll(q, revision)
	}
	for _, w := range s.watches {
		if !w.due || w.inner > q.last {
			continue
		}
		w.due = false
		if w.from > revision || w.told > revision {
			continue
		}
		w.told = revision
		if err := s.sendProgress(w.id, revision); err != nil {
			return err
		}
	}
	return nil
}

// answerAll answers for all watches, or not at all. A watch that came after
// the question may not have got as far: then it is put again. One from the
// future has no progress yet, nor has a stream without watches.
//
// Some watches may have been told of more since they asked, and what a watch
// is told never goes back. If that is not the same for all, each has an answer
// of its own.
func (s *watchSender) answerAll(q question, revision kv.Revision) error {
	if q.last < s.last {
		s.ask(true)
		return nil
	}
	least, most := kv.Revision(math.MaxInt64), revision
	for _, w := range s.watches {
		if w.from > revision {
			return nil
		}
		w.told = max(w.told, revision)
		least, most = min(least, w.told), max(most, w.told)
	}
	switch {
	case len(s.watches) == 0:
		return nil
	case least == most:
		return s.sendProgress(invalidWatchID, most)
	}
	for _, id := range slices.Sorted(maps.Keys(s.watches)) {
		w := s.watches[id]
		if err := s.sendProgress(w.id, w.told); err != nil {
			return err
		}
	}
	return nil
}

func (s *watchSender) sendProgress(id int64, revision kv.Revision) error {
	return s.out.put(&pb.WatchResponse{Header: s.api.header(revision), WatchId: id})
}

// tick has those watches told of their progress that want to, and had no event
// since the last tick.
func (s *watchSender) tick() {
	wanted, due := false, false
	for _, w := range s.watches {
		if !w.notify {
			continue
		}
		wanted, due = true, due || w.quiet
		w.due, w.quiet = w.quiet, true
	}
	if due {
		s.ask(false)
	}
	if wanted {
		s.ticker.start(s.api.progress)
	}
}

// watchTicker rings when it is time to tell of progress. The zero one stands;
// its methods are for one goroutine.
type watchTicker struct {
	ring    func()
	timer   *time.Timer
	running bool
	passed  atomic.Bool
}

// start makes it ring once, after the interval and up to a tenth of it more:
// clients that came at the same time need not be told at the same time.
func (t *watchTicker) start(interval time.Duration) {
	if t.running {
		return
	}
	t.running = true
	interval += rand.N(interval/10 + 1)
	if t.timer != nil {
		t.timer.Reset(interval)
		return
	}
	t.timer = time.AfterFunc(interval, func() {
		t.passed.Store(true)
		t.ring()
	})
}

// ticked reports, once, that the time has passed.
func (t *watchTicker) ticked() bool {
	if !t.passed.Load() {
		return false
	}
	t.passed.Store(false)
	t.running = false
	return true
}

func (t *watchTicker) stop() {
	if t.timer != nil {
		t.timer.Stop()
	}
}
