// Command etcdserver is etcd's server, at the version that this module pins: `etcd` as it is
// released, with all its flags.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
