package redis

import (
	"context"
	"fmt"
	"slices"
	"sync"

	goredis "github.com/redis/go-redis/v9"

	"github.com/larderbuild/larder/backend"
)

// Each script returns 0 if the object is not the one that the caller has in mind. Otherwise it
// returns 1, and the fields version, size and part of the hash that was there before.

const conflict, done = int64(0), int64(1)

// The client names a script by its SHA-1, which GODEBUG=fips140=only forbids outside of what
// larder runs. So scripts are made when they are used first.
func script(text string) func() *goredis.Script {
	return sync.OnceValue(func() *goredis.Script { return goredis.NewScript(text) })
}

// commitScript makes a hash that of a complete object, if the version is the one that is wanted
// ("absent" for none, empty for any). With the body it has ten arguments: of a caller who is
// not known, Redis closes the connection if there are more.
var commitScript = script(`
local wanted, size, part, ttl = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local old = redis.call('HMGET', KEYS[1], 'version', 'size', 'part')
if wanted ~= '' and wanted ~= (old[1] or 'absent') then
	return {0}
end
for i = 2, #KEYS do
	if redis.call('STRLEN', KEYS[i]) ~= math.min(part, size - (i - 2) * part) then
		return redis.error_reply('LARDER a part of the object is gone')
	end
end
local now = redis.call('TIME')
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'size', ARGV[3], 'part', ARGV[4], 'body', ARGV[6],
	'written', string.format('%d%06d', now[1], now[2]))
for i = 1, #KEYS do
	if ttl > 0 then
		redis.call('PEXPIRE', KEYS[i], ttl)
	else
		redis.call('PERSIST', KEYS[i])
	end
end
return {1, old[1] or '', old[2] or '', old[3] or ''}
`)

// removeScript removes a hash, if it is that of a version, or whichever it is.
var removeScript = script(`
local old = redis.call('HMGET', KEYS[1], 'version', 'size', 'part')
if old[1] and ARGV[1] ~= '' and old[1] ~= ARGV[1] then
	return {0}
end
redis.call('DEL', KEYS[1])
return {1, old[1] or '', old[2] or '', old[3] or ''}
`)

// commit makes o, whose bytes are inline or in parts, the object of its name.
func (s *store) commit(ctx context.Context, o stored, parts []string, inline []byte, cond backend.Condition) error {
	wanted := cond.Version
	if cond.Absent {
		wanted = "absent"
	}
	keys := append([]string{o.name}, parts...)
	return s.replace(ctx, commitScript(), keys, wanted, o.version, o.size, o.part, s.TTL.Milliseconds(), inline)
}

// remove removes the object of name, if it has version, or whichever it is if version is
// empty.
func (s *store) remove(ctx context.Context, name, version string) error {
	return s.replace(ctx, removeScript(), []string{name}, version)
}

// replace runs a script that takes away the object of keys[0], and then removes the parts that
// this had.
func (s *store) replace(ctx context.Context, script *goredis.Script, keys []string, args ...any) error {
	answer, err := script.Run(ctx, s.client, keys, args...).Slice()
	if err != nil {
		return err
	}
	switch {
	case slices.Equal(answer, []any{conflict}):
		return backend.ErrConflict
	case len(answer) != 4 || answer[0] != done:
		return fmt.Errorf("%w to a script", errAnswer)
	}
	old := stored{name: keys[0]}
	if old.describe(answer[1:]) {
		s.drop(ctx, old.parts())
	}
	return nil
}
