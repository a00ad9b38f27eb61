// Command worker is Sluice's binary.
package main

import "github.com/sluice-data/sluice/cmd/worker/command"

// release is set by -ldflags "-X main.release=v1.2.3".
var release string

func main() { command.Main(release) }
