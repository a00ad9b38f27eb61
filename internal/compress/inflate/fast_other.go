//go:build !amd64

package inflate

const hasAssembly = false

func (l *loop) assembly() { l.portable() }
