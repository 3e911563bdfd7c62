package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// load is start's settings, and what the command says of them.
func load(
	t *testing.T, args []string, env map[string]string, file string,
) (instanceConfig, string) {
	t.Helper()
	cmd := &cobra.Command{}
	options := addStartFlags(cmd)
	cmd.Flags().String("config", "", "")
	settings := newSettings(cmd.Flags(), "config")
	if file != "" {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	problems := settings.load(func(name string) string { return env[name] })
	config, err := options.config()
	var text strings.Builder
	report(&text, problems)
	report(&text, err)
	return config, text.String()
}

func TestFlagWinsOverEnvironmentOverFileOverDefault(t *testing.T) {
	const file = "request-timeout: 3s"
	env := map[string]string{"MIRUVOR_REQUEST_TIMEOUT": "2s"}
	empty := map[string]string{"MIRUVOR_REQUEST_TIMEOUT": ""}
	flag, initial := []string{"--request-timeout", "1s"}, []string{"--request-timeout=5s"}
	for name, test := range map[string]struct {
		args []string
		env  map[string]string
		file string
		want time.Duration
	}{
		"all three":                  {flag, env, file, time.Second},
		"flag and file":              {flag, nil, file, time.Second},
		"environment and file":       {nil, env, file, 2 * time.Second},
		"an empty variable is none":  {nil, empty, file, 3 * time.Second},
		"file":                       {nil, nil, file, 3 * time.Second},
		"default":                    {nil, nil, "", 5 * time.Second},
		"default with another line":  {nil, nil, "name: x", 5 * time.Second},
		"a flag set to the default":  {initial, env, file, 5 * time.Second},
		"an empty file says nothing": {nil, nil, "# nothing\n", 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			config, problems := load(t, test.args, test.env, test.file)
			if problems != "" {
				t.Fatal(problems)
			}
			if config.node.RequestTimeout != test.want {
				t.Errorf("the timeout is %v, want %v", config.node.RequestTimeout, test.want)
			}
		})
	}
}

func TestEverySettingIsAFlagAVariableAndALine(t *testing.T) {
	values := map[string]string{
		"name": "n2", "data": "d", "client": "127.0.0.1:1", "peer": "127.0.0.1:2",
		"advertise-client": "c:1", "advertise-peer": "p:2",
		"initial-cluster": "n1=q:2,n2=p:2", "initial-cluster-token": "t",
		"initial-shards": "3", "split-at": "a%2Cb,c", "replicas": "2", "durability": "os",
		"read-mode": "quorum", "request-timeout": "7s", "max-request-bytes": "4096",
		"auto-compaction-mode": "revision", "auto-compaction-retention": "1000",
		"quota-backend-bytes": "5000000000", "watch-progress-notify-interval": "3s",
		"max-concurrent-streams": "100", "grpc-keepalive-min-time": "2s",
		"grpc-keepalive-interval": "3m", "grpc-keepalive-timeout": "0",
		"max-txn-ops": "9", "pprof": "true", "log-level": "warn", "log-format": "json",
	}
	cmd := &cobra.Command{}
	addStartFlags(cmd)
	var args []string
	env, file := map[string]string{}, ""
	for name, value := range values {
		if cmd.Flags().Lookup(name) == nil {
			t.Errorf("there is no --%s", name)
		}
		args = append(args, "--"+name+"="+value)
		env[envName(name)] = value
		file += name + ": " + value + "\n"
	}
	byFlag, problems := load(t, args, nil, "")
	if problems != "" {
		t.Fatal(problems)
	}
	if got := string(byFlag.node.Cluster.SplitAt[0]); got != "a,b" {
		t.Errorf("the first split is %q, want a,b", got)
	}
	want := shown(&byFlag)
	for name, load := range map[string]func() (instanceConfig, string){
		"environment": func() (instanceConfig, string) { return load(t, nil, env, "") },
		"file":        func() (instanceConfig, string) { return load(t, nil, nil, file) },
	} {
		config, problems := load()
		if got := shown(&config); problems != "" || got != want {
			t.Errorf("%s: %s\n%s\nwant, as by flags,\n%s", name, problems, got, want)
		}
	}
}

func TestListsOfAFileMayBeYAML(t *testing.T) {
	config, problems := load(t, []string{"--name=n1"}, nil, `
split-at: [b, "%00%FF", 7]
initial-cluster:
  n1: 127.0.0.1:2380
  n2: 10.0.0.2:2380
`)
	if !strings.Contains(problems, `split-at: key "\x00\xff" does not come after "b"`) {
		t.Errorf("the problem is %q", problems)
	}
	if got := len(config.node.Cluster.Members); got != 2 || config.node.Cluster.Shards != 4 {
		t.Errorf("%d members, %d shards; want 2 and 4", got, config.node.Cluster.Shards)
	}
}

func TestAllProblemsAreToldAtOnce(t *testing.T) {
	_, problems := load(t,
		[]string{"--initial-shards", "x", "--durability=maybe", "--max-txn-ops=0"},
		map[string]string{"MIRUVOR_REQUEST_TIMEOUT": "soon", "MIRUVOR_PPROF": "perhaps"},
		"replicas: many\ndta: x\nread-mode: null\nclient: nowhere\n")
	for _, want := range []string{
		`--initial-shards is "x": invalid syntax`,
		`--durability is "maybe": it must be one of sync, os, memory`,
		`MIRUVOR_REQUEST_TIMEOUT is "soon": `,
		`MIRUVOR_PPROF is "perhaps": `,
		`c.yaml: replicas is "many": invalid syntax`,
		`c.yaml: "dta" is no setting`,
		`c.yaml: read-mode: it is empty`,
		`--client is "nowhere": it must be host:port`,
		`--max-txn-ops is 0, it must be from 1 to 100000`,
	} {
		if !strings.Contains(problems, want) {
			t.Errorf("nothing says %s in\n%s", want, problems)
		}
	}
	if got := strings.Count(problems, "\n"); got != 9 {
		t.Errorf("%d lines for 9 problems:\n%s", got, problems)
	}
}

func TestAFileThatCannotBeReadIsAProblem(t *testing.T) {
	for name, test := range map[string]struct{ file, want string }{
		"not YAML":      {"a: [", "yaml"},
		"a name twice":  {"name: a\nname: b", `"name" already set`},
		"no mapping":    {"- a", "cannot unmarshal array"},
		"config inside": {"config: other.yaml", `"config" is no setting`},
		"help inside":   {"help: true", `"help" is no setting`},
	} {
		if _, problems := load(t, nil, nil, test.file); !strings.Contains(problems, test.want) {
			t.Errorf("%s: %q does not say %q", name, problems, test.want)
		}
	}
	_, problems := load(t, []string{"--config", "missing.yaml"}, nil, "")
	if !strings.Contains(problems, "--config: open missing.yaml: no such file") {
		t.Errorf("a missing file: %q", problems)
	}
}
