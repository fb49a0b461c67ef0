package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"ecoin/client"
)

// bankProcess is the bank under load.
type bankProcess struct {
	cmd   *exec.Cmd
	stat  *process.Process
	dir   string
	api   string // host and port
	admin *client.Admin
	ended chan struct{}
}

// startBank starts a bank in a folder of its own.
func startBank(ctx context.Context, o *options) (*bankProcess, error) {
	dir, err := os.MkdirTemp(o.Dir, "bankscale-")
	if err != nil {
		return nil, err
	}
	args := append([]string{"bank", "--dir", filepath.Join(dir, "bank"), "--listen", "127.0.0.1:0", "--health", "127.0.0.1:0",
		"--suite", o.Suite, "--max-conns", "60000", "--max-conns-per-address", "60000", "--log-format", "json"}, o.Args...)
	cmd := exec.Command(o.Bank, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt ends the load first, and the bank by stop
	log, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	b := &bankProcess{cmd: cmd, dir: dir, ended: make(chan struct{})}
	listening := make(chan string, 1)
	go func() {
		defer close(b.ended)
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			var l struct{ Level, Msg, API, Err string }
			if json.Unmarshal(lines.Bytes(), &l) != nil {
				continue
			}
			switch {
			case l.Msg == "listening":
				listening <- l.API
			case l.Level == "ERROR":
				fmt.Fprintln(os.Stderr, "bank:", l.Msg, l.Err)
			}
		}
		_ = cmd.Wait()
	}()
	select {
	case b.api = <-listening:
	case <-b.ended:
		return nil, errors.Join(fmt.Errorf("%s ended at once: does --bank name an ecoin binary?", o.Bank), os.RemoveAll(dir))
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), b.stop())
	}
	b.admin = client.NewAdmin(filepath.Join(dir, "bank", "admin.sock"))
	if b.stat, err = process.NewProcess(int32(cmd.Process.Pid)); err != nil {
		return nil, errors.Join(err, b.stop())
	}
	return b, nil
}

// stop ends the bank and removes its folder.
func (b *bankProcess) stop() error {
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.ended:
	case <-time.After(time.Minute):
		_ = b.cmd.Process.Kill()
		<-b.ended
	}
	return os.RemoveAll(b.dir)
}

func (b *bankProcess) keys() string { return filepath.Join(b.dir, "bank", "keys") }

// cpu returns the time that the bank's process has used.
func (b *bankProcess) cpu() (time.Duration, error) {
	t, err := b.stat.Times()
	if err != nil {
		return 0, err
	}
	return time.Duration((t.User + t.System) * float64(time.Second)), nil
}

// memory returns the bank's resident memory in bytes.
func (b *bankProcess) memory() (int64, error) {
	m, err := b.stat.MemoryInfo()
	if err != nil {
		return 0, err
	}
	return int64(m.RSS), nil
}

func (b *bankProcess) audit(ctx context.Context) error {
	a, err := b.admin.Audit(ctx)
	if err != nil {
		return err
	}
	if !a.OK {
		return fmt.Errorf("the audit after the load found: %v", a.Problems)
	}
	return nil
}
