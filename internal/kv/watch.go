package kv

import "context"

// WatchID names a watch inside its stream. Ids count from 1.
type WatchID int64

// WatchRequest asks for all changes of a range of keys.
type WatchRequest struct {
	Range
	// From is the first revision to deliver, all of it. 0 means everything
	// after the watch began. A revision that is not reached yet is waited
	// for, and nothing earlier is delivered.
	From Revision
	// PrevKV asks for the version before each event, as far as compaction
	// left it.
	PrevKV bool
	// NoPut and NoDelete leave out events.
	NoPut, NoDelete bool
}

// Event is one change of one key.
type Event struct {
	// KV is the version written. Of a deletion only Key and ModRevision are
	// set.
	KV KeyValue
	// Prev is the version before, if it was asked for, existed and is not
	// compacted.
	Prev    *KeyValue
	Deleted bool
}

// WatchResponse is what a watch has to tell.
type WatchResponse struct {
	// ID is the watch that it is of. 0 is the answer to Progress: it is of
	// all watches of the stream.
	ID WatchID
	// Revision is a watermark: every event of the watch up to and including
	// it was delivered, with this response at the latest.
	Revision Revision
	// Events are in the order in which they happened: by revision, and within
	// one in the order of the transaction's operations. All events of a
	// revision are in one response. There may be none.
	Events []Event
	// Compacted is not 0 if the watch ended, because it asked for what is
	// compacted: the oldest revision that can still be watched from. Nothing
	// of the watch follows.
	Compacted Revision
}

// WatchStream carries any number of watches to one receiver. Next is for one
// goroutine at a time; the other methods may be called at any time from any.
type WatchStream interface {
	// Add begins a watch: what is written after it returned is delivered.
	// With From 0 it waits until the current revision is known. It returns
	// ErrInvalid, ErrTooManyRequests if the stream or the node has too many,
	// ErrTimeout if there is no leader, and ErrStopped.
	Add(req WatchRequest) (WatchID, error)
	// Remove ends a watch; nothing of it is delivered after Remove returned.
	// An id that is not there is ignored.
	Remove(id WatchID)
	// Progress asks for one response with ID 0 and no events, once all
	// watches that the stream has now have delivered everything up to a
	// revision that was current after the call.
	Progress()
	// Next blocks for the next response. A receiver that is slow loses
	// nothing: what does not fit into the stream's bounded queue is read
	// again from the history. It returns ctx's error, or ErrStopped once the
	// stream is closed or the node stops. What is there already may be returned
	// although ctx has ended. The response must not be modified: others are told
	// of the same events.
	Next(ctx context.Context) (WatchResponse, error)
	// Close ends all watches and wakes Next.
	Close()
}
