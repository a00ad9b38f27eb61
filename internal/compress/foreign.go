package compress

import (
	"bytes"
	"strconv"
	"strings"
)

// foreign are things people upload in place of a table, by their first bytes.
var foreign = []struct{ magic, what string }{
	{"PK\x03\x04", "a zip archive (or an xlsx, docx or jar file)"},
	{"PK\x05\x06", "an empty zip archive"},
	{"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"},
	{"Rar!\x1a\x07", "a RAR archive"},
	{"\x1f\x9d", "compressed by the old compress program (.Z)"},
	{"%PDF-", "a PDF document"},
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Microsoft Office file (.xls, .doc)"},
	{"\x89PNG\r\n\x1a\n", "a PNG image"},
	{"\xff\xd8\xff", "a JPEG image"},
	{"SQLite format 3\x00", "an SQLite database"},
	{"Obj\x01", "an Avro file"},
	{"ARROW1\x00\x00", "an Arrow IPC file"},
	{"ORC\x11", "an ORC file"},
	{"\x7fELF", "a program"},
	{"!<arch>\n", "an ar archive"},
}

// Foreign says what head is if it is certainly no table: "a zip archive …"; else "".
func Foreign(head []byte) string {
	for _, f := range foreign {
		if strings.HasPrefix(string(head[:min(len(head), len(f.magic))]), f.magic) {
			return f.what
		}
	}
	if isTar(head) {
		return "a tar archive"
	}
	text := bytes.ToLower(bytes.TrimLeft(head[:min(len(head), 64)], "\uFEFF \t\r\n"))
	if bytes.HasPrefix(text, []byte("<!doctype html")) || bytes.HasPrefix(text, []byte("<html")) {
		return "an HTML page"
	}
	if bytes.HasPrefix(text, []byte("<?xml")) {
		return "an XML document"
	}
	return ""
}

// isTar reports whether head is the header of a tar archive: its mark alone is in texts ("mustard"), so its checksum has to be right, too (POSIX.1-2017, pax, "ustar
// Interchange Format").
func isTar(head []byte) bool {
	if len(head) < 512 || string(head[257:262]) != "ustar" {
		return false
	}
	sum := int64(8 * ' ') // what stands for the checksum itself
	for i, c := range head[:512] {
		if i < 148 || i >= 156 {
			sum += int64(c)
		}
	}
	said, err := strconv.ParseInt(string(bytes.Trim(head[148:156], " \x00")), 8, 64)
	return err == nil && said == sum
}
