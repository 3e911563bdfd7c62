// This module takes the place of etcd's server when tests of Kubernetes start
// one: see package embed.
module go.etcd.io/etcd/server/v3

go 1.26.0

require (
	go.etcd.io/etcd/client/pkg/v3 v3.7.3
	go.uber.org/zap v1.27.1
)

require (
	go.uber.org/multierr v1.11.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
