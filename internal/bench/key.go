package bench

import (
	"net/url"
	"strconv"
)

const letters = "0123456789abcdefghijklmnopqrstuvwxyz"

// head begins the key with number n: the prefix, or two characters that spread
// the keys over the key space.
func (c *Config) head(n int) string {
	if c.Prefix != "" {
		return c.Prefix
	}
	h := scatter(uint64(n))
	size := uint64(len(letters))
	return string([]byte{letters[h%size], letters[h/size%size]}) + "/bench/"
}

// scatter is a bijection of numbers without visible order (the finalizer of
// MurmurHash3, which is in the public domain).
func scatter(n uint64) uint64 {
	n ^= n >> 33
	n *= 0xff51afd7ed558ccd
	n ^= n >> 33
	n *= 0xc4ceb9fe1a85ec53
	return n ^ n>>33
}

// appendPath appends the path of the key with number n, percent-encoded.
func (c *Config) appendPath(dst []byte, n int) []byte {
	head := c.head(n)
	dst = append(dst, "/v1/kv/"...)
	if c.Prefix != "" {
		dst = append(dst, url.PathEscape(head)...)
	} else {
		dst = append(dst, head...)
	}
	var digits [20]byte
	number := strconv.AppendInt(digits[:0], int64(n), 10)
	for range c.KeyBytes - len(head) - len(number) {
		dst = append(dst, '0')
	}
	return append(dst, number...)
}
