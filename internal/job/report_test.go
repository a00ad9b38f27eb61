package job

import (
	"strings"
	"testing"

	"github.com/sluice-data/sluice/transforms"
)

// What a report shows may be of whoever sent the data: no page is made of it.
func TestReportEscapes(t *testing.T) {
	const page = `<img src=x onerror=alert(1)>`
	m := &Manifest{Name: page, Input: []InputRef{{URI: "s3://b/" + page, ETag: page, VersionID: page}}, Files: []FileRef{{URI: "0" + page, Size: 12345}}, Stages: &Stages{},
		Schema: []ManifestColumn{{Name: page, Type: "1" + page}}, Checks: []transforms.Finding{{Check: page, Severity: page, Rows: 1, Value: page, Input: page, Detail: "1" + page}}}
	got := string(m.report())
	if strings.Contains(got, "<img") {
		i := strings.Index(got, "<img")
		t.Errorf("the report has a page of the data: …%s…", got[max(0, i-80):min(len(got), i+80)])
	}
	if !strings.Contains(got, "<td class=n>12,345") {
		t.Error("numbers stand to the left")
	}
}
