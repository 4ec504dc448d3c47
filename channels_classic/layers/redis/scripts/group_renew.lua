-- Renews the membership of a channel of a process, if there is one.
--
-- KEYS  pattern                         type        what for; when it ends
--   1   asgi:routes:<group>             sorted set  as in group_add.lua
--   2   asgi:members:<group>:<process>  sorted set  as in group_add.lua
--
-- ARGV
--   1  the name of the process up to and including "!"
--   2  the local part of the channel
--   3  how long the membership lasts from now on, in milliseconds
--
-- Returns the time at which it ends, in milliseconds by this server's clock, or nothing if there is no such
-- membership.

local time = redis.call("TIME")
local life = tonumber(ARGV[3])
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = redis.call("ZSCORE", KEYS[2], ARGV[2])

if not ends or tonumber(ends) < now then
    return false
end
redis.call("ZADD", KEYS[1], "GT", now + life, ARGV[1])
redis.call("ZADD", KEYS[2], now + life, ARGV[2])
for _, key in ipairs(KEYS) do
    if redis.call("PTTL", key) < life then
        redis.call("PEXPIRE", key, life)
    end
end
return now + life
