package gateway_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/miruvor/miruvor/internal/kv"
)

// TestStories sends requests as clients write them. The answers were compared
// with those of etcd 3.7.3.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := newStage(t)
		datadriven.RunTest(t, path, s.run)
	})
}

// run is a command: a method with a path, or what happens to the store.
func (s *stage) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "get", "post", "put", "head":
		path := strings.TrimPrefix(d.CmdArgs[0].String(), "path=")
		answer := s.ask(t, strings.ToUpper(d.Cmd), path, strings.NewReader(d.Input))
		return strings.TrimRight(plain(answer), "\n") + "\n"
	case "alarm":
		kind := map[string]kv.AlarmKind{"nospace": kv.AlarmNoSpace, "corrupt": kv.AlarmCorrupt}
		if _, err := s.store.RaiseAlarm(t.Context(),
			kv.Alarm{Node: 1, Kind: kind[d.CmdArgs[0].Key]}); err != nil {
			t.Fatal(err)
		}
	case "leaderless":
		standing := s.store.Standing()
		standing.Leader = 0
		s.store.Stand(standing)
	case "reads-fail":
		s.store.ail(map[string]error{
			"not-ready": fmt.Errorf("%w: waiting for n2", kv.ErrNotReady),
			"other":     errors.New("something is wrong"),
		}[d.CmdArgs[0].Key], "")
	case "waiting":
		s.store.ail(nil, "leaders of shards s3")
	default:
		d.Fatalf(t, "no command %q", d.Cmd)
	}
	return ""
}

// plain is text without the spaces that protojson puts in, in some builds.
func plain(text string) string {
	var out strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(text, "\u00a0", " ")) {
		var compact bytes.Buffer
		if json.Compact(&compact, []byte(line)) == nil {
			line = strings.ReplaceAll(line, strings.TrimSpace(line), compact.String())
		}
		out.WriteString(line)
	}
	return out.String()
}

// TestAllRoutes: each method of etcd's services is reachable at the paths that
// etcd has for it. What they answer does not matter, but that a service does.
func TestAllRoutes(t *testing.T) {
	s := newStage(t)
	for _, route := range []string{
		"kv/range", "kv/put", "kv/deleterange", "kv/txn", "kv/compaction",
		"kv/lease/revoke", "kv/lease/timetolive", "kv/lease/leases",
		"lease/grant", "lease/revoke", "lease/timetolive", "lease/leases",
		"cluster/member/add", "cluster/member/remove", "cluster/member/update",
		"cluster/member/list", "cluster/member/promote",
		"maintenance/alarm", "maintenance/status", "maintenance/defragment",
		"maintenance/hash", "maintenance/hashkv", "maintenance/transfer-leadership",
		"maintenance/downgrade",
		"auth/enable", "auth/disable", "auth/status", "auth/authenticate",
		"auth/user/add", "auth/user/get", "auth/user/list", "auth/user/delete",
		"auth/user/changepw", "auth/user/grant", "auth/user/revoke",
		"auth/role/add", "auth/role/get", "auth/role/list", "auth/role/delete",
		"auth/role/grant", "auth/role/revoke",
		"lock/lock", "lock/unlock",
		"election/campaign", "election/proclaim", "election/leader", "election/resign",
	} {
		// Locks and elections of the same name wait for each other.
		body := fmt.Sprintf(`{"name":%q}`, base64.StdEncoding.EncodeToString([]byte(route)))
		answer := s.ask(t, http.MethodPost, "/v3/"+route, strings.NewReader(body))
		if !strings.Contains(answer, "application/json") ||
			strings.Contains(answer, `"message":"Not Found"`) {
			t.Errorf("%s: %s", route, answer)
		}
	}
}
