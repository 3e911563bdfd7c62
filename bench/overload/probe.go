package main

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// probe puts a key on each node, one after the other, and takes the time.
type probe struct {
	clients []*clientv3.Client
}

const (
	// quietPuts to each node tell what is usual.
	quietPuts = 50
	// soonEnough counts as quiet, whatever the cluster did before.
	soonEnough = 50 * time.Millisecond
	// inARow puts to each node have to be as on a quiet cluster.
	inARow      = 3
	recoveryMax = time.Minute
)

func newProbe(endpoints []string) (*probe, error) {
	p := &probe{}
	for _, endpoint := range endpoints {
		c, err := connect(endpoint)
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.clients = append(p.clients, c)
	}
	return p, nil
}

func (p *probe) put(ctx context.Context, c *clientv3.Client) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	began := time.Now()
	_, err := c.Put(ctx, "probe", "here")
	return time.Since(began), err
}

// quiet is the longest that a put takes while nothing else is asked.
func (p *probe) quiet(ctx context.Context) (time.Duration, error) {
	longest := time.Duration(0)
	for range quietPuts {
		for _, c := range p.clients {
			took, err := p.put(ctx, c)
			if err != nil {
				return 0, err
			}
			longest = max(longest, took)
		}
	}
	return longest, nil
}

// recovery waits until the nodes are as quick as on a quiet cluster, and returns when they began
// to be.
func (p *probe) recovery(ctx context.Context, quiet time.Duration) (time.Duration, error) {
	began, since, good := time.Now(), time.Duration(0), 0
	for good < inARow {
		if good == 0 {
			since = time.Since(began)
		}
		if since > recoveryMax {
			return 0, errors.New("no recovery")
		}
		good++
		for _, c := range p.clients {
			if took, err := p.put(ctx, c); err != nil || took > max(quiet, soonEnough) {
				good = 0
			}
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
	}
	return since, nil
}

func (p *probe) close() error {
	var errs []error
	for _, c := range p.clients {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
