//go:build !amd64 || purego

package chapoly

const (
	wide    = false
	minWide = Lanes + 1
)

func sealWide(*work, *Keys, *Messages, int)        { panic("chapoly: no assembly") }
func openWide(*work, *Keys, *Messages, int) uint16 { panic("chapoly: no assembly") }
