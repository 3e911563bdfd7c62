package sim

func (c *cluster) check() error { return nil }
