//go:build amd64 && !purego

package cbc

import "ecoin/core/internal/cpu"

// implementations lists what this processor runs, the best one last.
func implementations() []implementation {
	list := []implementation{{"generic", func() { haveAESNI, haveVAES = false, false }}}
	if cpu.AESNI {
		list = append(list, implementation{"aesni", func() { haveAESNI, haveVAES = true, false }})
	}
	if cpu.VAES {
		list = append(list, implementation{"vaes", func() { haveAESNI, haveVAES = true, true }})
	}
	return list
}
