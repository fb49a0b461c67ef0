package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

// configFlag names the settings file; seeing it adds the file's values below
// the command line and the environment.
type configFlag string

// BeforeResolve is called by kong once the command line is parsed.
func (f configFlag) BeforeResolve(k *kong.Kong, ctx *kong.Context, trace *kong.Path) error {
	path := string(ctx.FlagValue(trace.Flag).(configFlag))
	s, err := readSettings(path)
	if err != nil {
		return err
	}
	ctx.AddResolver(s)
	return nil
}

// settings is a parsed settings file: values under flag names, and sections
// named after commands. Sections win over the top level.
type settings map[string]any

func readSettings(path string) (settings, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var s settings
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%s is not a JSON object of settings: %w", path, err)
	}
	return s, nil
}

// Validate refuses names that no flag has: a misspelt setting must not pass
// silently.
func (s settings) Validate(app *kong.Application) error {
	all := map[string]bool{}
	sections := map[string]map[string]bool{}
	for _, f := range app.Flags {
		all[f.Name] = true
	}
	for _, cmd := range app.Children {
		names := map[string]bool{}
		for _, group := range append([]*kong.Node{cmd}, cmd.Children...) {
			for _, f := range group.Flags {
				names[f.Name] = true
				all[f.Name] = true
			}
		}
		sections[cmd.Name] = names
	}
	var errs []error
	for name, v := range s {
		section, nested := v.(map[string]any)
		known, isCommand := sections[name]
		switch {
		case nested && isCommand:
			for inner := range section {
				if !known[inner] {
					errs = append(errs, fmt.Errorf("%q has no flag --%s", name, inner))
				}
			}
		case nested:
			errs = append(errs, fmt.Errorf("%q is no command and holds a section", name))
		case !all[name]:
			errs = append(errs, fmt.Errorf("no command has a flag --%s", name))
		}
	}
	return errors.Join(errs...)
}

// Resolve gives the value of one flag, nil where the file is silent or the
// environment has spoken.
func (s settings) Resolve(ctx *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	if command, _, _ := strings.Cut(ctx.Command(), " "); command != "" {
		if section, ok := s[command].(map[string]any); ok {
			if v, ok := section[flag.Name]; ok {
				return v, nil
			}
		}
	}
	if v, ok := s[flag.Name]; ok {
		return v, nil
	}
	return nil, nil
}
