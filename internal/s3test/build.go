package s3test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

const versity = "github.com/versity/versitygw"

// moduleRoot is the folder of Sluice's own go.mod, above the package under test.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module github.com/sluice-data/sluice\n") {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod of Sluice above the working directory")
		}
		dir = up
	}
}

func minioBinary(root string) (string, error) {
	binary := filepath.Join(root, ".bin", "minio")
	if _, err := os.Stat(binary); err != nil {
		return "", fmt.Errorf("%w (SLUICE_E2E=minio wants it there: make %s)", err, ".bin/minio")
	}
	return binary, nil
}

// versityBinary is the pinned server, built under a file lock if no test process has done so before. Its name carries
// the version, so a new pin builds anew.
func versityBinary(root string) (string, error) {
	module := filepath.Join(root, "tools", "s3server")
	mod, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return "", err
	}
	pin := regexp.MustCompile(regexp.QuoteMeta(versity) + ` (v\S+)`).FindSubmatch(mod)
	if pin == nil {
		return "", fmt.Errorf("%s/go.mod does not require %s", module, versity)
	}
	bin := filepath.Join(root, ".bin")
	binary := filepath.Join(bin, "versitygw-"+string(pin[1]))
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(bin, ".versitygw.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close() // and the lock with it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	fmt.Fprintf(os.Stderr, "s3test: building %s %s into .bin (once, a minute or two)\n", versity, pin[1])
	build := exec.CommandContext(context.Background(), "go", "build", "-o", binary+".new", versity+"/cmd/versitygw")
	build.Dir = module
	build.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", versity, err, out)
	}
	return binary, os.Rename(binary+".new", binary)
}
