package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
)

// The exit codes, as rootText's exitText promises.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitNo          = 3
	exitInterrupted = 130
)

// usageError is a command line or a configuration that cannot be run.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// noError is a clear "no" of the store: no such key or lease, or a condition
// that does not hold.
type noError struct{ error }

func nof(format string, args ...any) error { return noError{fmt.Errorf(format, args...)} }

// errInterrupted ends a command by a signal.
var errInterrupted = errors.New("interrupted")

// exitCode is what err means for the shell.
func exitCode(err error) int {
	var usage usageError
	var no noError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &no):
		return exitNo
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	}
	return exitError
}

// report prints err, a line for each of the problems joined in it.
func report(w io.Writer, err error) {
	for _, problem := range problems(err) {
		fmt.Fprintf(w, "miruvor: %s\n", oneLine(problem))
	}
}

// problems takes joined errors apart.
func problems(err error) []error {
	if err == nil {
		return nil
	}
	var usage usageError
	if errors.As(err, &usage) {
		err = usage.error
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || !strings.Contains(err.Error(), "\n") {
		return []error{err}
	}
	var list []error
	for _, one := range joined.Unwrap() {
		list = append(list, problems(one)...)
	}
	return list
}

// oneLine is the text of err on a line, without the words that every refused
// request begins with: that it is refused is plain from here.
func oneLine(err error) string {
	text := err.Error()
	if errors.Is(err, kv.ErrInvalid) {
		text = strings.TrimPrefix(text, kv.ErrInvalid.Error()+": ")
	}
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }), "; ")
}

// ended is err, or why ctx ended if that is what happened.
func ended(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errInterrupted) {
		return errInterrupted
	}
	return err
}
