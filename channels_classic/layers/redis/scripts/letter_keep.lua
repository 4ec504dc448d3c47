-- Keeps a dead letter. The oldest ones make room for it.
--
-- KEYS  pattern            type        what for; when it ends
--   1   asgi:letters       hash        the dead letters; with the last of them
--   2   asgi:letter-times  sorted set  their identities, by the time at which they were kept; with them
--
-- ARGV
--   1  the identity
--   2  the letter
--   3  how many are kept
--   4  how many bytes of them

if redis.call("HSETNX", KEYS[1], ARGV[1], ARGV[2]) == 0 then
    return
end
local time = redis.call("TIME")
redis.call("ZADD", KEYS[2], string.format("%d%06d", time[1], time[2]), ARGV[1])
local all = redis.call("ZRANGE", KEYS[2], 0, -1)
local bytes = 0
for position = #all, 1, -1 do
    bytes = bytes + redis.call("HSTRLEN", KEYS[1], all[position])
    if #all - position >= tonumber(ARGV[3]) or bytes > tonumber(ARGV[4]) then
        redis.call("HDEL", KEYS[1], all[position])
        redis.call("ZREM", KEYS[2], all[position])
    end
end
