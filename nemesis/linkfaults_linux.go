package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/miruvor/miruvor/internal/netlab"
)

// links is a fault of the network: of the pairs in cut, or of all links of some
// nodes.
type links struct {
	name string
	// cut are pairs of indexes of nodes, from and to.
	cut [][2]int
	// of are the nodes whose links to other nodes are concerned: those towards
	// them if in, those from them if out. With neither nodes nor pairs it is all
	// links between nodes. clients concerns just those between of and the clients.
	of      []victim
	in, out bool
	clients bool
	// condition is what links do; the zero value stands for a cut.
	condition netlab.Condition
	// flap is how long they stay cut, and then well, in turn; 0 is all the time.
	flap time.Duration

	stop    context.CancelFunc
	flaps   sync.WaitGroup
	applied rule
}

// between are all pairs of two groups, both ways.
func between(a, b []int) [][2]int {
	var pairs [][2]int
	for _, i := range a {
		for _, j := range b {
			pairs = append(pairs, [2]int{i, j}, [2]int{j, i})
		}
	}
	return pairs
}

func (l *links) String() string {
	var text strings.Builder
	text.WriteString(l.name)
	for i, pair := range l.cut {
		if i == 0 {
			text.WriteString(":")
		}
		fmt.Fprintf(&text, " %d→%d", pair[0]+1, pair[1]+1)
	}
	if len(l.of) > 0 {
		text.WriteString(": " + names(l.of))
	}
	switch {
	case l.in && !l.out:
		text.WriteString(" hears nobody")
	case l.out && !l.in:
		text.WriteString(" is heard by nobody")
	}
	if c := l.condition; c.Loss > 0 {
		fmt.Fprintf(&text, ", %.0f %% lost", 100*c.Loss)
	} else if c.Delay > 0 {
		fmt.Fprintf(&text, ", %v and up to %v more", c.Delay, c.Jitter.Round(time.Millisecond))
	}
	if l.flap > 0 {
		fmt.Fprintf(&text, ", every %v", l.flap)
	}
	return text.String()
}

// rule is what the fault does, of those whom its victims turn out to be.
func (l *links) rule(ctx context.Context, a *arena) rule {
	c := l.condition
	if c == (netlab.Condition{}) {
		c.Cut = true
	}
	r := rule{}
	for _, pair := range l.cut {
		r[pair] = c
	}
	of, clients := a.find(ctx, l.of), len(a.nodes)
	if len(of) == 0 && len(l.cut) == 0 {
		for i := range a.nodes {
			of = append(of, i)
		}
	}
	for _, node := range of {
		for other := range a.nodes {
			if l.in && other != node {
				r[[2]int{other, node}] = c
			}
			if l.out && other != node {
				r[[2]int{node, other}] = c
			}
		}
		if l.clients {
			r[[2]int{clients, node}], r[[2]int{node, clients}] = c, c
		}
	}
	return r
}

func (l *links) begin(ctx context.Context, a *arena) error {
	l.applied = l.rule(ctx, a)
	a.setLinks(l, l.applied)
	if l.flap > 0 {
		ctx, l.stop = context.WithCancel(ctx)
		l.flaps.Go(func() {
			for cut := true; ctx.Err() == nil; cut = !cut {
				if cut {
					a.setLinks(l, l.applied)
				} else {
					a.setLinks(l, nil)
				}
				wait(ctx, l.flap)
			}
		})
	}
	return nil
}

func (l *links) end(_ context.Context, a *arena) error {
	if l.stop != nil {
		l.stop()
		l.flaps.Wait()
	}
	a.setLinks(l, nil)
	return nil
}
