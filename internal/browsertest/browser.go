// Package browsertest looks at a document in a headless Chromium. Start with [Open].
package browsertest

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Browser is one tab, and what it reported. Its methods end the test where they fail.
type Browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	requests []string
	errors   []string
}

// Open starts a Chromium, which ends with the test. Without one installed the test is
// skipped, or fails where ECOIN_NO_SKIP is set.
func Open(t *testing.T) *Browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("ECOIN_NO_SKIP") != "" {
			t.Fatal("no browser is installed, and ECOIN_NO_SKIP is set")
		}
		t.Skip("no browser is installed: chromium, chromium-browser, google-chrome or headless-shell")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's sandbox refuses root
	}
	limit, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	allocator, end := chromedp.NewExecAllocator(limit, options...)
	tab, _ := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		_ = chromedp.Cancel(tab) // waits for the browser's end
		end()
		cancel()
	})
	b := &Browser{t: t, ctx: tab}
	if err := chromedp.Listen(tab, b.event); err != nil {
		t.Fatalf("browser: %v", err)
	}
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	return b
}

func (b *Browser) event(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *log.EventEntryAdded:
		b.errors = append(b.errors, string(e.Entry.Level)+": "+e.Entry.Text)
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		b.errors = append(b.errors, "exception: "+text)
	case *runtime.EventConsoleAPICalled:
		text, _ := json.Marshal(e.Args)
		b.errors = append(b.errors, string(e.Type)+": "+string(text))
	}
}

// call gives the browser a command of its protocol.
func call[P any](b *Browser, command cdp.Command[P, cdp.Empty], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

func (b *Browser) do(action chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, action); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

// Navigate opens a URL and waits until it is loaded.
func (b *Browser) Navigate(url string) { b.t.Helper(); b.do(chromedp.Navigate(url)) }

// Width makes the window that many pixels wide.
func (b *Browser) Width(pixels int64) { b.t.Helper(); b.do(chromedp.EmulateViewport(pixels, 800)) }

// Scheme makes the browser prefer "light" or "dark".
func (b *Browser) Scheme(name string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
}

// Eval returns the value of a JavaScript expression as a string.
func (b *Browser) Eval(expression string) string {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		b.t.Fatalf("browser: %s: %v", expression, err)
	}
	return value
}

// Text returns what an element shows, "" while it is not there.
func (b *Browser) Text(selector string) string {
	b.t.Helper()
	quoted, err := json.Marshal(selector)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.Eval("document.querySelector(" + string(quoted) + ")?.textContent ?? ''")
}

// Asked returns the URLs that were asked for.
func (b *Browser) Asked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.requests)
}

// Said returns what the console said, exceptions and what a policy forbade among it.
func (b *Browser) Said() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.errors)
}
