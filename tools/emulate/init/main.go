// Command init runs a list of test binaries one after the other and reports the result
// of each. It is the only program of the emulated machine that run.sh boots, and there
// it is process 1: it mounts the file systems a Go program expects, runs the jobs, and
// switches the machine off. On the host it runs the same list through an emulator of
// user programs:
//
//	init -jobs DIR -with qemu-aarch64-static
//
// A job is a file in the job folder: its name, its working directory, the binary and
// its arguments, each ended by a zero byte. Jobs run in the order of their file names.
// The last line printed is "exit status N": the status of the job when there is only
// one, otherwise 1 when any failed and 0 when none did.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	jobs := flag.String("jobs", "/jobs", "folder of job files")
	with := flag.String("with", "", "emulator to run each binary with")
	flag.Parse()

	machine := os.Getpid() == 1
	if machine {
		setUp()
	}
	status, err := runAll(*jobs, *with)
	if err != nil {
		fmt.Println(err)
		status = 1
	}
	fmt.Printf("exit status %d\n", status)
	if machine {
		switchOff()
	}
	os.Exit(status)
}

// runAll runs every job and returns the exit status of the whole.
func runAll(folder, with string) (status int, err error) {
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		return 0, err
	}
	if len(files) == 0 {
		return 0, errors.New("no jobs in " + folder)
	}
	failed := 0
	for _, file := range files {
		if status, err = run(file, with); err != nil {
			return 0, err
		}
		if status != 0 {
			failed++
		}
	}
	if len(files) == 1 {
		return status, nil
	}
	fmt.Printf("%d packages passed, %d failed\n", len(files)-failed, failed)
	return min(failed, 1), nil
}

// run runs one job and returns its exit status.
func run(file, with string) (int, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	fields := strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
	if len(fields) < 3 {
		return 0, fmt.Errorf("%s is not a job", file)
	}
	name, dir, args := fields[0], fields[1], fields[2:]
	if with != "" {
		args = append([]string{with}, args...)
	}

	fmt.Printf("=== %s\n", name)
	start := time.Now()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stdout, os.Stderr
	err = cmd.Run()
	status := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		status = exit.ExitCode()
		if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() {
			status = 128 + int(s.Signal()) // as a shell reports it
		}
	} else if err != nil {
		fmt.Println(err)
		status = 127
	}
	result := "ok  "
	if status != 0 {
		result = "FAIL"
	}
	fmt.Printf("%s %s (status %d, %.1fs)\n", result, name, status, time.Since(start).Seconds())
	return status, nil
}

// setUp mounts the kernel's file systems (/tmp is a folder of the initramfs), takes over the environment that run.sh chose,
// and prints what the processor says it has.
func setUp() {
	for _, m := range [][2]string{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		os.MkdirAll(m[1], 0o755)
		if err := syscall.Mount(m[0], m[1], m[0], 0, ""); err != nil {
			fmt.Println("mount", m[1], err)
		}
	}
	os.MkdirAll("/tmp", 0o777)
	if env, err := os.ReadFile("/env"); err == nil {
		for v := range bytes.SplitSeq(env, []byte{0}) {
			if key, value, ok := strings.Cut(string(v), "="); ok {
				os.Setenv(key, value)
			}
		}
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		fmt.Println(err)
	}
	for line := range strings.Lines(string(info)) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "model name":
			fmt.Println("cpu:", strings.TrimSpace(value))
		case "flags":
			fmt.Println("has:", strings.Join(wanted(strings.Fields(value)), " "))
		}
	}
}

// wanted keeps the flags of /proc/cpuinfo that core's assembly can make use of.
func wanted(flags []string) (kept []string) {
	for _, f := range flags {
		switch {
		case f == "aes", f == "vaes", f == "sha_ni", f == "pclmulqdq", f == "vpclmulqdq",
			f == "bmi2", f == "adx", strings.HasPrefix(f, "avx"):
			kept = append(kept, f)
		}
	}
	return kept
}

// switchOff ends the emulated machine, and the emulator with it.
func switchOff() {
	syscall.Sync()
	time.Sleep(100 * time.Millisecond) // for the serial line to drain
	err := syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	fmt.Println("power off:", err)
}
