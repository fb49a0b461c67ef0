package director

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/time/rate"
)

// lineTime lies between two log lines of one kind, when there are many.
const lineTime = time.Second

// lines writes log lines of one kind that any key may cause as often as it likes, each up
// to 2.6 KB long: so many at once, and one each lineTime from then on. The others are for
// whoever asks for debug lines.
type lines struct {
	log     *slog.Logger
	level   slog.Level
	allowed *rate.Limiter
}

func newLines(log *slog.Logger, level slog.Level, atOnce int) *lines {
	return &lines{log: log, level: level, allowed: rate.NewLimiter(rate.Every(lineTime), atOnce)}
}

func (l *lines) write(text string, args ...any) {
	level := l.level
	if !l.allowed.Allow() {
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, text, args...)
}
