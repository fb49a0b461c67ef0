package ledger

import (
	"errors"
	"strings"
	"testing"
)

// Whatever way a write fails, Fatal is called once with the cause, and nothing after
// it happens: not even a Fatal that returns lets the caller go on.
func TestFailedWritesAreFatal(t *testing.T) {
	cause := errors.New("no disk")
	for name, write := range map[string]func(s *storeLog){
		"error":        func(s *storeLog) { s.must("test", func() error { return cause }) },
		"panic":        func(s *storeLog) { s.must("test", func() error { panic(cause) }) },
		"panic string": func(s *storeLog) { s.must("test", func() error { panic("no disk") }) },
		"Fatalf":       func(s *storeLog) { s.Fatalf("%s", cause) },
		"Fatalf in a write": func(s *storeLog) {
			s.must("test", func() error { s.Fatalf("%s", cause); return nil })
		},
	} {
		var fatal []string
		s := &storeLog{logger: quietLog, fatal: func(err error) { fatal = append(fatal, err.Error()) }}
		var after any
		func() {
			defer func() { after = recover() }()
			write(s)
		}()
		if len(fatal) != 1 || !strings.Contains(fatal[0], "no disk") {
			t.Errorf("%s: Fatal was called with %q", name, fatal)
		}
		if _, ok := after.(fatalReturned); !ok {
			t.Errorf("%s: after a Fatal that returned: %v", name, after)
		}
	}
	s := &storeLog{logger: quietLog, fatal: func(err error) { t.Errorf("fatal: %v", err) }}
	s.must("test", func() error { return nil })
}
