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

// Streams of random numbers, beside those of clients, which count from 0.
const (
	witnessStream   = 1000
	watcherStream   = 2000
	compactorStream = 3000
)

func (l *load) rand(stream int) *rand.Rand {
	return rand.New(rand.NewPCG(l.seed, uint64(stream)))
}

// start begins: for each node a client of etcd's API, one that speaks HTTP, a
// watch of either kind after the other, and a witness; and clients that go from
// node to node.
func (l *load) start(ctx context.Context) error {
	etcds, https, err := l.targets()
	if err != nil {
		return err
	}
	driven, stopClients := context.WithCancel(ctx)
	watched, stopWitnesses := context.WithCancel(ctx)
	l.stopClients, l.stopWitnesses = stopClients, stopWitnesses
	id := 0
	for _, targets := range [][]drive.Target{etcds, https} {
		for _, to := range targets {
			client := &drive.Client{
				History: l.history, Target: to, ID: id, Rng: l.rand(id), Pause: l.pause,
			}
			l.clients.Go(func() { client.Run(driven) })
			id++
		}
	}
	for i := range l.cluster.nodes {
		to := etcds[i]
		if i == len(l.cluster.nodes)-1 {
			to = https[i]
		}
		w, rng := l.history.Witness(i), l.rand(witnessStream+i)
		l.witnesses.Go(func() { to.Follow(watched, l.history, w, rng) })
	}
	nodes := len(l.cluster.nodes)
	for i := range nodes {
		watcher := drive.Watcher{
			History: l.history, Targets: etcds[:nodes], Node: i, Rng: l.rand(watcherStream + i),
			FromNow: true,
		}
		if i%2 == 1 {
			watcher.Targets, watcher.FromNow = https[:nodes], false
		}
		l.clients.Go(func() { watcher.Run(driven) })
	}
	compactor := drive.Compactor{
		History: l.history, Target: https[nodes], Rng: l.rand(compactorStream),
		Pause: 2 * time.Second,
	}
	l.clients.Go(func() { compactor.Run(driven) })
	return nil
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
