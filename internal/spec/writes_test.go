package spec

import (
	"bytes"
	"strings"
	"testing"
)

func TestSinkWrites(t *testing.T) {
	load := func(block string) (*Pipeline, error) {
		return Load("p.yaml", []byte("version: 1\nname: x\nsink:\n  uri: out/\n"+block), nil)
	}
	plain, err := load("")
	if err != nil {
		t.Fatal(err)
	}
	p, err := load("  s3: {sse: aws:kms, kms_key_id: alias/lake, storage_class: STANDARD_IA}\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := (Writes{"aws:kms", "alias/lake", "STANDARD_IA"}); p.Sink.Writes != want {
		t.Errorf("%+v, want %+v", p.Sink.Writes, want)
	}
	if !bytes.Equal(p.Canonical(), plain.Canonical()) {
		t.Error("how S3 keeps the files makes another run of it")
	}
	for block, want := range map[string]string{
		"  s3: {sse: aws:kns}\n":                                `p.yaml:5:13: unknown sse "aws:kns": did you mean "aws:kms"?`,
		"  s3: {kms_key: k}\n":                                  `p.yaml:5:8: unknown key "kms_key": use one of sse, kms_key_id, storage_class`,
		"  s3: {kms_key_id: k}\n":                               "p.yaml:5:20: kms_key_id needs sse: aws:kms",
		"  s3: {sse: AES256, kms_key_id: k}\n":                  "kms_key_id needs sse: aws:kms",
		"  s3: {storage_class: STANDARD-IA}\n":                  `did you mean "STANDARD_IA"?`,
		"  s3:\n    sse: aws:kms\n    storage_class: GLACIER\n": "p.yaml:7:20: storage_class GLACIER cannot be read before it is restored",
	} {
		if _, err := load(block); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", strings.TrimSpace(block), err, want)
		}
	}
}
