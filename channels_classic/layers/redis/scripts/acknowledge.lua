-- Ends the last batch that a taker has received, before it waits for the next one. A taker that does not wait
-- leaves this to take.lua.
--
-- KEYS  pattern                type    what for; when it ends
--   1   asgi:inflight:<taker>  list    the in-flight batch of the taker; see take.lua
--   2   asgi:wake:<taker>      list    a token that ends the wait of this taker only; a minute later
--   3   asgi:sent:<taker>      string  the number of the last shipment; see send.lua
--
-- ARGV
--   1  the number of the last batch that the taker has received
--   2  the number of the shipment of this round trip, which waits only if none of that was refused; "" if it sends
-- nothing

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
