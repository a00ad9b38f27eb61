package memlimit

import "unsafe"

const hugePage = 2 << 20

// Huge makes n zero values of a type without pointers, in huge pages where the kernel has them: for what is large and will be written all over, beyond the part of the heap that has them.
func Huge[T any](n int) []T {
	s := make([]T, n)
	var one T
	if size := n * int(unsafe.Sizeof(one)); size >= 4*hugePage {
		advise(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), size))
	}
	return s
}
