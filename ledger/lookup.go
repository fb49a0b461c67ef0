package ledger

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"ecoin/core"
	"ecoin/ledger/internal/life"
)

// lookup finds coins. One goroutine uses it at a time: any number of calls of coin,
// then end. It sees at least what was applied before the first of them.
//
// It seeks with iterators that live as long as a batch, which costs less than a Get
// for each coin. There are two of them because filters of the last level, where
// nearly all coins are, help only when a key is probably absent.
type lookup struct {
	db      pebble.Reader
	present *pebble.Iterator // for keys that are probably there; nil until needed
	absent  *pebble.Iterator // for keys that are probably not
	key     []byte

	// noFilters is set for good once a read of absent failed, see get.
	noFilters bool
}

func (l *lookup) end() {
	for _, it := range []**pebble.Iterator{&l.present, &l.absent} {
		if *it != nil {
			_ = (*it).Close() // its error was seen by get, which every use goes through
			*it = nil
		}
	}
}

// coin returns the state of fp and, for a coin with a spent record, the window the
// record is in. spent lists the windows, newest last; likely says that the coin is
// probably live. Only a coin that is not live is looked for elsewhere.
func (l *lookup) coin(fp *core.Fingerprint, spent []uint32, likely bool) (c life.Coin, window uint32, err error) {
	it := &l.absent
	if likely {
		it = &l.present
	}
	l.key = appendLiveKey(l.key[:0], fp)
	_, found, err := l.get(it)
	if err != nil {
		return life.Coin{}, 0, err
	}
	if found {
		return life.Coin{Phase: life.Live}, 0, nil
	}
	return l.dead(fp, spent)
}

// dead is coin for one that is known not to be live.
func (l *lookup) dead(fp *core.Fingerprint, spent []uint32) (c life.Coin, window uint32, err error) {
	for i := len(spent) - 1; i >= 0; i-- {
		l.key = appendSpentKey(l.key[:0], spent[i], fp)
		value, found, err := l.get(&l.absent)
		if err != nil {
			return life.Coin{}, 0, err
		}
		if found {
			c, err := decodeSpent(value)
			return c, spent[i], err
		}
	}
	l.key = appendReturnedKey(l.key[:0], fp)
	value, found, err := l.get(&l.absent)
	if err != nil || !found {
		return life.Coin{}, 0, err
	}
	c, err = decodeReturned(value)
	return c, 0, err
}

// get looks for l.key. The value is valid until the next call. Once a read with the
// filters of the last level failed it does without them: a damaged filter would put
// every absent key of its table out of reach, and Pebble spends seconds on each read
// of a large damaged block, looking for the bit that was flipped.
func (l *lookup) get(it **pebble.Iterator) (value []byte, found bool, err error) {
	if it == &l.absent && !l.noFilters {
		if value, found, err = l.seek(it); err == nil {
			return value, found, nil
		}
		l.noFilters = true
	}
	if l.noFilters {
		it = &l.present
	}
	return l.seek(it)
}

// seek throws the iterator away after an error, so that one damaged block is the
// trouble only of the coins in it.
func (l *lookup) seek(it **pebble.Iterator) (value []byte, found bool, err error) {
	if *it == nil {
		*it, err = l.db.NewIter(&pebble.IterOptions{UseL6Filters: it == &l.absent})
		if err != nil {
			*it = nil
			return nil, false, fmt.Errorf("ledger: look up a coin: %w", err)
		}
	}
	if (*it).SeekPrefixGE(l.key) {
		if value, err = (*it).ValueAndErr(); err == nil {
			return value, true, nil
		}
	} else if err = (*it).Error(); err == nil {
		return nil, false, nil
	}
	err = errors.Join(err, (*it).Close())
	*it = nil
	return nil, false, fmt.Errorf("ledger: look up a coin: %w", err)
}
