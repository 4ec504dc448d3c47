-- Ends the in-flight batch of a taker, and puts entries back in front of their queues in the same step.
--
-- KEYS  pattern                type  what for; when it ends
--   1   asgi:inflight:<taker>  list  what the taker has in-flight; see take.lua
--   then two for every queue:
--       asgi:queue:<queue>     list  the queue; with its last entry
--       asgi:bell:<queue>      list  its bell; see take.lua
--
-- ARGV
--   1  the number of the batch: if the list has another number, or does not exist any more, nothing is done
--   2  how long an entry lives, in milliseconds
--   …  triples, the last message first: the number of the queue, from 1; "1" for a new time of expiry, or "0" if the
--      entry has one; and the entry
--
-- Returns 1 if it was done, else 0.

if redis.call("LINDEX", KEYS[1], 0) ~= ARGV[1] then
    return 0
end
redis.call("UNLINK", KEYS[1])
local time = redis.call("TIME")
local life = tonumber(ARGV[2])
local stamp = string.format("%016.0f", time[1] * 1e6 + time[2] + life * 1000)
for argument = 3, #ARGV, 3 do
    local queue = 2 * tonumber(ARGV[argument])
    local entry = ARGV[argument + 2]
    redis.call("LPUSH", KEYS[queue], ARGV[argument + 1] == "1" and stamp .. entry or entry)
end
for q = 2, #KEYS, 2 do
    if redis.call("PTTL", KEYS[q]) < life then
        redis.call("PEXPIRE", KEYS[q], life)
    end
    if redis.call("EXISTS", KEYS[q + 1]) == 0 then
        redis.call("RPUSH", KEYS[q + 1], "1")
        redis.call("EXPIRE", KEYS[q + 1], 86400)
    end
end
return 1
