package server

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestRecentRefusals(t *testing.T) {
	var r recentRefusals
	at := func(i int) time.Time { return time.Unix(int64(i), 0) }
	peer := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, byte(i)}) }
	flood := refusal{what: "handshake", reason: "unknown_key"}
	for i := range maxRecent + 2 {
		r.add(at(3*i), peer(i), refusal{what: "/v1/redeem", status: 429, reason: "rate", account: fmt.Sprint("cam-", i)})
		r.add(at(3*i+1), peer(i), flood)
		r.add(at(3*i+2), peer(i), flood)
	}
	list := r.newestFirst()
	if len(list) != maxRecent {
		t.Fatalf("%d refusals are remembered, want %d", len(list), maxRecent)
	}
	if got := list[0]; got.refusal != flood || got.count != 2*(maxRecent+2) || got.peer != peer(65) || !got.last.Equal(at(3*65+2)) {
		t.Errorf("the flood: %+v", got)
	}
	for i, e := range list[1:] {
		if want := fmt.Sprint("cam-", maxRecent+1-i); e.account != want || e.count != 1 {
			t.Errorf("%d: %+v, want %s", i, e, want)
		}
	}
}
