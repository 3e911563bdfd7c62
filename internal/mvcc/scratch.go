package mvcc

import "sync"

// scratch holds buffers for keys and values on their way to the engine. They
// escape through its interface, so each call would allocate them anew.
type scratch struct {
	key, value []byte
	// budget is the call's.
	budget budget
}

// scratchBytesMax is the largest buffer that is kept for the next call.
const scratchBytesMax = 64 << 10

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func getScratch() *scratch {
	return scratches.Get().(*scratch)
}

func (s *scratch) release() {
	if cap(s.key) <= scratchBytesMax && cap(s.value) <= scratchBytesMax {
		scratches.Put(s)
	}
}
