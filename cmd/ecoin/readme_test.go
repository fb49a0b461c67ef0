package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ecoin/internal/freeport"
)

// TestReadmeTranscript pastes the README's transcript into a shell, as a new user
// would, with nothing changed but the ports, which come from a settings file.
func TestReadmeTranscript(t *testing.T) {
	for _, tool := range []string{"bash", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			skip(t, "the transcript is for a shell with "+tool+", which is not installed")
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(readme), "```sh\n")
	script, _, closed := strings.Cut(after, "```")
	if !found || !closed || !strings.Contains(script, "ecoin bank") {
		t.Fatal("README.md has no transcript in a sh block")
	}

	addresses, err := freeport.Addresses(4)
	if err != nil {
		t.Fatal(err)
	}
	bank, health, director, analyst := addresses[0], addresses[1], addresses[2], addresses[3]
	parties := map[string]any{"bank": "https://" + bank, "director": "https://" + director}
	settings, err := json.Marshal(map[string]any{
		"bank":      map[string]any{"listen": bank, "health": health, "min-free": "1", "ballast": "1048576"},
		"director":  map[string]any{"listen": director},
		"analyst":   map[string]any{"listen": analyst, "bank": parties["bank"], "director": parties["director"]},
		"collector": parties,
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "settings.json")
	if err := os.WriteFile(file, settings, 0o600); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-e", "-m")
	shell.Dir = "../.."
	shell.Stdin = strings.NewReader(script)
	shell.Env = append(os.Environ(), "ECOIN_CONFIG="+file, "TMPDIR="+t.TempDir())
	shell.WaitDelay = 5 * time.Second
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("the transcript fails: %v\n%s", err, out)
	}
	for _, says := range []string{"This is a new bank", "analyst lab-1", "summary", "words", "cam-1  ", "live coins", "\nok\n"} {
		if !strings.Contains(string(out), says) {
			t.Errorf("the transcript's output lacks %q:\n%s", says, out)
		}
	}
}

// skip skips the test, except in continuous integration, where nothing may be
// missing.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("ECOIN_NO_SKIP") != "" {
		t.Fatal(why + ", and ECOIN_NO_SKIP is set")
	}
	t.Skip(why)
}
