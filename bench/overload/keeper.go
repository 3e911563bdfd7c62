package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// leaseSeconds is the life of a kept lease: short enough to be lost soon if keeping it alive fails.
const leaseSeconds = 5

// keeper has leases, which etcd's client keeps alive.
type keeper struct {
	clients []*clientv3.Client
	stop    context.CancelFunc
	hearing sync.WaitGroup
	ended   atomic.Int64
	told    int64
}

func newKeeper(endpoints []string, leases int) (*keeper, error) {
	k := &keeper{}
	ctx, stop := context.WithCancel(context.Background())
	k.stop = stop
	for _, endpoint := range endpoints {
		c, err := connect(endpoint)
		if err != nil {
			return nil, errors.Join(err, k.close())
		}
		k.clients = append(k.clients, c)
	}
	for i := range leases {
		if err := k.keep(ctx, k.clients[i%len(k.clients)]); err != nil {
			return nil, errors.Join(err, k.close())
		}
	}
	return k, nil
}

func connect(endpoint string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints: []string{endpoint}, DialTimeout: 10 * time.Second, Logger: zap.NewNop(),
	})
}

func (k *keeper) keep(ctx context.Context, c *clientv3.Client) error {
	granting, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	lease, err := c.Grant(granting, leaseSeconds)
	if err != nil {
		return err
	}
	alive, err := c.KeepAlive(ctx, lease.ID)
	if err != nil {
		return err
	}
	k.hearing.Go(func() {
		for range alive { // until it is lost, or the keeper stops
		}
		if ctx.Err() == nil {
			k.ended.Add(1)
		}
	})
	return nil
}

// lost is how many leases were lost since the last call.
func (k *keeper) lost() int {
	ended := k.ended.Load()
	since := ended - k.told
	k.told = ended
	return int(since)
}

func (k *keeper) close() error {
	k.stop()
	var errs []error
	for _, c := range k.clients {
		errs = append(errs, c.Close())
	}
	k.hearing.Wait()
	return errors.Join(errs...)
}
