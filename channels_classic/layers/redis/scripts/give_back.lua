-- Puts messages back in front of their queues, and rings the bells of these.
--
-- KEYS  pattern               type  what for; when it ends
--   two for every queue:
--       asgi:queue:<queue>    list  the queue; with its last entry
--       asgi:bell:<queue>     list  its bell; see take.lua
--   and last, for a taker, three more:
--       asgi:inflight:<taker> list        what the taker has in-flight; see take.lua
--       asgi:beats            sorted set  the processes that beat; see beat.lua
--       asgi:epoch            string      identifies the data in this server; never
--
-- ARGV
--   1  how long a queue lives with the messages at the least, in milliseconds
--   2  the number of queues
--   3  for a taker the number of its batch, else ""
--   4  the taker's process
--   5  the epoch in which the process was registered; "" if it was not
--   …  pairs, the last message first: the number of the queue, from 1, and the entry
--
-- Of a taker's batch only what is still in-flight goes back, so this can be repeated. If the list of the batch is
-- lost, with all data of this server, everything goes back. Returns 1 if the taker's process was declared dead, so
-- that nothing was done.

local queues = tonumber(ARGV[2])
local in_flight = ARGV[3] ~= "" and KEYS[2 * queues + 1]
if in_flight then
    local batch = redis.call("LINDEX", in_flight, 0)
    if batch and batch ~= ARGV[3] then
        return 0
    elseif not batch then
        in_flight = false
        if ARGV[5] ~= "" and not redis.call("ZSCORE", KEYS[2 * queues + 2], ARGV[4])
            and redis.call("GET", KEYS[2 * queues + 3]) == ARGV[5] then
            return 1
        end
    end
end

-- A write that takes no memory comes first: a full Redis refuses a script at its first write only, and messages
-- that were taken a moment ago must go back.
redis.call("LTRIM", KEYS[1], 0, -1)
for argument = 6, #ARGV, 2 do
    local entry = ARGV[argument + 1]
    if not in_flight or redis.call("LREM", in_flight, -1, entry) == 1 then
        redis.call("LPUSH", KEYS[2 * ARGV[argument] - 1], entry)
    end
end
for q = 1, queues do
    local queue, bell = KEYS[2 * q - 1], KEYS[2 * q]
    if redis.call("PTTL", queue) < tonumber(ARGV[1]) then
        redis.call("PEXPIRE", queue, ARGV[1])
    end
    if redis.call("EXISTS", bell) == 0 then
        redis.call("RPUSH", bell, "1")
        redis.call("EXPIRE", bell, 86400)
    end
end
return 0
