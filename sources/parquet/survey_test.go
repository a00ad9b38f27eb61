package parquet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/sources"
)

// A survey says of each column the type that the files have of it, and whether the wanted one can be read from all of them: what it says fits, open takes.
func TestSurvey(t *testing.T) {
	type a struct {
		K int32
		V []byte
		S address
	}
	type b struct {
		K int64
		V string
		S struct{ Street string }
	}
	for _, tc := range []struct {
		want sources.SchemaSpec
		seen string
	}{
		{columns(t, sources.Evolve, "K", "int64", "V", "string", "S", "struct<Street: string>"), "K int64 fits, V binary fits mixed, S struct<Street: string, Zip: int32> fits"},
		{columns(t, sources.Evolve, "K", "int32", "V", "int64", "S", "struct<Street: date>"), "K int64, V binary mixed, S struct<Street: string, Zip: int32>"},
		{columns(t, sources.Strict, "K", "decimal(19,0)", "V", "string", "S", "struct<Street: string, Zip: int32>"), "K int64 fits, V binary fits mixed, S struct<Street: string, Zip: int32>"},
	} {
		req := request(write(t, []a{{K: 1}}), write(t, []b{{K: 1}}))
		req.Schema = tc.want
		s, err := survey(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range s.Columns {
			say := fmt.Sprintf("%s %s", c.Name, schema.TypeName(c.Field))
			if c.Fits {
				say += " fits"
			}
			if c.Mixed {
				say += " mixed"
			}
			got = append(got, say)
		}
		if got := strings.Join(got, ", "); got != tc.seen || !s.Typed || s.Nothing {
			t.Errorf("seen %s, want %s", got, tc.seen)
		}
	}

	// Types without one in common are no error for a wanted column alone.
	req := request(write(t, []a{{K: 1}}), write(t, []b{{K: 1}}))
	req.Schema = columns(t, sources.Evolve, "K", "int64")
	_, err := survey(t.Context(), req)
	wantError(t, err, fail.Data, `s3://b/b.parquet: column "V" is string here and binary in the inputs before`)
}
