// Package embed has as much of the face of etcd's package of that name as the
// tests of k8s.io/apiserver use, and Miruvor behind it: a replacement of etcd's
// server module in go.mod makes those tests, unchanged, start Miruvor.
//
// The environment says what a server is: MIRUVOR is the program, MIRUVOR_NODES
// and MIRUVOR_SHARDS are how many nodes and shards each has, else one. Every
// server is a cluster of its own. It ends with Close.
package embed

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.uber.org/zap"
)

// Config is what tests say of a server. Only the directory, the addresses for
// clients and the interval of progress have an effect.
type Config struct {
	Name string
	Dir  string

	ListenPeerUrls      []url.URL
	AdvertisePeerUrls   []url.URL
	ListenClientUrls    []url.URL
	AdvertiseClientUrls []url.URL
	InitialCluster      string
	ClientTLSInfo       transport.TLSInfo

	UnsafeNoFsync               bool
	QuotaBackendBytes           int64
	MaxRequestBytes             uint
	WatchProgressNotifyInterval time.Duration

	ZapLoggerBuilder func(*Config) error
}

// NewConfig has etcd's defaults.
func NewConfig() *Config {
	return &Config{Name: "default", WatchProgressNotifyInterval: 10 * time.Minute}
}

// InitialClusterFromName names the only member of a cluster.
func (c *Config) InitialClusterFromName(name string) string {
	var members []string
	for _, u := range c.AdvertisePeerUrls {
		members = append(members, fmt.Sprintf("%s=%s", name, u.String()))
	}
	return strings.Join(members, ",")
}

// NewZapLoggerBuilder takes a logger, which nothing is said to.
func NewZapLoggerBuilder(*zap.Logger) func(*Config) error {
	return func(*Config) error { return nil }
}
