-- Makes a channel a member of a group, and tells its process, if that has its queue on this server.
--
-- KEYS  pattern                         type        what for; when it ends
--   1   asgi:routes:<group>             sorted set  the processes that hold members, and the members that are channels
--                                                   of no process, by the time they end; with the last of them
--   2   asgi:members:<group>:<process>  sorted set  the local parts of the members that one process holds, by the time
--                                                   they end; with the last of them
--   3   asgi:queue:<process>            list        the queue of the process, if it is to be told; with its last entry
--
-- ARGV
--   1  the route: the name of the process up to and including "!", or the channel
--   2  the local part of the channel; "" for a channel of no process
--   3  how long the membership lasts, in milliseconds
--   4  what to tell the process, if it is to be told
--
-- All times are milliseconds by this server's clock.

local time = redis.call("TIME")
local life = tonumber(ARGV[3])
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + life

local function keep(key)
    if redis.call("PTTL", key) < life then
        redis.call("PEXPIRE", key, life)
    end
end

if ARGV[4] then
    redis.call("RPUSH", KEYS[3], string.format("%016.0f", time[1] * 1e6 + time[2] + life * 1000) .. ARGV[4])
    keep(KEYS[3])
end
redis.call("ZADD", KEYS[1], "GT", ends, ARGV[1])
keep(KEYS[1])
if ARGV[2] ~= "" then
    redis.call("ZADD", KEYS[2], ends, ARGV[2])
    keep(KEYS[2])
end
