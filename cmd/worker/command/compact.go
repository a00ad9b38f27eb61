package command

import (
	"context"

	"github.com/spf13/pflag"

	"github.com/sluice-data/sluice/internal/event"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/job"
	"github.com/sluice-data/sluice/internal/spec"
)

// compaction is what worker compact takes beside where and with what it works.
type compaction struct {
	job.Compaction
	size string
}

var compactCommand = command{name: "compact", help: "compact URI: merge the small files of a table that runs wrote, folder by folder", argument: func(f *flags) *string { return &f.compact.URI },
	define: func(fs *pflag.FlagSet, f *flags) {
		fs.StringVar(&f.compact.size, "target-file-size", "256MB", "files get about this `SIZE`; those of three quarters of it and more stay as they are")
		fs.StringArrayVar(&f.compact.Partitions, "partition", nil, "only this partition, by the name of its folder: `NAME=VALUE`, or several with / between; may be repeated")
		fs.BoolVar(&f.compact.DryRun, "dry-run", false, "say what would be merged, and write nothing")
		f.defineMachine(fs)
	}, run: compact}

// compact prints one line of JSON, as run does.
func compact(ctx context.Context, w *world, f *flags) error {
	c := f.compact.Compaction
	if event.Unset(c.URI) {
		return fail.Newf(fail.Usage, "no table: worker compact URI; see worker compact --help")
	}
	var err error
	if c.TargetFileSize, err = spec.ParseSize(f.compact.size); err != nil {
		return fail.Newf(fail.Usage, "--target-file-size: %w", err)
	}
	res, err := job.Compact(ctx, f.opt, c)
	if _, werr := w.stdout.Write(res.JSON()); werr != nil && err == nil {
		return fail.Newf(fail.Temporary, "write the result: %w", werr)
	}
	return err
}
