package mvcc

import (
	"fmt"
	"testing"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/engine/memory"
	"github.com/miruvor/miruvor/internal/kv"
)

func benchKey(i int) []byte { return fmt.Appendf(nil, "/registry/pods/default/nginx-%06d", i) }

// benchEngine holds keys 0 to n-1, each with so many versions.
func benchEngine(b *testing.B, n, versions int) (engine.Engine, kv.Revision) {
	e := memory.New()
	rev := kv.FirstRevision
	for i := range n {
		create := rev + 1
		for v := range versions {
			rev++
			batch := e.NewBatch()
			w := Write{
				Key: benchKey(i), Value: make([]byte, 256), Create: create, Version: int64(v + 1),
			}
			if err := Apply(batch, nil, testShard, rev, []Write{w}); err != nil {
				b.Fatal(err)
			}
			if err := batch.Commit(); err != nil {
				b.Fatal(err)
			}
		}
	}
	return e, rev
}

func putOf(key []byte) *kv.TxnRequest {
	put := &kv.PutRequest{Key: key, Value: make([]byte, 256)}
	return &kv.TxnRequest{Success: []kv.Op{{Put: put}}}
}

func BenchmarkEvaluatePut(b *testing.B) {
	e, rev := benchEngine(b, 10_000, 1)
	for _, c := range []struct {
		name string
		key  int
	}{{"Overlay", 77}, {"Engine", 78}, {"Miss", 10_001}} {
		b.Run(c.name, func(b *testing.B) {
			o := NewOverlay()
			for i := range 500 {
				own := Provisional(uint64(i + 1))
				o.Add(uint64(i+1), own, []Write{{Key: benchKey(i * 11), Create: own, Version: 1}})
			}
			req := putOf(benchKey(c.key))
			v := View{Reader: e, Overlay: o, Current: rev}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Evaluate(v, req, Provisional(501)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEvaluateCAS is what Kubernetes does all day.
func BenchmarkEvaluateCAS(b *testing.B) {
	e, rev := benchEngine(b, 10_000, 1)
	req := putOf(benchKey(78))
	req.Compares = []kv.Compare{{Key: benchKey(78), Target: kv.CompareMod, Number: 80}}
	v := View{Reader: e, Overlay: NewOverlay(), Current: rev}
	b.ReportAllocs()
	for b.Loop() {
		eval, err := Evaluate(v, req, Provisional(501))
		if err != nil || !eval.Response.Succeeded {
			b.Fatal(eval, err)
		}
	}
}

// BenchmarkOverlay is a proposal's way through the overlay.
func BenchmarkOverlay(b *testing.B) {
	o := NewOverlay()
	writes := make([][]Write, 1024)
	for i := range writes {
		writes[i] = []Write{{Key: benchKey(i)}}
	}
	seq := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		seq++
		ws := writes[seq%1024]
		ws[0].Create = Provisional(seq)
		o.Add(seq, Provisional(seq), ws)
		o.Number(seq, kv.Revision(seq+1))
		if seq > 256 {
			o.Done(seq - 256)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	e, rev := benchEngine(b, 10_000, 1)
	v := View{Reader: e, At: rev, Current: rev}
	req := kv.RangeRequest{Range: kv.PointRange(benchKey(78))}
	b.ReportAllocs()
	for b.Loop() {
		if resp, err := v.Range(req); err != nil || len(resp.KVs) != 1 {
			b.Fatal(resp, err)
		}
	}
}

func BenchmarkRange(b *testing.B) {
	for _, versions := range []int{1, 50} {
		e, rev := benchEngine(b, 1_000, versions)
		for _, limit := range []int{10, 0} {
			b.Run(fmt.Sprintf("versions=%d/limit=%d", versions, limit), func(b *testing.B) {
				v := View{Reader: e, At: rev, Current: rev}
				req := kv.RangeRequest{Limit: limit}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := v.Range(req); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkLastOverlap(b *testing.B) {
	o := NewOverlay()
	for i := range 1000 {
		own := Provisional(uint64(i + 1))
		o.Add(uint64(i+1), own, []Write{{Key: benchKey(i), Create: own, Version: 1}})
	}
	for _, c := range []struct {
		name string
		keys kv.Range
	}{
		{"Point", kv.PointRange(benchKey(500))},
		{"Narrow", kv.Range{Start: benchKey(100), End: benchKey(110)}},
		{"Everything", kv.Range{}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, found := o.LastOverlap(c.keys, 9); !found {
					b.Fatal("nothing found")
				}
			}
		})
	}
}

func BenchmarkApply(b *testing.B) {
	e := memory.New()
	writes := []Write{{Key: benchKey(1), Value: make([]byte, 256), Create: 2, Version: 1}}
	b.ReportAllocs()
	for b.Loop() {
		batch := e.NewBatch()
		if err := Apply(batch, nil, testShard, 2, writes); err != nil {
			b.Fatal(err)
		}
		if err := batch.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
