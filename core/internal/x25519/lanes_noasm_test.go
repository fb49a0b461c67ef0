//go:build !amd64 || purego

package x25519

func setImpl(impl implementation) bool { return impl == implTwin }
