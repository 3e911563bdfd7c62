package backup

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"hash/crc32"
	"os"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

var update = flag.Bool("update", false, "write the golden file anew")

// TestFormat holds the bytes of a backup against those of a file that must be
// readable for ever.
func TestFormat(t *testing.T) {
	const golden = "testdata/version1.hex"
	got := hex.Dump(sampleFiles(t)[1])
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the file is\n%s\nit was\n%s", got, want)
	}
}

// sealed puts right the checksums of a file with one block of keys whose body
// begins at 80, so that what is wrong with it otherwise comes to light.
func sealed(file []byte) []byte {
	le := binary.LittleEndian
	le.PutUint32(file[60:], crc32.Checksum(file[:60], castagnoli))
	size := int(le.Uint32(file[64:]))
	if size > len(file)-80 {
		return file
	}
	crc := crc32.Checksum(file[64:76], castagnoli)
	le.PutUint32(file[76:], crc32.Update(crc, castagnoli, file[80:80+size]))
	return file
}

// TestWhatChecksumsDoNotFind changes what has its checksum put right.
func TestWhatChecksumsDoNotFind(t *testing.T) {
	const body = headerBytes + blockHeaderBytes
	whole := sampleFiles(t)[1]
	for _, test := range []struct {
		name   string
		change func(file []byte)
		want   string
	}{
		{"magic", func(f []byte) { f[0]++ }, "offset 0: this is not a backup"},
		{"newer", func(f []byte) { f[8]++ }, "format 2, this version understands up to"},
		{"older", func(f []byte) { f[8]-- }, "offset 0: unknown format"},
		{"filler", func(f []byte) { f[50]++ }, "offset 0: the header has bytes that mean"},
		{"revision 0", func(f []byte) { clear(f[24:32]) }, "offset 0: the revision is out"},
		{"revision below", func(f []byte) { f[25] = 0 }, "mod revision is above that of the"},
		{"no block", func(f []byte) { f[68] = 9 }, "offset 64: this is not a block"},
		{"huge block", func(f []byte) { f[67] = 9 }, "offset 64: the block's size is out of"},
		{"empty block", func(f []byte) { f[72] = 0 }, "offset 64: the block's number of records"},
		{"too few", func(f []byte) { f[72] = 1 }, "offset 94: the block goes on after"},
		{"too many", func(f []byte) { f[72] = 3 }, "offset 109: length of the key is"},
		{"long key", func(f []byte) { f[body] = 0x7f }, "offset 80: key is cut off"},
		{"empty key", func(f []byte) { f[body] = 0 }, "length of the key is out of bounds"},
		{"order", func(f []byte) { f[body+1] = 'b' }, "offset 94: key is not above the one"},
		{"version", func(f []byte) { f[body+6] = 2 }, "version and revisions contradict"},
		{"later block", func(f []byte) { f[68] = byte(kindEnd); clear(f[72:76]) }, "offset 80: "},
	} {
		file := bytes.Clone(whole)
		test.change(file)
		_, err := Read("f", bytes.NewReader(sealed(file)), Sink{})
		if !errors.Is(err, kv.ErrCorrupt) && !errors.Is(err, kv.ErrInvalid) ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// TestKeysOnALeaseThatIsMissing leaves the leases out.
func TestKeysOnALeaseThatIsMissing(t *testing.T) {
	var out bytes.Buffer
	w, err := newWriter(&out, Header{Revision: 9})
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(w.key(&kv.KeyValue{
		Key: []byte("k"), CreateRevision: 2, ModRevision: 2, Version: 1, Lease: 5,
	}), w.finish(&Summary{}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Read("f", &out, Sink{})
	if !errors.Is(err, kv.ErrCorrupt) || !strings.Contains(err.Error(), "lease 5, which is") {
		t.Errorf("%v", err)
	}
}
