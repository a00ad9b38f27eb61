package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/parquet-go/parquet-go"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sluice-data/sluice/internal/pgtest"
)

var update = flag.Bool("update", false, "rewrite the expected output in the scripts")

func TestMain(m *testing.M) {
	testscript.Main(pgtest.Tests{M: m}, map[string]func(){"worker": main})
}

// TestScripts runs the scripts: the worker as a user runs it, in directories.
func TestScripts(t *testing.T) {
	released := t.TempDir()
	build := sync.OnceValue(func() error { return buildReleased(released) })
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/scripts",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			root, err := filepath.Abs("../..")
			env.Setenv("ROOT", root)
			env.Setenv("TMPDIR", env.WorkDir)
			env.Setenv("NL", "\n")
			return err
		},
		Cmds: with(scriptCommands, map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"postgres": func(ts *testscript.TestScript, _ bool, _ []string) { ts.Setenv("PGURL", pgtest.Start(t).Database(t)) },
			// released makes worker the program that users run, in the script's lines behind it: what they say of memory holds for that.
			"released": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Check(build())
				ts.Setenv("PATH", released+string(os.PathListSeparator)+ts.Getenv("PATH"))
			},
			"aws": func(ts *testscript.TestScript, _ bool, args []string) { cmdAWS(t, ts, args) },
			"sql": func(ts *testscript.TestScript, _ bool, args []string) { cmdSQL(t, ts, args) },
		}),
		Condition: func(cond string) (bool, error) { return cond == "postgres" && pgtest.Installed(), nil },
	})
}

func with[V any](a, b map[string]V) map[string]V {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// cmdSQL: sql STATEMENT runs it at $PGURL and prints its rows, values separated by |.
func cmdSQL(t *testing.T, ts *testscript.TestScript, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: sql STATEMENT")
	}
	for _, row := range pgtest.Exec(t, ts.Getenv("PGURL"), args[0]) {
		fmt.Fprintln(ts.Stdout(), strings.Join(row, "|"))
	}
}

// scriptCommands are what scripts have beside the worker.
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"rows":    cmdRows,
	"receipt": cmdReceipt,
	"gz":      cmdGzip,
	"zcat":    cmdZcat,
	"exits":   cmdExits,
	"repeat":  cmdRepeat,
	"text":    cmdText,
	"snappy":  cmdSnappy,
	"log":     cmdLog,
	"groups":  cmdGroups,
	"sorted":  cmdSorted,
	"wide":    cmdWide,
	"below":   cmdBelow,
}

// cmdExits: exits CODE worker ARGS… runs the worker and wants exactly that exit code; stdout and stderr are kept.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS…")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s\n%s%s", code, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// cmdRows: rows PATTERN prints the rows of the Parquet files, in the order of their names, as JSON lines.
func cmdRows(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: rows PATTERN")
	}
	files, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("no file matches %s", args[0])
	}
	sort.Strings(files)
	for _, name := range files {
		for _, row := range parquetRows(ts, name) {
			fmt.Fprintln(ts.Stdout(), row)
		}
	}
}

func parquetRows(ts *testscript.TestScript, name string) []string {
	f, err := os.Open(name)
	ts.Check(err)
	defer f.Close()
	st, err := f.Stat()
	ts.Check(err)
	pf, err := parquet.OpenFile(f, st.Size())
	ts.Check(err)
	var out []string
	cols := pf.Schema().Columns()
	for _, rg := range pf.RowGroups() {
		rows := rg.Rows()
		buf := make([]parquet.Row, 64)
		for {
			n, err := rows.ReadRows(buf)
			for _, row := range buf[:n] {
				out = append(out, rowJSON(pf, cols, row))
			}
			if err != nil || n == 0 {
				break
			}
		}
		rows.Close()
	}
	return out
}

// rowJSON prints a row with its columns in file order; timestamps and decimals as the integers they are stored as.
func rowJSON(pf *parquet.File, cols [][]string, row parquet.Row) string {
	var b strings.Builder
	b.WriteByte('{')
	last := -1
	for _, v := range row {
		if c := v.Column(); c != last {
			if last >= 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%q: ", strings.Join(cols[c], "."))
			last = c
		} else {
			b.WriteByte('|') // a further value of a list
		}
		switch {
		case v.IsNull():
			b.WriteString("null")
		case v.Kind() == parquet.FixedLenByteArray: // a wide decimal: big-endian two's complement
			n := new(big.Int).SetBytes(v.ByteArray())
			if b := v.ByteArray(); len(b) > 0 && b[0] >= 0x80 {
				n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
			}
			b.WriteString(n.String())
		case v.Kind() == parquet.ByteArray:
			q, _ := json.Marshal(string(v.ByteArray()))
			b.Write(q)
		default:
			b.WriteString(v.String())
		}
	}
	b.WriteByte('}')
	return b.String()
}

// cmdReceipt: receipt PATH VALUE … compares fields of the receipt, the last line of the last stdout; with one argument it
// prints the field. PATH is rows.read, files.0.uri or files.len.
func cmdReceipt(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 && len(args)%2 != 0 {
		ts.Fatalf("usage: receipt PATH VALUE …")
	}
	for i := 0; i+1 < len(args); i += 2 {
		if got := receiptField(ts, args[i]); (got == args[i+1]) == neg {
			ts.Fatalf("receipt: %s is %s, want %s\n%s", args[i], got, args[i+1], ts.ReadFile("stdout"))
		}
	}
	if len(args) == 1 {
		fmt.Fprintln(ts.Stdout(), receiptField(ts, args[0]))
	}
}

// receiptField is a field of the last line of the last stdout.
func receiptField(ts *testscript.TestScript, path string) string {
	lines := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	var doc any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &doc); err != nil {
		ts.Fatalf("the last line of stdout is not a receipt: %v\n%s", err, lines[len(lines)-1])
	}
	return field(doc, path)
}

func field(doc any, path string) string {
	for _, p := range strings.Split(path, ".") {
		switch d := doc.(type) {
		case map[string]any:
			doc = d[p]
		case []any:
			if p == "len" {
				return fmt.Sprint(len(d))
			}
			i, err := strconv.Atoi(p)
			if err != nil || i >= len(d) {
				return "<none>"
			}
			doc = d[i]
		default:
			return "<none>"
		}
	}
	switch v := doc.(type) {
	case string:
		return v
	case nil:
		return "<none>"
	case float64:
		return strings.TrimSuffix(fmt.Sprintf("%.6f", v), ".000000")
	}
	b, _ := json.Marshal(doc)
	return string(b)
}

// cmdGzip: gz FILE… writes FILE.gz beside each.
func cmdGzip(ts *testscript.TestScript, neg bool, args []string) {
	for _, a := range args {
		f, err := os.Create(ts.MkAbs(a) + ".gz")
		ts.Check(err)
		zw := gzip.NewWriter(f)
		_, err = zw.Write([]byte(ts.ReadFile(a)))
		ts.Check(err)
		ts.Check(zw.Close())
		ts.Check(f.Close())
	}
}

// cmdRepeat: repeat N FILE TAIL appends the file's last line N times, and then the file TAIL.
func cmdRepeat(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	text := ts.ReadFile(args[1])
	last := text[strings.LastIndexByte(strings.TrimSuffix(text, "\n"), '\n')+1:]
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text+strings.Repeat(last, n)+ts.ReadFile(args[2])), 0o644))
}

// cmdZcat: zcat PATTERN prints gzipped files.
func cmdZcat(ts *testscript.TestScript, neg bool, args []string) {
	files, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("no file matches %s", args[0])
	}
	for _, name := range files {
		f, err := os.Open(name)
		ts.Check(err)
		zr, err := gzip.NewReader(f)
		ts.Check(err)
		_, err = fmt.Fprint(ts.Stdout(), readAll(ts, zr))
		ts.Check(err)
		f.Close()
	}
}

func readAll(ts *testscript.TestScript, r *gzip.Reader) string {
	var b strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return b.String()
		}
	}
}

// cmdText: text FILE 'GO STRING' … writes a file of bytes that a script cannot hold: \r, \xff, a missing last newline.
func cmdText(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: text FILE 'GO STRING WITHOUT ITS QUOTES'")
	}
	s, err := strconv.Unquote(`"` + strings.ReplaceAll(args[1], `"`, `\"`) + `"`)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(s), 0o644))
}

// cmdSnappy: snappy FILE … writes FILE.sz beside each, for which there is no usual program.
func cmdSnappy(ts *testscript.TestScript, neg bool, args []string) {
	for _, a := range args {
		var b bytes.Buffer
		w := snappy.NewBufferedWriter(&b)
		_, err := w.Write([]byte(ts.ReadFile(a)))
		ts.Check(err)
		ts.Check(w.Close())
		ts.Check(os.WriteFile(ts.MkAbs(a)+".sz", b.Bytes(), 0o644))
	}
}

// cmdLog checks that every line of stderr is a JSON object with time, level and msg, and prints "LEVEL msg" of each.
func cmdLog(ts *testscript.TestScript, neg bool, args []string) {
	for line := range strings.Lines(ts.ReadFile("stderr")) {
		var e struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Time == "" || e.Level == "" || e.Msg == "" {
			ts.Fatalf("a line of stderr is no log entry: %q %v", line, err)
		}
		fmt.Fprintln(ts.Stdout(), e.Level, e.Msg)
	}
}

// cmdGroups: groups N FILE writes a CSV of id, key and amount in which each of N ids has two rows, far apart.
func cmdGroups(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	b := []byte("id,key,amount\n")
	for i := range 2 * n {
		id := i * 7919 % n // 7919 is prime to n
		b = fmt.Appendf(b, "%d,key-%d,%d.%02d\n", id, id*31, i%1000, id%100)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b, 0o644))
}

// cmdWide: wide ROWS BYTES FILE writes a CSV of id, grp (of a hundred) and a text of so many bytes, no two alike.
func cmdWide(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[2]))
	ts.Check(err)
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "id,grp,body")
	for i := range n {
		sum := sha256.Sum256(strconv.AppendInt(nil, int64(i), 10))
		text := hex.EncodeToString(sum[:])
		fmt.Fprintf(w, "%d,%d,%s\n", i*7919%n, i%100, strings.Repeat(text, size/len(text)+1)[:size])
	}
	ts.Check(w.Flush())
	ts.Check(f.Close())
}

// cmdSorted: sorted PATTERN prints a checksum of the lines that rows prints, put in order, and their number.
func cmdSorted(ts *testscript.TestScript, neg bool, args []string) {
	files, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	var lines []string
	for _, name := range files {
		lines = append(lines, parquetRows(ts, name)...)
	}
	sort.Strings(lines)
	fmt.Fprintf(ts.Stdout(), "%d rows %x\n", len(lines), sha256.Sum256([]byte(strings.Join(lines, "\n"))))
}

// buildReleased builds the worker that users run into dir. The test program, which is worker otherwise, holds 20 MB more: of the tests' own
// libraries, and of pages of its file.
func buildReleased(dir string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", filepath.Join(dir, "worker"), ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build worker: %w: %s", err, out)
	}
	return nil
}

// cmdBelow: below PATH N wants a number of the receipt to be above 0 and below N (with ! N or more).
func cmdBelow(ts *testscript.TestScript, neg bool, args []string) {
	got, err := strconv.ParseInt(receiptField(ts, args[0]), 10, 64)
	ts.Check(err)
	most, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	if got <= 0 || (got < most) == neg {
		ts.Fatalf("receipt: %s is %d, compared with %d", args[0], got, most)
	}
}
