// Miruvor is a distributed, sharded, strictly serializable key-value store.
package main

import (
	"os"

	"github.com/miruvor/miruvor/internal/cli"
)

func main() { os.Exit(cli.Main()) }
