package kubernetes

import (
	"context"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/etcd3"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
	"k8s.io/apiserver/pkg/storage/value"
)

// faultyCodec fails to decode when told to.
type faultyCodec struct {
	runtime.Codec
	failing atomic.Bool
}

func (c *faultyCodec) Decode(
	data []byte, defaults *schema.GroupVersionKind, into runtime.Object,
) (runtime.Object, *schema.GroupVersionKind, error) {
	if c.failing.Load() {
		return nil, nil, errInjected
	}
	return c.Codec.Decode(data, defaults, into)
}

// faultyTransformer is a transformer that tests exchange while a store uses it,
// and that fails to read when told to.
type faultyTransformer struct {
	mu sync.RWMutex
	value.Transformer
	failing atomic.Bool
}

func (f *faultyTransformer) get() value.Transformer {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.Transformer
}

func (f *faultyTransformer) set(t value.Transformer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Transformer = t
}

func (f *faultyTransformer) TransformFromStorage(
	ctx context.Context, data []byte, about value.Context,
) ([]byte, bool, error) {
	if f.failing.Load() {
		return nil, false, errInjected
	}
	return f.get().TransformFromStorage(ctx, data, about)
}

func (f *faultyTransformer) TransformToStorage(
	ctx context.Context, data []byte, about value.Context,
) ([]byte, error) {
	return f.get().TransformToStorage(ctx, data, about)
}

// UpdatePrefixTransformer exchanges the transformer for one made of the usual
// one, until the returned function is called.
func (f *fixture) UpdatePrefixTransformer(
	modify storagetesting.PrefixTransformerModifier,
) func() {
	return f.UpdateTransformer(func(value.Transformer) value.Transformer {
		usual := *f.marking
		return modify(&usual)
	})
}

// UpdateTransformer exchanges the transformer for one made of the present one,
// until the returned function is called.
func (f *fixture) UpdateTransformer(modify storagetesting.TransformerModifier) func() {
	before := f.transformer.get()
	f.transformer.set(modify(before))
	return func() { f.transformer.set(before) }
}

// deletesCorrupt makes the store one that also deletes what it cannot read.
func (f *fixture) deletesCorrupt() *fixture {
	changed := *f
	changed.Interface = etcd3.NewStoreWithUnsafeCorruptObjectDeletion(f.Interface, pods)
	return &changed
}

// errCorrupt is what reading a value fails with that cannot be read.
func errCorrupt(ctx context.Context) error {
	failing := &faultyTransformer{}
	failing.failing.Store(true)
	_, _, err := etcd3.WithCorruptObjErrorHandlingTransformer(failing).
		TransformFromStorage(ctx, nil, value.DefaultContext{})
	return err
}

var (
	_ storagetesting.InterfaceWithPrefixTransformer   = (*fixture)(nil)
	_ storagetesting.InterfaceWithTransformerOverride = (*fixture)(nil)
	_ storage.Interface                               = (*fixture)(nil)
)
