package etcdtest

import (
	"fmt"
	"path"
	"strings"
)

// Difference is where Miruvor means to answer in another way than etcd.
type Difference struct {
	// Script is the name of a script of edges, and Requests begin its requests
	// that are answered with Answer.
	Script   string
	Requests []string
	Answer   string
	// Why is told to users in docs/etcd.md.
	Why string
}

// Differences is the whole list. What cannot be put into a script has no
// requests: either etcd's answer is chance, or random sequences keep clear of it.
var Differences = []Difference{
	{
		Script: "auth",
		Requests: []string{
			"AuthEnable", "AuthDisable", "UserGet", "UserDelete", "UserChangePassword",
			"UserGrantRole", "UserRevokeRole", "UserList", "RoleList", "RoleGet", "RoleDelete",
			"RoleGrantPermission", "RoleRevokePermission", "UserAdd", "RoleAdd",
		},
		Answer: "error FailedPrecondition: etcdserver: authentication is not enabled\n",
		Why:    "there are no users and roles yet, so nothing may look as if there were",
	},
	{
		Script: "cluster", Requests: []string{"MemberRemove"},
		Answer: "error Unimplemented: method MemberRemove not implemented\n",
		Why:    "members are nodes, which cannot join or leave yet",
	},
	{
		Script: "cluster", Requests: []string{"MemberUpdate"},
		Answer: "error Unimplemented: method MemberUpdate not implemented\n",
		Why:    "members are nodes, which cannot join or leave yet",
	},
	{
		Script: "cluster", Requests: []string{"MemberPromote"},
		Answer: "error Unimplemented: method MemberPromote not implemented\n",
		Why:    "members are nodes, which cannot join or leave yet",
	},
	{
		Script: "cluster", Requests: []string{"Downgrade"},
		Answer: "error Unimplemented: method Downgrade not implemented\n",
		Why:    "the files on disk are not etcd's, so there is no version of etcd to go back to",
	},
	{
		Script: "cluster", Requests: []string{`Check service:"etcdserverpb.KV"`},
		Answer: "status=SERVING\n",
		Why:    "every service has a health of its own; etcd knows that of the server alone",
	},
	{
		Script: "compare", Requests: []string{`Txn compare:{key:"a" target:17`},
		Answer: "error InvalidArgument: invalid request: compare target is 17, the highest is 4\n",
		Why:    "etcd takes a target that it does not know for one that holds; it is refused",
	},
	{
		Script: "compare", Requests: []string{`Txn compare:{key:"a" target:VERSION result:9`},
		Answer: "error InvalidArgument: invalid request: compare result is 9, the highest is 3\n",
		Why:    "etcd takes a relation that it does not know for one that holds; it is refused",
	},
	{
		Script: "duplicates_overlooked",
		Requests: []string{
			`Txn success:{request_put:{key:"k" value:"1"}} success:{request_delete_range`,
			`Txn success:{request_delete_range:{key:"a" range_end:"\000"}} success:{request_put`,
			"Txn\nsuccess:{request_txn:{success:{request_put",
		},
		Answer: "error InvalidArgument: etcdserver: duplicate key given in txn request\n",
		Why: "etcd overlooks some puts that a delete of the same transaction meets; one revision " +
			"would hold two changes of a key",
	},
	{
		Script: "lease_negative", Requests: []string{"LeaseGrant ID:-5"},
		Answer: "error InvalidArgument: invalid request: lease id is -5, it must not be negative\n",
		Why:    "a lease id below zero can only be a mistake",
	},
	{
		Script:   "keys_long",
		Requests: []string{"Txn success", "Range", "DeleteRange"},
		Answer: "error InvalidArgument: invalid request: " +
			"range start is 1600000 bytes, the most is 65537\n",
		Why: "keys have a bound of their own, which etcd has not",
	},
	{
		Why: "etcd 3.7 never again answers a request for progress on a stream of which a watch " +
			"was canceled for what was compacted; we do",
	},
	{
		Why: "etcd 3.7 tells a watch what was before an event, though it did not ask, if another " +
			"watch asked and was served first; we tell those that asked",
	},
}

// Unmeant are the mismatches of a script that are not among the differences. A
// difference that the script did not show is one as well.
func Unmeant(s *Script, found []Mismatch) []Mismatch {
	name := strings.TrimSuffix(path.Base(s.Name), ".txt")
	meant := map[int]bool{}
	var left []Mismatch
	for _, d := range Differences {
		for _, request := range d.Requests {
			if d.Script != name || d.covers(request, found, meant) {
				continue
			}
			left = append(left, Mismatch{
				Script: s.Name, Request: request, Got: "the answer of etcd, or another\n",
				Want: fmt.Sprintf("%s(%s)\n", d.Answer, d.Why),
			})
		}
	}
	for i, m := range found {
		if !meant[i] {
			left = append(left, m)
		}
	}
	return left
}

// covers notes which mismatches are the request's.
func (d *Difference) covers(request string, found []Mismatch, meant map[int]bool) bool {
	covered := false
	for i, m := range found {
		if strings.HasPrefix(m.Request, request) && m.Got == d.Answer {
			meant[i], covered = true, true
		}
	}
	return covered
}
