//go:build (!amd64 && !arm64) || purego

package cbc

func implementations() []implementation { return []implementation{{"generic", func() {}}} }
