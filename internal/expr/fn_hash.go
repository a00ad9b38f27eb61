package expr

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash/crc32"
	"hash/fnv"
	"math/bits"

	"github.com/sluice-data/sluice/internal/md5many"
)

func init() {
	for _, f := range []struct {
		name, doc, result string
		k                 kernel
	}{
		{"md5", "The MD5 digest of a text or binary value as 32 hexadecimal digits.", "900150983cd24fb0d6963f7d28e17f72", hexDigests(md5.Size, func(sums *[group][]byte, texts [][]byte) {
			var all [group][md5.Size]byte
			md5many.Short(&all, texts)
			for i := range texts {
				copy(sums[i], all[i][:])
			}
		})},
		{"sha1", "The SHA-1 digest of a text or binary value as 40 hexadecimal digits.", "a9993e364706816aba3e25717850c26c9cd0d89d", hexDigests(sha1.Size, each(func(sum, s []byte) {
			b := sha1.Sum(s)
			copy(sum, b[:])
		}))},
		{"sha256", "The SHA-256 digest of a text or binary value as 64 hexadecimal digits.", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", hexDigests(sha256.Size, each(func(sum, s []byte) {
			b := sha256.Sum256(s)
			copy(sum, b[:])
		}))},
		{"sha384", "The SHA-384 digest of a text or binary value as 96 hexadecimal digits.",
			"cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7", hexDigests(sha512.Size384, each(func(sum, s []byte) {
				b := sha512.Sum384(s)
				copy(sum, b[:])
			}))},
		{"sha512", "The SHA-512 digest of a text or binary value as 128 hexadecimal digits.",
			"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f", hexDigests(sha512.Size, each(func(sum, s []byte) {
				b := sha512.Sum512(s)
				copy(sum, b[:])
			}))},
	} {
		digest(Function{Name: f.name, Signature: f.name + "(string) → string", Doc: f.doc, Example: f.name + "('abc')", Result: f.result}, stringType, f.k)
	}
	digest(Function{Name: "crc32", Signature: "crc32(string) → int64", Doc: "The CRC-32 checksum (that of zip and Ethernet) of a text or binary value.", Example: "crc32('abc')", Result: "891568578"}, simple(kInt64),
		mapBytes(func(s []byte) int64 { return int64(crc32.ChecksumIEEE(s)) }))
	digest(Function{Name: "fnv_hash", Signature: "fnv_hash(string) → int64", Doc: "The 64-bit FNV-1a hash of a text or binary value, as Redshift's FNV_HASH.", Example: "fnv_hash('abc')", Result: "-1792535898324117685"},
		simple(kInt64), mapBytes(func(s []byte) int64 {
			h := fnv.New64a()
			h.Write(s)
			return int64(h.Sum64())
		}))
	digest(Function{Name: "xxhash64", Signature: "xxhash64(string) → int64", Doc: "The 64-bit xxHash (seed 0) of a text or binary value: fast, and even enough to sample or spread rows by; not for secrets.",
		Example: "xxhash64('abc')", Result: "4952883123889572249"}, simple(kInt64), mapBytes(func(s []byte) int64 { return int64(xxhash64(s)) }))
	register(definition{Function{Name: "hmac_sha256", Signature: "hmac_sha256(string, secret string) → string",
		Doc: "The HMAC-SHA-256 of a text or binary value as 64 hexadecimal digits, for pseudonyms that join but cannot be guessed. The second argument is the name of the environment variable " +
			"that holds the key; the run does not start without it, and its value is written nowhere.",
		Example: "hmac_sha256('abc', 'EXAMPLE_SECRET')", Result: "9c196e32dc0175f86f4b1cb89289d6619de6bee699e4c378e68309ed97a1a6ab"}, bindHMAC})
}

// digest registers a function of the bytes of a text or binary value.
func digest(d Function, t typ, k kernel) {
	register(definition{d, func(b *binder, c *call, args []node) (node, *Error) {
		if len(args) != 1 || args[0].typ().kind != kBinary {
			if err := b.arguments(c, args, 0, aString); err != nil {
				return nil, err
			}
		}
		n := b.call(t, k, false, c.span, args...)
		if t.kind == kString { // checksums take less than a look-up
			n = costly(n)
		}
		return n, nil
	}})
}

// group is how many texts are hashed at a time.
const group = md5many.Most

// hexDigests is the kernel of a digest of size bytes in hexadecimal digits. compute puts those of some texts into sums.
func hexDigests(size int, compute func(sums *[group][]byte, texts [][]byte)) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		a, valid := args[0], r.strictValid(args...)
		if 2*size*r.n > 1<<31-1 {
			r.tooLarge()
			return nullOf(f.t, r.n)
		}
		out := r.strings(f.t, r.bytes(2*size*r.n))
		out.valid, out.ascii = valid, 1
		var sums, texts [group][]byte
		buf := make([]byte, group*size)
		for i := range sums {
			sums[i] = buf[i*size : (i+1)*size]
		}
		from, to, n := 0, 0, 0 // the digests of the n texts begin at from
		flush := func() {
			compute(&sums, texts[:n])
			for _, sum := range sums[:n] {
				putHex(out.data[from:], sum)
				from += 2 * size
			}
			n = 0
		}
		for i := range r.n {
			out.beg[i] = int32(to)
			if active(sel, valid, i) {
				texts[n] = a.str(i)
				to += 2 * size
				if n++; n == group {
					flush()
				}
			}
			out.end[i] = int32(to)
		}
		flush()
		out.data = out.data[:to]
		return out
	}
}

// each computes digests one by one.
func each(compute func(sum, s []byte)) func(sums *[group][]byte, texts [][]byte) {
	return func(sums *[group][]byte, texts [][]byte) {
		for i, s := range texts {
			compute(sums[i], s)
		}
	}
}

// putHex writes b, a multiple of four bytes, in hexadecimal digits: each four become eight at once, a nibble a byte, and those above 9 are moved to the letters.
func putHex(dst, b []byte) {
	for ; len(b) >= 4; b, dst = b[4:], dst[8:] {
		v := uint64(binary.LittleEndian.Uint32(b))
		v = (v | v<<16) & 0x0000ffff0000ffff
		v = (v | v<<8) & 0x00ff00ff00ff00ff
		v = v>>4&0x000f000f000f000f | v<<8&0x0f000f000f000f00
		letter := (v + 0x0606060606060606) >> 4 & 0x0101010101010101
		binary.LittleEndian.PutUint64(dst, v+0x3030303030303030+letter*('a'-'9'-1))
	}
}

// mapBytes is the kernel of a function of a text's bytes that gives a value of fixed width.
func mapBytes[D any](compute func(s []byte) D) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		a, out := args[0], r.fixed(f.t)
		out.valid = r.strictValid(args...)
		dst := values[D](out)
		for i := range dst {
			dst[i] = compute(a.str(i))
		}
		return out
	}
}

// bindHMAC takes the key from the environment while binding, before a byte is read. It lives in the program alone: neither the
// expression's text, which explain and the run id see, nor any message holds it.
func bindHMAC(b *binder, c *call, args []node) (node, *Error) {
	if len(args) == 2 && args[0].typ().kind == kBinary {
		if err := b.arguments(c, args, 0, anything, aString); err != nil {
			return nil, err
		}
	} else if err := b.arguments(c, args, 0, aString, aString); err != nil {
		return nil, err
	}
	at := c.args[1].place()
	name, ok := constString(args[1])
	if !ok {
		return nil, errAt(at, "the second argument of hmac_sha256 must be the name of an environment variable as a literal, such as 'PSEUDONYM_KEY'")
	}
	key, ok := "", false
	if b.env.Secret != nil {
		key, ok = b.env.Secret(name)
	}
	if !ok || key == "" {
		return nil, errAt(at, "environment variable %s is not set: it must hold the key of hmac_sha256", name)
	}
	secret := []byte(key)
	return &function{t: stringType, args: args[:1], src: b.text(c.span), costly: true, run: func(f *function, r *run, sel []byte, args []*vector) *vector {
		mac := hmac.New(sha256.New, secret)
		return hexDigests(sha256.Size, each(func(sum, s []byte) {
			mac.Reset()
			mac.Write(s)
			mac.Sum(sum[:0])
		}))(f, r, sel, args)
	}}, nil
}

// xxhash64 is XXH64 with seed 0 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
func xxhash64(b []byte) uint64 {
	const p1, p2, p3, p4, p5 = 11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579, 2870177450012600261
	round := func(acc, v uint64) uint64 { return bits.RotateLeft64(acc+v*p2, 31) * p1 }
	n := uint64(len(b))
	h := uint64(p5)
	if len(b) >= 32 {
		v := [4]uint64{p1, p2, 0, 0}
		v[0] += p2
		v[3] -= p1
		for ; len(b) >= 32; b = b[32:] {
			for i := range v {
				v[i] = round(v[i], binary.LittleEndian.Uint64(b[8*i:]))
			}
		}
		h = bits.RotateLeft64(v[0], 1) + bits.RotateLeft64(v[1], 7) + bits.RotateLeft64(v[2], 12) + bits.RotateLeft64(v[3], 18)
		for _, x := range v {
			h = (h^round(0, x))*p1 + p4
		}
	}
	h += n
	for ; len(b) >= 8; b = b[8:] {
		h = bits.RotateLeft64(h^round(0, binary.LittleEndian.Uint64(b)), 27)*p1 + p4
	}
	if len(b) >= 4 {
		h = bits.RotateLeft64(h^uint64(binary.LittleEndian.Uint32(b))*p1, 23)*p2 + p3
		b = b[4:]
	}
	for _, c := range b {
		h = bits.RotateLeft64(h^uint64(c)*p5, 11) * p1
	}
	h = (h ^ h>>33) * p2
	h = (h ^ h>>29) * p3
	return h ^ h>>32
}
