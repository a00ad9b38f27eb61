//go:build !linux

package suite

import "time"

// watch sees nothing: there is no inotify.
type watch struct{}

func watchRead(string) (*watch, error) { return &watch{}, nil }

func (*watch) stop() (time.Time, bool) { return time.Time{}, false }
