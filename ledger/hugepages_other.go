//go:build unix && !linux

package ledger

func preferHugePages([]byte) {}
