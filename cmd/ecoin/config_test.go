package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/alecthomas/kong"
)

// FuzzSettings feeds any bytes to the settings file: no panic, and whatever is not a
// JSON object, or names what no flag has, is an error.
func FuzzSettings(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `[]`, `{"bank":{}}`, `{"bank":{"listen":"127.0.0.1:1"}}`, `{"bank":null}`, `{"bank":7}`,
		`{"listen":{"bank":1}}`, `{"log-level":"debug","rows":3,"csv":"x"}`, `{"":""}`, `{"bank":{"bank":{}}}`,
	} {
		f.Add([]byte(seed))
	}
	var c cli
	parser, err := kong.New(&c, kong.Vars{"dir": "x"})
	if err != nil {
		f.Fatal(err)
	}
	known := map[string]bool{}
	for _, flag := range parser.Model.Flags {
		known[flag.Name] = true
	}
	for _, command := range parser.Model.Children {
		known[command.Name] = true
		for _, group := range append([]*kong.Node{command}, command.Children...) {
			for _, flag := range group.Flags {
				known[flag.Name] = true
			}
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "settings.json")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := readSettings(path)
		if err == nil {
			err = s.Validate(parser.Model)
		}
		if err != nil {
			return
		}
		var object map[string]any
		if json.Unmarshal(content, &object) != nil {
			t.Fatal("settings that are not a JSON object were accepted")
		}
		for name := range object {
			if !known[name] {
				t.Errorf("a setting %q, which nothing has, was accepted", name)
			}
		}
	})
}
