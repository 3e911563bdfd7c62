// Package casualties plays what others suffered from: one scene for each bug
// of another system that could have been ours, named for its report. It holds
// tests only.
//
// A scene is a schedule, not a draw: who crashes, pauses, is cut off, whose
// disk or message is late, and when. It happens on a stage, which is a whole
// cluster in one thread and in virtual time: the core that nodes run (member,
// worker, hub of watches), the raft log on a file system that forgets what was
// not synced, and an engine that crashes on command. Where a bug sat above or
// below that, its scene is told there: over a node's gRPC, on Pebble.
//
//	stage  time, the order of things, what is told to clients
//	host   a node: its disk outlives its process
//	mail   messages between hosts; scenes cut links, hold and lose them
//	flight a snapshot on its way
//	ear    a client that watches
//	prove  plays a scene, and again with each bug that it must notice
//
// A scene that can't fail shows nothing. So each names deliberate bugs
// (package mutant) under which it has to fail, or docs/testing.md says which
// change of the code was seen to fail it; the table there lists all scenes, and
// TestTheTableIsTheScenes holds one to the other.
package casualties

import (
	"fmt"
	"runtime/debug"
	"testing"
	"testing/cryptotest"

	"github.com/miruvor/miruvor/internal/mutant"
)

// failure is a scene's objection; any other panic is the core's own.
type failure struct{ error }

// prove plays a scene on the code as it is, where it must hold, and with each
// of the bugs, under which it must not.
func prove(t *testing.T, set setting, scene func(*stage), bugs ...mutant.Mutant) {
	t.Helper()
	if raced && !set.pebble {
		t.Skip("everything is in one goroutine: there is nothing to race")
	}
	t.Run("sound", func(t *testing.T) {
		if err := play(t, set, scene); err != nil {
			t.Error(err)
		}
	})
	if raced {
		return // a bug is a bug without it
	}
	for _, bug := range bugs {
		t.Run("with "+bug.String(), func(t *testing.T) {
			set.bug = bug
			err := play(t, set, scene)
			if err == nil {
				t.Fatalf("the scene does not notice the bug %v", bug)
			}
			t.Logf("noticed: %.300v", err)
		})
	}
}

// proveAlone plays a scene on one data shard, too, whose leader numbers its writes itself:
// where there are several, an oracle does.
func proveAlone(t *testing.T, set setting, scene func(*stage), bugs ...mutant.Mutant) {
	t.Helper()
	prove(t, set, scene, bugs...)
	t.Run("alone", func(t *testing.T) {
		set.splitAt = nil
		prove(t, set, scene)
	})
}

// play plays a scene once. What the scene objects to, or the core, is the error.
func play(t *testing.T, set setting, scene func(*stage)) (err error) {
	cryptotest.SetGlobalRandom(t, 1) // raft's election jitter
	st := newStage(t, set)
	defer st.close()
	defer func() {
		switch p := recover().(type) {
		case nil:
		case failure:
			err = p.error
		default:
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	st.raise()
	scene(st)
	return nil
}
