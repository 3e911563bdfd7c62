package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

func TestExitCodesAndLines(t *testing.T) {
	invalid := kv.Invalid("limit is %d", 3)
	for name, test := range map[string]struct {
		err  error
		code int
		text string
	}{
		"none":        {nil, 0, ""},
		"plain":       {errors.New("boom"), 1, "miruvor: boom\n"},
		"usage":       {usagef("--x is 3"), 2, "miruvor: --x is 3\n"},
		"no":          {nof("there is no key a"), 3, "miruvor: there is no key a\n"},
		"wrapped no":  {fmt.Errorf("get: %w", nof("gone")), 3, "miruvor: get: gone\n"},
		"interrupted": {errInterrupted, 130, "miruvor: interrupted\n"},
		"refused":     {invalid, 1, "miruvor: limit is 3\n"},
		"joined": {
			usageError{errors.Join(invalid, errors.Join(errors.New("b"), errors.New("c")))},
			2, "miruvor: limit is 3\nmiruvor: b\nmiruvor: c\n",
		},
		"a text of two lines": {errors.New("a\nb"), 1, "miruvor: a; b\n"},
		"joined inside": {
			fmt.Errorf("x: %w", errors.Join(errors.New("a"), errors.New("b"))),
			1, "miruvor: x: a; b\n",
		},
	} {
		var text strings.Builder
		report(&text, test.err)
		if code := exitCode(test.err); code != test.code || text.String() != test.text {
			t.Errorf("%s: %d and %q, want %d and %q",
				name, code, text.String(), test.code, test.text)
		}
	}
}

func TestASignalIsTheReasonOfWhatFailedBecauseOfIt(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	failed := errors.New("failed")
	if got := ended(ctx, failed); !errors.Is(got, failed) {
		t.Errorf("before the signal: %v", got)
	}
	cancel(errInterrupted)
	if got := ended(ctx, failed); !errors.Is(got, errInterrupted) {
		t.Errorf("after the signal: %v", got)
	}
	if got := ended(ctx, nil); got != nil {
		t.Errorf("what succeeded all the same: %v", got)
	}
}
