package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"strconv"
	"strings"
	"time"

	"ecoin/core"
)

// RedeemScript redeems the coins KEYS for an account. ARGV: the key of the account's credit,
// then of each coin the record to write. A coin's key holds an empty string while it is live,
// and the record, which Redis forgets by itself, once it is spent. One command redeems a live
// coin; a spent one gets its record back. The answer is what the keys held, nil for those
// that are not there. (GET and then SET takes Redis up to half as long again, and single calls
// pipelined take it twice as long as 64 coins a call.)
const RedeemScript = `
local call, held, n = redis.call, {}, 0
for i, key in ipairs(KEYS) do
  local v = call('SET', key, ARGV[i + 1], 'XX', 'GET', 'EX', 3600)
  if v == '' then
    n = n + 1
  elseif v then
    call('SET', key, v, 'EX', 3600)
  end
  held[i] = v
end
if n > 0 then call('INCRBY', ARGV[1], n) end
return held`

// RedisClient is one connection to Redis.
type RedisClient struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	sha  string // of RedeemScript; "" until it is loaded
}

// DialRedis connects to Redis at address.
func DialRedis(ctx context.Context, address string) (*RedisClient, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &RedisClient{conn: c, in: bufio.NewReaderSize(c, 32<<10)}, nil
}

// Close closes the connection.
func (c *RedisClient) Close() error { return c.conn.Close() }

// command appends a command's array header.
func (c *RedisClient) command(args int) { c.out = fmt.Appendf(c.out, "*%d\r\n", args) }

func (c *RedisClient) arg(b []byte) {
	c.out = append(strconv.AppendInt(append(c.out, '$'), int64(len(b)), 10), "\r\n"...)
	c.out = append(append(c.out, b...), "\r\n"...)
}

func (c *RedisClient) flush() error {
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// Do sends a command and returns a simple, bulk or integer answer as text.
func (c *RedisClient) Do(args ...string) (string, error) {
	c.command(len(args))
	for _, a := range args {
		c.arg([]byte(a))
	}
	if err := c.flush(); err != nil {
		return "", err
	}
	kind, n, line, err := c.line()
	switch {
	case err != nil:
		return "", err
	case kind != '$':
		return line, nil
	}
	b, err := c.bulk(nil, n)
	return string(b), err
}

// line reads the first line of an answer. n is its number, where it has one.
func (c *RedisClient) line() (kind byte, n int, text string, err error) {
	l, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, 0, "", err
	}
	if len(l) < 3 || l[len(l)-2] != '\r' {
		return 0, 0, "", errors.New("store: Redis: a line without an end")
	}
	kind, text = l[0], string(l[1:len(l)-2])
	switch kind {
	case '-':
		return 0, 0, "", errors.New("store: Redis: " + text)
	case '$', '*', ':':
		if n, err = strconv.Atoi(text); err != nil || kind != ':' && (n < -1 || n > 1<<20) {
			return 0, 0, "", fmt.Errorf("store: Redis: %q is no length", text)
		}
	case '+':
	default:
		return 0, 0, "", fmt.Errorf("store: Redis: an answer of kind %q", kind)
	}
	return kind, n, text, nil
}

// bulk appends a string of n bytes to dst; none for n < 0.
func (c *RedisClient) bulk(dst []byte, n int) ([]byte, error) {
	if n < 0 {
		return dst, nil
	}
	from := len(dst)
	dst = append(dst, make([]byte, n+2)...)
	if _, err := io.ReadFull(c.in, dst[from:]); err != nil {
		return dst[:from], fmt.Errorf("store: Redis: an answer ends early: %w", err)
	}
	if string(dst[from+n:]) != "\r\n" {
		return dst[:from], errors.New("store: Redis: a string without an end")
	}
	return dst[:from+n], nil
}

// Load makes coins live with pipelined MSETs, with the log off, and then has the log written
// anew and kept from then on, synced at each command.
func (c *RedisClient) Load(coins iter.Seq[core.Fingerprint]) error {
	const keys, pipeline = 500, 16
	n, sent := 0, 0
	answers := func(most int) error {
		for ; sent > most; sent-- {
			if _, _, _, err := c.line(); err != nil {
				return err
			}
		}
		return nil
	}
	var batch []core.Fingerprint
	send := func() error {
		if len(batch) == 0 {
			return nil
		}
		c.command(1 + 2*len(batch))
		c.arg([]byte("MSET"))
		for i := range batch {
			c.arg(batch[i][:])
			c.arg(nil)
		}
		batch = batch[:0]
		sent++
		return errors.Join(c.flush(), answers(pipeline))
	}
	for fp := range coins {
		if batch = append(batch, fp); len(batch) == keys {
			if err := send(); err != nil {
				return err
			}
		}
		n++
	}
	if err := errors.Join(send(), answers(0)); err != nil {
		return err
	}
	if _, err := c.Do("CONFIG", "SET", "appendonly", "yes"); err != nil {
		return err
	}
	for {
		info, err := c.Do("INFO", "persistence")
		switch {
		case err != nil:
			return err
		case strings.Contains(info, "aof_rewrite_in_progress:0") && strings.Contains(info, "aof_rewrite_scheduled:0"):
			if !strings.Contains(info, "aof_last_bgrewrite_status:ok") || !strings.Contains(info, "aof_enabled:1") {
				return errors.New("store: Redis could not write its log")
			}
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Redeem redeems coins by one call of the script.
func (c *RedisClient) Redeem(_ context.Context, account uint16, coins []core.Fingerprint, out []core.Status) error {
	if c.sha == "" {
		sha, err := c.Do("SCRIPT", "LOAD", RedeemScript)
		if err != nil {
			return err
		}
		c.sha = sha
	}
	c.command(4 + 2*len(coins))
	c.arg([]byte("EVALSHA"))
	c.arg([]byte(c.sha))
	c.arg(strconv.AppendInt(nil, int64(len(coins)), 10))
	for i := range coins {
		c.arg(coins[i][:])
	}
	c.arg(creditKey(account))
	for i := range coins {
		c.arg(record(account, &coins[i]))
	}
	if err := c.flush(); err != nil {
		return err
	}
	return c.statuses(account, coins, out)
}

// statuses reads the script's answer: what each coin's key held.
func (c *RedisClient) statuses(account uint16, coins []core.Fingerprint, out []core.Status) error {
	kind, n, _, err := c.line()
	if err != nil {
		return err
	}
	if kind != '*' || n != len(coins) {
		return fmt.Errorf("store: Redis answers %c%d for %d coins", kind, n, len(coins))
	}
	var buf [recordLen + 2]byte
	for i := range coins {
		if kind, n, _, err = c.line(); err != nil {
			return err
		}
		if kind != '$' || n > recordLen {
			return fmt.Errorf("store: Redis answers %c%d for a coin", kind, n)
		}
		held, err := c.bulk(buf[:0], n)
		if err != nil {
			return err
		}
		if n == 0 {
			out[i] = core.StatusOK
		} else if out[i], err = spentStatus(held, account, &coins[i]); err != nil {
			return err
		}
	}
	return nil
}

// Credit returns what an account was credited.
func (c *RedisClient) Credit(account uint16) (int64, error) {
	text, err := c.Do("GET", string(creditKey(account)))
	if err != nil || text == "" {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}
