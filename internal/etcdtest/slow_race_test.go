//go:build race

package etcdtest_test

// slow tests replay a part of the walks.
const slow = true
