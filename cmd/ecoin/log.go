package main

import (
	"fmt"
	"io"
	"log/slog"
)

// logFlags choose how a process logs. Logs go to standard error.
type logFlags struct {
	Level  string `help:"Least level that is logged: ${enum}." enum:"debug,info,warn,error" default:"info"`
	Format string `help:"How log lines look: ${enum}." enum:"text,json" default:"text"`
}

func (f logFlags) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.Level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: %w", f.Level, err)
	}
	o := &slog.HandlerOptions{Level: level}
	if f.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return slog.New(slog.NewTextHandler(w, o)), nil
}
