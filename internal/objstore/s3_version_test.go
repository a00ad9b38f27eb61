package objstore

import "testing"

// The version of an object in a bucket whose versioning is suspended says nothing: it is the same for whatever is written over it.
func TestVersionOf(t *testing.T) {
	for said, want := range map[string]string{"null": "", "": "", "3HL4kqtJlcpXroDTDmJ": "3HL4kqtJlcpXroDTDmJ"} {
		if got := versionOf(&said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
	if got := versionOf(nil); got != "" {
		t.Errorf("without a version: %q", got)
	}
}
