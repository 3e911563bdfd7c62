package etcd

import (
	"fmt"
	"slices"
)

// difference is where Miruvor means to answer etcdctl in another way than etcd.
type difference struct {
	Story    string
	Commands []string
	Answer   string
	Why      string
}

// differences is the whole list.
var differences = []difference{
	{
		Story: "auth",
		Commands: []string{
			"auth enable", "auth disable", "user list", "user add me:secret", "user get me",
			"user grant-role me root", "user revoke-role me root", "user delete me",
			"role list", "role add r", "role get r", "role grant-permission r readwrite k",
			"role revoke-permission r k", "role delete r",
		},
		Answer: "Error: etcdserver: authentication is not enabled\nexit status 1\n",
		Why:    "there are no users and roles yet, so nothing may look as if there were",
	},
	unimplemented("member remove 7b", "MemberRemove", membersStay),
	unimplemented("member update 7b --peer-urls=http://127.0.0.1:1", "MemberUpdate", membersStay),
	unimplemented("member promote 7b", "MemberPromote", membersStay),
	unimplemented("member add n9 --peer-urls=http://127.0.0.1:1 --learner", "MemberAdd",
		membersStay),
	unimplemented("downgrade validate 3.6", "Downgrade",
		"the files on disk are not etcd's, so there is no version of etcd to go back to"),
}

const membersStay = "members are nodes, which cannot join or leave yet"

// unimplemented is the difference of a command whose method there is not.
func unimplemented(command, method, why string) difference {
	return difference{
		Story: "members", Commands: []string{command}, Why: why,
		Answer: fmt.Sprintf("Error: rpc error: code = Unimplemented desc = "+
			"method %s not implemented\nexit status 1\n", method),
	}
}

// differenceOf is the difference that a command of a story shows, if any.
func differenceOf(story, command string) *difference {
	for i, d := range differences {
		if d.Story == story && slices.Contains(d.Commands, command) {
			return &differences[i]
		}
	}
	return nil
}
