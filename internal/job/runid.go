package job

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// runID names the commit of (pipeline, input versions): the first 16 hex digits of a SHA-256 over the pipeline's
// canonical form, its name, each input's URI and version id or ETag, and the shard (DESIGN section 6).
func runID(canonical []byte, name string, inputs []InputRef, shard string) string {
	type version struct{ URI, Version string }
	in := struct {
		Pipeline json.RawMessage
		Name     string
		Inputs   []version
		Shard    string
	}{Pipeline: canonical, Name: name, Shard: shard}
	for _, i := range inputs {
		v := version{i.URI, i.VersionID}
		if v.Version == "" {
			v.Version = i.ETag
		}
		in.Inputs = append(in.Inputs, v)
	}
	b, err := json.Marshal(in)
	if err != nil {
		panic(err) // canonical is JSON made by us, the rest are strings
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])[:16]
}
