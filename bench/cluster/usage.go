package cluster

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// ticks of /proc are hundredths of a second on all of Linux' architectures.
const tick = 10 * time.Millisecond

// CPU is the user and system time that all processes of the cluster have used.
func (c *Cluster) CPU() (time.Duration, error) {
	sum := time.Duration(0)
	for _, p := range c.processes {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil {
			return 0, err
		}
		used, err := parseStat(stat)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// parseStat adds utime and stime, fields 14 and 15 (proc(5)); the second field may hold anything in
// its parentheses.
func parseStat(stat []byte) (time.Duration, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("cluster: stat of %d fields", len(fields)+2)
	}
	return sumTicks(fields[11], fields[12])
}

// MachineCPU is the time that all processors have been at work, for whatever process.
func MachineCPU() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 8 {
		return 0, fmt.Errorf("cluster: /proc/stat begins with %q", line)
	}
	// user, nice, system; then idle and iowait, which is no work; irq, softirq
	return sumTicks(fields[1], fields[2], fields[3], fields[6], fields[7])
}

func sumTicks(fields ...[]byte) (time.Duration, error) {
	sum := time.Duration(0)
	for _, f := range fields {
		ticks, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ticks) * tick
	}
	return sum, nil
}

// Resident is what each process of the cluster holds in memory, in bytes.
func (c *Cluster) Resident() ([]int64, error) {
	var list []int64
	for _, p := range c.processes {
		statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
		if err != nil {
			return nil, err
		}
		fields := bytes.Fields(statm)
		if len(fields) < 2 {
			return nil, fmt.Errorf("cluster: statm of %d fields", len(fields))
		}
		pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
		if err != nil {
			return nil, err
		}
		list = append(list, pages*int64(os.Getpagesize()))
	}
	return list, nil
}
