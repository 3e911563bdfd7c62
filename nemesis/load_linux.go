package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/miruvor/miruvor/internal/history"
	"github.com/miruvor/miruvor/internal/history/drive"
	"github.com/miruvor/miruvor/internal/httpclient"
)

// load is the clients and watches of a run.
type load struct {
	cluster *cluster
	history *history.History
	seed    uint64
	pause   time.Duration

	clients, witnesses         sync.WaitGroup
	stopClients, stopWitnesses context.CancelFunc
	closing                    []func()
}

// Numbers of clients: etcd's API has those below firstHTTP. Each is a stream of random
// numbers too, as are those of what is no client.
const (
	firstHTTP       = 1000
	witnessStream   = 2000
	watcherStream   = 3000
	compactorStream = 4000
)

func (l *load) rand(stream int) *rand.Rand {
	return rand.New(rand.NewPCG(l.seed, uint64(stream)))
}

// start begins all that asks and watches.
func (l *load) start(ctx context.Context) error {
	etcds, https, err := l.targets()
	if err != nil {
		return err
	}
	driven, stopClients := context.WithCancel(ctx)
	watched, stopWitnesses := context.WithCancel(ctx)
	l.stopClients, l.stopWitnesses = stopClients, stopWitnesses
	nodes := len(l.cluster.nodes)
	for i := range nodes {
		to := etcds[i]
		if i == nodes-1 {
			to = https[i]
		}
		w, rng := l.history.Witness(i), l.rand(witnessStream+i)
		l.witnesses.Go(func() { to.Follow(watched, l.history, w, rng) })
	}
	l.ask(driven, 0, etcds, etcdHasty)
	l.ask(driven, firstHTTP, https, httpHasty)
	l.watch(driven, etcds[:nodes], https[:nodes])
	compactor := drive.Compactor{
		History: l.history, Target: https[nodes], Rng: l.rand(compactorStream),
		Pause: 2 * time.Second,
	}
	l.clients.Go(func() { compactor.Run(driven) })
	return nil
}

// keepers are how many of them each target has, etcdHasty and httpHasty how many
// hasty clients each node has.
const (
	keepers   = 2
	etcdHasty = 3
	httpHasty = 1
)

// ask gives each target a client and keepers, and those of single nodes hasty
// clients. Their numbers begin with id.
func (l *load) ask(ctx context.Context, id int, targets []drive.Target, hasty int) {
	for i, to := range targets {
		client := &drive.Client{
			History: l.history, Target: to, ID: id, Rng: l.rand(id), Pause: l.pause,
		}
		l.clients.Go(func() { client.Run(ctx) })
		id++
		for range keepers {
			keeper := &drive.Keeper{History: l.history, Target: to, ID: id, Rng: l.rand(id)}
			l.clients.Go(func() { keeper.Run(ctx) })
			id++
		}
		if i == len(l.cluster.nodes) {
			return // which leads to all of them
		}
		for range hasty {
			client := &drive.Hasty{
				History: l.history, Target: to, ID: id, Rng: l.rand(id), Pause: 2 * l.pause,
			}
			l.clients.Go(func() { client.Run(ctx) })
			id++
		}
	}
}

// watch begins a watch on each node, by one API or the other.
func (l *load) watch(ctx context.Context, etcds, https []drive.Target) {
	for i := range etcds {
		watcher := drive.Watcher{
			History: l.history, Targets: etcds, Node: i, Rng: l.rand(watcherStream + i),
			FromNow: true,
		}
		if i%2 == 1 {
			watcher.Targets, watcher.FromNow = https, false
		}
		l.clients.Go(func() { watcher.Run(ctx) })
	}
}

// targets lead to each node, and the last of each list to all of them.
func (l *load) targets() (etcds, https []drive.Target, err error) {
	all := l.cluster.endpoints()
	for i := range len(all) + 1 {
		endpoints := all
		if i < len(all) {
			endpoints = all[i : i+1]
		}
		etcd, err := drive.DialEtcd(endpoints)
		if err != nil {
			return nil, nil, err
		}
		http, err := httpclient.New(httpclient.Options{Endpoints: endpoints})
		if err != nil {
			return nil, nil, err
		}
		l.closing = append(l.closing, func() { _ = etcd.Client.Close() }, http.Close)
		etcds, https = append(etcds, etcd), append(https, drive.Store{Store: http})
	}
	return etcds, https, nil
}

// stop ends clients and watches, after their last call.
func (l *load) stop() {
	l.stopClients()
	l.clients.Wait()
}

// close ends the witnesses as well.
func (l *load) close() {
	l.stopWitnesses()
	l.witnesses.Wait()
	for _, f := range l.closing {
		f()
	}
}
