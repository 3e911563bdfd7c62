package kubernetes

import (
	"context"
	"slices"
	"testing"

	"k8s.io/apiserver/pkg/features"
	"k8s.io/apiserver/pkg/storage"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
)

// scenario is a test of Kubernetes and what it needs.
type scenario struct {
	name  string
	gates gates
	// alone says that the test switches features itself, so that clusters take
	// turns.
	alone bool
	run   func(ctx context.Context, t *testing.T, f *fixture)
}

// plain adapts a test that needs a store only.
func plain(test func(context.Context, *testing.T, storage.Interface)) func(
	context.Context, *testing.T, *fixture,
) {
	return func(ctx context.Context, t *testing.T, f *fixture) { test(ctx, t, f.Interface) }
}

// runAll runs scenarios one by one, on all clusters at once, each on a store of
// its own.
func runAll(t *testing.T, scenarios ...[]scenario) {
	for _, s := range slices.Concat(scenarios...) {
		t.Run(s.name, func(t *testing.T) {
			s.gates.set(t)
			onEach(t, func(t *testing.T, c *cluster) {
				if !s.alone {
					t.Parallel()
				}
				s.run(testContext(t), t, newFixture(t, c))
			})
		})
	}
}

var (
	deletesUnsafely = gates{features.AllowUnsafeMalformedObjectDeletion: true}
	noSnapshots     = gates{features.ListFromCacheSnapshot: false}
	streams         = gates{features.EtcdRangeStream: true}
	pages           = gates{features.EtcdRangeStream: false}
)

func TestStorage(t *testing.T) {
	runAll(t, creates, deletes, corrupt, updates)
}

var creates = []scenario{
	{name: "Create", run: func(ctx context.Context, t *testing.T, f *fixture) {
		storagetesting.RunTestCreate(ctx, t, f, f.storedClean)
	}},
	{name: "CreateWithTTL", run: plain(storagetesting.RunTestCreateWithTTL)},
	{name: "CreateWithKeyExist", run: plain(storagetesting.RunTestCreateWithKeyExist)},
	{name: "Get", run: plain(storagetesting.RunTestGet)},
	{name: "KeySchema", run: plain(storagetesting.RunTestKeySchema)},
}

var deletes = []scenario{
	{name: "UnconditionalDelete", run: plain(storagetesting.RunTestUnconditionalDelete)},
	{name: "ConditionalDelete", run: plain(storagetesting.RunTestConditionalDelete)},
	{name: "DeleteWithSuggestion", run: plain(storagetesting.RunTestDeleteWithSuggestion)},
	{
		name: "DeleteWithSuggestionAndConflict",
		run:  plain(storagetesting.RunTestDeleteWithSuggestionAndConflict),
	},
	{
		name: "DeleteWithSuggestionOfDeletedObject",
		run:  plain(storagetesting.RunTestDeleteWithSuggestionOfDeletedObject),
	},
	{
		name: "ValidateDeletionWithSuggestion",
		run:  plain(storagetesting.RunTestValidateDeletionWithSuggestion),
	},
	{
		name: "ValidateDeletionWithOnlySuggestionValid",
		run:  plain(storagetesting.RunTestValidateDeletionWithOnlySuggestionValid),
	},
	{name: "DeleteWithConflict", run: plain(storagetesting.RunTestDeleteWithConflict)},
	{
		name: "PreconditionalDeleteWithSuggestion",
		run:  plain(storagetesting.RunTestPreconditionalDeleteWithSuggestion),
	},
	{
		name: "PreconditionalDeleteWithOnlySuggestionPass",
		run:  plain(storagetesting.RunTestPreconditionalDeleteWithOnlySuggestionPass),
	},
}

// corrupt are tests of values that cannot be read.
var corrupt = []scenario{
	{
		name: "DeleteUndecodableWithConflict", gates: deletesUnsafely,
		run: func(ctx context.Context, t *testing.T, f *fixture) {
			storagetesting.RunTestDeleteWithConflictAndMissingExpectedTransformOrDecodeError(
				ctx, t, f, f.codec.failing.Store)
		},
	},
	{
		name: "DeleteUntransformable", gates: deletesUnsafely,
		run: func(ctx context.Context, t *testing.T, f *fixture) {
			storagetesting.RunTestDeleteExpectedTransformOrDecodeError(
				ctx, t, f, f.transformer.failing.Store)
		},
	},
	{
		name: "DeleteUndecodable", gates: deletesUnsafely,
		run: func(ctx context.Context, t *testing.T, f *fixture) {
			storagetesting.RunTestDeleteExpectedTransformOrDecodeError(
				ctx, t, f, f.codec.failing.Store)
		},
	},
	{
		name: "DeleteReadableAsCorrupt", gates: deletesUnsafely,
		run: func(ctx context.Context, t *testing.T, f *fixture) {
			storagetesting.RunTestDeleteWithSuggestionAndMissingExpectedTransformOrDecodeError(
				ctx, t, f)
		},
	},
	{
		name: "GetListWithErrorAggregation", gates: deletesUnsafely,
		run: func(ctx context.Context, t *testing.T, f *fixture) {
			storagetesting.RunTestGetListWithErrorAggregation(
				ctx, t, f.deletesCorrupt(), errCorrupt(ctx))
		},
	},
	{
		name:  "GetListWithoutErrorAggregation",
		gates: gates{features.AllowUnsafeMalformedObjectDeletion: false},
		run: func(ctx context.Context, t *testing.T, f *fixture) {
			storagetesting.RunTestGetListWithoutErrorAggregation(ctx, t, f, errCorrupt(ctx))
		},
	},
	{name: "TransformationFailure", run: func(ctx context.Context, t *testing.T, f *fixture) {
		storagetesting.RunTestTransformationFailure(ctx, t, f)
	}},
}

var updates = []scenario{
	{name: "GuaranteedUpdate", run: func(ctx context.Context, t *testing.T, f *fixture) {
		storagetesting.RunTestGuaranteedUpdate(ctx, t, f, f.storedClean)
	}},
	{name: "GuaranteedUpdateWithTTL", run: plain(storagetesting.RunTestGuaranteedUpdateWithTTL)},
	{
		name: "GuaranteedUpdateChecksStoredData",
		run: func(ctx context.Context, t *testing.T, f *fixture) {
			storagetesting.RunTestGuaranteedUpdateChecksStoredData(ctx, t, f)
		},
	},
	{
		name: "GuaranteedUpdateWithConflict",
		run:  plain(storagetesting.RunTestGuaranteedUpdateWithConflict),
	},
	{
		name: "GuaranteedUpdateWithSuggestionAndConflict",
		run:  plain(storagetesting.RunTestGuaranteedUpdateWithSuggestionAndConflict),
	},
}
