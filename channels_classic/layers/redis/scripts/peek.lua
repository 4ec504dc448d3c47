-- Returns the times of the oldest messages of queues, so that a reader of several servers can keep the order.
--
-- KEYS  pattern             type  what for; when it ends
--   …   asgi:queue:<queue>  list  the queues; with their last entry
--
-- ARGV
--   1  how many messages of each queue to look at
--
-- Returns the time in microseconds (16 digits), and for every queue the times of expiry of its first messages
-- (see send.lua).

local time = redis.call("TIME")
local stamps = {}
for q = 1, #KEYS do
    stamps[q] = {}
    -- A key that is no list belongs to another program. The other queues are to be read all the same.
    for position, value in ipairs(redis.pcall("LRANGE", KEYS[q], 0, ARGV[1] - 1)) do
        stamps[q][position] = string.sub(value, 1, 16)
    end
end
return { string.format("%010d%06d", time[1], time[2]), stamps }
