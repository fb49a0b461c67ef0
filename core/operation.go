package core

import "fmt"

// MaxNameLen is the longest name of an analysis in bytes.
const MaxNameLen = 64

// ValidName reports whether s may name an analysis: 1 to MaxNameLen bytes of
// a-z, 0-9, dot, underscore and hyphen, the first a letter or a digit.
func ValidName(s string) bool { return validName([]byte(s)) }

func validName(s []byte) bool {
	if len(s) == 0 || len(s) > MaxNameLen {
		return false
	}
	for i, c := range s {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return true
}

// AppendOperation appends the plaintext of a request: name length u8 | name |
// body. A name that is not valid is an error that wraps ErrFormat, and more than
// MaxPlaintext bytes in all one that wraps ErrTooLong; dst is then returned as it
// was. body must not overlap the spare capacity of dst.
func AppendOperation(dst []byte, name string, body []byte) ([]byte, error) {
	mustNotOverlap("body", dst, body)
	if !ValidName(name) {
		return dst, fmt.Errorf("%w: analysis name %.80q: use 1 to %d of a-z 0-9 . _ -, first a letter or digit", ErrFormat, name, MaxNameLen)
	}
	if err := checkPlaintext(1 + len(name) + len(body)); err != nil {
		return dst, err
	}
	dst = append(dst, byte(len(name)))
	dst = append(dst, name...)
	return append(dst, body...), nil
}

// CutOperation cuts the plaintext of a request into the name of the analysis and
// its input. Both alias plaintext. An error wraps ErrFormat, and does not quote
// the plaintext.
func CutOperation(plaintext []byte) (name, body []byte, err error) {
	if len(plaintext) == 0 {
		return nil, nil, fmt.Errorf("%w: empty operation", ErrFormat)
	}
	n := int(plaintext[0])
	if len(plaintext) < 1+n {
		return nil, nil, fmt.Errorf("%w: operation of %d bytes ends inside its name", ErrFormat, len(plaintext))
	}
	name, body = plaintext[1:1+n:1+n], plaintext[1+n:]
	if !validName(name) {
		return nil, nil, fmt.Errorf("%w: operation whose name is not valid", ErrFormat)
	}
	return name, body, nil
}

// ReplyStatus is the first byte of a reply's plaintext.
type ReplyStatus uint8

const (
	ReplyOK      ReplyStatus = 0 // the body is the result
	ReplyRefused ReplyStatus = 1 // the analysis refused this input; the body says why
)

// AppendResult appends the plaintext of a reply: status u8 | body. An unknown
// status is a programming error and panics. body must not overlap the spare
// capacity of dst.
func AppendResult(dst []byte, st ReplyStatus, body []byte) []byte {
	mustNotOverlap("body", dst, body)
	if st > ReplyRefused {
		panic(fmt.Sprintf("core: unknown reply status %d", st))
	}
	return append(append(dst, byte(st)), body...)
}

// CutResult cuts the plaintext of a reply into status and body, which aliases
// plaintext. An error wraps ErrFormat, and does not quote the plaintext.
func CutResult(plaintext []byte) (ReplyStatus, []byte, error) {
	if len(plaintext) == 0 {
		return 0, nil, fmt.Errorf("%w: empty result", ErrFormat)
	}
	st := ReplyStatus(plaintext[0])
	if st > ReplyRefused {
		return 0, nil, fmt.Errorf("%w: result whose status is not known", ErrFormat)
	}
	return st, plaintext[1:], nil
}
