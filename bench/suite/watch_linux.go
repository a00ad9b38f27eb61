package suite

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// watch waits for the first read of a file, by inotify.
type watch struct {
	events *os.File
	first  chan time.Time
}

// watchRead begins to watch. The caller stops it.
func watchRead(path string) (*watch, error) {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK) // non-blocking: then Close ends a Read
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", path, err)
	}
	w := &watch{events: os.NewFile(uintptr(fd), "inotify"), first: make(chan time.Time, 1)}
	if _, err := syscall.InotifyAddWatch(fd, path, syscall.IN_ACCESS); err != nil {
		w.events.Close()
		return nil, fmt.Errorf("watch %s: %w", path, err)
	}
	go func() {
		defer close(w.first)
		var event [4096]byte
		if n, err := w.events.Read(event[:]); err == nil && n > 0 {
			w.first <- time.Now()
		}
	}()
	return w, nil
}

// stop ends the watch and says when the file was first read; not ok if it was not.
func (w *watch) stop() (time.Time, bool) {
	time.Sleep(time.Millisecond) // an event may be on its way
	w.events.Close()
	at, ok := <-w.first
	return at, ok
}
