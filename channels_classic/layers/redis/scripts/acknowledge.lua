-- Notes that a taker is done with the batch that it has seen last, before it waits for the next one.
--
-- KEYS  pattern                type    what for; when it ends
--   1   asgi:inflight:<taker>  list    what the taker has in-flight; see take.lua
--   2   asgi:wake:<taker>      list    a token here ends the wait of this taker alone; a minute later
--   3   asgi:sent:<taker>      string  the number of the last trip of which nothing was refused; see send.lua
--
-- ARGV
--   1  the number of the batch that the taker has seen last
--   2  the number of this trip
--   3  "1" if the trip is not to wait unless all that it sent was taken; else "0"
--
-- Returns nothing; or, if the taker has not seen what it has in-flight, because the answer was lost, that list.

local batch = redis.call("LINDEX", KEYS[1], 0)
local unseen = {}
local waits = true
if batch then
    if batch == ARGV[1] then
        redis.call("UNLINK", KEYS[1])
    else
        waits = false
        -- A greater number is that of a later trip, which has overtaken this one: its batch is not to be touched.
        if tonumber(batch) < tonumber(ARGV[2]) then
            unseen = redis.call("LRANGE", KEYS[1], 0, -1)
        end
    end
end
if ARGV[3] == "1" and redis.call("GET", KEYS[3]) ~= ARGV[2] then
    waits = false
end
if not waits then
    -- A write that takes no memory comes first: a Redis that is full refuses a script at its first write only.
    redis.call("LTRIM", KEYS[2], 0, -1)
    redis.call("RPUSH", KEYS[2], "1")
    redis.call("EXPIRE", KEYS[2], 60)
end
return unseen
