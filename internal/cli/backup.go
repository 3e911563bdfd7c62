package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/backup"
	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
)

type backupCommand struct {
	*remote
	output *choice
}

func newBackup() *cobra.Command {
	b := &backupCommand{output: newChoice(outputTable, outputJSON)}
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write all keys, as of one revision, with their leases to a file",
		Long: `Write all keys, as of one revision, with their leases to a file, while others go on
to write. The file appears when it is complete and on disk; one that exists is not
overwritten. With - it is standard output. miruvor check FILE verifies it, and
miruvor restore makes a cluster of it.`,
		Example: `  miruvor backup miruvor-monday.backup
  miruvor backup - | ssh elsewhere 'cat > miruvor.backup'`,
		Args: cobra.ExactArgs(1),
		RunE: b.run,
	}
	b.remote = addRemote(cmd)
	addChoice(cmd, b.output, "output", "o", "form of the answer")
	return cmd
}

func (b *backupCommand) run(cmd *cobra.Command, args []string) error {
	client, err := b.open()
	if err != nil {
		return err
	}
	defer client.Close()
	if args[0] == "-" {
		return ended(cmd.Context(), b.toOutput(cmd, client))
	}
	sum, err := b.toFile(cmd, client, args[0])
	if err != nil {
		return ended(cmd.Context(), err)
	}
	return printBackup(cmd.OutOrStdout(), b.output, args[0], sum)
}

// toOutput leaves standard output to the backup alone.
func (b *backupCommand) toOutput(cmd *cobra.Command, client *httpclient.Client) error {
	if isTerminal(cmd.OutOrStdout()) {
		return usagef("standard output is a terminal, which can't hold a backup")
	}
	sum, err := b.write(cmd, client, cmd.OutOrStdout())
	if err != nil {
		return err
	}
	return printBackup(cmd.ErrOrStderr(), b.output, "-", sum)
}

// backupAttempts is how often a backup begins anew that compaction overtook.
const backupAttempts = 3

// toFile makes a file that is there as a whole or not at all.
func (b *backupCommand) toFile(
	cmd *cobra.Command, client *httpclient.Client, path string,
) (backup.Summary, error) {
	if _, err := os.Lstat(path); err == nil {
		return backup.Summary{}, existsAlready(path)
	}
	dir, name := filepath.Split(path)
	file, err := os.CreateTemp(filepath.Clean(dir+"."), name+".*.unfinished")
	if err != nil {
		return backup.Summary{}, err
	}
	sum, err := b.fill(cmd, client, file)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = publish(file.Name(), path)
	}
	return sum, errors.Join(err, removeIfThere(file.Name()))
}

// fill writes a backup to a file, and begins it anew if compaction overtakes it.
func (b *backupCommand) fill(
	cmd *cobra.Command, client *httpclient.Client, file *os.File,
) (sum backup.Summary, err error) {
	for range backupAttempts {
		if sum, err = b.write(cmd, client, file); !errors.Is(err, kv.ErrCompacted) {
			break
		}
		_, err2 := file.Seek(0, io.SeekStart)
		if err2 = errors.Join(err2, file.Truncate(0)); err2 != nil {
			return sum, errors.Join(err, err2)
		}
	}
	return sum, err
}

func existsAlready(path string) error {
	return fmt.Errorf("%s exists already, it is not overwritten", path)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// publish gives a complete file its name, for good. A link is refused where there is a
// file by then; a rename, for file systems without links, would replace it.
func publish(unfinished, path string) error {
	err := os.Link(unfinished, path)
	if errors.Is(err, fs.ErrExist) {
		return existsAlready(path)
	}
	if err != nil {
		if _, err := os.Lstat(path); err == nil {
			return existsAlready(path)
		}
		err = os.Rename(unfinished, path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil // it is no fault of the backup if its directory can't be read
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (b *backupCommand) write(
	cmd *cobra.Command, client *httpclient.Client, out io.Writer,
) (backup.Summary, error) {
	bar := &meter{}
	defer func() { bar.end() }()
	opts := backup.Options{}
	if isTerminal(cmd.ErrOrStderr()) {
		opts.Progress = func(p backup.Progress) {
			if bar.bar == nil {
				bar = newMeter(cmd.ErrOrStderr(), "keys", p.Total)
			}
			bar.set(p.Keys)
		}
	}
	return backup.Write(cmd.Context(), patient{client, b.timeout}, out, opts)
}

// patient is a store whose requests may take so long each.
type patient struct {
	kv.Store
	timeout time.Duration
}

// Range implements kv.Store.
func (p patient) Range(ctx context.Context, req kv.RangeRequest) (kv.RangeResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	return p.Store.Range(ctx, req)
}

// Leases implements kv.Store.
func (p patient) Leases(ctx context.Context) (kv.LeaseList, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	return p.Store.Leases(ctx)
}

// LeaseTimeToLive implements kv.Store.
func (p patient) LeaseTimeToLive(
	ctx context.Context, id kv.LeaseID, keys bool,
) (kv.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	return p.Store.LeaseTimeToLive(ctx, id, keys)
}

// Status implements kv.Store.
func (p patient) Status(ctx context.Context) (kv.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	return p.Store.Status(ctx)
}
