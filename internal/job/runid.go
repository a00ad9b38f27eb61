package job

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// runID names the commit of (pipeline, input versions): the first 16 hex digits of a SHA-256 over the pipeline's
// canonical form, its name, each input's URI and version id or ETag, those of its unions and of the tables it joins with, and the shard (DESIGN section 6).
func runID(canonical []byte, name string, inputs []InputRef, unions []*united, lookups []LookupRef, shard string) string {
	type version struct{ URI, Version string }
	in := struct {
		Pipeline json.RawMessage
		Name     string
		Inputs   []version
		Unions   [][]version `json:",omitempty"` // absent without any: ids of such runs stay what they were
		Lookups  []version   `json:",omitempty"`
		Shard    string
	}{Pipeline: canonical, Name: name, Shard: shard}
	of := func(i InputRef) version { return version{i.URI, cmp.Or(i.VersionID, i.ETag)} }
	for _, i := range inputs {
		in.Inputs = append(in.Inputs, of(i))
	}
	for _, u := range unions {
		var list []version
		for _, i := range inputRefs(u.infos) {
			list = append(list, of(i))
		}
		in.Unions = append(in.Unions, list)
	}
	for _, l := range lookups {
		in.Lookups = append(in.Lookups, of(l.InputRef))
	}
	b, err := json.Marshal(in)
	if err != nil {
		panic(err) // canonical is JSON made by us, the rest are strings
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])[:16]
}
