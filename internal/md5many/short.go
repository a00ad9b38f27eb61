package md5many

import (
	"crypto/md5"
	"encoding/binary"
)

// longest is that of the texts that Short puts into lanes: with its padding (section 3.1) one of two blocks.
const longest = 2*md5.BlockSize - 9

// Short puts the MD5 of each text, at most Most of them, in its place among sums. It is for texts of a block or two: longer ones are taken one by one.
func Short(sums *[Most][md5.Size]byte, texts [][]byte) {
	if !hasLanes || len(texts) < worth {
		for l, b := range texts {
			sums[l] = md5.Sum(b)
		}
		return
	}
	var padded [lanes][2 * md5.BlockSize]byte
	var last [lanes]int // the text's last block, -1 of one that is taken alone
	blocks := 0
	for l, b := range texts {
		if len(b) > longest {
			sums[l], last[l] = md5.Sum(b), -1
			continue
		}
		p := &padded[l]
		p[copy(p[:], b)] = 0x80
		last[l] = (len(b) + 8) / md5.BlockSize
		binary.LittleEndian.PutUint64(p[last[l]*md5.BlockSize+md5.BlockSize-8:], uint64(len(b))*8)
		blocks = max(blocks, last[l]+1)
	}
	s := begin()
	var p [lanes]*byte
	for block := range blocks {
		for l := range p {
			p[l] = &padded[l][block*md5.BlockSize]
		}
		blocksOf(&s, &p, 1)
		for l := range texts {
			if last[l] != block {
				continue
			}
			for i := range s {
				binary.LittleEndian.PutUint32(sums[l][4*i:], s[i][l])
			}
		}
	}
}

// begin is the state of texts of which nothing is done.
func begin() (s state) {
	for i, v := range start {
		for l := range s[i] {
			s[i][l] = v
		}
	}
	return s
}
