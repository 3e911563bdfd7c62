package backup_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miruvor/miruvor/internal/backup"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// contents is all that a backup gave.
type contents struct {
	header backup.Header
	keys   []kv.KeyValue
	leases []kv.Lease
}

func (c *contents) sink() backup.Sink {
	return backup.Sink{
		Begin: func(h backup.Header) error {
			c.header = h
			return nil
		},
		Key: func(k *kv.KeyValue) error {
			held := *k
			held.Key, held.Value = bytes.Clone(k.Key), append([]byte{}, k.Value...)
			c.keys = append(c.keys, held)
			return nil
		},
		Lease: func(l *kv.Lease) error {
			c.leases = append(c.leases, *l)
			return nil
		},
	}
}

func put(t *testing.T, s kv.Store, key, value string, lease kv.LeaseID) {
	t.Helper()
	_, err := kv.Put(t.Context(), s, kv.PutRequest{
		Key: []byte(key), Value: []byte(value), Lease: lease,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func grant(t *testing.T, s kv.Store, id kv.LeaseID, ttl int64) {
	t.Helper()
	if _, err := s.LeaseGrant(t.Context(), kv.LeaseGrantRequest{ID: id, TTL: ttl}); err != nil {
		t.Fatal(err)
	}
}

// fill makes a store that has some of everything.
func fill(t *testing.T, s kv.Store, keys int) {
	t.Helper()
	grant(t, s, 7, 60)
	grant(t, s, 1<<40, 9000)
	for i := range keys {
		put(t, s, fmt.Sprintf("k%05d", i), strings.Repeat("v", i%300), 0)
	}
	put(t, s, "k00001", "again", 7)
	put(t, s, "a\x00b", "", 0)
	put(t, s, "\xff", "last", 7)
	put(t, s, "gone", "soon", 0)
	_, err := kv.Delete(t.Context(), s, kv.DeleteRequest{Range: kv.PointRange([]byte("gone"))})
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, s kv.Store, opts backup.Options) ([]byte, backup.Summary) {
	t.Helper()
	var out bytes.Buffer
	sum, err := backup.Write(t.Context(), s, &out, opts)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), sum
}

var taken = time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)

func TestWhatIsWrittenIsRead(t *testing.T) {
	store := kvfake.New()
	fill(t, store, 500)
	want, err := store.Range(t.Context(), kv.RangeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []int{1, 1000, 0} {
		file, wrote := write(t, store, backup.Options{PageBytes: page, Time: taken})
		var got contents
		read, err := backup.Read("f", bytes.NewReader(file), got.sink())
		if err != nil {
			t.Fatal(err)
		}
		if read != wrote {
			t.Errorf("written %+v, read %+v", wrote, read)
		}
		if wrote.Revision != want.Revision || wrote.Keys != int64(len(want.KVs)) ||
			wrote.Leases != 2 || !wrote.Time.Equal(taken) {
			t.Errorf("summary %+v of %d keys at %v", wrote, len(want.KVs), want.Revision)
		}
		if !reflect.DeepEqual(normal(got.keys), normal(want.KVs)) {
			t.Errorf("pages of %d bytes: the keys differ", page)
		}
		if got.leases[0].ID != 7 || got.leases[0].Granted != 60 || got.leases[0].TTL > 60 ||
			got.leases[1].ID != 1<<40 || got.leases[1].Granted != 9000 {
			t.Errorf("leases %+v", got.leases)
		}
	}
}

// normal makes empty values equal.
func normal(list []kv.KeyValue) []kv.KeyValue {
	for i := range list {
		list[i].Value = append([]byte{}, list[i].Value...)
	}
	return list
}

// etcdctl takes a snapshot whose size modulo 512 is 32, with its SHA-256 at
// the end.
func TestTheFileLooksAsEtcdctlExpects(t *testing.T) {
	for keys := range 40 {
		store := kvfake.New()
		fill(t, store, keys*13)
		file, sum := write(t, store, backup.Options{})
		if len(file)%512 != sha256.Size || sum.Bytes != int64(len(file)) {
			t.Errorf("%d bytes, said %d", len(file), sum.Bytes)
		}
		body := file[:len(file)-sha256.Size]
		if want := sha256.Sum256(body); !bytes.Equal(file[len(body):], want[:]) ||
			sum.Checksum != want {
			t.Errorf("ends in %x, want %x", file[len(body):], want)
		}
	}
}

func TestAnEmptyStore(t *testing.T) {
	file, sum := write(t, kvfake.New(), backup.Options{})
	if _, err := backup.Read("f", bytes.NewReader(file), backup.Sink{}); err != nil {
		t.Fatal(err)
	}
	if sum.Keys != 0 || sum.Leases != 0 || sum.Revision != kv.FirstRevision {
		t.Errorf("%+v", sum)
	}
}

// flaky fails the n'th request as fail says. Reads are counted together, and
// those of a lease from 2 on.
type flaky struct {
	kv.Store
	fail func(n int) error

	mu     sync.Mutex
	counts map[kv.LeaseID]int
}

func (f *flaky) failure(id kv.LeaseID, first int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts == nil {
		f.counts = map[kv.LeaseID]int{}
	}
	n := first + f.counts[id]
	f.counts[id]++
	return f.fail(n)
}

func (f *flaky) Range(ctx context.Context, req kv.RangeRequest) (kv.RangeResponse, error) {
	if err := f.failure(0, 1); err != nil {
		return kv.RangeResponse{}, err
	}
	return f.Store.Range(ctx, req)
}

func (f *flaky) LeaseTimeToLive(
	ctx context.Context, id kv.LeaseID, keys bool,
) (kv.Lease, error) {
	if err := f.failure(id, 2); err != nil {
		return kv.Lease{}, err
	}
	return f.Store.LeaseTimeToLive(ctx, id, keys)
}

func TestWhatFailsForTheMomentIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvfake.New()
		fill(t, store, 100)
		take := func(fail func(n int) error) error {
			var out bytes.Buffer
			_, err := backup.Write(t.Context(), &flaky{Store: store, fail: fail}, &out,
				backup.Options{PageBytes: 500})
			if err == nil {
				_, err = backup.Read("f", &out, backup.Sink{})
			}
			return err
		}
		if err := take(func(n int) error {
			if n%4 != 1 {
				return kv.ErrNoLeader
			}
			return nil
		}); err != nil {
			t.Errorf("three failures in a row: %v", err)
		}
		for _, test := range []struct {
			from int
			err  error
			took time.Duration
		}{
			{1, kv.ErrNoLeader, 0},
			{2, kv.ErrNoLeader, 4400 * time.Millisecond},
			{2, kv.ErrCompacted, 0},
			{2, kv.ErrStopped, 0},
		} {
			begin := time.Now()
			err := take(func(n int) error {
				if n >= test.from {
					return test.err
				}
				return nil
			})
			if took := time.Since(begin); !errors.Is(err, test.err) || took != test.took {
				t.Errorf("from request %d on: %v after %v", test.from, err, took)
			}
		}
	})
}

func TestABackupIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvfake.New()
		fill(t, store, 100)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		failing := &flaky{Store: store, fail: func(n int) error {
			if n > 1 {
				return kv.ErrNoLeader
			}
			return nil
		}}
		_, err := backup.Write(ctx, failing, io.Discard, backup.Options{PageBytes: 500})
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, kv.ErrNoLeader) {
			t.Errorf("%v", err)
		}
	})
}

// between calls do after each page.
type between struct {
	kv.Store
	do func(page int)
	n  int
}

func (b *between) Range(
	ctx context.Context, req kv.RangeRequest,
) (kv.RangeResponse, error) {
	resp, err := b.Store.Range(ctx, req)
	b.n++
	b.do(b.n)
	return resp, err
}

func TestWritesMeanwhileAreNotInIt(t *testing.T) {
	store := kvfake.New()
	fill(t, store, 300)
	want, err := store.Range(t.Context(), kv.RangeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	file, sum := write(t, &between{Store: store, do: func(n int) {
		put(t, store, fmt.Sprintf("k%05d", n*7%300), "later", 0)
		put(t, store, fmt.Sprintf("m%05d", n), "later", 0)
	}}, backup.Options{PageBytes: 500})
	var got contents
	if _, err := backup.Read("f", bytes.NewReader(file), got.sink()); err != nil {
		t.Fatal(err)
	}
	if sum.Revision != want.Revision || !reflect.DeepEqual(normal(got.keys), normal(want.KVs)) {
		t.Errorf("%d keys at %v, want %d at %v", len(got.keys), sum.Revision,
			len(want.KVs), want.Revision)
	}
}

func TestALeaseThatEndsMeanwhileEndsSoonAfterARestore(t *testing.T) {
	store := kvfake.New()
	fill(t, store, 300)
	grant(t, store, 9, 50) // has no keys: it may go
	file, _ := write(t, &between{Store: store, do: func(n int) {
		if n != 3 {
			return
		}
		for _, id := range []kv.LeaseID{7, 9} {
			if _, err := store.LeaseRevoke(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
	}}, backup.Options{PageBytes: 500})
	var got contents
	if _, err := backup.Read("f", bytes.NewReader(file), got.sink()); err != nil {
		t.Fatal(err)
	}
	// The page with k00001, which hangs on the lease, was read before.
	want := kv.Lease{ID: 7, Granted: kv.LeaseTTLMin}
	if len(got.leases) != 2 || !reflect.DeepEqual(got.leases[0], want) ||
		got.leases[1].ID != 1<<40 {
		t.Errorf("leases %+v", got.leases)
	}
}

func TestACompactionOvertakesABackup(t *testing.T) {
	store := kvfake.New()
	fill(t, store, 300)
	var out bytes.Buffer
	_, err := backup.Write(t.Context(), &between{Store: store, do: func(n int) {
		if n == 2 {
			put(t, store, "k", "", 0)
			resp, err := store.Range(t.Context(), kv.RangeRequest{Limit: 1})
			if err == nil {
				_, err = store.Compact(t.Context(), resp.Revision)
			}
			if err != nil {
				t.Error(err)
			}
		}
	}}, &out, backup.Options{PageBytes: 500})
	if !errors.Is(err, kv.ErrCompacted) || !strings.Contains(err.Error(), "was compacted beyond") {
		t.Errorf("%v", err)
	}
	if _, err := backup.Read("f", &out, backup.Sink{}); !errors.Is(err, kv.ErrCorrupt) {
		t.Errorf("half a backup is taken: %v", err)
	}
}

func TestProgress(t *testing.T) {
	store := kvfake.New()
	fill(t, store, 300)
	var last backup.Progress
	file, sum := write(t, store, backup.Options{PageBytes: 1000, Progress: func(p backup.Progress) {
		if p.Keys <= last.Keys || p.Bytes <= last.Bytes {
			t.Errorf("%+v after %+v", p, last)
		}
		last = p
	}})
	if last.Keys != sum.Keys || last.Total != sum.Keys {
		t.Errorf("at last %+v of %d keys", last, sum.Keys)
	}
	var read int64
	_, err := backup.Read("f", bytes.NewReader(file),
		backup.Sink{Progress: func(n int64) { read = n }})
	if err != nil || read != int64(len(file))-sha256.Size {
		t.Errorf("read %d of %d: %v", read, len(file), err)
	}
}

// failing fails after n bytes.
type failing struct{ n int }

func (f *failing) Write(p []byte) (int, error) {
	f.n -= len(p)
	if f.n < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestAWriterThatFails(t *testing.T) {
	store := kvfake.New()
	fill(t, store, 10)
	_, sum := write(t, store, backup.Options{})
	for n := range int(sum.Bytes) {
		_, err := backup.Write(t.Context(), store, &failing{n}, backup.Options{})
		if !errors.Is(err, io.ErrShortWrite) {
			t.Fatalf("fails after %d bytes: %v", n, err)
		}
	}
}

func TestASinkThatFails(t *testing.T) {
	store := kvfake.New()
	fill(t, store, 10)
	file, _ := write(t, store, backup.Options{})
	stop := errors.New("stop")
	for _, sink := range []backup.Sink{
		{Begin: func(backup.Header) error { return stop }},
		{Key: func(*kv.KeyValue) error { return stop }},
		{Lease: func(*kv.Lease) error { return stop }},
	} {
		if _, err := backup.Read("f", bytes.NewReader(file), sink); !errors.Is(err, stop) {
			t.Errorf("%v", err)
		}
	}
}

// Whatever happens to a file, it is refused with the offset.
func TestDamageIsRefused(t *testing.T) {
	store := kvfake.New()
	fill(t, store, 100)
	whole, _ := write(t, store, backup.Options{})
	refused := func(what string, file []byte) {
		t.Helper()
		_, err := backup.Read("the-file", bytes.NewReader(file), backup.Sink{})
		if !errors.Is(err, kv.ErrCorrupt) && !errors.Is(err, kv.ErrInvalid) {
			t.Fatalf("%s: %v", what, err)
		}
		if errors.Is(err, kv.ErrCorrupt) && !strings.Contains(err.Error(), "the-file: offset ") {
			t.Fatalf("%s: it does not say where: %v", what, err)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for at := range whole {
		file := bytes.Clone(whole)
		file[at] ^= byte(1 + rng.IntN(255))
		refused(fmt.Sprintf("byte %d changed", at), file)
	}
	for at := range whole {
		refused(fmt.Sprintf("cut at %d", at), whole[:at])
	}
	for range 200 {
		at, n := rng.IntN(len(whole)), 1+rng.IntN(600)
		refused(fmt.Sprintf("%d bytes gone at %d", n, at),
			append(bytes.Clone(whole[:at]), whole[min(at+n, len(whole)):]...))
		refused(fmt.Sprintf("%d zeros at %d", n, at),
			append(append(bytes.Clone(whole[:at]), make([]byte, n)...), whole[at:]...))
	}
	refused("twice", append(bytes.Clone(whole), whole...))
}

// A block's largest key and value fit, whatever stands before them.
func TestTheLargestRecords(t *testing.T) {
	limits := kv.DefaultLimits
	limits.RequestBytesMax = 16 << 20
	store := kvfake.New(kvfake.WithLimits(limits))
	put(t, store, "a", strings.Repeat("x", 1<<20-100), 0)
	put(t, store, strings.Repeat("k", 64<<10), strings.Repeat("y", 15<<20), 0)
	file, _ := write(t, store, backup.Options{})
	if _, err := backup.Read("f", bytes.NewReader(file), backup.Sink{}); err != nil {
		t.Error(err)
	}
}

// endless says that there is more, and tells nothing of it.
type endless struct{ kv.Store }

func (e endless) Range(
	ctx context.Context, req kv.RangeRequest,
) (kv.RangeResponse, error) {
	resp, err := e.Store.Range(ctx, req)
	resp.KVs, resp.More = nil, true
	return resp, err
}

// What ends before the store does is no backup.
func TestWriteNothingOfMore(t *testing.T) {
	var file bytes.Buffer
	_, err := backup.Write(t.Context(), endless{kvfake.New()}, &file, backup.Options{})
	if !errors.Is(err, kv.ErrCorrupt) {
		t.Errorf("it was written: %v", err)
	}
}
