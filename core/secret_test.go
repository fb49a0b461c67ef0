package core

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unsafe"

	"ecoin/core/internal/cbc"
	"ecoin/core/internal/hmac256"
	"ecoin/core/internal/hpke"
)

// secretValues holds a value and a pointer of every secret type. Their bytes are
// all 0xa7 = 167 where we choose them.
func secretValues() map[string]any {
	var c Coin
	var iv IV
	var salt Salt
	var key [32]byte
	for _, b := range [][]byte{c[:], iv[:], salt[:], key[:]} {
		copy(b, bytes.Repeat([]byte{0xa7}, len(b)))
	}
	sec := Secrets{c, iv}
	ring, err := NewKeyring(testX25519())
	if err != nil {
		panic(err)
	}
	mint := NewMint(&key, &key)
	pool, err := NewHeaderPool(testX25519().Public(), 1)
	if err != nil {
		panic(err)
	}
	memory := pool.ready[:1]
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&memory[0])), unsafe.Sizeof(memory[0])), bytes.Repeat([]byte{0xa7}, int(unsafe.Sizeof(memory[0]))))
	pool.ready = memory
	scratch := new(Scratch)
	copy(scratch.plain[:], bytes.Repeat([]byte{0xa7}, 48))
	return map[string]any{
		"Coin": c, "*Coin": &c, "[]Coin": []Coin{c}, "map of Coin": map[string]Coin{"k": c},
		"IV": iv, "*IV": &iv, "Salt": salt, "*Salt": &salt, "Secrets": sec, "*Secrets": &sec,
		"struct of Secrets": struct{ S Secrets }{sec},
		"PrivateKey":        *testX25519(), "*PrivateKey": testX25519(), "rsa PrivateKey": testRSA(), "xwing PrivateKey": testXWing(),
		"Keyring": *ring, "*Keyring": ring, "Mint": *mint, "*Mint": mint, "HeaderPool": *pool, "*HeaderPool": pool, "*Scratch": scratch, "Scratch": *scratch,
	}
}

// direct reports whether the named value of secretValues is a secret or a pointer
// to one, not a collection of them.
func direct(name string) bool {
	return !strings.HasPrefix(name, "[]") && !strings.HasPrefix(name, "map") && !strings.HasPrefix(name, "struct")
}

// leaks returns whether text shows a byte of secretValues in any base.
func leaks(text string) bool {
	for _, show := range []string{"a7a7", "A7A7", "167", "a7 a7", "A7 A7", "247 247", "10100111", "p6en", "\xa7", "§", `\u00a7`, "0xc0"} {
		if strings.Contains(text, show) {
			return true
		}
	}
	return false
}

func TestSecretsPrintRedacted(t *testing.T) {
	// %w is not here: package fmt calls no method for it outside an error, and
	// go vet refuses it.
	verbs := []string{"%v", "%+v", "%#v", "%s", "%+s", "%q", "%#q", "%x", "%X", "% x", "%#x", "%d", "%b", "%o", "%O", "%c", "%U", "%t", "%e", "%g", "%Z", "%08.3v", "%-40v", "no verb"}
	for name, v := range secretValues() {
		for _, verb := range verbs {
			got := fmt.Sprintf(verb, v)
			if leaks(got) || !strings.Contains(got, redacted) {
				t.Errorf("%s with %s does not print redacted", name, verb)
			}
		}
		if direct(name) && fmt.Sprint(v) != redacted {
			t.Errorf("%s prints %q", name, fmt.Sprint(v))
		}
		for _, got := range []string{fmt.Sprint(v), fmt.Sprintln(v), fmt.Errorf("wrap: %v", v).Error()} {
			if leaks(got) || !strings.Contains(got, redacted) {
				t.Errorf("%s does not print redacted", name)
			}
		}
	}
}

func TestSecretsLogRedacted(t *testing.T) {
	// Without the time, whose digits may look like secret bytes.
	noTime := &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	for name, v := range secretValues() {
		var text, js bytes.Buffer
		for _, h := range []slog.Handler{slog.NewTextHandler(&text, noTime), slog.NewJSONHandler(&js, noTime)} {
			l := slog.New(h)
			l.Info("m", "v", v)
			l.With("v", v).WithGroup("g").Info("m", slog.Group("h", "v", v), "list", []any{v}, "map", map[string]any{"v": v})
		}
		for _, got := range []string{text.String(), js.String()} {
			if leaks(got) {
				t.Errorf("slog shows the bytes of %s", name)
			}
		}
		if !strings.Contains(text.String(), redacted) {
			t.Errorf("slog.TextHandler does not say redacted for %s", name)
		}
		if direct(name) && !strings.Contains(js.String(), `"msg":"m","v":"redacted"`) {
			t.Errorf("slog.JSONHandler does not say redacted for %s", name)
		}
	}
}

// TestSecretsAreNotMarshaled: a secret in JSON, text or XML is an error, so that
// nobody stores a wallet of the word "redacted".
func TestSecretsAreNotMarshaled(t *testing.T) {
	for name, v := range secretValues() {
		js, errJSON := json.Marshal(v)
		js2, errMap := json.Marshal(map[string]any{"v": v})
		x, errXML := xml.Marshal(v)
		if leaks(string(js)) || leaks(string(js2)) || leaks(string(x)) {
			t.Errorf("%s: marshaled bytes show", name)
		}
		switch name {
		case "Keyring", "*Keyring", "Mint", "*Mint", "HeaderPool", "*HeaderPool", "Scratch", "*Scratch", "map of Coin":
			continue // nothing exported to marshal, or (XML) no maps
		}
		if errJSON == nil || errMap == nil || errXML == nil {
			t.Errorf("%s: marshals (json %v, json map %v, xml %v)", name, errJSON, errMap, errXML)
		}
	}
	if _, err := json.Marshal(map[Coin]int{{1}: 1}); err == nil {
		t.Error("a coin marshals as a JSON key")
	}
}

func TestNilSecretPointersPrint(t *testing.T) {
	for _, v := range []any{(*Coin)(nil), (*Secrets)(nil), (*PrivateKey)(nil), (*Keyring)(nil), (*Mint)(nil), (*HeaderPool)(nil), (*Scratch)(nil)} {
		if got := fmt.Sprintf("%v", v); got != "<nil>" {
			t.Errorf("%T(nil) prints %q", v, got)
		}
	}
}

// TestScratchHoldsNoSecrets looks into the scratch after each call, good or bad.
func TestScratchHoldsNoSecrets(t *testing.T) {
	eachSuite(t, func(t *testing.T, key *PrivateKey) {
		var s Scratch
		check := func(after string) {
			t.Helper()
			if s.plain != [48]byte{} || s.hpke != (hpke.Scratch{}) || s.macKey != [32]byte{} || s.info != (macKeyInfo{}) || s.hmacKey != (hmac256.Key{}) || s.aes != (cbc.Schedule{}) {
				t.Errorf("after %s the scratch holds secrets", after)
			}
		}
		checkTag := func(after string) {
			t.Helper()
			if check(after); s.tag != [32]byte{} {
				t.Errorf("after %s the scratch holds the tag it wanted", after)
			}
		}
		sec, other := testSecrets(1), testSecrets(2)
		ring, err := NewKeyring(key)
		if err != nil {
			t.Fatal(err)
		}
		record, err := key.Public().AppendHeader(nil, &s, sec)
		check("AppendHeader")
		if err != nil {
			t.Fatal(err)
		}
		var out Secrets
		if err := ring.OpenHeader(&s, record, &out); err != nil {
			t.Fatal(err)
		}
		check("OpenHeader")
		record[20] ^= 1
		if err := ring.OpenHeader(&s, record, &out); err == nil {
			t.Fatal("a flipped header opens")
		}
		check("a failed OpenHeader")
		record[20] ^= 1

		msg, err := AppendRequest(nil, &s, record, sec, []byte("reading"))
		if check("AppendRequest"); err != nil {
			t.Fatal(err)
		}
		req := mustParse(t, msg)
		_, err = req.Open(nil, &s, sec)
		if checkTag("Open"); err != nil {
			t.Fatal(err)
		}
		_, err = req.Open(nil, &s, other)
		if checkTag("a failed Open"); err == nil {
			t.Fatal("opens under another coin")
		}
		reply, err := req.AppendReply(nil, &s, sec, []byte("result"))
		if check("AppendReply"); err != nil {
			t.Fatal(err)
		}
		_, err = OpenReply(nil, &s, key.Public(), sec, reply)
		if checkTag("OpenReply"); err != nil {
			t.Fatal(err)
		}
		_, err = OpenReply(nil, &s, key.Public(), other, reply)
		if checkTag("a failed OpenReply"); err == nil {
			t.Fatal("opens under another coin")
		}
		s.plain[0], s.label[0], s.info[0], s.macKey[0], s.tag[0] = 1, 1, 1, 1, 1
		if s.Wipe(); s != (Scratch{}) {
			t.Error("Wipe leaves something")
		}
	})
}
