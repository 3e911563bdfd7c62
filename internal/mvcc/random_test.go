package mvcc

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/engine/memory"
	"github.com/miruvor/miruvor/internal/engine/pebble"
	"github.com/miruvor/miruvor/internal/kv"
)

const testShard kv.ShardID = 7

// TestRandomTransactions runs random transactions against the model, while
// proposals are numbered and applied at random moments after they were made.
func TestRandomTransactions(t *testing.T) {
	seeds := 300
	if testing.Short() {
		seeds = 50
	}
	for seed := range seeds {
		newLeader(t, uint64(seed), memory.New()).run(60)
	}
}

// TestRandomTransactionsOnPebble does it on the engine of real use, whose
// tables and filters know of the shape of keys.
func TestRandomTransactionsOnPebble(t *testing.T) {
	if testing.Short() {
		t.Skip("opens a database for each seed")
	}
	for seed := range 10 {
		e, err := pebble.Open("", pebble.Options{FS: vfs.NewMem(), CacheBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		newLeader(t, uint64(seed), e).run(300)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// leader does what package replica does around an overlay.
type leader struct {
	t       *testing.T
	gen     generator
	model   *model
	engine  engine.Engine
	overlay *Overlay
	seq     uint64
	// flight is the proposals not yet applied, numbered of them have their
	// revision.
	flight   []*flying
	numbered int
	// current is the highest revision that was numbered.
	current kv.Revision
	// numbers is every number ever given.
	numbers map[uint64]kv.Revision
	recent  *Recent
}

type flying struct {
	seq  uint64
	eval Evaluation
	want kv.TxnResponse
	req  *kv.TxnRequest
}

func newLeader(t *testing.T, seed uint64, e engine.Engine) *leader {
	t.Helper()
	t.Logf("seed %d", seed)
	return &leader{
		t: t, gen: generator{Rand: rand.New(rand.NewPCG(seed, 1))},
		model: newModel(), engine: e, overlay: NewOverlay(),
		current: kv.FirstRevision, numbers: map[uint64]kv.Revision{},
		// So little that it forgets all the time, and some values are too long.
		recent: NewRecent(RecentBounds{BytesMax: 4 * recentOverhead, ValueBytesMax: 2},
			kv.FirstRevision),
	}
}

func (l *leader) run(steps int) {
	for range steps {
		l.step()
		if l.gen.oneIn(20) {
			if err := l.engine.Flush(); err != nil {
				l.t.Fatal(err)
			}
		}
	}
	l.drain()
	l.checkHistory()
}

func (l *leader) step() {
	switch l.gen.IntN(9) {
	case 0, 1:
		l.number()
	case 2:
		l.apply()
	case 3:
		l.readAt()
		l.checkOverlap()
	case 4:
		if l.gen.oneIn(4) {
			l.lose()
		}
	default:
		l.propose(l.request())
	}
}

// request is random, and within the rules.
func (l *leader) request() *kv.TxnRequest {
	for {
		l.gen.current = l.model.current()
		req := l.gen.txn(2)
		if kv.DefaultLimits.CheckTxn(req) != nil {
			continue
		}
		// A revision between what is known and what is in flight exists in
		// the model, but not for the leader.
		known := !anyOp(req, func(op *kv.Op) bool {
			return op.Range != nil && op.Range.Revision > l.current &&
				op.Range.Revision <= l.model.current()
		})
		if known {
			return req
		}
	}
}

func (l *leader) propose(req *kv.TxnRequest) {
	seq := l.seq + 1
	eval, err := Evaluate(l.view(), req, Provisional(seq))
	if errors.Is(err, ErrPending) {
		for l.numbered < len(l.flight) {
			l.number()
		}
		eval, err = Evaluate(l.view(), req, Provisional(seq))
	}
	before := l.model.current()
	want, wantErr := l.model.txn(req)
	if !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
		l.t.Fatalf("%s: error %v, want %v", show(req), err, wantErr)
	}
	if err != nil {
		return
	}
	wrote := l.model.current() > before
	if wrote != (len(eval.Writes) > 0) {
		l.t.Fatalf("%s: wrote %v, want %v", show(req), eval.Writes, wrote)
	}
	f := &flying{seq: seq, eval: eval, want: want, req: req}
	if !wrote {
		l.compare(f, before)
		return
	}
	l.seq = seq
	l.overlay.Add(seq, Provisional(seq), eval.Writes)
	l.flight = append(l.flight, f)
}

func (l *leader) view() View {
	return View{
		Reader: l.engine, Recent: l.recent, Overlay: l.overlay, Current: l.current,
	}
}

// number numbers the next proposal.
func (l *leader) number() {
	if l.numbered == len(l.flight) {
		return
	}
	l.current++
	seq := l.flight[l.numbered].seq
	l.numbers[seq] = l.current
	l.overlay.Number(seq, l.current)
	l.numbered++
	if l.gen.oneIn(2) {
		for _, f := range l.flight {
			f.eval.Resolve(l.lookup)
		}
	}
}

func (l *leader) lookup(seq uint64) (kv.Revision, bool) {
	rev, known := l.numbers[seq]
	return rev, known
}

// apply applies the oldest proposal, as it comes out of the log.
func (l *leader) apply() {
	if l.numbered == 0 {
		return
	}
	f := l.flight[0]
	rev := l.numbers[f.seq]
	f.eval.Resolve(l.lookup)
	l.compare(f, rev)
	writes, rest, err := DecodeWrites(AppendWrites(nil, f.eval.Writes))
	if err != nil || len(rest) != 0 {
		l.t.Fatalf("decoding: %v, %d bytes left", err, len(rest))
	}
	b := l.engine.NewBatch()
	if err := Apply(b, l.recent, testShard, rev, writes); err != nil {
		l.t.Fatal(err)
	}
	if l.gen.oneIn(2) {
		l.readAt() // which must not remember what the engine does not have yet
	}
	if err := b.Commit(); err != nil {
		l.t.Fatal(err)
	}
	l.recent.Settle(rev)
	l.overlay.Done(f.seq)
	l.flight, l.numbered = l.flight[1:], l.numbered-1
}

// compare holds an answer against the model's. What it read may have been
// numbered only later.
func (l *leader) compare(f *flying, rev kv.Revision) {
	f.eval.Resolve(func(seq uint64) (kv.Revision, bool) {
		if rev, known := l.numbers[seq]; known {
			return rev, true
		}
		// Here the order of proposals is that of revisions, without gaps.
		i := slices.IndexFunc(l.flight, func(f *flying) bool { return f.seq == seq })
		return l.current + kv.Revision(i-l.numbered) + 1, true
	})
	f.eval.SetRevision(rev)
	if got := f.eval.Response; !reflect.DeepEqual(normal(got), normal(f.want)) {
		l.t.Fatalf("%s:\ngot  %s\nwant %s", show(f.req), show(got), show(f.want))
	}
}

// lose drops what is not numbered, as a leader does that lost its place. It
// never happened.
func (l *leader) lose() {
	if l.numbered == len(l.flight) {
		return
	}
	l.overlay.DropFrom(l.flight[l.numbered].seq)
	l.flight = l.flight[:l.numbered]
	l.model.states = l.model.states[:l.current+1]
	if l.overlay.Len() != len(l.flight) {
		l.t.Fatalf("%d proposals are left, want %d", l.overlay.Len(), len(l.flight))
	}
}

// checkOverlap looks for the last overlap the slow way.
func (l *leader) checkOverlap() {
	keys, at := l.gen.keys(), 1+kv.Revision(l.gen.Int64N(int64(l.current)+1))
	want := uint64(0)
	for _, f := range l.flight {
		rev, known := l.numbers[f.seq]
		touches := slices.ContainsFunc(f.eval.Writes, func(w Write) bool {
			return keys.Contains(w.Key)
		})
		if touches && (!known || rev <= at) {
			want = f.seq
		}
	}
	got, found := l.overlay.LastOverlap(keys, at)
	if got != want || found != (want != 0) {
		l.t.Fatalf("last overlap with %v at %v is %d, want %d", keys, at, got, want)
	}
}

func (l *leader) drain() {
	for len(l.flight) > 0 {
		l.number()
		l.apply()
	}
	if l.overlay.Len() != 0 || l.overlay.chains.Len() != 0 {
		l.t.Fatalf("the overlay still holds %d proposals, %d keys",
			l.overlay.Len(), l.overlay.chains.Len())
	}
}

// readAt reads a past state, from the engine and what is numbered above it.
func (l *leader) readAt() {
	l.gen.current = l.current
	req := l.gen.read()
	req.Revision = 0
	at := 1 + kv.Revision(l.gen.Int64N(int64(l.current)))
	v := l.view()
	v.At = at
	got, err := v.Range(*req)
	if err != nil {
		l.t.Fatal(err)
	}
	want := read(l.model.states[at], req)
	want.Revision = at
	if !reflect.DeepEqual(normalRange(&got), normalRange(&want)) {
		l.t.Fatalf("%s at %v:\ngot  %s\nwant %s", show(req), at, show(got), show(want))
	}
}

// checkHistory holds the history against the differences between the model's
// states, and has Check look at what was stored.
func (l *leader) checkHistory() {
	type change struct {
		rev kv.Revision
		key string
	}
	want := map[change]bool{}
	for rev := kv.Revision(2); rev <= l.model.current(); rev++ {
		for _, v := range l.model.states[rev] {
			if v.ModRevision == rev {
				want[change{rev, string(v.Key)}] = false
			}
		}
		for _, v := range l.model.states[rev-1] {
			if len(find(l.model.states[rev], kv.PointRange(v.Key))) == 0 {
				want[change{rev, string(v.Key)}] = true
			}
		}
	}
	last := kv.Revision(0)
	for event, err := range History(l.engine, testShard, 0, 0) {
		if err != nil {
			l.t.Fatal(err)
		}
		c := change{event.Revision, string(event.KV.Key)}
		deleted, known := want[c]
		if !known || deleted != event.Deleted || event.Revision < last {
			l.t.Fatalf("unexpected event %+v", event)
		}
		last = event.Revision
		delete(want, c)
		l.checkEvent(event)
	}
	if len(want) > 0 {
		l.t.Fatalf("the history lacks %v", want)
	}
	for problem, err := range Check(l.engine, testShard, kv.Range{}, 0) {
		l.t.Fatal(problem, err)
	}
}

func (l *leader) checkEvent(event Event) {
	if event.Deleted {
		if event.KV.Version != 0 || len(event.KV.Value) != 0 {
			l.t.Fatalf("a deletion with a value: %+v", event)
		}
		return
	}
	want := find(l.model.states[event.Revision], kv.PointRange(event.KV.Key))[0]
	if show(want) != show(event.KV) {
		l.t.Fatalf("event %s, want %s", show(event.KV), show(want))
	}
}

// normal makes answers comparable: no slice is nil.
func normal(resp kv.TxnResponse) kv.TxnResponse {
	results := make([]kv.Result, 0, len(resp.Results))
	for _, r := range resp.Results {
		switch {
		case r.Range != nil:
			r.Range = normalRange(r.Range)
		case r.Put != nil && r.Put.Prev != nil:
			prev := normalKV(*r.Put.Prev)
			r.Put = &kv.PutResponse{Version: r.Put.Version, Prev: &prev}
		case r.Delete != nil:
			r.Delete = &kv.DeleteResponse{
				Deleted: r.Delete.Deleted, Prev: normalKVs(r.Delete.Prev),
			}
		case r.Txn != nil:
			nested := normal(*r.Txn)
			r.Txn = &nested
		}
		results = append(results, r)
	}
	resp.Results = results
	return resp
}

func normalRange(resp *kv.RangeResponse) *kv.RangeResponse {
	out := *resp
	out.KVs = normalKVs(resp.KVs)
	return &out
}

func normalKVs(kvs []kv.KeyValue) []kv.KeyValue {
	out := make([]kv.KeyValue, 0, len(kvs))
	for _, v := range kvs {
		out = append(out, normalKV(v))
	}
	return out
}

func normalKV(v kv.KeyValue) kv.KeyValue {
	v.Value = append([]byte{}, v.Value...)
	return v
}

// show prints a request or an answer with all that it points to.
func show(v any) string {
	var out bytes.Buffer
	showValue(&out, reflect.ValueOf(v))
	return out.String()
}

func showValue(out *bytes.Buffer, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			out.WriteString("-")
			return
		}
		showValue(out, v.Elem())
	case reflect.Struct:
		out.WriteString("{")
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				fmt.Fprintf(out, "%s:", v.Type().Field(i).Name)
				showValue(out, v.Field(i))
				out.WriteString(" ")
			}
		}
		out.WriteString("}")
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			fmt.Fprintf(out, "%q", v.Bytes())
			return
		}
		out.WriteString("[")
		for i := range v.Len() {
			showValue(out, v.Index(i))
			out.WriteString(" ")
		}
		out.WriteString("]")
	default:
		fmt.Fprintf(out, "%v", v)
	}
}
