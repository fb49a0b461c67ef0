//go:build !amd64 || purego

package sha2

func implementations() []implementation { return []implementation{generic} }
