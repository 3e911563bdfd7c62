package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"
)

// amnesia has one follower of a leader fall behind, and another lose its directory,
// so that what was answered lately is known to the leader alone; then that is cut
// off. The two that are left must not go on without it.
type amnesia struct {
	shard int
	// behind is for how long one hears nothing, blind for how long nobody hears the
	// leader.
	behind, blind time.Duration
}

func (f *amnesia) String() string {
	return fmt.Sprintf("a follower of shard %d is behind by %v, one loses its directory, and the "+
		"leader is cut off for %v", f.shard, f.behind, f.blind)
}

func (f *amnesia) begin(ctx context.Context, a *arena) error {
	leader := victim{leads: true, shard: f.shard}.find(ctx, a)
	followers := a.followers(ctx, f.shard, leader)
	if len(followers) < 2 {
		a.observe("shard %d has no two followers", f.shard)
		return nil
	}
	late, lost := followers[0], followers[1]
	a.observe("n%d leads shard %d; n%d is behind, n%d forgets", leader+1, f.shard, late+1, lost+1)
	deaf, blind := &links{}, &links{}
	a.setLinks(deaf, rule{{leader, late}: cut, {lost, late}: cut})
	wait(ctx, f.behind)
	p := a.nodes[lost]
	p.end(syscall.SIGKILL)
	err := p.forget()
	alone := &links{of: []victim{{node: leader}}, in: true, out: true}
	a.setLinks(blind, alone.rule(ctx, a))
	a.setLinks(deaf, nil)
	err = errors.Join(err, a.revive(lost, 0))
	wait(ctx, f.blind)
	a.setLinks(blind, nil)
	return err
}

func (f *amnesia) end(context.Context, *arena) error { return nil }

// followers are the nodes that hold a shard, as far as they answer, without its leader.
func (a *arena) followers(ctx context.Context, shard, leader int) []int {
	var list []int
	for _, st := range a.statuses(ctx) {
		for _, s := range st.Shards {
			if node := int(st.Node) - 1; int(s.ID) == shard && node != leader {
				list = append(list, node)
			}
		}
	}
	slices.Sort(list)
	return list
}
