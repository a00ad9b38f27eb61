package redshifttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

// copyCommand is COPY as it is read.
type copyCommand struct {
	table   string
	columns []string
	from    string
	role    string
	options map[string]bool
}

var (
	copyHead = regexp.MustCompile(`(?is)^COPY\s+((?:"[^"]+"|\w+)(?:\.(?:"[^"]+"|\w+))?)\s*(?:\(([^)]*)\))?\s+FROM\s+'((?:[^']|'')*)'\s*(.*)$`)
	copyRole = regexp.MustCompile(`(?is)\bIAM_ROLE\s+(?:'([^']*)'|(default))`)
)

// parseCopy reads COPY. Options beyond those for columnar files are refused, as Redshift does ("COPY from columnar data formats").
func parseCopy(sql string) (*copyCommand, error) {
	m := copyHead.FindStringSubmatch(sql)
	if m == nil {
		return nil, failf("42601", `syntax error at or near "COPY"`)
	}
	out := &copyCommand{table: m[1], from: strings.ReplaceAll(m[3], "''", "'"), options: map[string]bool{}}
	if m[2] != "" {
		for _, c := range strings.Split(m[2], ",") {
			out.columns = append(out.columns, strings.Trim(strings.TrimSpace(c), `"`))
		}
	}
	role := copyRole.FindStringSubmatch(m[4])
	if role == nil {
		return nil, failf("42601", "Credentials or IAM_ROLE must be given")
	}
	out.role = role[1] + role[2]
	rest := strings.ToUpper(strings.Join(strings.Fields(copyRole.ReplaceAllString(m[4], "")), " "))
	rest = strings.Replace(rest, "FORMAT AS PARQUET", "PARQUET", 1)
	for _, o := range strings.Fields(rest) {
		switch o {
		case "PARQUET", "MANIFEST", "SERIALIZETOJSON", "FILLRECORD", "EXPLICIT_IDS", "ACCEPTINVCHARS":
			out.options[o] = true
		default:
			return nil, failf("0A000", "%s argument is not supported for PARQUET based COPY", o)
		}
	}
	if !out.options["PARQUET"] || !out.options["MANIFEST"] {
		return nil, failf("0A000", "the double knows COPY FORMAT AS PARQUET MANIFEST only")
	}
	return out, nil
}

// target is a column of the table as COPY writes it.
type target struct {
	name, typ string
	length    int
	identity  bool
	notNull   bool
}

// copy carries out a COPY.
func (c *session) copy(ctx context.Context, sql string) (*result, error) {
	cmd, err := parseCopy(sql)
	if err != nil {
		return nil, err
	}
	targets, err := c.targets(ctx, cmd)
	if err != nil {
		return nil, err
	}
	read, err := c.server.reader(cmd.role)
	if err != nil {
		return nil, err
	}
	files, err := manifestFiles(ctx, read, cmd.from)
	if err != nil {
		return nil, err
	}
	var lines bytes.Buffer
	rows := 0
	for _, f := range files {
		n, err := readParquet(&lines, f, targets, cmd.options)
		if err != nil {
			return nil, c.loadFailed(err, cmd.table)
		}
		rows += n
	}
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = `"` + t.name + `"`
	}
	if _, err := c.pg.CopyFrom(ctx, &lines, fmt.Sprintf("COPY %s (%s) FROM STDIN", cmd.table, strings.Join(names, ", "))); err != nil {
		return nil, translate(err)
	}
	if _, err := c.raw(ctx, fmt.Sprintf("SET double.last_copy = %d", rows)); err != nil {
		return nil, err
	}
	return &result{tag: "COPY"}, nil // Redshift's tag has no count
}

// targets are the columns that COPY names, or all of the table's but the identity columns.
func (c *session) targets(ctx context.Context, cmd *copyCommand) ([]target, error) {
	r, err := c.exec(ctx, fmt.Sprintf("SELECT a.attname, format_type(a.atttypid, a.atttypmod), coalesce(pg_get_expr(d.adbin, d.adrelid), ''), a.attnotnull FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = '%s'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum", cmd.table))
	if err != nil {
		return nil, err
	}
	var all []target
	for _, row := range r.rows {
		t := target{name: string(row[0]), typ: string(row[1]), identity: strings.HasPrefix(string(row[2]), `"identity"(`), notNull: string(row[3]) == "t"}
		if base, n, ok := strings.Cut(t.typ, "("); ok && (base == "character varying" || base == "character" || base == "binary varying") {
			t.typ = base
			t.length, _ = strconv.Atoi(strings.TrimSuffix(n, ")"))
		}
		if t.typ == "text" {
			t.typ, t.length = "character varying", 256
		}
		all = append(all, t)
	}
	if cmd.columns == nil {
		var out []target
		for _, t := range all {
			if !t.identity || cmd.options["EXPLICIT_IDS"] {
				out = append(out, t)
			}
		}
		return out, nil
	}
	var out []target
	for _, name := range cmd.columns {
		found := false
		for _, t := range all {
			if t.name != strings.ToLower(name) {
				continue
			}
			if t.identity && !cmd.options["EXPLICIT_IDS"] {
				return nil, failf("0A000", `cannot set an identity column "%s" to a value`, name)
			}
			out, found = append(out, t), true
		}
		if !found {
			return nil, failf("42703", `column "%s" of relation %s does not exist`, name, cmd.table)
		}
	}
	return out, nil
}

// s3Reader reads objects with a role's keys.
type s3Reader struct{ client *s3.Client }

func (s *Server) reader(role string) (*s3Reader, error) {
	key, secret := s.s3.AccessKey, s.s3.SecretKey
	switch role {
	case "default", Role:
	case Denied:
		secret = "not the secret"
	default:
		return nil, failf("XX000", "User arn:aws:redshift:us-east-1:123456789012:dbuser:%s/%s is not authorized to assume IAM Role %s", Cluster, User, role)
	}
	return &s3Reader{s3.New(s3.Options{BaseEndpoint: &s.s3.Endpoint, UsePathStyle: true, Region: s.s3.Region, RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider(key, secret, ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired, ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})}, nil
}

// object is a staged file.
type object struct {
	url  string
	body []byte
}

// web is the file's name in Redshift's messages.
func (o object) web() string {
	return "https://s3.us-east-1.amazonaws.com/" + strings.TrimPrefix(o.url, "s3://")
}

var errMissing = errors.New("NoSuchKey")

func (r *s3Reader) get(ctx context.Context, uri string) ([]byte, error) {
	rest, ok := strings.CutPrefix(uri, "s3://")
	bucket, key, _ := strings.Cut(rest, "/")
	if !ok || key == "" {
		return nil, failf("XX000", "The specified S3 path %s is invalid", uri)
	}
	out, err := r.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	var api smithy.APIError
	switch {
	case errors.As(err, &api) && (api.ErrorCode() == "NoSuchKey" || api.ErrorCode() == "NoSuchBucket"):
		return nil, errMissing
	case errors.As(err, &api):
		return nil, &failure{"XX000", "S3ServiceException:Access Denied,Status 403,Error AccessDenied,Rid 4711,CanRetry 1", "S3: " + api.ErrorCode()}
	case err != nil:
		return nil, err
	}
	defer out.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(out.Body); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// manifestFiles reads the manifest and the files it names.
func manifestFiles(ctx context.Context, r *s3Reader, uri string) ([]object, error) {
	text, err := r.get(ctx, uri)
	if errors.Is(err, errMissing) {
		return nil, failf("XX000", "Problem reading manifest file - S3ServiceException:The specified key does not exist.,Status 404,Error NoSuchKey")
	}
	if err != nil {
		return nil, err
	}
	var m struct {
		Entries []struct {
			URL       string `json:"url"`
			Mandatory bool   `json:"mandatory"`
			Meta      *struct {
				ContentLength *int64 `json:"content_length"`
			} `json:"meta"`
		} `json:"entries"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, failf("XX000", "Invalid manifest file: %v", err)
	}
	if len(m.Entries) == 0 {
		return nil, failf("XX000", "Manifest file has no entries")
	}
	var out []object
	for _, e := range m.Entries {
		if e.Meta == nil || e.Meta.ContentLength == nil {
			return nil, failf("XX000", "Manifest entry %s does not have the key content_length, which columnar files need", e.URL)
		}
		body, err := r.get(ctx, e.URL)
		if errors.Is(err, errMissing) {
			if !e.Mandatory {
				continue
			}
			return nil, failf("XX000", "The specified key does not exist: %s is mandatory", e.URL)
		}
		if err != nil {
			return nil, err
		}
		if int64(len(body)) != *e.Meta.ContentLength {
			return nil, failf("XX000", "Manifest entry %s has content_length %d, the object %d", e.URL, *e.Meta.ContentLength, len(body))
		}
		out = append(out, object{e.URL, body})
	}
	return out, nil
}

// badFile is a file that COPY does not take.
type badFile struct {
	file                            object
	column, typ, value, what, brief string
}

func (b *badFile) Error() string { return b.what }

// loadFailed notes a bad file in the view that people look it up in, which a rollback leaves alone, and says what Redshift says.
func (c *session) loadFailed(err error, table string) error {
	var b *badFile
	if !errors.As(err, &b) {
		return err
	}
	ctx := context.Background()
	aside, aerr := c.server.session(ctx)
	if aerr != nil {
		return aerr
	}
	defer aside.close()
	q := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	view := "sys_load_error_detail"
	sql := fmt.Sprintf("INSERT INTO double.sys_load_error_detail VALUES (clock_timestamp(), %s, %s, %s, %s)", q(b.file.url), q(b.column), q(b.typ), q(b.brief))
	if c.server.Provisioned {
		view = "stl_load_errors"
		sql = fmt.Sprintf("INSERT INTO double.stl_load_errors VALUES (clock_timestamp(), %s, %s, %s, %s)", q(b.file.url), q(b.column), q(b.brief), q(b.value))
	}
	if _, err := aside.raw(ctx, sql); err != nil {
		return err
	}
	if c.server.Terse {
		return failf("XX000", "Load into table %s failed.  Check '%s' system table for details.", table, view)
	}
	return &failure{"XX000", "Spectrum Scan Error", fmt.Sprintf("\n  -----------------------------------------------\n  error:  Spectrum Scan Error\n  code:      15007\n  context:   %s\n  query:     4711\n  location:  dory_util.cpp:1509\n  process:   worker_thread [pid=8635]\n  -----------------------------------------------\n", b.what)}
}
