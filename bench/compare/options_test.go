package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/bench/load"
)

func TestOptionsThatAreRefused(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--systems etcd,redis", "redis"},
		{"--rounds 0", "--rounds"},
		{"--seconds 0.01", "--seconds"},
		{"--shards 0", "--shards"},
		{"--clients 0", "--clients"},
		{"--keys 100 --range-keys 100", "--range-keys"},
		{"--watchers 0", "--watchers"},
		{"--client curl", "curl"},
		{"surplus", "surplus"},
	} {
		_, err := parse(strings.Fields(c.args))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.args, err)
		}
	}
}

func TestRowsAreChosenInOrder(t *testing.T) {
	o, err := parse([]string{"--rows", "watch,put"})
	if err != nil {
		t.Fatal(err)
	}
	shape := &load.Shape{Keys: load.NewKeys(200), Clients: 8, RangeKeys: 10, Watchers: 5}
	workloads, err := o.workloads(shape)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{workloads[0].Name, workloads[1].Name}
	if !slices.Equal(names, []string{"watch", "put"}) {
		t.Errorf("rows %v", names)
	}
	o.rows = []string{"scan"}
	if _, err := o.workloads(shape); err == nil {
		t.Error("a row that there isn't")
	}
}

func TestDefaultsAreAccepted(t *testing.T) {
	o, err := parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.systems, []string{"miruvor", "etcd"}) || o.client != clientLean {
		t.Errorf("%+v", o)
	}
}
