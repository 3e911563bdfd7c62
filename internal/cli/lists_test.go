package cli

import (
	"strings"
	"testing"
)

// Members may be written as etcd's flag has them.
func TestMembersAsEtcdWritesThem(t *testing.T) {
	var l memberList
	if err := l.Set("n1=http://10.0.0.1:2380,n2=10.0.0.2:2380, n3=http://h:1/"); err != nil {
		t.Fatal(err)
	}
	if got, want := l.String(), "n1=10.0.0.1:2380,n2=10.0.0.2:2380,n3=h:1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for text, want := range map[string]string{
		"n1=https://h:1": "TLS", "n1": "name=host:port", "=h:1": "name=host:port",
	} {
		if err := l.Set(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
