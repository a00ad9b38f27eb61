package inflate

import "golang.org/x/sys/cpu"

// loops are those this processor can run.
func loops() []string {
	if cpu.X86.HasBMI2 {
		return []string{"assembly", "portable"}
	}
	return []string{"portable"}
}

// useLoop chooses one of them; what it returns sets things right again.
func useLoop(name string) func() {
	was := hasAssembly
	hasAssembly = name == "assembly"
	return func() { hasAssembly = was }
}
