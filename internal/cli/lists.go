package cli

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/miruvor/miruvor/internal/node"
)

// Flags that hold lists. Each use of the flag replaces the list.

var (
	_ pflag.Value = (*memberList)(nil)
	_ pflag.Value = (*keyList)(nil)
	_ pflag.Value = (*portList)(nil)
)

// memberList is n1=host:2380,n2=host:2380.
type memberList []node.Member

// String implements pflag.Value.
func (l *memberList) String() string {
	items := make([]string, len(*l))
	for i, m := range *l {
		items[i] = m.Name + "=" + m.Peer
	}
	return strings.Join(items, ",")
}

// Type implements pflag.Value.
func (l *memberList) Type() string { return "members" }

// Set implements pflag.Value.
func (l *memberList) Set(text string) error {
	list := memberList{}
	for item := range strings.SplitSeq(text, ",") {
		name, peer, ok := strings.Cut(strings.TrimSpace(item), "=")
		if !ok || name == "" || peer == "" {
			return fmt.Errorf("%q is not name=host:port", item)
		}
		if strings.HasPrefix(peer, "https://") {
			return fmt.Errorf("%q asks for TLS, which nodes do not speak", item)
		}
		// As etcd's own flag has it.
		peer = strings.TrimSuffix(strings.TrimPrefix(peer, "http://"), "/")
		list = append(list, node.Member{Name: name, Peer: peer})
	}
	*l = list
	return nil
}

// keyList is a list of keys, percent-encoded where they are not plain text.
type keyList [][]byte

// String implements pflag.Value.
func (l *keyList) String() string {
	items := make([]string, len(*l))
	for i, key := range *l {
		items[i] = url.PathEscape(string(key))
	}
	return strings.Join(items, ",")
}

// Type implements pflag.Value.
func (l *keyList) Type() string { return "keys" }

// Set implements pflag.Value.
func (l *keyList) Set(text string) error {
	list := keyList{}
	for item := range strings.SplitSeq(text, ",") {
		key, err := url.PathUnescape(item)
		if err != nil {
			return fmt.Errorf("%q is not percent-encoded: write %%25 for a percent sign", item)
		}
		if key == "" {
			return fmt.Errorf("an empty key parts nothing")
		}
		list = append(list, []byte(key))
	}
	*l = list
	return nil
}

// portList is a list of ports.
type portList []int

// String implements pflag.Value.
func (l *portList) String() string {
	items := make([]string, len(*l))
	for i, port := range *l {
		items[i] = strconv.Itoa(port)
	}
	return strings.Join(items, ",")
}

// Type implements pflag.Value.
func (l *portList) Type() string { return "ports" }

// Set implements pflag.Value.
func (l *portList) Set(text string) error {
	list := portList{}
	for item := range strings.SplitSeq(text, ",") {
		port, err := strconv.Atoi(strings.TrimSpace(item))
		if err != nil || port < 1 || port > portMax {
			return fmt.Errorf("%q is not a port from 1 to %d", item, portMax)
		}
		list = append(list, port)
	}
	*l = list
	return nil
}

const portMax = 65535
