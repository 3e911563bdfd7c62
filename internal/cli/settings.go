package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"
)

// settings are flags that can also be set in the environment and in a YAML
// file. A flag wins over the environment, the environment over the file.
//
// A flag's value that cannot be read does not end the parsing at once: it is
// kept, so that load can tell everything that is wrong.
type settings struct {
	flags *pflag.FlagSet
	// file is the flag that names the file; it is no setting of a file.
	file     string
	problems []error
}

// newSettings takes over flags, all of which were added before. The flag called
// file names the file.
func newSettings(flags *pflag.FlagSet, file string) *settings {
	s := &settings{flags: flags, file: file}
	flags.VisitAll(func(f *pflag.Flag) {
		f.Value = &keptValue{Value: f.Value, name: f.Name, settings: s}
		f.Usage += "\n[" + envName(f.Name) + "]"
	})
	return s
}

// envName is the environment variable of a flag.
func envName(flag string) string {
	return "MIRUVOR_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// keptValue is a flag's value whose errors are kept for later.
type keptValue struct {
	pflag.Value
	name     string
	settings *settings
}

// Set implements pflag.Value. It never fails.
func (v *keptValue) Set(text string) error {
	v.settings.set(v.Value, "--"+v.name, text)
	return nil
}

func (s *settings) set(value pflag.Value, source, text string) {
	if err := value.Set(text); err != nil {
		var number *strconv.NumError
		if errors.As(err, &number) {
			err = number.Err
		}
		s.problems = append(s.problems, fmt.Errorf("%s is %q: %w", source, text, err))
	}
}

// load sets what no flag has set, and returns all that is wrong. getenv is
// os.Getenv; an empty variable counts as none.
func (s *settings) load(getenv func(string) string) error {
	var fromFile map[string]any
	path := s.flags.Lookup(s.file).Value.String()
	if path == "" {
		path = getenv(envName(s.file))
	}
	if path != "" {
		var err error
		if fromFile, err = s.readFile(path); err != nil {
			s.problems = append(s.problems, err)
		}
	}
	s.flags.VisitAll(func(f *pflag.Flag) {
		kept, ok := f.Value.(*keptValue)
		if !ok || f.Changed || f.Name == s.file {
			return
		}
		if text := getenv(envName(f.Name)); text != "" {
			s.set(kept.Value, envName(f.Name), text)
		} else if value, ok := fromFile[f.Name]; ok {
			s.setFromFile(kept.Value, path, f.Name, value)
		}
	})
	return errors.Join(s.problems...)
}

// readFile reads the file and keeps a problem for each name that is no flag.
func (s *settings) readFile(path string) (map[string]any, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", s.file, err)
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict(data, &values); err != nil {
		return nil, fmt.Errorf("--%s: %s: %w", s.file, path, err)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		flag := s.flags.Lookup(name)
		if flag == nil || name == s.file {
			s.problems = append(s.problems,
				fmt.Errorf("%s: %q is no setting, see miruvor start --help", path, name))
		}
	}
	return values, nil
}

func (s *settings) setFromFile(value pflag.Value, path, name string, given any) {
	source := path + ": " + name
	text, err := flagText(given)
	if err != nil {
		s.problems = append(s.problems, fmt.Errorf("%s: %w", source, err))
		return
	}
	s.set(value, source, text)
}

// flagText is a value of a YAML file as one would write it behind a flag: a
// list with commas, a map as name=value.
func flagText(given any) (string, error) {
	switch given := given.(type) {
	case string:
		return given, nil
	case bool:
		return strconv.FormatBool(given), nil
	case float64:
		return strconv.FormatFloat(given, 'f', -1, 64), nil
	case []any:
		var items []string
		for _, item := range given {
			text, err := flagText(item)
			if err != nil {
				return "", err
			}
			items = append(items, text)
		}
		return strings.Join(items, ","), nil
	case map[string]any:
		var items []string
		for _, name := range slices.Sorted(maps.Keys(given)) {
			text, err := flagText(given[name])
			if err != nil {
				return "", err
			}
			items = append(items, name+"="+text)
		}
		return strings.Join(items, ","), nil
	}
	return "", errors.New("it is empty")
}
