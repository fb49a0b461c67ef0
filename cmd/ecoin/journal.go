package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"ecoin/internal/journal"
)

type journalCmd struct {
	Dir   bankDir `help:"Folder of the bank." default:"${dir}"`
	File  string  `help:"The journal, when it is elsewhere." placeholder:"FILE"`
	Print bool    `help:"Print every line, with its hash before it."`
	Head  string  `help:"A hash that was noted before: the journal must have a line with it, and so everything before it." placeholder:"HEX"`
}

// Run reads the whole journal; no bank is needed. Exit code 1: it is not whole.
func (c *journalCmd) Run(std streams) (err error) {
	path := c.File
	if path == "" {
		path = c.Dir.journalFile()
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no journal: %w", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	want := strings.ToLower(c.Head)
	found := want == "" || want == journal.Hash{}.String()
	lines, head, err := journal.Check(f, func(text []byte, hash journal.Hash) error {
		found = found || hash.String() == want
		if !c.Print {
			return nil
		}
		_, err := fmt.Fprintf(std.out, "%v %s\n", hash, text)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if !found {
		return fmt.Errorf("%s has no line with the hash %s: its end was cut off, or it is another journal", path, c.Head)
	}
	_, err = fmt.Fprintf(std.out, "%d lines, each follows from the one before; note the last hash elsewhere: %v\n", lines, head)
	return err
}
