package server

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"ecoin/internal/wire"
	"ecoin/ledger"
)

// browser is a headless Chromium with one tab, and what it reported.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	requests []string // URLs
	errors   []string // of the console, exceptions among them
}

// openBrowser starts a Chromium, which ends with the test. Without one installed the
// test is skipped.
func openBrowser(t *testing.T) *browser {
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
	b := &browser{t: t, ctx: tab}
	if err := chromedp.Listen(tab, b.event); err != nil {
		t.Fatalf("browser: %v", err)
	}
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	return b
}

func (b *browser) event(event any) {
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

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

// call gives the browser a command of its protocol.
func call[P any](b *browser, command cdp.Command[P, cdp.Empty], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

// scheme makes the browser prefer "light" or "dark".
func (b *browser) scheme(name string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
}

// eval returns the value of a JavaScript expression as a string.
func (b *browser) eval(expression string) string {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		b.t.Fatalf("browser: %s: %v", expression, err)
	}
	return value
}

// text returns what an element shows, "" while it is not there.
func (b *browser) text(selector string) string {
	b.t.Helper()
	quoted, err := json.Marshal(selector)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.eval("document.querySelector(" + string(quoted) + ")?.textContent ?? ''")
}

func shows(path string) string { return `[data-v="` + path + `"]` }

// TestPage looks at the page in a browser while the bank works.
func TestPage(t *testing.T) {
	b := openBrowser(t)
	h := start(t)
	const hostile = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>&lt;`
	cam, lab := h.stranger(newIdentity(t, "cam-1", time.Hour)), h.analyst()
	cam.trust(hostile, ledger.RoleCollector, 1000)
	coins := cam.withdraw(200)
	redeem := func(n int) {
		t.Helper()
		lab.do("POST", wire.PathRedeem, h.records(coins[:n])).want(t, "redeem", 200)
		coins = coins[n:]
	}
	lab.do("POST", wire.PathWithdraw+"?n=1", nil, wire.HeaderIdempotencyKey, key(1)).want(t, "wrong role", 403)
	cam.do("POST", wire.PathRedeem, []byte{1}).want(t, "wrong role", 403)

	origin := "http://" + h.s.healthAddr().String() + "/"
	b.scheme("light")
	b.do(chromedp.Navigate(origin))
	is := func(selector, want string) func() bool {
		return func() bool { return b.text(selector) == want }
	}
	eventually(t, "the page says ready", is("#state", "ready"))
	redeem(7)
	eventually(t, "7 coins redeemed are shown", is(shows("coins.redeemed"), "7"))
	redeem(13)
	eventually(t, "20 coins redeemed are shown", is(shows("coins.redeemed"), "20"))
	eventually(t, "180 live coins are shown", is(shows("coins.live"), "180"))
	eventually(t, "a rate, a percentile and a line in the chart are shown", func() bool {
		if len(coins) > 20 {
			redeem(1) // so that some were redeemed in the last seconds, however slow this machine is
		}
		rate := b.text(shows("rates.redeemed_coins"))
		p99 := b.text(shows("redeem.p99_ms"))
		return rate != "" && rate != "0" && strings.HasSuffix(p99, "s") && b.eval(`document.querySelector("#charts path.s0") !== null`) == "true"
	})

	if got := b.text("#withdrawers td.name"); got != hostile {
		t.Errorf("the account's name is shown as %q", got)
	}
	if got := b.eval(`[...document.querySelectorAll("#refusals tbody tr")].map(r => [...r.cells].slice(2, 6).map(c => c.textContent).join("|")).join("\n")`); got !=
		"/v1/redeem|403|this account's role does not allow the call|"+hostile+"\n/v1/withdraw|403|this account's role does not allow the call|lab-1" {
		t.Errorf("refusals:\n%s", got)
	}
	if got := b.eval(`document.images.length + " " + document.scripts.length + " " + document.title.includes("owned")`); got != "0 1 false" {
		t.Errorf("images, scripts, owned: %s", got)
	}
	if got := b.eval(`document.querySelectorAll("#shards tbody tr").length`); got != "3" {
		t.Errorf("%s rows of shards are shown, want the sum and 2", got)
	}
	if got := b.eval(`[...document.querySelectorAll("[data-v]")].filter(e => e.textContent === "" || /NaN|undefined/.test(e.textContent)).map(e => e.dataset.v)`); got != "" {
		t.Errorf("not shown: %s", got)
	}

	// Selected text stays, to be copied, and the page says that it waits.
	b.eval(`getSelection().selectAllChildren(document.querySelector("h1"))`)
	eventually(t, "the page holds", is("#state", "ready, held while text is selected"))
	shown := b.text(shows("coins.redeemed"))
	redeem(3)
	before := b.eval("last")
	eventually(t, "one more answer", func() bool { return b.eval("last") != before })
	if now := b.text(shows("coins.redeemed")); now != shown || b.eval("getSelection()") != "ecoin bank" {
		t.Errorf("the page goes on, from %s to %s coins, while %q is selected", shown, now, b.eval("getSelection()"))
	}
	b.eval("getSelection().empty()")
	eventually(t, "the page goes on", func() bool { return b.text("#state") == "ready" && b.text(shows("coins.redeemed")) != shown })

	light := b.eval("getComputedStyle(document.body).backgroundColor")
	b.scheme("dark")
	if dark := b.eval("getComputedStyle(document.body).backgroundColor"); dark == light {
		t.Errorf("light and dark are both %s", dark)
	}
	for _, width := range []int64{1280, 700, 360} {
		b.do(chromedp.EmulateViewport(width, 800))
		if got := b.eval("document.documentElement.scrollWidth <= innerWidth"); got != "true" {
			t.Errorf("at %d px the page is wider than its window", width)
		}
	}

	b.mu.Lock()
	if len(b.requests) < 4 {
		t.Errorf("requests: %q", b.requests)
	}
	for i, url := range b.requests {
		if i == 0 && url != origin || i > 0 && !strings.HasPrefix(url, origin+"status.json?after=") {
			t.Errorf("request %d is for %s", i, url)
		}
	}
	if len(b.errors) != 0 {
		t.Errorf("the console says %q", b.errors)
	}
	b.mu.Unlock()

	testPageRestart(t, b, h)
}

// testPageRestart stops the bank h under its page, and starts another at its address.
func testPageRestart(t *testing.T, b *browser, h *harness) {
	t.Helper()
	look := func() string {
		return b.text("#state") + "|" + b.eval("document.title") + "|" + b.eval(`document.body.classList.contains("stale")`)
	}
	address := h.s.healthAddr().String()
	h.close()
	away := regexp.MustCompile(`^the bank is away: no answer for \d+ s\|away · ecoin bank\|true$`)
	eventually(t, "the page says that the bank is away", func() bool { return away.MatchString(look()) })

	next := start(t, func(o *Options) { o.Health = address })
	next.collector().withdraw(5)
	eventually(t, "the page goes on", func() bool {
		return look() == "ready|0 coins/s · ecoin bank|false" && b.text(shows("coins.live")) == "5" && b.text(shows("address")) == next.s.addr().String()
	})
	eventually(t, "the charts begin anew", func() bool {
		return b.eval(`points.at_unix_ms?.length > 0 && points.at_unix_ms.every(t => t >= Date.parse(started))`) == "true"
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := slices.Index(b.requests[1:], b.requests[0]); n >= 0 {
		t.Errorf("request %d loads the page again", n+1)
	}
	for _, e := range b.errors {
		if strings.HasPrefix(e, "exception") {
			t.Errorf("the console says %q", e)
		}
	}
}
