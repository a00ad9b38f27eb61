package transforms

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/extsort"
	"github.com/sluice-data/sluice/transforms/internal/keys"
	"github.com/sluice-data/sluice/transforms/internal/orderkey"
)

func init() {
	Register(Def{
		Name: "sample",
		Doc: "Keeps some rows at random: sample: 1%, {fraction: 0.01, seed: 7}, or {rows: 1000} for that many. Which ones follows from a hash of their values and the seed (0 without one), so the same rows " +
			"give the same sample whatever the lanes, and rows that are equal are in it together (with rows: one by one). With by (columns or expressions) the hash is of these: all rows of a zone, or none. " +
			"Lists and structs are left out of the hash. All others count as filtered. With rows the sample comes in the order of the hashes, else in that of the input.",
		Example: "- sample: {fraction: 0.5, by: [trip_id], seed: 1}",
		Bind:    bindSample,
	})
}

func bindSample(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	fraction := n
	h := &hasher{by: &keyPart{}}
	explain := "sample "
	var rows *spec.Node
	if n.IsMap() {
		if _, err := n.Map("fraction", "rows", "seed", "by"); err != nil {
			return Bound{}, err
		}
		fraction, rows = n.Get("fraction"), n.Get("rows")
		if (fraction == nil) == (rows == nil) {
			return Bound{}, n.Errorf("sample needs fraction or rows, one of them: {fraction: 1%%}, {rows: 1000}")
		}
		if at := n.Get("seed"); at != nil {
			seed, err := at.Int()
			if err != nil {
				return Bound{}, err
			}
			h.seed = uint64(seed)
		}
		if at := n.Get("by"); at != nil {
			var err error
			if h.by, err = bindKeys(env, at, in); err != nil {
				return Bound{}, err
			}
		}
	}
	seeded := ""
	if h.seed != 0 {
		seeded = fmt.Sprintf(" seed %d", int64(h.seed))
	}
	by := " by " + strings.Join(h.by.says, ", ")
	if len(h.by.progs) == 0 {
		by = ""
		for _, f := range in.Fields() {
			if !orderkey.Orderable(f.Type) {
				continue
			}
			p, err := compileName(env, f.Name, in)
			if err == nil {
				err = h.by.add(p, false, false)
			}
			if err != nil {
				return Bound{}, n.Errorf("sample: %w", err)
			}
		}
	}
	types := make([]arrow.DataType, len(h.by.cols))
	for i, c := range h.by.cols {
		types[i] = c.Type
	}
	var err error
	if h.plan, err = keys.NewPlan(types); err != nil {
		return Bound{}, n.Errorf("sample: %w", err)
	}
	needs := also(columnsOf([]*keyPart{h.by}))
	if rows == nil {
		share, err := shareOf(fraction)
		if err != nil {
			return Bound{}, err
		}
		explain += strconv.FormatFloat(share*100, 'g', -1, 64) + "%" + by + seeded
		return narrowed(everything(in), func(out view) (Bound, error) {
			return Bound{Step: &sample{h: h, most: threshold(share), out: out}, Explain: explain, Needs: needs}, nil
		})
	}
	most, err := atLeast(rows, "rows", 0)
	if err != nil {
		return Bound{}, err
	}
	explain += fmt.Sprintf("%d rows%s%s", most, by, seeded)
	return narrowed(everything(in), func(out view) (Bound, error) { return sampleRows(env, n, h, most, out, explain, needs) })
}

// shareOf is the fraction that n holds: 0.01 or 1%.
func shareOf(n *spec.Node) (float64, error) {
	text, err := n.Str()
	if err != nil {
		return 0, err
	}
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return 0, n.Errorf("%q is no share of the rows: want 1%% or 0.01, from 0 to 1", text)
	}
	return v, nil
}

// threshold is what a hash is below in that share of all cases.
func threshold(share float64) uint64 {
	if t := math.Ldexp(share, 64); t < math.Ldexp(1, 64) {
		return uint64(t)
	}
	return math.MaxUint64
}

// hasher hashes rows.
type hasher struct {
	by   *keyPart
	plan *keys.Plan
	seed uint64
}

// hashes appends the hashes of rows to dst.
func (h *hasher) hashes(enc *keys.Encoder, by []arrow.Array, n int, dst []uint64) ([]uint64, error) {
	rows, err := enc.Encode(by, n)
	if err != nil {
		return dst, err
	}
	salt := keys.HashWord(h.seed)
	for _, x := range rows.Hashes()[:n] {
		dst = append(dst, keys.HashWord(x^salt))
	}
	return dst, nil
}

// sample is the step that keeps rows by their hash.
type sample struct {
	h    *hasher
	most uint64
	out  view
}

func (s *sample) Name() string          { return "sample" }
func (s *sample) Schema() *arrow.Schema { return s.out.schema }
func (s *sample) Drops() pipeline.Cause { return pipeline.Filtered }
func (s *sample) NewStage(mem memory.Allocator) (pipeline.Stage, error) {
	return &sampleStage{s: s, mem: mem, enc: s.h.plan.NewEncoder()}, nil
}

type sampleStage struct {
	s    *sample
	mem  memory.Allocator
	enc  *keys.Encoder
	hash []uint64
	idx  []int32
}

func (s *sampleStage) Close() {}

func (s *sampleStage) Apply(_ context.Context, b pipeline.Batch, rej *pipeline.Rejects) (pipeline.Batch, error) {
	n := int(b.Rec.NumRows())
	var bad refusals
	var by []arrow.Array
	defer func() {
		for _, a := range by {
			a.Release()
		}
	}()
	for _, p := range s.s.h.by.progs {
		a, errs, err := p.Eval(b.Rec, s.mem)
		if err != nil {
			return pipeline.Batch{}, err
		}
		bad.add("", errs)
		by = append(by, a)
	}
	var err error
	if s.hash, err = s.s.h.hashes(s.enc, by, n, s.hash[:0]); err != nil {
		return pipeline.Batch{}, err
	}
	left := bad.reject(b, n, rej)
	s.idx = s.idx[:0]
	for i, h := range s.hash {
		if h >= s.s.most && s.s.most != math.MaxUint64 {
			continue
		}
		if left != nil {
			if _, there := slices.BinarySearch(left, int32(i)); !there {
				continue
			}
		}
		s.idx = append(s.idx, int32(i))
	}
	rec := s.s.out.of(b.Rec)
	defer rec.Release()
	return keep(b, rec, s.idx, s.mem)
}

// sampleRows is the fold that keeps the rows with the least hashes.
func sampleRows(env Env, n *spec.Node, h *hasher, most int64, out view, explain string, needs func(map[string]bool) map[string]bool) (Bound, error) {
	// The hash is a part of the key behind the columns it is made of: put makes it the only one.
	word := &keyPart{cols: []orderkey.Column{{Type: arrow.PrimitiveTypes.Uint64}}}
	s, err := newSorted(env, "sample", []*keyPart{word}, out)
	if err != nil {
		return Bound{}, n.Errorf("sample: %w", err)
	}
	s.parts = []*keyPart{h.by}
	f := &sifted{sorted: s, cause: pipeline.Filtered, keep: func() extsort.Keep { return firstOf(most, false) }}
	f.put = func(k *keyed, mem memory.Allocator) error {
		hash, err := h.hashes(h.plan.NewEncoder(), k.by[0], k.n, nil)
		if err != nil {
			return err
		}
		for _, a := range k.by[0] {
			a.Release()
		}
		k.by[0] = []arrow.Array{col.New(arrow.PrimitiveTypes.Uint64, hash, nil)}
		return nil
	}
	f.early = func() func(k *keyed) ([]int32, error) {
		b := &leaders{most: int(min(most, 1<<30)), whole: true, heaps: make([][]uint64, 1)}
		return func(k *keyed) ([]int32, error) {
			idx := make([]int32, 0, k.n)
			for i, w := range col.Fixed[uint64](k.by[0][0]) {
				if most > 0 && b.push(0, w) {
					idx = append(idx, int32(i))
				}
			}
			return idx, nil
		}
	}
	return Bound{Fold: f, Explain: explain, Needs: needs}, nil
}
