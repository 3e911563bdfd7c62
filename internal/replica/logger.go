package replica

import (
	"fmt"
	"log/slog"

	"go.etcd.io/raft/v3"
)

// raftLogger passes what raft says to slog. Raft reports every election step
// as information; here that is detail.
type raftLogger struct{ log *slog.Logger }

var _ raft.Logger = raftLogger{}

func (l raftLogger) Debug(...any)          {}
func (l raftLogger) Debugf(string, ...any) {}

func (l raftLogger) Info(v ...any)               { l.log.Debug("raft", "says", fmt.Sprint(v...)) }
func (l raftLogger) Infof(f string, v ...any)    { l.log.Debug("raft", "says", lazy{f, v}) }
func (l raftLogger) Warning(v ...any)            { l.Info(v...) }
func (l raftLogger) Warningf(f string, v ...any) { l.Infof(f, v...) }

func (l raftLogger) Error(v ...any)            { l.log.Error("raft", "says", fmt.Sprint(v...)) }
func (l raftLogger) Errorf(f string, v ...any) { l.log.Error("raft", "says", lazy{f, v}) }

func (l raftLogger) Panic(v ...any)            { panic("raft: " + fmt.Sprint(v...)) }
func (l raftLogger) Panicf(f string, v ...any) { panic("raft: " + fmt.Sprintf(f, v...)) }
func (l raftLogger) Fatal(v ...any)            { l.Panic(v...) }
func (l raftLogger) Fatalf(f string, v ...any) { l.Panicf(f, v...) }

// lazy formats only if somebody reads the line.
type lazy struct {
	format string
	args   []any
}

func (l lazy) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf(l.format, l.args...)) }
