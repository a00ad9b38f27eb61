//go:build !amd64

package inflate

func loops() []string { return []string{"portable"} }

func useLoop(string) func() { return func() {} }
