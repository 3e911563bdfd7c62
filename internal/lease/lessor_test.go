package lease

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// TestStories plays testdata/*.txt. Times are seconds from the start of the
// story. The log applies a batch as soon as it is taken.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := &story{t: t, log: map[kv.LeaseID]keyspace.LeaseRecord{}, term: 1}
		s.lessor.Lead(1)
		datadriven.RunTest(t, path, func(_ *testing.T, d *datadriven.TestData) string {
			s.d = d
			var out strings.Builder
			s.run(&out)
			if out.Len() == 0 {
				return "ok\n"
			}
			return out.String()
		})
	})
}

type story struct {
	t      *testing.T
	d      *datadriven.TestData
	lessor Lessor
	now    wire.Instant
	term   uint64
	log    map[kv.LeaseID]keyspace.LeaseRecord
}

func (s *story) run(out *strings.Builder) {
	l := &s.lessor
	switch s.d.Cmd {
	case "grant": // grant id ttl
		batch, err := l.Grant(s.now, s.id(0), s.number(1))
		if err != nil {
			fmt.Fprintln(out, err)
			return
		}
		fmt.Fprintf(out, "in batch %d\n", batch)
	case "renew", "attach", "revoke", "remove":
		s.change(out)
	case "wait": // wait 2.5: time passes, in steps of a tenth of a second
		s.wait(out)
	case "take":
		s.take(out)
	case "lead": // a new leader begins, with what the log has
		s.term++
		l.Lead(s.term)
		for id, r := range s.log {
			l.Load(s.now, id, &r)
		}
		fmt.Fprintf(out, "revoking %v\n", l.Revoking())
	case "show":
		for _, id := range l.IDs() {
			lease, _ := l.Lease(s.now, id)
			fmt.Fprintf(out, "%d: %d of %d seconds, shards %v, state %v\n", id, lease.TTL,
				lease.Granted, l.Shards(id), l.State(s.now, id))
		}
	case "stats":
		fmt.Fprintf(out, "%+v\n", l.Stats())
	default:
		s.d.Fatalf(s.t, "unknown command %s", s.d.Cmd)
	}
}

func (s *story) change(out *strings.Builder) {
	l, id := &s.lessor, s.id(0)
	if state := l.State(s.now, id); state == Unknown ||
		state == Ending && (s.d.Cmd == "renew" || s.d.Cmd == "attach") {
		fmt.Fprintf(out, "it is %v\n", state)
		return
	}
	var batch uint64
	switch s.d.Cmd {
	case "renew":
		batch = l.Renew(s.now, id)
	case "attach":
		batch = l.Attach(id, kv.ShardID(s.number(1)))
	case "revoke":
		batch = l.Revoke(s.now, id)
	case "remove":
		batch = l.Remove(id)
	}
	fmt.Fprintf(out, "in batch %d\n", batch)
}

func (s *story) wait(out *strings.Builder) {
	seconds, err := strconv.ParseFloat(s.d.CmdArgs[0].Key, 64)
	if err != nil {
		s.d.Fatalf(s.t, "%v", err)
	}
	const step = wire.Instant(100 * time.Millisecond)
	for end := s.now + wire.Instant(seconds*float64(time.Second)); s.now < end; {
		s.now += step
		if expired := s.lessor.Advance(s.now); len(expired) > 0 {
			fmt.Fprintf(out, "at %v expired %v\n", time.Duration(s.now), expired)
		}
		s.take(out)
	}
}

func (s *story) take(out *strings.Builder) {
	batch, changes := s.lessor.Take()
	for _, c := range changes {
		fmt.Fprintf(out, "at %v batch %d: ", time.Duration(s.now), batch)
		if c.Record == nil {
			delete(s.log, c.ID)
			fmt.Fprintf(out, "%d is gone\n", c.ID)
			continue
		}
		r := *c.Record
		s.log[c.ID] = r
		fmt.Fprintf(out, "%d life %d.%d ttl %d left %d shards %v revoking %v\n", c.ID, r.Life>>32,
			r.Life&0xffffffff, r.TTLSeconds, r.LeftMillis, r.Shards, r.Revoking)
	}
}

func (s *story) id(i int) kv.LeaseID { return kv.LeaseID(s.number(i)) }

func (s *story) number(i int) int64 {
	n, err := strconv.ParseInt(s.d.CmdArgs[i].Key, 10, 64)
	if err != nil {
		s.d.Fatalf(s.t, "%v", err)
	}
	return n
}

func (s State) String() string {
	return [...]string{"unknown", "alive", "ending"}[s]
}

// TestPromises lets leaders come and go at random, and holds what they do
// against what clients were promised: a lease whose renewal was answered lives
// for its time from then on, and one that nobody renews ends not much later.
func TestPromises(t *testing.T) {
	for seed := range uint64(30) {
		p := &promises{
			t: t, rng: rand.New(rand.NewPCG(seed, 3)), log: map[kv.LeaseID]keyspace.LeaseRecord{},
			until: map[kv.LeaseID]wire.Instant{}, latest: map[kv.LeaseID]wire.Instant{},
		}
		p.lead()
		for range 3000 {
			p.step()
		}
	}
}

type promises struct {
	t      *testing.T
	rng    *rand.Rand
	lessor Lessor
	now    wire.Instant
	term   uint64
	// log is what a new leader finds; applied is the last batch in it.
	log     map[kv.LeaseID]keyspace.LeaseRecord
	applied uint64
	// flight are the batches that are not in the log yet, answers those that
	// wait for one.
	flight  []flight
	answers []answer
	// until is what clients were told, latest when a lease must have ended.
	until, latest map[kv.LeaseID]wire.Instant
}

type flight struct {
	batch   uint64
	changes []Change
}

type answer struct {
	batch uint64
	id    kv.LeaseID
}

func (p *promises) lead() {
	p.term++
	p.lessor.Lead(p.term)
	p.flight, p.answers, p.applied = nil, nil, 0
	for id, r := range p.log {
		p.lessor.Load(p.now, id, &r)
		// The clock of a new leader begins anew, with what the log has.
		p.latest[id] = p.now + wire.Instant(r.LeftMillis)*wire.Instant(time.Millisecond) +
			wire.Instant(2*time.Second)
	}
	for _, id := range p.lessor.Revoking() {
		p.lessor.Remove(id)
	}
}

func (p *promises) step() {
	id := kv.LeaseID(1 + p.rng.IntN(4))
	switch n := p.rng.IntN(100); {
	case n < 2:
		p.lead()
	case n < 10:
		if batch, err := p.lessor.Grant(p.now, id, 2+p.rng.Int64N(30)); err == nil {
			p.promise(batch, id)
		} else if !errors.Is(err, kv.ErrLeaseExists) {
			p.t.Fatal(err)
		}
	case n < 30:
		if p.lessor.State(p.now, id) == Alive {
			p.promise(p.lessor.Renew(p.now, id), id)
		}
	case n < 60:
		p.now += wire.Instant(p.rng.Int64N(int64(time.Second)))
		for _, id := range p.lessor.Advance(p.now) {
			if p.now < p.until[id] {
				p.t.Fatalf("lease %d ends at %v, but is to live until %v", id,
					time.Duration(p.now), time.Duration(p.until[id]))
			}
			p.lessor.Remove(id)
		}
		p.overdue()
	case n < 80:
		if batch, changes := p.lessor.Take(); batch != 0 {
			p.flight = append(p.flight, flight{batch, changes})
		}
	default:
		p.apply()
	}
}

// promise answers now if nothing in flight keeps from it.
func (p *promises) promise(batch uint64, id kv.LeaseID) {
	ttl := wire.Instant(p.lessor.leases[id].ttl)
	p.latest[id] = p.now + ttl + wire.Instant(2*time.Second)
	p.answers = append(p.answers, answer{batch, id})
	p.answer()
}

func (p *promises) answer() {
	p.answers = slices.DeleteFunc(p.answers, func(a answer) bool {
		if a.batch > p.applied {
			return false
		}
		if p.lessor.State(p.now, a.id) == Alive {
			batch := p.lessor.Extend(p.now, a.id)
			ttl := wire.Instant(p.lessor.leases[a.id].ttl)
			p.latest[a.id] = p.now + ttl + wire.Instant(2*time.Second)
			if batch > p.applied {
				return false
			}
			p.until[a.id] = p.now + ttl
		}
		return true
	})
}

func (p *promises) apply() {
	if len(p.flight) == 0 {
		return
	}
	f := p.flight[0]
	p.flight = p.flight[1:]
	p.applied = f.batch
	for _, c := range f.changes {
		if c.Record == nil {
			delete(p.log, c.ID)
			delete(p.until, c.ID)
		} else {
			p.log[c.ID] = *c.Record
		}
	}
	p.answer()
}

func (p *promises) overdue() {
	for _, id := range p.lessor.IDs() {
		if p.lessor.State(p.now, id) == Alive && p.now > p.latest[id] {
			p.t.Fatalf("lease %d lives at %v, its time was up at %v", id,
				time.Duration(p.now), time.Duration(p.latest[id]))
		}
	}
}

// A lease that lives for ever has a deadline nevertheless, and arithmetic that
// does not wrap around.
func TestTheLongestLease(t *testing.T) {
	var l Lessor
	l.Lead(1)
	now := wire.Instant(300 * 24 * time.Hour)
	if _, err := l.Grant(now, 1, kv.LeaseTTLMax); err != nil {
		t.Fatal(err)
	}
	if lease, _ := l.Lease(now, 1); lease.Granted != kv.LeaseTTLMax || l.State(now, 1) != Alive {
		t.Errorf("%+v is %v", lease, l.State(now, 1))
	}
	if _, err := l.Grant(now, 2, kv.LeaseTTLMax+1); !errors.Is(err, kv.ErrLeaseTTLTooLarge) {
		t.Error(err)
	}
}

func BenchmarkRenew(b *testing.B) {
	b.ReportAllocs()
	var l Lessor
	l.Lead(1)
	for id := range kv.LeaseID(100_000) {
		if _, err := l.Grant(0, id+1, 60); err != nil {
			b.Fatal(err)
		}
	}
	l.Take()
	for i := 0; b.Loop(); i++ {
		l.Renew(1, kv.LeaseID(i%100_000+1))
	}
}
