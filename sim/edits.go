package sim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fields are what of a configuration can be set by name, for flags and for the shrinker.
func (cfg *Config) fields() map[string]any {
	shape, sizes, l := &cfg.Shape, &cfg.Sizes, &cfg.Load
	fields := map[string]any{
		"nodes": &shape.Nodes, "workers": &shape.Workers, "shards": &shape.Shards,
		"replicas": &shape.Replicas,
		"segment":  &sizes.Segment, "window": (*int64)(&sizes.Window),
		"part": &sizes.Part, "value": &sizes.Value, "tail": &sizes.Tail, "keep": &sizes.Keep,

		"clients": &l.Clients, "length": &l.Length, "watchers": &l.Watchers, "think": &l.Think,
		"keys": &l.Keys, "janitors": &l.Janitors, "keepers": &l.Keepers, "wardens": &l.Wardens,
		"bankers": &l.Bankers, "listers": &l.Listers, "counters": &l.Counters,
		"plain": &l.Plain,

		"ordered": &cfg.Net.Ordered, "down": &cfg.Faults.Down,

		"drift": &cfg.Drift, "salt": &cfg.Salt, "without": &cfg.Without,
	}
	maps.Copy(fields, cfg.faultFields())
	return fields
}

// faultFields are those of what goes wrong: a mean time or a probability each, of which
// the shrinker tries whether the failure needs it.
func (cfg *Config) faultFields() map[string]any {
	n, f := &cfg.Net, &cfg.Faults
	return map[string]any{
		"slow": &n.Slow, "drop": &n.Drop, "duplicate": &n.Duplicate,

		"crash": &f.Crash, "power": &f.PowerLoss, "wipe": &f.Wipe, "handover": &f.Handover,
		"move": &f.Move, "pause": &f.Pause, "partition": &f.Partition, "stall": &f.Stall,
		"betray": &f.Betray, "ambush": &f.Ambush, "depose": &f.Depose, "lag": &f.Lag,
		"hold":          &f.Hold,
		"streamfailure": &f.StreamFailure, "votercrash": &f.VoterCrash, "tear": &f.Tear,
		"streamslow": &f.StreamSlow, "writecrash": &f.WriteCrash, "freshcut": &f.FreshCut,
	}
}

// edit sets fields: name=value, separated by commas; the elements of a list by plus signs.
func (cfg *Config) edit(text string) error {
	if text == "" {
		return nil
	}
	fields := cfg.fields()
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		field, ok := fields[name]
		if !ok {
			return fmt.Errorf("set %s: there is no field %q; there are %s", part, name,
				strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		}
		if err := set(field, value); err != nil {
			return fmt.Errorf("set %s: %w", part, err)
		}
	}
	return nil
}

func set(field any, value string) error {
	var err error
	switch f := field.(type) {
	case *int:
		*f, err = strconv.Atoi(value)
	case *int64:
		*f, err = strconv.ParseInt(value, 10, 64)
	case *uint64:
		*f, err = strconv.ParseUint(value, 10, 64)
	case *float64:
		*f, err = strconv.ParseFloat(value, 64)
	case *bool:
		*f, err = strconv.ParseBool(value)
	case *time.Duration:
		*f, err = time.ParseDuration(value)
	case *[]int:
		*f, err = parseInts(value)
	default:
		err = fmt.Errorf("a %T can't be set", field)
	}
	return err
}

func parseInts(text string) ([]int, error) {
	var list []int
	for part := range strings.SplitSeq(text, "+") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

// editsText is what edit takes: the fields of cfg that are not as in base.
func (cfg *Config) editsText(base *Config) string {
	was, is := base.fields(), cfg.fields()
	var parts []string
	for name := range is {
		if text := fieldText(is[name]); text != fieldText(was[name]) {
			parts = append(parts, name+"="+text)
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

func fieldText(field any) string {
	switch f := field.(type) {
	case *int:
		return strconv.Itoa(*f)
	case *int64:
		return strconv.FormatInt(*f, 10)
	case *uint64:
		return strconv.FormatUint(*f, 10)
	case *float64:
		return strconv.FormatFloat(*f, 'g', -1, 64)
	case *bool:
		return strconv.FormatBool(*f)
	case *time.Duration:
		return f.String()
	case *[]int:
		parts := make([]string, len(*f))
		for i, n := range *f {
			parts[i] = strconv.Itoa(n)
		}
		return strings.Join(parts, "+")
	}
	return ""
}
