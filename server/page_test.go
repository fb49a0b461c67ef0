package server

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ecoin/internal/browsertest"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

func shows(path string) string { return `[data-v="` + path + `"]` }

// TestPage looks at the page in a browser while the bank works.
func TestPage(t *testing.T) {
	b := browsertest.Open(t)
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
	b.Scheme("light")
	b.Navigate(origin)
	is := func(selector, want string) func() bool {
		return func() bool { return b.Text(selector) == want }
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
		rate := b.Text(shows("rates.redeemed_coins"))
		p99 := b.Text(shows("redeem.p99_ms"))
		return rate != "" && rate != "0" && strings.HasSuffix(p99, "s") && b.Eval(`document.querySelector("#charts path.s0") !== null`) == "true"
	})

	if got := b.Text("#withdrawers td.name"); got != hostile {
		t.Errorf("the account's name is shown as %q", got)
	}
	if got := b.Eval(`[...document.querySelectorAll("#refusals tbody tr")].map(r => [...r.cells].slice(2, 6).map(c => c.textContent).join("|")).join("\n")`); got !=
		"/v1/redeem|403|this account's role does not allow the call|"+hostile+"\n/v1/withdraw|403|this account's role does not allow the call|lab-1" {
		t.Errorf("refusals:\n%s", got)
	}
	if got := b.Eval(`document.images.length + " " + document.scripts.length + " " + document.title.includes("owned")`); got != "0 1 false" {
		t.Errorf("images, scripts, owned: %s", got)
	}
	if got := b.Eval(`document.querySelectorAll("#shards tbody tr").length`); got != "3" {
		t.Errorf("%s rows of shards are shown, want the sum and 2", got)
	}
	if got := b.Eval(`[...document.querySelectorAll("[data-v]")].filter(e => e.textContent === "" || /NaN|undefined/.test(e.textContent)).map(e => e.dataset.v)`); got != "" {
		t.Errorf("not shown: %s", got)
	}

	// Selected text stays, to be copied, and the page says that it waits.
	b.Eval(`getSelection().selectAllChildren(document.querySelector("h1"))`)
	eventually(t, "the page holds", is("#state", "ready, held while text is selected"))
	shown := b.Text(shows("coins.redeemed"))
	redeem(3)
	before := b.Eval("last")
	eventually(t, "one more answer", func() bool { return b.Eval("last") != before })
	if now := b.Text(shows("coins.redeemed")); now != shown || b.Eval("getSelection()") != "ecoin bank" {
		t.Errorf("the page goes on, from %s to %s coins, while %q is selected", shown, now, b.Eval("getSelection()"))
	}
	b.Eval("getSelection().empty()")
	eventually(t, "the page goes on", func() bool { return b.Text("#state") == "ready" && b.Text(shows("coins.redeemed")) != shown })

	light := b.Eval("getComputedStyle(document.body).backgroundColor")
	b.Scheme("dark")
	if dark := b.Eval("getComputedStyle(document.body).backgroundColor"); dark == light {
		t.Errorf("light and dark are both %s", dark)
	}
	for _, width := range []int64{1280, 700, 360} {
		b.Width(width)
		if got := b.Eval("document.documentElement.scrollWidth <= innerWidth"); got != "true" {
			t.Errorf("at %d px the page is wider than its window", width)
		}
	}

	asked := b.Asked()
	if len(asked) < 4 {
		t.Errorf("requests: %q", asked)
	}
	for i, url := range asked {
		if i == 0 && url != origin || i > 0 && !strings.HasPrefix(url, origin+"status.json?after=") {
			t.Errorf("request %d is for %s", i, url)
		}
	}
	if said := b.Said(); len(said) != 0 {
		t.Errorf("the console says %q", said)
	}

	testPageRestart(t, b, h)
}

// testPageRestart stops the bank h under its page, and starts another at its address.
func testPageRestart(t *testing.T, b *browsertest.Browser, h *harness) {
	t.Helper()
	look := func() string {
		return b.Text("#state") + "|" + b.Eval("document.title") + "|" + b.Eval(`document.body.classList.contains("stale")`)
	}
	address := h.s.healthAddr().String()
	h.close()
	away := regexp.MustCompile(`^the bank is away: no answer for \d+ s\|away · ecoin bank\|true$`)
	eventually(t, "the page says that the bank is away", func() bool { return away.MatchString(look()) })

	next := start(t, func(o *Options) { o.Health = address })
	next.collector().withdraw(5)
	eventually(t, "the page goes on", func() bool {
		return look() == "ready|0 coins/s · ecoin bank|false" && b.Text(shows("coins.live")) == "5" && b.Text(shows("address")) == next.s.addr().String()
	})
	eventually(t, "the charts begin anew", func() bool {
		return b.Eval(`points.at_unix_ms?.length > 0 && points.at_unix_ms.every(t => t >= Date.parse(started))`) == "true"
	})
	asked := b.Asked()
	if n := slices.Index(asked[1:], asked[0]); n >= 0 {
		t.Errorf("request %d loads the page again", n+1)
	}
	for _, e := range b.Said() {
		if strings.HasPrefix(e, "exception") {
			t.Errorf("the console says %q", e)
		}
	}
}
