package pipeline

import (
	"testing"
	"unsafe"
)

// A reject waits for its turn to be written; by then the memory of its batch and chunk holds other rows.
func TestARejectKeepsItsOwnCopies(t *testing.T) {
	cell, raw := []byte("12x"), []byte("1,12x,b")
	var r Rejects
	r.AddOrigin(Origin{Input: "in.csv", Line: 2, Raw: raw}, "n", unsafe.String(&cell[0], len(cell)), "not an int32")
	clear(cell)
	clear(raw)
	if got := r.Rows()[0]; got.Value != "12x" || string(got.Raw) != "1,12x,b" {
		t.Errorf("the reject holds %q of %q", got.Value, got.Raw)
	}
}
