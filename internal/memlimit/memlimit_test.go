package memlimit

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/internal/fail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// metadata serves what an ECS agent says of the container and its task; "" is not found.
func metadata(t *testing.T, container, task string) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := map[string]string{"/v4/abc": container, "/v4/abc/task": task}[r.URL.Path]
		if body == "" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, body)
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/v4/abc"
}

func TestDetect(t *testing.T) {
	none := func() (uint64, error) { return 0, errors.New("no cgroup") }
	gib := func(n uint64) func() (uint64, error) { return func() (uint64, error) { return n << 30, nil } }
	fargate := `{"Cluster":"c","Limits":{"CPU":0.5,"Memory":1024},"Containers":[{"Limits":{"CPU":0}}]}`
	for _, c := range []struct {
		name, flag, gomemlimit string
		cgroup                 func() (uint64, error)
		container, task        string
		want                   Limit
	}{
		{"nothing", "", "", none, "", "", Limit{0, "none", 0}},
		{"flag beats all", "2GiB", "1GiB", gib(4), "", fargate, Limit{2 << 30, "--memory-limit", 4 << 30}},
		{"GOMEMLIMIT", "", "1GiB", gib(4), "", "", Limit{1 << 30, "GOMEMLIMIT", 4 << 30}},
		{"GOMEMLIMIT off", "", "off", gib(4), "", "", Limit{4 << 30, "cgroup", 4 << 30}},
		{"cgroup", "", "", gib(4), "", "", Limit{4 << 30, "cgroup", 4 << 30}},
		{"cgroup without limit", "", "", func() (uint64, error) { return math.MaxUint64, nil }, "", "", Limit{0, "none", 0}},
		{"task limit on Fargate", "", "", none, `{"Limits":{"CPU":2}}`, fargate, Limit{1 << 30, "ECS task metadata", 0}},
		{"container under task", "", "", none, `{"Limits":{"CPU":2,"Memory":512}}`, fargate, Limit{512 << 20, "ECS task metadata", 0}},
		{"the smaller of cgroup and task", "", "", gib(4), "", fargate, Limit{1 << 30, "ECS task metadata", 4 << 30}},
		{"the smaller of task and cgroup", "", "", gib(1), "", `{"Limits":{"Memory":8192}}`, Limit{1 << 30, "cgroup", 1 << 30}},
		{"answer that is no JSON", "", "", gib(1), "<html>", "[]", Limit{1 << 30, "cgroup", 1 << 30}},
		{"answer with a limit of no sense", "", "", none, `{"Limits":{"Memory":-5}}`, `{"Limits":{"Memory":1e300}}`, Limit{0, "none", 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := map[string]string{"GOMEMLIMIT": c.gomemlimit}
			if c.container+c.task != "" {
				env["ECS_CONTAINER_METADATA_URI_V4"] = metadata(t, c.container, c.task)
			}
			got, err := probes{func(k string) string { return env[k] }, c.cgroup, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}.detect(c.flag)
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestDetectBadFlag(t *testing.T) {
	_, err := Detect("lots")
	if fail.KindOf(err) != fail.Usage || err.Error() != `--memory-limit: want a size such as 256MB, 2GiB or 512m, found "lots"` {
		t.Errorf("error is %v", err)
	}
}

// TestDetectSilent: metadata that never answers costs a second, not the run.
func TestDetectSilent(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer srv.Close()
	defer close(release)
	for _, uri := range []string{srv.URL, "http://127.0.0.1:1", "file:///etc/passwd", "http://%zz"} {
		env := map[string]string{"ECS_CONTAINER_METADATA_URI_V4": uri}
		begin := time.Now()
		got, err := probes{func(k string) string { return env[k] }, func() (uint64, error) { return 0, errors.New("none") },
			&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}.detect("")
		if err != nil || got.Bytes != 0 || time.Since(begin) > 5*time.Second {
			t.Errorf("%s: %+v, %v after %v", uri, got, err, time.Since(begin))
		}
	}
}

func TestApply(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	for _, c := range []struct {
		l          Limit
		want, real int64
	}{
		{Limit{Bytes: 0, Source: "none"}, 0, before},
		{Limit{Bytes: 1 << 30, Source: "GOMEMLIMIT"}, 1 << 30, before}, // the runtime has read it already
		{Limit{Bytes: 128 << 20, Source: "cgroup"}, Share(128 << 20), Share(128 << 20)},
		{Limit{Bytes: 256 << 20, Source: "cgroup"}, Share(256 << 20), Share(256<<20) + ballastBytes},
	} {
		debug.SetMemoryLimit(before)
		if got := Apply(c.l); got != c.want || debug.SetMemoryLimit(-1) != c.real {
			t.Errorf("Apply(%+v) = %d and sets %d, want %d and %d", c.l, got, debug.SetMemoryLimit(-1), c.want, c.real)
		}
	}
	for limit, want := range map[int64]int64{32 << 20: 16 << 20, 64 << 20: 36 << 20, 160 << 20: 132 << 20, 1000 << 20: 850 << 20, 64 << 30: 63 << 30} {
		if got := Share(limit); got != want {
			t.Errorf("Share(%d MiB) = %d MiB, want %d", limit>>20, got>>20, want>>20)
		}
		if of := Of(want); Share(of) < want || Share(of-(2<<20)) >= want && limit > 32<<20 {
			t.Errorf("Of(%d MiB) = %d MiB, of which the share is %d", want>>20, of>>20, Share(of)>>20)
		}
	}
}
