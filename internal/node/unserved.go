package node

import (
	"context"
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
)

var errUnserved = fmt.Errorf("%w: not served yet", kv.ErrInvalid)

// Watch implements kv.Store.
func (n *Node) Watch(context.Context) (kv.WatchStream, error) { return nil, errUnserved }
