-- Begins the sweep of a process, or its normal end: from here on it can neither take nor send.
--
-- KEYS  pattern               type        what for; when it ends
--   1   asgi:beats            sorted set  the processes that beat; see beat.lua
--   2   asgi:gone             sorted set  the processes that have ended, by the time at which they did: what is sent to
--                                         them is dropped; each of them ARGV[4] later (see beat.lua), and all of them
--                                         ARGV[4] after the last
--   3   asgi:sweep:<process>  string      who sweeps the process, if this server keeps that; after ARGV[3], so that a
--                                         sweep that was killed half-way can be finished by another one
--   4   asgi:processes        hash        the details of processes, if only a process that is still there may be claimed;
--                                         see beat.lua
--
-- ARGV
--   1  the name of the process
--   2  who sweeps it
--   3  milliseconds
--   4  how long the layer remembers that a process is gone, in milliseconds
--
-- Returns 1, or 0 if somebody else sweeps it or has swept it.

if KEYS[4] and redis.call("HEXISTS", KEYS[4], ARGV[1]) == 0 then
    return 0
end
if KEYS[3] then
    local sweeper = redis.call("GET", KEYS[3])
    if sweeper and sweeper ~= ARGV[2] then
        return 0
    end
end
local time = redis.call("TIME")
redis.call("ZREM", KEYS[1], ARGV[1]) -- this comes first, because a full Redis refuses a script at its first write only
if KEYS[3] then
    redis.call("SET", KEYS[3], ARGV[2], "PX", ARGV[3])
end
redis.call("ZADD", KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
redis.call("PEXPIRE", KEYS[2], ARGV[4])
return 1
