package memory

import (
	"math/rand/v2"
	"testing"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/engine/enginetest"
)

func TestConformance(t *testing.T) {
	enginetest.Run(t, enginetest.Subject{
		Open: func(*testing.T) engine.Engine { return New() },
		Crash: func(_ *testing.T, e engine.Engine, rng *rand.Rand) engine.Engine {
			return e.(*Engine).Crash(rng)
		},
	})
}
