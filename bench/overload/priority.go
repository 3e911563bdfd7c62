package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// ownNice is how much the load stands back behind the nodes for the processors. Users do not
// take those of a server away; a load of ten times what fits, on the same machine, would.
const ownNice = 5

// standBack lowers the priority of this process, all of whose threads have one each.
func standBack() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, id, ownNice); err != nil {
			return fmt.Errorf("overload: priority: %w", err)
		}
	}
	return nil
}
