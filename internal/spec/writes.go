package spec

import "strings"

// Writes is the sink's s3: block: how S3 is to keep what the run writes. It is no part of the run's id: where bytes lie does not
// change what they are.
type Writes struct {
	SSE          string // AES256, aws:kms or aws:kms:dsse; "" is the bucket's default
	KMSKeyID     string // "" is the account's aws/s3
	StorageClass string // "" is STANDARD
}

// sseModes are the values of s3.sse.
var sseModes = []string{"AES256", "aws:kms", "aws:kms:dsse"}

// storageClasses are those out of which objects can be read at once: the run reads back what it has written.
var storageClasses = []string{"STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "REDUCED_REDUNDANCY"}

func (w *Writes) read(n *Node) error {
	if n == nil {
		return nil
	}
	r := fields{n: n}
	r.known("sse", "kms_key_id", "storage_class")
	r.enum("sse", &w.SSE, sseModes)
	if v := r.str("kms_key_id", &w.KMSKeyID); v != nil && r.err == nil && !strings.HasPrefix(w.SSE, "aws:kms") {
		r.fail(v.Errorf("kms_key_id needs sse: aws:kms beside it"))
	}
	var class string
	if v := r.str("storage_class", &class); v != nil && r.err == nil {
		if class == "GLACIER" || class == "DEEP_ARCHIVE" {
			r.fail(v.Errorf("storage_class %s cannot be read before it is restored, and a run reads back what it wrote: write GLACIER_IR, or archive by a lifecycle rule", class))
		} else {
			r.fail(oneOf(v, "storage_class", class, storageClasses))
		}
		w.StorageClass = class
	}
	return r.err
}
