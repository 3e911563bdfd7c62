package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/backup"
	"github.com/miruvor/miruvor/internal/kv"
)

// backupJSON is a backup for programs.
type backupJSON struct {
	File     string       `json:"file"`
	Revision kv.Revision  `json:"revision"`
	Keys     int64        `json:"keys"`
	Leases   int64        `json:"leases"`
	Bytes    int64        `json:"bytes"`
	SHA256   string       `json:"sha256"`
	Cluster  kv.ClusterID `json:"cluster_id,string"`
	Time     time.Time    `json:"time"`
}

func describeBackup(file string, sum backup.Summary) backupJSON {
	return backupJSON{
		File: file, Revision: sum.Revision, Keys: sum.Keys, Leases: sum.Leases, Bytes: sum.Bytes,
		SHA256: hex.EncodeToString(sum.Checksum[:]), Cluster: sum.Cluster, Time: sum.Time,
	}
}

// printBackup tells what is in a backup.
func printBackup(out io.Writer, form *choice, file string, sum backup.Summary) error {
	b := describeBackup(file, sum)
	if form.value == outputJSON {
		return printJSON(out, b)
	}
	return printFields(out, []field{
		{"file", b.File},
		{"revision", int64(b.Revision)},
		{"keys", b.Keys},
		{"leases", b.Leases},
		{"bytes", b.Bytes},
		{"sha256", b.SHA256},
		{"cluster", b.Cluster},
		{"time", b.Time.Format(time.RFC3339)},
	})
}

// field is a line of an answer.
type field struct {
	name  string
	value any
}

func printFields(out io.Writer, fields []field) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range fields {
		fmt.Fprintf(table, "%s\t%v\n", f.name, f.value)
	}
	return table.Flush()
}

// isBackup tells whether path is to be checked as a file, and not as a directory.
func isBackup(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// checkBackup verifies a backup and tells what is in it.
func checkBackup(cmd *cobra.Command, form *choice, path string) error {
	file, size, err := openBackup(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	bar := newMeter(cmd.ErrOrStderr(), "bytes", size)
	src := &interruptible{cmd.Context(), file}
	sum, err := backup.Read(path, src, backup.Sink{Progress: bar.set})
	bar.end()
	if err != nil {
		return ended(cmd.Context(), err)
	}
	return printBackup(cmd.OutOrStdout(), form, path, sum)
}

// interruptible is a file that can be read until ctx ends.
type interruptible struct {
	ctx context.Context
	*os.File
}

// Read implements io.Reader.
func (f *interruptible) Read(p []byte) (int, error) {
	if err := f.ctx.Err(); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

func openBackup(path string) (file *os.File, size int64, err error) {
	if file, err = os.Open(path); err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = usagef("%s is not a file", path)
	}
	if err != nil {
		_ = file.Close() // nothing was read
		return nil, 0, err
	}
	return file, info.Size(), nil
}
