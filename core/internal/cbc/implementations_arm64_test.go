//go:build !purego

package cbc

import "ecoin/core/internal/cpu"

// implementations lists what this processor runs, the best one last.
func implementations() []implementation {
	list := []implementation{{"generic", func() { haveAES = false }}}
	if cpu.AES {
		list = append(list, implementation{"aes", func() { haveAES = true }})
	}
	return list
}
