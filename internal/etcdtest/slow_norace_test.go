//go:build !race

package etcdtest_test

const slow = false
