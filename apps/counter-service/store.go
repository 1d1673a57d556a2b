package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
)

const (
	counterKey = "counter"
	seenPrefix = "counter:seen:"
	// seenFor is how long a repeated request is recognised. Clients that retry do it within minutes.
	seenFor = time.Hour
	// answerWithin bounds all that one request does with Redis, so that an outage is a quick 503 and never a queue.
	// An fsync on a busy disk takes tens of milliseconds; what takes seconds is broken.
	answerWithin = 3 * time.Second
	dialWithin   = time.Second
)

// settingError is a setting that is missing or wrong: told with what would be right.
type settingError struct{ text, hint string }

func (e settingError) Error() string { return e.text + "\n\nhint: " + e.hint }

// increment counts and remembers the idempotency key in one step that nothing can come between, on Redis' side.
// A key that is known is answered with the value it got, so a retry is not counted twice.
var increment = redis.NewScript(`
local known = redis.call('GET', KEYS[2])
if known then return {tonumber(known), 1} end
local value = redis.call('INCR', KEYS[1])
redis.call('SET', KEYS[2], value, 'EX', ARGV[1])
return {value, 0}
`)

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

type store struct {
	client  *redis.Client
	reached atomic.Bool
}

// openStore checks the address, not Redis: that may come later, and the app answers 503 until then.
func openStore(url string) (*store, error) {
	const hint = "set `REDIS_URL` to redis://HOST:PORT/DATABASE, such as redis://redis:6379/0"
	if url == "" {
		return nil, settingError{"`REDIS_URL` is not set", hint}
	}
	options, err := redis.ParseURL(url)
	if err != nil {
		// The parser's own words may hold the password.
		return nil, settingError{"`REDIS_URL` is no address of a Redis", hint}
	}
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout = dialWithin, answerWithin, answerWithin
	options.PoolTimeout = answerWithin
	options.ContextTimeoutEnabled = true
	// An increment whose answer was lost may have been done: the client library must not send it again by itself.
	options.MaxRetries = -1
	options.DialerRetries = 1
	// Its own lines are not JSON, and say what the error of the request says too.
	redis.SetLogger(silent{})
	client := redis.NewClient(options)
	// Statements carry idempotency keys, which belong to the clients.
	if err := redisotel.InstrumentTracing(client, redisotel.WithDBStatement(false)); err != nil {
		return nil, fmt.Errorf("cannot trace Redis: %w", err)
	}
	return &store{client: client}, nil
}

func (s *store) close() { s.client.Close() }

// add increments by one. With a key that was seen before it changes nothing and says `again`.
// After an error it is unknown whether it was counted; only a retry with the same key is safe.
func (s *store) add(ctx context.Context, key string) (value int64, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if key == "" {
		value, err = s.client.Incr(ctx, counterKey).Result()
		return value, false, s.noted(err)
	}
	keys := []string{counterKey, seenPrefix + key}
	answer, err := increment.Run(ctx, s.client, keys, int(seenFor.Seconds())).Int64Slice()
	if s.noted(err) != nil {
		return 0, false, err
	}
	if len(answer) != 2 {
		return 0, false, fmt.Errorf("the script answered %v", answer)
	}
	return answer[0], answer[1] == 1, nil
}

func (s *store) value(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	value, err := s.client.Get(ctx, counterKey).Int64()
	if errors.Is(err, redis.Nil) {
		return 0, s.noted(nil) // nothing counted yet
	}
	return value, s.noted(err)
}

// ready is nil from the first answer of Redis on, whatever happens to it later.
func (s *store) ready(ctx context.Context) error {
	if s.reached.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return s.noted(s.client.Ping(ctx).Err())
}

func (s *store) noted(err error) error {
	if err == nil {
		s.reached.Store(true)
	}
	return err
}

// validKey accepts what fits into a log line and bounds what a client can make Redis remember.
func validKey(key string) bool {
	const longest = 128
	return len(key) <= longest && !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
}
