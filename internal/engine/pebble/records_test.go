package pebble

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/record"
)

// records is what Pebble's own writer makes of records of up to 50 kB, and where
// each ends.
func records(t testing.TB, n int) (data []byte, ends []int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 3))
	var out bytes.Buffer
	w := record.NewWriter(&out)
	for range n {
		r, err := w.Next()
		noErr(t, err)
		payload := make([]byte, rng.IntN(50_000))
		for i := range payload {
			payload[i] = byte(rng.Uint32())
		}
		_, err = r.Write(payload)
		noErr(t, err)
		noErr(t, w.Flush())
		ends = append(ends, out.Len())
	}
	return out.Bytes(), ends
}
