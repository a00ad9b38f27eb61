// Package badcorpus makes inputs that are wrong in one way each, and says how a run over them has to end. Small ones are kept in
// testdata/bad, where people can look at them; large ones are made when a test needs them. The same call always makes the same bytes.
package badcorpus

import (
	"bufio"
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Exit codes a case may end in.
const (
	exitUsage = 2  // the pipeline file is wrong, or the memory too little
	exitData  = 65 // the object's content is wrong
	exitInput = 66 // the object is not what it is named
)

// Case is an input and how a run over it ends.
type Case struct {
	Name     string   // file name
	Pipeline string   // file name of the pipeline it is run with
	Exit     int      // exit code
	Words    []string // each is in the error message, whatever its case
	Wrong    string   // what is wrong with it
	Large    bool     // made at test time, not committed
	write    func(w io.Writer) error
}

// Input is the file name of the object that the run reads: the case itself, or good.csv where the pipeline is what is wrong.
func (c Case) Input() string {
	if c.Name == c.Pipeline {
		return "good.csv"
	}
	return c.Name
}

// Write writes the case's file.
func (c Case) Write(w io.Writer) error { return c.write(w) }

// Bytes is the input of a small case.
func (c Case) Bytes() []byte {
	var b bytes.Buffer
	if err := c.write(&b); err != nil {
		panic("badcorpus: " + c.Name + ": " + err.Error()) // writes to memory of bytes that this package chose
	}
	return b.Bytes()
}

//go:embed good.csv
var goodCSV []byte

//go:embed good.csv.bz2
var goodBzip2 []byte // the standard library has no writer for it

// Cases are all cases, small ones first, in the order of the table.
func Cases() []Case {
	var out []Case
	for _, group := range [][]Case{csvCases(), typedCases(), jsonlCases(), compressedCases(), foreignCases(), parquetCases(), pipelineCases(), largeCases()} {
		out = append(out, group...)
	}
	return out
}

// text is a small case with its content.
func text(name, pipeline string, exit int, wrong, words, content string) Case {
	return Case{Name: name, Pipeline: pipeline, Exit: exit, Wrong: wrong, Words: split(words),
		write: func(w io.Writer) error {
			_, err := io.WriteString(w, content)
			return err
		}}
}

// split parts the words at bars. They hold no quotation marks, which a JSON log escapes.
func split(words string) []string {
	return slices.DeleteFunc(strings.Split(words, "|"), func(w string) bool { return w == "" })
}

// Files are the committed files by name: inputs, pipelines, and the two tables of what to expect.
func Files() map[string][]byte {
	files := map[string][]byte{".gitattributes": []byte("* -text\n"), "good.csv": goodCSV, "good.jsonl": []byte(goodJSONL), "README.md": []byte(readme()), "cases.txt": []byte(table())}
	for name, p := range pipelines() {
		files[name] = []byte(p)
	}
	for _, c := range Cases() {
		if !c.Large {
			files[c.Name] = c.Bytes()
		}
	}
	return files
}

// WriteLarge makes the large inputs in dir.
func WriteLarge(dir string) error {
	for _, c := range Cases() {
		if !c.Large {
			continue
		}
		if err := writeFile(filepath.Join(dir, c.Name), c); err != nil {
			return fmt.Errorf("make %s: %w", c.Name, err)
		}
	}
	return nil
}

func writeFile(name string, c Case) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := c.write(w); err != nil {
		return err
	}
	return w.Flush()
}

// table is the list that tests read: one case a line.
func table() string {
	var b strings.Builder
	b.WriteString("# input | pipeline | exit code | words of the message, in any case, parted by semicolons\n")
	b.WriteString("# Inputs that are not here are made by internal/badcorpus when the test runs. Written by: go test ./internal/badcorpus -rewrite\n")
	for _, c := range Cases() {
		fmt.Fprintf(&b, "%s | %s | %d | %s\n", c.Input(), c.Pipeline, c.Exit, strings.Join(c.Words, "; "))
	}
	return b.String()
}

func readme() string {
	var b strings.Builder
	b.WriteString(`# Bad inputs

Each file is wrong in one way, named by its file name. A run over it ends in a one-line error, the exit code below, and no commit.
`)
	b.WriteString("`cases.txt` is the same table for tests. Files marked *made* are too large to keep: `internal/badcorpus` makes them when a test runs, and all the\n" +
		"others too (`go test ./internal/badcorpus -rewrite`).\n\n")
	b.WriteString("Exit codes: 2 the pipeline file is wrong or the memory too little, 65 the content is wrong, 66 the object is not what it is named.\n\n")
	b.WriteString("| input | what is wrong | pipeline | exit | the message says |\n|---|---|---|---|---|\n")
	for _, c := range Cases() {
		name := "`" + c.Name + "`"
		if c.Large {
			name += " *made*"
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` | %d | %s |\n", name, c.Wrong, c.Pipeline, c.Exit, strings.Join(c.Words, ", "))
	}
	return b.String()
}
