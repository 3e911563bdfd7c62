package replica

// Hold has transactions that may write wait before they are evaluated, or go on. It is
// for when the engine can't keep up with what is applied. They wait in the queue, which
// is bounded, so that who asks for more is refused; what was evaluated goes on, and so
// do reads, leases and whatever else the log serves.
func (r *Replica) Hold(held bool, out *Output) {
	r.held = held
	r.evaluate(out)
}
