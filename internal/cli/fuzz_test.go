package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// FuzzKey: a key that is shown can be given again, in hex whatever it is, and as text if
// it is shown as it is; what is shown moves no cursor.
func FuzzKey(f *testing.F) {
	f.Add([]byte("user/alice"))
	f.Add([]byte{0, 0xff, '"'})
	f.Add([]byte("\"quoted\"\u202e"))
	f.Fuzz(func(t *testing.T, key []byte) {
		inHex, asText := &keySyntax{hex: true}, &keySyntax{}
		if got, err := inHex.parse("KEY", inHex.show(key)); err != nil || !bytes.Equal(got, key) {
			t.Fatalf("%x is shown as %s, which is %x, %v", key, inHex.show(key), got, err)
		}
		shown := asText.show(key)
		if got, err := asText.parse("KEY", shown); err != nil || !bytes.Equal(got, key) {
			if unquoted, err := strconv.Unquote(shown); err != nil || unquoted != string(key) {
				t.Fatalf("%q is shown as %s", key, shown)
			}
		}
		for _, r := range shown {
			if r < ' ' || r == 0x7f || r >= 0x80 && !strconv.IsPrint(r) {
				t.Fatalf("%q is shown with %U in it", key, r)
			}
		}
	})
}

// FuzzTTL: a time to live is positive, and no shorter than it was given.
func FuzzTTL(f *testing.F) {
	f.Add("60")
	f.Add("1ns")
	f.Add("2562047h47m16.854775807s")
	f.Add("-1s")
	f.Fuzz(func(t *testing.T, text string) {
		ttl, err := parseTTL(text)
		if err != nil {
			return
		}
		if ttl <= 0 {
			t.Fatalf("%q is %d seconds", text, ttl)
		}
		if d, err := time.ParseDuration(text); err == nil && ttl < int64(d/time.Second) {
			t.Fatalf("%q is %d seconds", text, ttl)
		}
	})
}

// FuzzSettings: a file of settings, and a variable of the environment, set flags or are
// problems; a flag that was given stays as it is.
func FuzzSettings(f *testing.F) {
	f.Add([]byte("name: n1\nsize: 3\nlist: [a, b]\nmap: {x: 1, y: z}\n"), "7")
	f.Add([]byte("name: [[]]\nsize: 1e400\nwait: 5m\ngiven: other\n"), "")
	f.Add([]byte("- a\n"), "x")
	f.Add([]byte("&a [*a]"), "1")
	f.Fuzz(func(t *testing.T, file []byte, variable string) {
		path := filepath.Join(t.TempDir(), "settings.yaml")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
		flags.String("config", path, "")
		flags.String("name", "", "")
		size := flags.Int("size", 1, "")
		flags.Duration("wait", 0, "")
		flags.StringSlice("list", nil, "")
		flags.StringToString("map", nil, "")
		given := flags.String("given", "", "")
		s := newSettings(flags, "config")
		if err := flags.Parse([]string{"--given=this"}); err != nil {
			t.Fatal(err)
		}
		err := s.load(func(name string) string {
			if name == "MIRUVOR_SIZE" {
				return variable
			}
			return ""
		})
		if *given != "this" {
			t.Fatalf("a flag that is given became %q", *given)
		}
		if n, bad := strconv.ParseInt(variable, 0, 64); err == nil && variable != "" &&
			(bad != nil || int64(*size) != n) {
			t.Fatalf("MIRUVOR_SIZE is %q, and size %d", variable, *size)
		}
	})
}
