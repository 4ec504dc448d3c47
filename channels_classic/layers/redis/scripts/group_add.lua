-- Makes a channel a member of a group.
--
-- KEYS[1]: sorted set  the routes of the group: processes that hold members, and members that are channels of
--                      no process; by the time (milliseconds) at which they end
-- KEYS[2]: sorted set  the members that one process holds, by the time at which they end (the local parts of
--                      their names); not used for a channel of no process
--
-- ARGV[1]: the route: the name of the process up to and including "!", or the channel
-- ARGV[2]: the local part of the channel; "" for a channel of no process
-- ARGV[3]: how long the membership lasts, in milliseconds

local time = redis.call("TIME")
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[3]

redis.call("ZADD", KEYS[1], "GT", ends, ARGV[1])
if redis.call("PTTL", KEYS[1]) < tonumber(ARGV[3]) then
    redis.call("PEXPIRE", KEYS[1], ARGV[3])
end
if ARGV[2] ~= "" then
    redis.call("ZADD", KEYS[2], ends, ARGV[2])
    if redis.call("PTTL", KEYS[2]) < tonumber(ARGV[3]) then
        redis.call("PEXPIRE", KEYS[2], ARGV[3])
    end
end
