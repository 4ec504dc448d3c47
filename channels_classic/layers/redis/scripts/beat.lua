-- Notes the heartbeat of a process, and tells which processes are dead.
--
-- KEYS  pattern         type        what for; when it ends
--   1   asgi:epoch      string      identifies the data in this server (see epochs.py); never
--   2   asgi:beats      sorted set  the processes that beat, by their last heartbeat; with the last of them
--   3   asgi:processes  hash        the details of processes: of those that beat, and of those that are being swept; with
--                                   the last of them
--   4   asgi:gone       sorted set  the processes that have ended a short while ago; see claim.lua
--
-- ARGV
--   1  the name of the process
--   2  its details
--   3  the epoch in which it was registered; "" if it was not
--   4  the epoch to set where there is none
--   5  how long a process lives without a heartbeat, in milliseconds
--   6  how long the layer remembers that a process is gone, in milliseconds
--
-- All times are milliseconds by this server's clock. Returns 1 if the process was declared dead, else 0; the epoch; and
-- the names and details of dead processes, in turn.

local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A write that takes no memory comes first: a full Redis refuses a script at its first write only, and without
-- heartbeats nobody would take messages, which makes room.
redis.call("ZREMRANGEBYSCORE", KEYS[4], "-inf", now - tonumber(ARGV[6]))
local epoch = redis.call("GET", KEYS[1])
if not epoch then
    epoch = ARGV[4]
    redis.call("SET", KEYS[1], epoch)
end

local beats = redis.call("ZSCORE", KEYS[2], ARGV[1])
local lapsed = not beats and ARGV[3] == epoch
if not lapsed then
    redis.call("ZADD", KEYS[2], now, ARGV[1])
    redis.call("HSET", KEYS[3], ARGV[1], ARGV[2])
end

local names = redis.call("ZRANGEBYSCORE", KEYS[2], "-inf", "(" .. now - tonumber(ARGV[5]))
-- Processes whose sweep has begun send no heartbeats, and their sweep may have been killed.
if redis.call("HLEN", KEYS[3]) > redis.call("ZCARD", KEYS[2]) then
    for _, name in ipairs(redis.call("HKEYS", KEYS[3])) do
        if not redis.call("ZSCORE", KEYS[2], name) then
            names[#names + 1] = name
        end
    end
end
local dead = {}
for _, name in ipairs(names) do
    dead[#dead + 1] = name
    dead[#dead + 1] = redis.call("HGET", KEYS[3], name) or ""
end
return { lapsed and 1 or 0, epoch, dead }
