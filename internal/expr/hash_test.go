package expr

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
)

// TestDigestsOfManyRows: digests are taken of several rows at a time; each row has the one that the standard library gives its text, whatever lengths lie
// beside each other, and nulls and rows that a branch leaves out have none.
func TestDigestsOfManyRows(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	table := parseFixture(t, "table: k int32, s string")
	for i := range 500 {
		cell := strings.Repeat(fmt.Sprint(i%10), i*37%150) + fmt.Sprint(i)
		if i%17 == 5 {
			cell = "NULL"
		}
		table.rows = append(table.rows, []string{fmt.Sprint(i % 3), cell})
	}
	rec := table.record(t, mem, fixtureRows(len(table.rows)).all())
	defer rec.Release()
	secret, _ := testEnv.Secret("EXAMPLE_SECRET")
	for name, sum := range map[string]func(s []byte) string{
		"md5(s)":    func(s []byte) string { return fmt.Sprintf("%x", md5.Sum(s)) },
		"sha1(s)":   func(s []byte) string { return fmt.Sprintf("%x", sha1.Sum(s)) },
		"sha256(s)": func(s []byte) string { return fmt.Sprintf("%x", sha256.Sum256(s)) },
		"sha384(s)": func(s []byte) string { return fmt.Sprintf("%x", sha512.Sum384(s)) },
		"sha512(s)": func(s []byte) string { return fmt.Sprintf("%x", sha512.Sum512(s)) },
		"hmac_sha256(s, 'EXAMPLE_SECRET')": func(s []byte) string {
			m := hmac.New(sha256.New, []byte(secret))
			m.Write(s)
			return fmt.Sprintf("%x", m.Sum(nil))
		},
	} {
		for src, left := range map[string]string{name: "", "CASE WHEN k = 1 THEN 'left out' ELSE " + name + " END": "left out"} {
			p, err := Compile(src, table.schema, testEnv)
			if err != nil {
				t.Fatal(err)
			}
			for i, got := range evalText(t, mem, p, rec) {
				row := table.rows[i]
				want := sum([]byte(row[1]))
				if left != "" && row[0] == "1" {
					want = left
				} else if row[1] == "NULL" {
					want = "NULL"
				}
				if strings.Trim(got, "'\"") != want {
					t.Fatalf("%s, row %d: %s, want %s of %q", src, i, got, want, row[1])
				}
			}
		}
	}
}
