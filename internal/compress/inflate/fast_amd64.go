package inflate

import "golang.org/x/sys/cpu"

// hasAssembly is whether the processor knows the shifts that the loop in assembly is made of. Tests clear it.
var hasAssembly = cpu.X86.HasBMI2

// assembly does what portable does.
func (l *loop) assembly() { decodeBMI2(l) }

//go:noescape
func decodeBMI2(l *loop)
