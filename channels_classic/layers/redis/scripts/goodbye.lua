-- Sends the wills of sockets, each once, beyond the capacity of the channel, because they were in this server
-- before.
--
-- KEYS  pattern                 type  what for; when it ends
--   1   asgi:clients:<process>  hash  the wills of the sockets of an interface server; see send.lua
--   2   asgi:orders:<process>   hash  the orders of their last messages; see send.lua
--   3   asgi:queue:<queue>      list  the queue of the channel; with its last entry
--   4   asgi:bell:<queue>       list  its bell; see take.lua
--   5   asgi-meta:queue:<kind>  hash  its statistics; see send.lua
--   6   asgi-meta:totals        hash  the statistics of all queues; see send.lua
--
-- ARGV
--   1  how long an entry lives, in milliseconds
--   …  pairs: the local part of a reply channel, and the message to send; "" for none
--
-- Returns the number of messages that were sent.

local time = redis.call("TIME")
local life = tonumber(ARGV[1])
local stamp = string.format("%016.0f", time[1] * 1e6 + time[2] + life * 1000)
local sent = 0
for argument = 2, #ARGV, 2 do
    if redis.call("HDEL", KEYS[1], ARGV[argument]) == 1 and ARGV[argument + 1] ~= "" then
        redis.call("RPUSH", KEYS[3], stamp .. ARGV[argument + 1])
        sent = sent + 1
    end
    redis.call("HDEL", KEYS[2], ARGV[argument])
end
if sent > 0 then
    redis.call("PEXPIRE", KEYS[3], life)
    redis.call("HINCRBY", KEYS[5], "messages_count", sent)
    redis.call("HINCRBY", KEYS[6], "messages_count", sent)
    if redis.call("EXISTS", KEYS[4]) == 0 then
        redis.call("RPUSH", KEYS[4], "1")
        redis.call("EXPIRE", KEYS[4], 86400)
    end
end
return sent
