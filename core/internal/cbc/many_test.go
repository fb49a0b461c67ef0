package cbc

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// A batch is jobs and what should become of them.
type batch struct {
	jobs   []Job
	memory [][]byte // around each Dst
	want   [][]byte // memory afterwards
	src    [][]byte
}

// newBatch makes jobs of as many blocks as each of lengths says.
func newBatch(t testing.TB, r *rand.Rand, lengths []int) *batch {
	b := new(batch)
	text := func(n int) []byte {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		return p
	}
	for _, blocks := range lengths {
		key, iv := [32]byte(text(32)), [16]byte(text(16))
		src := text(blocks * BlockSize)
		shift := r.IntN(16)
		memory := buffer(src, shift)
		dst := memory[shift : len(memory)-r.IntN(32)]
		want := bytes.Clone(memory)
		copy(want[shift:], libraryEncrypt(t, &key, &iv, src))
		if r.IntN(2) == 0 {
			src = dst[:len(src)]
		}
		b.jobs = append(b.jobs, Job{Key: &key, IV: &iv, Dst: dst, Src: src})
		b.memory, b.want = append(b.memory, memory), append(b.want, want)
		b.src = append(b.src, bytes.Clone(src))
	}
	return b
}

func (b *batch) check(t *testing.T, s *ManyScratch) {
	t.Helper()
	keys := make([][32]byte, len(b.jobs))
	ivs := make([][16]byte, len(b.jobs))
	for i, j := range b.jobs {
		keys[i], ivs[i] = *j.Key, *j.IV
	}
	EncryptMany(s, b.jobs)
	for i, j := range b.jobs {
		if !bytes.Equal(b.memory[i], b.want[i]) {
			t.Errorf("job %d of %d, %d blocks: differs or wrote elsewhere", i, len(b.jobs), len(b.src[i])/BlockSize)
		}
		if *j.Key != keys[i] || *j.IV != ivs[i] {
			t.Errorf("job %d: changed key or IV", i)
		}
		if len(j.Src) > 0 && &j.Src[0] != &j.Dst[0] && !bytes.Equal(j.Src, b.src[i]) {
			t.Errorf("job %d: changed src", i)
		}
	}
	if *s != (ManyScratch{}) {
		t.Error("scratch is not wiped")
	}
}

// TestMany gives EncryptMany each number of jobs up to more than two per lane, with
// lengths of several kinds.
func TestMany(t *testing.T) {
	for _, kind := range []struct {
		name   string
		length func(r *rand.Rand, i int) int
	}{
		{"equal", func(*rand.Rand, int) int { return 9 }},
		{"rising", func(_ *rand.Rand, i int) int { return i }},
		{"random", func(r *rand.Rand, _ int) int { return r.IntN(20) }},
		{"one long", func(_ *rand.Rand, i int) int { return 1 + 3*idleBlocks*(i%8/7) }},
		{"two long", func(_ *rand.Rand, i int) int { return 2 + (2*idleBlocks+i)*(i%5/4) }},
	} {
		t.Run("lengths="+kind.name, func(t *testing.T) {
			eachImplementation(t, func(t *testing.T) {
				s := new(ManyScratch)
				for n := range 41 {
					r := seeded(uint64(n))
					lengths := make([]int, n)
					for i := range lengths {
						lengths[i] = kind.length(r, i)
					}
					newBatch(t, r, lengths).check(t, s)
				}
			})
		})
	}
}

// TestManyShared encrypts one message under one key and IV in all jobs.
func TestManyShared(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		key, iv, src := [32]byte(random(1, 32)), [16]byte(random(2, 16)), random(3, 160)
		want := libraryEncrypt(t, &key, &iv, src)
		var jobs []Job
		for range 33 {
			jobs = append(jobs, Job{Key: &key, IV: &iv, Dst: make([]byte, len(src)), Src: src})
		}
		EncryptMany(new(ManyScratch), jobs)
		for i, j := range jobs {
			if !bytes.Equal(j.Dst, want) {
				t.Errorf("job %d differs", i)
			}
		}
	})
}

// TestLanes compares the lanes of each implementation with the generic ones, call
// after call, so that the chain is part of it.
func TestLanes(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		width := laneCount()
		var keys [maxLanes]*[32]byte
		var chain [maxLanes][16]byte
		var dst, src [maxLanes]*byte
		var to, from [maxLanes][]byte
		const blocks = 12
		for lane := range maxLanes {
			keys[lane] = (*[32]byte)(random(byte(lane), 32))
			chain[lane] = [16]byte(random(byte(lane)+50, 16))
			from[lane] = random(byte(lane)+100, blocks*BlockSize)
			to[lane] = make([]byte, blocks*BlockSize)
		}
		iv := chain
		var k laneKeys
		expandLanes(&k, &keys, 1<<width-1)
		for done, n := 0, 1; done < blocks; done, n = done+n, n+1 {
			n = min(n, blocks-done)
			for lane := range maxLanes {
				dst[lane], src[lane] = &to[lane][done*BlockSize], &from[lane][done*BlockSize]
			}
			encryptLanes(&k, &chain, &dst, &src, n)
		}
		for lane := range maxLanes {
			want := make([]byte, blocks*BlockSize)
			last := iv[lane]
			if lane < width {
				want = libraryEncrypt(t, keys[lane], &iv[lane], from[lane])
				last = [16]byte(want[len(want)-16:])
			}
			if !bytes.Equal(to[lane], want) || chain[lane] != last {
				t.Errorf("lane %d of %d differs", lane, width)
			}
		}
	})
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }
