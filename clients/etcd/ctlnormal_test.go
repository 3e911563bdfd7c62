package etcd

import (
	"regexp"
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// chance is what differs from cluster to cluster, and what stands for it.
var chance = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDRESS"},
	{regexp.MustCompile(`"(cluster_id|member_id|raft_term|raftIndex|raftAppliedIndex|leader|ID|` +
		`lease|hash|id|raftTerm|dbSize|dbSizeInUse)":\d+`), `"${1}":N`},
	{regexp.MustCompile(`"(Cluster|Member|Leader)?ID" : "?\d+"?`), `"${1}ID" : N`},
	{regexp.MustCompile(`"(Lease|RaftTerm|Hash|RaftIndex|RaftAppliedIndex|DBSize|DBSizeInUse|` +
		`Leader)" : \d+`), `"${1}" : N`},
	// Identifiers of members, of leases, of clusters, in the texts where they are.
	{regexp.MustCompile(`(?m)^[0-9a-f]+, started, n\d`), "ID, started, NAME"},
	{regexp.MustCompile(`(?m)(http://ADDRESS), [0-9a-f]+(, 3\.7)`), "${1}, ID${2}"},
	{regexp.MustCompile(`transferred from [0-9a-f]+ to [0-9a-f]+`), "transferred from ID to ID"},
	{regexp.MustCompile(`\b[0-9a-f]{13,16}\b`), "ID"},
	{regexp.MustCompile(`(ETCD_INITIAL_CLUSTER)="[^"]+"`), `${1}="MEMBERS"`},
	{regexp.MustCompile(`"name":"n\d"`), `"name":"NAME"`},
	// Sizes, the quota, whether it leads, its term and indexes.
	{
		regexp.MustCompile(`(3\.7\.0)(, [^,]+){4}, (true|false), false(, \d+){3}`),
		"${1}, SIZES, LEADS, false, INDEXES",
	},
	{regexp.MustCompile(`(http://ADDRESS), \d{2,}(, \d+)`), "${1}, HASH${2}"},
	{regexp.MustCompile(`memory used : .*`), "memory used : SIZE"},
	{regexp.MustCompile(`remaining\(\d+s\)`), "remaining(TIME)"},
	{regexp.MustCompile(`"ttl":\d+`), `"ttl":TIME`},
	{regexp.MustCompile(`"took":"[^"]+"`), `"took":"TIME"`},
	{regexp.MustCompile(`took:? (= )?[0-9.µmsh]+`), "took TIME"},
}

// normal is an output with names in place of what is chance.
func normal(out string) string {
	for _, c := range chance {
		out = c.pattern.ReplaceAllString(out, c.instead)
	}
	return out
}

// messages are what commands print as protobuf.
var messages = map[string]proto.Message{
	"get": &pb.RangeResponse{}, "put": &pb.PutResponse{}, "del": &pb.DeleteRangeResponse{},
	"txn": &pb.TxnResponse{},
}

// decode makes text of what a command printed with -w protobuf.
func decode(args []string, out []byte) (string, bool) {
	if !slices.Contains(args, "protobuf") {
		return "", false
	}
	i := slices.IndexFunc(args, func(arg string) bool { return messages[arg] != nil })
	if i < 0 {
		return "", false
	}
	m := messages[args[i]].ProtoReflect().New().Interface()
	if err := proto.Unmarshal(out, m); err != nil {
		return err.Error() + "\n", true
	}
	text := protojson.Format(m)
	// protojson puts spaces where it likes.
	text = regexp.MustCompile(`\s+`).ReplaceAllString(text, " ")
	text = regexp.MustCompile(`"(clusterId|memberId|raftTerm)": ?"\d+"`).
		ReplaceAllString(text, `"${1}":N`)
	return strings.TrimSpace(text) + "\n", true
}
