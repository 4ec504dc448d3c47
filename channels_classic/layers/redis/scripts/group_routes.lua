-- Tells where the members of a group, or of one process in it, are.
--
-- KEYS  pattern                         type        what for; when it ends
--   1   asgi:routes:<group>             sorted set  as in group_add.lua
--       or asgi:members:<group>:<process>
--
-- Returns pairs: a name, and the time (milliseconds) at which it ends. Those that have ended are removed.

local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", "(" .. now)
return redis.call("ZRANGE", KEYS[1], 0, -1, "WITHSCORES")
