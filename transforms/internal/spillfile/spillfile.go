// Package spillfile makes the files that steps put on disk what memory has no room for. A file has no name: a crash leaves
// nothing behind.
package spillfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/sluice-data/sluice/internal/fail"
)

// New makes a file in dir, or in the system's directory for temporary files where dir is "". Its owner closes it, and its room is
// free then. The error is one for Error.
func New(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "sluice-spill-*")
	if err != nil {
		return nil, fmt.Errorf("create spill file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("unlink spill file: %w", err), f.Close())
	}
	return f, nil
}

// Error is err, of making, reading or writing a step's file, with its kind: Temporary, but Usage where the disk is full, or takes no files, which it stays
// for another attempt; advice says what would help where it is full.
func Error(step string, err error, advice string) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fail.Newf(fail.Usage, "%s: %w: %s", step, err, advice)
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EROFS) {
		return fail.Newf(fail.Usage, "%s: %w: give --tmp-dir (or TMPDIR) a directory that the worker may write to", step, err)
	}
	return fail.Newf(fail.Temporary, "%s: %w", step, err)
}
