package kvjson

import (
	"strconv"

	"github.com/miruvor/miruvor/internal/kv"
)

// Message is what a watch says, one of
//
//	{"revision":7,"events":[…]}   all changes of a revision
//	{"revision":9}                progress: everything up to 9 was said
//	{"compacted":5}               the end: the oldest that can be watched from
//	{"error":{…}}                 the end: a problem document
//	{}                            nothing, but the connection lives
type Message struct {
	Revision  kv.Revision `json:"revision"`
	Events    []Event     `json:"events"`
	Compacted kv.Revision `json:"compacted"`
	Error     *Problem    `json:"error"`
}

// The types of an Event.
const (
	putEvent    = "put"
	deleteEvent = "delete"
)

// Event is a kv.Event as JSON: a KeyValue with a type, and the version before
// if that was asked for.
//
//	{"type":"put","key":"a","value":"1","create_revision":2,"mod_revision":2,"version":1}
//	{"type":"delete","key":"a","mod_revision":3,"prev":{…}}
type Event struct {
	Type string `json:"type"`
	KeyValue
	Prev *KeyValue `json:"prev"`
}

// Decode is the event that j stands for.
func (j *Event) Decode() (kv.Event, error) {
	var event kv.Event
	var err error
	switch j.Type {
	case putEvent:
	case deleteEvent:
		event.Deleted = true
	default:
		return event, kv.Invalid("type is %q, it must be put or delete", j.Type)
	}
	if event.KV, err = j.KeyValue.Decode(); err != nil {
		return event, err
	}
	if j.Prev != nil {
		prev, err := j.Prev.Decode()
		if err != nil {
			return event, err
		}
		event.Prev = &prev
	}
	return event, nil
}

// AppendEvent appends the JSON of event to dst.
func AppendEvent(dst []byte, event *kv.Event) []byte {
	if event.Deleted {
		dst = appendField(append(dst, `{"type":"delete",`...), "key", event.KV.Key)
		dst = append(dst, `,"mod_revision":`...)
		dst = strconv.AppendInt(dst, int64(event.KV.ModRevision), 10)
	} else {
		dst = appendPair(append(dst, `{"type":"put",`...), &event.KV, false)
	}
	if event.Prev != nil {
		dst = AppendKeyValue(append(dst, `,"prev":`...), event.Prev, false)
	}
	return append(dst, '}')
}

// AppendChanges appends the message that tells the events of a revision.
func AppendChanges(dst []byte, revision kv.Revision, events []kv.Event) []byte {
	dst = append(dst, `{"revision":`...)
	dst = strconv.AppendInt(dst, int64(revision), 10)
	dst = append(dst, `,"events":[`...)
	for i := range events {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendEvent(dst, &events[i])
	}
	return append(dst, "]}"...)
}

// AppendProgress appends the message that everything up to revision was said.
func AppendProgress(dst []byte, revision kv.Revision) []byte {
	dst = append(dst, `{"revision":`...)
	return append(strconv.AppendInt(dst, int64(revision), 10), '}')
}

// AppendCompacted appends the message that ends a watch from before oldest.
func AppendCompacted(dst []byte, oldest kv.Revision) []byte {
	dst = append(dst, `{"compacted":`...)
	return append(strconv.AppendInt(dst, int64(oldest), 10), '}')
}

// Decode is the answer that m stands for, with no watch's id. A message that
// says nothing gives the zero answer; an error is not looked at.
func (m *Message) Decode() (kv.WatchResponse, error) {
	resp := kv.WatchResponse{Revision: m.Revision, Compacted: m.Compacted}
	if len(m.Events) == 0 {
		return resp, nil
	}
	resp.Events = make([]kv.Event, len(m.Events))
	for i := range m.Events {
		var err error
		if resp.Events[i], err = m.Events[i].Decode(); err != nil {
			return resp, err
		}
	}
	return resp, nil
}
