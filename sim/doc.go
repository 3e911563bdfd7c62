// Package sim simulates whole clusters of the real core in one thread.
package sim
