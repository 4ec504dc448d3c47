-- Makes a channel a member of a group, and tells its process, if the queue of the process is on this server.
--
-- KEYS  pattern                         type        what for; when it ends
--   1   asgi:routes:<group>             sorted set  the processes that hold members, and the members that are channels
--                                                   of no process, by the time they end; with the last of them
--   2   asgi:members:<group>:<process>  sorted set  the local parts of the members that one process holds, by the time
--                                                   they end; with the last of them
--   3   asgi:joined:<process>           set         the groups that a process holds members of; with the last of them
--   4   asgi:gone                       sorted set  the processes that have ended a short while ago; see claim.lua
--   5   asgi:beats                      sorted set  the processes that beat; see beat.lua
--   6   asgi:epoch                      string      identifies the data in this server; never
--   7   asgi:queue:<process>            list        the queue of the process, if it is to be told; with its last entry
--
-- ARGV
--   1  the route: the name of the process up to and including "!", or the channel
--   2  the local part of the channel; "" for a channel of no process, and for a channel that is a process only
--   3  how long the membership lasts, in milliseconds
--   4  the group
--   5  how long a process without heartbeats may take to read the change, in milliseconds
--   6  the process in whose name this comes; "" if there is none
--   7  the epoch in which that one was registered
--   8  what to tell the process of the member, if it is to be told
--
-- All times are milliseconds by this server's clock. Returns 2 if the process in whose name this comes was declared dead,
-- and so nothing was done.

local time = redis.call("TIME")
local life = tonumber(ARGV[3])
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + life

local function keep(key)
    if redis.call("PTTL", key) < life then
        redis.call("PEXPIRE", key, life)
    end
end

if ARGV[6] ~= "" and not redis.call("ZSCORE", KEYS[5], ARGV[6]) and redis.call("GET", KEYS[6]) == ARGV[7] then
    return 2
end
local process = string.match(ARGV[1], "^(.*)!$")
if process and redis.call("ZSCORE", KEYS[4], process) then
    return
end
if ARGV[8] then
    redis.call("RPUSH", KEYS[7], string.format("%016.0f", time[1] * 1e6 + time[2] + life * 1000) .. ARGV[8])
    local stays = redis.call("ZSCORE", KEYS[5], process) and life or math.min(life, tonumber(ARGV[5]))
    if redis.call("PTTL", KEYS[7]) < stays then
        redis.call("PEXPIRE", KEYS[7], stays)
    end
end
redis.call("ZADD", KEYS[1], "GT", ends, ARGV[1])
keep(KEYS[1])
if process then
    redis.call("ZADD", KEYS[2], ends, ARGV[2])
    keep(KEYS[2])
    redis.call("SADD", KEYS[3], ARGV[4])
    keep(KEYS[3])
end
