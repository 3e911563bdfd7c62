package etcdtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// dice draws requests that are likely to meet: few keys, few leases,
// revisions around the current one.
type dice struct {
	*rand.Rand
	// at is the current revision, as far as it is known.
	at int64
}

// keys are few enough for etcd to sort them stably, which it does for up to
// twelve. Some are each other's neighbours or prefixes.
var keys = []string{"\x00", "a", "a\x00", "aa", "b", "b/1", "c", "d", "\xff", "\xff\xff"}

// Splits are keys at which to split the store under test, ascending, so that
// the scripts' ranges lie in up to eight shards.
func Splits() [][]byte {
	return [][]byte{
		[]byte("a"), []byte("aa"), []byte("b"), []byte("b0"), []byte("k5"), []byte("l"),
		[]byte("\xff\x00"),
	}
}

func (d *dice) chance(percent int) bool { return d.IntN(100) < percent }

func (d *dice) key() string { return keys[d.IntN(len(keys))] }

// keyRange is the fields of a range, often of one key.
func (d *dice) keyRange() string {
	key := d.key()
	out := fmt.Sprintf("key:%q", key)
	switch chance := d.IntN(20); {
	case chance < 9:
		return out
	case chance < 11:
		return out + fmt.Sprintf(" range_end:%q", "\x00")
	case chance < 13:
		return out + fmt.Sprintf(" range_end:%q", key+"\xff")
	}
	return out + fmt.Sprintf(" range_end:%q", d.key())
}

// boundedRange has an end that is a key.
func (d *dice) boundedRange() string {
	return fmt.Sprintf("key:%q range_end:%q", d.key(), "a"+d.key())
}

// revision is near the current one, and sometimes past it or no revision.
func (d *dice) revision() int64 { return max(-1, d.at+2-d.Int64N(8)) }

// opening is what a sequence begins with, for the rest to meet.
func (d *dice) opening() []string {
	var puts strings.Builder
	puts.WriteString("Txn")
	for _, i := range d.Perm(len(keys))[:3+d.IntN(4)] {
		puts.WriteString(fmt.Sprintf("\nsuccess:{request_put:{key:%q value:%q%s}}",
			keys[i], fmt.Sprint(d.IntN(5)), d.maybe(25, " lease:1")))
	}
	return []string{"LeaseGrant ID:1 TTL:1000", puts.String()}
}

// request draws any request but those about watches.
func (d *dice) request() string {
	switch chance := d.IntN(100); {
	case chance < 35:
		return "Range " + d.read()
	case chance < 38:
		return "RangeStream " + d.keyRange() + d.maybe(30, fmt.Sprintf(" limit:%d", d.IntN(4)))
	case chance < 49:
		return d.lease()
	case chance < 54:
		return fmt.Sprintf("Compact revision:%d", d.revision()) + d.maybe(20, " physical:true")
	}
	return d.write()
}

func (d *dice) write() string {
	switch chance := d.IntN(100); {
	case chance < 40:
		return "Put " + d.put()
	case chance < 55:
		return "DeleteRange " + d.delete(d.keyRange())
	}
	return "Txn" + d.txn(d.IntN(len(blends)), 0)
}

func (d *dice) maybe(percent int, text string) string {
	if d.chance(percent) {
		return text
	}
	return ""
}

func (d *dice) read() string {
	var out strings.Builder
	out.WriteString(d.keyRange())
	out.WriteString(d.maybe(25, fmt.Sprintf(" limit:%d", d.IntN(5)-1)))
	out.WriteString(d.maybe(25, fmt.Sprintf(" revision:%d", d.revision())))
	if d.chance(35) {
		orders := []string{"NONE", "ASCEND", "DESCEND"}
		targets := []string{"KEY", "VERSION", "CREATE", "MOD", "VALUE"}
		out.WriteString(" sort_order:" + orders[d.IntN(len(orders))])
		out.WriteString(" sort_target:" + targets[d.IntN(len(targets))])
	}
	for _, filter := range []string{
		"min_mod_revision", "max_mod_revision", "min_create_revision", "max_create_revision",
	} {
		out.WriteString(d.maybe(7, fmt.Sprintf(" %s:%d", filter, d.revision())))
	}
	return out.String() + d.maybe(12, " keys_only:true") + d.maybe(10, " count_only:true")
}

func (d *dice) put() string {
	out := fmt.Sprintf("key:%q", d.key())
	if d.chance(7) {
		out += " ignore_value:true" + d.maybe(10, ` value:"0"`)
	} else {
		out += d.maybe(90, fmt.Sprintf(" value:%q", fmt.Sprint(d.IntN(5))))
	}
	if d.chance(7) {
		out += " ignore_lease:true" + d.maybe(10, " lease:1")
	} else {
		out += d.maybe(25, fmt.Sprintf(" lease:%d", d.leaseID()))
	}
	return out + d.maybe(30, " prev_kv:true")
}

func (d *dice) delete(keyRange string) string { return keyRange + d.maybe(40, " prev_kv:true") }

func (d *dice) leaseID() int { return 1 + d.IntN(3) }

func (d *dice) lease() string {
	id := d.leaseID()
	switch chance := d.IntN(20); {
	case chance < 9:
		ttls := []int64{60, 1000, 9_000_000_000, 9_000_000_001}
		return fmt.Sprintf("LeaseGrant ID:%d TTL:%d", id, ttls[d.IntN(len(ttls))])
	case chance < 12:
		return fmt.Sprintf("LeaseRevoke ID:%d", id)
	case chance < 16:
		return fmt.Sprintf("LeaseTimeToLive ID:%d keys:true", id)
	case chance < 18:
		return fmt.Sprintf("LeaseKeepAlive ID:%d", id)
	}
	return "LeaseLeases"
}

// blend is what a transaction writes, nested ones included. Etcd overlooks
// some duplicates where puts and deletes are nested or a delete has no end, and
// Miruvor refuses them; so these two are never together (see Differences).
type blend struct{ puts, deletes, nests bool }

var blends = []blend{
	{puts: true, nests: true},
	{puts: true, nests: true},
	{deletes: true, nests: true},
	{puts: true, deletes: true},
	{puts: true, deletes: true},
}

const depthMax = 2

// txn is the fields of a transaction, a line each.
func (d *dice) txn(which, depth int) string {
	var out strings.Builder
	for range d.IntN(3) {
		fmt.Fprintf(&out, "\ncompare:{%s}", d.compare())
	}
	for range d.IntN(4) {
		fmt.Fprintf(&out, "\nsuccess:{%s}", d.op(which, depth))
	}
	for range d.IntN(3) {
		fmt.Fprintf(&out, "\nfailure:{%s}", d.op(which, depth))
	}
	return out.String()
}

func (d *dice) op(which, depth int) string {
	b := blends[which]
	switch chance := d.IntN(20); {
	case chance < 3 && b.nests && depth < depthMax:
		return fmt.Sprintf("request_txn:{%s}", d.txn(which, depth+1))
	case chance < 10 && b.puts:
		return fmt.Sprintf("request_put:{%s}", d.put())
	case chance < 14 && b.deletes && b.puts:
		return fmt.Sprintf("request_delete_range:{%s}", d.delete(d.boundedRange()))
	case chance < 14 && b.deletes:
		return fmt.Sprintf("request_delete_range:{%s}", d.delete(d.keyRange()))
	}
	return fmt.Sprintf("request_range:{%s}", d.read())
}

func (d *dice) compare() string {
	results := []string{"EQUAL", "GREATER", "LESS", "NOT_EQUAL"}
	out := fmt.Sprintf("key:%q result:%s", d.key(), results[d.IntN(len(results))])
	out += d.maybe(25, fmt.Sprintf(" range_end:%q", d.key()))
	switch d.IntN(5) {
	case 0:
		return out + fmt.Sprintf(" target:VERSION version:%d", d.IntN(4))
	case 1:
		return out + fmt.Sprintf(" target:CREATE create_revision:%d", max(0, d.revision()))
	case 2:
		return out + fmt.Sprintf(" target:MOD mod_revision:%d", max(0, d.revision()))
	case 3:
		return out + fmt.Sprintf(" target:VALUE value:%q", fmt.Sprint(d.IntN(5)))
	}
	return out + fmt.Sprintf(" target:LEASE lease:%d", d.IntN(4))
}

// watch is a line that creates a watch, and the revision it begins at.
func (d *dice) watch() (line string, start int64) {
	line = "create " + d.keyRange()
	if d.chance(50) {
		start = max(-1, d.at+3-d.Int64N(9))
		line += fmt.Sprintf(" start_revision:%d", start)
	}
	line += d.maybe(40, " prev_kv:true") + d.maybe(10, " filters:NOPUT")
	line += d.maybe(10, " filters:NODELETE") + d.maybe(10, " fragment:true")
	return line + d.maybe(5, fmt.Sprintf(" watch_id:%d", d.IntN(5))), start
}
