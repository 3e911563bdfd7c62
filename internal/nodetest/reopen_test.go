package nodetest

import (
	"bufio"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/node"
)

const (
	// loadVariable makes a process of the test binary load a directory with
	// as many keys as it says, and wait to be killed.
	loadVariable = "NODETEST_LOAD"
	dirVariable  = "NODETEST_DIR"

	txnPuts    = 128
	loaders    = 16
	valueBytes = 64

	// reopenMax is generous, for slow machines.
	reopenMax = 5 * time.Second
)

var reopenKeys = flag.Int("reopen-keys", 200_000, "keys that TestTimeToReopen loads")

// TestTimeToReopen loads many keys and measures how long a node takes from
// its start until it is ready: after a kill, and after a clean stop. It must
// depend on what was not flushed, not on the data.
func TestTimeToReopen(t *testing.T) {
	if testing.Short() {
		t.Skip("takes about 15 s")
	}
	late := watchLateness(t)
	for _, keys := range []int{10_000, *reopenKeys} {
		cfg := reopenConfig(t.TempDir())
		begin := time.Now()
		loadAndKill(t, cfg.Dir, keys)
		t.Logf("%d keys loaded in %v", keys, round(time.Since(begin)))
		for _, after := range []string{"a kill", "a clean stop"} {
			begin, before := time.Now(), late.now()
			n := reopen(t, cfg)
			fair := late.since(begin, before)
			t.Logf("%d keys: ready %v after %s", keys, round(time.Since(begin)), after)
			if fair > reopenMax {
				t.Errorf("%d keys: ready after %v", keys, fair)
			}
			count(t, n, keys)
			if err := n.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func reopenConfig(dir string) node.Config {
	return node.Config{
		Name: "n1", Dir: dir, Listen: "127.0.0.1:0", Durability: node.DurabilityOS,
		RequestTimeout: 3 * time.Minute,
	}
}

// loadAndKill loads dir in a process of its own, which it kills.
func loadAndKill(t *testing.T, dir string, keys int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), loadVariable+"="+strconv.Itoa(keys), dirVariable+"="+dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	_ = stdin.Close()
	if err != nil || line != "loaded\n" {
		t.Fatalf("the loader said %q, %v", line, err)
	}
}

// loadDirectory is the process that loads. It ends by being killed.
func loadDirectory(dir, text string) error {
	keys, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	n, err := node.Start(reopenConfig(dir))
	if err != nil {
		return err
	}
	if err := becomeReady(context.Background(), n); err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make(chan error, loaders)
	for i := range loaders {
		wg.Go(func() { errs <- loadShare(n, keys*i/loaders, keys*(i+1)/loaders) })
	}
	wg.Wait()
	for range loaders {
		if err := <-errs; err != nil {
			return err
		}
	}
	fmt.Println("loaded")
	select {} // until killed
}

// loadShare puts the keys from first up to end, txnPuts at a time.
func loadShare(store kv.Store, first, end int) error {
	for first < end {
		var req kv.TxnRequest
		for ; first < end && len(req.Success) < txnPuts; first++ {
			key := binary.BigEndian.AppendUint64(nil, uint64(first)*0x9e3779b97f4a7c15)
			req.Success = append(req.Success, kv.Op{Put: &kv.PutRequest{
				Key: key, Value: make([]byte, valueBytes),
			}})
		}
		if _, err := store.Txn(context.Background(), req); err != nil {
			return err
		}
	}
	return nil
}

// reopen starts a node and waits until it is ready.
func reopen(t *testing.T, cfg node.Config) *node.Node {
	t.Helper()
	n, err := node.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := becomeReady(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	return n
}

// becomeReady polls until n serves.
func becomeReady(ctx context.Context, n *node.Node) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		st, err := n.Status(ctx)
		if err == nil && st.Ready {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready: %v, waiting for %s", err, st.Waiting)
		case err := <-n.Failed():
			return err
		case <-tick.C:
		}
	}
}

func count(t *testing.T, store kv.Store, keys int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	resp, err := store.Range(ctx, kv.RangeRequest{CountOnly: true})
	if err != nil || resp.Count != int64(keys) {
		t.Errorf("%d keys, want %d: %v", resp.Count, keys, err)
	}
}
