package kv

// LeaseID names a lease. It is positive; 0 stands for none.
type LeaseID int64

// Bounds of a lease's time to live, in seconds. What is below is raised, what
// is above is refused (ErrLeaseTTLTooLarge); both as etcd does.
const (
	LeaseTTLMin = 2
	LeaseTTLMax = 9_000_000_000
)

// LeaseGrantRequest asks for a new lease.
type LeaseGrantRequest struct {
	// ID is the lease's; 0 has the cluster choose one. One that exists is
	// refused (ErrLeaseExists).
	ID LeaseID
	// TTL is the time to live, in seconds, that begins anew with each
	// keep-alive.
	TTL int64
}

// Lease is a lease as it stands. Keys that hang on it are deleted, all at one
// revision, when it expires or is revoked.
type Lease struct {
	ID LeaseID
	// TTL is the time left in seconds, rounded down; Granted what it begins
	// with.
	TTL, Granted int64
	// Keys are those that hang on it, ascending, if they were asked for.
	Keys [][]byte
	// Revision is the cluster's current one.
	Revision Revision
}

// LeaseList are the leases there are, by id.
type LeaseList struct {
	IDs      []LeaseID
	Revision Revision
}
