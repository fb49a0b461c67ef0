//go:build amd64 && !purego

package chapoly

import "ecoin/core/internal/cpu"

var wide = cpu.AVX512 // a variable for tests

// minWide is the number of messages from which sixteen lanes are faster than one.
const minWide = 3

func sealWide(w *work, k *Keys, m *Messages, n int) {
	if n == Lanes {
		sealAll(w, k, m)
		return
	}
	full := filled(w, m, n)
	sealAll(w, k, &full)
}

func openWide(w *work, k *Keys, m *Messages, n int) (opened uint16) {
	if n == Lanes {
		return openAll(w, k, m)
	}
	full := filled(w, m, n)
	return openAll(w, k, &full) & (1<<n - 1)
}

// filled returns the first n messages of m, and in the other lanes one in w, which
// will be read and written as if it mattered. By value, so that they can be on the
// stack.
func filled(w *work, m *Messages, n int) (full Messages) {
	for i := range n { // copy would count as an escape of what the pointers lead to
		full.AAD[i], full.Plain[i], full.Sealed[i] = m.AAD[i], m.Plain[i], m.Sealed[i]
	}
	for i := n; i < Lanes; i++ {
		full.AAD[i], full.Plain[i], full.Sealed[i] = &w.idle.aad, &w.idle.plain, &w.idle.sealed
	}
	return full
}

func sealAll(w *work, k *Keys, m *Messages) {
	streams(&w.polyKey, &w.stream, &k.Key, &k.Nonce)
	sealRows(&m.Sealed, &w.blocks, &m.AAD, &m.Plain, &w.stream)
	tags(&w.tags, &w.factors, &w.polyKey, &w.blocks)
	sealTags(&m.Sealed, &w.tags)
}

func openAll(w *work, k *Keys, m *Messages) (opened uint16) {
	streams(&w.polyKey, &w.stream, &k.Key, &k.Nonce)
	openBlocks(&w.blocks, &w.want, &m.AAD, &m.Sealed)
	tags(&w.tags, &w.factors, &w.polyKey, &w.blocks)
	return uint16(openRows(&m.Plain, &m.Sealed, &w.stream, &w.tags, &w.want, &w.right))
}
