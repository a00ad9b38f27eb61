// Package command is the worker's command line: commands, flags, exit codes. What they do is in internal/job. A build with steps of its own registers them
// (transforms.RegisterCustom) and calls Main.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	_ "time/tzdata" // a scratch image has no time zones

	"github.com/spf13/pflag"

	"github.com/sluice-data/sluice/internal/event"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/job"
	"github.com/sluice-data/sluice/internal/spec"
	_ "github.com/sluice-data/sluice/sinks/csv"
	_ "github.com/sluice-data/sluice/sinks/events"
	_ "github.com/sluice-data/sluice/sinks/glue"
	_ "github.com/sluice-data/sluice/sinks/jsonl"
	_ "github.com/sluice-data/sluice/sinks/parquet"
	_ "github.com/sluice-data/sluice/sinks/postgres"
	_ "github.com/sluice-data/sluice/sinks/quicksight"
	_ "github.com/sluice-data/sluice/sinks/redshift"
	_ "github.com/sluice-data/sluice/sinks/stepfunctions"
	_ "github.com/sluice-data/sluice/sources/csv"
	_ "github.com/sluice-data/sluice/sources/jsonl"
	_ "github.com/sluice-data/sluice/sources/parquet"
)

// flags are those that commands on a pipeline take. Each has an environment twin WORKER_<FLAG>.
type flags struct {
	opt       job.Options
	logFormat string
	text      bool // logs are for a person
	progress  string
	profile   string
	compact   compaction
}

func (f *flags) define(fs *pflag.FlagSet) {
	o := &f.opt
	f.definePipeline(fs)
	f.defineMachine(fs)
	fs.BoolVar(&o.UpdateLock, "update-lock", false, "write the inputs' columns to schema.lock, whatever it says now")
	fs.StringVar(&f.progress, "progress", "auto", "progress line: `auto|on|off`")
	fs.StringVar(&f.profile, "profile", "", "write cpu.pprof, heap.pprof and trace.out of the run into `DIR`")
	fs.Lookup("progress").DefValue = "" // the usage says it
}

// definePipeline is what says what to run.
func (f *flags) definePipeline(fs *pflag.FlagSet) {
	o := &f.opt
	fs.StringVarP(&o.Pipeline, "pipeline", "p", "", "pipeline `FILE`: a path or s3:// URI")
	fs.StringVar(&o.Event, "event", "", "EventBridge event that names the input: `FILE|-|JSON`")
	fs.StringArrayVar(&o.Inputs, "input", nil, "read `URI…` instead of what an event names; globs and prefixes (ending in /); may be repeated")
	fs.StringVar(&o.Output, "output", "", "write to `URI` instead of sink.uri")
	fs.StringArray("set", nil, "set a variable of the pipeline file: `NAME=VALUE`; may be repeated")
}

// defineMachine is where objects are, and what there is to work with.
func (f *flags) defineMachine(fs *pflag.FlagSet) {
	o := &f.opt
	fs.StringVar(&o.LocalRoot, "local-root", "", "keep s3://bucket/key in `DIR`/bucket/key: no server needed")
	fs.StringVar(&o.EndpointURL, "endpoint-url", "", "S3 endpoint `URL`, such as MinIO's")
	fs.BoolVar(&o.PathStyle, "path-style", false, "address buckets as endpoint/bucket, not bucket.endpoint")
	fs.IntVar(&o.Lanes, "lanes", 0, "work on rows in `N` lanes at once (default GOMAXPROCS, less where memory is short)")
	fs.StringVar(&o.MemoryLimit, "memory-limit", "", "memory to stay within: `SIZE` such as 2GiB (default the container's limit)")
	fs.StringVar(&o.TmpDir, "tmp-dir", "", "`DIR` for state that outgrows memory (default TMPDIR, or /tmp)")
	fs.StringVar(&f.logFormat, "log-format", "auto", "log as `json|text` (default text on a terminal)")
	fs.Lookup("log-format").DefValue = "" // the usage says it
}

// command is one of the worker's commands.
type command struct {
	name, help string
	define     func(fs *pflag.FlagSet, f *flags) // its flags
	argument   func(f *flags) *string            // what its one argument is; nil if it takes none
	run        func(ctx context.Context, w *world, f *flags) error
}

var commands = []command{
	{name: "run", help: "run the pipeline: read, transform, write, commit; the receipt goes to standard output (default)", define: func(fs *pflag.FlagSet, f *flags) {
		f.define(fs)
		fs.BoolVar(&f.opt.Force, "force", false, "run also if the run is committed already, and replace its files")
	}, run: run},
	{name: "validate", help: "check the pipeline file; with an input, bind it to the real schema; reads only the head", define: defineFlags, run: validate},
	{name: "explain", help: "print the bound plan", define: defineFlags, run: explain},
	compactCommand,
	{name: "version", help: "print the version", run: printVersion},
}

func defineFlags(fs *pflag.FlagSet, f *flags) { f.define(fs) }

// world is what a command sees of the process; tests give their own.
type world struct {
	args           []string
	getenv         func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       bool // stderr is one
}

// Main carries out the process's command line and ends the process with the exit code. release is the version that it says it is; "" is what the build
// recorded.
func Main(release string) {
	version = versionOf(release)
	ctx, stop := signals(context.Background())
	w := world{args: os.Args[1:], getenv: os.Getenv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, terminal: isTerminal(os.Stderr)}
	code := w.main(ctx)
	stop()
	os.Exit(code)
}

// signals gives a context that SIGTERM and SIGINT cancel with a Temporary error, so that the run gives up cleanly and
// Batch tries again. A second signal ends the process at once.
func signals(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		s, ok := <-ch
		if !ok {
			return
		}
		cancel(fail.Newf(fail.Temporary, "interrupted by %s", signalName(s)))
		if _, ok := <-ch; ok {
			os.Exit(fail.Temporary.ExitCode())
		}
	}()
	return ctx, func() { signal.Stop(ch); close(ch); cancel(nil) }
}

func signalName(s os.Signal) string {
	if s == syscall.SIGTERM {
		return "SIGTERM"
	}
	return "SIGINT"
}

// main carries out the command line and returns the exit code.
func (w *world) main(ctx context.Context) int {
	args := w.args
	cmd := commands[0]
	if len(args) > 0 && (args[0] == "help" || args[0] == "--help" || args[0] == "-h") {
		w.usage()
		return 0
	}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		i := slices.IndexFunc(commands, func(c command) bool { return c.name == args[0] })
		if i < 0 {
			return w.fail(unknownCommand(args[0]))
		}
		cmd, args = commands[i], args[1:]
	}
	var f flags
	fs := pflag.NewFlagSet(cmd.name, pflag.ContinueOnError)
	fs.SortFlags = false
	fs.SetOutput(io.Discard)
	if cmd.define != nil {
		cmd.define(fs, &f)
	}
	err := fs.Parse(withoutUnset(fs, args))
	if errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintf(w.stdout, "worker %s: %s\n\nFlags, each with an environment twin WORKER_<FLAG>:\n%s", cmd.name, cmd.help, fs.FlagUsages())
		return 0
	}
	if err != nil {
		err = fail.Newf(fail.Usage, "%w; see worker %s --help", err, cmd.name)
	} else if err = f.arguments(fs, cmd); err == nil {
		if err = w.environment(fs); err == nil {
			err = f.settle(fs, w)
		}
	}
	if err == nil {
		err = fail.Guard("worker "+cmd.name, func() error { return cmd.run(ctx, w, &f) })
	} else if cmd.name == "run" { // whoever reads the receipt finds one, whatever went wrong
		var rec job.Receipt
		rec.Fail(err)
		if _, werr := w.stdout.Write(rec.JSON()); werr != nil {
			err = fmt.Errorf("%w; write receipt: %w", err, werr)
		}
	}
	var done exitCode
	if errors.As(err, &done) {
		return int(done)
	}
	if err != nil && f.logFormat == "json" {
		attrs := []any{"kind", fail.KindOf(err).String()}
		if x := fail.ExcerptOf(err); x != "" {
			attrs = append(attrs, "excerpt", x)
		}
		slog.New(slog.NewJSONHandler(w.stderr, nil)).Error(err.Error(), attrs...)
		return fail.KindOf(err).ExitCode()
	}
	if err != nil {
		return w.fail(err)
	}
	return 0
}

func unknownCommand(name string) error {
	names := make([]string, len(commands))
	for i, c := range commands {
		names[i] = c.name
	}
	if near := spec.Nearest(name, names); near != "" {
		return fail.Newf(fail.Usage, "unknown command %q: did you mean %s?", name, near)
	}
	return fail.Newf(fail.Usage, "unknown command %q: use one of %s", name, strings.Join(names, ", "))
}

func (w *world) usage() {
	fmt.Fprint(w.stdout, "Sluice streams S3 objects through Arrow stages and commits Parquet, exactly once.\n\nUsage: worker [COMMAND] [FLAGS]\n\n")
	for _, c := range commands {
		fmt.Fprintf(w.stdout, "  %-9s %s\n", c.name, c.help)
	}
	fmt.Fprint(w.stdout, "\nworker COMMAND --help lists the command's flags.\n")
}

// withoutUnset leaves out flags whose value still reads Ref::name, or is empty: Batch put nothing in the parameter's place, and
// the flag's twin in the environment may say more.
func withoutUnset(fs *pflag.FlagSet, args []string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			return append(out, args[i:]...)
		}
		name, value, joined := strings.Cut(args[i], "=")
		var flag *pflag.Flag
		if long, ok := strings.CutPrefix(name, "--"); ok {
			flag = fs.Lookup(long)
		} else if len(name) == 2 && name[0] == '-' {
			flag = fs.ShorthandLookup(name[1:])
		}
		switch {
		case flag != nil && joined && event.Unset(value):
		case flag != nil && !joined && flag.NoOptDefVal == "" && i+1 < len(args) && event.Unset(args[i+1]):
			i++
		default:
			out = append(out, args[i])
		}
	}
	return out
}

// arguments takes what stands behind the flags: more inputs, as a shell makes them of --input *.csv.
func (f *flags) arguments(fs *pflag.FlagSet, cmd command) error {
	if cmd.argument != nil && fs.NArg() == 1 {
		*cmd.argument(f) = fs.Arg(0)
		return nil
	}
	if in := fs.Lookup("input"); in != nil && in.Changed {
		for _, a := range fs.Args() {
			if !event.Unset(a) {
				f.opt.Inputs = append(f.opt.Inputs, a)
			}
		}
		return nil
	}
	if fs.NArg() > 0 {
		return fail.Newf(fail.Usage, "unexpected argument %q; see worker %s --help", fs.Arg(0), cmd.name)
	}
	return nil
}

// environment gives flags that are not on the command line the value of their twin WORKER_<FLAG>. One that still reads
// Ref::name is unset: Batch left the parameter out.
func (w *world) environment(fs *pflag.FlagSet) (err error) {
	fs.VisitAll(func(f *pflag.Flag) {
		twin := "WORKER_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		v := w.getenv(twin)
		if f.Changed || event.Unset(v) || err != nil {
			return
		}
		for _, one := range several(f, v) {
			if serr := fs.Set(f.Name, one); serr != nil && err == nil {
				err = fail.Newf(fail.Usage, "environment variable %s: %w", twin, serr)
			}
		}
	})
	return err
}

// nextURI is what parts S3 URIs on one line: such a thing in a key is no key that anybody has.
var nextURI = regexp.MustCompile(`[\s,]+s3://`)

// several is the values in a flag's twin: one a line for a flag that may be repeated; S3 URIs also with white space or commas between.
func several(f *pflag.Flag, v string) []string {
	if f.Value.Type() != "stringArray" {
		return []string{v}
	}
	if f.Name == "input" {
		v = nextURI.ReplaceAllString(v, "\ns3://")
	}
	var out []string
	for line := range strings.Lines(v) {
		if line = strings.TrimRight(line, "\r\n"); strings.TrimSpace(line) != "" {
			out = append(out, line)
		}
	}
	return out
}

// exitCode is a command's way to end with a code after it has reported its error itself.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// fail prints err as one line, with the place in the pipeline file underlined where it has one, and returns its exit code.
func (w *world) fail(err error) int {
	fmt.Fprintf(w.stderr, "worker: %s\n", strings.ReplaceAll(err.Error(), "\n", " "))
	if x := fail.ExcerptOf(err); x != "" {
		fmt.Fprintln(w.stderr, x)
	}
	return fail.KindOf(err).ExitCode()
}

// settle checks the flags' values and completes the options.
func (f *flags) settle(fs *pflag.FlagSet, w *world) error {
	o := &f.opt
	o.Getenv, o.Stdin, o.Version = w.getenv, w.stdin, version
	if fs.Lookup("log-format") == nil {
		return nil
	}
	for _, v := range []*string{&o.Pipeline, &o.Event, &o.Output, &o.LocalRoot, &o.EndpointURL, &o.MemoryLimit, &o.TmpDir, &f.profile} {
		if event.Unset(*v) {
			*v = ""
		}
	}
	var sets []string
	if fs.Lookup("set") != nil {
		var err error
		if sets, err = fs.GetStringArray("set"); err != nil {
			return fail.Wrap(fail.Internal, err)
		}
	}
	o.Set = map[string]string{}
	for _, s := range sets {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return fail.Newf(fail.Usage, "--set %q: want NAME=VALUE", s)
		}
		if value == "" || !event.Unset(value) { // set to nothing is set, Ref::name is not
			o.Set[name] = value
		}
	}
	if o.Lanes < 0 || o.Lanes > 1024 {
		return fail.Newf(fail.Usage, "--lanes %d: want 1 to 1024", o.Lanes)
	}
	if !slices.Contains([]string{"auto", "json", "text"}, f.logFormat) {
		return fail.Newf(fail.Usage, "--log-format %q: want json or text", f.logFormat)
	}
	if fs.Lookup("progress") != nil && !slices.Contains([]string{"auto", "on", "off"}, f.progress) {
		return fail.Newf(fail.Usage, "--progress %q: want auto, on or off", f.progress)
	}
	if f.text = f.logFormat == "text" || f.logFormat == "auto" && w.terminal; f.text {
		o.Log = slog.New(slog.NewTextHandler(w.stderr, nil))
	} else {
		o.Log = slog.New(slog.NewJSONHandler(w.stderr, nil))
	}
	return nil
}

func run(ctx context.Context, w *world, f *flags) error {
	o := f.opt
	show := newProgress(w, o.Log, f.progress)
	o.Progress = show.update
	rec := &job.Receipt{}
	prof, err := startProfiles(f.profile)
	if err == nil {
		rec, err = job.Run(ctx, o)
	} else {
		rec.Fail(err)
	}
	show.end()
	if perr := prof.finish(); perr != nil { // the run stands as it ended: only its profile is missing
		o.Log.Warn(perr.Error())
	}
	code := 0
	if err != nil {
		code = fail.KindOf(err).ExitCode()
		attrs := []any{"run_id", rec.RunID, "kind", fail.KindOf(err).String(), "exit_code", code}
		var e *fail.Error
		if errors.As(err, &e) && e.Stack != "" {
			attrs = append(attrs, "stack", e.Stack)
		}
		x := fail.ExcerptOf(err)
		if x != "" && !f.text {
			attrs = append(attrs, "excerpt", x)
		}
		o.Log.Error(strings.ReplaceAll(err.Error(), "\n", " "), attrs...)
		if x != "" && f.text {
			fmt.Fprintln(w.stderr, x)
		}
	}
	if _, werr := w.stdout.Write(rec.JSON()); werr != nil && err == nil {
		return fail.Newf(fail.Temporary, "write receipt: %w", werr)
	}
	if code != 0 {
		return exitCode(code)
	}
	return nil
}

func validate(ctx context.Context, w *world, f *flags) error {
	said, err := job.Validate(ctx, f.opt)
	if err != nil {
		return err
	}
	fmt.Fprintln(w.stdout, said)
	return nil
}

func explain(ctx context.Context, w *world, f *flags) error {
	plan, err := job.Explain(ctx, f.opt)
	if err != nil {
		return err
	}
	fmt.Fprint(w.stdout, plan)
	return nil
}

func printVersion(_ context.Context, w *world, _ *flags) error {
	fmt.Fprintln(w.stdout, "worker", version)
	return nil
}
