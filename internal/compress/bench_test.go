package compress

import (
	"bytes"
	stdgzip "compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	kpgzip "github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// benchTexts are rows as the benchmark's data sets have them, by format.
func benchTexts() map[string][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	var csv, json bytes.Buffer
	for csv.Len() < 8<<20 {
		id, vendor, stamp := rng.Uint64()%1e10, 1+rng.IntN(2), fmt.Sprintf("2023-%02d-%02d %02d:%02d:%02d", 1+rng.IntN(12), 1+rng.IntN(28), rng.IntN(24), rng.IntN(60), rng.IntN(60))
		people, miles, from, to := 1+rng.IntN(6), rng.Float64()*20, rng.IntN(265), rng.IntN(265)
		fare, tip := rng.Float64()*60, rng.Float64()*9
		note := []string{"", "", "late airport", "Brooklyn rain", "gate 4 snow", "cash only waiting"}[rng.IntN(6)]
		fmt.Fprintf(&csv, "%012d,%d,%s,%s,%d,%.2f,1,N,%d,%d,1,%.2f,0.5,0.5,%.2f,0,%.2f,%s\n", id, vendor, stamp, stamp, people, miles, from, to, fare, tip, fare+tip, note)
		fmt.Fprintf(&json, `{"order_id":"%012d","vendor_id":%d,"pickup_at":"%s","dropoff_at":"%s","passenger_count":%d,"trip_distance":%.2f,"ratecode":1,"pu_location":%d,"do_location":%d,"fare":%.2f,"tip":%.2f,"total":%.2f,"note":"%s"}`+"\n",
			id, vendor, stamp, stamp, people, miles, from, to, fare, tip, fare+tip, note)
	}
	return map[string][]byte{"csv": csv.Bytes(), "json": json.Bytes()[:8<<20]}
}

// unpackers are ways to read a compressed stream to its end.
type unpacker struct {
	name string
	open func(io.Reader) (io.Reader, error)
}

func worker(codec string) unpacker {
	return unpacker{"worker", func(r io.Reader) (io.Reader, error) { return NewReader(codec, r, Options{}) }}
}

func benchmark(b *testing.B, text, packed []byte, by []unpacker) {
	buf := make([]byte, 256<<10)
	for _, u := range by {
		b.Run(u.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := u.open(bytes.NewReader(packed))
				n := 0
				for err == nil {
					var k int
					k, err = r.Read(buf)
					n += k
				}
				if c, ok := r.(io.Closer); ok {
					c.Close()
				}
				if err != io.EOF || n != len(text) {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// BenchmarkGunzip is in MB of content a second, one member on one core.
func BenchmarkGunzip(b *testing.B) {
	for name, text := range benchTexts() {
		b.Run(name, func(b *testing.B) {
			benchmark(b, text, gzipMember(text, 6, 0, ""), []unpacker{worker("gzip"),
				{"klauspost", func(r io.Reader) (io.Reader, error) { return kpgzip.NewReader(r) }},
				{"stdlib", func(r io.Reader) (io.Reader, error) { return stdgzip.NewReader(r) }}})
		})
	}
}

// BenchmarkGunzipBlocks is BGZF, on all cores for the worker.
func BenchmarkGunzipBlocks(b *testing.B) {
	for name, text := range benchTexts() {
		b.Run(name, func(b *testing.B) {
			benchmark(b, text, bgzf(text, 65280), []unpacker{worker("gzip"),
				{"klauspost", func(r io.Reader) (io.Reader, error) { return kpgzip.NewReader(r) }}})
		})
	}
}

// BenchmarkZstd is in MB of content a second.
func BenchmarkZstd(b *testing.B) {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range benchTexts() {
		b.Run(name, func(b *testing.B) {
			others := []unpacker{worker("zstd")}
			for _, n := range []int{1, 2} {
				others = append(others, unpacker{fmt.Sprintf("klauspost-%d", n), func(r io.Reader) (io.Reader, error) {
					d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(n))
					return zstdCloser{d}, err
				}})
			}
			benchmark(b, text, enc.EncodeAll(text, nil), others)
		})
	}
}

type zstdCloser struct{ *zstd.Decoder }

func (z zstdCloser) Close() error { z.Decoder.Close(); return nil }
