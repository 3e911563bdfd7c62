package cli

import (
	"fmt"
	"strings"
	"testing"
)

// shown is all that a configuration says, for comparison.
func shown(c *instanceConfig) string {
	node := c.node
	node.Logger = nil
	return fmt.Sprintf("%s %v %+v", c.listen, c.pprof, node)
}

func TestAddressesThatFollowFromOthers(t *testing.T) {
	for name, test := range map[string]struct {
		args                    string
		peer, client, listening string
	}{
		"alone": {
			"", "127.0.0.1:2380", "127.0.0.1:2379", "127.0.0.1:2379 127.0.0.1:2380",
		},
		"every interface, with a name for peers": {
			"--client :2379 --peer 0.0.0.0:2380 --advertise-peer db1:2380",
			"db1:2380", "db1:2379", ":2379 0.0.0.0:2380",
		},
		"the list of members says it": {
			"--name b --client [::]:1 --peer :2 --initial-cluster a=x:2,b=y:3",
			"y:3", "y:1", "[::]:1 :2",
		},
		"a flag wins over the list": {
			"--name b --peer :2 --initial-cluster a=x:2,b=y:3 --advertise-peer z:4",
			"z:4", "127.0.0.1:2379", "127.0.0.1:2379 :2",
		},
		"both told": {
			"--advertise-client c:5 --advertise-peer p:6",
			"p:6", "c:5", "127.0.0.1:2379 127.0.0.1:2380",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, problems := load(t, strings.Fields(test.args), nil, "")
			if problems != "" {
				t.Fatal(problems)
			}
			if c.node.AdvertisePeer != test.peer || c.node.AdvertiseClient != test.client {
				t.Errorf("told %s and %s, want %s and %s", c.node.AdvertisePeer,
					c.node.AdvertiseClient, test.peer, test.client)
			}
			if got := c.listen + " " + c.node.Listen; got != test.listening {
				t.Errorf("it listens on %s, want %s", got, test.listening)
			}
		})
	}
}

func TestSettingsThatDoNotGoTogether(t *testing.T) {
	for args, want := range map[string]string{
		"--peer :2380": `--advertise-peer is "": the node listens on every ` +
			"interface, so say where others reach it",
		"--advertise-peer 0.0.0.0:1": "others cannot reach it there, it must name a host",
		"--client 127.0.0.1:0":       `--client is "127.0.0.1:0": the port must be from 1 to 6553`,
		"--peer 127.0.0.1":           `--peer is "127.0.0.1": it must be host:port`,
		"--initial-cluster a=x:1":    `initial-cluster: it does not name this node, "default"`,
		"--initial-cluster a":        `--initial-cluster is "a": "a" is not name=host:port`,
		"--split-at a,%zz":           `--split-at is "a,%zz": "%zz" is not percent-encoded`,
		"--split-at a,,b":            `--split-at is "a,,b": an empty key parts nothing`,
		"--split-at b,a":             `split-at: key "a" does not come after "b"`,
		"--split-at b --replicas -1": "replicas: -1, need at least 1",
		"--initial-shards 3 --split-at b": "split-at: 1 keys part the key space into 2 shards, " +
			"but initial-shards is 3",
		"--initial-shards 5000":               "initial-shards: 5000 is outside 1 to 1024",
		"--max-request-bytes 1":               "it must be from 1024 to 4194304",
		"--request-timeout 1h":                "request-timeout: 1h0m0s is outside 1ms to 10m0s",
		"--name=":                             `name: "" must be 1 to 64 letters`,
		"--name ../x":                         `name: "../x" must be 1 to 64 letters`,
		"--initial-cluster default=a:1,b=a:1": "have the same address a:1",
	} {
		_, problems := load(t, strings.Fields(args), nil, "")
		if !strings.Contains(problems, want) {
			t.Errorf("%s: %q does not say %q", args, problems, want)
		}
	}
}
