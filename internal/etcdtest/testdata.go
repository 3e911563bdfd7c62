package etcdtest

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"path"
	"strings"
)

// packed ends the names of files that are compressed. Walks are so many that
// nobody reads them all; zcat shows one.
const packed = ".gz"

//go:embed testdata
var testdata embed.FS

// Edges are the scripts written by hand, one a theme.
func Edges() ([]*Script, error) { return load("testdata/edges") }

// Walks are the recorded random sequences.
func Walks() ([]*Script, error) { return load("testdata/walks") }

func load(dir string) ([]*Script, error) {
	entries, err := testdata.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var scripts []*Script
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		text, err := testdata.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(name, packed) {
			if text, err = unpack(text); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		s, err := Parse(name, string(text))
		if err != nil {
			return nil, err
		}
		scripts = append(scripts, s)
	}
	return scripts, nil
}

func unpack(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// Pack is how the text of walks is stored.
func Pack(text string) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
