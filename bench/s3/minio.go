package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// patience is how long MinIO may take to start.
const patience = 20 * time.Second

// Start runs the MinIO command, a binary with what is to run it before it, with its objects in a new folder below dir. The caller closes it, which removes them.
func Start(ctx context.Context, dir string, command ...string) (*Server, error) {
	dir, err := os.MkdirTemp(dir, "minio-")
	if err != nil {
		return nil, err
	}
	s, err := start(ctx, dir, command)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func start(ctx context.Context, dir string, command []string) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	s := &Server{Endpoint: "http://" + address, Region: "us-east-1", Key: "sluice", Secret: secret(), Bucket: "bench", http: client()}
	var said bytes.Buffer
	command = append(slices.Clone(command), "server", "--quiet", "--address", address, filepath.Join(dir, "objects"))
	cmd := exec.CommandContext(context.WithoutCancel(ctx), command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "HOME="+dir, "MINIO_ROOT_USER="+s.Key, "MINIO_ROOT_PASSWORD="+s.Secret, "MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CI_CD=on")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start MinIO: %w (make .bin/minio)", err)
	}
	s.pid = cmd.Process.Pid
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }() // that it was killed is no news
	s.stop = func() error {
		err := cmd.Process.Kill()
		if errors.Is(err, os.ErrProcessDone) {
			err = nil
		}
		<-ended
		return errors.Join(err, os.RemoveAll(dir))
	}
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		resp, err := s.do(ctx, http.MethodPut, "", nil, 0, "") // makes the bucket
		if err == nil {
			return s, resp.Body.Close()
		}
		if ctx.Err() != nil || time.Since(begin) > patience {
			return nil, errors.Join(fmt.Errorf("MinIO does not answer: %w", err), s.stop(), errors.New(said.String()))
		}
	}
}

// CPU is the processor time that a server which was started has taken, in seconds; 0 where it cannot be had (Linux alone).
func (s *Server) CPU() float64 {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.pid), "stat"))
	if s.pid == 0 || err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may have spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	var ticks float64
	for _, f := range fields[11:13] { // utime and stime, proc(5)
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return ticks / 100 // USER_HZ
}
