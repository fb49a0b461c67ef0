package analysis

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustExec(t *testing.T, command string, o ExecOptions) Func {
	t.Helper()
	f, err := Exec(command, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestExec(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 20<<10) // 320 KiB, more than a pipe holds
	for _, tc := range []struct {
		name, command string
		in            []byte
		want          string
	}{
		{"filter", "tr a-z A-Z", []byte("abc\n"), "ABC\n"},
		{"pipeline", "sort | head -1", []byte("b\na\n"), "a\n"},
		{"big", "cat", big, string(big)},
		{"input not read", "echo ok", big, "ok\n"},
		{"no output", "true", nil, ""},
		{"errors are not output", "echo noise >&2; echo ok", nil, "ok\n"},
		{"much on standard error", "head -c 1000000 /dev/zero >&2; echo ok", nil, "ok\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := mustExec(t, tc.command, ExecOptions{})(t.Context(), tc.in)
			if err != nil || string(got) != tc.want {
				t.Errorf("%d bytes, %v; want %d bytes", len(got), err, len(tc.want))
			}
		})
	}
}

func TestExecEnvironment(t *testing.T) {
	t.Setenv("ECOIN_TEST_SECRET", "do-not-pass-on")
	// A file that this process was started with: open, and not close-on-exec.
	inherited, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer inherited.Close()
	if _, err := unix.FcntlInt(inherited.Fd(), unix.F_SETFD, 0); err != nil {
		t.Fatal(err)
	}
	got, err := mustExec(t, "env; exec ls /proc/self/fd", ExecOptions{})(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(got, []byte("do-not-pass-on")) {
		t.Errorf("the command sees the environment: %s", got)
	}
	for line := range strings.Lines(string(got)) {
		name, _, isVar := strings.Cut(line, "=")
		switch name {
		case "PATH", "HOME", "LANG", "PWD", "OLDPWD", "SHLVL", "_": // the last four are the shell's own
		default:
			if isVar {
				t.Errorf("unexpected variable %s", name)
			}
		}
	}
	if !strings.HasSuffix(string(got), "\n0\n1\n2\n3\n") { // 3 is ls's own handle on the folder
		t.Errorf("open files: %s", got)
	}
}

func TestExecRefuses(t *testing.T) {
	for _, tc := range []struct{ name, command, want string }{
		{"with a text", "echo partial; echo 'line 3: bad date' >&2; exit 65", "line 3: bad date"},
		{"silent", "exit 65", "does not say why"},
		{"long", "yes x | tr -d '\\n' | head -c 5000 >&2; exit 65", strings.Repeat("x", maxText)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, err := mustExec(t, tc.command, ExecOptions{})(t.Context(), nil)
			ie, ok := errors.AsType[*InputError](err)
			if !ok || !strings.Contains(ie.Text, tc.want) || len(ie.Text) > maxText || out != nil {
				t.Errorf("got %v with %d bytes, want an InputError with %q", err, len(out), tc.want)
			}
		})
	}
}

func TestExecFails(t *testing.T) {
	for _, tc := range []struct {
		name, command string
		o             ExecOptions
		want          error
	}{
		{"exit 1", "exit 1", ExecOptions{}, nil},
		{"no such program", "/no/such/program", ExecOptions{}, nil},
		{"killed", "kill -9 $$", ExecOptions{}, nil},
		{"time", "sleep 60", ExecOptions{Timeout: 50 * time.Millisecond}, errExecTimeout},
		{"time, signals ignored", "trap '' TERM INT HUP; sleep 60; sleep 60", ExecOptions{Timeout: 50 * time.Millisecond}, errExecTimeout},
		{"output", "yes", ExecOptions{MaxOutput: 1000}, errExecOutput},
		{"output by one byte, exit 0", "head -c 1001 /dev/zero", ExecOptions{MaxOutput: 1000}, errExecOutput},
		{"output, exit 65", "head -c 1001 /dev/zero; exit 65", ExecOptions{MaxOutput: 1000}, errExecOutput},
	} {
		t.Run(tc.name, func(t *testing.T) {
			begin := time.Now()
			out, err := mustExec(t, tc.command, tc.o)(t.Context(), []byte("plaintext"))
			if err == nil || out != nil {
				t.Fatalf("got %d bytes, %v; want an error", len(out), err)
			}
			if _, ok := errors.AsType[*InputError](err); ok {
				t.Errorf("%v is an InputError", err)
			}
			if tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if d := time.Since(begin); d > 10*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
	out, err := mustExec(t, "head -c 1000 /dev/zero", ExecOptions{MaxOutput: 1000})(t.Context(), nil)
	if err != nil || len(out) != 1000 {
		t.Errorf("output at the limit: %d bytes, %v", len(out), err)
	}
}

func TestExecContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := mustExec(t, "sleep 60", ExecOptions{})(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// What a command leaves behind in its group dies with it, whether it was stopped or
// came to its own end.
func TestExecKillsGrandchildren(t *testing.T) {
	for _, tc := range []struct {
		name, end string
		fails     bool
	}{
		{"stopped", "sleep 60", true},
		{"ended", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pidFile := filepath.Join(t.TempDir(), "pid")
			// The grandchild holds standard output open, too.
			command := "sh -c 'sleep 61 & echo $! >" + pidFile + ".new; mv " + pidFile + ".new " + pidFile + "; wait' & " +
				"while ! test -e " + pidFile + "; do sleep 0.01; done; " + tc.end
			begin := time.Now()
			_, err := mustExec(t, command, ExecOptions{Timeout: 2 * time.Second})(t.Context(), nil)
			if (err != nil) != tc.fails {
				t.Fatalf("got %v", err)
			}
			if d := time.Since(begin); d > 20*time.Second {
				t.Errorf("took %v", d)
			}
			b, err := os.ReadFile(pidFile)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
			if err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(10 * time.Second); alive(pid); time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					_ = syscall.Kill(pid, syscall.SIGKILL)
					t.Fatalf("grandchild %d lives on", pid)
				}
			}
		})
	}
}

// alive reports whether pid runs; a zombie, which nobody may ever reap in a
// container, does not.
func alive(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

func TestExecOptions(t *testing.T) {
	for _, o := range []ExecOptions{{Timeout: -1}, {MaxOutput: -1}} {
		if _, err := Exec("true", o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	if _, err := Exec("", ExecOptions{}); err == nil {
		t.Error("an empty command was accepted")
	}
}
