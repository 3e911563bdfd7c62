// Package nodetest runs clusters of real processes on loopback and does to
// them what happens to processes: they are killed, stopped for a while, and
// started again, under load. It holds tests only.
//
// The test binary is the program: a process of it that finds processVariable
// in its environment is the miruvor command. Processes end with the test that
// started them, since they end with their standard input.
package nodetest

import (
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/miruvor/miruvor/internal/cli"
)

// processVariable makes a process of the test binary a miruvor command.
const processVariable = "NODETEST_PROCESS"

func TestMain(m *testing.M) {
	keys := os.Getenv(loadVariable)
	if os.Getenv(processVariable) == "" && keys == "" {
		os.Exit(m.Run())
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	if keys != "" {
		fmt.Println(loadDirectory(os.Getenv(dirVariable), keys))
		os.Exit(1)
	}
	os.Exit(cli.Main())
}
