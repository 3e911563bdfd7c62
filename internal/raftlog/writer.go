package raftlog

import (
	"errors"
	"log/slog"
	"sync"

	"github.com/miruvor/miruvor/internal/kv"
)

// waitingBytesMax bounds what a Writer has to do.
const waitingBytesMax = 128 << 20

// unmarkedMax is how many syncs may go without a note while more waits.
const unmarkedMax = 16

// jobOverheadBytes is what a job counts in the queue beside its entries.
const jobOverheadBytes = 256

// Job is something to save. Jobs are done in the order of their Submits.
type Job struct {
	Records []Record
	// Before, if set, runs before the records are appended and after all
	// earlier jobs are done. Its error is as fatal as that of a write.
	Before func() error
	// Done, if set, is called on the Writer's goroutine once the records
	// are as durable as the log's Sync makes them. It must not block or
	// submit.
	Done func()
}

func (j Job) bytes() int64 {
	n := int64(jobOverheadBytes)
	for i := range j.Records {
		n += cachedBytes(j.Records[i].Entries)
	}
	return n
}

// Writer is the one goroutine that appends to a log. It takes everything that
// is queued, appends it and syncs once for all of it.
type Writer struct {
	log    *Log
	logger *slog.Logger
	fatal  func(error)
	// records is the goroutine's own room to gather them, unmarked counts the
	// syncs that are not noted.
	records  []Record
	unmarked int
	// waitingMax is waitingBytesMax, but in tests.
	waitingMax int64

	mu       sync.Mutex
	notEmpty sync.Cond
	notFull  sync.Cond
	queue    []Job
	waiting  int64 // bytes of the queue and of what is being done
	closed   bool
	failed   bool
	stopped  sync.WaitGroup
}

// NewWriter starts a writer of l, which nobody else may append to from now on.
// fatal is called, once and on the writer's goroutine, when a write or a sync
// failed: nothing is acknowledged after that, and the process should stop. It
// must not call Close.
func NewWriter(l *Log, logger *slog.Logger, fatal func(error)) *Writer {
	w := &Writer{log: l, logger: logger, fatal: fatal, waitingMax: waitingBytesMax}
	w.notEmpty.L, w.notFull.L = &w.mu, &w.mu
	w.stopped.Go(w.run)
	return w
}

// Submit queues a job. It blocks while more than 128 MiB wait, which the caller should
// not let happen: see Waiting. It returns kv.ErrStopped after Close or a failure; the
// job is then not done.
func (w *Writer) Submit(job Job) error {
	size := job.bytes()
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.closed && !w.failed && w.waiting > 0 && w.waiting+size > w.waitingMax {
		w.notFull.Wait()
	}
	if w.closed || w.failed {
		return kv.ErrStopped
	}
	w.queue = append(w.queue, job)
	w.waiting += size
	w.notEmpty.Signal()
	return nil
}

// Waiting is how many bytes were submitted and are not done. Whoever gives the log work
// looks at it, and lets less in before a Submit blocks.
func (w *Writer) Waiting() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waiting
}

// Close finishes what is queued and stops the goroutine. The log stays open.
func (w *Writer) Close() {
	w.mu.Lock()
	w.closed = true
	w.notEmpty.Signal()
	w.notFull.Broadcast()
	w.mu.Unlock()
	w.stopped.Wait()
}

func (w *Writer) run() {
	var jobs []Job
	for {
		if jobs = w.take(jobs); len(jobs) == 0 {
			return
		}
		if err := w.work(jobs); err != nil {
			w.fail(err)
			return
		}
		w.done(jobs)
		clear(jobs)
	}
}

// take waits for jobs and returns all of them, none after Close. It reuses the
// memory of the last ones.
func (w *Writer) take(last []Job) []Job {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) == 0 && !w.closed {
		w.notEmpty.Wait()
	}
	jobs := w.queue
	w.queue = last[:0]
	return jobs
}

// done makes room for as much as jobs took.
func (w *Writer) done(jobs []Job) {
	size := int64(0)
	for i := range jobs {
		size += jobs[i].bytes()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting -= size
	w.notFull.Broadcast()
}

// work does jobs, those before one with a Before as a group of their own.
func (w *Writer) work(jobs []Job) error {
	for len(jobs) > 0 {
		n := 1
		for n < len(jobs) && jobs[n].Before == nil {
			n++
		}
		if err := w.save(jobs[:n]); err != nil {
			return err
		}
		jobs = jobs[n:]
	}
	return nil
}

// save does jobs of which only the first may have a Before.
func (w *Writer) save(jobs []Job) error {
	if before := jobs[0].Before; before != nil {
		if err := before(); err != nil {
			return err
		}
	}
	for i := range jobs {
		w.records = append(w.records, jobs[i].Records...)
	}
	err := w.log.Append(w.records)
	clear(w.records)
	w.records = w.records[:0]
	if err != nil {
		return err
	}
	if err := w.log.syncData(); err != nil {
		return err
	}
	for i := range jobs {
		if jobs[i].Done != nil {
			jobs[i].Done()
		}
	}
	if w.unmarked++; w.unmarked < unmarkedMax && !w.idle() {
		return nil // the next batch says what is synced
	}
	w.unmarked = 0
	return w.log.mark()
}

func (w *Writer) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue) == 0
}

func (w *Writer) fail(err error) {
	w.mu.Lock()
	w.failed = true
	w.queue = nil
	w.notFull.Broadcast()
	w.mu.Unlock()
	if !errors.Is(err, kv.ErrStopped) {
		w.logger.Error("raft log: write failed", "error", err)
	}
	w.fatal(err)
}
