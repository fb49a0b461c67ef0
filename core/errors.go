package core

import "errors"

var (
	// ErrOpen reports a header, request or reply that does not open. A wrong key,
	// altered bytes, a wrong length and bad padding all return this same value, so
	// that a sender learns nothing from it.
	ErrOpen = errors.New("core: envelope does not open")

	// ErrFormat reports bytes that are not laid out as the protocol demands. It is
	// always wrapped with what is wrong. It speaks of unauthenticated framing, and
	// of plaintext only after that has been authenticated.
	ErrFormat = errors.New("core: malformed bytes")

	// ErrTooLong reports a plaintext of more than MaxPlaintext bytes. It is always
	// wrapped with the length and the limit.
	ErrTooLong = errors.New("core: plaintext too long")
)
