package wallet

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The folders of a wallet, and the file whose flock keeps a second process out.
const (
	coinsDir    = "coins"
	pendingDir  = "pending"
	badDir      = "bad"
	withdrawDir = "withdraw"
	lockName    = "lock"
)

var folders = []string{coinsDir, pendingDir, badDir, withdrawDir}

// isOwn reports whether name, in the wallet's folder, is the wallet's.
func isOwn(name string) bool { return name == lockName || slices.Contains(folders, name) }

// Endings of names in withdrawDir; before them stands the key of the withdrawal.
const (
	endNew     = ".new"     // file: a request that is being written; nobody was asked yet
	endRequest = ".request" // file: a request that the bank may have seen
	endPart    = ".part"    // folder: coins of an answer that are being written
	endReady   = ".ready"   // folder: all coins of an answer, durable
)

// A requestKey is the idempotency key of one withdrawal. It names files and is no
// secret: the bank gives its coins to the account that made the request alone.
type requestKey [16]byte

func newKey() (k requestKey) {
	_, _ = rand.Read(k[:]) // never fails: crypto/rand ends the process instead
	return k
}

func (k requestKey) String() string { return hex.EncodeToString(k[:]) }

// coinNameLen is the length of every coin file's name: key, hyphen, index.
const coinNameLen = 2*len(requestKey{}) + 1 + 5

// path returns the name of the key's file or folder with the given ending.
func (k requestKey) path(end string) string { return withdrawDir + "/" + k.String() + end }

// coin returns the name of the key's coin with the given index: the key, a hyphen
// and five digits. The name says nothing about the coin.
func (k requestKey) coin(index int) string { return fmt.Sprintf("%s-%05d", k, index) }

// parseKey parses the 32 lower-case hexadecimal digits that String returns.
func parseKey(s string) (k requestKey, ok bool) {
	if len(s) != 2*len(k) || strings.ToLower(s) != s {
		return k, false
	}
	_, err := hex.Decode(k[:], []byte(s))
	return k, err == nil
}

// parseCoinName cuts the name of a coin file into key and index.
func parseCoinName(s string) (k requestKey, index int, ok bool) {
	head, digits, found := strings.Cut(s, "-")
	k, ok = parseKey(head)
	index, err := strconv.Atoi(digits)
	if !found || !ok || err != nil || index < 0 || index >= MaxWithdraw || k.coin(index) != s {
		return requestKey{}, 0, false
	}
	return k, index, true
}

// cutEnding cuts a name in withdrawDir into key and ending.
func cutEnding(s string) (k requestKey, end string, ok bool) {
	if len(s) < 2*len(k) {
		return k, "", false
	}
	end = s[2*len(k):]
	k, ok = parseKey(s[:2*len(k)])
	return k, end, ok && slices.Contains([]string{endNew, endRequest, endPart, endReady}, end)
}

const requestFormat = "ecoin withdrawal 1\nkey %s\ncoins %d\n"

// maxRequestLen is longer than any request file, in bytes.
const maxRequestLen = 128

// formatRequest returns the content of a request file.
func formatRequest(k requestKey, n int) []byte { return fmt.Appendf(nil, requestFormat, k, n) }

// parseRequest parses the content of a request file. There is one way to write each.
func parseRequest(b []byte) (k requestKey, n int, ok bool) {
	lines := strings.Split(string(b), "\n")
	if len(lines) != 4 {
		return k, 0, false
	}
	k, ok = parseKey(strings.TrimPrefix(lines[1], "key "))
	n, err := strconv.Atoi(strings.TrimPrefix(lines[2], "coins "))
	if !ok || err != nil || n < 1 || n > MaxWithdraw || string(formatRequest(k, n)) != string(b) {
		return requestKey{}, 0, false
	}
	return k, n, true
}
