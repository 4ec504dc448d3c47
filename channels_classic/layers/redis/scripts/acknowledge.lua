-- Notes that a taker is done with the batch that it has seen last, before it waits for the next one. One that does not
-- wait leaves that to take.lua.
--
-- KEYS  pattern                type    what for; when it ends
--   1   asgi:inflight:<taker>  list    what the taker has in-flight; see take.lua
--   2   asgi:wake:<taker>      list    a token here ends the wait of this taker alone; a minute later
--   3   asgi:sent:<taker>      string  the number of the last shipment; see send.lua
--
-- ARGV
--   1  the number of the batch that the taker has seen last
--   2  the number of the shipment of this trip, which does not wait unless all of that was taken; "" if it sends nothing

local batch = redis.call("LINDEX", KEYS[1], 0)
if batch == ARGV[1] then
    redis.call("UNLINK", KEYS[1])
    batch = false
end
if batch or ARGV[2] ~= "" and redis.call("GET", KEYS[3]) ~= ARGV[2] then
    -- A write that takes no memory comes first: a Redis that is full refuses a script at its first write only.
    redis.call("LTRIM", KEYS[2], 0, -1)
    redis.call("RPUSH", KEYS[2], "1")
    redis.call("EXPIRE", KEYS[2], 60)
end
